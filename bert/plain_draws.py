"""Pairs of segments, drawn as the original's create_instances_from_document does, in Python.

Every random draw of the original is made, in its order. This serves where the compiled form of it
(see `compiled_draws`) is not there.
"""

from array import array
from bisect import bisect_left
from typing import NamedTuple

import numpy as np

from deeq_bert.bert.documents import Documents
from deeq_bert.bert.masking import HIDDEN_CHANCE, STAYS_CHANCE, Masker, MaskingFacts, Predictions
from deeq_bert.bert.random_words import RandomWords

# The chances that are asked of the random words, by their index.
_HIDDEN, _HALF, _SHORT = range(3)


class DrawnInstances(NamedTuple):
    """Instances as they were drawn.

    Attributes:
      segments: [instances, 4], where in the documents' ids the first segment of each starts and
        ends, and where the second does; int64.
      random_next: Whether the second is from a random place.
      predictions: What is predicted; None where instances are masked when they are read.
    """

    segments: np.ndarray
    random_next: np.ndarray
    predictions: Predictions | None


class PlainDraws:
    """Makes the instances of documents, from one stream of random numbers."""

    def __init__(
        self,
        documents: Documents,
        max_tokens: int,
        short_seq_prob: float,
        facts: MaskingFacts | None,
        seed: int | str,
    ) -> None:
        """Starts the stream.

        Args:
          documents: What was read; complete.
          max_tokens: How many tokens an instance has at most, without [CLS] and [SEP].
          short_seq_prob: The share of documents that are cut into shorter instances.
          facts: What masking has to know; None for no masks.
          seed: As for `random.Random`.
        """
        self._words = RandomWords(seed, (HIDDEN_CHANCE, STAYS_CHANCE, short_seq_prob))
        self._masker = Masker(facts, self._words, _HIDDEN, _HALF) if facts else None
        self._sentence_starts = documents.sentence_starts
        self._document_starts = documents.document_starts
        self._max_tokens = max_tokens
        self._order = array("q")
        self._segments: list[int] = []
        self._random_next = bytearray()

    def shuffle(self, items: array) -> None:
        """Does what `random.shuffle` does; `items` is an array of type "q"."""
        self._words.shuffle(items)

    def make(self, order: array, begin: int, end: int) -> DrawnInstances:
        """Makes the instances of the documents from `begin` to `end` of an order of all."""
        self._order = order
        for place in range(begin, end):
            self._make(place)
        drawn = DrawnInstances(
            np.array(self._segments, np.int64).reshape(-1, 4),
            np.frombuffer(self._random_next, np.bool_),
            self._masker.take() if self._masker else None,
        )
        self._segments, self._random_next = [], bytearray()
        return drawn

    def _make(self, place: int) -> None:
        """Makes the instances of the document at a place of the order."""
        starts, words, max_tokens = self._sentence_starts, self._words, self._max_tokens
        document = self._order[place]
        chunk, document_end = self._document_starts[document], self._document_starts[document + 1]
        target_length = max_tokens
        if words.happens(_SHORT):
            target_length = 2 + words.below(max_tokens - 1)
        while chunk < document_end:
            first_start, first_end = starts[chunk], chunk + 1
            # Whole sentences until the target is reached or the document ends.
            chunk_end = bisect_left(starts, first_start + target_length, first_end, document_end)
            if chunk_end > first_end:
                first_end += words.below(chunk_end - first_end)
            first_stop = starts[first_end]
            is_random_next = chunk_end == chunk + 1 or words.happens(_HALF)
            if is_random_next:
                sentence, other_end = self._random_sentence(place)
                second_start = starts[sentence]
                length_left = target_length - (first_stop - first_start)
                second_stop = starts[
                    bisect_left(starts, second_start + length_left, sentence + 1, other_end)
                ]
                # The sentences that were to be B are put back.
                chunk = first_end
            else:
                second_start, second_stop = first_stop, starts[chunk_end]
                chunk = chunk_end
            excess = first_stop - first_start + second_stop - second_start - max_tokens
            if excess > 0:
                first_start, first_stop, second_start, second_stop = _truncate(
                    first_start, first_stop, second_start, second_stop, excess, words
                )
            if self._masker:
                self._masker.mask(first_start, first_stop, second_start, second_stop)
            self._segments += (first_start, first_stop, second_start, second_stop)
            self._random_next.append(is_random_next)

    def _random_sentence(self, place: int) -> tuple[int, int]:
        """Draws a sentence of another document, and returns it and the end of that document."""
        words, count = self._words, len(self._order)
        # With many documents one try nearly always does; with one, all ten end at itself.
        for _ in range(10):
            other = words.below(count)
            if other != place:
                break
        document = self._order[other]
        start, end = self._document_starts[document], self._document_starts[document + 1]
        return start + words.below(end - start), end


def _truncate(
    first_start: int,
    first_stop: int,
    second_start: int,
    second_stop: int,
    excess: int,
    words: RandomWords,
) -> tuple[int, int, int, int]:
    """Takes `excess` tokens off, each off the longer segment and at a random end of it.

    The original's truncate_seq_pair. Which segment loses a token does not depend on the draws: at
    first the longer one does, and when both are as long, they take turns.
    """
    difference = (first_stop - first_start) - (second_stop - second_start)
    # With equal lengths the second is cut.
    alone = min(excess, difference if difference > 0 else 1 - difference)
    words.reserve(2 * excess)
    start = words.position
    turns, end = start + 2 * alone, start + 2 * excess
    words.position = end
    # A number below 0.5, a 1 here, takes a token off the front.
    coins = words.chance(_HALF)
    fronts = (
        coins[start:turns:2].count(1) + coins[turns + 2 : end : 4].count(1),
        coins[turns:end:4].count(1),
    )
    lost = (alone + (excess - alone) // 2, (excess - alone + 1) // 2)
    if difference <= 0:
        fronts, lost = fronts[::-1], lost[::-1]
    first_start, second_start = first_start + fronts[0], second_start + fronts[1]
    first_stop -= lost[0] - fronts[0]
    second_stop -= lost[1] - fronts[1]
    return first_start, first_stop, second_start, second_stop
