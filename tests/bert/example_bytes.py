"""tf.train.Examples as bytes, written out field by field, whatever the project writes."""

import struct
from collections.abc import Mapping, Sequence

# What examples have, each with so many values for sequences of 8 and 3 predictions.
LENGTHS = {
    "input_ids": 8,
    "input_mask": 8,
    "segment_ids": 8,
    "masked_lm_positions": 3,
    "masked_lm_ids": 3,
    "masked_lm_weights": 3,
    "next_sentence_labels": 1,
}
# [CLS] 10 [SEP] 11 [MASK] [SEP], and two of padding; 10 is kept.
MASKED = {
    "input_ids": [2, 10, 3, 11, 4, 3, 0, 0],
    "input_mask": [1, 1, 1, 1, 1, 1, 0, 0],
    "segment_ids": [0, 0, 0, 1, 1, 1, 0, 0],
    "masked_lm_positions": [1, 4, 0],
    "masked_lm_ids": [10, 12, 0],
    "masked_lm_weights": [1.0, 1.0, 0.0],
    "next_sentence_labels": [1],
}
UNMASKED = {
    "input_ids": [2, 10, 3, 11, 12, 3, 0, 0],
    "input_mask": [1, 1, 1, 1, 1, 1, 0, 0],
    "segment_ids": [0, 0, 0, 1, 1, 1, 0, 0],
    "token_units": [4, 3, 4, 3, 2, 4, 0, 0],
    "next_sentence_labels": [0],
}


def encode(features: Mapping[str, Sequence[int] | Sequence[float]]) -> bytes:
    """Returns an example with these features, in this order, as packed lists."""
    entries = b"".join(
        _field(1, _field(1, name.encode()) + _field(2, _list(values)))
        for name, values in features.items()
    )
    return _field(1, entries)


def _list(values: Sequence[int] | Sequence[float]) -> bytes:
    if any(isinstance(value, float) for value in values):
        return _field(2, _field(1, struct.pack(f"<{len(values)}f", *values)))
    return _field(3, _field(1, b"".join(map(_varint, values))))


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    value %= 1 << 64
    encoded = []
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])
