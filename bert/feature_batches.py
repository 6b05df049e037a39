"""Batches of examples that are in memory as arrays, to train and to predict on.

Padding that no example of a batch needs is cut off: it costs time and changes nothing, since what
is masked has no share in anything.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import tensorflow as tf

from deeq_bert.bert.shuffling import shuffled_indexes
from deeq_bert.bert.train_step import Batch

# Arrays with one column a token.
_SEQUENCES = ("input_ids", "input_mask", "segment_ids")
# What a length is rounded up to, which keeps the number of different ones small.
_LENGTH_UNIT = 8
_ORDERED_AT_ONCE = 1024


class FeatureBatches:
    """The examples of a task, as arrays by name with a row an example.

    input_ids, input_mask and segment_ids are [examples, length] with the padding at the end; others
    may have any shape.
    """

    def __init__(self, features: Mapping[str, np.ndarray], cut_padding: bool):
        """Takes the arrays.

        Args:
          features: All alike in their first dimension, which is at least 1.
          cut_padding: Whether batches are as short as their longest example allows.
        """
        self._features = dict(features)
        mask = self._features["input_mask"]
        self._full_length = mask.shape[1]
        self._lengths = mask.sum(axis=1)
        self._cut_padding = cut_padding

    def __len__(self) -> int:
        return len(self._lengths)

    def for_training(self, batch_size: int, position: int, seed: int) -> Iterator[Batch]:
        """Yields batches for ever, each pass over the examples in another order.

        Args:
          batch_size: The global batch.
          position: The number of examples consumed before the first batch.
          seed: Of the orders.
        """
        while True:
            count = max(1, _ORDERED_AT_ONCE // batch_size) * batch_size
            indexes = shuffled_indexes(position, count, len(self), seed)
            for first in range(0, count, batch_size):
                yield self._read(indexes[first : first + batch_size])
            position += count

    def for_evaluation(self, batch_size: int) -> Iterator[tuple[np.ndarray, Batch]]:
        """Yields batches with the indexes of their examples, longest examples first.

        The last batch is filled up with its last example; its indexes are as many as are real.

        Args:
          batch_size: The global batch.
        """
        order = np.argsort(-self._lengths, kind="stable")
        for first in range(0, len(order), batch_size):
            indexes = order[first : first + batch_size]
            filled = np.pad(indexes, (0, batch_size - len(indexes)), mode="edge")
            yield indexes, self._read(filled)

    def _read(self, indexes: np.ndarray) -> Batch:
        length = self._full_length
        if self._cut_padding:
            longest = max(1, int(self._lengths[indexes].max()))
            length = min(length, -(-longest // _LENGTH_UNIT) * _LENGTH_UNIT)
        # Placed on the CPU, from where each replica gets its part.
        with tf.device("/cpu:0"):
            return {
                name: tf.constant(
                    values[indexes, :length] if name in _SEQUENCES else values[indexes]
                )
                for name, values in self._features.items()
            }
