"""Metrics against their definitions and known values."""

import numpy as np
import pytest

from deeq_bert.bert import task_metrics
from deeq_bert.tokenizers.errors import InputError


def scored(metric, predictions, labels):
    """Scores predicted label ids by way of logits."""
    logits = np.eye(max(max(predictions), max(labels)) + 1)[predictions]
    return task_metrics.score((metric,), logits, np.array(labels))[metric]


def correlated(metric, predictions, labels):
    return task_metrics.score((metric,), np.array(predictions, np.float32), np.array(labels))[
        metric
    ]


def test_accuracy_is_the_share_of_right_ones():
    assert scored("accuracy", [0, 1, 2, 1], [0, 1, 1, 1]) == 0.75


def test_macro_f1_is_the_mean_over_classes():
    # By hand: 2/3 for class 0, 4/5 for class 1, 0 for class 2, which is predicted only.
    assert scored("macro_f1", [0, 1, 2, 1, 0], [0, 1, 1, 1, 0]) == pytest.approx((1 + 0.8 + 0) / 3)


def test_a_class_that_is_nowhere_does_not_count():
    assert scored("macro_f1", [0, 2], [0, 2]) == 1.0


def test_f1_is_that_of_class_one():
    assert scored("f1", [1, 1, 0, 0], [1, 0, 1, 0]) == 0.5
    assert scored("f1", [0, 0], [0, 0]) == 0.0


def test_matthews_is_the_correlation_of_the_confusion_matrix():
    predictions = [1] * 6 + [0] * 3 + [1] * 2 + [0] * 5
    labels = [1] * 6 + [1] * 3 + [0] * 2 + [0] * 5
    tp, fn, fp, tn = 6, 3, 2, 5
    expected = (tp * tn - fp * fn) / ((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)) ** 0.5
    assert scored("matthews", predictions, labels) == pytest.approx(expected)
    assert scored("matthews", [1, 1], [1, 0]) == 0.0


def test_pearson_is_that_of_numpy():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 50)).astype(np.float32)
    assert correlated("pearson", x, y) == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-6)


def test_spearman_shares_ranks_between_equal_values():
    # Ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4: 4.5 / sqrt(4.5 * 5).
    assert correlated("spearman", [1, 2, 2, 5], [10, 20, 30, 40]) == pytest.approx(0.9**0.5)


def test_spearman_sees_only_the_order():
    x = np.linspace(0, 5, 20)
    assert correlated("spearman", np.exp(x), x) == pytest.approx(1.0)
    assert correlated("spearman", -(x**3), x) == pytest.approx(-1.0)


@pytest.mark.parametrize("metric", ["pearson", "spearman"])
@pytest.mark.parametrize("predictions", [[2.5, 2.5, 2.5], [0.1, 0.1, 0.1]])
def test_a_constant_correlates_with_nothing(metric, predictions):
    assert correlated(metric, predictions, [0.0, 1.0, 2.0]) == 0.0


def test_alike_is_a_score_of_three_or_more():
    assert correlated("f1", [3.0, 2.9, 4.0], [3.0, 5.0, 0.0]) == 0.5


def test_scores_are_plain_numbers():
    scores = task_metrics.score(("accuracy", "macro_f1"), np.eye(2), np.array([0, 1]))
    assert scores == {"accuracy": 1.0, "macro_f1": 1.0}
    assert all(type(value) is float for value in scores.values())


def test_outputs_that_are_no_numbers_are_not_scored():
    with pytest.raises(InputError, match="outputs for 1 of 2 examples are not finite"):
        task_metrics.score(("accuracy",), np.array([[0, np.nan], [1, 0]]), np.array([0, 1]))


def test_nothing_cannot_be_scored():
    with pytest.raises(InputError, match="no examples to score"):
        task_metrics.score(("pearson",), np.zeros(0), np.zeros(0))
