import numpy as np
import pytest
import tensorflow as tf

from deeq_bert.bert import optimization
from deeq_bert.bert.lamb import LambOptimizer

BETA_1, BETA_2, EPSILON, DECAY = 0.9, 0.999, 1e-6, 0.01
NAMES = ("a/kernel", "a/LayerNorm/gamma", "b/bias", "b/table")


def algorithm_2(weights, gradients, rates):
    """Algorithm 2 of the paper, in float64: the weights after these updates of one variable."""
    x, m, v = np.float64(weights), 0.0, 0.0
    for t, (g, rate) in enumerate(zip(np.float64(gradients), rates), start=1):
        m = BETA_1 * m + (1 - BETA_1) * g
        v = BETA_2 * v + (1 - BETA_2) * g**2
        r = m / (1 - BETA_1**t) / (np.sqrt(v / (1 - BETA_2**t)) + EPSILON)
        step = r + DECAY * x
        x = x - rate * np.linalg.norm(x) / np.linalg.norm(step) * step
    return x


def bias_corrected_adam(weights, gradients, rates):
    """What is left for a variable without a trust ratio and a decay."""
    x, m, v = np.float64(weights), 0.0, 0.0
    for t, (g, rate) in enumerate(zip(np.float64(gradients), rates), start=1):
        m = BETA_1 * m + (1 - BETA_1) * g
        v = BETA_2 * v + (1 - BETA_2) * g**2
        x = x - rate * m / (1 - BETA_1**t) / (np.sqrt(v / (1 - BETA_2**t)) + EPSILON)
    return x


@pytest.fixture
def updates():
    """First weights by name, gradients of 10 updates by name, and the learning rates."""
    random = np.random.default_rng(1)
    weights = {name: random.normal(size=(4, 3)).astype(np.float32) for name in NAMES}
    gradients = {name: random.normal(size=(10, 4, 3)).astype(np.float32) for name in NAMES}
    return weights, gradients, np.linspace(0.1, 0.01, 10, dtype=np.float32)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_its_updates_are_those_of_the_paper(updates, jit_compile):
    weights, gradients, rates = updates
    variables = {name: tf.Variable(weights[name], name=name) for name in NAMES}
    optimizer = optimization.create_optimizer(variables, "lamb")

    @tf.function
    def update(values, rate, updates_made):
        pairs = [*zip(values, variables.values())]
        optimizer.apply_gradients(pairs, rate, updates_made, jit_compile=jit_compile)

    for number, rate in enumerate(rates):
        values = [tf.constant(gradients[name][number]) for name in NAMES]
        update(values, tf.constant(rate), tf.constant(number, tf.int64))

    for name, rule in zip(
        NAMES, (algorithm_2, bias_corrected_adam, bias_corrected_adam, algorithm_2)
    ):
        expected = rule(weights[name], gradients[name], rates)
        np.testing.assert_allclose(variables[name], expected, rtol=2e-5, atol=1e-6, err_msg=name)


def test_the_length_of_an_update_does_not_depend_on_the_gradient():
    moved = []
    for size in (1e-3, 1.0, 1e3):
        weight = tf.Variable([3.0, 4.0], name="a/kernel")
        optimizer = LambOptimizer({"a/kernel": weight})
        optimizer.apply_gradients([(tf.constant([size, size]), weight)], tf.constant(0.1), 0)
        moved.append(np.linalg.norm(weight.numpy() - [3.0, 4.0]))

    assert moved == pytest.approx([0.5] * 3, rel=1e-3)


@pytest.mark.parametrize(("weight", "gradient"), [(0.0, 2.0), (3.0, 0.0)])
def test_the_trust_ratio_is_1_where_a_norm_is_0(weight, gradient):
    variable = tf.Variable([weight], name="a/kernel")

    optimizer = LambOptimizer({"a/kernel": variable})
    optimizer.apply_gradients([(tf.constant([gradient]), variable)], tf.constant(0.5), 0)

    assert variable.numpy() == pytest.approx([weight - 0.5 * (gradient > 0)], rel=1e-5)


def test_names_exclude_from_decay_and_from_the_trust_ratio():
    optimizer = LambOptimizer(
        {},
        weight_decay_rate=0.01,
        exclude_from_weight_decay=["bias"],
        exclude_from_layer_adaptation=["LayerNorm"],
    )

    assert not optimizer.uses_weight_decay("a/bias") and optimizer.uses_layer_adaptation("a/bias")
    assert optimizer.uses_weight_decay("LayerNorm/gamma")
    assert not optimizer.uses_layer_adaptation("LayerNorm/gamma")


def test_the_moments_have_the_names_of_adam():
    weight = tf.Variable([1.0], name="a/kernel")

    slots = optimization.create_optimizer({"a/kernel": weight}, "lamb").slots

    assert [*slots] == ["a/kernel/adam_m", "a/kernel/adam_v"]
