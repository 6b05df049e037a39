"""Many serialised tf.train.Examples at once as arrays, where they are as usual.

Reading records one by one takes some hundred microseconds each, which for the records of a large
corpus are days. Here each step is one for all examples of a block: what is looked at is every byte
of the message, as `examples.decode_example` does, and whatever is not the plain form that
TensorFlow and `examples` write is left to that function.
"""

from collections.abc import Mapping

import numpy as np

# What stands before a length-delimited field 1 and 2, and before Feature's lists of floats and of
# integers.
_FIELD_1, _FIELD_2 = 0x0A, 0x12
_FLOAT_LIST, _INT64_LIST = 0x12, 0x1A
# So many bytes behind an example are looked at before it is known that it has ended.
_MARGIN = 512
# Of a size, which is below 2**21, and of an id, below 2**28.
_MAX_SIZE_BYTES, _MAX_VALUE_BYTES = 3, 4

_FLOAT_FEATURES = frozenset({"masked_lm_weights"})


def decode_examples(
    data: bytes, starts: np.ndarray, ends: np.ndarray, lengths: Mapping[str, int]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Parses the examples that are as usual.

    These have just the features of `lengths`, in any order, each once and with so many values as
    packed list; integers are from 0 to 2**28 - 1.

    Args:
      data: Holds the messages.
      starts: [count], where each begins.
      ends: [count], and where it ends.
      lengths: How many values, at least one, each feature must have.

    Returns:
      By feature [usual ones, length], float32 for masked_lm_weights and otherwise uint8 or int64;
      and [count], whether each example is as usual.
    """
    usual, bounds = _find_values(data, starts, ends, lengths)
    values: dict[str, np.ndarray] = {}
    # What one feature shows to be unusual is left out of the others too.
    while True:
        fitting = np.ones(np.count_nonzero(usual), bool)
        for name, length in lengths.items():
            value_starts, value_ends = (bound[usual] for bound in bounds[name])
            packed = b"".join(
                [data[start:end] for start, end in zip(value_starts.tolist(), value_ends.tolist())]
            )
            sizes = value_ends - value_starts
            decode = _floats if name in _FLOAT_FEATURES else _integers
            values[name], fits = decode(np.frombuffer(packed, np.uint8), sizes, length)
            fitting &= fits
        if fitting.all():
            return values, usual
        usual[np.flatnonzero(usual)[~fitting]] = False


def _find_values(
    data: bytes, starts: np.ndarray, ends: np.ndarray, lengths: Mapping[str, int]
) -> tuple[np.ndarray, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Returns which examples may be as usual, and where the values of each feature are in each."""
    buffer = np.frombuffer(data + bytes(_MARGIN), np.uint8)
    bounds = {name: (starts.copy(), starts.copy()) for name in lengths}
    seen = np.zeros(len(starts), np.int64)
    size, place, usual = _field(buffer, starts, _FIELD_1)
    usual &= place + size == ends
    for _ in lengths:
        place = np.where(usual, place, starts)
        size, place, fits = _field(buffer, place, _FIELD_1)
        entry_ends = place + size
        usual &= fits & (entry_ends <= ends) & (buffer[place] == _FIELD_1)
        place = np.where(usual, place, starts)
        entry_ends = np.where(usual, entry_ends, starts)
        features = _features(buffer, place, list(lengths))
        usual &= features >= 0
        seen |= np.where(usual, 1 << np.maximum(features, 0), 0)
        place = place + 2 + buffer[place + 1]
        kinds = np.full(len(starts), _INT64_LIST, np.uint8)
        for number, name in enumerate(lengths):
            if name in _FLOAT_FEATURES:
                kinds[features == number] = _FLOAT_LIST
        for tag in (_FIELD_2, kinds, _FIELD_1):
            size, place, fits = _field(buffer, place, tag)
            usual &= fits & (place + size == entry_ends)
        for number, name in enumerate(lengths):
            rows = usual & (features == number)
            value_starts, value_ends = bounds[name]
            value_starts[rows], value_ends[rows] = place[rows], entry_ends[rows]
        place = entry_ends
    # With as many entries as features, each is there once if all are there.
    usual &= (place == ends) & (seen == (1 << len(lengths)) - 1)
    return usual, bounds


def _field(
    buffer: np.ndarray, place: np.ndarray, tag: int | np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the sizes of fields, where their contents begin, and whether they have this tag."""
    fits = buffer[place] == tag
    sizes = np.zeros(len(place), np.int64)
    going_on = np.ones(len(place), bool)
    place = place + 1
    for number in range(_MAX_SIZE_BYTES):
        byte = buffer[place]
        sizes += np.where(going_on, (byte & 0x7F).astype(np.int64) << 7 * number, 0)
        place = place + going_on
        going_on &= byte >= 0x80
        if not going_on.any():
            break
    return sizes, place, fits & ~going_on


def _features(buffer: np.ndarray, place: np.ndarray, names: list[str]) -> np.ndarray:
    """Returns the number in `names` of each name, which has its tag at `place`; -1 for others."""
    features = np.full(len(place), -1)
    waiting = np.arange(len(place))
    for number, name in enumerate(names):
        # The size too, so that none begins like another.
        key = np.frombuffer(bytes([len(name)]) + name.encode(), np.uint8)
        candidates = waiting[
            (buffer[place[waiting] + 1] == len(name)) & (buffer[place[waiting] + 2] == key[1])
        ]
        if not len(candidates):
            continue
        found = buffer[place[candidates, np.newaxis] + 1 + np.arange(len(key))]
        features[candidates[(found == key).all(axis=1)]] = number
        waiting = waiting[features[waiting] < 0]
    return features


def _floats(packed: np.ndarray, sizes: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    fits = sizes == 4 * length
    if not fits.all():
        return np.zeros((len(sizes), length), np.float32), fits
    return packed.view("<f4").reshape(-1, length), fits


def _integers(packed: np.ndarray, sizes: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the values of packed varints [rows, length], and which rows are as usual.

    The values mean nothing unless all are.
    """
    is_last = packed < 0x80
    if (sizes == length).all() and is_last.all():
        return packed.reshape(-1, length), np.ones(len(sizes), bool)
    row_ends = np.cumsum(sizes)
    # A row without bytes would count those of the next.
    fits = sizes >= length
    if fits.all():
        fits = np.add.reduceat(is_last, row_ends - sizes, dtype=np.int64) == length
        fits &= is_last[row_ends - 1]
    if not fits.all():
        return np.zeros((len(sizes), length), np.int64), fits
    lasts = np.flatnonzero(is_last)
    firsts = np.empty_like(lasts)
    firsts[0], firsts[1:] = 0, lasts[:-1] + 1
    widths = lasts - firsts + 1
    values = (packed[firsts] & 0x7F).astype(np.int64)
    for width in range(1, min(_MAX_VALUE_BYTES, int(widths.max()))):
        longer = np.flatnonzero(widths > width)
        values[longer] |= (packed[firsts[longer] + width] & 0x7F).astype(np.int64) << 7 * width
    fits = (widths.reshape(-1, length) <= _MAX_VALUE_BYTES).all(axis=1)
    return values.reshape(-1, length), fits
