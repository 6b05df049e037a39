"""Instances put together: the ids of some at a time, with what the examples of them need."""

from typing import NamedTuple

import numpy as np

from deeq_bert.bert.documents import Documents
from deeq_bert.bert.instances import SPECIAL_TOKENS, Instances
from deeq_bert.tokenizers.base import MORPHEME_START, WORD_START, Tokenizer

# Beside WORD_START and MORPHEME_START, in the units of an instance to be masked when it is read.
NEVER_MASKED = 4

_NEW_WORD = WORD_START | MORPHEME_START


class InstanceBlock(NamedTuple):
    """Some instances, [CLS] A [SEP] B [SEP] each, end to end.

    Attributes:
      ids: Of all tokens, those in the place of masked ones included, without padding.
      ends: Where each instance ends in `ids`.
      first_lengths: How many of its tokens belong to segment A: [CLS] and the first [SEP] too.
      random_next: Whether B was taken from a random place instead of following A.
      positions: Ascending indexes of the tokens to predict, in their instance.
      labels: The ids that stood there.
      prediction_ends: Where each instance ends in `positions` and `labels`.
      units: For each token a byte, the sum of WORD_START and MORPHEME_START where a word or a
        morpheme starts with it, and of NEVER_MASKED for [CLS] and [SEP]; None for instances that
        are masked.
    """

    ids: np.ndarray
    ends: np.ndarray
    first_lengths: np.ndarray
    random_next: np.ndarray
    positions: np.ndarray
    labels: np.ndarray
    prediction_ends: np.ndarray
    units: np.ndarray | None


class InstanceReader:
    """Puts instances together from the documents they were made of."""

    def __init__(self, documents: Documents, tokenizer: Tokenizer, instances: Instances) -> None:
        """Takes all that `make_instances` had, and what it made."""
        class_id, separator_id = tokenizer.vocab["[CLS]"], tokenizer.vocab["[SEP]"]
        ids = np.frombuffer(documents.ids, documents.ids.typecode)
        # What stands between the segments stands behind the text, for one look-up of all.
        self._class_place, self._separator_place = len(ids), len(ids) + 1
        self._ids = np.append(ids, np.array([class_id, separator_id], ids.dtype))
        self._special_ids = [class_id, separator_id]
        self._instances = instances
        self._units = None
        if documents.units:
            units = np.frombuffer(documents.units, np.uint8)
            self._units = np.append(units, np.zeros(2, np.uint8))
        self._units_by_id = np.full(max(tokenizer.vocab.values()) + 1, WORD_START, np.uint8)
        self._units_by_id[list(tokenizer.continuation_ids)] = 0
        self._units_by_id[self._special_ids] = NEVER_MASKED

    def read(self, numbers: np.ndarray) -> InstanceBlock:
        """Returns the instances of these numbers, in their order."""
        instances = self._instances
        first_lengths = instances.first_lengths[numbers].astype(np.int64)
        second_lengths = instances.second_lengths[numbers].astype(np.int64)
        ends = np.cumsum(first_lengths + second_lengths + SPECIAL_TOKENS)
        starts = np.append(0, ends[:-1])
        second_places = starts + first_lengths + 2
        sources = self._sources(
            starts,
            ends,
            instances.first_starts[numbers],
            first_lengths,
            instances.second_starts[numbers],
            second_lengths,
        )
        ids = self._ids[sources]
        positions = labels = np.zeros(0, np.int64)
        prediction_ends, units = np.zeros(len(numbers), np.int64), None
        if instances.is_masked:
            chosen_ends = instances.prediction_ends[numbers]
            # Of these instances alone: there may be millions of others.
            chosen_starts = np.where(numbers > 0, instances.prediction_ends[numbers - 1], 0)
            counts = chosen_ends - chosen_starts
            prediction_ends = np.cumsum(counts)
            chosen = np.arange(prediction_ends[-1]) + np.repeat(
                chosen_ends - prediction_ends, counts
            )
            positions = instances.positions[chosen]
            places = np.repeat(starts, counts) + positions
            labels = ids[places]
            ids[places] = instances.shown_ids[chosen]
        elif self._units is not None:
            units = self._units[sources]
            units[starts + 1] = units[second_places] = _NEW_WORD
            units[np.isin(ids, self._special_ids)] = NEVER_MASKED
        else:
            units = self._units_by_id[ids]
        return InstanceBlock(
            ids,
            ends,
            first_lengths + 2,
            instances.random_next[numbers],
            positions,
            labels,
            prediction_ends,
            units,
        )

    def _sources(
        self,
        starts: np.ndarray,
        ends: np.ndarray,
        first_starts: np.ndarray,
        first_lengths: np.ndarray,
        second_starts: np.ndarray,
        second_lengths: np.ndarray,
    ) -> np.ndarray:
        """Returns where in `_ids` each id of the instances stands."""
        # Within a segment each source is the one before plus 1; the sum of all steps is cheap.
        class_place, separator_place = self._class_place, self._separator_place
        steps = np.ones(ends[-1], np.int64)
        steps[starts] = class_place - separator_place
        steps[0] = class_place
        steps[starts + 1] = first_starts - class_place
        steps[starts + 1 + first_lengths] = separator_place - (first_starts + first_lengths - 1)
        steps[starts + 2 + first_lengths] = second_starts - separator_place
        steps[ends - 1] = separator_place - (second_starts + second_lengths - 1)
        return np.cumsum(steps)
