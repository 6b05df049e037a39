"""From records to batches: a global shuffle whose position is one integer.

The record at position p of a run is a function of p, the seed and the number of records alone, so
a run goes on exactly where it stopped by starting at the next position.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from deeq_bert.bert.records import RecordSet
from deeq_bert.tokenizers.errors import InputError

# The parsing threads of tf.data release Python's lock while they read.
_PARALLEL_BATCHES = 4
_PREFETCHED_BATCHES = 8


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
          vocab_size: What every id must be below; a GPU would look up a larger one as zeros.
        """
        self._records = records
        self._vocab_size = vocab_size
        self._error: InputError | None = None
        self._features = {
            "input_ids": tf.io.FixedLenFeature([max_seq_length], tf.int64),
            "input_mask": tf.io.FixedLenFeature([max_seq_length], tf.int64),
            "segment_ids": tf.io.FixedLenFeature([max_seq_length], tf.int64),
            "masked_lm_positions": tf.io.FixedLenFeature([max_predictions_per_seq], tf.int64),
            "masked_lm_ids": tf.io.FixedLenFeature([max_predictions_per_seq], tf.int64),
            "masked_lm_weights": tf.io.FixedLenFeature([max_predictions_per_seq], tf.float32),
            "next_sentence_labels": tf.io.FixedLenFeature([1], tf.int64),
        }

    def for_training(self, batch_size: int, position: int, seed: int) -> tf.data.Dataset:
        """Returns an endless dataset of shuffled batches, from `position` on.

        Every pass over the records is a permutation of all of them, another one each time. A batch
        may hold the end of one pass and the start of the next.

        Args:
          batch_size: The global batch.
          position: The number of records consumed before the first batch.
          seed: Of the shuffles.
        """
        count = tf.constant(len(self._records), tf.int64)
        key = tf.fill([batch_size], tf.constant(seed, tf.int64))

        def record_numbers(start: tf.Tensor) -> tf.Tensor:
            positions = start + tf.range(batch_size, dtype=tf.int64)
            epochs = positions // count
            # The public tf.random.experimental.index_shuffle fails with a seed for each index.
            return tf.raw_ops.RandomIndexShuffle(
                index=positions % count,
                seed=tf.stack([tf.zeros_like(key), key, epochs], axis=1),
                max_index=count - 1,
            )

        starts = tf.data.Dataset.range(position, np.iinfo(np.int64).max - batch_size, batch_size)
        return self._read(starts, record_numbers, batch_size)

    def for_evaluation(self, batch_size: int, max_batches: int) -> tf.data.Dataset:
        """Returns a dataset of the first records in file order, each once.

        Args:
          batch_size: The global batch; the last one is filled up with examples of weight 0.
          max_batches: The most batches to read.
        """
        count = min(len(self._records), batch_size * max_batches)

        def record_numbers(start: tf.Tensor) -> tf.Tensor:
            positions = start + tf.range(batch_size, dtype=tf.int64)
            return tf.where(positions < count, positions, -1)

        starts = tf.data.Dataset.range(0, count, batch_size)
        return self._read(starts, record_numbers, batch_size)

    def explain(self, error: tf.errors.OpError) -> InputError:
        """Returns what to tell the user when taking a batch failed with `error`.

        Raises:
          tf.errors.OpError: `error` itself, where the records were not the cause.
        """
        if self._error is not None:
            return self._error
        if isinstance(error, tf.errors.InvalidArgumentError) and "Example" in error.message:
            return InputError(
                "A record does not hold the features that --max_seq_length and "
                f"--max_predictions_per_seq ask for: {error.message.splitlines()[0]} Make the "
                "records of all --input_file anew with the same flags."
            )
        raise error

    def _read(
        self,
        starts: tf.data.Dataset,
        record_numbers: Callable[[tf.Tensor], tf.Tensor],
        batch_size: int,
    ) -> tf.data.Dataset:
        def batch(start: tf.Tensor) -> dict[str, tf.Tensor]:
            numbers = record_numbers(start)
            serialized = tf.numpy_function(self._read_records, [numbers], tf.string)
            serialized.set_shape([batch_size])
            features = tf.io.parse_example(serialized, self._features)
            features = {
                name: tf.cast(value, tf.int32) if value.dtype == tf.int64 else value
                for name, value in features.items()
            }
            weights = tf.cast(numbers >= 0, tf.float32)
            largest = tf.maximum(
                tf.reduce_max(features["input_ids"], axis=1),
                tf.reduce_max(features["masked_lm_ids"], axis=1),
            )
            checked = tf.numpy_function(self._check_ids, [numbers, largest], tf.float32)
            weights *= tf.ensure_shape(checked, [batch_size])
            features["masked_lm_weights"] *= weights[:, tf.newaxis]
            features["example_weights"] = weights
            return features

        batches = starts.map(batch, num_parallel_calls=_PARALLEL_BATCHES, deterministic=True)
        # Taking an iterator down waits for the thread that tunes it, at times for minutes, and with
        # one stage there is little to tune.
        options = tf.data.Options()
        options.autotune.enabled = False
        return batches.prefetch(_PREFETCHED_BATCHES).with_options(options)

    def _check_ids(self, numbers: np.ndarray, largest_ids: np.ndarray) -> np.ndarray:
        worst = int(np.argmax(largest_ids))
        if largest_ids[worst] >= self._vocab_size:
            path, record = self._records.location(max(0, int(numbers[worst])))
            self._error = InputError(
                f"{path}, record {record}: holds the id {largest_ids[worst]}, but the vocab_size "
                f"of --bert_config_file is {self._vocab_size}. Give the configuration that fits "
                "the vocabulary of the records, or make the records anew."
            )
            raise self._error
        return np.ones(len(numbers), np.float32)

    def _read_records(self, numbers: np.ndarray) -> np.ndarray:
        try:
            # A filling example may be any record, since its weight is 0.
            return np.array([self._records.read(max(0, int(n))) for n in numbers], dtype=object)
        except InputError as error:
            self._error = error
            raise
