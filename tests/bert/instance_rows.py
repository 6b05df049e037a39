"""Instances one by one, for tests and benchmarks that look at single ones or make some up."""

from array import array
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from deeq_bert.bert.documents import Documents
from deeq_bert.bert.example_encoding import ExampleEncoder
from deeq_bert.bert.instance_blocks import InstanceBlock
from deeq_bert.bert.masking import (
    HIDDEN_CHANCE,
    STAYS_CHANCE,
    Masker,
    MaskingChoice,
    masking_facts,
)
from deeq_bert.bert.random_words import RandomWords
from deeq_bert.tokenizers.base import TokenizedLines


class TrainingInstance(NamedTuple):
    """An instance of an InstanceBlock, with masks."""

    input_ids: list[int]
    first_segment_length: int
    masked_lm_positions: list[int]
    masked_lm_ids: list[int]
    is_random_next: bool


class UnmaskedInstance(NamedTuple):
    """An instance of an InstanceBlock that is to be masked when it is read."""

    input_ids: list[int]
    token_units: bytes
    first_segment_length: int
    is_random_next: bool


Row = TrainingInstance | UnmaskedInstance


def rows_of(block: InstanceBlock) -> list[Row]:
    """Returns the instances of a block."""
    rows: list[Row] = []
    start = prediction_start = 0
    for number, end in enumerate(block.ends.tolist()):
        ids = block.ids[start:end].tolist()
        first_length = int(block.first_lengths[number])
        is_random_next = bool(block.random_next[number])
        prediction_end = int(block.prediction_ends[number])
        if block.units is None:
            predictions = slice(prediction_start, prediction_end)
            positions = block.positions[predictions].tolist()
            labels = block.labels[predictions].tolist()
            rows.append(TrainingInstance(ids, first_length, positions, labels, is_random_next))
        else:
            units = block.units[start:end].tobytes()
            rows.append(UnmaskedInstance(ids, units, first_length, is_random_next))
        start, prediction_start = end, prediction_end
    return rows


def block_of(rows: Sequence[Row]) -> InstanceBlock:
    """Returns a block of these instances, which are of one kind."""
    is_masked = isinstance(rows[0], TrainingInstance)
    positions = [row.masked_lm_positions if is_masked else [] for row in rows]
    labels = [row.masked_lm_ids if is_masked else [] for row in rows]
    return InstanceBlock(
        _joined(row.input_ids for row in rows),
        np.cumsum([len(row.input_ids) for row in rows]),
        np.array([row.first_segment_length for row in rows]),
        np.array([row.is_random_next for row in rows]),
        _joined(positions),
        _joined(labels),
        np.cumsum([len(of_row) for of_row in positions]),
        None if is_masked else _joined(row.token_units for row in rows).astype(np.uint8),
    )


def encode_row(encoder: ExampleEncoder, row: Row) -> bytes:
    """Returns a single instance as a serialised example."""
    (example,) = encoder.encode(block_of([row]))
    return example


def documents_of(
    sentences: Iterable[Sequence[int]], vocab_size: int, units: bytes | None = None
) -> Documents:
    """Returns the document of these sentences; `units` are those of all tokens."""
    sentences = list(sentences)
    documents = Documents(vocab_size, unknown_id=1, keep_units=units is not None)
    ids = array("i", [id_ for sentence in sentences for id_ in sentence])
    counts = array("i", map(len, sentences))
    documents.add_lines(["text"] * len(sentences), TokenizedLines(ids, counts, units or b""))
    return documents


# The ids with the masks in place, the positions that are to be predicted, and the labels.
Masked = tuple[list[int], list[int], list[int]]


def mask_pair(
    tokenizer,
    first: Sequence[int],
    second: Sequence[int],
    masking: MaskingChoice,
    seed: int,
    draws: int = 1,
    units: bytes | None = None,
) -> list[Masked]:
    """Masks [CLS] A [SEP] B [SEP] so many times, with the draws of one seed.

    Args:
      tokenizer: Has a vocabulary.
      first: The ids of A.
      second: Those of B.
      masking: How tokens are chosen.
      seed: Of the draws.
      draws: How many times.
      units: What starts with each token of A and B; None where the ids tell.
    """
    vocab = tokenizer.vocab
    documents = documents_of([first, second], max(vocab.values()) + 1, units)
    words = RandomWords(seed, (HIDDEN_CHANCE, STAYS_CHANCE))
    length, total = len(first), len(first) + len(second)
    facts = masking_facts(tokenizer, documents, masking, total)
    masker = Masker(facts, words, hidden_chance=0, stays_chance=1)
    before = [vocab["[CLS]"], *first, vocab["[SEP]"], *second, vocab["[SEP]"]]
    outcomes = []
    for _ in range(draws):
        masker.mask(0, length, length, total)
        predictions = masker.take()
        masked = list(before)
        positions = [place + 1 + (place >= length) for place in predictions.places.tolist()]
        replacements = dict(zip(predictions.replaced.tolist(), predictions.replacements.tolist()))
        for number, position in enumerate(positions):
            if number not in predictions.unchanged:
                masked[position] = replacements.get(number, vocab["[MASK]"])
        positions.sort()
        outcomes.append((masked, positions, [before[position] for position in positions]))
    return outcomes


def _joined(lists: Iterable[Sequence[int]]) -> np.ndarray:
    return np.array([value for values in lists for value in values], np.int64)
