"""The ids of words met before, looked up for all words of a text at once.

A dictionary of Python costs about half a microsecond a word, most of it for making the string that
is looked up. Here words are told by hashes, which a few operations of numpy compute for a whole
text, and stay where they are.
"""

import itertools
from collections.abc import Callable, Iterable

import numpy as np

# Of two independent hashes of 64 bits each; together they tell words apart for all purposes.
_BASES = 0x9E3779B97F4A7C15, 0xD1B54A32D192ED03
_MIXER = np.uint64(0xFF51AFD7ED558CCD)

# How many slots there are at first, as a power of two.
_FIRST_BITS = 12

# What separates words, for str.split: all of it is in the first 65,536 characters.
_IS_SPACE = np.array([chr(code).isspace() for code in range(1 << 16)])


class WordTable:
    """Finds the ids of all words of a text, and remembers them."""

    def __init__(self, ids_of: Callable[[str], Iterable[int]], max_words: int) -> None:
        """Starts with nothing remembered.

        Args:
          ids_of: Gives the ids of a word, for those that are not remembered.
          max_words: Bounds the memory, to about 60 bytes for each; when so many words are
            remembered all are forgotten.
        """
        self._ids_of = ids_of
        self._max_words = max_words
        # The powers of each base, and of its inverse.
        self._powers = np.empty((2, 0), np.uint64)
        self._inverse_powers = np.empty((2, 0), np.uint64)
        self._forget()

    def ids_of_lines(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """Returns the ids of the words of a text, and how many of them each line has.

        Args:
          text: Lines with "\\n" between them.

        Returns:
          Two arrays of int32.
        """
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        starts, ends = _bounds(codes)
        first_hashes, second_hashes = self._hashes(codes, starts, ends)
        if self._count + len(starts) > self._max_words:
            self._forget()
        slots = self._find(first_hashes, second_hashes)
        unknown = np.flatnonzero(slots < 0)
        if len(unknown):
            bits = self._bits
            slots[unknown] = self._learn(
                text, starts[unknown], ends[unknown], first_hashes[unknown], second_hashes[unknown]
            )
            if self._bits != bits:
                # All have moved.
                slots = self._find(first_hashes, second_hashes)
        counts = self._id_counts[slots]
        id_ends = np.cumsum(counts, dtype=np.int64)
        total = int(id_ends[-1]) if len(id_ends) else 0
        offsets = np.repeat(self._id_starts[slots] - (id_ends - counts), counts)
        ids = self._ids[np.arange(total) + offsets]
        line_ends = np.append(np.flatnonzero(codes == ord("\n")), len(codes))
        words_before = np.searchsorted(starts, line_ends)
        ids_before = np.append(0, id_ends)[words_before]
        return ids, np.diff(ids_before, prepend=0).astype(np.int32)

    def _forget(self) -> None:
        self._count = 0
        self._ids = np.empty(1 << _FIRST_BITS, np.int32)
        self._ids_used = 0
        self._make_slots(_FIRST_BITS)

    def _make_slots(self, bits: int) -> None:
        self._bits = bits
        # A first hash of 0 tells that a slot is free.
        self._first = np.zeros(1 << bits, np.uint64)
        self._second = np.zeros(1 << bits, np.uint64)
        self._id_starts = np.zeros(1 << bits, np.int64)
        self._id_counts = np.zeros(1 << bits, np.int32)

    def _hashes(
        self, codes: np.ndarray, starts: np.ndarray, ends: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns two hashes of each word: the sums of its codes times powers of a base."""
        if self._powers.shape[1] <= len(codes):
            self._powers, self._inverse_powers = _powers(len(codes) + 1)
        hashes = []
        for powers, inverse_powers in zip(self._powers, self._inverse_powers):
            sums = np.zeros(len(codes) + 1, np.uint64)
            np.cumsum(codes * powers[: len(codes)], out=sums[1:])
            hashes.append((sums[ends] - sums[starts]) * inverse_powers[starts])
        first, second = hashes
        # The high bits depend on all of the word, the low ones do not.
        first = (first ^ (first >> np.uint64(32))) * _MIXER
        return np.maximum(first, np.uint64(1)), second

    def _find(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Returns the slot of each word, -1 where it is not remembered."""
        slots = self._slots(first)
        found = np.full(len(first), -1, np.int64)
        left = np.arange(len(first))
        while len(left):
            there = self._first[slots]
            is_it = (there == first[left]) & (self._second[slots] == second[left])
            found[left[is_it]] = slots[is_it]
            going_on = np.flatnonzero(~is_it & (there != 0))
            left = left[going_on]
            slots = (slots[going_on] + 1) & (len(self._first) - 1)
        return found

    def _slots(self, first: np.ndarray) -> np.ndarray:
        return (first >> np.uint64(64 - self._bits)).astype(np.int64)

    def _learn(
        self,
        text: str,
        starts: np.ndarray,
        ends: np.ndarray,
        first: np.ndarray,
        second: np.ndarray,
    ) -> np.ndarray:
        """Finds the ids of words that are not remembered, and returns their slots."""
        _, places, numbers = np.unique(first, return_index=True, return_inverse=True)
        ids_of = self._ids_of
        found = [
            ids_of(text[start:end])
            for start, end in zip(starts[places].tolist(), ends[places].tolist())
        ]
        counts = np.fromiter(map(len, found), np.int32, len(found))
        ids = np.fromiter(itertools.chain.from_iterable(found), np.int32, counts.sum())
        while self._ids_used + len(ids) > len(self._ids):
            self._ids = np.append(self._ids, np.empty_like(self._ids))
        self._ids[self._ids_used : self._ids_used + len(ids)] = ids
        id_starts = self._ids_used + np.cumsum(counts, dtype=np.int64) - counts
        self._ids_used += len(ids)
        self._count += len(found)
        if 2 * self._count > len(self._first):
            self._grow()
        slots = self._place(first[places], second[places], id_starts, counts)
        return slots[numbers]

    def _grow(self) -> None:
        columns = self._first, self._second, self._id_starts, self._id_counts
        used = np.flatnonzero(self._first)
        self._make_slots(int(4 * self._count - 1).bit_length())
        self._place(*(column[used] for column in columns))

    def _place(
        self, first: np.ndarray, second: np.ndarray, id_starts: np.ndarray, counts: np.ndarray
    ) -> np.ndarray:
        """Puts words that are not there into free slots, and returns these."""
        slots = self._slots(first)
        left = np.arange(len(first))
        while len(left):
            free = np.flatnonzero(self._first[slots[left]] == 0)
            # Of several that want one slot, whichever is written last has it.
            self._first[slots[left[free]]] = first[left[free]]
            placed = self._first[slots[left]] == first[left]
            done = left[placed]
            self._second[slots[done]] = second[done]
            self._id_starts[slots[done]] = id_starts[done]
            self._id_counts[slots[done]] = counts[done]
            left = left[~placed]
            slots[left] = (slots[left] + 1) & (len(self._first) - 1)
        return slots


def _bounds(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns where each word starts and ends."""
    is_space = np.ones(len(codes) + 2, np.bool_)
    is_space[1:-1] = _IS_SPACE[np.minimum(codes, 0xFFFF)]
    changes = np.flatnonzero(is_space[1:] != is_space[:-1])
    return changes[::2], changes[1::2]


def _powers(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the first `count` powers of each base, and those of its inverse, modulo 2**64."""
    tables = []
    for bases in (_BASES, [pow(base, -1, 1 << 64) for base in _BASES]):
        powers = np.ones((len(bases), count), np.uint64)
        for row, base in zip(powers, bases):
            row[1:] = base
            np.multiply.accumulate(row, out=row)
        tables.append(powers)
    return tables[0], tables[1]
