"""Runs of several phases through the script: 64 tokens and then 128, in one command."""

import json
import pathlib
import shutil
import subprocess

import numpy as np
import pytest
import tensorflow as tf

SCRIPT = "bert/run_pretraining.py"


@pytest.fixture(scope="module")
def short_records(run_script, repository, tmp_path_factory):
    """Records of 64 tokens with 10 predictions, made of the same text as `sample_records`."""
    path = tmp_path_factory.mktemp("short") / "short.tfrecord"
    own = repository / "tests" / "data" / "own"
    completed = run_script(
        "bert/create_pretraining_data.py",
        f"--input_file={own / 'sample.txt'}",
        f"--vocab_file={own / 'vocab.txt'}",
        "--do_lower_case=False",
        "--max_seq_length=64",
        "--max_predictions_per_seq=10",
        f"--output_file={path}",
    )
    assert completed.returncode == 0, completed.stderr
    return path


@pytest.fixture(scope="module")
def pretrain_into(run_script, short_records, sample_records, tiny_config):
    """A function that runs 6 steps at 64 tokens and 6 at 128 into a folder."""

    def run(folder: pathlib.Path, **second) -> subprocess.CompletedProcess:
        first = {
            "input_file": str(short_records),
            "max_seq_length": 64,
            "max_predictions_per_seq": 10,
            "train_batch_size": 16,
            "learning_rate": 1e-3,
        }
        schedule = folder.parent / "schedule.json"
        schedule.write_text(json.dumps({"phases": [first, second]}))
        flags = {
            "input_file": sample_records,
            "bert_config_file": tiny_config,
            "output_dir": folder,
            "schedule_file": schedule,
            "do_train": True,
            "train_batch_size": 8,
            "num_train_steps": 6,
            "num_warmup_steps": 2,
            "save_checkpoints_steps": 4,
            "log_steps": 1,
            "gpus": 0,
        }
        return run_script(SCRIPT, *(f"--{name}={value}" for name, value in flags.items()))

    return run


@pytest.fixture(scope="module")
def whole(pretrain_into, tmp_path_factory) -> tuple[pathlib.Path, str]:
    """The output folder and the log of a whole run; not to be written to."""
    folder = tmp_path_factory.mktemp("whole") / "out"
    completed = pretrain_into(folder)
    assert completed.returncode == 0, completed.stderr
    return folder, completed.stderr


def log_of(folder) -> dict[int, dict]:
    """The last training line of each step."""
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return {line["step"]: line for line in lines if line["kind"] == "train"}


def weights(folder, step: int) -> dict[str, np.ndarray]:
    reader = tf.train.load_checkpoint(str(folder / f"model.ckpt-{step}"))
    names = [name for name in reader.get_variable_to_shape_map() if "resume" not in name]
    return {name: reader.get_tensor(name) for name in names}


def test_one_command_goes_through_both_phases(whole):
    folder, log = whole

    assert "Phase 1 of 2: sequences of 64 tokens, steps 1 to 6" in log
    assert "Phase 2 of 2: sequences of 128 tokens, steps 7 to 12" in log
    rates = {step: line["learning_rate"] for step, line in log_of(folder).items()}
    # Each phase warms up and decays by itself: its first step has a rate of 0.
    assert rates[1] == rates[7] == 0
    assert rates[3] == pytest.approx(1e-3 * (1 - 2 / 6))
    assert rates[9] == pytest.approx(5e-5 * (1 - 2 / 6))


@pytest.mark.parametrize("kept", [pytest.param(4, marks=pytest.mark.slow), 6, 8])
def test_a_run_goes_on_in_either_phase_with_the_same_weights(pretrain_into, whole, tmp_path, kept):
    folder = pathlib.Path(shutil.copytree(whole[0], tmp_path / "out"))
    for path in folder.glob("model.ckpt-*"):
        if int(path.name.split("-")[1].split(".")[0]) > kept:
            path.unlink()
    (folder / "checkpoint").write_text(f'model_checkpoint_path: "model.ckpt-{kept}"\n')

    completed = pretrain_into(folder)

    assert completed.returncode == 0, completed.stderr
    expected, again = weights(whole[0], 12), weights(folder, 12)
    for name, value in expected.items():
        np.testing.assert_array_equal(again[name], value, err_msg=name)


def test_the_optimizer_starts_anew_where_a_phase_says_so(pretrain_into, tmp_path):
    assert pretrain_into(tmp_path / "out", reset_optimizer=True).returncode == 0

    between = weights(tmp_path / "out", 6)

    assert all(not value.any() for name, value in between.items() if name.endswith("adam_m"))
    assert between["bert/pooler/dense/bias"].any()


def test_a_phase_counts_its_records_from_their_start(whole):
    reader = tf.train.load_checkpoint(str(whole[0] / "model.ckpt-12"))
    state = json.loads(reader.get_tensor("global_step/resume_state"))

    assert (state["phase"], state["examples"], state["train_batch_size"]) == (1, 48, 8)
