"""Questions with their texts as the model's inputs: windows that slide over the text."""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from absl import logging

from deeq_bert.bert.squad_examples import SquadExample
from deeq_bert.bert.squad_placement import Paragraph, PlacedContext, Placement
from deeq_bert.tokenizers.base import Tokenizer
from deeq_bert.tokenizers.vocabulary import CLS, SEP, UNK

# [CLS], and [SEP] after the question and after the text.
NUM_SPECIAL = 3
# Above this share of unknown tokens, text and vocabulary do not belong together.
_MANY_UNKNOWN = 0.05


class WindowSettings(NamedTuple):
    """How a question and its text are laid out.

    Attributes:
      max_seq_length: Of an input, special tokens included. Above max_query_length + 3.
      doc_stride: By how many tokens a window is ahead of the one before.
      max_query_length: What is kept of a question, in tokens.
    """

    max_seq_length: int
    doc_stride: int
    max_query_length: int


class Window(NamedTuple):
    """A stretch of a text, beside its question in one input.

    Attributes:
      example_index: Which question.
      doc_span_index: Which of the windows of that question, from 0.
      first: The text's token that it begins with.
      offset: Where that token stands in the input.
      is_max_context: For each token of the stretch a byte, 1 where no other window of the question
        shows more of what is around it.
    """

    example_index: int
    doc_span_index: int
    first: int
    offset: int
    is_max_context: bytes


class SquadFeatures(NamedTuple):
    """Inputs for the model, and what leads from its outputs back to the texts.

    Attributes:
      arrays: int32: "input_ids", "input_mask" and "segment_ids" [windows, max_seq_length]; and, in
        training, "start_positions" and "end_positions" [windows], both 0 where the window does not
        have the whole answer.
      windows: One for each row of the arrays.
      examples: The questions. In training without those whose answer is not in the text.
      contexts: The text of each of them.
      skipped: The ids of the questions that were left out.
    """

    arrays: dict[str, np.ndarray]
    windows: list[Window]
    examples: list[SquadExample]
    contexts: list[PlacedContext]
    skipped: list[str]


def convert_examples_to_features(
    examples: Sequence[SquadExample],
    tokenizer: Tokenizer,
    placement: Placement,
    settings: WindowSettings,
    is_training: bool,
) -> SquadFeatures:
    """Makes inputs of questions (`convert_examples_to_features` of the original).

    Args:
      examples: In training all with an answer, or impossible to answer.
      tokenizer: Has the vocabulary.
      placement: Cuts questions and texts.
      settings: The sizes.
      is_training: Whether to look for the answers, of which the first counts.
    """
    features = SquadFeatures({}, [], [], [], [])
    rows: list[list[int]] = []
    text_starts: list[int] = []
    positions: list[tuple[int, int]] = []
    cls, sep = tokenizer.vocab[CLS], tokenizer.vocab[SEP]
    for example, context, question in _placed(examples, placement):
        answer = None
        if is_training and not example.is_impossible:
            answer = context.answer_tokens(example.answers[0])
            if answer is None:
                _warn_of_misplaced(example)
                features.skipped.append(example.qas_id)
                continue
        question = question[: settings.max_query_length]
        room = settings.max_seq_length - len(question) - NUM_SPECIAL
        offset = len(question) + NUM_SPECIAL - 1
        spans = window_spans(len(context.ids), room, settings.doc_stride)
        for index, (span, is_max_context) in enumerate(zip(spans, max_contexts(spans))):
            first, end = span
            features.windows.append(
                Window(len(features.examples), index, first, offset, is_max_context)
            )
            rows.append([cls, *question, sep, *context.ids[first:end], sep])
            text_starts.append(offset)
            inside = answer is not None and first <= answer[0] and answer[1] < end
            shift = offset - first
            positions.append((answer[0] + shift, answer[1] + shift) if inside else (0, 0))
        features.examples.append(example)
        features.contexts.append(context)
    features.arrays.update(_inputs(rows, text_starts, settings.max_seq_length))
    _warn_of_unknown(features.arrays, tokenizer)
    if is_training:
        starts_and_ends = np.array(positions, np.int32).reshape(-1, 2)
        features.arrays["start_positions"] = starts_and_ends[:, 0].copy()
        features.arrays["end_positions"] = starts_and_ends[:, 1].copy()
    return features


def window_spans(num_tokens: int, room: int, stride: int) -> list[tuple[int, int]]:
    """Returns the first token of each window over a text, and the one after its last."""
    spans = []
    start = 0
    while start < num_tokens:
        end = min(start + room, num_tokens)
        spans.append((start, end))
        if end == num_tokens:
            break
        start += min(room, stride)
    return spans


def max_contexts(spans: Sequence[tuple[int, int]]) -> list[bytes]:
    """Tells for each window which of its tokens no other shows in more context.

    That counts the tokens on the side where there are fewer, and a little the window's length
    (`_check_is_max_context` of the original).
    """
    num_tokens = spans[-1][1] if spans else 0
    best_scores = np.full(num_tokens, -1.0)
    best_windows = np.zeros(num_tokens, np.int64)
    for index, (start, end) in enumerate(spans):
        place = np.arange(end - start)
        scores = np.minimum(place, place[::-1]) + 0.01 * (end - start)
        better = start + np.flatnonzero(scores > best_scores[start:end])
        best_scores[better] = scores[better - start]
        best_windows[better] = index
    return [
        (best_windows[start:end] == index).astype(np.uint8).tobytes()
        for index, (start, end) in enumerate(spans)
    ]


def _placed(
    examples: Sequence[SquadExample], placement: Placement
) -> Iterator[tuple[SquadExample, PlacedContext, Sequence[int]]]:
    """Yields each example with its text and its question, as tokens.

    A text is cut once for all questions about it that follow each other.
    """
    groups = [list(group) for _, group in itertools.groupby(examples, lambda one: one.context)]
    paragraphs = (
        Paragraph(group[0].context, [example.question for example in group]) for group in groups
    )
    for group, placed in zip(groups, placement(paragraphs)):
        for example, question in zip(group, placed.questions):
            yield example, placed.context, question


def _inputs(
    rows: Sequence[Sequence[int]], text_starts: Sequence[int], length: int
) -> dict[str, np.ndarray]:
    """Pads the rows with zeros, and makes mask and segments of their lengths."""
    ids = np.zeros((len(rows), length), np.int32)
    for padded, row in zip(ids, rows):
        padded[: len(row)] = row
    places = np.arange(length)
    lengths = np.array([len(row) for row in rows], np.int64).reshape(-1, 1)
    starts = np.array(text_starts, np.int64).reshape(-1, 1)
    mask = places < lengths
    return {
        "input_ids": ids,
        "input_mask": mask.astype(np.int32),
        "segment_ids": (mask & (places >= starts)).astype(np.int32),
    }


def _warn_of_misplaced(example: SquadExample) -> None:
    answer = example.answers[0]
    logging.warning(
        "The question %s is left out: its answer %r does not stand at character %d of the text.",
        example.qas_id,
        answer.text,
        answer.start,
    )


def _warn_of_unknown(arrays: dict[str, np.ndarray], tokenizer: Tokenizer) -> None:
    unknown = np.count_nonzero(arrays["input_ids"] == tokenizer.vocab.get(UNK, -1))
    total = int(arrays["input_mask"].sum())
    if unknown > _MANY_UNKNOWN * total:
        logging.warning(
            "%.0f%% of all tokens are %s: the vocabulary %s does not fit the text, or "
            "--do_lower_case does not fit the vocabulary.",
            100 * unknown / total,
            UNK,
            tokenizer.vocab_file,
        )
