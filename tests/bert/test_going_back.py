"""Which checkpoint a run goes on from, where it is not simply the last one."""

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


def steps_in(folder: pathlib.Path) -> list[int]:
    return sorted(int(path.stem.split("-")[1]) for path in folder.glob("model.ckpt-*.index"))


def test_editing_the_checkpoint_file_goes_back_to_an_earlier_one(tmp_path, variables):
    folder = CheckpointFolder(str(tmp_path))
    with folder.locked():
        for step in (10, 20):
            folder.save(step, variables, {})
    state = tmp_path / "checkpoint"
    state.write_text(state.read_text().replace("ckpt-20", "ckpt-10", 1))

    again = CheckpointFolder(str(tmp_path))
    with again.locked():
        assert again.latest().endswith("model.ckpt-10")
        assert again.last().endswith("model.ckpt-10")


@pytest.mark.parametrize("damage", ["cut off", "changed", "index"])
def test_from_a_damaged_one_a_run_goes_back_to_one_that_reads_whole(
    tmp_path, variables, caplog, damage
):
    folder = CheckpointFolder(str(tmp_path))
    with folder.locked():
        for step in (10, 20, 30):
            folder.save(step, variables, {})
    for step in (20, 30):
        suffix = "index" if damage == "index" else "data-00000-of-00001"
        path = tmp_path / f"model.ckpt-{step}.{suffix}"
        content = bytearray(path.read_bytes())
        content[2] ^= 1
        path.write_bytes(content[:-5] if damage == "cut off" else content)

    reader = CheckpointFolder(str(tmp_path))
    assert reader.latest_readable() == str(tmp_path / "model.ckpt-10")
    assert "model.ckpt-30 IS DAMAGED: GOING BACK TO" in caplog.text
    assert "model.ckpt-10" in caplog.text
    again = CheckpointFolder(str(tmp_path), keep_max=2)
    with again.locked():
        again.latest_readable()
        again.save(20, variables, {})
    assert CheckpointFolder(str(tmp_path)).latest_readable().endswith("model.ckpt-20")
    Checkpoint(str(tmp_path / "model.ckpt-20")).verify()


def test_where_all_are_damaged_a_run_does_not_start_anew(tmp_path, variables):
    folder = CheckpointFolder(str(tmp_path))
    with folder.locked():
        folder.save(10, variables, {})
    (tmp_path / "model.ckpt-10.data-00000-of-00001").write_bytes(b"")

    with pytest.raises(InputError, match=r"model\.ckpt-10 is damaged and there is no earlier"):
        CheckpointFolder(str(tmp_path)).latest_readable()


def test_a_user_who_goes_back_is_obeyed_though_later_ones_read_whole(tmp_path, variables):
    folder = CheckpointFolder(str(tmp_path))
    with folder.locked():
        for step in (10, 20, 30):
            folder.save(step, variables, {})
    state = tmp_path / "checkpoint"
    state.write_text(state.read_text().replace("ckpt-30", "ckpt-20", 1))

    assert CheckpointFolder(str(tmp_path)).latest_readable().endswith("model.ckpt-20")


def test_a_run_can_go_back_before_a_step(tmp_path, variables):
    folder = CheckpointFolder(str(tmp_path), keep_max=3)
    with folder.locked():
        for step in (10, 20, 30):
            folder.save(step, variables, {})
        assert folder.before(10) is None
        assert folder.before(25).endswith("model.ckpt-20")
        folder.go_back_to(folder.before(25))
        assert folder.last().endswith("model.ckpt-20")
        assert folder.before(40).endswith("model.ckpt-20")
        folder.save(30, variables, {"again": True})
        folder.save(40, variables, {})

    assert steps_in(tmp_path) == [20, 30, 40]
    assert Checkpoint(str(tmp_path / "model.ckpt-30")).resume_state() == {"again": True}


def test_what_a_run_went_back_from_is_pruned_first_even_after_a_restart(tmp_path, variables):
    folder = CheckpointFolder(str(tmp_path), keep_max=3)
    with folder.locked():
        for step in (10, 20, 30):
            folder.save(step, variables, {})
        folder.go_back_to(folder.before(25))
    again = CheckpointFolder(str(tmp_path), keep_max=3)
    with again.locked():
        assert again.latest().endswith("model.ckpt-20")
        assert again.before(40).endswith("model.ckpt-20")
        again.save(25, variables, {})

    assert steps_in(tmp_path) == [10, 20, 25]
