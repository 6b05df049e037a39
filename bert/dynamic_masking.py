"""Masks that are drawn anew in every pass over the records (RoBERTa, Liu et al. 2019, section 4.1).

What is masked of a record is a function of the seed, the record, the epoch and the position alone,
computed and not stored: a run that goes on, another batch size, and a machine that reads only its
part of a batch all get the same masks. The distribution is that of `masking.Masker`.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from deeq_bert.bert.instance_blocks import NEVER_MASKED
from deeq_bert.tokenizers.base import MASK_UNITS, MORPHEME_START, WORD_START
from deeq_bert.tokenizers.errors import InputError

_START_BITS = {"morpheme": MORPHEME_START, "word": WORD_START}

# Of each number that is drawn, the upper half decides what a chosen token becomes.
_HALF = np.uint64(32)
_LOWER_HALF = np.uint64((1 << 32) - 1)
_HIDDEN = np.uint64(round(0.8 * 2**32))
_HIDDEN_OR_KEPT = np.uint64(round(0.9 * 2**32))

_LAST = np.uint64((1 << 64) - 1)
# The bits that tell apart what is put in random order, and where it stands: enough for any length.
_PLACE = np.uint64((1 << 20) - 1)
# SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014): the
# numbers of a stream are these steps from its start, each put through a finalizer. The finalizer is
# that of MurmurHash3.
_STEP = 0x9E3779B97F4A7C15
_MULTIPLIERS = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)
_SHIFT = np.uint64(33)


class DynamicMasking:
    """Chooses the tokens to predict and hides them (section 3.1, task 1, of the BERT paper).

    Attributes:
      num_ids: Of how many ids, from 0 on, a random word is drawn.
    """

    def __init__(
        self,
        mask_id: int,
        num_ids: int,
        mask_unit: str,
        masked_lm_prob: float,
        max_predictions_per_seq: int,
        seed: int,
    ):
        """Sets up masking.

        Args:
          mask_id: The id of [MASK].
          num_ids: See the attribute; above `mask_id`.
          mask_unit: What is chosen as a whole: "token", "morpheme" or "word".
          masked_lm_prob: The share of all tokens to predict, 0 to 1.
          max_predictions_per_seq: How many tokens to predict at most; one is predicted at least.
          seed: Of the draws; any integer.
        """
        self._mask_id = mask_id
        self.num_ids = num_ids
        self._start_bit = None if mask_unit == "token" else _START_BITS[mask_unit]
        self._masked_lm_prob = masked_lm_prob
        self._max_predictions = max_predictions_per_seq
        # One stream a record says which are chosen, another what becomes of them.
        digest = hashlib.blake2b(f"masks,{seed}".encode(), digest_size=16).digest()
        self._choice_key, self._change_key = np.frombuffer(digest, "<u8").astype(np.uint64)

    @classmethod
    def from_info(
        cls,
        info: Mapping[str, Any],
        mask_unit: str,
        masked_lm_prob: float,
        max_predictions_per_seq: int,
        seed: int,
    ) -> "DynamicMasking":
        """Makes it for records of which `info` stands beside them (see `record_info`).

        Raises:
          InputError: Their tokenizer does not tell where a `mask_unit` starts.
        """
        mask_units = info["mask_units"]
        if mask_unit not in mask_units:
            raise InputError(
                f"--mask_unit={mask_unit} does not go with these records: their tokenizer tells "
                f"only {' and '.join(unit for unit in MASK_UNITS if unit in mask_units)}. Choose "
                "one of those, or make records with a deeq tokenizer."
            )
        return cls(
            info["mask_id"],
            info["num_ids"],
            mask_unit,
            masked_lm_prob,
            max_predictions_per_seq,
            seed,
        )

    def mask(
        self,
        input_ids: np.ndarray,
        input_mask: np.ndarray,
        token_units: np.ndarray,
        records: np.ndarray,
        epochs: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Hides some of the tokens of each sequence.

        Args:
          input_ids: [batch, length].
          input_mask: [batch, length], 1 for a token and 0 for padding.
          token_units: [batch, length], for each token the sum of WORD_START, MORPHEME_START and
            NEVER_MASKED that holds.
          records: [batch], which record each sequence is.
          epochs: [batch], in which pass over the records it is met.

        Returns:
          The ids with the masks in place [batch, length], and [batch, max_predictions_per_seq] the
          positions to predict, ascending, the ids that stood there, and the float32 weights: 1, and
          0 where there are fewer predictions, with zeros in all three.
        """
        candidates = (input_mask != 0) & (token_units & NEVER_MASKED == 0)
        lengths = np.count_nonzero(input_mask, axis=1)
        # To even, as Python's round does.
        wanted = np.rint(lengths * self._masked_lm_prob).astype(np.int64)
        limits = np.minimum(np.maximum(wanted, 1), self._max_predictions)
        choice_starts = self._stream_starts(self._choice_key, records, epochs)
        if self._start_bit is None:
            chosen = _choose_tokens(candidates, limits, choice_starts)
        else:
            starts = token_units & self._start_bit != 0
            chosen = _choose_units(candidates, starts, limits, choice_starts)
        rows, columns = np.nonzero(chosen)
        labels = input_ids[rows, columns]
        masked_ids = input_ids.copy()
        drawn = _draws(self._stream_starts(self._change_key, records, epochs)[rows], columns)
        masked_ids[rows, columns] = self._changed(labels, drawn)

        shape = len(input_ids), self._max_predictions
        counts = np.bincount(rows, minlength=len(input_ids))
        places = rows, np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        positions = np.zeros(shape, input_ids.dtype)
        positions[places] = columns
        label_table = np.zeros(shape, input_ids.dtype)
        label_table[places] = labels
        weights = np.zeros(shape, np.float32)
        weights[places] = 1.0
        return masked_ids, positions, label_table, weights

    def _changed(self, ids: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        """Returns what stands in the place of `ids`: 80% [MASK], 10% the same, 10% a random id."""
        deciding = drawn >> _HALF
        random_ids = ((drawn & _LOWER_HALF) * np.uint64(self.num_ids) >> _HALF).astype(ids.dtype)
        kept_or_random = np.where(deciding < _HIDDEN_OR_KEPT, ids, random_ids)
        return np.where(deciding < _HIDDEN, ids.dtype.type(self._mask_id), kept_or_random)

    def _stream_starts(self, key: np.uint64, records: np.ndarray, epochs: np.ndarray) -> np.ndarray:
        """Returns where the stream of random numbers of each record in its epoch starts."""
        return _mixed(_mixed(records.astype(np.uint64) ^ key) + epochs.astype(np.uint64))


def _choose_tokens(
    candidates: np.ndarray, limits: np.ndarray, stream_starts: np.ndarray
) -> np.ndarray:
    """Returns where the first tokens stand, up to the limit, when they come in random order."""
    order = np.where(candidates, _ranking(stream_starts, candidates.shape[1]), _LAST)
    last = np.sort(order, axis=1)[np.arange(len(order)), limits - 1]
    return candidates & (order <= last[:, np.newaxis])


def _choose_units(
    candidates: np.ndarray, starts: np.ndarray, limits: np.ndarray, stream_starts: np.ndarray
) -> np.ndarray:
    """Returns where the tokens of whole units stand, in random order as long as they fit.

    A unit that does not fit is passed over; a shorter one further on may. A token that starts no
    unit belongs to that of the candidate before it.
    """
    row_count = len(candidates)
    # Candidates before the first start, if any, are unit 0.
    units = np.cumsum((candidates & starts).astype(np.int32), axis=1, dtype=np.int32)
    unit_count = int(units[:, -1].max()) + 1
    # What is never masked is counted in a column of its own.
    columns = np.where(candidates, units, np.int32(unit_count))
    places = columns + (np.arange(row_count) * (unit_count + 1))[:, np.newaxis]
    counts = np.bincount(places.ravel(), minlength=row_count * (unit_count + 1))
    sizes = counts.reshape(row_count, unit_count + 1)[:, :unit_count].astype(np.int32)

    ranking = np.sort(_ranking(stream_starts, unit_count), axis=1)
    order = (ranking & _PLACE).astype(np.int64)
    sizes = np.take_along_axis(sizes, order, axis=1)
    waiting, room = sizes.copy(), limits.copy()
    # So many units mostly fill all the room; the others are looked at where they do not.
    for width in (min(unit_count, int(limits.max())), unit_count):
        rows = np.nonzero(room)[0]
        # One turn takes all units up to the first that does not fit. What does not fit then never
        # will, so that the room left shrinks in every turn.
        while len(rows):
            fitting = waiting[rows, :width]
            fitting[fitting > room[rows, np.newaxis]] = 0
            fitting[np.cumsum(fitting, axis=1, dtype=np.int32) > room[rows, np.newaxis]] = 0
            waiting[rows, :width] -= fitting
            taken = fitting.sum(axis=1)
            room[rows] -= taken
            rows = rows[(taken > 0) & (room[rows] > 0)]
    chosen = np.zeros(sizes.shape, bool)
    np.put_along_axis(chosen, order, waiting < sizes, axis=1)
    return candidates & np.take_along_axis(chosen, units, axis=1)


def _ranking(stream_starts: np.ndarray, count: int) -> np.ndarray:
    """Returns `count` random numbers for each stream; their last bits are their places."""
    places = np.arange(count)
    ranking = _draws(stream_starts[:, np.newaxis], places)
    ranking &= ~_PLACE
    ranking |= places.astype(np.uint64)
    return ranking


def _draws(stream_starts: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Returns the numbers at `places` of streams, 64 random bits each."""
    steps = (places.astype(np.uint64) + np.uint64(1)) * np.uint64(_STEP)
    return _mixed(stream_starts + steps)


def _mixed(values: np.ndarray) -> np.ndarray:
    """Spreads each bit of `values` over all of them, in place."""
    for multiplier in _MULTIPLIERS:
        values ^= values >> _SHIFT
        values *= multiplier
    values ^= values >> _SHIFT
    return values
