"""The processes of a sweep: one a device at a time, each with a log of its own.

Nothing here needs TensorFlow.
"""

import collections
import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import BinaryIO, NamedTuple

from absl import logging

from deeq_bert.bert.distribution import choose_gpus
from deeq_bert.bert.log_lines import duration
from deeq_bert.bert.sweep import Cell, Sweep, undone
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import make_folder

_POLL_SECONDS = 0.2
# A process that is told to stop may save what it has first.
_STOP_SECONDS = 60.0
_NVIDIA_SMI_SECONDS = 60
_SHOWN_LINES = 4
_MAX_SHOWN_BYTES = 64 * 1024
_MAX_LINE = 600
_ERROR = "ERROR: "
CPU = "0"


class Failure(NamedTuple):
    """A cell that came to nothing.

    Attributes:
      cell: Which.
      reason: The last lines of its log, or why it was not begun.
    """

    cell: Cell
    reason: str


class _Running(NamedTuple):
    cell: Cell
    device: str
    process: subprocess.Popen
    start: float


def count_gpus(environment: Mapping[str, str] = os.environ) -> int:
    """Returns how many GPUs a process of this machine sees, asking the driver's own program."""
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        completed = subprocess.run(
            ["nvidia-smi", "-L"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_NVIDIA_SMI_SECONDS,
            env=dict(environment),
        )
        if completed.returncode == 0:
            found = sum(line.startswith("GPU ") for line in completed.stdout.splitlines())
            return found if visible is None else min(found, len(_visible(visible)))
    return 0


def devices_of(gpus: str, available: int, jobs: int) -> list[str]:
    """Returns the value of --gpus for each process that may run at once.

    Args:
      gpus: As elsewhere: how many, which, "all", or "0" for the CPU.
      available: How many GPUs there are.
      jobs: How many processes share a CPU.

    Raises:
      InputError: See `distribution.choose_gpus`.
    """
    chosen = choose_gpus(gpus, available)
    return [f"{number}," for number in chosen] or [CPU] * jobs


@contextlib.contextmanager
def locked(output_dir: str) -> Iterator[BinaryIO]:
    """Makes a folder and keeps other sweeps out of it; yields the lock.

    Raises:
      InputError: Another sweep works there, or its processes do, or it cannot be written.
    """
    make_folder(output_dir)
    path = os.path.join(output_dir, "lock")
    try:
        lock = open(path, "ab")  # noqa: SIM115
    except OSError as error:
        raise InputError(f"Cannot write {path}: {error.strerror}.") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(
                f"Another sweep, or a process that one has left behind, works in {output_dir} (it "
                f"holds {path}). Wait for it or stop it, or choose another --output_dir."
            ) from None
        yield lock


class SweepRunner:
    """Does the cells of a sweep, as many at once as there are devices.

    Attributes:
      failures: What came to nothing.
    """

    def __init__(
        self,
        sweep: Sweep,
        devices: Sequence[str],
        lock: BinaryIO | None = None,
        refresh: Callable[[], None] = lambda: None,
    ):
        """Takes the sweep.

        Args:
          sweep: What there is to do.
          devices: The value of --gpus for each process, see `devices_of`.
          lock: Held by the processes too, so that it outlives this one as long as they work.
          refresh: Called after every cell, to write the table.
        """
        self.failures: list[Failure] = []
        self._sweep = sweep
        self._free = collections.deque(devices)
        self._num_devices = len(devices)
        self._lock = lock
        self._refresh = refresh
        self._running: list[_Running] = []
        self._seconds: dict[str, list[float]] = {}

    def run(self, watch_seconds: float | None = None) -> None:
        """Does all cells there are; then, or meanwhile, those of checkpoints that come.

        It ends when all is done. With `watch_seconds`, the runs must also have ended by their logs.
        However it ends, no process is left behind.

        Args:
          watch_seconds: How often to look for new checkpoints; None: only once.
        """
        self._sweep.remove_leftovers()
        is_told = False
        try:
            waiting = self._find()
            looked = time.monotonic()
            had_ended = self._all_ended()
            while True:
                self._start(waiting)
                time.sleep(_POLL_SECONDS if self._running else 0)
                if self._collect(waiting):
                    self._refresh()
                idle = not waiting and not self._running
                if idle and (watch_seconds is None or had_ended):
                    return
                if idle and not is_told:
                    logging.info("All there is is scored; looking out for new checkpoints.")
                is_told = idle
                if watch_seconds is not None and time.monotonic() - looked >= watch_seconds:
                    # Asked before the look, so that the last checkpoint is not missed.
                    had_ended = self._all_ended()
                    waiting = self._find()
                    looked = time.monotonic()
                elif idle:
                    time.sleep(min(_POLL_SECONDS, watch_seconds or 0))
        finally:
            self._stop()

    def _all_ended(self) -> bool:
        return all(model.has_ended() for model in self._sweep.models)

    def _find(self) -> collections.deque[Cell]:
        """Returns the cells to do, those not among them that failed or are being done."""
        taken = {running.cell.folder for running in self._running}
        taken |= {failure.cell.folder for failure in self.failures}
        return collections.deque(
            cell for cell in undone(self._sweep.cells()) if cell.folder not in taken
        )

    def _start(self, waiting: collections.deque[Cell]) -> None:
        while waiting and self._free:
            cell = waiting.popleft()
            device = self._free.popleft()
            try:
                self._running.append(self._begin(cell, device))
            except InputError as error:
                self._free.appendleft(device)
                self._sweep.finish(cell)
                self._fail(cell, str(error))

    def _begin(self, cell: Cell, device: str) -> _Running:
        command = [sys.executable, *self._sweep.command(cell), f"--gpus={device}"]
        logging.info(
            "%s: begins on %s.", cell.name, "the CPU" if device == CPU else f"GPU {device[:-1]}"
        )
        try:
            with open(cell.log_file, "wb") as log:
                log.write(f"{' '.join(command)}\n".encode("utf-8", "backslashreplace"))
                log.flush()
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    # Ctrl-C goes to this process, which tells the others.
                    start_new_session=True,
                    pass_fds=[self._lock.fileno()] if self._lock else (),
                )
        except OSError as error:
            raise InputError(f"Cannot start {cell.task.script}: {error.strerror}.") from error
        return _Running(cell, device, process, time.monotonic())

    def _collect(self, waiting: Sequence[Cell]) -> bool:
        """Takes note of processes that have ended; returns whether there were any."""
        ended = [running for running in self._running if running.process.poll() is not None]
        for running in ended:
            self._running.remove(running)
            self._free.append(running.device)
            self._sweep.finish(running.cell)
            seconds = time.monotonic() - running.start
            results = running.cell.results()
            if running.process.returncode == 0 and results is not None:
                self._seconds.setdefault(running.cell.task.name, []).append(seconds)
                self._tell(running.cell, seconds, waiting)
            else:
                self._fail(running.cell, _why(running))
        return bool(ended)

    def _tell(self, cell: Cell, seconds: float, waiting: Sequence[Cell]) -> None:
        results = cell.results() or []
        parts = [f"step {cell.checkpoint.label}", cell.task.name, f"{len(results)} seed(s)"]
        for split in ("dev", "test"):
            values = [
                getattr(result, split)[result.metric]
                for result in results
                if result.metric in getattr(result, split)
            ]
            if values:
                mean = sum(values) / len(values)
                parts.append(f"{split} {results[0].metric} {100 * mean:.2f}")
        left = len(waiting) + len(self._running)
        parts += [duration(seconds), f"{left} cell(s) left"]
        if left:
            parts.append(f"{duration(self._seconds_left(waiting))} left")
        logging.info("%s: %s", cell.model.name, ", ".join(parts))

    def _seconds_left(self, waiting: Iterable[Cell]) -> float:
        """Returns how long the rest will take, by what cells of the same tasks took."""
        now = time.monotonic()
        total = sum(self._expected(cell) for cell in waiting)
        for running in self._running:
            total += max(0.0, self._expected(running.cell) - (now - running.start))
        return total / self._num_devices

    def _expected(self, cell: Cell) -> float:
        known = self._seconds.get(cell.task.name)
        if not known:
            known = [seconds for values in self._seconds.values() for seconds in values]
        return sum(known) / len(known)

    def _fail(self, cell: Cell, reason: str) -> None:
        self.failures.append(Failure(cell, reason))
        logging.error("%s failed: %s", cell.name, reason)

    def _stop(self) -> None:
        """Ends the processes that are there; what they have finished stays."""
        for running in self._running:
            running.process.terminate()
        limit = time.monotonic() + _STOP_SECONDS
        for running in self._running:
            with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
                running.process.wait(max(0.0, limit - time.monotonic()))
            # Its own helpers are in its session.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(running.process.pid, signal.SIGKILL)
            running.process.wait()
            self._sweep.finish(running.cell)
        self._running.clear()


def _visible(devices: str) -> list[str]:
    """Returns what CUDA_VISIBLE_DEVICES names; CUDA ends at the first that is none."""
    visible = []
    for word in map(str.strip, devices.split(",")):
        if not word or word.startswith("-"):
            break
        visible.append(word)
    return visible


def _why(running: _Running) -> str:
    """Returns how a process ended, and the end of what it told."""
    code = running.process.returncode
    how = f"exit code {code}"
    if code == 0:
        how = "it ended without a result for each seed"
    elif code == -signal.SIGKILL:
        how = "it was killed, probably for want of memory"
    elif code < 0:
        how = f"it was ended by signal {-code}"
    lines = _last_lines(running.cell.log_file)
    told = " | ".join(lines) or "it told nothing"
    return f"{how}. {told} (all of it: {running.cell.log_file})"


def _last_lines(path: str) -> list[str]:
    """Returns the end of a log, from its last error on if there is one."""
    with contextlib.suppress(OSError), open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - _MAX_SHOWN_BYTES))
        lines = [line.strip() for line in file.read().decode("utf-8", "replace").splitlines()]
        # The first is the command.
        lines = [line[:_MAX_LINE] for line in lines[1:] if line]
        errors = [place for place, line in enumerate(lines) if line.startswith(_ERROR)]
        shown = lines[errors[-1] :][:_SHOWN_LINES] if errors else lines[-_SHOWN_LINES:]
        return [line.removeprefix(_ERROR) for line in shown]
    return []
