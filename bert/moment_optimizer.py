"""What Adam and LAMB share: two moments a variable, exclusions by name, updates on every device."""

import abc
import re
from collections.abc import Iterable, Mapping, Sequence

import tensorflow as tf

Gradient = tf.Tensor | tf.IndexedSlices | None


class MomentOptimizer(abc.ABC):
    """An optimizer with a first and a second moment for each variable.

    The moments are named <variable>/adam_m and <variable>/adam_v, whichever optimizer it is: the
    known converters of checkpoints skip these names.
    """

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
        updates_made: int | tf.Tensor,
        apply: tf.Tensor | None = None,
        jit_compile: bool = False,
    ) -> None:
        """Makes one update. Counting them is the caller's.

        Under a strategy it is called in cross-replica context, with gradients that are already
        the same on every replica; each device then updates its own copy without another word to
        the others.

        Args:
          grads_and_vars: Gradients, of the global batch and clipped, with their variables. A
            variable without a gradient stays as it is.
          learning_rate: A float32 scalar.
          updates_made: Updates before this one, an integer scalar; those that were left out may
            count among them.
          apply: A boolean scalar; where it is false, weights and moments stay as they are.
          jit_compile: Whether XLA compiles the update, so that each value is read and written
            once and not once an operation.
        """
        trained = [pair for pair in grads_and_vars if pair[0] is not None]
        names = [re.sub(r":\d+$", "", variable.name) for _, variable in trained]
        if not trained:
            return
        copies = [self._copies(variable) for _, variable in trained]
        for device in range(len(copies[0])):

            def update(gradients: list[tf.Tensor], *scalars: tf.Tensor, device: int = device):
                for name, copy, gradient in zip(names, copies, gradients):
                    moments = [
                        self._copies(self._slots[f"{name}/{slot}"])[device]
                        for slot in ("adam_m", "adam_v")
                    ]
                    self._update(name, copy[device], *moments, gradient, *scalars)

            with tf.device(copies[0][device].device):
                if jit_compile:
                    update = tf.function(update, autograph=False, jit_compile=True)
                # A gradient that is no replica's own serves all devices.
                gradients = [self._copies(gradient) for gradient, _ in trained]
                update(
                    [tf.convert_to_tensor(each[device % len(each)]) for each in gradients],
                    learning_rate,
                    updates_made,
                    apply,
                )

    def _copies(self, value: Gradient | tf.Variable) -> tuple:
        """Returns what of `value` is on each device of this process."""
        return self._strategy.experimental_local_results(value)

    def _update(
        self,
        name: str,
        variable: tf.Variable,
        m: tf.Variable,
        v: tf.Variable,
        gradient: tf.Tensor,
        learning_rate: tf.Tensor,
        updates_made: tf.Tensor,
        apply: tf.Tensor | None,
    ) -> None:
        next_m = self._beta_1 * m + (1.0 - self._beta_1) * gradient
        next_v = self._beta_2 * v + (1.0 - self._beta_2) * tf.square(gradient)
        step = learning_rate * self._direction(name, variable, next_m, next_v, updates_made)
        if apply is not None:
            # Chosen and not multiplied by 0: what is left out may be NaN.
            step = tf.where(apply, step, tf.zeros_like(step))
            next_m, next_v = tf.where(apply, next_m, m), tf.where(apply, next_v, v)
        variable.assign_sub(step)
        m.assign(next_m)
        v.assign(next_v)

    @abc.abstractmethod
    def _direction(
        self,
        name: str,
        variable: tf.Variable,
        m: tf.Tensor,
        v: tf.Tensor,
        updates_made: tf.Tensor,
    ) -> tf.Tensor:
        """What is subtracted from the variable for a learning rate of 1.

        Args:
          name: The variable's, without ":0".
          variable: Its values before the update.
          m: The first moment, this update's gradient in it.
          v: The second moment, likewise.
          updates_made: Updates before this one.
        """
