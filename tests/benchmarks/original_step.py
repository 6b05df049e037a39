"""A peer of pretraining.py: pre-training computed as the original does, in a TensorFlow 1 graph.

Same algorithm, other operations than this project's: a mask for every pair of positions, multiplied
out; log-softmax and products with one-hot labels; random numbers with a state in every dropout;
moments and batch normalization in place of a layer normalization; a gradient of the word embeddings
that carries the rows of both of their uses; and Adam spelled out in small operations.
"""

import os
import sys
from collections.abc import Callable

# Beside this file is one that bears the name of Hugging Face's package.
_FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [*(folder for folder in sys.path if folder != _FOLDER), _FOLDER]

import math  # noqa: E402
import re  # noqa: E402

import step_server  # noqa: E402

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
import tensorflow.compat.v1 as tf  # noqa: E402

SIZES = step_server.MODEL
HIDDEN, HEADS = SIZES["hidden_size"], SIZES["num_attention_heads"]


def make_step() -> step_server.Step:
    tf.disable_v2_behavior()
    tf.set_random_seed(12345)
    batch, length, predictions = (
        step_server.BATCH_SIZE,
        step_server.SEQ_LENGTH,
        step_server.PREDICTIONS,
    )
    features = {
        "input_ids": tf.placeholder(tf.int32, [batch, length]),
        "input_mask": tf.placeholder(tf.int32, [batch, length]),
        "segment_ids": tf.placeholder(tf.int32, [batch, length]),
        "masked_lm_positions": tf.placeholder(tf.int32, [batch, predictions]),
        "masked_lm_ids": tf.placeholder(tf.int32, [batch, predictions]),
        "masked_lm_weights": tf.placeholder(tf.float32, [batch, predictions]),
        "next_sentence_labels": tf.placeholder(tf.int32, [batch, 1]),
    }
    loss = build_loss(features)
    update = build_update(loss)
    session = tf.Session()
    session.run(tf.global_variables_initializer())

    def step(batch: step_server.Batch) -> float:
        feed = {features[name]: batch[name] for name in features}
        return float(session.run([loss, update], feed)[0])

    return step


def build_loss(features: dict[str, tf.Tensor]) -> tf.Tensor:
    """The loss of both tasks."""
    rows, table = embed(features["input_ids"], features["segment_ids"])
    mask = attention_mask(features["input_mask"])
    for layer in range(SIZES["num_hidden_layers"]):
        with tf.variable_scope(f"layer_{layer}"):
            rows = encode(rows, mask)
    sequence = tf.reshape(rows, [step_server.BATCH_SIZE, step_server.SEQ_LENGTH, HIDDEN])
    pooled = dense(tf.squeeze(sequence[:, 0:1, :], axis=1), HIDDEN, "pooler", tf.tanh)
    return masked_lm_loss(sequence, table, features) + next_sentence_loss(
        pooled, features["next_sentence_labels"]
    )


def embed(input_ids: tf.Tensor, segment_ids: tf.Tensor) -> tuple[tf.Tensor, tf.Variable]:
    """The rows the lowest layer reads, [tokens, hidden], and the word embeddings."""
    batch, length = step_server.BATCH_SIZE, step_server.SEQ_LENGTH
    table = weights("word_embeddings", [SIZES["vocab_size"], HIDDEN])
    words = tf.reshape(tf.gather(table, tf.reshape(input_ids, [-1])), [batch, length, HIDDEN])
    types = SIZES["type_vocab_size"]
    segments = tf.matmul(
        tf.one_hot(tf.reshape(segment_ids, [-1]), depth=types),
        weights("token_type_embeddings", [types, HIDDEN]),
    )
    positions = tf.slice(
        weights("position_embeddings", [SIZES["max_position_embeddings"], HIDDEN]),
        [0, 0],
        [length, -1],
    )
    total = words + tf.reshape(segments, [batch, length, HIDDEN])
    total += tf.reshape(positions, [1, length, HIDDEN])
    total = drop(layer_norm(total, "embeddings"), SIZES["hidden_dropout_prob"])
    return tf.reshape(total, [-1, HIDDEN]), table


def attention_mask(input_mask: tf.Tensor) -> tf.Tensor:
    """1 for each pair of positions whose second is no padding: [batch, 1, length, length]."""
    batch, length = step_server.BATCH_SIZE, step_server.SEQ_LENGTH
    looked_at = tf.cast(tf.reshape(input_mask, [batch, 1, length]), tf.float32)
    pairs = tf.ones([batch, length, 1], tf.float32) * looked_at
    return tf.expand_dims(pairs, axis=[1])


def encode(rows: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """One layer of the encoder."""
    batch, length, size = step_server.BATCH_SIZE, step_server.SEQ_LENGTH, HIDDEN // HEADS

    def project(name: str) -> tf.Tensor:
        values = tf.reshape(dense(rows, HIDDEN, name), [batch, length, HEADS, size])
        return tf.transpose(values, [0, 2, 1, 3])

    query, key, value = map(project, ("query", "key", "value"))
    scores = tf.multiply(tf.matmul(query, key, transpose_b=True), 1.0 / math.sqrt(size))
    scores += (1.0 - mask) * -10000.0
    shares = drop(tf.nn.softmax(scores), SIZES["attention_probs_dropout_prob"])
    context = tf.transpose(tf.matmul(shares, value), [0, 2, 1, 3])
    context = tf.reshape(context, [batch * length, HIDDEN])
    rate = SIZES["hidden_dropout_prob"]
    attended = layer_norm(drop(dense(context, HIDDEN, "attended"), rate) + rows, "attended")
    inner = dense(attended, SIZES["intermediate_size"], "intermediate", gelu)
    return layer_norm(drop(dense(inner, HIDDEN, "output"), rate) + attended, "output")


def masked_lm_loss(
    sequence: tf.Tensor, table: tf.Variable, features: dict[str, tf.Tensor]
) -> tf.Tensor:
    """The mean over the masked words."""
    batch, length = step_server.BATCH_SIZE, step_server.SEQ_LENGTH
    starts = tf.reshape(tf.range(0, batch, dtype=tf.int32) * length, [-1, 1])
    flat_positions = tf.reshape(features["masked_lm_positions"] + starts, [-1])
    rows = tf.gather(tf.reshape(sequence, [batch * length, HIDDEN]), flat_positions)
    rows = layer_norm(dense(rows, HIDDEN, "transform", gelu), "transform")
    bias = tf.get_variable("output_bias", [SIZES["vocab_size"]], initializer=tf.zeros_initializer())
    logits = tf.nn.bias_add(tf.matmul(rows, table, transpose_b=True), bias)
    log_shares = tf.nn.log_softmax(logits, axis=-1)
    labels = tf.one_hot(
        tf.reshape(features["masked_lm_ids"], [-1]), depth=SIZES["vocab_size"], dtype=tf.float32
    )
    losses = -tf.reduce_sum(log_shares * labels, axis=[-1])
    label_weights = tf.reshape(features["masked_lm_weights"], [-1])
    return tf.reduce_sum(label_weights * losses) / (tf.reduce_sum(label_weights) + 1e-5)


def next_sentence_loss(pooled: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """The mean over the sequences."""
    kernel = weights("next_sentence_weights", [2, HIDDEN])
    bias = tf.get_variable("next_sentence_bias", [2], initializer=tf.zeros_initializer())
    logits = tf.nn.bias_add(tf.matmul(pooled, kernel, transpose_b=True), bias)
    one_hot = tf.one_hot(tf.reshape(labels, [-1]), depth=2, dtype=tf.float32)
    return tf.reduce_mean(-tf.reduce_sum(one_hot * tf.nn.log_softmax(logits, axis=-1), axis=-1))


def build_update(loss: tf.Tensor) -> tf.Operation:
    """Adam with decoupled weight decay, an assignment a value, as its recipe reads."""
    step = tf.train.get_or_create_global_step()
    rate = tf.train.polynomial_decay(
        step_server.LEARNING_RATE, step, step_server.TRAIN_STEPS, end_learning_rate=0.0
    )
    warming = step_server.LEARNING_RATE * tf.cast(step, tf.float32) / step_server.WARMUP_STEPS
    rate = tf.where(step < step_server.WARMUP_STEPS, warming, rate)
    variables = tf.trainable_variables()
    gradients, _ = tf.clip_by_global_norm(tf.gradients(loss, variables), step_server.CLIP_NORM)
    assignments = []
    for gradient, variable in zip(gradients, variables):
        m, v = (
            tf.get_variable(
                f"{variable.op.name}/{name}",
                variable.shape.as_list(),
                trainable=False,
                initializer=tf.zeros_initializer(),
            )
            for name in ("m", "v")
        )
        next_m = tf.multiply(0.9, m) + tf.multiply(1.0 - 0.9, gradient)
        next_v = tf.multiply(0.999, v) + tf.multiply(1.0 - 0.999, tf.square(gradient))
        change = next_m / (tf.sqrt(next_v) + 1e-6)
        if not re.search("bias|beta|gamma", variable.op.name):
            change += step_server.WEIGHT_DECAY * variable
        assignments += [variable.assign(variable - rate * change), m.assign(next_m)]
        assignments.append(v.assign(next_v))
    return tf.group(*assignments, step.assign(step + 1))


def weights(name: str, shape: list[int]) -> tf.Variable:
    initial = tf.truncated_normal_initializer(stddev=SIZES["initializer_range"])
    return tf.get_variable(name, shape, initializer=initial)


def dense(values: tf.Tensor, size: int, name: str, activation: Callable | None = None) -> tf.Tensor:
    with tf.variable_scope(name):
        kernel = weights("kernel", [values.shape.as_list()[-1], size])
        bias = tf.get_variable("bias", [size], initializer=tf.zeros_initializer())
    values = tf.nn.bias_add(tf.matmul(values, kernel), bias)
    return activation(values) if activation else values


def layer_norm(values: tf.Tensor, name: str) -> tf.Tensor:
    with tf.variable_scope(f"{name}_norm"):
        beta = tf.get_variable("beta", [HIDDEN], initializer=tf.zeros_initializer())
        gamma = tf.get_variable("gamma", [HIDDEN], initializer=tf.ones_initializer())
    mean, variance = tf.nn.moments(values, [-1], keep_dims=True)
    return tf.nn.batch_normalization(values, mean, variance, beta, gamma, 1e-12)


def drop(values: tf.Tensor, rate: float) -> tf.Tensor:
    return tf.nn.dropout(values, rate=rate)


def gelu(values: tf.Tensor) -> tf.Tensor:
    inner = math.sqrt(2.0 / math.pi) * (values + 0.044715 * tf.pow(values, 3))
    return values * (0.5 * (1.0 + tf.tanh(inner)))


if __name__ == "__main__":
    step_server.serve(make_step)
