"""The random numbers of Python's `random.Random`, drawn many at a time.

Faithful records need the draws of the original, one by one and in its order, and that is most of
what making them costs. Here the 32-bit words of the same Mersenne Twister are taken in bulk, what
most draws ask of a word is worked out for all of them at once, and a draw is a look-up. What each
method does with the words is what `random.Random` does in Python 3.10 to 3.13.
"""

import math
import operator
import random
from array import array
from collections.abc import MutableSequence, Sequence

import numpy as np

_WORDS_AT_ONCE = 1 << 16
# Of the two words that make a number from 0 to 1 so many bits are used.
_HIGH_BITS, _LOW_BITS = 27, 26


class RandomWords:
    """A stream of random words, and draws from it.

    Who draws by itself reads `words`, `high_bytes` or what `chance` returns from `position` on,
    sets `position` behind what it used, and calls `reserve` before, which may replace all of them.

    Attributes:
      position: The index of the next word.
      words: The words at hand, before and after `position`.
      high_bytes: The highest byte of each.
    """

    def __init__(self, seed: int | str, chances: Sequence[float] = ()):
        """Starts the stream of `random.Random(seed)`.

        Args:
          seed: As for `random.Random`.
          chances: The values that `random() < value` will be asked for, by their index.
        """
        state = random.Random(seed).getstate()[1]
        self._generator = np.random.MT19937()
        self._generator.state = {
            "bit_generator": "MT19937",
            "state": {"key": np.array(state[:-1], np.uint32), "pos": state[-1]},
        }
        self._chances = tuple(chances)
        self._array = np.empty(0, np.uint32)
        self.position = 0
        self._fetch()

    def reserve(self, count: int) -> None:
        """Makes sure that `count` words are at hand from `position` on, and one more."""
        if self.position + count >= len(self._array):
            self._fetch(count + 1)

    def _fetch(self, count: int = 1) -> None:
        # Words that were passed are let go.
        fresh = self._generator.random_raw(max(count, _WORDS_AT_ONCE)).astype(np.uint32)
        self._array = np.concatenate((self._array[self.position :], fresh))
        self.position = 0
        self.words = array("I", self._array.tobytes())
        self.high_bytes = (self._array >> 24).astype(np.uint8).tobytes()
        self._is_below = [_is_below(self._array, chance) for chance in self._chances]

    def chance(self, index: int) -> bytes:
        """Returns for each word at hand whether a number from it and the next is below a chance.

        Args:
          index: Of the chance among those given at the start.

        Returns:
          A byte a word but the last, 1 or 0. A draw takes two words: that of the byte, and the
          next.
        """
        return self._is_below[index]

    def happens(self, index: int) -> bool:
        """Draws whether `random() < chances[index]`."""
        try:
            result = self._is_below[index][self.position]
        except IndexError:
            self._fetch()
            result = self._is_below[index][self.position]
        self.position += 2
        return result == 1

    def below(self, bound: int) -> int:
        """Draws `randrange(bound)`; bound is from 1 to 2**32 - 1."""
        shift = 32 - bound.bit_length()
        while True:
            try:
                number = self.words[self.position] >> shift
            except IndexError:
                self._fetch()
                continue
            self.position += 1
            if number < bound:
                return number

    def shuffle(self, items: MutableSequence, kept: int | None = None) -> None:
        """Does what `shuffle(items)` does.

        Args:
          items: Shuffled in place.
          kept: How many of the first items are wanted; those after them may be left as anything,
            which is faster. None: all.
        """
        # Behind the items that are kept, what goes to the end of the list is never seen again.
        stop = len(items) if kept is None else max(kept, 1)
        last = len(items) - 1
        if last > 254:
            last = self._shuffle_end(items, stop)
        high_bytes, position = self.high_bytes, self.position
        while last > 0:
            shift = 8 - (last + 1).bit_length()
            # The last place that takes numbers of so many bits.
            floor = (1 << 7 - shift) - 1
            # Rarely more than half of the numbers are refused; if more are, here is a next round.
            end = position + 3 * last + 32
            if end >= len(high_bytes):
                self.position = position
                self.reserve(3 * last + 32)
                high_bytes, position = self.high_bytes, self.position
                end = position + 3 * last + 32
            draws = iter(high_bytes[position:end])
            if last >= stop:
                for byte in draws:
                    other = byte >> shift
                    if other <= last:
                        items[other] = items[last]
                        last -= 1
                        if last < floor:
                            shift += 1
                            floor >>= 1
                        if last < stop:
                            break
            if 0 < last < stop:
                for byte in draws:
                    other = byte >> shift
                    if other <= last:
                        items[other], items[last] = items[last], items[other]
                        last -= 1
                        if last < floor:
                            if not last:
                                break
                            shift += 1
                            floor >>= 1
            position = end - operator.length_hint(draws)
        self.position = position

    def _shuffle_end(self, items: MutableSequence, stop: int) -> int:
        """Finds what goes to the places from 255 on, and returns the last place that is left."""
        last = len(items) - 1
        while last > 254:
            bits = (last + 1).bit_length()
            floor = max((1 << bits - 1) - 1, 255)
            count = min(2 * (last - floor) + 32, _WORDS_AT_ONCE)
            self.reserve(count)
            end = self.position + count
            draws = iter((self._array[self.position : end] >> (32 - bits)).tolist())
            for other in draws:
                if other <= last:
                    if last >= stop:
                        items[other] = items[last]
                    else:
                        items[other], items[last] = items[last], items[other]
                    last -= 1
                    if last < floor:
                        break
            self.position = end - operator.length_hint(draws)
        return last


def _is_below(words: np.ndarray, chance: float) -> bytes:
    """Returns for each word whether the number from 0 to 1 that it starts is below `chance`."""
    # The number is an integer of 53 bits over 2**53, and so is any float from 0 to 1 that it can
    # be compared with, rounded up.
    bound = math.ceil(chance * 2.0 ** (_HIGH_BITS + _LOW_BITS))
    high, low = bound >> _LOW_BITS, bound & ((1 << _LOW_BITS) - 1)
    if high >= 1 << _HIGH_BITS:
        return b"\1" * (len(words) - 1)
    high_words = words >> (32 - _HIGH_BITS)
    result = high_words < high
    # The second word decides where the first does not.
    for place in np.flatnonzero(high_words[:-1] == high).tolist():
        result[place] = int(words[place + 1]) >> (32 - _LOW_BITS) < low
    # It would for the last one too, but is not there.
    return result[:-1].tobytes()
