import json

import numpy as np
import pytest
import tensorflow as tf

from deeq_bert.bert import heads, layers, modeling, optimization, pretraining
from deeq_bert.bert.config import BertConfig

FORWARD_TOLERANCE = 5e-5
GRADIENT_TOLERANCE = 2e-5


def load(folder, run):
    """The golden model with the activation a run's name starts with, its inputs, its outputs."""
    expected = np.load(folder / f"outputs_{run}.npz")
    fields = json.loads((folder / "bert_config.json").read_text())
    config = BertConfig.from_dict(fields | {"hidden_act": run.split("_")[0]})
    model = heads.PretrainingModel(config, seed=1)
    weights = np.load(folder / "weights.npz")
    for name, variable in model.variables.items():
        variable.assign(weights[name])
    features = {
        key.removeprefix("input/"): expected[key]
        for key in expected.files
        if key.startswith("input/")
    }
    return model, features, expected


RUNS = ["gelu_a", "gelu_b", "gelu_c", "relu_a", "tanh_a", "linear_a", "gelu_a_onehot"]


def total_loss(model, features) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """The loss that training differentiates, and its two parts."""
    replica_loss = pretraining.make_replica_loss(model, len(features["input_ids"]))
    return replica_loss.loss(features, replica_loss.count(features), None)


@pytest.mark.parametrize("run", RUNS)
def test_losses_and_probabilities_are_those_of_the_original(golden_model, run):
    model, features, expected = load(golden_model, run)

    output = model(features)

    loss, parts = total_loss(model, features)
    log_probabilities = tf.nn.log_softmax(output.masked_lm_logits)
    tensors = {
        "masked_lm_loss": parts["masked_lm_loss"],
        "masked_lm_example_loss": tf.reshape(output.masked_lm_losses, [-1]),
        "masked_lm_log_probs": tf.reshape(log_probabilities, [-1, log_probabilities.shape[-1]]),
        "next_sentence_loss": parts["next_sentence_loss"],
        "next_sentence_example_loss": output.next_sentence_losses,
        "next_sentence_log_probs": tf.nn.log_softmax(output.next_sentence_logits),
        "total_loss": loss,
    }
    for name in tensors.keys() & set(expected.files):
        np.testing.assert_allclose(
            tensors[name], expected[name], rtol=0, atol=FORWARD_TOLERANCE, err_msg=name
        )


def test_gradients_are_those_of_the_original(golden_model):
    model, features, expected = load(golden_model, "gelu_a")
    variables = model.variables
    with tf.GradientTape() as tape:
        loss, _ = total_loss(model, features)
    gradients = tape.gradient(loss, [*variables.values()])

    for name, gradient in zip(variables, gradients):
        # Tied to the output, even the word embeddings have a dense one.
        assert isinstance(gradient, tf.Tensor), name
        np.testing.assert_allclose(
            gradient, expected[f"grad/{name}"], rtol=0, atol=GRADIENT_TOLERANCE, err_msg=name
        )


@pytest.mark.parametrize("run", RUNS)
def test_the_norm_of_the_gradients_is_that_of_the_original(golden_model, run):
    model, features, expected = load(golden_model, run)
    variables = [*model.variables.values()]
    with tf.GradientTape() as tape:
        loss, _ = total_loss(model, features)

    _, norm = optimization.clip_gradients(tape.gradient(loss, variables))

    assert float(norm) == pytest.approx(float(expected["global_norm_as_clipped"]), rel=1e-5)


def test_variables_of_bert_base_are_those_of_the_original(golden_model):
    listing = json.loads((golden_model / "variables_bert_base.json").read_text())
    shapes = {
        name: tuple(shape) for name, shape, _ in listing["global_variables_in_creation_order"]
    }
    config = BertConfig.from_dict(listing["config"])

    specs = modeling.encoder_specs(config) | heads.head_specs(config)

    assert [*specs] == listing["trainable"]
    assert {name: spec.shape for name, spec in specs.items()} == {
        name: shapes[name] for name in specs
    }


def test_the_model_has_its_variables_in_the_order_of_the_original(golden_model):
    config = BertConfig.from_json_file(golden_model / "bert_config.json")
    about = json.loads((golden_model / "about.json").read_text())

    model = heads.PretrainingModel(config, seed=1)

    assert [*model.variables] == about["trainable_order"]
    assert [v.name for v in model.variables.values()] == [f"{name}:0" for name in model.variables]


def test_dropout_needs_a_key(golden_model):
    model, features, _ = load(golden_model, "gelu_c")
    key = layers.DropoutKey(seed=1, step=0)

    plain, dropped = model(features), model(features, dropout=key)

    np.testing.assert_array_equal(plain.masked_lm_losses, model(features).masked_lm_losses)
    assert not np.allclose(plain.masked_lm_losses, dropped.masked_lm_losses, atol=1e-2)
