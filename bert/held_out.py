"""Held-out records: how good a model is on text it was not trained on."""

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import tensorflow as tf

from deeq_bert.bert import heads, pretraining
from deeq_bert.bert.baseline import bits_per_character
from deeq_bert.bert.train_step import Batch

# The metrics of the original's metric_fn.
ORIGINAL = (
    "loss",
    "masked_lm_accuracy",
    "masked_lm_loss",
    "next_sentence_accuracy",
    "next_sentence_loss",
)


class HeldOutRecords:
    """Evaluates a model on the same held-out batches every time."""

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        model: heads.PretrainingModel,
        batches: Callable[[], Iterator[Batch]],
        tokens_and_characters: tuple[int, int] | None = None,
    ):
        """Prepares the evaluation.

        Args:
          strategy: Where the model lives.
          model: What is to be evaluated.
          batches: Yields the distributed batches from the start.
          tokens_and_characters: How many the held-out text has, where that is known.
        """
        self._step = pretraining.make_eval_step(strategy, model)
        self._batches = batches
        self._text = tokens_and_characters

    def evaluate(self) -> dict[str, float]:
        """Returns the metrics of `pretraining.evaluate`.

        And `bits_per_character`, by which vocabularies compare, where the text is known.
        """
        metrics = pretraining.evaluate(self._step, self._batches())
        results = {name: float(value) for name, value in metrics.items()}
        if self._text and all(self._text):
            results["bits_per_character"] = bits_per_character(
                results["masked_lm_loss"], *self._text
            )
        return results


def describe(metrics: dict[str, float]) -> str:
    """Returns the part of a log line that tells metrics of held-out records."""
    line = (
        f"loss {metrics['loss']:.4f}, mlm {metrics['masked_lm_loss']:.4f} (accuracy "
        f"{metrics['masked_lm_accuracy']:.2%}), nsp {metrics['next_sentence_loss']:.4f} (accuracy "
        f"{metrics['next_sentence_accuracy']:.2%})"
    )
    if "bits_per_character" in metrics:
        line += f", {metrics['bits_per_character']:.3f} bits a character"
    return line


def result_lines(step: int, metrics: Mapping[str, float]) -> list[str]:
    """Returns the lines of eval_results.txt, which are those of the original."""
    results = {name: np.float32(value) for name, value in metrics.items() if name in ORIGINAL}
    lines = {"global_step": step, **results}
    return [f"{name} = {lines[name]!s}" for name in sorted(lines)]


def is_better(loss: float, best: float | None) -> bool:
    """Whether a held-out loss is a number, and the lowest so far."""
    return math.isfinite(loss) and (best is None or loss < best)
