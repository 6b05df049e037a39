"""Accounts of cleaning: they add up, join to what one account of all would be, survive JSON."""

import json
import random

import numpy as np
import pytest

from deeq_bert.corpus.accounting import (
    CHARACTER_CLASSES,
    LENGTH_BINS,
    MAX_SAMPLE_CHARACTERS,
    Account,
    Samples,
    count_lengths,
    shorten,
)


def samples_of(texts, size, seed="seed"):
    samples = Samples(size, seed)
    for text in texts:
        samples.offer(text)
    return samples


def test_a_sample_is_of_what_was_offered():
    texts = [f"줄 {number}" for number in range(1000)]
    taken = [text for (text,) in samples_of(texts, 20)]
    assert len(taken) == len(set(taken)) == 20
    assert set(taken) <= set(texts)


def test_a_small_sample_has_all():
    assert sorted(samples_of("가나다", 20)) == [("가",), ("나",), ("다",)]


def test_a_sample_of_none_stays_empty():
    samples = samples_of("가나다", 0)
    samples.add(samples_of("라마", 0))
    assert list(samples) == []


def test_a_sample_depends_on_the_seed_alone():
    texts = [str(number) for number in range(100)]
    assert list(samples_of(texts, 5)) == list(samples_of(texts, 5))
    assert list(samples_of(texts, 5)) != list(samples_of(texts, 5, seed="other"))


def test_texts_that_belong_together_stay_together():
    samples = Samples(3, "")
    for number in range(50):
        samples.offer(f"before {number}", f"after {number}")
    assert all(after == before.replace("before", "after") for before, after in samples)


def test_joined_samples_have_what_has_the_lowest_numbers_of_all():
    parts = [samples_of([f"{part}/{line}" for line in range(50)], 8, str(part)) for part in "abc"]
    lowest = sorted(entry for part in parts for entry in part.to_json())[:8]

    joined = Samples(8, "")
    for part in parts:
        joined.add(part)

    assert sorted(joined.to_json()) == lowest


def test_the_order_of_joining_does_not_matter():
    parts = [samples_of([f"{part}/{line}" for line in range(50)], 8, str(part)) for part in "abcd"]
    joined = []
    for order in (parts, parts[::-1]):
        whole = Samples(8, "")
        for part in order:
            whole.add(part)
        joined.append(list(whole))
    assert joined[0] == joined[1]


def test_every_text_is_as_likely_to_be_taken_from_joined_samples():
    # Two parts, one ten times the other: of 2,000 that are taken, about a tenth is of the small.
    from_small = 0
    for trial in range(200):
        whole = samples_of(["large"] * 900, 10, f"{trial}:large")
        whole.add(samples_of(["small"] * 100, 10, f"{trial}:small"))
        from_small += list(whole).count(("small",))
    assert 130 < from_small < 270


def test_long_texts_lose_their_middle_in_samples():
    text = "가" * MAX_SAMPLE_CHARACTERS + "나" * MAX_SAMPLE_CHARACTERS
    short = shorten(text)
    assert short.startswith("가가") and short.endswith("나나")
    assert f"…{MAX_SAMPLE_CHARACTERS:,}…" in short
    assert len(short) < MAX_SAMPLE_CHARACTERS + 20
    assert list(samples_of([text], 1)) == [(short,)]


def test_a_text_of_the_longest_length_is_whole():
    text = "가" * MAX_SAMPLE_CHARACTERS
    assert shorten(text) == text


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("한글", "hangul"),
        ("ㅋㅠ", "jamo"),
        ("大韓", "hanja"),
        ("かな", "kana"),
        ("Aé", "latin"),
        ("1３", "digit"),
        (" \u3000", "space"),
        (".“", "other"),
    ],
)
def test_characters_are_counted_by_class(text, name):
    expected = dict.fromkeys(CHARACTER_CLASSES, 0) | {name: 2}
    one = account()
    one.enter_output([text])
    assert dict(zip(CHARACTER_CLASSES, one.class_counts.tolist())) == expected


def test_a_length_is_in_the_first_bin_that_it_does_not_exceed():
    counts = count_lengths(np.array([0, 5, 6, 10, LENGTH_BINS[-1], LENGTH_BINS[-1] + 1]))
    assert counts[:2].tolist() == [2, 2]
    assert counts[-2:].tolist() == [1, 1]
    assert counts.sum() == 6
    assert len(count_lengths(np.zeros(0, dtype=np.int64))) == len(LENGTH_BINS) + 1


def account(seed="seed", num_samples=5):
    return Account(num_samples, seed)


def test_changed_and_removed_lines_are_told_apart():
    one = account()
    one.enter_changes("emoji", ["가 😀", "😀😀", "나"], ["가 ", " ", "나"])
    rule = one.rules["emoji"]
    assert (rule.changed, rule.removed_lines) == (1, 1)
    assert rule.removed_bytes == len("😀".encode()) + len("😀😀".encode())
    assert list(rule.changed_samples) == [("가 😀", "가 ")]
    assert list(rule.removed_samples) == [("😀😀",)]


def test_a_line_that_grows_takes_no_bytes_away():
    one = account()
    one.enter_changes("jamo", ["가ᆢ"], ["가……"])
    assert one.rules["jamo"].removed_bytes == 0


def test_a_removed_document_counts_with_its_lines():
    one = account()
    one.enter_removed_document("short", ["첫 줄", "둘째"])
    rule = one.rules["short"]
    assert (rule.removed_documents, rule.removed_lines) == (1, 2)
    assert rule.removed_bytes == len("첫 줄둘째".encode())
    assert list(rule.removed_samples) == [("첫 줄\n둘째",)]


def test_output_is_counted_without_line_ends():
    one = account()
    one.enter_output(["가 나\nA1", "다"])
    assert (one.documents_out, one.lines_out) == (2, 3)
    assert one.bytes_out == len("가 나A1다".encode())
    classes = dict(zip(CHARACTER_CLASSES, one.class_counts.tolist()))
    assert (classes["hangul"], classes["latin"], classes["digit"], classes["space"]) == (3, 1, 1, 1)
    assert one.length_counts.sum() == 3
    assert one.document_length_counts.sum() == 2


def test_output_of_no_documents_is_nothing():
    one = account()
    one.enter_output([])
    assert (one.documents_out, one.lines_out, one.bytes_out) == (0, 0, 0)
    assert one.class_counts.sum() == one.length_counts.sum() == 0


def test_held_out_documents_are_counted_apart():
    one = account()
    one.enter_heldout("가\n나다")
    assert (one.heldout_documents, one.heldout_lines, one.heldout_bytes) == (1, 2, 9)
    assert one.documents_out == one.lines_out == 0


def test_broken_records_are_counted_by_problem():
    one = account()
    one.enter_broken("not JSON", "a, line 1", "{")
    one.enter_broken("not JSON", "a, line 2", "[")
    one.enter_broken("no text", "a, line 3", "{}")
    assert {problem: count for problem, (count, _) in one.broken.items()} == {
        "not JSON": 2,
        "no text": 1,
    }
    assert sorted(one.broken["not JSON"][1]) == [("a, line 1", "{"), ("a, line 2", "[")]


def full_account(seed, num_samples=5):
    """An account in which everything was entered, by chance."""
    chance = random.Random(seed)
    one = account(seed, num_samples)
    one.files = 1
    one.encodings = {chance.choice(["utf-8", "cp949"]): 1}
    one.replaced_characters = chance.randrange(5)
    one.seconds = chance.random()
    for number in range(chance.randrange(10, 30)):
        lines = [
            f"{seed} 문서 {number}의 {line}번째 문장" for line in range(chance.randrange(1, 9))
        ]
        one.documents_in += 1
        one.lines_in += len(lines)
        one.sentences += len(lines)
        one.enter_changes("digits", lines, [line.replace("1", "") for line in lines])
        one.enter_removed_line("first", lines.pop())
        if not lines:
            one.rule("nothing_left").removed_documents += 1
        elif number % 3 == 0:
            one.enter_removed_document("thirds", lines)
        elif number % 7 == 1:
            one.enter_heldout("\n".join(lines))
        else:
            one.enter_output(["\n".join(lines)])
        if number % 5 == 0:
            one.enter_broken(chance.choice(["not JSON", "no text"]), f"{seed} {number}", "{")
    return one


def in_json(one):
    return json.loads(json.dumps(one.to_json(), ensure_ascii=False))


def test_json_and_back_changes_nothing():
    one = full_account("가")
    assert in_json(Account.from_json(in_json(one), 5)) == in_json(one)


def test_an_empty_account_survives_json():
    assert in_json(Account.from_json(in_json(account()), 5)) == in_json(account())


def test_halves_of_surrogate_pairs_survive_json():
    one = account()
    one.enter_changes("characters", ["가\ud800"], ["가"])
    assert list(Account.from_json(in_json(one), 5).rules["characters"].changed_samples) == [
        ("가\ud800", "가")
    ]


def test_what_comes_from_json_can_be_gone_on_with():
    one = Account.from_json(in_json(full_account("가")), 5)
    before = one.rules["first"].removed_lines
    one.enter_removed_line("first", "한 줄")
    one.add(full_account("나"))
    assert one.rules["first"].removed_lines > before + 1
    assert len(list(one.rules["first"].removed_samples)) == 5


def test_joined_accounts_have_the_sums():
    parts = [full_account(seed) for seed in "가나다"]
    whole = account()
    for part in parts:
        whole.add(part)
    for name in ("files", "documents_in", "sentences", "lines_out", "heldout_bytes", "bytes_out"):
        assert getattr(whole, name) == sum(getattr(part, name) for part in parts), name
    for name in ("length_counts", "document_length_counts", "class_counts"):
        np.testing.assert_array_equal(
            getattr(whole, name), sum(getattr(part, name) for part in parts)
        )
    for rule in ("digits", "first", "thirds"):
        for name in ("changed", "removed_lines", "removed_documents", "removed_bytes"):
            expected = sum(getattr(part.rules[rule], name) for part in parts)
            assert getattr(whole.rules[rule], name) == expected, (rule, name)
    assert sum(whole.encodings.values()) == 3
    for problem in ("not JSON", "no text"):
        expected = sum(part.broken[problem][0] for part in parts if problem in part.broken)
        assert whole.broken[problem][0] == expected


def test_joining_leaves_the_parts_as_they_are():
    part = full_account("가")
    before = in_json(part)
    whole = account()
    whole.add(part)
    whole.add(full_account("나"))
    assert in_json(part) == before


def test_the_order_of_joining_accounts_decides_only_the_order_of_their_rules():
    forward, backward = account(), account()
    for seed in "가나다":
        forward.add(full_account(seed))
    for seed in "다나가":
        backward.add(full_account(seed))
    expected = in_json(backward)
    expected["seconds"] = pytest.approx(expected["seconds"])
    assert in_json(forward) == expected


def test_what_comes_in_goes_out_or_has_a_reason():
    whole = account()
    for seed in "가나다":
        whole.add(full_account(seed))
    removed_documents = sum(rule.removed_documents for rule in whole.rules.values())
    removed_lines = sum(
        rule.removed_lines for name, rule in whole.rules.items() if name != "digits"
    )
    assert whole.documents_in == whole.documents_out + whole.heldout_documents + removed_documents
    assert whole.sentences == whole.lines_out + whole.heldout_lines + removed_lines
