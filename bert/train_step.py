"""One update of a model over the replicas of a strategy.

A batch's loss has denominators that are sums over the whole batch, such as the number of masked
words. They are counted first; then every replica, and every part a replica cuts its share into,
adds its gradients to a plain sum. N replicas and any number of parts thus make the update that one
device makes of the same global batch.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf

from deeq_bert.bert import optimization
from deeq_bert.bert.layers import DropoutKey
from deeq_bert.bert.loss_scaling import LossScale
from deeq_bert.bert.moment_optimizer import Gradient, MomentOptimizer

Batch = Mapping[str, tf.Tensor]
Metrics = Mapping[str, tf.Tensor]
TrainStep = Callable[[Batch, int | tf.Tensor, float | tf.Tensor], Metrics]


class ReplicaLoss(NamedTuple):
    """The loss of a part of a global batch, such that the parts' losses add up to the batch's.

    Attributes:
      count: From a part of the batch to float32 scalars, whose sums over the global batch the
        loss needs.
      loss: From a part of the batch, those sums and the key of its dropout (None: no dropout) to
        the float32 loss to differentiate, and to float32 scalars whose sums over all parts are
        those of the global batch.
    """

    count: Callable[[Batch], Metrics]
    loss: Callable[[Batch, Metrics, DropoutKey | None], tuple[tf.Tensor, Metrics]]


def make_train_step(
    strategy: tf.distribute.Strategy,
    variables: Sequence[tf.Variable],
    optimizer: MomentOptimizer,
    learning_rate: Callable[[tf.Tensor], tf.Tensor],
    replica_loss: ReplicaLoss,
    seed: int,
    accumulation_steps: int = 1,
    loss_scale: LossScale | None = None,
    jit_compile: bool = False,
) -> TrainStep:
    """Returns a compiled function that makes one update.

    Args:
      strategy: Where the variables live.
      variables: What to train.
      optimizer: Made with those variables, under the strategy.
      learning_rate: From the step (int64 scalar, the first is 0) to the rate of its update.
      replica_loss: See ReplicaLoss.
      seed: Of the dropout.
      accumulation_steps: Parts that each replica's share of a batch is worked off in, one after
        the other, to save memory.
      loss_scale: For float16, made under the strategy. An update whose gradients are not finite
        is left out.
      jit_compile: Whether XLA compiles, each for itself, the forward and backward pass of a part,
        the clipping and the update. It draws other dropout masks, as reproducible as the usual
        ones. The sums over the replicas stay outside: on CPUs XLA has none.

    Returns:
      A function of a distributed global batch, the step, and a number of this process that is
      above 0 when it wants the run to stop. It returns float32 scalars: the metrics of
      `replica_loss`, `loss`, `gradient_norm` (before clipping), `learning_rate`, and `stop_votes`,
      that number's sum over all replicas of all processes. With a loss scale also `loss_scale`,
      that of this step, and `applied`, 0 for an update that was left out. They are those of the
      weights before the update. The function raises ValueError where a replica's share of the
      batch does not divide by `accumulation_steps`.

    Raises:
      ValueError: accumulation_steps is below 1.
    """
    if accumulation_steps < 1:
        raise ValueError(f"accumulation_steps is {accumulation_steps}; expected 1 or more")

    def part_gradients(
        batch: Batch, totals: Metrics, step: tf.Tensor, part: tf.Tensor, scale: tf.Tensor | None
    ) -> tuple[list[Gradient], Metrics]:
        with tf.GradientTape() as tape:
            key = DropoutKey(seed, step, part)
            loss, metrics = replica_loss.loss(batch, totals, key)
            # Scaled before the backward pass, whose small values are what would be lost.
            target = loss if scale is None else loss * scale
        return tape.gradient(target, variables), {**metrics, "loss": loss}

    def replica_gradients(
        batch: Batch, step: tf.Tensor, stop_vote: tf.Tensor
    ) -> tuple[list[Gradient], Metrics]:
        context = tf.distribute.get_replica_context()
        totals = replica_loss.count(batch)
        if totals:
            totals = context.all_reduce(tf.distribute.ReduceOp.SUM, totals)
        scale = None if loss_scale is None else loss_scale.value
        first_part = tf.cast(context.replica_id_in_sync_group, tf.int32) * accumulation_steps

        def compute(batch: Batch, part: tf.Tensor) -> tuple[list[Gradient], Metrics]:
            return part_gradients(batch, totals, step, first_part + part, scale)

        clip = _unscale_and_clip
        if jit_compile:
            compute = tf.function(compute, autograph=False, jit_compile=True)
            clip = tf.function(clip, autograph=False, jit_compile=True)
        if accumulation_steps == 1:
            gradients, metrics = compute(batch, tf.constant(0))
        else:
            gradients, metrics = _accumulate(compute, batch, accumulation_steps)
        # One tensor given to all replicas would not count as a value of each.
        metrics = {**metrics, "stop_votes": tf.identity(stop_vote)}
        metrics = context.all_reduce(tf.distribute.ReduceOp.SUM, metrics)
        # In calls of their own: one for both seems to make every gradient wait for every metric,
        # so TensorFlow's graph optimizer drops the edge that keeps an update behind the reads
        # before it, and later takes the call's bundle apart. Some gradients may be None, which an
        # all-reduce does not take.
        trained = [i for i, gradient in enumerate(gradients) if gradient is not None]
        sums = context.all_reduce(tf.distribute.ReduceOp.SUM, [gradients[i] for i in trained])
        sums, norm = clip(sums, scale)
        for i, gradient in zip(trained, sums):
            gradients[i] = gradient
        return gradients, {**metrics, "gradient_norm": norm}

    # Batches of fine-tuning have many lengths, which then share a graph.
    @tf.function(autograph=False, reduce_retracing=True)
    def train_step(batch: Batch, step: tf.Tensor, stop_vote: tf.Tensor) -> Metrics:
        gradients, sums = strategy.run(replica_gradients, args=(batch, step, stop_vote))
        # They are sums over the replicas, hence the same on each of them.
        metrics = {name: strategy.experimental_local_results(sums[name])[0] for name in sums}
        metrics["learning_rate"] = rate = learning_rate(step)
        finite = None
        if loss_scale is not None:
            finite = tf.math.is_finite(metrics["gradient_norm"])
            metrics["loss_scale"] = loss_scale.value
            metrics["applied"] = tf.cast(finite, tf.float32)
            loss_scale.update(finite)
        optimizer.apply_gradients(zip(gradients, variables), rate, step, finite, jit_compile)
        return metrics

    def call(batch: Batch, step: int | tf.Tensor, stop_vote: float | tf.Tensor = 0.0) -> Metrics:
        # As tensors: of every other number tf.function would make another graph.
        with tf.device("/cpu:0"):
            step, stop_vote = tf.cast(step, tf.int64), tf.cast(stop_vote, tf.float32)
        return train_step(batch, step, stop_vote)

    return call


def _accumulate(
    compute: Callable[[Batch, tf.Tensor], tuple[list[Gradient], Metrics]],
    batch: Batch,
    parts: int,
) -> tuple[list[Gradient], Metrics]:
    """Returns the sums of the gradients and metrics of a batch's parts, worked off one by one."""
    for name, value in batch.items():
        if value.shape[0] is None or value.shape[0] % parts:
            raise ValueError(
                f"{name} has {value.shape[0]} rows a replica, which do not divide into the "
                f"{parts} parts of accumulation_steps"
            )
    cut = {
        name: tf.reshape(value, [parts, value.shape[0] // parts, *value.shape[1:]])
        for name, value in batch.items()
    }

    def compute_part(part: tf.Tensor) -> tuple[list[tf.Tensor | None], Metrics]:
        gradients, metrics = compute({name: value[part] for name, value in cut.items()}, part)
        dense = [None if g is None else tf.convert_to_tensor(g) for g in gradients]
        return dense, metrics

    # Traced before the loop, which must know beforehand what it adds up.
    compute_part = tf.function(compute_part, autograph=False).get_concrete_function(
        tf.TensorSpec([], tf.int32)
    )
    outputs = compute_part.structured_outputs
    specs = tf.nest.flatten(outputs)
    # A loop takes no None. Its counter is int32, which lives on the host and not on a GPU.
    there = [i for i, spec in enumerate(specs) if spec is not None]

    def add_part(part: tf.Tensor, sums: list[tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor]]:
        values = tf.nest.flatten(compute_part(part))
        return part + 1, [total + values[i] for i, total in zip(there, sums)]

    _, sums = tf.while_loop(
        lambda part, sums: part < parts,
        add_part,
        (tf.constant(0), [tf.zeros(specs[i].shape, specs[i].dtype) for i in there]),
        parallel_iterations=1,
        maximum_iterations=parts,
    )
    values = [None] * len(specs)
    for i, total in zip(there, sums):
        values[i] = total
    return tf.nest.pack_sequence_as(outputs, values)


def _unscale_and_clip(
    gradients: list[tf.Tensor | tf.IndexedSlices], scale: tf.Tensor | None
) -> tuple[list[tf.Tensor | tf.IndexedSlices], tf.Tensor]:
    """Returns the clipped gradients, and the norm they had before."""
    if scale is not None:
        gradients = [_times(gradient, 1.0 / scale) for gradient in gradients]
    return optimization.clip_gradients(gradients)


def _times(
    gradient: tf.Tensor | tf.IndexedSlices, factor: tf.Tensor
) -> tf.Tensor | tf.IndexedSlices:
    if isinstance(gradient, tf.IndexedSlices):
        return tf.IndexedSlices(gradient.values * factor, gradient.indices, gradient.dense_shape)
    return gradient * factor
