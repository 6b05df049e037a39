"""How good predictions are: accuracy, F1, correlations; all of them fractions.

Where a metric is not defined, as a correlation with a constant, it is 0.
"""

from collections.abc import Sequence

import numpy as np

from deeq_bert.tokenizers.errors import InputError

# KLUE takes sentences of this score or more for alike.
_ALIKE = 3.0


def score(metrics: Sequence[str], outputs: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Scores a model's outputs.

    Args:
      metrics: Names of CLASSIFICATION, or of REGRESSION.
      outputs: Logits or probabilities [examples, labels], or scores [examples].
      labels: The right label ids, or scores [examples].

    Returns:
      Each metric by name.

    Raises:
      InputError: There is nothing to score, or an output is not a finite number.
    """
    outputs, labels = np.asarray(outputs), np.asarray(labels)
    if len(outputs) != len(labels):
        raise ValueError(f"{len(outputs)} outputs for {len(labels)} labels")
    if not len(labels):
        raise InputError("There are no examples to score.")
    if broken := int((~np.isfinite(outputs)).reshape(len(outputs), -1).any(axis=1).sum()):
        raise InputError(
            f"The model's outputs for {broken:,} of {len(labels):,} examples are not finite "
            "numbers, so it cannot be scored. Train it again with a lower learning rate."
        )
    is_regression = outputs.ndim == 1
    functions = REGRESSION if is_regression else CLASSIFICATION
    predictions = outputs.astype(np.float64) if is_regression else outputs.argmax(axis=1)
    return {name: float(functions[name](predictions, labels)) for name in metrics}


def accuracy(predictions: np.ndarray, labels: np.ndarray) -> float:
    """Returns the share of predictions that are right."""
    return float(np.mean(predictions == labels))


def macro_f1(predictions: np.ndarray, labels: np.ndarray) -> float:
    """Returns the mean of the F1 of each class that is predicted or right anywhere."""
    classes = np.union1d(predictions, labels)
    return float(np.mean([_f1(predictions == index, labels == index) for index in classes]))


def f1(predictions: np.ndarray, labels: np.ndarray) -> float:
    """Returns the F1 of class 1, for two classes."""
    return _f1(predictions == 1, labels == 1)


def alike_f1(predictions: np.ndarray, labels: np.ndarray) -> float:
    """Returns the F1 of "alike", a score of 3 or more (KLUE, section 4.2 of its paper)."""
    return _f1(predictions >= _ALIKE, labels >= _ALIKE)


def matthews(predictions: np.ndarray, labels: np.ndarray) -> float:
    """Returns Matthews' correlation, for two classes: Pearson's of the class numbers."""
    return pearson(predictions, labels)


def pearson(predictions: np.ndarray, labels: np.ndarray) -> float:
    """Returns Pearson's correlation."""
    x = np.asarray(predictions, np.float64)
    y = np.asarray(labels, np.float64)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    # Scaled before they are squared, so that no number is too large or too small for it.
    x, y = ((values - values.mean()) / np.ptp(values) for values in (x, y))
    return float(np.clip((x @ y) / np.sqrt((x @ x) * (y @ y)), -1, 1))


def spearman(predictions: np.ndarray, labels: np.ndarray) -> float:
    """Returns Spearman's correlation: Pearson's of the ranks, equal values sharing their mean."""
    return pearson(_ranks(predictions), _ranks(labels))


def _ranks(values: np.ndarray) -> np.ndarray:
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts - 1) / 2)[places.reshape(-1)]


def _f1(predicted: np.ndarray, right: np.ndarray) -> float:
    found = np.count_nonzero(predicted & right)
    total = np.count_nonzero(predicted) + np.count_nonzero(right)
    return 2 * found / total if total else 0.0


# Each takes the predictions, then what is right.
CLASSIFICATION = {"accuracy": accuracy, "macro_f1": macro_f1, "f1": f1, "matthews": matthews}
TWO_LABELS = ("f1", "matthews")
REGRESSION = {"pearson": pearson, "spearman": spearman, "f1": alike_f1}
