"""Sharded record making killed at any moment: nothing is torn, and the next run ends as if not."""

import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

SHARDS = 12
MOMENTS = 10


@pytest.fixture(scope="module")
def command(repository, tmp_path_factory):
    """A function that returns the command for a folder."""
    sample = (repository / "corpus" / "sample" / "sample.txt").read_text(encoding="utf-8")
    text = tmp_path_factory.mktemp("text") / "text.txt"
    text.write_text(sample * 12, encoding="utf-8")

    def command(folder: pathlib.Path) -> list[str]:
        return [
            *(sys.executable, str(repository / "bert" / "create_pretraining_data.py")),
            *(f"--input_file={text}", "--do_lower_case=False"),
            f"--vocab_file={repository / 'tests' / 'data' / 'own' / 'vocab.txt'}",
            *("--max_seq_length=64,128", "--max_predictions_per_seq=10,20", "--dupe_factor=5"),
            *(f"--num_shards={SHARDS}", "--num_workers=2", f"--output_file={folder}/{{length}}.tf"),
        ]

    return command


@pytest.fixture(scope="module")
def undisturbed(command, tmp_path_factory):
    """What is in the folder of a run that was let alone, by name, and the seconds it took."""
    folder = tmp_path_factory.mktemp("undisturbed")
    started = time.monotonic()
    subprocess.run(command(folder), check=True, stderr=subprocess.DEVNULL)
    seconds = time.monotonic() - started
    contents = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert len(contents) == 2 * (2 * SHARDS + 1)
    return contents, seconds


def start(command: list[str]) -> subprocess.Popen:
    return subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True, errors="replace"
    )


def assert_nothing_torn(folder: pathlib.Path, whole: dict[str, bytes], known: set[str]) -> None:
    """Asserts that every file that is new under its own name is as it should be; notes them."""
    for name in set(os.listdir(folder)) - known:
        if not name.startswith("."):
            assert (folder / name).read_bytes() == whole[name], name
            known.add(name)


def watch(process: subprocess.Popen, folder: pathlib.Path, whole, seconds: float) -> None:
    """Looks at the files for some seconds, or until the run has ended."""
    known: set[str] = set()
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        assert_nothing_torn(folder, whole, known)
        time.sleep(0.002)


def assert_ends_as_undisturbed(command: list[str], folder: pathlib.Path, whole) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == whole


def workers_of(process: subprocess.Popen) -> list[int]:
    """Returns the processes that make shards."""
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    command_lines = {
        int(pid): pathlib.Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children
    }
    return [pid for pid, line in command_lines.items() if b"spawn_main" in line]


def wait_for(process: subprocess.Popen, folder: pathlib.Path, pattern: str) -> None:
    while not list(folder.glob(pattern)):
        assert process.poll() is None, "ended early"
        time.sleep(0.001)


@pytest.mark.slow
def test_a_run_killed_at_any_moment_and_again_ends_as_if_not(command, undisturbed, tmp_path):
    whole, seconds = undisturbed
    draw = random.Random(7)
    killed = 0
    for number in range(MOMENTS):
        folder = tmp_path / str(number)
        folder.mkdir()
        # In each tenth of the run once; and the run that goes on once more.
        for delay in ((number + draw.random()) / MOMENTS * seconds, draw.random() * seconds):
            process = start(command(folder))
            watch(process, folder, whole, delay)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                killed += 1
            process.communicate()
            assert_nothing_torn(folder, whole, set())
        assert_ends_as_undisturbed(command(folder), folder, whole)
    assert killed >= MOMENTS


@pytest.mark.slow
def test_a_run_killed_over_and_over_goes_on_each_time(command, undisturbed, tmp_path):
    whole, _ = undisturbed
    counts = []
    while not (tmp_path / "128.tf.json").exists():
        process = start(command(tmp_path))
        # As soon as another shard is made.
        before = len(list(tmp_path.glob("128.tf-*.json")))
        while process.poll() is None and len(list(tmp_path.glob("128.tf-*.json"))) == before:
            time.sleep(0.001)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert_nothing_torn(tmp_path, whole, set())
        counts.append(len(list(tmp_path.glob("128.tf-*.json"))))
        assert len(counts) <= 2 * SHARDS
    assert counts == sorted(counts)
    assert_ends_as_undisturbed(command(tmp_path), tmp_path, whole)


@pytest.mark.slow
def test_a_worker_that_is_killed_is_told(command, undisturbed, tmp_path):
    whole, _ = undisturbed
    process = start(command(tmp_path))
    wait_for(process, tmp_path, ".128.tf-*.tmp")
    os.kill(workers_of(process)[0], signal.SIGKILL)
    _, log = process.communicate()
    assert process.returncode == 1
    assert "ERROR: A worker process was killed, probably for want of memory." in log
    assert "Traceback" not in log
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]
    assert_nothing_torn(tmp_path, whole, set())
    assert_ends_as_undisturbed(command(tmp_path), tmp_path, whole)


@pytest.mark.slow
def test_workers_end_with_the_run_that_started_them(command, undisturbed, tmp_path):
    whole, _ = undisturbed
    process = start(command(tmp_path))
    wait_for(process, tmp_path, "128.tf-*.json")
    workers = workers_of(process)
    assert len(workers) == 2
    process.kill()
    process.communicate()
    end = time.monotonic() + 10
    while any(os.path.exists(f"/proc/{worker}/exe") for worker in workers):
        assert time.monotonic() < end
        time.sleep(0.01)
    assert_nothing_torn(tmp_path, whole, set())
    assert_ends_as_undisturbed(command(tmp_path), tmp_path, whole)


@pytest.mark.slow
@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_is_stopped_at_any_moment_leaves_whole_shards_only(
    command, undisturbed, tmp_path, number, code
):
    whole, seconds = undisturbed
    draw = random.Random(code)
    for moment in range(4):
        process = start(command(tmp_path))
        # Before that Python itself starts, and handles signals its own way.
        while process.poll() is None and not workers_of(process):
            time.sleep(0.001)
        watch(process, tmp_path, whole, (moment + draw.random()) / 8 * seconds)
        os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
        _, log = process.communicate()
        assert process.returncode in (code, 0)
        assert "Traceback" not in log
        assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]
    assert_ends_as_undisturbed(command(tmp_path), tmp_path, whole)


@pytest.mark.slow
def test_two_runs_at_once_do_each_other_no_harm(command, undisturbed, tmp_path):
    whole, _ = undisturbed
    processes = [start(command(tmp_path)) for _ in range(2)]
    for process in processes:
        _, log = process.communicate()
        assert process.returncode == 0, log
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == whole
