"""Precisions and batches of run_pretraining.py, and that a run goes on with them."""

import pathlib
import shutil

import numpy as np
import pytest
from pretraining_runs import (
    assert_same_weights,
    lines,
    resume_state,
    run,
    steps_of,
    take_back_to,
    values,
)


@pytest.fixture(scope="module")
def usual(sample_records, tiny_config) -> dict[str, object]:
    return {
        "input_file": sample_records,
        "bert_config_file": tiny_config,
        "do_train": True,
        "train_batch_size": 8,
        "num_train_steps": 8,
        "num_warmup_steps": 0,
        "save_checkpoints_steps": 4,
        "log_steps": 1,
        "gpus": 0,
    }


@pytest.fixture(scope="module")
def float16_flags(usual) -> dict[str, object]:
    """A run in float16 that finds its batch."""
    return usual | {"dtype": "float16", "train_batch_size": "auto"}


@pytest.fixture(scope="module")
def float16_run(float16_flags, tmp_path_factory) -> tuple[pathlib.Path, str]:
    """The output folder and the log of a whole run; not to be written to."""
    folder = tmp_path_factory.mktemp("float16") / "out"
    completed = run(float16_flags | {"output_dir": folder})
    assert completed.returncode == 0, completed.stderr
    return folder, completed.stderr


@pytest.fixture(scope="module")
def float16_resumed(float16_flags, float16_run, tmp_path_factory) -> tuple[pathlib.Path, str]:
    """The same, stopped behind step 4 and gone on."""
    folder = tmp_path_factory.mktemp("resumed") / "out"
    shutil.copytree(float16_run[0], folder)
    take_back_to(folder, 4)
    completed = run(float16_flags | {"output_dir": folder})
    assert completed.returncode == 0, completed.stderr
    return folder, completed.stderr


def test_the_largest_batch_is_looked_for_and_said(float16_run):
    folder, log = float16_run

    assert "--train_batch_size=auto: looking for the most sequences that fit." in log
    (start,) = lines(folder, "start")
    batch = start["train_batch_size"]
    assert f"--train_batch_size=auto: {batch}, {batch} a device and part." in log
    assert resume_state(folder, 8)["train_batch_size"] == batch
    assert resume_state(folder, 8)["examples"] == 8 * batch


@pytest.mark.slow
def test_looking_for_the_batch_leaves_the_initial_weights_as_they_were(
    float16_run, usual, tmp_path
):
    completed = run(usual | {"output_dir": tmp_path / "out", "num_train_steps": 1})

    assert completed.returncode == 0, completed.stderr
    found, plain = values(float16_run[0], 0), values(tmp_path / "out", 0)
    for name in plain:
        np.testing.assert_array_equal(found[name], plain[name], err_msg=name)


def test_a_run_that_goes_on_keeps_the_batch_it_has_found(float16_resumed):
    folder, log = float16_resumed

    assert "looking for the most sequences" not in log
    assert "as found before" in log
    first, second = lines(folder, "start")
    assert second["train_batch_size"] == first["train_batch_size"]
    assert second["examples"] == 4 * first["train_batch_size"]


def test_a_run_in_float16_goes_on_to_the_same_weights_and_loss_scale(float16_run, float16_resumed):
    (whole, _), (resumed, _) = float16_run, float16_resumed

    assert any("loss_scale" in name for name in values(whole, 8))
    assert_same_weights(resumed, whole, 8)
    expected = {line["step"]: line for line in lines(whole, "train")}
    for line in lines(resumed, "train"):
        for name in ("loss", "loss_scale", "gradient_norm"):
            assert line[name] == expected[line["step"]][name]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", pytest.param("bfloat16", marks=pytest.mark.slow)])
def test_a_run_may_go_on_in_another_precision(float16_run, usual, tmp_path, dtype):
    folder = pathlib.Path(shutil.copytree(float16_run[0], tmp_path / "out"))
    flags = {"output_dir": folder, "dtype": dtype, "num_train_steps": 9}

    completed = run(usual | flags | {"train_batch_size": "auto"})

    assert completed.returncode == 0, completed.stderr
    assert f"Going on with dtype = {dtype}; it was float16 before." in completed.stderr
    assert not any("loss_scale" in name for name in values(folder, 9))
    last = lines(folder, "train")[-1]
    assert "loss_scale" not in last and 0 < last["loss"] < 8


@pytest.mark.slow
def test_a_run_may_go_on_in_float16_and_begins_a_loss_scale(usual, tmp_path):
    flags = usual | {"output_dir": tmp_path / "out", "gradient_accumulation_steps": 2}

    before = run(flags | {"num_train_steps": 1, "dtype": "bfloat16"})
    after = run(flags | {"num_train_steps": 2, "dtype": "float16"})

    assert before.returncode == 0, before.stderr
    assert after.returncode == 0, after.stderr
    assert "Going on with dtype = float16; it was bfloat16 before." in after.stderr
    assert lines(tmp_path / "out", "train")[-1]["loss_scale"] > 1
    assert any("loss_scale" in name for name in values(tmp_path / "out", 2))


@pytest.mark.slow
@pytest.mark.parametrize(
    "flags",
    [
        {"dtype": "bfloat16"},
        {"dtype": "bfloat16", "optimizer": "lamb"},
        {"gradient_accumulation_steps": 4},
        {"dtype": "float16", "gradient_accumulation_steps": 2, "learning_rate": 1e-3},
        {"dtype": "bfloat16", "use_xla": True},
    ],
    ids=lambda flags: "-".join(map(str, flags.values())),
)
def test_a_run_goes_on_to_the_same_weights(usual, flags, tmp_path):
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    assert run(usual | flags | {"output_dir": whole}).returncode == 0
    shutil.copytree(whole, resumed)
    take_back_to(resumed, 4)

    completed = run(usual | flags | {"output_dir": resumed})

    assert completed.returncode == 0, completed.stderr
    assert steps_of(resumed) == [0, 4, 8]
    assert_same_weights(resumed, whole, 8)
