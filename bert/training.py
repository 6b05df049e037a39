"""The training loop: one step over the replicas, and the steps of a run with logs and saves."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf

from deeq_bert.bert import modeling, optimization

Batch = Mapping[str, tf.Tensor]
Metrics = Mapping[str, tf.Tensor]
# From a replica's part of the batch to the loss to differentiate, whose sum over the replicas is
# the loss of the global batch, and to metrics whose sums are those of the global batch.
ReplicaLoss = Callable[[Batch, modeling.DropoutKey], tuple[tf.Tensor, Metrics]]


class NonFiniteLossError(RuntimeError):
    """The loss or the gradient of a step is infinite or not a number.

    Attributes:
      step: The number of the step, the first being 1.
      quantity: What is not finite, such as "loss".
    """

    def __init__(self, step: int, quantity: str):
        super().__init__(f"{quantity} is not finite at step {step}")
        self.step = step
        self.quantity = quantity


def make_train_step(
    strategy: tf.distribute.Strategy,
    variables: Sequence[tf.Variable],
    optimizer: optimization.AdamWeightDecayOptimizer,
    learning_rate: Callable[[tf.Tensor], tf.Tensor],
    replica_loss: ReplicaLoss,
    seed: int,
) -> Callable[[Batch, tf.Tensor], Metrics]:
    """Returns a compiled function that makes one update.

    The gradients are summed over the replicas before they are clipped, so that N replicas make
    the update that one device makes of the same global batch.

    Args:
      strategy: Where the variables live.
      variables: What to train.
      optimizer: Made with those variables, under the strategy.
      learning_rate: From the step (int64 scalar, the first is 0) to the rate of its update.
      replica_loss: See ReplicaLoss.
      seed: Of the dropout.

    Returns:
      A function of a distributed global batch and the step. It returns float32 scalars: the
      metrics of `replica_loss` summed, `loss`, `learning_rate` and `gradient_norm`, all those of
      the weights before the update.
    """

    def replica_gradients(batch: Batch, step: tf.Tensor) -> tuple[list, Metrics]:
        context = tf.distribute.get_replica_context()
        dropout = modeling.DropoutKey(seed, step, context.replica_id_in_sync_group)
        with tf.GradientTape() as tape:
            loss, metrics = replica_loss(batch, dropout)
        gradients = tape.gradient(loss, variables)
        gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        gradients, norm = optimization.clip_gradients(gradients)
        # The norm is the same everywhere, hence its share: metrics are summed.
        share = norm / context.num_replicas_in_sync
        return gradients, {**metrics, "loss": loss, "gradient_norm": share}

    @tf.function
    def train_step(batch: Batch, step: tf.Tensor) -> Metrics:
        gradients, metrics = strategy.run(replica_gradients, args=(batch, step))
        rate = learning_rate(step)
        optimizer.apply_gradients(zip(gradients, variables), rate)
        totals = {name: strategy.reduce("SUM", metrics[name], axis=None) for name in metrics}
        return {**totals, "learning_rate": rate}

    return train_step


def all_finite(variables: Iterable[tf.Variable]) -> bool:
    """Whether no value of any variable is infinite or not a number."""
    return all(bool(tf.reduce_all(tf.math.is_finite(variable))) for variable in variables)


def run_steps(
    train_step: Callable[[Batch, tf.Tensor], Metrics],
    batches: Iterator[Batch],
    first_step: int,
    last_step: int,
    log_steps: int,
    save_steps: int,
    report: Callable[[int, dict[str, float]], None],
    save: Callable[[int], None],
    progress: Callable[[], None],
) -> None:
    """Makes the updates `first_step` + 1 to `last_step`.

    Args:
      train_step: See `make_train_step`.
      batches: Yields the batches, from that of step `first_step` + 1 on.
      first_step: Updates made before.
      last_step: Updates to have been made at the end.
      log_steps: `report` is called whenever the number of updates is a multiple of it.
      save_steps: `save` likewise, and at the end.
      report: Takes the number of updates made, and the means of the metrics over those since the
        last report (of the learning rate the last one).
      save: Takes the number of updates made.
      progress: Called after every step.

    Raises:
      NonFiniteLossError: A loss or gradient is not finite. Nothing is saved after such a step.
    """
    pending: list[Metrics] = []

    def take_pending(step: int) -> dict[str, float]:
        # Fetching values makes the host wait for the device, hence only now and then.
        values = {name: np.array([float(m[name]) for m in pending]) for name in pending[0]}
        for quantity in ("loss", "gradient_norm"):
            bad = np.flatnonzero(~np.isfinite(values[quantity]))
            if bad.size:
                raise NonFiniteLossError(step - len(pending) + int(bad[0]) + 1, quantity)
        means = {name: float(series.mean()) for name, series in values.items()}
        means["learning_rate"] = float(values["learning_rate"][-1])
        return means

    for done in range(first_step + 1, last_step + 1):
        pending.append(train_step(next(batches), tf.constant(done - 1, tf.int64)))
        progress()
        if done % log_steps == 0 or done == last_step:
            report(done, take_pending(done))
            pending.clear()
        if done % save_steps == 0 or done == last_step:
            if pending:
                take_pending(done)
            save(done)
