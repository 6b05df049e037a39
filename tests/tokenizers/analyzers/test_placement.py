"""Where morphemes stand: ends, the beginnings of eojeols, very long texts."""

import re

import pytest

from deeq_bert.tokenizers.analyzers import placement
from deeq_bert.tokenizers.analyzers.base import Analysis


def place(text: str, *morphemes: tuple[str, int]) -> list[tuple[str, int, int, int]]:
    """Places morphemes that are given with their starts.

    Returns:
      The form, start and end of each, and whether it begins an eojeol.
    """
    forms, starts = [form for form, _ in morphemes], [start for _, start in morphemes]
    analysis = placement.place(text, forms, ["NNG"] * len(forms), starts)
    assert len(analysis.tags) == len(analysis.forms)
    return list(zip(analysis.forms, analysis.starts, analysis.ends, analysis.word_starts))


def test_a_morpheme_ends_where_the_next_starts():
    assert place("나는 간다", ("나", 0), ("는", 1), ("가", 3), ("ㄴ다", 3)) == [
        ("나", 0, 1, 1),
        ("는", 1, 2, 0),
        ("가", 3, 5, 1),
        ("ㄴ다", 3, 5, 0),
    ]


def test_those_of_one_syllable_have_it_together():
    assert place("했다", ("하", 0), ("았", 0), ("다", 1)) == [
        ("하", 0, 1, 1),
        ("았", 0, 1, 0),
        ("다", 1, 2, 0),
    ]


@pytest.mark.parametrize("blank", ["  ", "\u3000", " \u2003", "\t"])
def test_eojeols_are_what_whitespace_parts(blank):
    second = 1 + len(blank)
    assert place(f"가{blank}나", ("가", 0), ("나", second)) == [
        ("가", 0, 1, 1),
        ("나", second, second + 1, 1),
    ]


def test_the_first_morpheme_begins_with_its_eojeol():
    assert place("가나 다라", ("나", 1), ("라", 4)) == [("나", 0, 2, 1), ("라", 3, 5, 1)]


def test_an_eojeol_without_morphemes_is_one():
    assert place("가 나 다", ("가", 0), ("다", 4)) == [
        ("가", 0, 1, 1),
        ("나", 2, 3, 1),
        ("다", 4, 5, 1),
    ]


def test_a_start_between_eojeols_belongs_to_the_one_before():
    assert place("가 나", ("가", 0), ("이", 1), ("나", 2)) == [
        ("가", 0, 1, 1),
        ("이", 0, 1, 0),
        ("나", 2, 3, 1),
    ]


def test_starts_ascend():
    assert place("가나다", ("가", 0), ("다", 2), ("나", 1)) == [
        ("가", 0, 2, 1),
        ("다", 2, 3, 0),
        ("나", 2, 3, 0),
    ]


def syllables(text: str) -> Analysis:
    """An analysis of which each syllable is a morpheme."""
    starts = [match.start() for match in re.finditer(r"\S", text)]
    return placement.place(text, [text[start] for start in starts], ["NNG"] * len(starts), starts)


@pytest.mark.parametrize(
    "text", ["가나다라" * 5000, "가나 다라 " * 5000 + "마", "가" + " " * 20000 + "나"]
)
def test_the_stretches_of_a_long_text_make_one_analysis(text):
    lengths = []

    def analyze(stretch: str) -> Analysis:
        lengths.append(len(stretch))
        return syllables(stretch)

    whole, expected = placement.in_stretches(text, analyze), syllables(text)

    assert max(lengths) <= 4096
    assert "".join(whole.forms) == "".join(text.split())
    assert list(whole.starts) == expected.starts
    assert list(whole.ends) == expected.ends
    assert whole.word_starts == expected.word_starts
    assert whole.tags == expected.tags
