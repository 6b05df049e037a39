"""Masks: which tokens of an instance are chosen, and what becomes of them.

That every choice is the original's is tested in test_instance_blocks.py.
"""

import random

import pytest
from instance_rows import documents_of, mask_pair

from deeq_bert.bert.masking import (
    HIDDEN_CHANCE,
    STAYS_CHANCE,
    Masker,
    MaskingChoice,
    masking_facts,
)
from deeq_bert.bert.random_words import RandomWords
from deeq_bert.tokenizers.base import MORPHEME_START, WORD_START

PAD, UNK, CLS, SEP, MASK = range(5)
LETTERS = "abcdefghijklmnopqrstuvwxyz"


class LetterVocabulary:
    """The special tokens, the letters, and two tokens that continue a word."""

    tokens = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, "##s", "##t")
    vocab = {token: id_ for id_, token in enumerate(tokens)}
    continuation_ids = frozenset((vocab["##s"], vocab["##t"]))


def ids_of(text: str) -> list[int]:
    return [LetterVocabulary.vocab[token] for token in text.split()]


def positions_of(
    first: str, second: str, limit: int, mask_unit: str, units: bytes | None = None
) -> set[tuple[int, ...]]:
    """What is masked of two segments, of all or so many tokens, in one of a hundred draws."""
    outcomes = mask_pair(
        LetterVocabulary,
        ids_of(first),
        ids_of(second),
        MaskingChoice(1.0, limit, mask_unit),
        seed=3,
        draws=100,
        units=units,
    )
    return {tuple(positions) for _, positions, _ in outcomes}


@pytest.mark.parametrize("count", [2, 3, 64, 65, 255, 256, 509])
def test_the_order_of_candidates_is_that_of_the_standard_shuffle(count):
    # Where everything may be masked, the limit takes the first in the shuffled order.
    ((_, positions, _),) = mask_pair(
        LetterVocabulary, [10], [10] * (count - 1), MaskingChoice(1.0, 20, "token"), seed=7
    )
    expected = list(range(count))
    random.Random(7).shuffle(expected)
    # [CLS] is before all, and [SEP] after the first.
    assert positions == sorted(place + 1 + (place > 0) for place in expected[:20])


def test_a_chosen_token_becomes_what_the_draws_say():
    vocabulary = LetterVocabulary
    for seed in range(300):
        ((masked, positions, labels),) = mask_pair(
            vocabulary, [10], [11], MaskingChoice(0.0, 20, "token"), seed
        )
        rng, order = random.Random(seed), [1, 3]
        rng.shuffle(order)
        position = order[0]
        expected = [CLS, 10, SEP, 11, SEP]
        assert (positions, labels) == ([position], [expected[position]])
        if rng.random() < 0.8:
            expected[position] = MASK
        elif rng.random() >= 0.5:
            expected[position] = rng.randrange(len(vocabulary.vocab))
        assert masked == expected


def test_a_random_word_is_drawn_from_the_tokens_and_not_from_the_ids():
    class Repeating:
        """A vocabulary file that repeats lines: 6 tokens, the last of which has the id 90."""

        vocab = {"[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "[UNK]": 1, "a": 80, "b": 90}
        continuation_ids = frozenset()

    outcomes = mask_pair(
        Repeating, [80] * 10, [80] * 10, MaskingChoice(1.0, 20, "token"), seed=1, draws=100
    )
    assert {id_ for masked, _, _ in outcomes for id_ in masked} == set(Repeating.vocab.values())


@pytest.mark.parametrize("mask_unit", ["token", "word"])
def test_separators_are_never_masked(mask_unit):
    # Not even those in the text.
    outcomes = positions_of("a [SEP] b", "[CLS] c ##s", 20, mask_unit)
    assert outcomes == {(1, 3, 6, 7)}


@pytest.mark.parametrize("mask_unit", ["token", "word"])
def test_nothing_is_masked_where_all_is_separators(mask_unit):
    assert positions_of("[SEP] [SEP]", "[CLS]", 20, mask_unit) == {()}


def test_a_word_that_does_not_fit_is_passed_over():
    assert positions_of("a ##s ##t", "b c", 2, "word") == {(5, 6)}


def test_nothing_is_masked_where_no_word_fits():
    assert positions_of("a ##s", "##t ##t", 3, "word") == {()}


def test_a_word_goes_on_across_a_separator_as_in_the_original():
    assert positions_of("a", "##s b", 2, "word") == {(1, 3), (4,)}


def test_a_continuation_without_a_word_before_it_is_a_word():
    assert positions_of("##s", "a ##t", 2, "word") == {(1,), (3, 4)}


W, M, P = bytes([WORD_START | MORPHEME_START]), bytes([MORPHEME_START]), b"\0"


@pytest.mark.parametrize(
    ("mask_unit", "outcomes"),
    [
        # a+b is one morpheme of two tokens; c, d and e are one token each.
        ("morpheme", {(1, 2), (3, 5), (3, 6), (5, 6)}),
        # a+b and c are a word of three tokens, which does not fit.
        ("word", {(5, 6)}),
    ],
)
def test_the_pieces_of_a_unit_stay_together(mask_unit, outcomes):
    assert positions_of("a b c", "d e", 2, mask_unit, W + P + M + W + W) == outcomes


def test_the_mask_unit_token_takes_any_two():
    outcomes = positions_of("a b c", "d e", 2, "token", W + P + M + W + W)
    assert len(outcomes) == 10


@pytest.mark.parametrize("mask_unit", ["morpheme", "word"])
def test_what_is_left_of_a_word_at_the_start_of_a_segment_is_a_word(mask_unit):
    # Where units are kept it does not join the segment before it.
    outcomes = positions_of("a b", "c d", 2, mask_unit, P + P + P + P)
    assert outcomes == {(1, 2), (4, 5)}


def test_what_is_noted_is_of_one_instance_after_the_other():
    documents = documents_of([ids_of("a b c d e f")], len(LetterVocabulary.vocab))
    words = RandomWords(1, (HIDDEN_CHANCE, STAYS_CHANCE))
    facts = masking_facts(LetterVocabulary, documents, MaskingChoice(0.5, 20, "token"), 6)
    masker = Masker(facts, words, 0, 1)
    for middle, end in ((1, 2), (3, 6), (1, 3)):
        masker.mask(0, middle, middle, end)
    # Half of the tokens with [CLS] and twice [SEP], rounded to even.
    made = masker.take()
    assert made.counts.tolist() == [2, 4, 3]
    assert len(made.places) == 9
    assert set(made.places[:2]) == {0, 1} and set(made.places[6:]) == {0, 1, 2}
    assert not set(made.unchanged) & set(made.replaced)
    assert len(made.replaced) == len(made.replacements)
    assert not any(map(len, masker.take()))
