"""A peer of pretraining_data.py: Hugging Face's tokenizers and a masker in numpy.

What one writes today who knows both: BertWordPieceTokenizer on batches of lines, sentences as ids,
next-sentence pairs as the original makes them, then thousands of instances masked at once with
arrays, and a tf.train.Example for each. The records have the lengths and features of the others but
other random choices. Takes the flags of bert/create_pretraining_data.py that the benchmark gives.
"""

import os
import sys

# This must be so before the library is imported: everybody has one core.
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
# Beside this file is one that bears the name of Hugging Face's package.
_FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [*(folder for folder in sys.path if folder != _FOLDER), _FOLDER]

import itertools  # noqa: E402
import random  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from typing import NamedTuple  # noqa: E402

import numpy as np  # noqa: E402
from plain_pretraining_data import Job, Pair, make_pairs, parse_job, serialise  # noqa: E402

from deeq_bert.bert.records import frame_record  # noqa: E402
from deeq_bert.tokenizers.files import read_lines  # noqa: E402
from tokenizers import BertWordPieceTokenizer  # noqa: E402

BATCH_LINES = 1000
BATCH_INSTANCES = 4096


class Batch(NamedTuple):
    """Masked instances, a row each.

    Attributes:
      ids: The ids with masks, padded with 0.
      labels: The ids without.
      chosen: Where a token is to be predicted.
      lengths: How many ids of each row are not padding.
      first_lengths: How many of them belong to the first segment.
      random_next: Whether the second segment is a random one.
    """

    ids: np.ndarray
    labels: np.ndarray
    chosen: np.ndarray
    lengths: np.ndarray
    first_lengths: np.ndarray
    random_next: np.ndarray


class BatchMasker:
    """Masks many instances at once."""

    def __init__(self, job: Job, vocab: dict[str, int]):
        """Takes what the flags ask for and the id of each token."""
        self._job = job
        self._special_ids = vocab["[CLS]"], vocab["[SEP]"]
        self._mask_id = vocab["[MASK]"]
        self._num_ids = len(vocab)
        # Of each id whether it continues a word; nothing does where tokens count by themselves.
        self._continues = np.zeros(self._num_ids, bool)
        if job.do_whole_word_mask:
            for token, token_id in vocab.items():
                self._continues[token_id] = token.startswith("##")
        self._rng = np.random.default_rng(job.random_seed)

    def mask(self, pairs: list[Pair]) -> Batch:
        """Returns the pairs as instances with masks."""
        cls_id, sep_id = self._special_ids
        rows = len(pairs)
        labels = np.zeros((rows, self._job.max_seq_length), np.int32)
        lengths, first_lengths = np.zeros(rows, np.int32), np.zeros(rows, np.int32)
        for row, (first, second, _) in enumerate(pairs):
            ids = [cls_id, *first, sep_id, *second, sep_id]
            labels[row, : len(ids)] = ids
            lengths[row] = len(ids)
            first_lengths[row] = len(first) + 2
        chosen = self._choose(labels, lengths)
        draw = self._rng.random(labels.shape)
        random_ids = self._rng.integers(self._num_ids, size=labels.shape, dtype=np.int32)
        ids = np.where(chosen & (draw < 0.8), self._mask_id, labels)
        ids = np.where(chosen & (draw >= 0.9), random_ids, ids)
        random_next = np.array([pair.is_random_next for pair in pairs])
        return Batch(ids, labels, chosen, lengths, first_lengths, random_next)

    def _choose(self, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        rows, width = ids.shape
        # Each word draws a number, which all of its tokens have; the lowest are chosen.
        words = np.cumsum(~self._continues[ids], axis=1) - 1
        numbers = np.take_along_axis(self._rng.random(ids.shape), np.maximum(words, 0), axis=1)
        maskable = (np.arange(width) < lengths[:, np.newaxis]) & ~np.isin(ids, self._special_ids)
        numbers[~maskable] = np.inf
        limits = np.clip(
            np.rint(lengths * self._job.masked_lm_prob).astype(int),
            1,
            self._job.max_predictions_per_seq,
        )
        # A word that would go over the limit has the first number that is not chosen.
        ends = np.sort(numbers, axis=1)[np.arange(rows), limits]
        return numbers < ends[:, np.newaxis]


def make_records(job: Job) -> None:
    """The whole job."""
    import tensorflow as tf

    tokenizer = BertWordPieceTokenizer(
        job.vocab_file, lowercase=job.do_lower_case, strip_accents=job.do_lower_case
    )
    documents = read_documents(job.input_file, tokenizer)
    rng = random.Random(job.random_seed)
    rng.shuffle(documents)
    masker = BatchMasker(job, tokenizer.get_vocab())
    pairs = (
        pair
        for _ in range(job.dupe_factor)
        for index in range(len(documents))
        for pair in make_pairs(documents, index, job, rng)
    )
    batches = []
    while some_pairs := list(itertools.islice(pairs, BATCH_INSTANCES)):
        batches.append(masker.mask(some_pairs))
    order = [(batch, row) for batch in batches for row in range(len(batch.lengths))]
    rng.shuffle(order)
    with open(job.output_file, "wb") as output:
        for batch, row in order:
            length, first_length = int(batch.lengths[row]), int(batch.first_lengths[row])
            positions = np.flatnonzero(batch.chosen[row])
            data = serialise(
                tf,
                batch.ids[row, :length].tolist(),
                [0] * first_length + [1] * (length - first_length),
                positions.tolist(),
                batch.labels[row, positions].tolist(),
                bool(batch.random_next[row]),
                job,
            )
            output.write(frame_record(data))


def read_documents(text: str, tokenizer: BertWordPieceTokenizer) -> list[list[list[int]]]:
    documents: list[list[list[int]]] = [[]]
    lines = map(str.strip, read_lines(text))
    while batch := list(itertools.islice(lines, BATCH_LINES)):
        for line, ids in zip(batch, encode(tokenizer, batch)):
            if not line:
                documents.append([])
            elif ids:
                documents[-1].append(ids)
    return [document for document in documents if document]


def encode(tokenizer: BertWordPieceTokenizer, lines: list[str]) -> Iterator[list[int]]:
    for encoding in tokenizer.encode_batch(lines, add_special_tokens=False):
        yield encoding.ids


if __name__ == "__main__":
    make_records(parse_job())
