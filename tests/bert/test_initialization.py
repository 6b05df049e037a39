import numpy as np
import pytest
import tensorflow as tf

from deeq_bert.bert import heads, initialization
from deeq_bert.bert.checkpoint import CheckpointFolder
from deeq_bert.bert.config import BertConfig
from deeq_bert.tokenizers.errors import InputError


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
