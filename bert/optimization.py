"""Adam with decoupled weight decay, and the learning rate: Google's optimization.py.

Kingma and Ba, "Adam" (2014), without its bias correction; the decay is that of Loshchilov and
Hutter, "Decoupled Weight Decay Regularization" (2017). What is computed, and in which order, is
the original's, so the numbers are too.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from deeq_bert.bert.lamb import LambOptimizer
from deeq_bert.bert.moment_optimizer import Gradient, MomentOptimizer


def learning_rate_at_step(
    step: int | tf.Tensor, init_lr: float, num_train_steps: int, num_warmup_steps: int
) -> tf.Tensor:
    """The rate update number `step` is made with.

    It rises from 0 to `init_lr` over the warm-up, as if it had been falling towards 0 at
    `num_train_steps` since step 0, goes on along that line, and stays 0 after its end.

    Args:
      step: Updates made so far, an integer scalar: 0 for the first update.
      init_lr: The rate the decay starts from.
      num_train_steps: Where the decay ends.
      num_warmup_steps: 0 for no warm-up.

    Returns:
      A float32 scalar.
    """
    step = tf.cast(step, tf.float32)
    # TensorFlow folds the original's divisions by a constant into these products when it compiles
    # them. Written out they give the same bits wherever they run.
    rate, one = np.float32(init_lr), np.float32(1)
    done = tf.minimum(step, np.float32(num_train_steps)) * (one / np.float32(num_train_steps))
    decayed = rate * (1.0 - done)
    if not num_warmup_steps:
        return decayed
    warming = step * (rate * (one / np.float32(num_warmup_steps)))
    return tf.where(step < np.float32(num_warmup_steps), warming, decayed)


def clip_gradients(
    gradients: Sequence[Gradient], clip_norm: float = 1.0
) -> tuple[list[Gradient], tf.Tensor]:
    """Scales all gradients alike so that their joint norm is at most `clip_norm`.

    A gradient that is None stays so. Of IndexedSlices, rows that stand for the same row of the
    variable count one by one, as in the original. A norm that is not finite makes every gradient
    NaN.

    Args:
      gradients: Those of the global batch, that is, summed over the replicas.
      clip_norm: The largest norm.

    Returns:
      The gradients, and the norm they had.
    """
    return tf.clip_by_global_norm(gradients, clip_norm)


def create_optimizer(variables: Mapping[str, tf.Variable], name: str = "adam") -> MomentOptimizer:
    """An optimizer for the variables given by name, with the settings BERT was trained with.

    Args:
      variables: What is to be trained.
      name: "adam", that of the original, or "lamb", for large batches.
    """
    optimizers = {"adam": AdamWeightDecayOptimizer, "lamb": LambOptimizer}
    return optimizers[name](
        variables,
        weight_decay_rate=0.01,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-6,
        exclude_from_weight_decay=("LayerNorm", "layer_norm", "bias"),
    )


class AdamWeightDecayOptimizer(MomentOptimizer):
    """Adam whose weight decay does not pass through the moments."""

    def _direction(
        self,
        name: str,
        variable: tf.Variable,
        m: tf.Tensor,
        v: tf.Tensor,
        updates_made: tf.Tensor,
    ) -> tf.Tensor:
        update = m / (tf.sqrt(v) + self._epsilon)
        if self.uses_weight_decay(name):
            update += self._weight_decay_rate * variable
        return update
