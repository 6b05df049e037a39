"""From records to batches: a global shuffle whose position is one integer.

The record at position p of a run is a function of p, the seed and the number of records alone, so
a run goes on exactly where it stopped by starting at the next position.

Records are read and parsed in a thread of their own, a few batches ahead, and not in a tf.data
pipeline: one that calls Python to read can wait for ever for its own threads when a process ends.
"""

import atexit
import queue
import threading
from collections.abc import Iterator
from typing import NoReturn

import numpy as np
import tensorflow as tf

from deeq_bert.bert.record_checks import check_record, value_limits
from deeq_bert.bert.records import RecordSet
from deeq_bert.bert.shuffling import shuffled_indexes
from deeq_bert.tokenizers.errors import InputError

Batch = dict[str, tf.Tensor]

_BATCHES_AHEAD = 8
# How often the reading thread looks whether it is still wanted, in seconds.
_PATIENCE = 0.1


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
    ):
        """Prepares the reading of `records`.

        Args:
          records: The records, as `bert/create_pretraining_data.py` writes them.
          max_seq_length: Their sequence length.
          max_predictions_per_seq: Their number of masked positions.
          vocab_size: What every id must be below.
        """
        self._records = records
        self._lengths = max_seq_length, max_predictions_per_seq
        self._vocab_size = vocab_size
        self._features = {
            "input_ids": tf.io.FixedLenFeature([max_seq_length], tf.int64),
            "input_mask": tf.io.FixedLenFeature([max_seq_length], tf.int64),
            "segment_ids": tf.io.FixedLenFeature([max_seq_length], tf.int64),
            "masked_lm_positions": tf.io.FixedLenFeature([max_predictions_per_seq], tf.int64),
            "masked_lm_ids": tf.io.FixedLenFeature([max_predictions_per_seq], tf.int64),
            "masked_lm_weights": tf.io.FixedLenFeature([max_predictions_per_seq], tf.float32),
            "next_sentence_labels": tf.io.FixedLenFeature([1], tf.int64),
        }

    def for_training(self, batch_size: int, position: int, seed: int) -> Iterator[Batch]:
        """Yields shuffled batches without end, from `position` on.

        Every pass over the records is a permutation of all of them, another one each time. A batch
        may hold the end of one pass and the start of the next.

        Args:
          batch_size: The global batch.
          position: The number of records consumed before the first batch.
          seed: Of the shuffles.

        Raises:
          InputError: A record has changed or does not hold what it should.
        """

        def batches() -> Iterator[Batch]:
            start = position
            while True:
                yield self._read(shuffled_indexes(start, batch_size, len(self._records), seed))
                start += batch_size

        return _read_ahead(batches())

    def for_evaluation(self, batch_size: int, max_batches: int) -> Iterator[Batch]:
        """Yields the first records in file order, each once.

        Args:
          batch_size: The global batch; the last one is filled up with examples of weight 0.
          max_batches: The most batches to read.

        Raises:
          InputError: A record has changed or does not hold what it should.
        """
        count = min(len(self._records), batch_size * max_batches)

        def batches() -> Iterator[Batch]:
            for start in range(0, count, batch_size):
                indexes = np.arange(start, min(start + batch_size, count))
                yield self._read(indexes, batch_size - len(indexes))

        return _read_ahead(batches())

    def _read(self, indexes: np.ndarray, fillers: int = 0) -> Batch:
        """Returns the records at `indexes`, and after them `fillers` examples of weight 0."""
        numbers = indexes.tolist()
        serialized = [self._records.read(number) for number in numbers]
        # What fills up a batch may be any record.
        serialized += serialized[:1] * fillers
        # Placed on the CPU, or each batch would pass through the memory of a GPU to be parsed.
        with tf.device("/cpu:0"):
            try:
                features = tf.io.parse_example(serialized, self._features)
            except tf.errors.InvalidArgumentError as error:
                self._refuse(numbers, error.message)
            # A GPU would look up what is out of range as zeros, and say nothing.
            for name, limit in value_limits(self._lengths[0], self._vocab_size).items():
                values = features[name].numpy()
                if values.min() < 0 or values.max() >= limit:
                    self._refuse(numbers, f"{name} has values out of range.")
            if not np.isfinite(features["masked_lm_weights"].numpy()).all():
                self._refuse(numbers, "masked_lm_weights is not finite.")
            batch = {
                name: tf.cast(value, tf.int32) if value.dtype == tf.int64 else value
                for name, value in features.items()
            }
            weights = tf.constant([1.0] * len(numbers) + [0.0] * fillers)
            batch["masked_lm_weights"] *= weights[:, tf.newaxis]
            return {**batch, "example_weights": weights}

    def _refuse(self, numbers: list[int], reason: str) -> NoReturn:
        """Raises the InputError that names the first bad record among `numbers`."""
        for number in numbers:
            check_record(self._records, number, *self._lengths, self._vocab_size)
        path, number = self._records.location(numbers[0])
        raise InputError(f"{path}, record {number} or one read with it: {reason.splitlines()[0]}")


def _read_ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Yields `batches`, made in a thread that ends when this generator is closed."""
    ready: queue.Queue[Batch | BaseException | None] = queue.Queue(_BATCHES_AHEAD)
    wanted = threading.Event()
    wanted.set()

    def put(item: Batch | BaseException | None) -> None:
        while wanted.is_set():
            try:
                return ready.put(item, timeout=_PATIENCE)
            except queue.Full:
                continue

    def fill() -> None:
        try:
            for batch in batches:
                put(batch)
                if not wanted.is_set():
                    return
            put(None)
        except BaseException as error:  # noqa: B036 - raised again where the batch is taken
            put(error)

    thread = threading.Thread(target=fill, name="records", daemon=True)

    def stop() -> None:
        wanted.clear()
        thread.join()

    thread.start()
    # Where the generator is never closed. When the interpreter has begun to shut down, a thread
    # cannot end any more, and waiting for it would never end.
    atexit.register(stop)
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        atexit.unregister(stop)
        stop()
