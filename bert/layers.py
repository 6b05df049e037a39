"""The operations a BERT is made of, over plain variables and in one of three precisions.

Matrix products are computed in the dtype of their input: float32, bfloat16 or float16. Variables
are float32 all the same, and so is what would suffer: layer normalization, softmax, activations
and what dropout scales (Micikevicius et al., "Mixed Precision Training", 2017).
"""

import math
from collections.abc import Callable, Mapping

import tensorflow as tf

_LAYER_NORM_EPSILON = 1e-12

# A dropout seed is two 64-bit words: the run's seed, and step, replica and site side by side.
_SITE_BITS = 12
_REPLICA_BITS = 20


class DropoutKey:
    """Where in a run a forward pass stands; every dropout mask follows from it.

    Masks differ between steps, replicas and sites and come out the same again, so a run that
    resumes has no generator state to restore. (XLA draws others of its own, also the same again.)
    """

    def __init__(self, seed: int | tf.Tensor, step: int | tf.Tensor, replica: int | tf.Tensor = 0):
        """Takes numbers or integer scalars.

        Args:
          seed: The run's, within 64 bits.
          step: The global step, 0 to 2**31 - 1.
          replica: 0 to 2**20 - 1. A loop that splits a replica's batch further gives each part
            a number of its own.
        """
        self._seed = tf.cast(seed, tf.int64)
        step, replica = tf.cast(step, tf.int64), tf.cast(replica, tf.int64)
        self._place = step * 2 ** (_REPLICA_BITS + _SITE_BITS) + replica * 2**_SITE_BITS

    def at(self, site: int) -> tf.Tensor:
        """The seed, int64 [2], of the dropout at `site`, which is 0 to 4095.

        The encoder uses 0 to 3 * num_hidden_layers; a head takes one above that.

        Raises:
          ValueError: There is no such site.
        """
        if not 0 <= site < 2**_SITE_BITS:
            raise ValueError(f"site is {site}; expected 0 to {2**_SITE_BITS - 1}")
        return tf.stack([self._seed, self._place + site])


def dense(values: tf.Tensor, variables: Mapping[str, tf.Variable], scope: str) -> tf.Tensor:
    """[rows, inputs] times the kernel under `scope`, plus the bias: [rows, outputs]."""
    kernel = tf.cast(variables[f"{scope}/kernel"], values.dtype)
    return tf.nn.bias_add(
        tf.matmul(values, kernel), tf.cast(variables[f"{scope}/bias"], values.dtype)
    )


def layer_norm(values: tf.Tensor, variables: Mapping[str, tf.Variable], scope: str) -> tf.Tensor:
    """Normalizes over the last dimension (Ba et al., "Layer Normalization", 2016).

    Args:
      values: float32.
      variables: Among them the beta and gamma under `scope`.
      scope: As in "bert/embeddings/LayerNorm".
    """
    beta, gamma = variables[f"{scope}/beta"], variables[f"{scope}/gamma"]
    mean = tf.reduce_mean(values, axis=-1, keepdims=True)
    centred = values - mean
    variance = tf.reduce_mean(tf.square(centred), axis=-1, keepdims=True)
    return centred * tf.math.rsqrt(variance + _LAYER_NORM_EPSILON) * gamma + beta


def dropout(values: tf.Tensor, rate: float, key: DropoutKey | None, site: int) -> tf.Tensor:
    """Zeroes a share `rate` of the values and scales the rest by 1 / (1 - rate).

    Args:
      values: float32, of any shape.
      rate: From 0 to below 1.
      key: None outside training: the values then come back as they are.
      site: Which of the model's dropouts this is (see DropoutKey.at).
    """
    if key is None or rate == 0:
        return values
    return tf.nn.experimental.stateless_dropout(values, rate, key.at(site), rng_alg="philox")


def attention_shares(
    scores: tf.Tensor,
    added_scores: tf.Tensor,
    factor: float,
    rate: float,
    key: DropoutKey | None,
    site: int,
) -> tf.Tensor:
    """What part of each position's attention goes to each other: softmax, then dropout.

    Args:
      scores: [batch, heads, sequence, sequence], of any of the three precisions.
      added_scores: float32 [batch, 1, 1, sequence], added to the scores times `factor`.
      factor: See `added_scores`.
      rate: See `dropout`, as the other arguments.

    Returns:
      The shares in the shape and precision of `scores`.
    """
    if scores.dtype == tf.float32:
        shares = tf.nn.softmax(scores * factor + added_scores)
        return dropout(shares, rate, key, site)
    kept = None
    if key is not None and rate:
        # Those that `dropout` keeps.
        kept = rate <= tf.random.stateless_uniform(tf.shape(scores), key.at(site), alg="philox")

    def drop(values: tf.Tensor) -> tf.Tensor:
        if kept is None:
            return values
        return tf.where(kept, values * (1.0 / (1.0 - rate)), tf.zeros_like(values))

    @tf.custom_gradient
    def compute(scores: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        shares = tf.nn.softmax(tf.cast(scores, tf.float32) * factor + added_scores)
        # These are the largest tensors of the model: none of float32 waits for the backward pass.
        short = tf.cast(shares, scores.dtype)

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            shares, upstream = tf.cast(short, tf.float32), drop(tf.cast(upstream, tf.float32))
            centre = tf.reduce_sum(shares * upstream, axis=-1, keepdims=True)
            return tf.cast(shares * (upstream - centre) * factor, short.dtype)

        return short if kept is None else tf.cast(drop(shares), short.dtype), gradient

    return compute(scores)


def gelu(values: tf.Tensor) -> tf.Tensor:
    """Gaussian error linear unit in its tanh form (Hendrycks and Gimpel, 2016)."""
    return _gelu_with_gradient(values)


@tf.custom_gradient
def _gelu_with_gradient(values: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    # Only the argument and the tanh wait for the backward pass, in place of every step between:
    # three tenths less memory for all the activations of a training step. In half precision the
    # argument alone does: a float32 tanh would be twice its size.
    factor, cubic = math.sqrt(2.0 / math.pi), 0.044715

    def tanh_of(exact: tf.Tensor) -> tf.Tensor:
        return tf.tanh(factor * (exact + cubic * (exact * exact * exact)))

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        exact = tf.cast(values, tf.float32)
        tanh = kept_tanh if values.dtype == tf.float32 else tanh_of(exact)
        slope = factor * (1.0 + 3.0 * cubic * (exact * exact))
        result = (
            tf.cast(upstream, tf.float32) * 0.5 * (1.0 + tanh + exact * (1.0 - tanh * tanh) * slope)
        )
        return tf.cast(result, values.dtype)

    exact = tf.cast(values, tf.float32)
    kept_tanh = tanh_of(exact)
    return tf.cast(exact * (0.5 * (1.0 + kept_tanh)), values.dtype), gradient


def get_activation(name: str | None) -> Callable[[tf.Tensor], tf.Tensor]:
    """The function a config's hidden_act names; nothing at all is "linear".

    Raises:
      ValueError: The name is unknown.
    """
    activations = {"linear": tf.identity, "relu": tf.nn.relu, "gelu": gelu, "tanh": tf.tanh}
    try:
        return activations[(name or "linear").lower()]
    except KeyError:
        raise ValueError(f"unknown activation {name!r}; expected one of {[*activations]}") from None


def cross_entropy(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """How far each row of logits is from its label, in nats.

    Args:
      logits: float32 [..., classes].
      labels: Integers [...], each below the number of classes.

    Returns:
      float32 [...].
    """
    classes = logits.shape[-1]
    losses = _row_losses(tf.reshape(logits, [-1, classes]), tf.reshape(labels, [-1]))
    return tf.reshape(losses, tf.shape(labels))


@tf.custom_gradient
def _row_losses(
    logits: tf.Tensor, labels: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, None]]]:
    # A third of the time of sparse_softmax_cross_entropy_with_logits on a CPU, where that is the
    # dearest operation of a step besides the matrix products.
    places = tf.stack([tf.range(tf.shape(labels)[0]), tf.cast(labels, tf.int32)], axis=1)
    shares = tf.nn.softmax(logits)
    # The largest share is at least one in the number of classes: its logarithm is safe.
    log_sums = tf.reduce_max(logits, axis=-1) - tf.math.log(tf.reduce_max(shares, axis=-1))

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
        scaled = shares * upstream[:, tf.newaxis]
        return tf.tensor_scatter_nd_sub(scaled, places, upstream), None

    return log_sums - tf.gather_nd(logits, places), gradient
