import logging

import numpy as np
import pytest
import tensorflow as tf
from hugging_face_folders import CONFIG, write_folder

from deeq_bert.bert import heads, initialization
from deeq_bert.bert.checkpoint import CheckpointFolder
from deeq_bert.bert.config import BertConfig
from deeq_bert.tokenizers.errors import InputError

WORDS = "bert/embeddings/word_embeddings"
POSITIONS = "bert/embeddings/position_embeddings"
BIAS = "cls/predictions/output_bias"


def model_with(seed: int, **fields) -> heads.PretrainingModel:
    return heads.PretrainingModel(BertConfig.from_dict({**CONFIG.to_dict(), **fields}), seed)


def random_weights(variables) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(5)
    return {n: generator.normal(size=v.shape).astype(np.float32) for n, v in variables.items()}


@pytest.fixture(scope="module")
def weights():
    """Values of all variables, each of them random."""
    return random_weights(model_with(1).variables)


def save_checkpoint(folder, weights) -> str:
    checkpoints = CheckpointFolder(str(folder))
    with checkpoints.locked():
        return checkpoints.save(7, {name: tf.Variable(w) for name, w in weights.items()}, {})


@pytest.fixture(params=["checkpoint", "hugging face"])
def saved(request, tmp_path, weights):
    """The weights in either format."""
    if request.param == "checkpoint":
        return save_checkpoint(tmp_path, weights)
    return write_folder(tmp_path, weights)


def test_a_checkpoint_of_the_original_gives_every_weight(golden_model):
    config = BertConfig.from_json_file(golden_model / "bert_config.json")
    model = heads.PretrainingModel(config, 1)

    found = initialization.initialize(str(golden_model / "model.ckpt-7"), model.variables)

    assert sorted(found) == sorted(model.variables)
    weights = np.load(golden_model / "weights.npz")
    for name, variable in model.variables.items():
        np.testing.assert_array_equal(variable, weights[name])


def test_a_folder_stands_for_its_latest_checkpoint(golden_model):
    variables = {
        "bert/pooler/dense/bias": tf.Variable(tf.zeros([64]), name="bert/pooler/dense/bias")
    }

    assert initialization.initialize(str(golden_model), variables) == ["bert/pooler/dense/bias"]


def test_what_the_checkpoint_lacks_stays_as_it_is(golden_model):
    head = tf.Variable([5.0], name="output_bias")
    bias = tf.Variable(tf.zeros([64]), name="bert/pooler/dense/bias")
    variables = {"output_bias": head, "bert/pooler/dense/bias": bias}

    found = initialization.initialize(str(golden_model / "model.ckpt-7"), variables)

    assert found == ["bert/pooler/dense/bias"]
    assert head.numpy() == [5.0]


def test_a_checkpoint_of_something_else_is_refused(tmp_path, golden_model):
    folder = CheckpointFolder(str(tmp_path))
    with folder.locked():
        path = folder.save(1, {"other/weights": tf.Variable([1.0])}, {})

    with pytest.raises(InputError, match="holds none of the model's variables"):
        initialization.initialize(path, {"v": tf.Variable([1.0], name="v")})


def test_a_shape_that_differs_is_named(golden_model):
    bias = tf.Variable(tf.zeros([32]), name="bert/pooler/dense/bias")

    with pytest.raises(InputError, match=r"bert/pooler/dense/bias is \[64\] there and \[32\] here"):
        initialization.initialize(
            str(golden_model / "model.ckpt-7"), {"bert/pooler/dense/bias": bias}
        )


def test_either_format_gives_every_weight_bit_for_bit(saved, weights):
    variables = model_with(2).variables

    assert initialization.initialize(saved, variables) == list(variables)
    for name, variable in variables.items():
        np.testing.assert_array_equal(variable, weights[name])


def test_an_encoder_alone_leaves_the_heads_as_they_are(tmp_path, weights, caplog):
    encoder = {name: w for name, w in weights.items() if name.startswith("bert/")}
    folder = write_folder(tmp_path, encoder)
    variables, untouched = model_with(2).variables, model_with(2).variables

    with caplog.at_level(logging.WARNING, "absl"):
        found = initialization.initialize(folder, variables)

    assert found == list(encoder)
    for name in variables.keys() - encoder.keys():
        np.testing.assert_array_equal(variables[name], untouched[name])
        assert name in caplog.text


@pytest.mark.parametrize("layers", [1, 3])
def test_another_number_of_layers_is_refused(saved, layers):
    with pytest.raises(InputError, match="Set num_hidden_layers in --bert_config_file"):
        initialization.initialize(saved, model_with(2, num_hidden_layers=layers).variables)


def test_a_shape_that_differs_is_named_for_either_format(saved):
    variables = model_with(2, hidden_size=4).variables

    with pytest.raises(InputError, match=rf"{WORDS} is \[11, 8\] there and \[11, 4\] here"):
        initialization.initialize(saved, variables)


def test_of_more_positions_the_first_are_taken(saved, weights):
    variables = model_with(2, max_position_embeddings=4).variables

    initialization.initialize(saved, variables)

    np.testing.assert_array_equal(variables[POSITIONS], weights[POSITIONS][:4])


def test_positions_that_are_missing_keep_their_initial_values_and_are_named(saved, weights, caplog):
    variables = model_with(2, max_position_embeddings=9).variables
    untouched = variables[POSITIONS].numpy()

    with caplog.at_level(logging.WARNING, "absl"):
        initialization.initialize(saved, variables)

    np.testing.assert_array_equal(variables[POSITIONS][:6], weights[POSITIONS])
    np.testing.assert_array_equal(variables[POSITIONS][6:], untouched[6:])
    assert "positions 6 to 8 start from their initial values" in caplog.text


OLD = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused0]", "가", "나", "##다", "##라", "마"]
NEW = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "나", "가다라", "바"]


def test_another_vocabulary_is_matched_by_token(saved, weights, caplog):
    variables = model_with(2, vocab_size=9).variables
    untouched = variables[WORDS].numpy()

    with caplog.at_level(logging.INFO, "absl"):
        initialization.initialize(saved, variables, NEW, OLD)

    words, bias = variables[WORDS].numpy(), variables[BIAS].numpy()
    np.testing.assert_array_equal(words[:6], weights[WORDS][[0, 1, 2, 3, 4, 7]])
    np.testing.assert_array_equal(bias[:6], weights[BIAS][[0, 1, 2, 3, 4, 7]])
    np.testing.assert_allclose(words[6], weights[WORDS][[6, 8, 9]].mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(bias[6], weights[BIAS][[6, 8, 9]].mean(), rtol=1e-6)
    # A token of which nothing is known, and a row beyond the vocabulary.
    np.testing.assert_array_equal(words[7:], untouched[7:])
    np.testing.assert_array_equal(bias[7:], [0, 0])
    assert (
        "Vocabulary of 8 tokens: 6 keep their embeddings, 1 start from the mean of their pieces, "
        "1 from their initial values; 5 of the old one are dropped." in caplog.text
    )


def test_tokens_in_another_order_take_their_rows_along(saved, weights):
    variables = model_with(2).variables

    initialization.initialize(saved, variables, OLD[::-1], OLD)

    np.testing.assert_array_equal(variables[WORDS], weights[WORDS][::-1])
    np.testing.assert_array_equal(variables[BIAS], weights[BIAS][::-1])


@pytest.mark.parametrize("vocabularies", [(OLD, OLD), (OLD, None), (None, OLD), (None, None)])
def test_rows_are_taken_as_they_stand_where_no_difference_is_known(saved, weights, vocabularies):
    variables = model_with(2).variables

    initialization.initialize(saved, variables, *vocabularies)

    np.testing.assert_array_equal(variables[WORDS], weights[WORDS])


def test_another_number_of_rows_needs_both_vocabularies(saved):
    with pytest.raises(InputError, match="Give --init_vocab_file, .* and --vocab_file, "):
        initialization.initialize(saved, model_with(2, vocab_size=9).variables)


def test_vocabularies_without_a_token_in_common_are_refused(saved):
    with pytest.raises(InputError, match="no token in common"):
        initialization.initialize(saved, model_with(2).variables, ["x", "y"], OLD)


def test_the_exact_gelu_is_mentioned(tmp_path, weights, caplog):
    folder = write_folder(tmp_path, weights, hidden_act="gelu")

    with caplog.at_level(logging.INFO, "absl"):
        initialization.initialize(folder, model_with(2).variables)

    assert "tanh form" in caplog.text


def test_damaged_weights_end_in_a_sentence(tmp_path, weights):
    folder = write_folder(tmp_path, weights)
    file = tmp_path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])

    with pytest.raises(InputError, match="model.safetensors is damaged, cut off"):
        initialization.initialize(folder, model_with(2).variables)
