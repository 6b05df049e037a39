"""One model on one task of texts and labels: trained, scored on dev, and let to predict test."""

import dataclasses
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from deeq_bert.bert import task_metrics
from deeq_bert.bert.config import BertConfig
from deeq_bert.bert.fine_tuning import Features, FineTuner, FineTuningSettings
from deeq_bert.bert.task_examples import Task
from deeq_bert.bert.task_heads import ClassifierModel
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import write_atomically

EVAL_RESULTS, TEST_RESULTS = "eval_results.txt", "test_results.tsv"
# So that the logarithm of a probability is a number.
_SMALLEST_SHARE = 1e-37


@dataclasses.dataclass(frozen=True)
class Split:
    """Examples as the model reads them.

    Attributes:
      features: See `classifier_features.convert_examples`.
      is_labelled: Whether every example has a label, so that it can be scored.
    """

    features: Features
    is_labelled: bool

    def __len__(self) -> int:
        return len(self.features["input_ids"])


def make_tuner(
    config: BertConfig,
    task: Task,
    strategy: tf.distribute.Strategy,
    settings: FineTuningSettings,
    dtype: str,
    use_xla: bool,
) -> FineTuner:
    """Returns a model with a head for a task, on some devices."""
    num_labels = 1 if task.is_regression else len(task.labels)
    return FineTuner(
        lambda: ClassifierModel(
            config, num_labels, settings.seed, tf.dtypes.as_dtype(dtype), task.is_regression
        ),
        strategy,
        settings,
        dtype,
        use_xla,
    )


def predict(tuner: FineTuner, task: Task, split: Split, batch_size: int) -> np.ndarray:
    """Returns probabilities [examples, labels], or scores [examples] of a regression.

    Raises:
      InputError: An output is not a finite number.
    """
    outputs = tuner.predict(split.features, batch_size)
    chosen = outputs["scores"] if task.is_regression else outputs["probabilities"]
    if not np.isfinite(chosen).all():
        raise InputError(
            "Some of the model's outputs are not finite numbers, so it cannot be used. Train it "
            "again with a lower learning rate."
        )
    return chosen


def scorer(
    tuner: FineTuner, task: Task, split: Split, batch_size: int
) -> Callable[[], dict[str, float]]:
    """Returns a function that scores the model as it is on a labelled split; see `score`."""
    return lambda: score(task, split, predict(tuner, task, split, batch_size))


def score(task: Task, split: Split, outputs: np.ndarray) -> dict[str, float]:
    """Returns the metrics of a task, and the mean loss.

    Args:
      task: What the labels mean.
      split: The examples, all of them labelled.
      outputs: See `predict`.

    Raises:
      InputError: An output is not a finite number.
    """
    labels = split.features["labels" if task.is_regression else "label_ids"]
    metrics = task_metrics.score(task.metrics, outputs, labels)
    return {**metrics, "loss": _mean_loss(task, outputs, labels)}


def result_lines(step: int, metrics: Mapping[str, float]) -> list[str]:
    """Returns the lines of eval_results.txt: the original's keys, with one for every metric."""
    results = {f"eval_{name}": np.float32(value) for name, value in metrics.items()}
    lines: dict[str, Any] = {
        **results,
        "global_step": step,
        "loss": np.float32(metrics["loss"]),
    }
    return [f"{name} = {lines[name]!s}" for name in sorted(lines)]


def write_eval_results(folder: str, step: int, metrics: Mapping[str, float]) -> None:
    """Writes eval_results.txt."""
    content = "".join(f"{line}\n" for line in result_lines(step, metrics))
    write_atomically(os.path.join(folder, EVAL_RESULTS), content.encode())


def write_test_results(folder: str, outputs: np.ndarray) -> None:
    """Writes test_results.tsv: a line an example, with the probability of each label, or a score.

    Args:
      folder: Where to.
      outputs: See `predict`.
    """
    rows = outputs.reshape(len(outputs), -1)
    content = "".join("\t".join(str(value) for value in row) + "\n" for row in rows)
    write_atomically(os.path.join(folder, TEST_RESULTS), content.encode())


def class_weights(weights: str, label_ids: np.ndarray, labels: tuple[str, ...]) -> np.ndarray:
    """Returns how much each example counts, float32 [examples], 1 in the mean.

    Args:
      weights: "balanced", where every class counts alike in all; or a number for each label,
        separated by commas.
      label_ids: The class of each example.
      labels: The task's.

    Raises:
      ValueError: They are neither, or not above 0.
    """
    if weights == "balanced":
        counts = np.bincount(label_ids, minlength=len(labels))
        by_class = 1.0 / np.maximum(counts, 1)
    else:
        by_class = np.array([float(word) for word in weights.split(",")])
        if len(by_class) != len(labels):
            raise ValueError(f"{len(by_class)} weights for {len(labels)} labels")
        if not (np.isfinite(by_class).all() and (by_class > 0).all()):
            raise ValueError("a weight is not above 0")
    of_examples = by_class[label_ids]
    return (of_examples / of_examples.mean()).astype(np.float32)


def _mean_loss(task: Task, outputs: np.ndarray, labels: np.ndarray) -> float:
    if task.is_regression:
        return float(np.mean(np.square(outputs.astype(np.float64) - labels)))
    shares = outputs[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.mean(np.log(np.maximum(shares, _SMALLEST_SHARE))))
