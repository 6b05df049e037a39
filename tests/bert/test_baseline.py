"""Baselines: the unigram score agrees with counting by hand; bits a character follow the text."""

import collections
import math

import numpy as np
import pytest

from deeq_bert.bert.baseline import bits_per_character, masked_labels, unigram_baseline
from deeq_bert.bert.examples import decode_example
from deeq_bert.bert.records import RecordSet
from deeq_bert.tokenizers.errors import InputError


def test_guessing_by_frequency_is_scored():
    baseline = unigram_baseline([7, 7, 7, 2], [7, 2, 5], vocab_size=10)
    assert baseline.loss == pytest.approx(-math.log(4 / 14 * 2 / 14 * 1 / 14) / 3)
    assert baseline.accuracy == pytest.approx(1 / 3)


def test_without_training_every_token_is_as_likely():
    assert unigram_baseline([], [3, 4], vocab_size=10).loss == pytest.approx(math.log(10))


def test_on_what_it_was_counted_on_the_loss_is_the_entropy():
    labels = np.repeat([0, 1, 2, 3], [500_000, 250_000, 125_000, 125_000])
    assert unigram_baseline(labels, labels, 4).loss == pytest.approx(1.75 * math.log(2), abs=1e-5)


@pytest.mark.parametrize("train, held_out, worst", [([10], [1], 10), ([1], [-3, 4], -3)])
def test_an_id_outside_the_vocabulary_is_refused(train, held_out, worst):
    with pytest.raises(InputError, match=rf"has the id {worst}, but ids go from 0 to 9\."):
        unigram_baseline(train, held_out, vocab_size=10)


def test_no_masked_token_at_all_is_refused():
    with pytest.raises(InputError, match="No token is masked in the held-out records"):
        unigram_baseline([1], [], vocab_size=10)


def test_labels_are_those_with_a_weight():
    batches = [
        {
            "masked_lm_ids": np.array([[5, 6, 0], [8, 0, 0]], np.int32),
            "masked_lm_weights": np.array([[1, 1, 0], [1, 0, 0]], np.float32),
        },
        # The id 0 is a token like others where it is masked.
        {"masked_lm_ids": [[0, 9]], "masked_lm_weights": [[1.0, 0.0]]},
    ]
    assert masked_labels(iter(batches)).tolist() == [5, 6, 8, 0]


def test_no_batches_have_no_labels():
    assert masked_labels([]).tolist() == []


def test_records_of_the_sample_give_what_counting_by_hand_gives(sample_records):
    with RecordSet.scan([str(sample_records)]) as records:
        examples = [decode_example(records.read(index)) for index in range(len(records))]
    labels = [label for example in examples for label in example["masked_lm_ids"] if label]
    half = len(labels) // 2
    counts = collections.Counter(labels[:half])
    losses = [-math.log((counts[label] + 1) / (half + 900)) for label in labels[half:]]

    gathered = masked_labels(examples)
    assert gathered.tolist() == labels
    baseline = unigram_baseline(gathered[:half], gathered[half:], vocab_size=900)
    assert baseline.loss == pytest.approx(sum(losses) / len(losses))
    assert baseline.accuracy == pytest.approx(
        labels[half:].count(max(counts, key=lambda label: (counts[label], -label)))
        / len(labels[half:])
    )


def test_bits_per_character_do_not_depend_on_how_the_text_is_cut():
    # 1,200 characters that take 900 bits in all, cut into 300 tokens and into 600.
    assert bits_per_character(3 * math.log(2), 300, 1200) == pytest.approx(0.75)
    assert bits_per_character(1.5 * math.log(2), 600, 1200) == pytest.approx(0.75)
