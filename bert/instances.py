"""Documents to training instances: the algorithm of the original's create_pretraining_data.py.

Every random draw of the original is made, in the same order, so that one seed gives the same
instances. What an instance is made of is noted in some 100 bytes; its ids are put together when it
is written.
"""

import dataclasses
from array import array
from bisect import bisect_left
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from deeq_bert.bert.documents import Documents
from deeq_bert.bert.masking import HIDDEN_CHANCE, STAYS_CHANCE, Masker
from deeq_bert.bert.random_words import RandomWords
from deeq_bert.tokenizers.base import Tokenizer

# The chances that are asked of the random words, by their index.
_HIDDEN, _HALF, _SHORT = range(3)
# [CLS] and twice [SEP].
SPECIAL_TOKENS = 3
# So many instances are noted before they are put into compact arrays.
_INSTANCES_AT_ONCE = 8192
# So often the progress is told, in documents.
_DOCUMENTS_AT_ONCE = 256


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


@dataclasses.dataclass
class Instances:
    """The instances of documents, each as what it takes to put it together.

    Attributes:
      is_masked: Whether tokens were chosen to be predicted.
      first_starts: Where segment A starts in the ids of the documents; int64.
      first_lengths: How many tokens it has; int32.
      second_starts: Where segment B starts.
      second_lengths: How many tokens it has.
      random_next: Whether B is from a random place.
      prediction_ends: Where the predictions of each instance end; int64.
      positions: Of all predictions, ascending within each instance.
      shown_ids: The ids that stand there.
    """

    is_masked: bool
    first_starts: np.ndarray
    first_lengths: np.ndarray
    second_starts: np.ndarray
    second_lengths: np.ndarray
    random_next: np.ndarray
    prediction_ends: np.ndarray
    positions: np.ndarray
    shown_ids: np.ndarray

    def __len__(self) -> int:
        return len(self.first_starts)

    @property
    def lengths(self) -> np.ndarray:
        """How many tokens each has, [CLS] and both [SEP] included."""
        return self.first_lengths + self.second_lengths + SPECIAL_TOKENS


def make_instances(
    documents: Documents,
    tokenizer: Tokenizer,
    masking: MaskingChoice | None,
    max_seq_length: int,
    dupe_factor: int,
    short_seq_prob: float,
    seed: int | str,
    progress: Callable[[int], object] | None = None,
) -> tuple[Instances, array]:
    """Makes the instances of all documents, `dupe_factor` times with other choices.

    The original's create_training_instances.

    Args:
      documents: What was read; complete.
      tokenizer: Gives the vocabulary.
      masking: How tokens are chosen to be predicted; None where instances are masked when they are
        read. Then there are no draws for masks in between.
      max_seq_length: How many ids an instance has at most, 5 or more.
      dupe_factor: How many times to go through the documents.
      short_seq_prob: The share of documents that are cut into shorter instances, 0 to 1.
      seed: Of all choices, as for `random.Random`.
      progress: Called with the number of documents done since the last call.

    Returns:
      The instances, and the order in which the original writes them.
    """
    words = RandomWords(seed, (HIDDEN_CHANCE, STAYS_CHANCE, short_seq_prob))
    max_tokens = max_seq_length - SPECIAL_TOKENS
    masker = None
    if masking:
        masker = Masker(
            tokenizer,
            documents,
            *masking,
            max_tokens,
            words,
            hidden_chance=_HIDDEN,
            stays_chance=_HALF,
        )
    order = array("q", range(len(documents)))
    words.shuffle(order)
    columns = _Columns(documents, tokenizer.vocab["[MASK]"], max_seq_length, masker)
    pairs = _Pairs(documents, order, max_tokens, words, columns.add)
    done = 0
    for _ in range(dupe_factor):
        for place in range(len(order)):
            pairs.make(place)
            done += 1
            if progress and not done % _DOCUMENTS_AT_ONCE:
                progress(_DOCUMENTS_AT_ONCE)
    if progress:
        progress(done % _DOCUMENTS_AT_ONCE)
    instances = columns.finish()
    written_order = array("q", range(len(instances)))
    words.shuffle(written_order)
    return instances, written_order


class _Pairs:
    """Makes pairs of segments: the original's create_instances_from_document."""

    def __init__(
        self,
        documents: Documents,
        order: array,
        max_tokens: int,
        words: RandomWords,
        add: Callable[[int, int, int, int, bool], object],
    ) -> None:
        """Takes what is needed.

        Args:
          documents: What was read.
          order: That of the documents.
          max_tokens: How many tokens a pair has at most.
          words: Where the draws come from.
          add: Called for each pair: where in the documents' ids the first segment starts and ends,
            where the second does, and whether that is from a random place.
        """
        self._sentence_starts = documents.sentence_starts
        self._document_starts = documents.document_starts
        self._order = order
        self._max_tokens = max_tokens
        self._words = words
        self._add = add

    def make(self, place: int) -> None:
        """Makes the pairs of the document at a place of the order."""
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
            self._add(first_start, first_stop, second_start, second_stop, is_random_next)

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


class _Columns:
    """Takes instances one by one and keeps them in compact arrays."""

    def __init__(
        self, documents: Documents, mask_id: int, max_seq_length: int, masker: Masker | None
    ) -> None:
        self._ids = np.frombuffer(documents.ids, documents.ids.typecode)
        self._mask_id = mask_id
        self._masker = masker
        self._segments: list[int] = []
        self._random_next = bytearray()
        # Those of `Instances`, but how many predictions each has in the place of where they end.
        self._columns = [array(typecode) for typecode in ("q", "i", "q", "i", "B", "i")]
        self._columns += [array("H" if max_seq_length <= 1 << 16 else "i")]
        self._columns += [array(documents.ids.typecode)]

    def add(
        self,
        first_start: int,
        first_stop: int,
        second_start: int,
        second_stop: int,
        is_random_next: bool,
    ) -> None:
        """Adds an instance of two segments of the documents' ids, and masks it."""
        if self._masker:
            self._masker.mask(first_start, first_stop, second_start, second_stop)
        self._segments += (first_start, first_stop, second_start, second_stop)
        self._random_next.append(is_random_next)
        if len(self._random_next) == _INSTANCES_AT_ONCE:
            self._compact()

    def finish(self) -> Instances:
        """Returns all."""
        self._compact()
        *columns, counts, positions, shown_ids = (
            np.frombuffer(column, column.typecode) for column in self._columns
        )
        *columns, random_next = columns
        return Instances(
            self._masker is not None,
            *columns,
            random_next.view(np.bool_),
            np.cumsum(counts, dtype=np.int64),
            positions,
            shown_ids,
        )

    def _compact(self) -> None:
        bounds = np.array(self._segments, np.int64).reshape(-1, 4)
        first_starts, second_starts = bounds[:, 0], bounds[:, 2]
        first_lengths, second_lengths = bounds[:, 1] - first_starts, bounds[:, 3] - second_starts
        values = (
            first_starts,
            first_lengths,
            second_starts,
            second_lengths,
            np.frombuffer(self._random_next, np.uint8),
            *self._predictions(first_starts, first_lengths, second_starts),
        )
        for column, more in zip(self._columns, values):
            column.frombytes(more.astype(column.typecode).tobytes())
        self._segments, self._random_next = [], bytearray()

    def _predictions(
        self, first_starts: np.ndarray, first_lengths: np.ndarray, second_starts: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns how many each instance has, and of each the position and the id shown there."""
        masker = self._masker
        if masker is None:
            return np.zeros(len(first_starts), np.int32), self._ids[:0], self._ids[:0]
        counts = np.frombuffer(masker.counts, np.int32)
        places = np.frombuffer(masker.places, np.int32)
        rows = np.repeat(np.arange(len(counts)), counts)
        in_second = places >= first_lengths[rows]
        # [CLS] comes before the first segment, [SEP] before the second.
        positions = places + 1 + in_second
        shown = np.full(len(places), self._mask_id, self._ids.dtype)
        unchanged = np.frombuffer(masker.unchanged, np.int64)
        second_offsets = second_starts - first_lengths
        sources = (
            places[unchanged]
            + np.where(in_second, second_offsets[rows], first_starts[rows])[unchanged]
        )
        shown[unchanged] = self._ids[sources]
        shown[np.frombuffer(masker.replaced, np.int64)] = np.frombuffer(
            masker.replacements, np.int32
        )
        ascending = np.argsort(rows << 32 | positions)
        masker.clear()
        return counts, positions[ascending], shown[ascending]
