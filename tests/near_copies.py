"""Texts that resemble one another to a known degree, to measure how near-duplicates are found."""

import numpy as np

SYLLABLES = [chr(code) for code in range(0xAC00, 0xD7A4, 17)]


class WordMaker:
    """Draws words of two to four syllables, the frequent ones often, and texts of them."""

    def __init__(self, seed: int, num_words: int = 20_000):
        self.random = np.random.default_rng(seed)
        sizes = self.random.integers(2, 5, num_words)
        self._words = ["".join(self.random.choice(SYLLABLES, size)) for size in sizes]
        weights = 1 / np.arange(10, num_words + 10)
        self._weights = weights / weights.sum()

    def words(self, number: int) -> list[str]:
        return self.random.choice(self._words, number, p=self._weights).tolist()


def shingles(text: str, size: int = 5) -> set[str]:
    """Returns the sequences of `size` letters and digits in a text."""
    letters = "".join(filter(str.isalnum, text.lower()))
    return {letters[begin : begin + size] for begin in range(len(letters) - size + 1)}


def similarity(one: str, other: str) -> float:
    """Returns Jaccard's measure of the shingles of two texts."""
    first, second = shingles(one), shingles(other)
    return len(first & second) / len(first | second)


def near_copy(words: list[str], least: float, maker: WordMaker) -> str:
    """Returns the text with as many other words as leave it a similarity of `least` or more."""
    text = " ".join(words)
    places = maker.random.permutation(len(words)).tolist()
    others = maker.words(len(words))

    def changed(number: int) -> str:
        copy = list(words)
        for place, other in zip(places[:number], others):
            copy[place] = other
        return " ".join(copy)

    # Each word makes it less similar, so halving finds the number.
    enough, too_many = 0, len(words)
    while too_many - enough > 1:
        middle = (enough + too_many) // 2
        if similarity(text, changed(middle)) >= least:
            enough = middle
        else:
            too_many = middle
    return changed(enough)
