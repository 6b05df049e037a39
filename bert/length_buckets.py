"""Batches of sequences of like lengths, with less padding.

Records are taken from the shuffled order a window of batches at a time. Within a window they are
sorted by length and cut into batches, which then come in random order. A window holds the same
records as without that, and what its batches are follows from the seed and its place alone: a run
that stops in the middle of one goes on with the batches that are left.

There is no TensorFlow on this path.
"""

import hashlib
from typing import NamedTuple

import numpy as np

from deeq_bert.bert.shuffling import shuffled_indexes

# More batches sort better, but the first of a window waits until all of it is read; and its records
# are in memory, of 1 to 3 kB each.
_BATCHES_A_WINDOW, _FEWEST_BATCHES = 64, 8
_RECORDS_A_WINDOW = 1 << 14
# The lengths a batch may have, in sixteenths of the longest. The computation is compiled anew for
# each; close together where sequences of short documents are, they leave a quarter less padding
# than equal steps.
_SIXTEENTHS = (1, 2, 3, 4, 6, 8, 12, 16)
# What GPUs multiply at once; a length between its multiples takes as long as the next of them.
_UNIT = 16


class Bucket(NamedTuple):
    """The columns that are left of a batch: tokens and predictions a sequence."""

    length: int
    predictions: int


class Window(NamedTuple):
    """Some batches in a row, of which the records are sorted.

    Attributes:
      first: The position of its first record.
      batches: How many batches it has.
      skip: How many of them come before the position it was asked for.
    """

    first: int
    batches: int
    skip: int


def window_at(position: int, batch_size: int) -> Window:
    """Returns the window that holds the next batch of a run.

    Where the global batch has changed in the middle of a run, its positions are no multiples of the
    batch; the windows then begin as far behind the multiples as they do.

    Args:
      position: The number of records consumed before that batch.
      batch_size: The global batch.
    """
    batches = min(_BATCHES_A_WINDOW, max(_FEWEST_BATCHES, _RECORDS_A_WINDOW // batch_size))
    skip = position // batch_size % batches
    return Window(position - skip * batch_size, batches, skip)


def used_columns(weights: np.ndarray) -> np.ndarray:
    """Returns how many columns of each row are in use: all up to the last that is not 0.

    Args:
      weights: [rows, columns], such as input_mask or masked_lm_weights.
    """
    backwards = weights[:, ::-1] != 0
    return np.where(backwards.any(axis=1), weights.shape[1] - np.argmax(backwards, axis=1), 0)


def make_buckets(max_seq_length: int, max_predictions_per_seq: int) -> list[Bucket]:
    """Returns the sizes that batches are cut to, at most 8, ascending; the last cuts nothing."""
    lengths = {
        min(-(-max_seq_length * part // (16 * _UNIT)) * _UNIT, max_seq_length)
        for part in _SIXTEENTHS
    }
    # Predictions are a share of the tokens, so that both fall together.
    return [
        Bucket(length, -(-max_predictions_per_seq * length // max_seq_length))
        for length in sorted(lengths)
    ]


def smallest_bucket(buckets: list[Bucket], length: int, predictions: int) -> Bucket:
    """Returns the first of `buckets` that so many tokens and predictions a sequence fit in."""
    return next(
        bucket
        for bucket in buckets
        if bucket.length >= length and bucket.predictions >= predictions
    )


def sorted_batches(
    lengths: np.ndarray, passes: np.ndarray, batch_size: int, first: int, seed: int
) -> np.ndarray:
    """Makes the batches of a window.

    A batch that holds the end of one pass over the records and the start of the next stays as it
    is, and between those of the two: every pass sees each record once, and no other batch sees one
    twice.

    Args:
      lengths: Of the window's sequences, in the shuffled order.
      passes: In which pass over the records each of them is met, ascending.
      batch_size: The global batch; divides their number.
      first: The position of the first of them.
      seed: Of the order of the batches.

    Returns:
      [batches, batch_size], the places of the sequences in `lengths`.
    """
    places = np.arange(len(lengths)).reshape(-1, batch_size)
    # Equal for batches side by side that may exchange their records.
    kinds = passes[places[:, 0]] + passes[places[:, -1]]
    starts = np.flatnonzero(np.diff(kinds, prepend=-1))
    for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(places)]):
        among = places[start:end].ravel()
        if passes[among[0]] == passes[among[-1]]:
            among = among[np.argsort(lengths[among], kind="stable")]
        number = first + start * batch_size
        order = shuffled_indexes(
            number * (end - start), end - start, end - start, _order_seed(seed)
        )
        places[start:end] = among.reshape(-1, batch_size)[order]
    return places


def _order_seed(seed: int) -> int:
    """Returns a seed of the orders of batches; that of the records' own order is `seed` itself."""
    digest = hashlib.blake2b(f"batches,{seed}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")
