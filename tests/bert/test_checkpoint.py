import pathlib

import numpy as np
import pytest
import tensorflow as tf

from deeq_bert.bert import checkpoint
from deeq_bert.bert.checkpoint import CheckpointFolder
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import write_atomically


@pytest.fixture
def variables() -> dict[str, tf.Variable]:
    return {
        "bert/pooler/dense/kernel": tf.Variable(np.arange(6, dtype=np.float32).reshape(2, 3)),
        "bert/pooler/dense/bias": tf.Variable([1.0, 2.0, 3.0]),
        "bert/pooler/dense/bias/adam_m": tf.Variable([0.1, 0.2, 0.3]),
    }


def names_in(folder: pathlib.Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name != ".lock"}


def steps_in(folder: pathlib.Path) -> list[int]:
    return sorted(int(path.stem.split("-")[1]) for path in folder.glob("model.ckpt-*.index"))


def test_the_oldest_are_deleted_beyond_the_number_to_keep(tmp_path, variables):
    folder = CheckpointFolder(str(tmp_path), keep_max=2)
    with folder.locked():
        for step in (10, 20, 30):
            folder.save(step, variables, {})

    assert steps_in(tmp_path) == [20, 30]
    state = tf.train.get_checkpoint_state(str(tmp_path))
    assert [pathlib.Path(path).name for path in state.all_model_checkpoint_paths] == [
        "model.ckpt-20",
        "model.ckpt-30",
    ]


def test_keeping_zero_keeps_all(tmp_path, variables):
    folder = CheckpointFolder(str(tmp_path), keep_max=0)
    with folder.locked():
        for step in range(7):
            folder.save(step, variables, {})

    assert steps_in(tmp_path) == list(range(7))


def test_the_one_resumed_from_is_never_deleted(tmp_path, variables):
    first = CheckpointFolder(str(tmp_path), keep_max=1)
    with first.locked():
        first.save(10, variables, {})
    second = CheckpointFolder(str(tmp_path), keep_max=1)
    with second.locked():
        assert second.latest().endswith("model.ckpt-10")
        for step in (20, 30, 40):
            second.save(step, variables, {})

    assert steps_in(tmp_path) == [10, 40]


def test_one_that_was_listed_just_before_a_stop_is_the_last(tmp_path, variables, monkeypatch):
    def stop_after_writing(path, content):
        write_atomically(path, content)
        raise KeyboardInterrupt

    folder = CheckpointFolder(str(tmp_path))
    with folder.locked():
        folder.save(10, variables, {})
        monkeypatch.setattr(checkpoint, "write_atomically", stop_after_writing)
        with pytest.raises(KeyboardInterrupt):
            folder.save(20, variables, {})
        assert folder.last().endswith("model.ckpt-20")


def test_without_the_checkpoint_file_the_highest_step_is_taken(tmp_path, variables):
    folder = CheckpointFolder(str(tmp_path))
    with folder.locked():
        for step in (9, 10):
            folder.save(step, variables, {})
    (tmp_path / "checkpoint").unlink()

    assert CheckpointFolder(str(tmp_path)).latest().endswith("model.ckpt-10")


def test_an_empty_folder_has_no_latest(tmp_path):
    assert CheckpointFolder(str(tmp_path)).latest() is None


def test_a_checkpoint_file_that_names_a_missing_one_names_what_is_there(tmp_path, variables):
    folder = CheckpointFolder(str(tmp_path))
    with folder.locked():
        for step in (10, 20):
            folder.save(step, variables, {})
    for path in tmp_path.glob("model.ckpt-20*"):
        path.unlink()

    with pytest.raises(
        InputError, match=r"names model\.ckpt-20.*model_checkpoint_path: \"model\.ckpt-10\""
    ):
        CheckpointFolder(str(tmp_path)).latest()


def test_leftovers_of_a_killed_save_are_removed_and_nothing_else(tmp_path, variables):
    folder = CheckpointFolder(str(tmp_path))
    with folder.locked():
        folder.save(10, variables, {})
    kept = names_in(tmp_path)
    for orphan in (".model.ckpt-20.tmp", "model.ckpt-20_temp_1234"):
        (tmp_path / orphan).mkdir()
        (tmp_path / orphan / "part-00000-of-00001").write_bytes(b"x")
    (tmp_path / "model.ckpt-20.data-00000-of-00001").write_bytes(b"x")
    (tmp_path / "notes.txt").write_text("mine")

    with CheckpointFolder(str(tmp_path)).locked():
        assert names_in(tmp_path) == kept | {"notes.txt"}


@pytest.mark.parametrize("content", [b"", b"model.ckpt-10", b"\xff\xfe\x00"])
def test_a_checkpoint_file_that_lists_none_is_refused(tmp_path, variables, content):
    folder = CheckpointFolder(str(tmp_path))
    with folder.locked():
        folder.save(10, variables, {})
    (tmp_path / "checkpoint").write_bytes(content)

    with pytest.raises(InputError, match="does not list checkpoints"):
        CheckpointFolder(str(tmp_path)).latest()


def test_one_that_a_killed_run_left_unlisted_is_pruned_first(tmp_path, variables):
    folder = CheckpointFolder(str(tmp_path), keep_max=2)
    with folder.locked():
        for step in (10, 20):
            folder.save(step, variables, {})
    state = tmp_path / "checkpoint"
    listed = [line for line in state.read_text().splitlines() if not line.endswith('-10"')]
    state.write_text("\n".join(listed))

    again = CheckpointFolder(str(tmp_path), keep_max=2)
    with again.locked():
        assert again.latest().endswith("model.ckpt-20")
        again.save(30, variables, {})

    assert steps_in(tmp_path) == [20, 30]


def test_one_that_is_listed_and_gone_is_dropped(tmp_path, variables):
    folder = CheckpointFolder(str(tmp_path))
    with folder.locked():
        for step in (10, 20):
            folder.save(step, variables, {})
    (tmp_path / "model.ckpt-10.index").unlink()

    again = CheckpointFolder(str(tmp_path))
    with again.locked():
        again.save(30, variables, {})

    assert "ckpt-10" not in (tmp_path / "checkpoint").read_text()
    assert not list(tmp_path.glob("model.ckpt-10*"))


def test_a_second_writer_is_refused(tmp_path):
    with (
        CheckpointFolder(str(tmp_path)).locked(),
        pytest.raises(InputError, match="Another run is writing"),
        CheckpointFolder(str(tmp_path)).locked(),
    ):
        pass


def test_a_reader_needs_no_lock_and_leaves_nothing(tmp_path, variables):
    folder = CheckpointFolder(str(tmp_path / "output"))
    with folder.locked():
        folder.save(10, variables, {})
        (tmp_path / "output" / ".model.ckpt-20.tmp").mkdir()
        names = names_in(tmp_path / "output")
        assert CheckpointFolder(str(tmp_path / "output")).latest_readable() == folder.last()
    assert names_in(tmp_path / "output") == names
    assert CheckpointFolder(str(tmp_path / "none")).latest_readable() is None
    assert not (tmp_path / "none").exists()


def test_without_the_lock_nothing_is_written(tmp_path, variables):
    with pytest.raises(RuntimeError, match="needs the lock"):
        CheckpointFolder(str(tmp_path)).save(10, variables, {})


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "output").write_text("a file")

    with (
        pytest.raises(InputError, match="Cannot make the folder .*output"),
        CheckpointFolder(str(tmp_path / "output")).locked(),
    ):
        pass
