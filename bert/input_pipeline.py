"""From records to batches: a global shuffle whose position is one integer.

The record at position p of a run is a function of p, the seed and the number of records alone, so
a run goes on exactly where it stopped by starting at the next position.

Records are read, parsed and masked in a thread of their own, a few batches ahead, and not in a
tf.data pipeline: one that calls Python to read can wait for ever for its own threads when a process
ends. One thread is enough: it makes more batches than eight GPUs can use (see
tests/benchmarks/input_pipeline.py).
"""

import functools
from collections.abc import Iterator
from typing import NamedTuple, NoReturn

import numpy as np
import tensorflow as tf

from deeq_bert.bert.dynamic_masking import DynamicMasking
from deeq_bert.bert.example_parser import ExampleParser
from deeq_bert.bert.length_buckets import (
    Bucket,
    make_buckets,
    smallest_bucket,
    sorted_batches,
    used_columns,
    window_at,
)
from deeq_bert.bert.reading_ahead import read_ahead
from deeq_bert.bert.record_checks import check_record, value_limits
from deeq_bert.bert.records import RecordSet
from deeq_bert.bert.shuffling import shuffled_indexes
from deeq_bert.bert.unmasked_records import check_unmasked_record, unmasked_value_limits
from deeq_bert.tokenizers.base import MORPHEME_START, WORD_START
from deeq_bert.tokenizers.errors import InputError

Batch = dict[str, tf.Tensor]

# How many positions are looked up at once, at least: one costs little less than some hundred.
_POSITIONS_AT_ONCE = 1024
# What is padded to the longest sequence, and to the most predictions.
_TOKENS = ("input_ids", "input_mask", "segment_ids")
_PREDICTIONS = ("masked_lm_positions", "masked_lm_ids", "masked_lm_weights")


class RecordBatches:
    """Batches of pre-training features from a set of records.

    Each batch is a dict of int32 tensors `input_ids`, `input_mask`, `segment_ids` [batch, length],
    `masked_lm_positions`, `masked_lm_ids` [batch, predictions], `next_sentence_labels` [batch, 1],
    and the float32 tensors `masked_lm_weights` [batch, predictions] and `example_weights` [batch],
    1 for an example and 0 for what fills up the last batch of an evaluation.
    """

    def __init__(
        self,
        records: RecordSet,
        max_seq_length: int,
        max_predictions_per_seq: int,
        vocab_size: int,
        masking: DynamicMasking | None = None,
    ):
        """Prepares the reading of `records`.

        Args:
          records: The records, as `bert/create_pretraining_data.py` writes them.
          max_seq_length: Their sequence length.
          max_predictions_per_seq: Their number of masked positions.
          vocab_size: What every id must be below.
          masking: What masks the records; None where they are masked already.

        Raises:
          InputError: The masks draw from more ids than there are.
        """
        if masking and masking.num_ids > vocab_size:
            raise InputError(
                f"The records were made with a vocabulary of {masking.num_ids} tokens, but "
                f"vocab_size is {vocab_size}. Give the --bert_config_file that belongs to it."
            )
        self._records = records
        self._lengths = max_seq_length, max_predictions_per_seq
        self._vocab_size = vocab_size
        self._masking = masking
        if masking:
            self._limits = unmasked_value_limits(vocab_size)
        else:
            self._limits = value_limits(max_seq_length, vocab_size)
        lengths = {"next_sentence_labels": 1}
        for name in ("input_ids", "input_mask", "segment_ids", "token_units"):
            lengths[name] = max_seq_length
        for name in ("masked_lm_positions", "masked_lm_ids"):
            lengths[name] = max_predictions_per_seq
        kinds = {name: (tf.int64, lengths[name]) for name in self._limits}
        if not masking:
            kinds["masked_lm_weights"] = tf.float32, max_predictions_per_seq
        self._parse = ExampleParser(kinds)
        names = ["input_mask"] if masking else ["input_mask", "masked_lm_weights"]
        self._parse_sizes = ExampleParser({name: kinds[name] for name in names})
        self._buckets = make_buckets(max_seq_length, max_predictions_per_seq)

    def for_training(
        self,
        batch_size: int,
        position: int,
        seed: int,
        part: slice | None = None,
        length_buckets: bool = False,
    ) -> Iterator[Batch]:
        """Yields shuffled batches without end, from `position` on.

        Every pass over the records is a permutation of all of them, another one each time, and
        with other masks where they are masked here. A batch may hold the end of one pass and the
        start of the next.

        Args:
          batch_size: The global batch.
          position: The number of records consumed before the first batch.
          seed: Of the shuffles.
          part: The rows of each global batch to read; None for all.
          length_buckets: Whether sequences of like lengths come together, and lose their padding;
            see `length_buckets`. Then all rows are read, whichever `part` is.

        Raises:
          InputError: A record has changed or does not hold what it should.
        """
        rows = np.arange(batch_size)[part or slice(None)]
        count = len(self._records)
        if length_buckets:
            return read_ahead(self._sorted_batches(batch_size, position, seed, rows))

        def batches() -> Iterator[Batch]:
            start = position
            while True:
                indexes = shuffled_indexes(
                    start, max(1, _POSITIONS_AT_ONCE // batch_size) * batch_size, count, seed
                )
                for first in range(0, len(indexes), batch_size):
                    epochs = (start + first + rows) // count
                    yield self._read(indexes[first + rows], epochs, np.ones(len(rows), bool))
                start += len(indexes)

        return read_ahead(batches())

    def for_evaluation(
        self, batch_size: int, max_batches: int, part: slice | None = None
    ) -> Iterator[Batch]:
        """Yields the first records in file order, each once, and always with the same masks.

        Args:
          batch_size: The global batch; the last one is filled up with examples of weight 0.
          max_batches: The most batches to read.
          part: The rows of each global batch to read; None for all.

        Raises:
          InputError: A record has changed or does not hold what it should.
        """
        rows = np.arange(batch_size)[part or slice(None)]
        count = min(len(self._records), batch_size * max_batches)

        def batches() -> Iterator[Batch]:
            for start in range(0, count, batch_size):
                real = start + rows < count
                # What fills up a batch may be any record.
                indexes = np.where(real, start + rows, start)
                yield self._read(indexes, np.zeros_like(indexes), real)

        return read_ahead(batches())

    def first_buckets(self, batch_size: int, example_count: int, seed: int) -> list[Bucket]:
        """Returns the sizes of the first batches of training with `length_buckets`.

        Args:
          batch_size: The global batch.
          example_count: How many examples to look at, at least.
          seed: As of `for_training`.
        """
        buckets: list[Bucket] = []
        while len(buckets) * batch_size < example_count:
            window = self._read_window(len(buckets) * batch_size, batch_size, seed)
            buckets += [self._bucket(window, places) for places in window.batches]
        return buckets

    def _sorted_batches(
        self, batch_size: int, position: int, seed: int, rows: np.ndarray
    ) -> Iterator[Batch]:
        """Yields `rows` of the batches of sequences of like lengths, from `position` on."""
        while True:
            window = self._read_window(position, batch_size, seed)
            for places in window.batches:
                chosen = places[rows]
                yield self._read(
                    window.indexes[chosen],
                    window.epochs[chosen],
                    np.ones(len(rows), bool),
                    [window.serialized[place] for place in chosen.tolist()],
                    self._bucket(window, places),
                )
            position += len(window.batches) * batch_size

    def _read_window(self, position: int, batch_size: int, seed: int) -> "_Window":
        """Reads the window that `position` is in, and drops its batches before that."""
        first, batch_count, skip = window_at(position, batch_size)
        indexes = shuffled_indexes(first, batch_count * batch_size, len(self._records), seed)
        epochs = (first + np.arange(len(indexes))) // len(self._records)
        serialized: list[bytes] = []
        sizes = []
        for start in range(0, len(indexes), _POSITIONS_AT_ONCE):
            some = indexes[start : start + _POSITIONS_AT_ONCE]
            serialized += self._records.read_many(some)
            sizes.append(self._sizes(some, serialized[start:]))
        lengths, predictions = np.concatenate(sizes, axis=1)
        batches = sorted_batches(lengths, epochs, batch_size, first, seed)
        return _Window(indexes, epochs, serialized, lengths, predictions, batches[skip:])

    def _sizes(self, indexes: np.ndarray, serialized: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
        """Returns how many tokens and how many predictions each of some records has."""
        with tf.device("/cpu:0"):
            try:
                values = self._parse_sizes(serialized)
            except tf.errors.InvalidArgumentError as error:
                self._refuse(indexes, error.message)
        lengths = used_columns(values["input_mask"])
        if self._masking:
            return lengths, self._most_masked[lengths]
        return lengths, used_columns(values["masked_lm_weights"])

    @functools.cached_property
    def _most_masked(self) -> np.ndarray:
        """How many predictions a sequence of 0, 1 ... tokens has at most when it is masked here."""
        length, _ = self._lengths
        # What a sequence gets of which every token may be chosen.
        masks = np.tri(length + 1, length, -1, np.int32)
        units = np.full_like(masks, WORD_START | MORPHEME_START)
        nothing = np.zeros(length + 1, np.int64)
        *_, weights = self._masking.mask(np.zeros_like(masks), masks, units, nothing, nothing)
        return np.count_nonzero(weights, axis=1)

    def _bucket(self, window: "_Window", places: np.ndarray) -> Bucket:
        return smallest_bucket(
            self._buckets, window.lengths[places].max(), window.predictions[places].max()
        )

    def _read(
        self,
        indexes: np.ndarray,
        epochs: np.ndarray,
        real: np.ndarray,
        serialized: list[bytes] | None = None,
        bucket: Bucket | None = None,
    ) -> Batch:
        """Returns the records at `indexes`; those that are not `real` get the weight 0.

        Args:
          indexes: Which records.
          epochs: In which pass each of them is met.
          real: Whether each is more than a filler.
          serialized: The records, where they have been read.
          bucket: What the batch is cut to; None: it is left as it is.
        """
        # Placed on the CPU, or each batch would pass through the memory of a GPU to be parsed.
        with tf.device("/cpu:0"):
            try:
                values = self._parse(serialized or self._records.read_many(indexes))
            except tf.errors.InvalidArgumentError as error:
                self._refuse(indexes, error.message)
            # A GPU would look up what is out of range as zeros, and say nothing.
            for name, limit in self._limits.items():
                if values[name].min() < 0 or values[name].max() >= limit:
                    self._refuse(indexes, f"{name} has values out of range.")
                values[name] = values[name].astype(np.int32)
            if self._masking:
                (
                    values["input_ids"],
                    values["masked_lm_positions"],
                    values["masked_lm_ids"],
                    values["masked_lm_weights"],
                ) = self._masking.mask(
                    values["input_ids"],
                    values["input_mask"],
                    values.pop("token_units"),
                    indexes,
                    epochs,
                )
            elif not np.isfinite(values["masked_lm_weights"]).all():
                self._refuse(indexes, "masked_lm_weights is not finite.")
            if bucket:
                self._cut(values, indexes, bucket)
            values["example_weights"] = real.astype(np.float32)
            values["masked_lm_weights"] = values["masked_lm_weights"] * real[:, np.newaxis]
            return {name: tf.constant(value) for name, value in values.items()}

    def _cut(self, values: dict[str, np.ndarray], indexes: np.ndarray, bucket: Bucket) -> None:
        """Takes the columns off a batch that `bucket` has no room for; they are padding."""
        for name in _TOKENS:
            values[name] = values[name][:, : bucket.length]
        for name in _PREDICTIONS:
            values[name] = values[name][:, : bucket.predictions]
        if values["masked_lm_positions"].max() >= bucket.length:
            self._refuse(
                indexes,
                "masked_lm_positions lie in the padding. Leave out --length_buckets, or make the "
                "records again.",
            )

    def _refuse(self, indexes: np.ndarray, reason: str) -> NoReturn:
        """Raises the InputError that names the first bad record among those at `indexes`."""
        length, predictions = self._lengths
        for index in indexes.tolist():
            if self._masking:
                check_unmasked_record(self._records, index, length, self._vocab_size)
            else:
                check_record(self._records, index, length, predictions, self._vocab_size)
        path, number = self._records.location(int(indexes[0]))
        raise InputError(f"{path}, record {number} or one read with it: {reason.splitlines()[0]}")


class _Window(NamedTuple):
    """The records of a window of batches.

    Attributes:
      indexes: Which they are, in the shuffled order.
      epochs: In which pass each of them is met.
      serialized: What they hold.
      lengths: How many tokens each has.
      predictions: How many predictions each has at most.
      batches: [batches, batch size], the places of the records of those that are left.
    """

    indexes: np.ndarray
    epochs: np.ndarray
    serialized: list[bytes]
    lengths: np.ndarray
    predictions: np.ndarray
    batches: np.ndarray
