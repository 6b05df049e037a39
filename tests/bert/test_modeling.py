import itertools
import json

import numpy as np
import pytest
import tensorflow as tf

from deeq_bert.bert import layers, modeling
from deeq_bert.bert.layers import DropoutKey
from deeq_bert.bert.modeling import BertConfig, BertModel
from deeq_bert.tokenizers.errors import InputError

FORWARD_TOLERANCE = 5e-5

TINY = BertConfig(
    vocab_size=50,
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=32,
    max_position_embeddings=24,
    type_vocab_size=2,
)
IDS = np.arange(3 * 20).reshape(3, 20).astype(np.int32) % 50


@pytest.fixture(scope="module")
def tiny_model() -> BertModel:
    return BertModel(TINY, seed=1)


@pytest.mark.parametrize(
    "run", ["gelu_a", "gelu_b", "gelu_c", "relu_a", "tanh_a", "linear_a", "gelu_a_onehot"]
)
def test_outputs_are_those_of_the_original(golden_model, run):
    expected = np.load(golden_model / f"outputs_{run}.npz")
    fields = json.loads((golden_model / "bert_config.json").read_text())
    model = BertModel(BertConfig.from_dict(fields | {"hidden_act": run.split("_")[0]}), seed=1)
    weights = np.load(golden_model / "weights.npz")
    for name, variable in model.variables.items():
        variable.assign(weights[name])

    # Compiled, as it is run. One sequence of batch a is nothing but padding: with -10000 added to
    # all its scores, float32 has steps of 1/1024, and one step moves the output by up to 9e-5.
    # There the order of the operations decides; uncompiled they round the other way.
    output = tf.function(model)(
        *(expected[f"input/{name}"] for name in ("input_ids", "input_mask", "segment_ids"))
    )

    tensors = {
        "embedding_output": output.embedding_output,
        "sequence_output": output.sequence_output,
        "pooled_output": output.pooled_output,
    }
    tensors |= {f"encoder_layer_{i}": layer for i, layer in enumerate(output.all_encoder_layers)}
    for name in tensors.keys() & set(expected.files):
        difference = np.abs(tensors[name] - expected[name])
        assert difference.max() <= FORWARD_TOLERANCE, name


def test_variables_of_bert_base_are_those_of_the_original(golden_model):
    listing = json.loads((golden_model / "variables_bert_base.json").read_text())
    expected = {
        name: tuple(shape)
        for name, shape, _ in listing["global_variables_in_creation_order"]
        if name.startswith("bert/") and "/adam_" not in name
    }

    specs = modeling.encoder_specs(BertConfig.from_dict(listing["config"]))

    assert [(name, spec.shape) for name, spec in specs.items()] == [*expected.items()]


def test_variables_bear_their_plain_names(tiny_model):
    for name, variable in tiny_model.variables.items():
        assert variable.name == f"{name}:0"
        assert variable.trainable


def test_initial_values_follow_from_seed_and_name_alone():
    specs = modeling.encoder_specs(TINY)
    backwards = dict(reversed(specs.items()))
    one = modeling.create_variables(specs, 0.02, seed=5)
    with tf.name_scope("anything"):
        same = modeling.create_variables(backwards, 0.02, seed=5)
    other = modeling.create_variables(specs, 0.02, seed=6)

    query = "bert/encoder/layer_0/attention/self/query/kernel"
    for name in specs:
        np.testing.assert_array_equal(one[name], same[name])
    assert not np.array_equal(one[query], other[query])
    assert not np.array_equal(one[query], one[query.replace("query", "key")])


def test_initial_values_have_the_original_distributions():
    config = BertConfig(vocab_size=5000, hidden_size=64, num_attention_heads=1)
    specs = modeling.encoder_specs(config)
    variables = modeling.create_variables(
        {name: specs[name] for name in specs if "layer_" not in name}, 0.02, seed=1
    )

    table = variables["bert/embeddings/word_embeddings"].numpy()
    assert np.abs(table).max() <= 0.04
    # Truncating a normal at two standard deviations leaves 0.8796 of its own.
    assert table.std() == pytest.approx(0.02 * 0.8796, rel=0.01)
    assert table.mean() == pytest.approx(0, abs=2e-4)
    assert (variables["bert/embeddings/LayerNorm/gamma"].numpy() == 1).all()
    assert (variables["bert/embeddings/LayerNorm/beta"].numpy() == 0).all()
    assert (variables["bert/pooler/dense/bias"].numpy() == 0).all()


def test_mask_and_segments_default_to_all_tokens_of_segment_0(tiny_model):
    given = tiny_model(IDS, np.ones_like(IDS), np.zeros_like(IDS))

    np.testing.assert_array_equal(tiny_model(IDS).sequence_output, given.sequence_output)


def test_padding_does_not_reach_the_tokens(tiny_model):
    mask = np.ones_like(IDS)
    mask[:, 12:] = 0
    padded = tiny_model(IDS, mask).sequence_output[:, :12]

    np.testing.assert_allclose(padded, tiny_model(IDS[:, :12]).sequence_output, atol=1e-5)


def test_one_compiled_function_takes_every_batch_and_length(tiny_model):
    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32)])
    def pool(ids):
        return tiny_model(ids).pooled_output

    for ids in (IDS, IDS[:1, :7]):
        np.testing.assert_allclose(pool(ids), tiny_model(ids).pooled_output, atol=1e-5)
    with pytest.raises(tf.errors.InvalidArgumentError, match="max_position_embeddings 24"):
        pool(np.zeros([1, 25], np.int32))


def test_a_sequence_longer_than_the_positions_is_refused(tiny_model):
    with pytest.raises(ValueError, match="25 tokens.*max_position_embeddings 24"):
        tiny_model(np.zeros([1, 25], np.int32))


def test_dropout_zeroes_its_share_and_scales_the_rest():
    values = tf.ones([1000, 100])
    dropped = layers.dropout(values, 0.1, DropoutKey(seed=1, step=2), site=0).numpy()

    np.testing.assert_allclose(np.unique(dropped), [0, 1 / 0.9], rtol=1e-6)
    assert (dropped == 0).mean() == pytest.approx(0.1, abs=0.005)


def test_without_key_or_rate_nothing_is_dropped():
    values = tf.random.stateless_normal([10, 10], [1, 2])

    np.testing.assert_array_equal(layers.dropout(values, 0.5, None, site=0), values)
    np.testing.assert_array_equal(layers.dropout(values, 0.0, DropoutKey(1, 2), 0), values)


def test_the_model_drops_only_with_a_key_and_the_same_for_the_same_key(tiny_model):
    @tf.function
    def encode(step, replica):
        return tiny_model(IDS, dropout=DropoutKey(7, step, replica)).sequence_output

    step, replica = tf.constant(3, tf.int64), tf.constant(1)
    first = encode(step, replica)

    np.testing.assert_array_equal(first, encode(step, replica))
    for other in (
        tiny_model(IDS).sequence_output,
        encode(step + 1, replica),
        encode(step, replica + 1),
    ):
        assert not np.allclose(first, other, atol=1e-2)


def test_masks_differ_between_the_sites_of_a_model(tiny_model, monkeypatch):
    sites = []
    monkeypatch.setattr(DropoutKey, "at", lambda key, site: (sites.append(site), [1, site])[1])

    tiny_model(IDS, dropout=DropoutKey(1, 0))

    # One after the embeddings and three in each of the two layers.
    assert sites == [*range(7)]


def test_dropout_seeds_never_collide():
    seeds, steps = (0, 1, -1, 2**40), (0, 1, 4095, 4096, 2**20, 2**31 - 1)
    replicas, sites = (0, 1, 4095, 4096, 2**20 - 1), (0, 1, 2, 4095)

    words = {
        tuple(DropoutKey(seed, tf.constant(step, tf.int64), replica).at(site).numpy())
        for seed, step, replica, site in itertools.product(seeds, steps, replicas, sites)
    }

    assert len(words) == len(seeds) * len(steps) * len(replicas) * len(sites)


@pytest.mark.parametrize("site", [-1, 4096])
def test_a_dropout_site_out_of_range_is_refused(site):
    with pytest.raises(ValueError, match="site"):
        DropoutKey(1, 0).at(site)


def test_gelu_has_the_gradient_of_its_formula():
    values = tf.linspace(-6.0, 6.0, 101)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(values)
        ours, plain = layers.gelu(values), tf.nn.gelu(values, approximate=True)

    np.testing.assert_allclose(ours, plain, atol=1e-6)
    np.testing.assert_allclose(tape.gradient(ours, values), tape.gradient(plain, values), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("linear", -2.0),
        (None, -2.0),
        ("", -2.0),
        ("ReLU", 0.0),
        ("tanh", -0.96403),
        ("gelu", -0.0454),
    ],
)
def test_activations_by_name(name, expected):
    assert float(layers.get_activation(name)(tf.constant(-2.0))) == pytest.approx(
        expected, abs=1e-4
    )


def test_an_unknown_activation_is_refused():
    with pytest.raises(ValueError, match="swish"):
        layers.get_activation("swish")


def test_assignment_map_holds_the_names_that_are_in_the_checkpoint(golden_model):
    variables = [
        tf.Variable(0.0, name="bert/pooler/dense/bias"),
        tf.Variable(0.0, name="output_weights"),
        tf.Variable(0.0, name="bert/embeddings/word_embeddings"),
    ]

    assignment_map, initialized = modeling.get_assignment_map_from_checkpoint(
        variables, str(golden_model / "model.ckpt-7")
    )

    names = ["bert/embeddings/word_embeddings", "bert/pooler/dense/bias"]
    assert assignment_map == {name: name for name in names}
    assert initialized == {key: 1 for name in names for key in (name, f"{name}:0")}


@pytest.mark.parametrize("name", ["model.ckpt-8", "."])
def test_a_checkpoint_that_is_not_there_is_named(tmp_path, name):
    with pytest.raises(InputError, match="Cannot read the checkpoint"):
        modeling.get_assignment_map_from_checkpoint([], str(tmp_path / name))
