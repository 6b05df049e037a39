"""Examples to what the model reads: [CLS] a [SEP] b [SEP], cut and padded to one length.

Ids, masks and segments are those of the original's convert_single_example.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from absl import logging

from deeq_bert.bert.task_examples import InputExample
from deeq_bert.tokenizers.base import TokenizedLine, Tokenizer
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.vocabulary import CLS, SEP, UNK

# [CLS], two [SEP] and a token of each text.
MIN_SEQ_LENGTH = 5

# Analysers and their servers take texts line by line; to every tokenizer these are white space.
_LINE_ENDS = str.maketrans("\r\n", "  ")
# Above this share of unknown tokens, text and vocabulary do not belong together.
_MANY_UNKNOWN = 0.05


class InputFeatures(NamedTuple):
    """One example as the model reads it (the original's class of that name).

    Attributes:
      input_ids: [max_seq_length] ids, 0 behind the last.
      input_mask: 1 for each id, 0 behind.
      segment_ids: 0 for [CLS] a [SEP], 1 for b [SEP], 0 behind.
      label_id: The place of the label among the task's; 0 where there is none.
    """

    input_ids: list[int]
    input_mask: list[int]
    segment_ids: list[int]
    label_id: int


def convert_single_example(
    example: InputExample, labels: Sequence[str], max_seq_length: int, tokenizer: Tokenizer
) -> InputFeatures:
    """Returns the features of one example of a classification (the original's function)."""
    texts = map(tokenizer.text_to_ids, _texts(example))
    ids, first_length, _ = _joined(list(texts), max_seq_length, tokenizer)
    padding = [0] * (max_seq_length - len(ids))
    return InputFeatures(
        ids + padding,
        [1] * len(ids) + padding,
        [0] * first_length + [1] * (len(ids) - first_length) + padding,
        0 if example.label is None else list(labels).index(example.label),
    )


def convert_examples(
    examples: Sequence[InputExample],
    labels: Sequence[str],
    max_seq_length: int,
    tokenizer: Tokenizer,
    tokenize_lines: Callable[[Iterable[str]], Iterator[TokenizedLine]] | None = None,
) -> dict[str, np.ndarray]:
    """Returns the features of all examples.

    Args:
      examples: Those of one split.
      labels: The task's, in the order of their ids; empty for a regression.
      max_seq_length: The length to cut and to pad to.
      tokenizer: Any; it is given all texts in one stream.
      tokenize_lines: Does that tokenizer's work in its place, in several processes say.

    Returns:
      "input_ids", "input_mask" and "segment_ids", int32 [examples, max_seq_length], and
      "label_ids", int32 [examples], or for a regression "labels", float32 [examples]. An example
      without a label has 0 there.

    Raises:
      InputError: `max_seq_length` is under MIN_SEQ_LENGTH, or the vocabulary lacks a token.
    """
    _check(max_seq_length, tokenizer)
    shape = len(examples), max_seq_length
    features = {
        name: np.zeros(shape, np.int32) for name in ("input_ids", "input_mask", "segment_ids")
    }
    tokenize_lines = tokenize_lines or tokenizer.tokenize_lines
    lines = tokenize_lines(text for example in examples for text in _texts(example))
    cut = unknown = total = 0
    unknown_id = tokenizer.vocab.get(UNK)
    for row, example in enumerate(examples):
        texts = [list(next(lines).ids) for _ in _texts(example)]
        ids, first_length, is_cut = _joined(texts, max_seq_length, tokenizer)
        features["input_ids"][row, : len(ids)] = ids
        features["input_mask"][row, : len(ids)] = 1
        features["segment_ids"][row, first_length : len(ids)] = 1
        cut += is_cut
        total += len(ids)
        unknown += ids.count(unknown_id)
    if labels:
        places = {label: index for index, label in enumerate(labels)} | {None: 0}
        label_ids = [places[example.label] for example in examples]
        features["label_ids"] = np.array(label_ids, np.int32)
    else:
        scores = [0.0 if example.label is None else example.label for example in examples]
        features["labels"] = np.array(scores, np.float32)
    if cut:
        logging.info(
            "%d of %d examples are longer than %d tokens and were cut.",
            cut,
            len(examples),
            max_seq_length,
        )
    if unknown > _MANY_UNKNOWN * total:
        logging.warning(
            "%.0f%% of all tokens are %s: the vocabulary %s does not fit the text, or --do_lower_"
            "case does not fit the vocabulary.",
            100 * unknown / total,
            UNK,
            tokenizer.vocab_file,
        )
    return features


def _texts(example: InputExample) -> Iterator[str]:
    yield example.text_a.translate(_LINE_ENDS)
    if example.text_b:
        yield example.text_b.translate(_LINE_ENDS)


def _joined(
    texts: list[list[int]], max_seq_length: int, tokenizer: Tokenizer
) -> tuple[list[int], int, bool]:
    """Returns the ids of one sequence, how many are of the first segment, and whether any fell."""
    first = texts[0]
    second = texts[1] if len(texts) > 1 else []
    space = max_seq_length - (3 if second else 2)
    lengths = _cut_lengths(len(first), len(second), space)
    is_cut = lengths != (len(first), len(second))
    cls, sep = tokenizer.vocab[CLS], tokenizer.vocab[SEP]
    ids = [cls, *first[: lengths[0]], sep]
    first_length = len(ids)
    if second:
        ids += [*second[: lengths[1]], sep]
    return ids, first_length, is_cut


def _cut_lengths(first: int, second: int, space: int) -> tuple[int, int]:
    """Returns the lengths after cutting single tokens from the longer text, as the original does.

    Of two equally long ones the second is cut.
    """
    if first + second <= space:
        return first, second
    half = space // 2
    if first <= half:
        return first, space - first
    if second <= half:
        return space - second, second
    return space - half, half


def _check(max_seq_length: int, tokenizer: Tokenizer) -> None:
    if max_seq_length < MIN_SEQ_LENGTH:
        raise InputError(
            f"max_seq_length={max_seq_length}: too short for two texts; expected at least "
            f"{MIN_SEQ_LENGTH}."
        )
    for token in (CLS, SEP):
        if token not in tokenizer.vocab:
            raise InputError(
                f"The vocabulary {tokenizer.vocab_file} has no {token}. Name a vocabulary made "
                "for BERT."
            )
