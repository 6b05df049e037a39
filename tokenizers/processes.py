"""Work spread over processes: results in order, bounded memory, and nothing left running."""

import collections
import contextlib
import itertools
import logging as python_logging
import multiprocessing
import os
import pickle
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import connection, resource_tracker
from typing import Any, NamedTuple, TypeVar

from absl import logging

from deeq_bert.tokenizers.errors import InputError

State = TypeVar("State")
Task = TypeVar("Task")
Result = TypeVar("Result")

# One to work at, and one at hand.
_TASKS_PER_WORKER = 2
# Lets workers go on for a while where one task takes longer than its neighbours.
_IN_FLIGHT_PER_WORKER = 4
_END_SECONDS = 5.0
# The exit code of a worker whose parent is gone; nobody reads it.
_ORPHANED = 1

# What a message from a worker is.
_RESULT, _INPUT_ERROR, _ERROR = range(3)


def default_num_workers() -> int:
    """Returns the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def map_in_processes(
    function: Callable[[State, Task], Result],
    make_state: Callable[[], State],
    tasks: Iterable[Task],
    num_workers: int,
    *,
    max_in_flight: int | None = None,
) -> Iterator[Result]:
    """Yields `function(state, task)` for each task, in their order.

    With one worker, or one task, all happens in this process, a task at a time. Otherwise the
    workers are new processes that import the script of this one again, so it must be guarded by
    `if __name__ == "__main__"`. They end with the generator, also where it is closed early, and
    with this process, however that ends.

    Args:
      function: Does the work; like `make_state` a function of a module, or a partial of one.
      make_state: Called once in each process. What it returns is closed after the last task if it
        has a method `close`.
      tasks: Read lazily, as the work goes on; they and the results are pickled.
      num_workers: How many processes work.
      max_in_flight: How many tasks at most are read whose result was not yielded, which bounds the
        memory; 4 for each worker if None.

    Raises:
      InputError: A worker raised it, or a worker died.
      RuntimeError: A worker raised anything else; the message has its traceback. What the first of
        the tasks that fail raises is raised after the results of those before it.
    """
    tasks = iter(tasks)
    first_tasks = list(itertools.islice(tasks, max(1, num_workers)))
    tasks = itertools.chain(first_tasks, tasks)
    num_workers = min(num_workers, len(first_tasks))
    if num_workers <= 1:
        yield from _map_here(function, make_state, tasks)
        return
    workers: list[_Worker] = []
    try:
        for _ in range(num_workers):
            workers.append(_Worker(function, make_state, num_workers))
        in_flight = max_in_flight or _IN_FLIGHT_PER_WORKER * num_workers
        yield from _map_over(workers, tasks, in_flight)
        _finish(workers)
    finally:
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.end()


def _map_here(
    function: Callable[[State, Task], Result],
    make_state: Callable[[], State],
    tasks: Iterable[Task],
) -> Iterator[Result]:
    state = make_state()
    try:
        for task in tasks:
            yield function(state, task)
    finally:
        _close(state)


def _map_over(workers: "list[_Worker]", tasks: Iterator[Any], max_in_flight: int) -> Iterator[Any]:
    # Those of later tasks wait here for their turn.
    results: dict[int, Any] = {}
    read = yielded = 0
    all_read = False
    while True:
        while not all_read and read - yielded < max_in_flight:
            worker = min(workers, key=lambda worker: len(worker.numbers))
            if len(worker.numbers) >= _TASKS_PER_WORKER:
                break
            for task in tasks:
                worker.send(read, task)
                read += 1
                break
            else:
                all_read = True
        if yielded in results:
            result = results.pop(yielded)
            if isinstance(result, _Failure):
                raise result.error
            yield result
            yielded += 1
        elif yielded == read:
            return
        else:
            for number, result in _receive_some(workers):
                results[number] = result
                # What comes later is not wanted any more.
                all_read = all_read or isinstance(result, _Failure)


def _finish(workers: "list[_Worker]") -> None:
    """Waits until all workers have closed their states."""
    for worker in workers:
        worker.send_end()
    for worker in workers:
        result = worker.receive()
        if isinstance(result, _Failure):
            raise result.error


def _receive_some(workers: "list[_Worker]") -> list[tuple[int, Any]]:
    by_pipe = {worker.pipe: worker for worker in workers}
    received = []
    # The pipe of a worker that dies ends, and then it counts as ready.
    for pipe in connection.wait(list(by_pipe)):
        worker = by_pipe[pipe]
        result = worker.receive()
        if not worker.numbers:
            # Only an error comes unasked.
            raise result.error
        received.append((worker.numbers.popleft(), result))
    return received


class _Failure(NamedTuple):
    """What a worker raised, in the place of a result: it is raised when its turn comes."""

    error: Exception


class _Worker:
    """A process that works, as the parent sees it.

    It has a pipe of its own, so that one that is killed in the middle of a message harms no other.

    Attributes:
      process: The process.
      pipe: The parent's end.
      numbers: The numbers of the tasks it has, the one it works at first.
    """

    def __init__(self, function: Callable, make_state: Callable, num_workers: int):
        context = multiprocessing.get_context("spawn")
        self.numbers: collections.deque[int] = collections.deque()
        self._num_workers = num_workers
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(
            target=_work, args=(theirs, function, make_state, logging.get_verbosity()), daemon=True
        )
        try:
            with _interrupts_held():
                self.process.start()
        except OSError as error:
            raise InputError(
                f"Cannot start a worker process: {error.strerror}. Lower --num_workers, which is "
                f"{num_workers} now."
            ) from error
        finally:
            # With this copy open, the pipe would not end with the worker.
            theirs.close()

    def send(self, number: int, task: Any) -> None:
        self._send((task,))
        self.numbers.append(number)

    def send_end(self) -> None:
        self._send(())

    def receive(self) -> Any:
        """Returns the next result or failure, after the end was sent None or a failure."""
        try:
            kind, value = self.pipe.recv()
        except (EOFError, OSError):
            raise self._death() from None
        if kind == _INPUT_ERROR:
            return _Failure(InputError(value))
        if kind == _ERROR:
            return _Failure(RuntimeError(f"A worker process failed.\n{value}"))
        return value

    def end(self) -> None:
        """Makes sure that the process, which was told to terminate, is gone."""
        self.pipe.close()
        self.process.join(_END_SECONDS)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.process.close()

    def _send(self, message: tuple) -> None:
        try:
            self.pipe.send(message)
        except OSError:
            raise self._death() from None

    def _death(self) -> InputError:
        self.process.join(_END_SECONDS)
        code = self.process.exitcode
        if code == -signal.SIGKILL:
            return InputError(
                "A worker process was killed, probably for want of memory. Lower --num_workers, "
                f"which is {self._num_workers} now, or give the machine more memory."
            )
        how = f"with exit code {code}"
        if code is not None and code < 0:
            how = f"by signal {signal.Signals(-code).name}"
        return InputError(
            f"A worker process died {how}; what it printed may say why. If the machine is short "
            f"of memory, lower --num_workers, which is {self._num_workers} now."
        )


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Makes processes that are started meanwhile deaf to Ctrl-C, which goes to the whole group.

    It is for the parent to end them then. Its own Ctrl-C is not lost but comes late.
    """
    # Starting this helper of multiprocessing with the first process would let signals through.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(
    pipe: connection.Connection, function: Callable, make_state: Callable, verbosity: int
) -> None:
    """What a worker process does."""
    _log_to_stderr(verbosity)
    messages: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read_messages, args=(pipe, messages), daemon=True).start()
    try:
        state = make_state()
        while message := pickle.loads(messages.get()):
            pipe.send((_RESULT, function(state, *message)))
        _close(state)
        answer = (_RESULT, None)
    except InputError as error:
        answer = (_INPUT_ERROR, str(error))
    except Exception:
        answer = (_ERROR, traceback.format_exc())
    with contextlib.suppress(OSError):
        pipe.send(answer)
    # The parent ends this process once it has read that.
    threading.Event().wait()


def _read_messages(pipe: connection.Connection, messages: "queue.SimpleQueue[bytes]") -> None:
    """Takes messages at once, so that the parent need not wait, and sees the parent's end."""
    while True:
        try:
            messages.put(pipe.recv_bytes())
        except (EOFError, OSError):
            # The main thread may be deep in a long task.
            os._exit(_ORPHANED)


def _log_to_stderr(verbosity: int) -> None:
    # absl's own handler wants flags, which only the parent has parsed.
    handler = python_logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.PythonFormatter())
    python_logging.getLogger().addHandler(handler)
    logging.set_verbosity(verbosity)


def _close(state: Any) -> None:
    close = getattr(state, "close", None)
    if close is not None:
        close()
