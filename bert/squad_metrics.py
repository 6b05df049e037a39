"""How right answers are: exact match and F1, as SQuAD and KorQuAD count them.

SQuAD (Rajpurkar et al. 2016, 2018) compares words without articles and punctuation; KorQuAD (Lim et
al. 2018) compares characters, since Korean particles cling to words. All scores are fractions, and
a question with several right answers counts by the one that is nearest.
"""

import collections
import re
import string
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from deeq_bert.bert.squad_examples import SquadExample

METRICS = ("squad", "korquad")

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
# Quotation marks and brackets separate words in KorQuAD; other punctuation just goes.
_SEPARATORS = str.maketrans({mark: " " for mark in "'\"《》<>〈〉()‘’"})


class _Measure(NamedTuple):
    """Normalizes an answer, and takes what is normal apart into what F1 counts."""

    normalize: Callable[[str], str]
    units: Callable[[str], list[str]]


def normalize_squad(text: str) -> str:
    """Returns `text` in lower case, without punctuation and English articles, one blank apart."""
    text = text.lower().translate(_NO_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", text).split())


def normalize_korquad(text: str) -> str:
    """Returns `text` in lower case without punctuation, one blank apart.

    Of punctuation that is not ASCII only 《》〈〉‘’ go, as in KorQuAD's own script.
    """
    return " ".join(text.translate(_SEPARATORS).lower().translate(_NO_PUNCTUATION).split())


_MEASURES = {
    "squad": _Measure(normalize_squad, str.split),
    "korquad": _Measure(normalize_korquad, lambda text: list("".join(text.split()))),
}


class AnswerScore(NamedTuple):
    """How right one answer is, from 0 to 1."""

    exact_match: float
    f1: float


def score_answer(
    metric: str, answer: str, right_answers: Sequence[str], with_negatives: bool = False
) -> AnswerScore:
    """Scores one answer.

    Args:
      metric: One of METRICS.
      answer: What was answered; "" says that there is no answer.
      right_answers: What counts as right.
      with_negatives: Whether a question may have none, as in SQuAD 2.0: then "" is right, and a
        right answer that normalizing leaves nothing of counts as none.
    """
    measure = _MEASURES[metric]
    given = measure.normalize(answer)
    wanted = list(map(measure.normalize, right_answers))
    if with_negatives:
        wanted = list(filter(None, wanted)) or [""]
    units = collections.Counter(measure.units(given))
    f1 = max((_f1(units, collections.Counter(measure.units(text))) for text in wanted), default=0.0)
    if with_negatives and not given:
        f1 = float(given in wanted)
    return AnswerScore(float(given in wanted), f1)


def score_answers(
    metric: str,
    examples: Sequence[SquadExample],
    answers: Mapping[str, str],
    with_negatives: bool = False,
) -> dict[str, float]:
    """Returns the mean "exact_match" and "f1" over questions; one without prediction has 0.

    With questions that have no answer among others, also the means of either kind:
    "has_answer_exact_match", "has_answer_f1" and "no_answer_accuracy".
    """
    scores = _scores(metric, examples, answers, with_negatives)
    metrics = {
        "exact_match": _mean([score.exact_match for score in scores]),
        "f1": _mean([score.f1 for score in scores]),
    }
    with_answer = [score for score, example in zip(scores, examples) if example.answers]
    without = [score for score, example in zip(scores, examples) if not example.answers]
    if with_negatives and with_answer and without:
        metrics["has_answer_exact_match"] = _mean([score.exact_match for score in with_answer])
        metrics["has_answer_f1"] = _mean([score.f1 for score in with_answer])
        metrics["no_answer_accuracy"] = _mean([score.exact_match for score in without])
    return metrics


def best_thresholds(
    metric: str,
    examples: Sequence[SquadExample],
    best_texts: Mapping[str, str],
    null_odds: Mapping[str, float],
) -> dict[str, float]:
    """Finds the null_score_diff_threshold with the best scores.

    Those are an upper bound where found on the questions that they are reported for. A threshold
    never parts questions with equal odds, and is below all where answering nothing is best, so that
    it has its score when it is used.

    Args:
      metric: One of METRICS.
      examples: The questions; those without answers have none.
      best_texts: The best answer of each that is not "".
      null_odds: By how much "no answer" beats it.

    Returns:
      "best_exact_match", "best_f1", "best_exact_match_threshold" and "best_f1_threshold".
    """
    scores = _scores(metric, examples, best_texts, with_negatives=True)
    found = {}
    for name in AnswerScore._fields:
        # By how much the sum changes when a question is answered that was not.
        gains = collections.defaultdict(float)
        for example, score in zip(examples, scores):
            unanswered = float(not example.answers)
            gains[null_odds[example.qas_id]] += getattr(score, name) - unanswered
        total = float(sum(not example.answers for example in examples))
        best, threshold = total, min(gains) - 1.0
        for odds in sorted(gains):
            total += gains[odds]
            if total > best:
                best, threshold = total, odds
        found[f"best_{name}"] = best / len(examples)
        found[f"best_{name}_threshold"] = threshold
    return found


def _scores(
    metric: str,
    examples: Sequence[SquadExample],
    answers: Mapping[str, str],
    with_negatives: bool,
) -> list[AnswerScore]:
    scores = []
    for example in examples:
        right = [answer.text for answer in example.answers]
        answer = answers.get(example.qas_id)
        if answer is None:
            scores.append(AnswerScore(0.0, 0.0))
        else:
            scores.append(score_answer(metric, answer, right, with_negatives))
    return scores


def _f1(given: collections.Counter[str], wanted: collections.Counter[str]) -> float:
    common = (given & wanted).total()
    return 2 * common / (given.total() + wanted.total()) if common else 0.0


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
