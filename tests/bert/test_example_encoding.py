"""Instances as examples: what is written by hand is what TensorFlow reads."""

import random

import example_bytes
import pytest
from instance_rows import TrainingInstance, UnmaskedInstance, block_of, encode_row

from deeq_bert.bert.example_encoding import ExampleEncoder
from deeq_bert.bert.examples import FEATURE_NAMES, UNMASKED_FEATURE_NAMES, decode_example

# Ids of one, two and three bytes in the encoding.
INSTANCE = TrainingInstance(
    input_ids=[2, 127, 128, 3, 16383, 16384, 31999, 3],
    first_segment_length=4,
    masked_lm_positions=[1, 6],
    masked_lm_ids=[5, 20000],
    is_random_next=True,
)
FEATURES = {
    "input_ids": [2, 127, 128, 3, 16383, 16384, 31999, 3, 0, 0],
    "input_mask": [1, 1, 1, 1, 1, 1, 1, 1, 0, 0],
    "segment_ids": [0, 0, 0, 0, 1, 1, 1, 1, 0, 0],
    "masked_lm_positions": [1, 6, 0],
    "masked_lm_ids": [5, 20000, 0],
    "masked_lm_weights": [1.0, 1.0, 0.0],
    "next_sentence_labels": [1],
}
UNMASKED = UnmaskedInstance(
    INSTANCE.input_ids,
    bytes([4, 3, 0, 4, 1, 2, 3, 4]),
    first_segment_length=4,
    is_random_next=True,
)


@pytest.fixture
def encoder() -> ExampleEncoder:
    return ExampleEncoder(max_seq_length=10, max_predictions_per_seq=3, vocab_size=32000)


@pytest.fixture
def unmasked_encoder() -> ExampleEncoder:
    return ExampleEncoder(max_seq_length=10, max_predictions_per_seq=None, vocab_size=32000)


def features_of(encoder: ExampleEncoder, instance: TrainingInstance | UnmaskedInstance) -> dict:
    return decode_example(encode_row(encoder, instance))


def test_features_are_padded_with_zeros(encoder):
    assert features_of(encoder, INSTANCE) == FEATURES


def test_features_come_in_the_order_of_the_original(encoder):
    assert tuple(features_of(encoder, INSTANCE)) == FEATURE_NAMES


def test_the_bytes_are_those_of_packed_lists(encoder):
    assert encode_row(encoder, INSTANCE) == example_bytes.encode(FEATURES)


def test_an_actual_next_sentence_has_label_0(encoder):
    features = features_of(encoder, INSTANCE._replace(is_random_next=False))
    assert features["next_sentence_labels"] == [0]


def test_an_instance_without_padding():
    encoder = ExampleEncoder(max_seq_length=8, max_predictions_per_seq=2, vocab_size=32000)
    features = features_of(encoder, INSTANCE)
    assert features["input_ids"] == INSTANCE.input_ids
    assert features["masked_lm_weights"] == [1.0, 1.0]


def test_an_instance_without_predictions(encoder):
    instance = INSTANCE._replace(masked_lm_positions=[], masked_lm_ids=[])
    assert features_of(encoder, instance)["masked_lm_weights"] == [0.0, 0.0, 0.0]


def test_an_unmasked_instance_has_units_instead_of_predictions(unmasked_encoder):
    features = features_of(unmasked_encoder, UNMASKED)
    assert tuple(features) == UNMASKED_FEATURE_NAMES
    same = ("input_ids", "input_mask", "segment_ids", "next_sentence_labels")
    assert features == {
        **{name: FEATURES[name] for name in same},
        "token_units": [4, 3, 0, 4, 1, 2, 3, 4, 0, 0],
    }


def random_rows(rng: random.Random, length: int, predictions: int, vocab_size: int) -> list:
    """Instances of all lengths and numbers of predictions."""
    rows = []
    for _ in range(40):
        ids = [rng.randrange(vocab_size) for _ in range(rng.randint(5, length))]
        positions = rng.sample(range(len(ids)), rng.randint(0, min(predictions, len(ids))))
        labels = [rng.randrange(vocab_size) for _ in positions]
        first_length = rng.randint(3, len(ids) - 2)
        is_random_next = rng.random() < 0.5
        rows.append(TrainingInstance(ids, first_length, sorted(positions), labels, is_random_next))
    return rows


def padded(values: list, length: int) -> list:
    return values + [0] * (length - len(values))


@pytest.mark.parametrize(
    ("length", "predictions", "vocab_size"),
    [(8, 8, 100), (128, 20, 128), (200, 1, 129), (512, 77, 70_000), (16, 3, 2**14 + 1)],
    ids=str,
)
def test_every_instance_of_a_block_is_its_features(length, predictions, vocab_size):
    # The largest ids take one to three bytes; positions, from 128 on, two.
    rows = random_rows(random.Random(1), length, predictions, vocab_size)
    encoder = ExampleEncoder(length, predictions, vocab_size)
    for row, example in zip(rows, encoder.encode(block_of(rows)), strict=True):
        ids, first_length, positions, labels, is_random_next = row
        ones = [1] * (len(ids) - first_length)
        assert example == example_bytes.encode(
            {
                "input_ids": padded(ids, length),
                "input_mask": padded([1] * len(ids), length),
                "segment_ids": padded([0] * first_length + ones, length),
                "masked_lm_positions": padded(positions, predictions),
                "masked_lm_ids": padded(labels, predictions),
                "masked_lm_weights": [
                    float(number < len(positions)) for number in range(predictions)
                ],
                "next_sentence_labels": [int(is_random_next)],
            }
        )


def test_every_unmasked_instance_of_a_block_is_its_features(unmasked_encoder):
    rng = random.Random(2)
    rows = [
        UnmaskedInstance(
            row.input_ids,
            bytes(rng.choices(range(5), k=len(row.input_ids))),
            row.first_segment_length,
            row.is_random_next,
        )
        for row in random_rows(rng, 10, 3, 32000)
    ]
    for row, example in zip(rows, unmasked_encoder.encode(block_of(rows)), strict=True):
        ones = [1] * (len(row.input_ids) - row.first_segment_length)
        assert example == example_bytes.encode(
            {
                "input_ids": padded(row.input_ids, 10),
                "input_mask": padded([1] * len(row.input_ids), 10),
                "segment_ids": padded([0] * row.first_segment_length + ones, 10),
                "token_units": padded(list(row.token_units), 10),
                "next_sentence_labels": [int(row.is_random_next)],
            }
        )


@pytest.mark.parametrize(
    ("too_long", "told"),
    [
        (INSTANCE._replace(input_ids=[1] * 11), "11 ids does not fit in 10"),
        (
            INSTANCE._replace(masked_lm_positions=[1, 2, 4, 5], masked_lm_ids=[6, 7, 8, 9]),
            "4 predictions does not fit in 3",
        ),
    ],
)
def test_an_instance_that_does_not_fit_is_refused(encoder, too_long, told):
    # Before the first of the block is made.
    with pytest.raises(ValueError, match=told):
        encoder.encode(block_of([INSTANCE, too_long]))


def test_an_unmasked_instance_that_does_not_fit_is_refused(unmasked_encoder):
    with pytest.raises(ValueError, match="11 ids does not fit"):
        encode_row(unmasked_encoder, UnmaskedInstance([1] * 11, bytes(11), 5, False))


def test_long_sequences_survive():
    # Messages over 16 kB have longer encodings.
    ids = [number * 7 % 32000 for number in range(3200)]
    encoder = ExampleEncoder(max_seq_length=3200, max_predictions_per_seq=500, vocab_size=32000)
    positions = list(range(0, 3000, 6))
    instance = TrainingInstance(ids, 1500, positions, [ids[place] for place in positions], False)
    features = features_of(encoder, instance)
    assert features["input_ids"] == ids
    assert features["masked_lm_positions"] == positions
    assert len(encode_row(encoder, instance)) > 1 << 14


def test_tensorflow_reads_what_is_written(encoder):
    tf = pytest.importorskip("tensorflow")
    specification = {
        name: tf.io.FixedLenFeature(
            [len(values)], tf.float32 if name == "masked_lm_weights" else tf.int64
        )
        for name, values in FEATURES.items()
    }
    parsed = tf.io.parse_single_example(encode_row(encoder, INSTANCE), specification)
    assert {name: values.numpy().tolist() for name, values in parsed.items()} == FEATURES
