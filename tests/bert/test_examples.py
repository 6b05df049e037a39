"""Examples: what is written by hand is what TensorFlow reads, and the other way round."""

import random

import pytest

from deeq_bert.bert.examples import (
    FEATURE_NAMES,
    UNMASKED_FEATURE_NAMES,
    ExampleEncoder,
    UnmaskedExampleEncoder,
    decode_example,
)
from deeq_bert.bert.instances import TrainingInstance, UnmaskedInstance

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


@pytest.fixture
def encoder() -> ExampleEncoder:
    return ExampleEncoder(max_seq_length=10, max_predictions_per_seq=3, vocab_size=32000)


def test_features_are_padded_with_zeros(encoder):
    assert decode_example(encoder.encode(INSTANCE)) == FEATURES


def test_features_come_in_the_order_of_the_original(encoder):
    assert tuple(decode_example(encoder.encode(INSTANCE))) == FEATURE_NAMES


def test_an_actual_next_sentence_has_label_0(encoder):
    features = decode_example(encoder.encode(INSTANCE._replace(is_random_next=False)))
    assert features["next_sentence_labels"] == [0]


def test_an_instance_without_padding():
    encoder = ExampleEncoder(max_seq_length=8, max_predictions_per_seq=2, vocab_size=32000)
    features = decode_example(encoder.encode(INSTANCE))
    assert features["input_ids"] == INSTANCE.input_ids
    assert features["masked_lm_weights"] == [1.0, 1.0]


def test_an_instance_without_predictions(encoder):
    instance = INSTANCE._replace(masked_lm_positions=[], masked_lm_ids=[])
    features = decode_example(encoder.encode(instance))
    assert features["masked_lm_weights"] == [0.0, 0.0, 0.0]


def test_an_unmasked_instance_has_units_instead_of_predictions():
    instance = UnmaskedInstance(
        INSTANCE.input_ids,
        bytes([4, 3, 0, 4, 1, 2, 3, 4]),
        first_segment_length=4,
        is_random_next=True,
    )
    features = decode_example(UnmaskedExampleEncoder(10, 32000).encode(instance))
    assert tuple(features) == UNMASKED_FEATURE_NAMES
    same = ("input_ids", "input_mask", "segment_ids", "next_sentence_labels")
    assert features == {
        **{name: FEATURES[name] for name in same},
        "token_units": [4, 3, 0, 4, 1, 2, 3, 4, 0, 0],
    }


def test_an_unmasked_instance_that_does_not_fit_is_refused():
    encoder = UnmaskedExampleEncoder(10, 32000)
    with pytest.raises(ValueError, match="11 ids does not fit"):
        encoder.encode(UnmaskedInstance([1] * 11, bytes(11), 5, False))


@pytest.mark.parametrize(
    "too_long",
    [
        INSTANCE._replace(input_ids=[1] * 11),
        INSTANCE._replace(masked_lm_positions=[1, 2, 4, 5], masked_lm_ids=[6, 7, 8, 9]),
    ],
)
def test_an_instance_that_does_not_fit_is_refused(encoder, too_long):
    with pytest.raises(ValueError, match="does not fit"):
        encoder.encode(too_long)


def test_long_sequences_survive():
    # Positions over 127 and messages over 16 kB have longer encodings.
    ids = [number * 7 % 32000 for number in range(5000)]
    encoder = ExampleEncoder(max_seq_length=5000, max_predictions_per_seq=800, vocab_size=32000)
    positions = list(range(0, 4800, 6))
    instance = TrainingInstance(ids, 3000, positions, [ids[place] for place in positions], False)
    features = decode_example(encoder.encode(instance))
    assert features["input_ids"] == ids
    assert features["masked_lm_positions"] == positions


def test_tensorflow_reads_what_is_written(encoder):
    tf = pytest.importorskip("tensorflow")
    specification = {
        name: tf.io.FixedLenFeature(
            [len(values)], tf.float32 if name == "masked_lm_weights" else tf.int64
        )
        for name, values in FEATURES.items()
    }
    parsed = tf.io.parse_single_example(encoder.encode(INSTANCE), specification)
    assert {name: values.numpy().tolist() for name, values in parsed.items()} == FEATURES


def test_what_tensorflow_writes_is_read():
    tf = pytest.importorskip("tensorflow")
    example = tf.train.Example()
    example.features.feature["integers"].int64_list.value.extend([0, -1, 300, 2**63 - 1, -(2**63)])
    example.features.feature["floats"].float_list.value.extend([0.5, -2.0])
    example.features.feature["words"].bytes_list.value.extend([b"a", b"", "글".encode()])
    example.features.feature["no values"].int64_list.SetInParent()
    example.features.feature["no kind"].SetInParent()
    assert decode_example(example.SerializeToString()) == {
        "integers": [0, -1, 300, 2**63 - 1, -(2**63)],
        "floats": [0.5, -2.0],
        "words": [b"a", b"", "글".encode()],
        "no values": [],
        "no kind": [],
    }


# Feature "a" in each: Example.features (0a) > entry (0a) > key (0a) and value (12) > list.
def example_with_list(kind: int, content: bytes) -> bytes:
    feature = bytes([kind << 3 | 2, len(content)]) + content
    entry = b"\x0a\x01a\x12" + bytes([len(feature)]) + feature
    features = b"\x0a" + bytes([len(entry)]) + entry
    return b"\x0a" + bytes([len(features)]) + features


def test_unpacked_lists_are_read():
    assert decode_example(example_with_list(3, b"\x08\x05\x08\xac\x02")) == {"a": [5, 300]}
    assert decode_example(example_with_list(2, b"\x0d\0\0\x80\x3f")) == {"a": [1.0]}


def test_unknown_fields_are_skipped():
    # A varint, a string, 8 bytes and 4 bytes under field number 9, before the list's value.
    unknown = b"\x48\x01" + b"\x4a\x02xy" + b"\x49" + bytes(8) + b"\x4d" + bytes(4)
    assert decode_example(example_with_list(3, unknown + b"\x08\x05")) == {"a": [5]}


def test_no_bytes_are_an_example_without_features():
    assert decode_example(b"") == {}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\x0a\x03\x80\x80\x80", id="an integer that does not end"),
        pytest.param(b"\x0a\x0b" + b"\x80" * 10 + b"\0", id="an integer of eleven bytes"),
        pytest.param(b"\x0a\x7f\x01", id="a list longer than its message"),
        pytest.param(b"\x0b", id="a wire type out of use"),
        pytest.param(b"\x00\x01", id="field number 0"),
        pytest.param(b"\x0d\0\0\x80\x3f", id="a float among integers"),
    ],
)
def test_malformed_lists_are_refused(content):
    with pytest.raises(ValueError):
        decode_example(example_with_list(3, content))


def test_a_list_of_floats_must_be_whole():
    with pytest.raises(ValueError, match="floats"):
        decode_example(example_with_list(2, b"\x0a\x03\0\0\0"))


def test_an_example_that_breaks_off_is_refused(encoder):
    data = encoder.encode(INSTANCE)
    for length in range(1, len(data)):
        with pytest.raises(ValueError):
            decode_example(data[:length])


def test_damaged_bytes_raise_nothing_but_value_errors(encoder):
    rng = random.Random(0)
    data = encoder.encode(INSTANCE)
    refused = 0
    for _ in range(3000):
        damaged = bytearray(data)
        for _ in range(rng.randint(1, 3)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        try:
            decode_example(bytes(damaged))
        except ValueError:
            refused += 1
    assert refused > 100
