"""LAMB: Adam whose update of each variable is as long as a share of the variable itself.

You et al., "Large Batch Optimization for Deep Learning: Training BERT in 76 minutes" (2019),
algorithm 2, with the function phi of a weight's norm being the identity.

Others do differently what the paper leaves open or says. Google's code (ALBERT's) corrects no bias
of the moments. NVIDIA's (apex and their BERT scripts) corrects it, and first divides all gradients
by their joint norm where that is above 1: `optimization.clip_gradients`, which comes before this
optimizer too. Google clips there as well; the paper does not speak of it.
"""

import math
import re
from collections.abc import Mapping, Sequence

import tensorflow as tf

from deeq_bert.bert.moment_optimizer import MomentOptimizer


class LambOptimizer(MomentOptimizer):
    """Bias-corrected Adam with decoupled weight decay and a trust ratio for each variable."""

    def __init__(
        self,
        variables: Mapping[str, tf.Variable],
        weight_decay_rate: float = 0.0,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-6,
        exclude_from_weight_decay: Sequence[str] = (),
        exclude_from_layer_adaptation: Sequence[str] | None = None,
    ):
        """Creates the moments, zeros, under the strategy whose scope this is called in.

        Args:
          variables: What is to be trained, by name.
          weight_decay_rate: The paper's lambda.
          beta_1: Decay of the first moment.
          beta_2: Decay of the second moment.
          epsilon: Added to the root of the second moment.
          exclude_from_weight_decay: Regular expressions; a variable in whose name one of them is
            found does not shrink.
          exclude_from_layer_adaptation: Likewise for the trust ratio, which is then 1; without it
            the same as for the weight decay.
        """
        super().__init__(
            variables, weight_decay_rate, beta_1, beta_2, epsilon, exclude_from_weight_decay
        )
        if exclude_from_layer_adaptation is None:
            exclude_from_layer_adaptation = exclude_from_weight_decay
        self._not_adapted = [re.compile(pattern) for pattern in exclude_from_layer_adaptation]

    def uses_layer_adaptation(self, name: str) -> bool:
        """Whether the update of the variable `name`, without ":0", has a trust ratio."""
        return not any(pattern.search(name) for pattern in self._not_adapted)

    def _direction(
        self,
        name: str,
        variable: tf.Variable,
        m: tf.Tensor,
        v: tf.Tensor,
        updates_made: tf.Tensor,
    ) -> tf.Tensor:
        count = tf.cast(updates_made, tf.float32) + 1.0
        # 1 - beta**count, without the digits that this would lose for the first updates.
        corrected_m = m / -tf.math.expm1(count * math.log(self._beta_1))
        corrected_v = v / -tf.math.expm1(count * math.log(self._beta_2))
        update = corrected_m / (tf.sqrt(corrected_v) + self._epsilon)
        if self.uses_weight_decay(name):
            update += self._weight_decay_rate * variable
        if not self.uses_layer_adaptation(name):
            return update
        weight_norm, update_norm = tf.norm(variable), tf.norm(update)
        both = (weight_norm > 0.0) & (update_norm > 0.0)
        # The inner choice keeps a division by 0 out.
        ratio = weight_norm / tf.where(both, update_norm, tf.ones_like(update_norm))
        return tf.where(both, ratio, tf.ones_like(ratio)) * update
