"""Many examples at once as arrays: the same values as one by one, or none."""

import random

import numpy as np
import pytest
from example_bytes import LENGTHS, MASKED, UNMASKED, encode

from deeq_bert.bert.example_arrays import decode_examples
from deeq_bert.bert.examples import decode_example

USUAL = encode(MASKED | {"input_ids": [2, 10, 3, 39_000, 4, 3, 0, 0]})


def decode(examples: list[bytes], lengths=LENGTHS):
    # What stands between examples in a file is there too.
    ends = np.cumsum([len(example) + 16 for example in examples], dtype=np.int64) - 4
    starts = ends - np.array([len(example) for example in examples], np.int64)
    data = b"".join(bytes(12) + example + bytes(4) for example in examples)
    return decode_examples(data, starts, ends, lengths)


def assert_same(values, examples):
    for row, example in enumerate(examples):
        assert {name: values[name][row].tolist() for name in values} == decode_example(example)


def test_values_are_those_of_decode_example():
    rng = random.Random(1)
    sizes = (0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455)
    examples = [
        encode(MASKED | {"input_ids": rng.choices(sizes, k=8), "masked_lm_ids": [300, 7, rank]})
        for rank in range(50)
    ]

    values, usual = decode(examples)

    assert usual.all()
    assert_same(values, examples)


def test_unmasked_examples_are_read_too():
    example = encode(UNMASKED)
    values, usual = decode([example], {name: len(values) for name, values in UNMASKED.items()})
    assert usual.all()
    assert_same(values, [example])


def test_features_come_in_any_order_as_tensorflow_writes_them():
    examples = []
    for seed in range(20):
        names = random.Random(seed).sample(list(MASKED), len(MASKED))
        examples.append(encode({name: MASKED[name] for name in names}))

    values, usual = decode(examples)

    assert usual.all()
    assert_same(values, examples)


UNUSUAL = {
    "nothing": b"",
    "text": b"a sentence a line\n" * 10,
    "cut": USUAL[:-1],
    "longer": USUAL + b"\0",
    "another length": encode(MASKED | {"input_ids": [2, 10, 3, 11, 4, 3, 0, 0, 0]}),
    "no value": encode(MASKED | {"input_ids": []}),
    "integers for floats": encode(MASKED | {"masked_lm_weights": [1, 1, 0]}),
    "floats for integers": encode(MASKED | {"masked_lm_ids": [1.0, 1.0, 0.0]}),
    "a negative value": encode(MASKED | {"input_ids": [2, -1, 3, 11, 4, 3, 0, 0]}),
    "a large value": encode(MASKED | {"input_ids": [2, 1 << 28, 3, 11, 4, 3, 0, 0]}),
    "a feature more": encode(MASKED | {"more": [1]}),
    "a feature less": encode({name: MASKED[name] for name in list(MASKED)[:-1]}),
    "a feature renamed": USUAL.replace(b"segment_ids", b"segment_idz"),
    "a feature for another": USUAL.replace(b"segment_ids", b"token_units"),
    "an integer without end": USUAL[:-1] + b"\x80",
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_what_is_not_as_usual_is_left_out_and_the_others_are_read(name):
    values, usual = decode([USUAL, UNUSUAL[name], USUAL])
    assert usual.tolist() == [True, False, True]
    assert_same(values, [USUAL, USUAL])


def test_whatever_byte_is_wrong_the_values_are_those_of_decode_example_or_left_out():
    """Every byte, changed in several ways, in one block: no row may spoil another."""
    examples = []
    for place in range(len(USUAL)):
        for value in (0, 1, 10, 18, 26, 127, 128, 255):
            examples.append(USUAL[:place] + bytes([value]) + USUAL[place + 1 :])

    values, usual = decode(examples)

    assert usual.any() and not usual.all()
    read = [example for example, as_usual in zip(examples, usual) if as_usual]
    for row, example in enumerate(read):
        expected = decode_example(example)
        for name in LENGTHS:
            # NaN is not equal to itself.
            np.testing.assert_array_equal(values[name][row], expected[name])


@pytest.mark.parametrize("examples", [[], [b""], [b"text"]], ids=["none", "empty", "text"])
def test_no_usual_example_gives_no_row(examples):
    values, usual = decode(examples)
    assert usual.tolist() == [False] * len(examples)
    assert values["input_ids"].shape == (0, 8)
