"""What run_pretraining.py does where a run goes wrong: it diverges, the disk is full, a disk hangs.

A run that can be left alone for a month goes on by itself as long as that makes sense, says what it
did, and leaves a checkpoint to go on from in any case.
"""

import pathlib
import re
import resource
import signal
import subprocess
import sys
import textwrap
import time

import pytest
import tensorflow as tf
from pretraining_runs import SCRIPT, assert_refused, command, lines, run, steps_of, values

from deeq_bert.bert.records import read_records


@pytest.fixture
def flags(sample_records, tiny_config, tmp_path) -> dict[str, object]:
    """Those of a run on the sample into tmp_path/out."""
    return {
        "input_file": sample_records,
        "bert_config_file": tiny_config,
        "output_dir": tmp_path / "out",
        "do_train": True,
        "train_batch_size": 8,
        "num_train_steps": 40,
        "num_warmup_steps": 0,
        "save_checkpoints_steps": 10,
        "log_steps": 1,
        "gpus": 0,
    }


@pytest.fixture
def out(tmp_path) -> pathlib.Path:
    return tmp_path / "out"


def test_a_loss_that_explodes_is_gone_back_from_and_then_ends_the_run(flags, out):
    # The rate rises up to where no training can follow.
    exploding = {"learning_rate": 10, "num_warmup_steps": 100, "explosion_factor": 1.5}

    diverged = run(flags | exploding | {"max_rollbacks": 1})
    rollbacks = lines(out, "rollback")
    last = tf.train.latest_checkpoint(str(out))
    again = run(flags | {"learning_rate": 1e-5})

    assert_refused(diverged, "--max_rollbacks=1 is used up", f"{last} is the last good", code=3)
    (rollback,) = rollbacks
    assert re.fullmatch(r"the loss is \S+ where \S+ is usual", rollback["reason"])
    assert f"At step {rollback['diverged_at']} {rollback['reason']}. Back to" in diverged.stderr
    assert rollback["step"] < rollback["diverged_at"]
    # The records that led there are passed over.
    assert "records of steps" in diverged.stderr and "rollback 1 of at most 1" in diverged.stderr
    assert again.returncode == 0, again.stderr
    assert f"Going on from {last}." in again.stderr


def test_a_loss_that_is_not_finite_ends_the_run_with_code_3(flags, out):
    completed = run(flags | {"learning_rate": 1e30, "save_checkpoints_steps": 1})

    # The first update ruins the weights that model.ckpt-1 holds, with any records.
    told = ("At step 2 the loss is not finite", "--max_rollbacks=3 is used up", "model.ckpt-0 is")
    assert_refused(completed, *told, code=3)
    assert completed.stderr.count("Back to ") == 3
    assert tf.train.latest_checkpoint(str(out)).endswith("model.ckpt-0")
    assert max(steps_of(out)) < 2


def test_weights_that_are_not_finite_are_not_saved(flags, out):
    completed = run(flags | {"learning_rate": 2e38, "num_train_steps": 1, "max_rollbacks": 0})

    assert_refused(completed, "a weight is not finite", "model.ckpt-0 is the last good", code=3)
    assert steps_of(out) == [0]


@pytest.fixture
def run_on_full_disk(flags, out, tmp_path):
    """A run that has been told that the disk is full, behind its first checkpoint."""
    assert run(flags | {"num_train_steps": 1}).returncode == 0

    def fill_disk() -> None:
        # A limit on file size fails a write as a full disk does.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))

    # The log is no pipe, so it stays below the limit; what is on the disk reaches it soon.
    log = tmp_path / "log"
    with open(log, "wb") as file:
        pipe = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=file)
        process = subprocess.Popen(
            command(**flags | {"num_train_steps": 1_000_000}),
            stderr=pipe.stdin,
            preexec_fn=fill_disk,
        )
        pipe.stdin.close()
        for part in (b"Cannot write the checkpoint", b"metrics.jsonl: ", b"the events of "):
            wait_for(part, log, process)
        yield process, log
        process.kill()
        process.wait()
        pipe.wait()


def wait_for(part: bytes, log: pathlib.Path, process: subprocess.Popen, seconds: int = 90) -> None:
    deadline = time.monotonic() + seconds
    while part not in log.read_bytes():
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def test_a_full_disk_does_not_end_a_run_which_saves_when_there_is_room(run_on_full_disk, out):
    process, log = run_on_full_disk
    assert tf.train.latest_checkpoint(str(out)).endswith("model.ckpt-1")

    unlimited = resource.RLIM_INFINITY
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))
    process.send_signal(signal.SIGTERM)

    assert process.wait(timeout=60) == 143, log.read_text()
    last = tf.train.latest_checkpoint(str(out))
    assert int(last.rsplit("-", 1)[1]) > 1
    assert values(out, int(last.rsplit("-", 1)[1]))
    wait_for(f"goes on from {last}.".encode(), log, process)
    # No event is torn, so that TensorBoard shows what came before and after.
    assert all(list(read_records(str(path))) for path in out.glob("events.*"))
    # Said once, not at every step.
    assert log.read_text().count("Cannot write the events of ") == 1
    assert log.read_text().count("metrics.jsonl: ") == 1


@pytest.mark.slow
def test_a_disk_that_stays_full_keeps_the_last_good_checkpoint(run_on_full_disk, out):
    process, log = run_on_full_disk

    process.send_signal(signal.SIGTERM)

    assert process.wait(timeout=90) == 1
    time.sleep(0.5)
    (message,) = [line for line in log.read_text().splitlines() if line.startswith("ERROR: ")]
    assert "model.ckpt-1 is the last good one" in message
    assert tf.train.latest_checkpoint(str(out)).endswith("model.ckpt-1")
    assert not list(out.glob(".model.ckpt-*"))


@pytest.fixture
def run_on_hanging_disk(flags, tmp_path):
    """A run whose records do not come any more, from the hundredth read on."""
    program = textwrap.dedent(f"""
        import itertools, runpy, sys, time
        from deeq_bert.bert.records import RecordSet

        read, count = RecordSet.read_many, itertools.count()

        def read_or_hang(self, indexes):
            if next(count) >= 100:
                time.sleep(3600)
            return read(self, indexes)

        RecordSet.read_many = read_or_hang
        sys.argv[0] = {str(SCRIPT)!r}
        runpy.run_path(sys.argv[0], run_name="__main__")
    """)
    words = command(**flags | {"num_train_steps": 1000})[2:]
    log = tmp_path / "log"
    with open(log, "wb") as file:
        process = subprocess.Popen([sys.executable, "-c", program, *words], stderr=file)
    yield process, log
    process.kill()
    process.wait()


@pytest.mark.slow
def test_records_that_do_not_come_are_reported_within_a_minute(run_on_hanging_disk, out):
    process, log = run_on_hanging_disk
    wait_for(b"step 100: loss", log, process)

    wait_for(b"the run waits for the next batch of records", log, process, seconds=60)
    assert "Look at the disk or network that the records are on." in log.read_text()

    # The first signal waits for the step, which does not come; the second does not wait.
    process.send_signal(signal.SIGTERM)
    wait_for(b"Once more stops at once", log, process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 143, log.read_text()
    assert tf.train.latest_checkpoint(str(out)).endswith("model.ckpt-100")
