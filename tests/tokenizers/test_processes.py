"""Work over processes: its order, its bounds, its errors, and that nothing is left running."""

import functools
import itertools
import multiprocessing
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest
from absl import logging

from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.processes import default_num_workers, map_in_processes

LONG_TASKS = pathlib.Path(__file__).parent / "long_tasks.py"


def add_to(total: int, number: int) -> int:
    # The first results must wait for this one.
    time.sleep(0.3 if number == 0 else 0)
    return total + number


def a_hundred() -> int:
    return 100


@pytest.mark.parametrize("num_workers", [1, 2, 3])
def test_results_come_in_the_order_of_the_tasks(num_workers):
    results = map_in_processes(add_to, a_hundred, range(30), num_workers)

    assert list(results) == list(range(100, 130))


def test_no_tasks_give_no_results():
    assert list(map_in_processes(add_to, a_hundred, [], 3)) == []


def note(states: list, task: int) -> tuple[int, int]:
    states.append(task)
    time.sleep(0.01)
    return os.getpid(), len(states)


def test_each_process_makes_one_state():
    noted = list(map_in_processes(note, list, range(20), 2))

    last = dict(noted)
    assert os.getpid() not in last
    assert len(last) == 2 and sum(last.values()) == 20


@pytest.mark.parametrize(("num_workers", "tasks"), [(1, range(3)), (8, range(1))])
def test_one_worker_or_one_task_needs_no_other_process(num_workers, tasks):
    noted = list(map_in_processes(note, list, tasks, num_workers))

    assert noted == [(os.getpid(), number + 1) for number in tasks]


def test_one_worker_reads_a_task_when_it_is_asked_for_a_result():
    tasks = itertools.count()

    results = map_in_processes(add_to, a_hundred, tasks, 1)
    assert [next(results), next(results)] == [100, 101]
    results.close()

    assert next(tasks) == 2


def test_few_tasks_are_read_ahead():
    tasks = itertools.count()

    results = map_in_processes(add_to, a_hundred, tasks, 2, max_in_flight=3)
    assert list(itertools.islice(results, 10)) == list(range(100, 110))
    results.close()

    assert next(tasks) <= 13


def large(state: int, size: int) -> bytes:
    return bytes(size)


def test_tasks_and_results_may_be_larger_than_a_pipe_holds():
    results = map_in_processes(large, a_hundred, [5_000_000] * 4, 2)
    assert [len(result) for result in results] == [5_000_000] * 4

    lengths = map_in_processes(measure, a_hundred, [bytes(5_000_000)] * 8, 2)
    assert list(lengths) == [5_000_000] * 8


def measure(state: int, content: bytes) -> int:
    return len(content)


class Closing:
    """A state that leaves a file when it is closed."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder

    def close(self) -> None:
        (self.folder / f"closed-{os.getpid()}").touch()


def process_of(state: Closing, task: int) -> int:
    time.sleep(0.01)
    return os.getpid()


@pytest.mark.parametrize("num_workers", [1, 2])
def test_states_are_closed_after_the_last_task(tmp_path, num_workers):
    make_state = functools.partial(Closing, tmp_path)

    used = set(map_in_processes(process_of, make_state, range(10), num_workers))

    assert sorted(os.listdir(tmp_path)) == sorted(f"closed-{process}" for process in used)


def fail_as_input(state: int, task: int) -> None:
    raise InputError(f"text {task}: cannot be used.")


def fail_otherwise(state: int, task: int) -> None:
    raise KeyError("deep inside")


def no_state() -> None:
    raise InputError("vocab.txt: is missing.")


@pytest.mark.parametrize("num_workers", [1, 2])
@pytest.mark.parametrize(
    ("function", "make_state", "message"),
    [(fail_as_input, a_hundred, "text 0: cannot be used."), (add_to, no_state, "vocab.txt: is mi")],
)
def test_an_input_error_arrives_as_it_is(function, make_state, message, num_workers):
    with pytest.raises(InputError, match=message) as caught:
        list(map_in_processes(function, make_state, range(9), num_workers))

    assert caught.value.__cause__ is None
    assert not multiprocessing.active_children()


def test_another_error_arrives_with_its_traceback():
    with pytest.raises(RuntimeError, match="in fail_otherwise\n(.*\n)*KeyError: 'deep inside'"):
        list(map_in_processes(fail_otherwise, a_hundred, range(9), 2))


def fail_at_once_or_late(state: int, task: int) -> int:
    time.sleep(0.3 if task == 2 else 0)
    if task >= 2:
        raise InputError(f"text {task}: cannot be used.")
    return task


@pytest.mark.parametrize("num_workers", [1, 3])
def test_the_first_error_is_raised_in_its_turn(num_workers):
    results = map_in_processes(fail_at_once_or_late, a_hundred, range(9), num_workers)

    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(InputError, match="text 2"):
        next(results)


def unpicklable(state: int, task: int) -> object:
    return lambda: task


def test_a_result_that_cannot_be_pickled_is_told():
    with pytest.raises(RuntimeError, match="unpicklable"):
        list(map_in_processes(unpicklable, a_hundred, range(9), 2))


def die(state: int, task: int) -> int:
    if task == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def leave(state: int, task: int) -> None:
    os._exit(7)


def test_a_worker_that_is_killed_is_told_as_want_of_memory():
    with pytest.raises(InputError, match="killed, probably for want of memory. Lower --num_worker"):
        list(map_in_processes(die, a_hundred, range(50), 2))
    assert not multiprocessing.active_children()


def test_a_worker_that_leaves_is_told_with_its_exit_code():
    with pytest.raises(InputError, match="died with exit code 7"):
        list(map_in_processes(leave, a_hundred, range(9), 2))


def sleep_after_the_first(state: int, task: int) -> int:
    time.sleep(600 if task else 0)
    return task


def test_closing_the_generator_ends_workers_in_the_middle_of_a_task():
    results = map_in_processes(sleep_after_the_first, a_hundred, range(9), 2)
    next(results)
    assert len(multiprocessing.active_children()) == 2

    results.close()

    assert not multiprocessing.active_children()


def test_an_error_in_the_tasks_ends_the_workers():
    def tasks():
        yield from (0, 1, 2)
        raise InputError("text.txt: not UTF-8.")

    with pytest.raises(InputError, match="not UTF-8"):
        list(map_in_processes(sleep_after_the_first, a_hundred, tasks(), 2))
    assert not multiprocessing.active_children()


@pytest.fixture
def long_run(tmp_path):
    """A process with two workers at long tasks, in a group of its own, and the folder of notes."""
    # A test run in the background ignores SIGINT, and its children would inherit that.
    default = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, LONG_TASKS, f"--folder={tmp_path}"],
            stderr=log,
            start_new_session=True,
            preexec_fn=default,
        )
    wait_until(lambda: len(workers_of(tmp_path)) == 2)
    yield process, tmp_path
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def workers_of(folder: pathlib.Path) -> list[int]:
    return [int(path.name) for path in folder.iterdir() if path.name.isdigit()]


def is_running(process: int) -> bool:
    try:
        # One that nobody waits for after its end stays as a zombie where init is no real one.
        return pathlib.Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_workers_end_after_their_parent_was_killed(long_run):
    process, folder = long_run

    process.kill()
    process.wait()

    wait_until(lambda: not any(map(is_running, workers_of(folder))))


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_a_signal_ends_parent_and_workers_with_one_word(long_run, number, code):
    process, folder = long_run

    # Ctrl-C goes to the whole group, SIGTERM to the process.
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)

    assert process.wait(timeout=60) == code
    assert not any(map(is_running, workers_of(folder)))
    assert (folder / "log").read_text() == "ERROR: Stopped.\n"


def say(state: int, task: int) -> None:
    logging.info("task %d begins", task)
    logging.debug("nobody wants this")


def test_what_workers_log_reaches_stderr_like_the_lines_of_their_parent(capfd):
    before = logging.get_verbosity()
    logging.set_verbosity(logging.INFO)
    try:
        list(map_in_processes(say, a_hundred, range(2), 2))
    finally:
        logging.set_verbosity(before)

    lines = sorted(line.partition("] ")[2] for line in capfd.readouterr().err.splitlines())
    assert lines == ["task 0 begins", "task 1 begins"]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux")
def test_the_default_is_the_cores_this_process_may_use():
    allowed = os.sched_getaffinity(0)
    assert default_num_workers() == len(allowed)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert default_num_workers() == 1
    finally:
        os.sched_setaffinity(0, allowed)
