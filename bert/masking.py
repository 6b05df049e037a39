"""Which tokens of an instance are to be predicted, and what is shown in their places.

Section 3.1, task 1, of the BERT paper, and the original's create_masked_lm_predictions: of the
chosen tokens 80% become [MASK], 10% stay, 10% become a random word of the vocabulary, its special
tokens included. Every draw of the original is made, in its order.
"""

import itertools
from array import array
from collections.abc import Collection, Sequence

import numpy as np

from deeq_bert.bert.documents import Documents
from deeq_bert.bert.random_words import RandomWords
from deeq_bert.tokenizers.base import MORPHEME_START, WORD_START, Tokenizer

# The chances that a Masker asks of its RandomWords, in this order: a token is hidden behind
# [MASK]; one that is not stays.
HIDDEN_CHANCE, STAYS_CHANCE = 0.8, 0.5

# The most random words that the changes of one token take, but for many refusals in a row.
_WORDS_PER_CHANGE = 16


class Masker:
    """Chooses tokens of instances and changes them, and notes what it did.

    The tokens of both segments of an instance, without [CLS] and [SEP], are counted through from 0:
    these numbers are the places.

    Attributes:
      places: Of the chosen tokens, in the order they were chosen in, instance by instance.
      counts: How many were chosen in each instance.
      unchanged: Which of `places` keep their tokens.
      replaced: Which of them get another word.
      replacements: The ids of those words.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        documents: Documents,
        masked_lm_prob: float,
        max_predictions_per_seq: int,
        mask_unit: str,
        max_tokens: int,
        words: RandomWords,
        hidden_chance: int,
        stays_chance: int,
    ) -> None:
        """Sets up masking.

        Args:
          tokenizer: Gives the vocabulary, and the ids that continue a word.
          documents: What the instances are made of; complete.
          masked_lm_prob: The share of all tokens to predict, 0 to 1.
          max_predictions_per_seq: How many tokens to predict at most; one is predicted at least.
          mask_unit: What is chosen as a whole: "token", "morpheme" or "word".
          max_tokens: How many tokens an instance has at most, without [CLS] and [SEP].
          words: Where the draws come from.
          hidden_chance: The index there of HIDDEN_CHANCE.
          stays_chance: That of STAYS_CHANCE.
        """
        self._words = words
        self._hidden_chance, self._stays_chance = hidden_chance, stays_chance
        # The order of the keys, not of the ids: they differ where a vocabulary repeats a line.
        self._word_ids = list(tokenizer.vocab.values())
        self._word_shift = 32 - len(self._word_ids).bit_length()
        # By the number of tokens, to which come [CLS] and twice [SEP].
        self._limits = [
            min(max_predictions_per_seq, max(1, int(round((count + 3) * masked_lm_prob))))
            for count in range(max_tokens + 1)
        ]
        self._all_places = list(range(max_tokens))
        ids = np.frombuffer(documents.ids, documents.ids.typecode)
        self._is_special = _flags(ids, (tokenizer.vocab["[CLS]"], tokenizer.vocab["[SEP]"]))
        self._has_special = any(self._is_special)
        self._by_units = bool(documents.units)
        self._starts = b""
        if mask_unit != "token" and self._by_units:
            start_bit = {"morpheme": MORPHEME_START, "word": WORD_START}[mask_unit]
            units = np.frombuffer(documents.units, np.uint8)
            self._starts = (units & start_bit != 0).tobytes()
        elif mask_unit != "token":
            continues = np.frombuffer(_flags(ids, tokenizer.continuation_ids), np.uint8)
            self._starts = (1 - continues).tobytes()
        self.clear()

    def clear(self) -> None:
        """Forgets what was noted."""
        self.places, self.counts = array("i"), array("i")
        self.unchanged, self.replaced, self.replacements = array("q"), array("q"), array("i")

    def mask(self, first_start: int, first_stop: int, second_start: int, second_stop: int) -> None:
        """Chooses and changes tokens of the instance of two segments of the documents' ids."""
        count = first_stop - first_start + second_stop - second_start
        limit = self._limits[count]
        if self._starts or self._has_special:
            chosen = self._choose(
                slice(first_start, first_stop), slice(second_start, second_stop), count, limit
            )
        else:
            places = self._all_places[:count]
            self._words.shuffle(places, limit)
            chosen = places[:limit]
        self._change(len(chosen))
        self.places.fromlist(chosen)
        self.counts.append(len(chosen))

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
        if self._has_special:
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
        done, before = 0, len(self.places)
        while done < count:
            run = hidden[position : position + 2 * (count - done) : 2].find(0)
            if run < 0:
                position += 2 * (count - done)
                break
            done += run
            position += 2 * run + 2
            if stays[position]:
                self.unchanged.append(before + done)
                position += 2
            else:
                position += 2
                number = words.words[position] >> self._word_shift
                while number >= len(self._word_ids):
                    position += 1
                    number = words.words[position] >> self._word_shift
                position += 1
                self.replaced.append(before + done)
                self.replacements.append(self._word_ids[number])
            done += 1
        words.position = position


def _flags(ids: np.ndarray, wanted: Collection[int]) -> bytes:
    """Returns a byte for each id, 1 where it is among those wanted."""
    return np.isin(ids, list(wanted)).tobytes()
