"""What the examples of pre-training hold, and reading serialised tf.train.Example messages.

The protobuf wire format is read by hand: importing TensorFlow would cost seconds and hundreds of
megabytes. The messages are those of tensorflow/core/example (example.proto, feature.proto).
`example_encoding` writes them.
"""

import struct
from collections.abc import Iterator

# In the order in which the original's write_instance_to_example_files fills them.
FEATURE_NAMES = (
    "input_ids",
    "input_mask",
    "segment_ids",
    "masked_lm_positions",
    "masked_lm_ids",
    "masked_lm_weights",
    "next_sentence_labels",
)

# Of records that are masked when they are read.
UNMASKED_FEATURE_NAMES = (
    "input_ids",
    "input_mask",
    "segment_ids",
    "token_units",
    "next_sentence_labels",
)

# Wire types of the protobuf encoding.
_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5

# Field numbers of Feature's three kinds of list.
_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = 1, 2, 3


def decode_example(data: bytes) -> dict[str, list[int] | list[float] | list[bytes]]:
    """Parses a serialised tf.train.Example, whoever wrote it.

    Returns:
      The values of each feature by its name, in the order of the message. A feature without a
      value has an empty list.

    Raises:
      ValueError: The bytes are no tf.train.Example.
    """
    features: dict[str, list] = {}
    for number, message in _messages(data, 0, len(data)):
        if number != 1:
            continue
        for entry_number, entry in _messages(data, *message):
            if entry_number == 1:
                name, values = _decode_entry(data, *entry)
                features[name] = values
    return features


def _decode_entry(data: bytes, start: int, end: int) -> tuple[str, list]:
    name, values = "", []
    for number, (field_start, field_end) in _messages(data, start, end):
        if number == 1:
            try:
                name = data[field_start:field_end].decode("utf-8")
            except UnicodeDecodeError:
                raise ValueError(f"the name of a feature, at byte {start}, is not UTF-8") from None
        elif number == 2:
            values = _decode_feature(data, field_start, field_end)
    return name, values


def _decode_feature(data: bytes, start: int, end: int) -> list:
    # Feature is a oneof: the last kind of list wins, lists of one kind are joined.
    kind, values = 0, []
    for number, (list_start, list_end) in _messages(data, start, end):
        if number not in (_BYTES_LIST, _FLOAT_LIST, _INT64_LIST):
            continue
        if number != kind:
            kind, values = number, []
        for value_number, wire_type, value in _fields(data, list_start, list_end):
            if value_number == 1:
                values.extend(_decode_values(data, kind, wire_type, value))
    return values


def _decode_values(data: bytes, kind: int, wire_type: int, value: int | tuple[int, int]) -> list:
    if kind == _INT64_LIST and wire_type == _VARINT:
        return [_signed(value)]
    if isinstance(value, tuple):
        start, end = value
        if kind == _BYTES_LIST and wire_type == _LENGTH_DELIMITED:
            return [data[start:end]]
        if kind == _INT64_LIST and wire_type == _LENGTH_DELIMITED:
            return _decode_packed_integers(data, start, end)
        if kind == _FLOAT_LIST and wire_type in (_LENGTH_DELIMITED, _FIXED32):
            if (end - start) % 4:
                raise ValueError(f"a list of floats, at byte {start}, is {end - start} bytes long")
            return list(struct.unpack(f"<{(end - start) // 4}f", data[start:end]))
    raise ValueError(f"a list of kind {kind} has a value of wire type {wire_type}")


def _decode_packed_integers(data: bytes, start: int, end: int) -> list[int]:
    packed = data[start:end]
    if packed.isascii():
        return list(packed)
    values = []
    while start < end:
        value, start = _decode_varint(data, start, end)
        values.append(_signed(value))
    return values


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _decode_varint(data: bytes, start: int, end: int) -> tuple[int, int]:
    """Returns the unsigned 64-bit value at `start` and the place behind it."""
    value = 0
    for place in range(start, min(end, start + 10)):
        byte = data[place]
        value |= (byte & 0x7F) << 7 * (place - start)
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, place + 1
    raise ValueError(f"the integer at byte {start} does not end")


def _messages(data: bytes, start: int, end: int) -> Iterator[tuple[int, tuple[int, int]]]:
    """Yields number and bounds of the length-delimited fields; others are unknown and skipped."""
    for number, wire_type, value in _fields(data, start, end):
        if wire_type == _LENGTH_DELIMITED:
            yield number, value


def _fields(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int | tuple[int, int]]]:
    """Yields (number, wire type, value) of the fields of a message in data[start:end].

    The value is an integer for a varint, and its bounds in `data` otherwise.
    """
    while start < end:
        key, place = _decode_varint(data, start, end)
        number, wire_type = key >> 3, key & 7
        if number == 0:
            raise ValueError(f"the field at byte {start} has number 0")
        if wire_type == _VARINT:
            value, start = _decode_varint(data, place, end)
            yield number, wire_type, value
            continue
        if wire_type == _LENGTH_DELIMITED:
            size, place = _decode_varint(data, place, end)
        elif wire_type == _FIXED64:
            size = 8
        elif wire_type == _FIXED32:
            size = 4
        else:
            raise ValueError(f"the field at byte {start} has wire type {wire_type}")
        if size > end - place:
            raise ValueError(
                f"the field at byte {start} is {size} bytes long, but its message has "
                f"{end - place} left"
            )
        start = place + size
        yield number, wire_type, (place, start)
