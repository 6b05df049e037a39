"""An order of all records that is computed and not stored, so that it can be entered anywhere.

A permutation of any size without a table: a Feistel network over the next power of four, walked
until it lands inside the range (Black and Rogaway, "Ciphers with Arbitrary Finite Domains", 2002).
TensorFlow's `index_shuffle` is not used: with its four rounds the orders of successive passes
resemble each other, and for some sizes, 65,537 among them, it is no permutation.
"""

import hashlib

import numpy as np

_ROUNDS = 8
# Of the 64-bit finalizer of MurmurHash3, which spreads each bit over all of them.
_MULTIPLIERS = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)
_SHIFT = np.uint64(33)


def shuffled_indexes(start: int, count: int, record_count: int, seed: int) -> np.ndarray:
    """Returns the indexes of the records at the positions `start` to `start + count - 1`.

    Positions 0 to record_count - 1 are the first pass over the records, and each pass is a
    permutation of its own.

    Args:
      start: The first position, counted over all passes.
      count: How many positions.
      record_count: How many records there are, at least 1.
      seed: Any integer; it fixes the order of every pass.

    Returns:
      An int64 array of `count` indexes from 0 to record_count - 1.
    """
    passes, places = np.divmod(np.arange(start, start + count, dtype=np.int64), record_count)
    indexes = np.empty(count, np.int64)
    for number in np.unique(passes).tolist():
        chosen = passes == number
        indexes[chosen] = _permute(places[chosen], record_count, f"{seed},{number}")
    return indexes


def _permute(places: np.ndarray, size: int, key: str) -> np.ndarray:
    """Returns where the permutation named `key` of 0 to size - 1 takes each of `places`."""
    digest = hashlib.blake2b(key.encode(), digest_size=8 * _ROUNDS).digest()
    round_keys = np.frombuffer(digest, "<u8").astype(np.uint64)
    half_bits = max(1, ((size - 1).bit_length() + 1) // 2)
    values = _encipher(places.astype(np.uint64), half_bits, round_keys)
    while (outside := values >= size).any():
        values[outside] = _encipher(values[outside], half_bits, round_keys)
    return values.astype(np.int64)


def _encipher(values: np.ndarray, half_bits: int, round_keys: np.ndarray) -> np.ndarray:
    """Maps the numbers of 2 * half_bits bits to themselves, one to one."""
    bits, mask = np.uint64(half_bits), np.uint64((1 << half_bits) - 1)
    left, right = values >> bits, values & mask
    for round_key in round_keys:
        mixed = right + round_key
        for multiplier in _MULTIPLIERS:
            mixed = (mixed ^ (mixed >> _SHIFT)) * multiplier
        left, right = right, left ^ ((mixed ^ (mixed >> _SHIFT)) & mask)
    return (left << bits) | right
