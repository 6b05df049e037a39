"""Training instances as serialised tf.train.Example messages, made without TensorFlow.

The protobuf wire format is written by hand: importing TensorFlow would cost seconds and hundreds of
megabytes, and building a message object per instance many times what joining bytes that are already
at hand does. TensorFlow parses what is written here.
"""

import functools
import struct
from collections.abc import Iterable, Iterator

import numpy as np

from deeq_bert.bert.instance_blocks import InstanceBlock

_LENGTH_DELIMITED = 2

# Field numbers of two of Feature's kinds of list.
_FLOAT_LIST, _INT64_LIST = 2, 3

_ONE, _ZERO = struct.pack("<f", 1.0), struct.pack("<f", 0.0)


class ExampleEncoder:
    """Serialises instances as the original's write_instance_to_example_files does.

    They have FEATURE_NAMES of `examples`, or UNMASKED_FEATURE_NAMES where their masks are drawn
    when they are read. Lists are zero-padded to fixed lengths.
    """

    def __init__(
        self, max_seq_length: int, max_predictions_per_seq: int | None, vocab_size: int
    ) -> None:
        """Prepares the constant parts.

        Args:
          max_seq_length: Length of input_ids, input_mask, segment_ids and token_units.
          max_predictions_per_seq: Length of masked_lm_positions, _ids and _weights; None for
            instances without masks.
          vocab_size: Every id is smaller than this.
        """
        self._max_seq_length = max_seq_length
        self._max_predictions = max_predictions_per_seq
        self._varints = _VarintTable(max(vocab_size, max_seq_length))
        predictions = max_predictions_per_seq or 0
        most = self._varints.width * max(max_seq_length, predictions)
        self._padding = [bytes(count) for count in range(most + 1)]
        # A slice of it is as many zeros, and then ones, as one asks for.
        self._zeros_ones = bytes(max_seq_length) + b"\1" * max_seq_length
        # By how many bytes of values there are.
        self._ids_prefixes = _int64_prefixes("input_ids", most)
        self._positions_prefixes = _int64_prefixes("masked_lm_positions", most)
        self._labels_prefixes = _int64_prefixes("masked_lm_ids", most)
        # By how many ids there are: what stands between input_ids and the values of segment_ids.
        self._masks = [
            _feature_prefix("input_mask", _INT64_LIST, max_seq_length)
            + b"\1" * count
            + bytes(max_seq_length - count)
            + _feature_prefix("segment_ids", _INT64_LIST, max_seq_length)
            for count in range(max_seq_length + 1)
        ]
        self._units_prefix = _feature_prefix("token_units", _INT64_LIST, max_seq_length)
        # By how many predictions there are.
        self._weights = [
            _feature_prefix("masked_lm_weights", _FLOAT_LIST, len(_ONE) * predictions)
            + _ONE * count
            + _ZERO * (predictions - count)
            for count in range(predictions + 1)
        ]

    def encode(self, block: InstanceBlock) -> Iterator[bytes]:
        """Yields each instance as a serialised tf.train.Example.

        Raises:
          ValueError: An instance has more ids or predictions than fit.
        """
        lengths = np.diff(block.ends, prepend=0)
        _check_fit("ids", lengths, self._max_seq_length)
        if self._max_predictions is None:
            return self._encode_unmasked(block, lengths)
        counts = np.diff(block.prediction_ends, prepend=0)
        _check_fit("predictions", counts, self._max_predictions)
        return self._encode_masked(block, lengths, counts)

    def _encode_masked(
        self, block: InstanceBlock, lengths: np.ndarray, counts: np.ndarray
    ) -> Iterator[bytes]:
        padding, segments_of, masks = self._padding, self._zeros_ones, self._masks
        ids_prefixes, weights_of = self._ids_prefixes, self._weights
        positions_prefixes, labels_prefixes = self._positions_prefixes, self._labels_prefixes
        columns = zip(
            self._varints.encode(block.ids, block.ends),
            lengths.tolist(),
            (self._max_seq_length - lengths).tolist(),
            (self._max_seq_length - block.first_lengths).tolist(),
            self._varints.encode(block.positions, block.prediction_ends),
            self._varints.encode(block.labels, block.prediction_ends),
            counts.tolist(),
            (self._max_predictions - counts).tolist(),
            block.random_next.tolist(),
        )
        for ids, length, unused, start, positions, labels, count, spare, is_random in columns:
            yield _example(
                (
                    ids_prefixes[len(ids) + unused],
                    ids,
                    padding[unused],
                    masks[length],
                    segments_of[start : start + length],
                    padding[unused],
                    positions_prefixes[len(positions) + spare],
                    positions,
                    padding[spare],
                    labels_prefixes[len(labels) + spare],
                    labels,
                    padding[spare],
                    weights_of[count],
                    _NEXT_SENTENCE_LABELS[is_random],
                )
            )

    def _encode_unmasked(self, block: InstanceBlock, lengths: np.ndarray) -> Iterator[bytes]:
        padding = self._padding
        # Each unit is a byte of its own in the message too.
        units = block.units.tobytes()
        columns = zip(
            self._varints.encode(block.ids, block.ends),
            block.ends.tolist(),
            lengths.tolist(),
            (self._max_seq_length - lengths).tolist(),
            (self._max_seq_length - block.first_lengths).tolist(),
            block.random_next.tolist(),
        )
        for ids, end, length, unused, start, is_random_next in columns:
            yield _example(
                (
                    self._ids_prefixes[len(ids) + unused],
                    ids,
                    padding[unused],
                    self._masks[length],
                    self._zeros_ones[start : start + length],
                    padding[unused],
                    self._units_prefix,
                    units[end - length : end],
                    padding[unused],
                    _NEXT_SENTENCE_LABELS[is_random_next],
                )
            )


class _VarintTable:
    """The protobuf encoding of all integers up to some value, and of lists of them.

    Attributes:
      width: How many bytes an integer takes at most, or a little more.
    """

    def __init__(self, size: int) -> None:
        """Encodes the integers below `size`."""
        encoded = [_varint(value) for value in range(size)]
        self._lengths = np.array([len(varint) for varint in encoded], np.uint8)
        self.width = width = 1 << int(self._lengths.max() - 1).bit_length()
        # As many bytes for each, so that one look-up finds all of them, and what tells them from
        # filling.
        bytes_ = np.array([list(varint.ljust(width, b"\0")) for varint in encoded], np.uint8)
        used = np.arange(width) < self._lengths[:, np.newaxis]
        self._type = np.dtype(f"u{width}")
        self._bytes = bytes_.view(self._type).ravel()
        self._used = used.astype(np.uint8).view(self._type).ravel()

    def encode(self, values: np.ndarray, ends: np.ndarray) -> Iterator[bytes]:
        """Yields the encoding of each of the lists that end at `ends`."""
        used = self._used[values].view(np.bool_)
        encoded = self._bytes[values].view(np.uint8)[used].tobytes()
        byte_ends = np.append(0, np.cumsum(self._lengths[values], dtype=np.int64))[ends].tolist()
        start = 0
        for end in byte_ends:
            yield encoded[start:end]
            start = end


def _check_fit(what: str, lengths: np.ndarray, most: int) -> None:
    if lengths.max(initial=0) > most:
        raise ValueError(f"an instance of {lengths.max()} {what} does not fit in {most}")


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _length_prefix(field_number: int, size: int) -> bytes:
    return _varint(field_number << 3 | _LENGTH_DELIMITED) + _varint(size)


def _feature_prefix(name: str, kind: int, size: int) -> bytes:
    """All bytes of an entry of Features' map that come before its `size` bytes of values."""
    prefix = _length_prefix(1, size)
    for field_number in (kind, 2):
        prefix = _length_prefix(field_number, len(prefix) + size) + prefix
    key = name.encode()
    prefix = _length_prefix(1, len(key)) + key + prefix
    return _length_prefix(1, len(prefix) + size) + prefix


def _int64_prefixes(name: str, most: int) -> list[bytes]:
    return [_feature_prefix(name, _INT64_LIST, size) for size in range(most + 1)]


@functools.lru_cache(maxsize=65536)
def _example_prefix(size: int) -> bytes:
    return _length_prefix(1, size)


def _example(parts: Iterable[bytes]) -> bytes:
    features = b"".join(parts)
    return _example_prefix(len(features)) + features


_NEXT_SENTENCE_LABELS = {
    is_random_next: _feature_prefix("next_sentence_labels", _INT64_LIST, 1)
    + bytes([is_random_next])
    for is_random_next in (False, True)
}
