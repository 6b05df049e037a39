"""From the logits of starts and ends to answers, the best few of each question, and null odds."""

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from deeq_bert.bert.squad_features import SquadFeatures, Window
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import atomic_outputs

PREDICTIONS_FILE = "predictions.json"
NBEST_FILE = "nbest_predictions.json"
NULL_ODDS_FILE = "null_odds.json"

# Above any sum of two logits: what a question has for the null score that has no window.
_NO_NULL_SCORE = 1_000_000.0


class PredictionSettings(NamedTuple):
    """How answers are chosen.

    Attributes:
      n_best_size: How many starts, ends and answers are looked at.
      max_answer_length: In tokens.
      version_2_with_negative: Whether a question may have no answer, which is then "".
      null_score_diff_threshold: By how much "no answer" must beat the best answer to be given.
    """

    n_best_size: int
    max_answer_length: int
    version_2_with_negative: bool = False
    null_score_diff_threshold: float = 0.0


class Predictions(NamedTuple):
    """What is predicted, by the questions' ids.

    Attributes:
      answers: The answers; "" says that there is none.
      nbest: The best of each question in order, each a dict of "text", "probability" among these,
        "start_logit" and "end_logit".
      null_odds: By how much "no answer" beats the best answer; empty where every question has an
        answer.
    """

    answers: dict[str, str]
    nbest: dict[str, list[dict[str, str | float]]]
    null_odds: dict[str, float]

    def best_texts(self) -> dict[str, str]:
        """Returns the best answer of each question that is not "", where there is one."""
        texts = {}
        for qas_id, nbest in self.nbest.items():
            texts[qas_id] = next((str(entry["text"]) for entry in nbest if entry["text"]), "")
        return texts


class _Candidate(NamedTuple):
    window: Window
    start: int
    end: int
    start_logit: float
    end_logit: float

    @property
    def score(self) -> float:
        return self.start_logit + self.end_logit


class _Entry(NamedTuple):
    text: str
    start_logit: float
    end_logit: float

    @property
    def score(self) -> float:
        return self.start_logit + self.end_logit


def make_predictions(
    features: SquadFeatures,
    start_logits: np.ndarray,
    end_logits: np.ndarray,
    settings: PredictionSettings,
) -> Predictions:
    """Chooses the answers (`write_predictions` of the original, without the writing).

    Where a question may have no answer and no other one is left, the answer is "", and the null
    score itself is its null odds; the original stops there.

    Args:
      features: What the logits were computed from.
      start_logits: [windows, max_seq_length].
      end_logits: The same.
      settings: How to choose.

    Raises:
      InputError: A logit is not a finite number.
    """
    if not (np.isfinite(start_logits).all() and np.isfinite(end_logits).all()):
        raise InputError(
            "Some of the model's outputs are not finite numbers, so it cannot answer. Train it "
            "again with a lower learning rate."
        )
    rows: list[list[int]] = [[] for _ in features.examples]
    for row, window in enumerate(features.windows):
        rows[window.example_index].append(row)
    predictions = Predictions({}, {}, {})
    for index, example in enumerate(features.examples):
        candidates: list[_Candidate] = []
        null, null_score = _Entry("", 0.0, 0.0), _NO_NULL_SCORE
        for row in rows[index]:
            starts, ends = start_logits[row], end_logits[row]
            candidates += _candidates(features.windows[row], starts, ends, settings)
            of_window = _Entry("", float(starts[0]), float(ends[0]))
            if of_window.score < null_score:
                null, null_score = of_window, of_window.score
        entries = _best_entries(features, index, candidates, null, settings)
        best = next((entry for entry in entries if entry.text), None)
        answer = entries[0].text
        if settings.version_2_with_negative:
            odds = null_score
            if best is not None:
                odds = odds - best.start_logit - best.end_logit
            predictions.null_odds[example.qas_id] = odds
            has_answer = best is not None and odds <= settings.null_score_diff_threshold
            answer = best.text if has_answer else ""
        predictions.answers[example.qas_id] = answer
        predictions.nbest[example.qas_id] = [
            {
                "text": entry.text,
                "probability": probability,
                "start_logit": entry.start_logit,
                "end_logit": entry.end_logit,
            }
            for entry, probability in zip(entries, _softmax([entry.score for entry in entries]))
        ]
    return predictions


def write_predictions(folder: str, predictions: Predictions, with_null_odds: bool) -> None:
    """Writes what is predicted into the files that the original has, all of them or none.

    Raises:
      InputError: A file cannot be written.
    """
    contents: dict[str, Mapping] = {
        PREDICTIONS_FILE: predictions.answers,
        NBEST_FILE: predictions.nbest,
    }
    if with_null_odds:
        contents[NULL_ODDS_FILE] = predictions.null_odds
    with atomic_outputs([os.path.join(folder, name) for name in contents]) as files:
        for file, content in zip(files, contents.values()):
            file.write(f"{json.dumps(content, ensure_ascii=False, indent=4)}\n".encode())


def _candidates(
    window: Window, start_logits: np.ndarray, end_logits: np.ndarray, settings: PredictionSettings
) -> Iterator[_Candidate]:
    """Yields the answers that the best starts and ends of a window make."""
    length = len(window.is_max_context)
    ends = [
        (end, logit)
        for end, logit in _best(end_logits, settings.n_best_size)
        if 0 <= end - window.offset < length
    ]
    for start, start_logit in _best(start_logits, settings.n_best_size):
        place = start - window.offset
        if not (0 <= place < length and window.is_max_context[place]):
            continue
        for end, end_logit in ends:
            if start <= end < start + settings.max_answer_length:
                yield _Candidate(window, start, end, start_logit, end_logit)


def _best(logits: np.ndarray, number: int) -> list[tuple[int, float]]:
    """Returns the places and values of the highest logits; of equal ones the first."""
    order = np.argsort(-logits, kind="stable")[:number]
    return list(zip(order.tolist(), logits[order].tolist()))


def _best_entries(
    features: SquadFeatures,
    example_index: int,
    candidates: Sequence[_Candidate],
    null: _Entry,
    settings: PredictionSettings,
) -> list[_Entry]:
    """Returns the best answers whose texts differ, the best first."""
    context = features.contexts[example_index]
    ranked: list[_Candidate | _Entry] = list(candidates)
    if settings.version_2_with_negative:
        ranked.append(null)
    ranked.sort(key=lambda one: one.score, reverse=True)
    entries: dict[str, _Entry] = {}
    for one in ranked:
        if len(entries) >= settings.n_best_size:
            break
        text = ""
        if isinstance(one, _Candidate):
            shift = one.window.first - one.window.offset
            text = context.answer_text(one.start + shift, one.end + shift)
            if text in entries:
                continue
        entries[text] = _Entry(text, one.start_logit, one.end_logit)
    if settings.version_2_with_negative:
        entries.setdefault("", null)
    return list(entries.values()) or [_Entry(context.no_answer, 0.0, 0.0)]


def _softmax(scores: Sequence[float]) -> list[float]:
    highest = max(scores)
    exponentials = [math.exp(score - highest) for score in scores]
    total = sum(exponentials)
    return [exponential / total for exponential in exponentials]
