"""Pre-training: the two losses of a batch over several replicas, and the evaluation of a model."""

from collections.abc import Callable, Iterable

import numpy as np
import tensorflow as tf

from deeq_bert.bert.heads import PretrainingModel
from deeq_bert.bert.layers import DropoutKey
from deeq_bert.bert.train_step import Batch, Metrics, ReplicaLoss

# Keeps the loss of a batch without any masked word finite (get_masked_lm_output of the original).
_DENOMINATOR_OFFSET = 1e-5


def make_replica_loss(model: PretrainingModel, global_batch_size: int) -> ReplicaLoss:
    """Returns the loss of a part of a batch, for `train_step.make_train_step`.

    Masked words are averaged over the global batch and not within a part: some hold more of them
    than others, and a mean of means would weigh them wrongly.

    Args:
      model: What to train.
      global_batch_size: Examples in a batch, over all replicas.

    Returns:
      A ReplicaLoss whose metrics are `masked_lm_loss`, `next_sentence_loss` and `tokens`, the
      number of those that are no padding.
    """

    def count(batch: Batch) -> Metrics:
        return {"masked_words": tf.reduce_sum(batch["masked_lm_weights"])}

    def loss(
        batch: Batch, totals: Metrics, dropout: DropoutKey | None
    ) -> tuple[tf.Tensor, Metrics]:
        outputs = model(batch, dropout)
        weights = batch["masked_lm_weights"]
        masked_lm_loss = tf.reduce_sum(outputs.masked_lm_losses * weights) / (
            totals["masked_words"] + _DENOMINATOR_OFFSET
        )
        next_sentence_loss = tf.reduce_sum(outputs.next_sentence_losses) / global_batch_size
        return masked_lm_loss + next_sentence_loss, {
            "masked_lm_loss": masked_lm_loss,
            "next_sentence_loss": next_sentence_loss,
            "tokens": tf.cast(tf.reduce_sum(batch["input_mask"]), tf.float32),
        }

    return ReplicaLoss(count, loss)


def make_eval_step(
    strategy: tf.distribute.Strategy, model: PretrainingModel
) -> Callable[[Batch], Metrics]:
    """Returns a compiled function from a distributed global batch to sums over its examples."""

    def replica_sums(batch: Batch) -> Metrics:
        outputs = model(batch)
        weights = batch["masked_lm_weights"]
        examples = batch["example_weights"]
        masked_hits = _hits(outputs.masked_lm_logits, batch["masked_lm_ids"])
        labels = tf.reshape(batch["next_sentence_labels"], [-1])
        next_hits = _hits(outputs.next_sentence_logits, labels)
        return {
            "masked_lm_loss": tf.reduce_sum(outputs.masked_lm_losses * weights),
            "masked_lm_hits": tf.reduce_sum(masked_hits * weights),
            "masked_words": tf.reduce_sum(weights),
            "next_sentence_loss": tf.reduce_sum(outputs.next_sentence_losses * examples),
            "next_sentence_hits": tf.reduce_sum(next_hits * examples),
            "examples": tf.reduce_sum(examples),
        }

    @tf.function
    def eval_step(batch: Batch) -> Metrics:
        sums = strategy.run(replica_sums, args=(batch,))
        return {name: strategy.reduce("SUM", sums[name], axis=None) for name in sums}

    return eval_step


def evaluate(
    eval_step: Callable[[Batch], Metrics], batches: Iterable[Batch]
) -> dict[str, np.float32]:
    """Evaluates a model as the original's metric_fn does.

    `loss` is the mean over the batches of the training loss, each weighted by its examples; the
    others are means over all masked words and over all examples.

    Returns:
      loss, masked_lm_accuracy, masked_lm_loss, next_sentence_accuracy and next_sentence_loss.
    """
    totals: dict[str, float] = {}
    loss = 0.0
    for batch in batches:
        sums = {name: float(value) for name, value in eval_step(batch).items()}
        masked_lm_loss = sums["masked_lm_loss"] / (sums["masked_words"] + _DENOMINATOR_OFFSET)
        loss += sums["examples"] * masked_lm_loss + sums["next_sentence_loss"]
        totals = {name: totals.get(name, 0.0) + value for name, value in sums.items()}
    masked_words = max(totals["masked_words"], 1.0)
    metrics = {
        "loss": loss / totals["examples"],
        "masked_lm_accuracy": totals["masked_lm_hits"] / masked_words,
        "masked_lm_loss": totals["masked_lm_loss"] / masked_words,
        "next_sentence_accuracy": totals["next_sentence_hits"] / totals["examples"],
        "next_sentence_loss": totals["next_sentence_loss"] / totals["examples"],
    }
    return {name: np.float32(value) for name, value in metrics.items()}


def _hits(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Returns 1.0 where the largest logit is that of the label, else 0.0, in the labels' shape."""
    return tf.cast(
        tf.equal(tf.argmax(logits, axis=-1, output_type=labels.dtype), labels), tf.float32
    )
