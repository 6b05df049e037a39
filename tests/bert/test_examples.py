"""Examples: what TensorFlow writes is read, and nothing damaged is taken for an example.

The examples of the project's own records are tested in test_example_encoding.py.
"""

import random

import example_bytes
import pytest

from deeq_bert.bert.examples import FEATURE_NAMES, UNMASKED_FEATURE_NAMES, decode_example

EXAMPLE = example_bytes.encode(example_bytes.MASKED)


@pytest.mark.parametrize(
    ("features", "names"),
    [
        (example_bytes.MASKED, FEATURE_NAMES),
        (example_bytes.UNMASKED, UNMASKED_FEATURE_NAMES),
    ],
)
def test_features_are_read_in_the_order_of_the_message(features, names):
    read = decode_example(example_bytes.encode(features))
    assert read == features
    assert tuple(read) == names


@pytest.mark.parametrize("count", [1, 63, 64, 127, 128, 20_000])
def test_lists_of_any_length_are_read(count):
    # Where a length takes another byte.
    features = {"ids": list(range(count)), "weights": [1.0] * count}
    assert decode_example(example_bytes.encode(features)) == features


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


def test_an_example_that_breaks_off_is_refused():
    for length in range(1, len(EXAMPLE)):
        with pytest.raises(ValueError):
            decode_example(EXAMPLE[:length])


def test_damaged_bytes_raise_nothing_but_value_errors():
    rng = random.Random(0)
    refused = 0
    for _ in range(3000):
        damaged = bytearray(EXAMPLE)
        for _ in range(rng.randint(1, 3)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        try:
            decode_example(bytes(damaged))
        except ValueError:
            refused += 1
    assert refused > 100
