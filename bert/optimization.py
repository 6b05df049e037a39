"""Adam with decoupled weight decay, and the learning rate: Google's optimization.py.

Kingma and Ba, "Adam" (2014), without its bias correction; the decay is that of Loshchilov and
Hutter, "Decoupled Weight Decay Regularization" (2017). What is computed, and in which order, is
the original's, so the numbers are too.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import tensorflow as tf

Gradient = tf.Tensor | tf.IndexedSlices | None


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


def create_optimizer(variables: Mapping[str, tf.Variable]) -> "AdamWeightDecayOptimizer":
    """The optimizer BERT was trained with, for the variables given by name."""
    return AdamWeightDecayOptimizer(
        variables,
        weight_decay_rate=0.01,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-6,
        exclude_from_weight_decay=("LayerNorm", "layer_norm", "bias"),
    )


class AdamWeightDecayOptimizer:
    """Adam whose weight decay does not pass through the moments."""

    def __init__(
        self,
        variables: Mapping[str, tf.Variable],
        weight_decay_rate: float = 0.0,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-6,
        exclude_from_weight_decay: Sequence[str] = (),
    ):
        """Creates the moments, zeros, under the strategy whose scope this is called in.

        Args:
          variables: What is to be trained, by name.
          weight_decay_rate: Share of the learning rate a weight shrinks by at each update.
          beta_1: Decay of the first moment.
          beta_2: Decay of the second moment.
          epsilon: Added to the root of the second moment.
          exclude_from_weight_decay: Regular expressions; a variable in whose name one of them is
            found does not shrink.
        """
        self._weight_decay_rate = weight_decay_rate
        self._beta_1 = beta_1
        self._beta_2 = beta_2
        self._epsilon = epsilon
        self._exclusions = [re.compile(pattern) for pattern in exclude_from_weight_decay]
        self._strategy = tf.distribute.get_strategy()
        self._slots = {
            f"{name}/{slot}": tf.Variable(
                tf.zeros(variable.shape), trainable=False, name=f"{name}/{slot}"
            )
            for name, variable in variables.items()
            for slot in ("adam_m", "adam_v")
        }

    @property
    def slots(self) -> dict[str, tf.Variable]:
        """The moments by name: <variable>/adam_m, then <variable>/adam_v, for each variable."""
        return dict(self._slots)

    def uses_weight_decay(self, name: str) -> bool:
        """Whether the variable `name`, without ":0", shrinks."""
        return bool(self._weight_decay_rate) and not any(
            pattern.search(name) for pattern in self._exclusions
        )

    def apply_gradients(
        self,
        grads_and_vars: Iterable[tuple[Gradient, tf.Variable]],
        learning_rate: tf.Tensor,
    ) -> None:
        """Makes one update. Counting steps is the caller's.

        Under a strategy it is called in cross-replica context, with gradients that are already
        the same on every replica; each device then updates its own copy without another word to
        the others.

        Args:
          grads_and_vars: Gradients, of the global batch and clipped, with their variables. A
            variable without a gradient stays as it is.
          learning_rate: A float32 scalar.
        """
        for gradient, variable in grads_and_vars:
            if gradient is None:
                continue
            name = re.sub(r":\d+$", "", variable.name)
            self._strategy.extended.update(
                variable,
                self._update,
                args=(
                    gradient,
                    self._slots[f"{name}/adam_m"],
                    self._slots[f"{name}/adam_v"],
                    learning_rate,
                ),
                kwargs={"decays": self.uses_weight_decay(name)},
            )

    def _update(
        self,
        variable: tf.Variable,
        gradient: tf.Tensor | tf.IndexedSlices,
        m: tf.Variable,
        v: tf.Variable,
        learning_rate: tf.Tensor,
        decays: bool,
    ) -> None:
        gradient = tf.convert_to_tensor(gradient)
        next_m = self._beta_1 * m + (1.0 - self._beta_1) * gradient
        next_v = self._beta_2 * v + (1.0 - self._beta_2) * tf.square(gradient)
        update = next_m / (tf.sqrt(next_v) + self._epsilon)
        if decays:
            update += self._weight_decay_rate * variable
        variable.assign_sub(learning_rate * update)
        m.assign(next_m)
        v.assign(next_v)
