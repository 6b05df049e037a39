"""Jobs on Apache Beam: started on the runner that is asked for, waited for, and counted."""

import contextlib
import glob
import io
import os
import threading
from collections.abc import Callable, Sequence
from concurrent import futures
from typing import TypeVar

import apache_beam as beam
from absl import logging
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.runner import PipelineState, create_runner

from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import write_atomically

DIRECT = "DirectRunner"

Result = TypeVar("Result")

_NAMESPACE = "deeq_bert"
_SECONDS_BETWEEN_LOOKS = 0.2
# Kinds of notes, of errors that are sure to come again and of others.
_FINAL, _PASSING = "error", "failure"


def count(name: str, number: int) -> None:
    """Adds to a counter of the job, in a step of it."""
    beam.metrics.Metrics.counter(_NAMESPACE, name).inc(number)


def do_noting_errors(folder: str, task: str, work: Callable[[], Result]) -> Result | None:
    """Does some work in a step of a job, and notes what a user must know if that fails.

    What a runner makes of an exception differs from one to the next, so the program that waits for
    the job finds the message in a file. What cannot go better a second time is only noted, as a
    runner would try it again, and show where in the code it happened; from then on nothing more is
    done, so that the job ends soon.

    Args:
      folder: A folder that the program and all workers see.
      task: A name for the work, which decides whose message is told first.
      work: Does it.

    Returns:
      What it returns, or None if it or something before it failed.

    Raises:
      InputError: The work raised it because of a disk or a network.
    """
    if _notes(folder, _FINAL):
        return None
    try:
        return work()
    except InputError as error:
        can_be_tried_again = isinstance(error.__cause__, OSError)
        kind = _PASSING if can_be_tried_again else _FINAL
        content = str(error).encode("utf-8", "backslashreplace")
        write_atomically(os.path.join(folder, f"{kind}-{task}.txt"), content)
        if can_be_tried_again:
            raise
        return None


class Jobs:
    """Runs jobs one after the other, all on the same runner.

    Attributes:
      runner: The name of the runner.
      counters: What all of the jobs counted so far, by name.
    """

    def __init__(self, runner: str, options: Sequence[str]):
        """Reads the options.

        Args:
          runner: The name of a runner that Beam knows.
          options: Options for Beam and the runner, as on a command line.

        Raises:
          InputError: There is no such runner, or an option has a value it cannot have.
        """
        complaints = io.StringIO()
        try:
            with contextlib.redirect_stderr(complaints):
                self._options = PipelineOptions([f"--runner={runner}", *options])
                self._options.get_all_options()
        except SystemExit:
            problem = complaints.getvalue().strip().rpartition("error: ")[2]
            raise InputError(f"An option after --, for Beam: {problem}.") from None
        self.runner = self._options.view_as(StandardOptions).runner
        # By itself Beam would try a runner first that it downloads.
        self._is_direct = self.runner in (DIRECT, "FnApiRunner")
        try:
            self._runner = FnApiRunner() if self._is_direct else create_runner(self.runner)
        except (ValueError, ImportError, AttributeError) as error:
            raise InputError(f"--runner={self.runner}: {error}") from error
        self.counters: dict[str, int] = {}

    def run(self, name: str, build: Callable[[beam.Pipeline], None], folder: str) -> None:
        """Runs a job and waits until it is done.

        Args:
          name: What it does, for messages.
          build: Adds the steps of the job to a pipeline.
          folder: Where its workers note errors (see `do_noting_errors`).

        Raises:
          InputError: A worker noted one, or the runner could not do the job.
        """
        for path in [*_notes(folder, _FINAL), *_notes(folder, _PASSING)]:
            os.remove(path)
        logging.info("%s on Beam's %s.", name, self.runner)
        try:
            pipeline = beam.Pipeline(runner=self._runner, options=self._options)
            build(pipeline)
            result = _run_in_thread(pipeline) if self._is_direct else pipeline.run()
            self._wait(result)
        except Exception as error:
            _raise_noted([*_notes(folder, _FINAL), *_notes(folder, _PASSING)])
            logging.error("%s: %s", type(error).__name__, error)
            raise InputError(
                f"{name} failed on Beam's {self.runner}; the log above has what it said. What is "
                "done stays: the same command goes on from there."
            ) from error
        _raise_noted(_notes(folder, _FINAL))
        self._add_counters(result)

    def _wait(self, result: beam.runners.runner.PipelineResult) -> None:
        try:
            state = result.wait_until_finish()
        except KeyboardInterrupt:
            result.cancel()
            raise
        if state != PipelineState.DONE:
            raise RuntimeError(f"the job ended as {state}")

    def _add_counters(self, result: beam.runners.runner.PipelineResult) -> None:
        try:
            counters = result.metrics().query(
                beam.metrics.MetricsFilter().with_namespace(_NAMESPACE)
            )["counters"]
        except (NotImplementedError, KeyError) as error:
            logging.warning("Beam's %s does not tell its counters (%r).", self.runner, error)
            return
        for counter in counters:
            # Not every runner tells what was done twice from what counts.
            number = counter.attempted if counter.committed is None else counter.committed
            name = counter.key.metric.name
            self.counters[name] = self.counters.get(name, 0) + number


def _run_in_thread(pipeline: beam.Pipeline) -> beam.runners.runner.PipelineResult:
    """Runs a pipeline that ends in this process in a thread, and returns its result.

    Ctrl-C and SIGTERM raise in the main thread, which must be out of Beam then: it would take that
    for an error of a step, or wait for worker processes that the same signal ended.
    """
    result: futures.Future = futures.Future()

    def run() -> None:
        try:
            result.set_result(pipeline.run())
        except Exception as error:
            result.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    while not result.done():
        futures.wait([result], timeout=_SECONDS_BETWEEN_LOOKS)
    return result.result()


def _notes(folder: str, kind: str) -> list[str]:
    return sorted(glob.glob(os.path.join(glob.escape(folder), f"{kind}-*.txt")))


def _raise_noted(paths: Sequence[str]) -> None:
    for path in paths:
        with open(path, encoding="utf-8") as file:
            raise InputError(file.read())
