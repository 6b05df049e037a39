"""From records to batches: a global shuffle whose position is one integer.

The record at position p of a run is a function of p, the seed and the number of records alone, so
a run goes on exactly where it stopped by starting at the next position.

Records are read, parsed and masked in a thread of their own, a few batches ahead, and not in a
tf.data pipeline: one that calls Python to read can wait for ever for its own threads when a process
ends. One thread is enough: it makes more batches than eight GPUs can use (see
tests/benchmarks/input_pipeline.py).
"""

import atexit
import queue
import threading
from collections.abc import Iterator
from typing import NoReturn

import numpy as np
import tensorflow as tf

from deeq_bert.bert.dynamic_masking import DynamicMasking
from deeq_bert.bert.record_checks import check_record, value_limits
from deeq_bert.bert.records import RecordSet
from deeq_bert.bert.shuffling import shuffled_indexes
from deeq_bert.bert.unmasked_records import check_unmasked_record, unmasked_value_limits
from deeq_bert.tokenizers.errors import InputError

Batch = dict[str, tf.Tensor]

_BATCHES_AHEAD = 8
# How many positions are looked up at once, at least: one costs little less than some hundred.
_POSITIONS_AT_ONCE = 1024
# How often the reading thread looks whether it is still wanted, in seconds.
_PATIENCE = 0.1
# How long to wait for the end of a thread that a disk or a network may hold up, in seconds.
_LONGEST_WAIT = 10.0


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
        self._parse = _Parser(kinds)

    def for_training(
        self, batch_size: int, position: int, seed: int, part: slice | None = None
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

        Raises:
          InputError: A record has changed or does not hold what it should.
        """
        rows = np.arange(batch_size)[part or slice(None)]
        count = len(self._records)

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

        return _read_ahead(batches())

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

        return _read_ahead(batches())

    def _read(self, indexes: np.ndarray, epochs: np.ndarray, real: np.ndarray) -> Batch:
        """Returns the records at `indexes`; those that are not `real` get the weight 0."""
        # Placed on the CPU, or each batch would pass through the memory of a GPU to be parsed.
        with tf.device("/cpu:0"):
            try:
                values = self._parse(self._records.read_many(indexes))
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
            values["example_weights"] = real.astype(np.float32)
            values["masked_lm_weights"] = values["masked_lm_weights"] * real[:, np.newaxis]
            return {name: tf.constant(value) for name, value in values.items()}

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


class _Parser:
    """Parses serialised tf.train.Example messages.

    This is tf.io.parse_example, which for a small batch spends four times as long on preparing the
    arguments of its operation as that takes; here they are prepared once.
    """

    def __init__(self, kinds: dict[str, tuple[tf.DType, int]]):
        """Takes the type and the length of each feature."""
        self._names = list(kinds)
        with tf.device("/cpu:0"):
            nothing = tf.constant([], tf.string)
            self._arguments = {
                "names": nothing,
                "sparse_keys": nothing,
                "dense_keys": tf.constant(self._names),
                "ragged_keys": nothing,
                # Without a default, an example that lacks a feature is an error.
                "dense_defaults": [tf.constant([], kind) for kind, _ in kinds.values()],
                "num_sparse": 0,
                "sparse_types": [],
                "ragged_value_types": [],
                "ragged_split_types": [],
                "dense_shapes": [[length] for _, length in kinds.values()],
            }

    def __call__(self, serialized: list[bytes]) -> dict[str, np.ndarray]:
        """Returns [examples, length] for each feature.

        Raises:
          tf.errors.InvalidArgumentError: An example is malformed, or not of these features.
        """
        parsed = tf.raw_ops.ParseExampleV2(serialized=tf.constant(serialized), **self._arguments)
        return {name: value.numpy() for name, value in zip(self._names, parsed.dense_values)}


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
        thread.join(_LONGEST_WAIT)

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
