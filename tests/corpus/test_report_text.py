"""Text as reports show it: nothing hides in it, and differences are marked in bounded time."""

import time

import pytest

from deeq_bert.corpus.report_text import (
    ADDED,
    KEPT,
    REMOVED,
    difference,
    histogram_shares,
    percent,
    share,
    size,
    visible,
)


@pytest.mark.parametrize(
    "text", ["", "한글 ㅋㅋ 大韓 ABC 12.5% “따옴표” ★ ♡ 😀", "두\n줄", "é", "שלום"]
)
def test_ordinary_text_is_shown_as_it_is(text):
    assert visible(text) == text


@pytest.mark.parametrize(
    ("character", "shown"),
    [
        ("\u200b", "⟨U+200B⟩"),
        ("\u202e", "⟨U+202E⟩"),
        ("\x1b", "⟨U+001B⟩"),
        ("\0", "⟨U+0000⟩"),
        ("\r", "⟨U+000D⟩"),
        ("\t", "⟨U+0009⟩"),
        ("\xa0", "⟨U+00A0⟩"),
        ("\u3164", "⟨U+3164⟩"),
        ("\u2028", "⟨U+2028⟩"),
        ("\ufe0f", "⟨U+FE0F⟩"),
        ("\ud800", "⟨U+D800⟩"),
        ("\U000e0041", "⟨U+E0041⟩"),
    ],
)
def test_what_cannot_be_seen_is_shown(character, shown):
    assert visible(f"가{character}나") == f"가{shown}나"


@pytest.mark.parametrize(
    ("before", "after", "marked"),
    [
        ("같은 줄", "같은 줄", "같은 줄"),
        ("재미있다ㅋㅋㅋㅋㅋ", "재미있다ㅋㅋ", "재미있다ㅋㅋ[-ㅋㅋㅋ-]"),
        ("전화 010-1234-5678 로", "전화 [전화] 로", "전화 [-010-1234-5678-][+[전화]+] 로"),
        ("A!!! B", "A! B", "A![-!!-] B"),
        ("a & b", "a &amp; b", "a &[+amp;+] b"),
        ("가", "", "[-가-]"),
        ("", "가", "[+가+]"),
        ("첫째!! 그리고 둘째??", "첫째! 그리고 둘째?", "첫째![-!-] 그리고 둘째[-?-]?"),
    ],
)
def test_differences_are_marked(before, after, marked):
    forms = {KEPT: "{}", REMOVED: "[-{}-]", ADDED: "[+{}+]"}
    assert "".join(forms[kind].format(text) for kind, text in difference(before, after)) == marked


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("가나다" * 100, "가다나" * 100),
        ("ab" * 300, "ba" * 300),
        ("한 줄의 말 " * 80, "두 줄의 글 " * 80),
        ("!?" * 500, "?" * 500),
        ("a" * 600, "b" * 600),
        ("x" + "ㅋ" * 1_000_000, "ㅋ" * 999_999 + "y"),
    ],
)
def test_both_texts_are_there_whole_whatever_is_marked(before, after):
    pieces = list(difference(before, after))
    assert "".join(text for kind, text in pieces if kind != ADDED) == before
    assert "".join(text for kind, text in pieces if kind != REMOVED) == after


@pytest.mark.parametrize("unit", ["a", "ab", "ㅋ ", "가나다 ", "!?"])
def test_long_differences_take_no_long_time(unit):
    started = time.monotonic()
    list(difference("x" + unit * 200_000, unit[::-1] * 200_000 + "y"))
    for length in range(100, 700, 20):
        list(difference("x" + unit * length, unit[::-1] * length + "y"))
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0%"), (0.00001, "<0.01%"), (0.0012, "0.12%"), (0.1234, "12.3%"), (1, "100.0%")],
)
def test_shares_are_shown_as_percent(value, shown):
    assert percent(value) == shown


def test_a_share_of_nothing_is_nothing():
    assert share(3, 0) == 0.0
    assert share(1, 4) == 0.25


@pytest.mark.parametrize(
    ("num_bytes", "shown"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2.5e6, "2.5 MB"), (3.2e12, "3,200.0 GB")],
)
def test_sizes_have_units(num_bytes, shown):
    assert size(num_bytes) == shown


def bins(*counts):
    return [{"up_to": top, "count": count} for top, count in zip([5, 10, 20, 1000, None], counts)]


def test_a_histogram_has_no_empty_ends():
    assert histogram_shares(bins(0, 1, 0, 3, 0)) == [
        ("6 to 10", 0.25),
        ("11 to 20", 0.0),
        ("21 to 1,000", 0.75),
    ]


def test_the_last_bin_of_a_histogram_has_no_end():
    assert histogram_shares(bins(0, 0, 0, 0, 2)) == [("over 1,000", 1.0)]


def test_a_histogram_of_nothing_is_empty():
    assert histogram_shares(bins(0, 0, 0, 0, 0)) == []
