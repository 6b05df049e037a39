"""The dynamic loss scale of training in float16 (Micikevicius et al., "Mixed Precision Training").

Small gradients vanish in float16. The loss is multiplied by a scale before the backward pass and
the gradients divided by it after: the scale doubles as long as nothing overflows, and halves when
something does (2017, section 3.2).
"""

import tensorflow as tf

_LARGEST = 2.0**24
# The known converters of checkpoints skip any name with a component "global_step".
_SCALE, _GOOD_STEPS = "global_step/loss_scale", "global_step/loss_scale_good_steps"


class LossScale:
    """A scale that follows what the gradients can bear.

    Its state is two variables that ride along in a checkpoint.
    """

    def __init__(self, initial: float = 2.0**15, growth_steps: int = 2000):
        """Creates the variables, under the strategy whose scope this is called in.

        Args:
          initial: The first scale; a power of two, by which dividing is exact.
          growth_steps: After so many updates in a row that were finite, the scale doubles.
        """
        self._growth_steps = growth_steps
        self._scale = tf.Variable(initial, trainable=False, dtype=tf.float32, name=_SCALE)
        self._good_steps = tf.Variable(0, trainable=False, dtype=tf.int64, name=_GOOD_STEPS)

    @property
    def value(self) -> tf.Tensor:
        """The scale, a float32 scalar."""
        return tf.convert_to_tensor(self._scale)

    @property
    def variables(self) -> dict[str, tf.Variable]:
        """The state by the names it has in a checkpoint."""
        return {_SCALE: self._scale, _GOOD_STEPS: self._good_steps}

    def update(self, finite: tf.Tensor) -> None:
        """Takes note of one update; called in cross-replica context.

        Args:
          finite: Whether its gradients were; a boolean scalar, the same for all replicas.
        """
        scale, good_steps = self.value, tf.convert_to_tensor(self._good_steps) + 1
        grows = good_steps >= self._growth_steps
        grown = tf.where(grows, tf.minimum(scale * 2.0, _LARGEST), scale)
        self._scale.assign(tf.where(finite, grown, tf.maximum(scale * 0.5, 1.0)))
        self._good_steps.assign(tf.where(finite & ~grows, good_steps, tf.zeros_like(good_steps)))
