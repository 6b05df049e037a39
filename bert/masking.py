"""Which tokens of an instance are to be predicted, and what is shown in their places.

Section 3.1, task 1, of the BERT paper, and the original's create_masked_lm_predictions: of the
chosen tokens 80% become [MASK], 10% stay, 10% become a random word of the vocabulary, its special
tokens included. Every draw of the original is made, in its order.
"""

import itertools
from array import array
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from deeq_bert.bert.documents import Documents
from deeq_bert.bert.random_words import RandomWords
from deeq_bert.tokenizers.base import MORPHEME_START, WORD_START, Tokenizer

# The chances that a Masker asks of its RandomWords, in this order: a token is hidden behind
# [MASK]; one that is not stays.
HIDDEN_CHANCE, STAYS_CHANCE = 0.8, 0.5

# The most random words that the changes of one token take, but for many refusals in a row.
_WORDS_PER_CHANGE = 16


class MaskingChoice(NamedTuple):
    """How tokens are chosen to be predicted.

    Attributes:
      masked_lm_prob: The share of all tokens to predict, 0 to 1.
      max_predictions_per_seq: How many tokens to predict at most; one is predicted at least.
      mask_unit: What is chosen as a whole: "token", "morpheme" or "word".
    """

    masked_lm_prob: float
    max_predictions_per_seq: int
    mask_unit: str


class MaskingFacts(NamedTuple):
    """What masking has to know of the text and the vocabulary.

    Attributes:
      limits: How many tokens are predicted, by the number of tokens that an instance has besides
        [CLS] and [SEP]; an array of type "i".
      starts: For each token of the text a byte, 1 where a unit starts with it; empty where each is
        a unit.
      special: For each token a byte, 1 where it is [CLS] or [SEP]; empty where none is.
      by_units: Whether the text came with units; if not, the ids tell.
      word_ids: The ids that a random word may have; an array of type "i".
    """

    limits: array
    starts: bytes
    special: bytes
    by_units: bool
    word_ids: array


class Predictions(NamedTuple):
    """What is predicted in some instances.

    The tokens of both segments of an instance, without [CLS] and [SEP], are counted through from 0:
    these numbers are the places.

    Attributes:
      counts: How many tokens were chosen in each instance; int32, as what follows if not told.
      places: Of the chosen tokens, in the order they were chosen in, instance by instance.
      unchanged: Which of `places` keep their tokens; int64.
      replaced: Which of them get another word; int64.
      replacements: The ids of those words.
    """

    counts: np.ndarray
    places: np.ndarray
    unchanged: np.ndarray
    replaced: np.ndarray
    replacements: np.ndarray


def masking_facts(
    tokenizer: Tokenizer, documents: Documents, choice: MaskingChoice, max_tokens: int
) -> MaskingFacts:
    """Finds out what masking has to know.

    Args:
      tokenizer: Gives the vocabulary, and the ids that continue a word.
      documents: What the instances are made of; complete.
      choice: How tokens are chosen.
      max_tokens: How many tokens an instance has at most, without [CLS] and [SEP].
    """
    # With [CLS] and twice [SEP].
    wanted = (int(round((count + 3) * choice.masked_lm_prob)) for count in range(max_tokens + 1))
    limits = (min(choice.max_predictions_per_seq, max(1, number)) for number in wanted)
    ids = np.frombuffer(documents.ids, documents.ids.typecode)
    special = np.isin(ids, (tokenizer.vocab["[CLS]"], tokenizer.vocab["[SEP]"]))
    starts = b""
    if choice.mask_unit != "token" and documents.units:
        start_bit = {"morpheme": MORPHEME_START, "word": WORD_START}[choice.mask_unit]
        starts = (np.frombuffer(documents.units, np.uint8) & start_bit != 0).tobytes()
    elif choice.mask_unit != "token":
        starts = np.isin(ids, list(tokenizer.continuation_ids), invert=True).tobytes()
    return MaskingFacts(
        array("i", limits),
        starts,
        special.tobytes() if special.any() else b"",
        bool(documents.units),
        # The order of the keys, not of the ids: they differ where a vocabulary repeats a line.
        array("i", tokenizer.vocab.values()),
    )


class Masker:
    """Chooses tokens of instances and changes them, and notes what it did."""

    def __init__(
        self,
        facts: MaskingFacts,
        words: RandomWords,
        hidden_chance: int,
        stays_chance: int,
    ) -> None:
        """Sets up masking.

        Args:
          facts: What has to be known.
          words: Where the draws come from.
          hidden_chance: The index there of HIDDEN_CHANCE.
          stays_chance: That of STAYS_CHANCE.
        """
        self._words = words
        self._hidden_chance, self._stays_chance = hidden_chance, stays_chance
        self._limits, self._starts, self._is_special, self._by_units, word_ids = facts
        self._word_ids = word_ids.tolist()
        self._word_shift = 32 - len(self._word_ids).bit_length()
        self._all_places = list(range(len(self._limits) - 1))
        self._forget()

    def take(self) -> Predictions:
        """Returns what was chosen since the last call."""
        predictions = Predictions(
            *(
                np.frombuffer(column, column.typecode)
                for column in (
                    self._counts,
                    self._places,
                    self._unchanged,
                    self._replaced,
                    self._replacements,
                )
            )
        )
        self._forget()
        return predictions

    def _forget(self) -> None:
        self._counts, self._places = array("i"), array("i")
        self._unchanged, self._replaced = array("q"), array("q")
        self._replacements = array("i")

    def mask(self, first_start: int, first_stop: int, second_start: int, second_stop: int) -> None:
        """Chooses and changes tokens of the instance of two segments of the documents' ids."""
        count = first_stop - first_start + second_stop - second_start
        limit = self._limits[count]
        if self._starts or self._is_special:
            chosen = self._choose(
                slice(first_start, first_stop), slice(second_start, second_stop), count, limit
            )
        else:
            places = self._all_places[:count]
            self._words.shuffle(places, limit)
            chosen = places[:limit]
        self._change(len(chosen))
        self._places.fromlist(chosen)
        self._counts.append(len(chosen))

    def _choose(self, first: slice, second: slice, count: int, limit: int) -> list[int]:
        if self._starts:
            return self._choose_words(first, second, count, limit)
        special = self._is_special[first] + self._is_special[second]
        places = [place for place in range(count) if not special[place]]
        self._words.shuffle(places, limit)
        return places[:limit]

    def _choose_words(self, first: slice, second: slice, count: int, limit: int) -> list[int]:
        places: Sequence[int] = self._all_places
        starts = bytearray(self._starts[first] + self._starts[second])
        if self._by_units:
            # What is left of a word that lost its front is a word of its own. Where the ids tell,
            # it joins the word before the [SEP], as in the original.
            starts[first.stop - first.start] = 1
        if self._is_special:
            special = self._is_special[first] + self._is_special[second]
            places = [place for place in range(count) if not special[place]]
            starts = bytearray(starts[place] for place in places)
            count = len(places)
        if count:
            starts[0] = 1
        bounds = [*itertools.compress(self._all_places, starts), count]
        order = self._all_places[: len(bounds) - 1]
        self._words.shuffle(order)
        chosen: list[int] = []
        for word in order:
            if len(chosen) >= limit:
                break
            start, end = bounds[word], bounds[word + 1]
            # A word that does not fit is passed over; a shorter one further on may.
            if len(chosen) + end - start <= limit:
                chosen.extend(places[start:end])
        return chosen

    def _change(self, count: int) -> None:
        """Draws what becomes of the next `count` tokens."""
        words = self._words
        words.reserve(_WORDS_PER_CHANGE * count + 64)
        hidden, stays = words.chance(self._hidden_chance), words.chance(self._stays_chance)
        position = words.position
        done, before = 0, len(self._places)
        while done < count:
            run = hidden[position : position + 2 * (count - done) : 2].find(0)
            if run < 0:
                position += 2 * (count - done)
                break
            done += run
            position += 2 * run + 2
            if stays[position]:
                self._unchanged.append(before + done)
                position += 2
            else:
                position += 2
                number = words.words[position] >> self._word_shift
                while number >= len(self._word_ids):
                    position += 1
                    number = words.words[position] >> self._word_shift
                position += 1
                self._replaced.append(before + done)
                self._replacements.append(self._word_ids[number])
            done += 1
        words.position = position
