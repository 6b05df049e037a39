"""What a save does on a disk that is full."""

import errno
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import textwrap
import types

import numpy as np
import pytest
import tensorflow as tf

from deeq_bert.bert import checkpoint
from deeq_bert.bert.checkpoint import CheckpointFolder
from deeq_bert.bert.checkpoint_bundle import write_bundle
from deeq_bert.tokenizers.errors import InputError


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


def test_a_full_disk_keeps_the_last_good_one_and_says_so(tmp_path, variables):
    folder = CheckpointFolder(str(tmp_path))
    with folder.locked():
        folder.save(10, variables, {})
    kept = names_in(tmp_path)
    # A limit on file size fails a write as a full disk does.
    program = textwrap.dedent(f"""
        import resource, signal
        import tensorflow as tf
        from deeq_bert.bert.checkpoint import CheckpointFolder
        folder = CheckpointFolder({str(tmp_path)!r})
        big = {{"v": tf.Variable(tf.zeros([1000, 1000]))}}
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, {resource.RLIM_INFINITY}))
        with folder.locked():
            folder.save(20, big, {{}})
    """)
    completed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )

    assert "CheckpointWriteError: Cannot write the checkpoint" in completed.stderr
    assert "model.ckpt-10 is the last good one" in completed.stderr
    assert names_in(tmp_path) == kept


@pytest.fixture
def small_disk(tmp_path, monkeypatch):
    """A function that makes the folder a disk with room for so many checkpoints."""

    def limit(checkpoints: int, code: int = errno.ENOSPC) -> None:
        size = sum(path.stat().st_size for path in tmp_path.glob("model.ckpt-10.*"))

        def free(folder: str) -> int:
            used = sum(path.stat().st_size for path in tmp_path.glob("model.ckpt-*.*"))
            return checkpoints * size + 100 - used

        def write(prefix, *arguments):
            write_bundle(prefix, *arguments)
            if free(str(tmp_path)) < size:
                raise OSError(code, os.strerror(code))

        monkeypatch.setattr(checkpoint, "write_bundle", write)
        # A quota does not show in the free space of the disk.
        usage = free if code == errno.ENOSPC else lambda folder: 10**12
        monkeypatch.setattr(
            shutil, "disk_usage", lambda folder: types.SimpleNamespace(free=usage(folder))
        )

    return limit


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_on_a_full_disk_the_oldest_makes_room(tmp_path, variables, small_disk, caplog, code):
    folder = CheckpointFolder(str(tmp_path), keep_max=5)
    with folder.locked():
        for step in (10, 20, 30):
            folder.save(step, variables, {})
        small_disk(3, code)
        folder.save(40, variables, {})

    assert steps_in(tmp_path) == [20, 30, 40]
    assert "deleting model.ckpt-10, the oldest checkpoint" in caplog.text
    assert "ckpt-10" not in (tmp_path / "checkpoint").read_text()


def test_on_a_full_disk_the_newest_two_stay(tmp_path, variables, small_disk):
    folder = CheckpointFolder(str(tmp_path), keep_max=5)
    with folder.locked():
        for step in (10, 20):
            folder.save(step, variables, {})
        small_disk(2)
        with pytest.raises(InputError, match=r"No space left on device\. It takes .* GB"):
            folder.save(30, variables, {})

    assert steps_in(tmp_path) == [10, 20]


@pytest.mark.parametrize(("keep_max", "room"), [(5, 1), (0, 3)])
def test_on_a_full_disk_nothing_is_deleted_in_vain_or_against_the_wish(
    tmp_path, variables, small_disk, keep_max, room
):
    folder = CheckpointFolder(str(tmp_path), keep_max)
    with folder.locked():
        for step in (10, 20, 30):
            folder.save(step, variables, {})
        small_disk(room)
        with pytest.raises(InputError, match="No space left"):
            folder.save(40, variables, {})

    assert steps_in(tmp_path) == [10, 20, 30]
