import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from deeq_bert.bert.checkpoint import Checkpoint, CheckpointFolder
from deeq_bert.tokenizers.errors import InputError


@pytest.fixture
def variables() -> dict[str, tf.Variable]:
    return {
        "bert/pooler/dense/kernel": tf.Variable(np.arange(6, dtype=np.float32).reshape(2, 3)),
        "bert/pooler/dense/bias": tf.Variable([1.0, 2.0, 3.0]),
        "bert/pooler/dense/bias/adam_m": tf.Variable([0.1, 0.2, 0.3]),
    }


def test_reads_a_checkpoint_of_the_original(golden_model):
    checkpoint = Checkpoint(str(golden_model / "model.ckpt-7"))

    expected = dict(json.loads((golden_model / "about.json").read_text())["variables"])
    assert checkpoint.global_step() == 7
    assert checkpoint.resume_state() == {}
    assert checkpoint.shapes == expected
    weights = np.load(golden_model / "weights.npz")
    for name in weights.files:
        np.testing.assert_array_equal(checkpoint.read(name), weights[name])


def test_tensorflow_lists_what_is_saved_under_its_names(tmp_path, variables):
    folder = CheckpointFolder(str(tmp_path))
    with folder.locked():
        folder.save(3, variables, {"examples": 96})

    listed = dict(tf.train.list_variables(tf.train.latest_checkpoint(str(tmp_path))))

    extra = {"global_step": [], "global_step/resume_state": []}
    assert listed == {name: v.shape.as_list() for name, v in variables.items()} | extra


def test_what_is_saved_is_restored_with_its_resume_state(tmp_path, variables):
    folder = CheckpointFolder(str(tmp_path))
    with folder.locked():
        path = folder.save(3, variables, {"examples": 2**40})
    empty = {name: tf.Variable(tf.zeros_like(v)) for name, v in variables.items()}

    checkpoint = Checkpoint(path)
    checkpoint.restore(empty)

    assert (checkpoint.global_step(), checkpoint.resume_state()) == (3, {"examples": 2**40})
    for name, variable in variables.items():
        np.testing.assert_array_equal(empty[name], variable)


def test_one_that_does_not_fit_names_the_first_differences_and_changes_nothing(tmp_path, variables):
    folder = CheckpointFolder(str(tmp_path))
    with folder.locked():
        path = folder.save(3, variables, {})
    bias = tf.Variable([0.0, 0.0, 0.0])
    others = {
        "bert/pooler/dense/bias": bias,
        "bert/pooler/dense/kernel": tf.Variable(tf.zeros([4, 3])),
        "cls/predictions/output_bias": tf.Variable([0.0]),
    }

    with pytest.raises(InputError) as error:
        Checkpoint(path).restore(others)

    assert "bert/pooler/dense/kernel is [2, 3] there and [4, 3] here" in str(error.value)
    assert "cls/predictions/output_bias is not in it" in str(error.value)
    np.testing.assert_array_equal(bias, [0.0, 0.0, 0.0])


@pytest.mark.parametrize("content", [None, b"", b"no index at all"])
def test_what_is_no_checkpoint_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / "model.ckpt-1.index").write_bytes(content)

    with pytest.raises(InputError, match=r"Cannot read a checkpoint at .*model\.ckpt-1"):
        Checkpoint(str(tmp_path / "model.ckpt-1"))


def test_a_damaged_data_file_is_named(tmp_path, variables):
    folder = CheckpointFolder(str(tmp_path))
    with folder.locked():
        path = folder.save(3, variables, {})
    data = pathlib.Path(f"{path}.data-00000-of-00001")
    data.write_bytes(data.read_bytes()[:10])

    with pytest.raises(InputError, match=r"Cannot read bert/pooler/dense/\w+ from .*model.ckpt-3"):
        Checkpoint(path).restore(variables)


def test_optional_variables_keep_their_values_where_they_are_missing(tmp_path, variables):
    folder = CheckpointFolder(str(tmp_path))
    with folder.locked():
        path = folder.save(3, variables, {})
    scale, bias = tf.Variable(32768.0), tf.Variable([0.0, 0.0, 0.0])
    wanted = {"loss_scale": scale, "bert/pooler/dense/bias": bias}

    missing = Checkpoint(path).restore(wanted, optional=["loss_scale", "bert/pooler/dense/bias"])

    assert missing == ["loss_scale"]
    assert float(scale) == 32768.0
    np.testing.assert_array_equal(bias, [1.0, 2.0, 3.0])


def test_a_resume_state_of_another_kind_is_refused(tmp_path):
    prefix = str(tmp_path / "model.ckpt-1")
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=["global_step/resume_state"],
        shape_and_slices=[""],
        tensors=[tf.constant("{")],
    )

    with pytest.raises(InputError, match="resume state that this version cannot read"):
        Checkpoint(prefix).resume_state()
