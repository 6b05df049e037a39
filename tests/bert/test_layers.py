import numpy as np
import pytest
import tensorflow as tf

from deeq_bert.bert.layers import cross_entropy


@pytest.fixture
def logits() -> tf.Tensor:
    return tf.constant(np.random.default_rng(1).normal(0, 3, (2, 5, 40)), tf.float32)


@pytest.fixture
def labels() -> tf.Tensor:
    return tf.constant(np.random.default_rng(2).integers(0, 40, (2, 5)), tf.int32)


def test_cross_entropy_and_its_gradient_are_those_of_tensorflow(logits, labels):
    upstream = tf.random.stateless_uniform([2, 5], seed=[1, 2])

    results = []
    for function in (
        cross_entropy,
        lambda values, at: tf.nn.sparse_softmax_cross_entropy_with_logits(at, values),
    ):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            losses = function(logits, labels)
        results.append((losses, tape.gradient(losses, logits, upstream)))

    for ours, theirs in zip(*results):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [1e4, -1e4, 3e38])
def test_cross_entropy_of_huge_logits_is_finite(size):
    losses = cross_entropy(tf.constant([[0.0, size, 0.0]]), tf.constant([1]))

    assert np.isfinite(losses).all()


def test_cross_entropy_of_what_is_no_number_is_none():
    assert np.isnan(cross_entropy(tf.constant([[0.0, np.nan]]), tf.constant([0]))).all()
