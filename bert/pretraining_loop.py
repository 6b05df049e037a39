"""The loop of a pre-training run: steps, and what comes between them.

It reports, evaluates on held-out records, saves, goes back where the loss diverges, and stops when
it is asked to. All that decides how a run goes on is in its checkpoints, so the same command
continues it: the variables, the step, and the `Progress`.
"""

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from absl import logging

from deeq_bert.bert.health import DivergenceError, LossHealth
from deeq_bert.bert.held_out import HeldOutRecords, is_better
from deeq_bert.bert.phases import Phase
from deeq_bert.bert.progress import Progress
from deeq_bert.bert.run_checkpoints import RunCheckpoints
from deeq_bert.bert.run_reporter import RunReporter
from deeq_bert.bert.steps import TrainingSteps
from deeq_bert.bert.stopping import StopRequest
from deeq_bert.bert.train_step import Batch, TrainStep
from deeq_bert.bert.watchdog import Watchdog

# How long a checkpoint that cannot be written is tried again, in seconds.
_PATIENCE_AT_END = 600.0
_PATIENCE_AT_STOP = 20.0
_EVALUATION_PATIENCE = 600.0
_EVALUATION_HINT = "Look at the GPUs with `nvidia-smi`, and at the disk of the held-out records."


class Intervals(NamedTuple):
    """Every how many steps the run is reported, saved and evaluated; 0 is never."""

    report: int
    save: int
    evaluate: int


class StoppedError(RuntimeError):
    """The run was asked to stop; its last checkpoint is written.

    Attributes:
      exit_code: 128 and the number of the signal; that of SIGTERM where another worker was asked.
    """

    def __init__(self, path: str, exit_code: int):
        super().__init__(f"Stopped. The same command goes on from {path}.")
        self.exit_code = exit_code or 128 + signal.SIGTERM


class DivergedError(RuntimeError):
    """The loss diverges, and going back has not helped."""


class PretrainingLoop:
    """Makes the steps of phases, with everything around them.

    Attributes:
      progress: Where the run stands.
    """

    def __init__(
        self,
        progress: Progress,
        checkpoints: RunCheckpoints,
        reporter: RunReporter,
        intervals: Intervals,
        stop: StopRequest,
        watchdog: Watchdog,
        explosion_factor: float,
        max_rollbacks: int,
    ):
        """Takes what is the same in all phases.

        Args:
          progress: Where the run stands; kept up to date.
          checkpoints: Where it is saved.
          reporter: Where it is logged.
          intervals: When.
          stop: Whether this process is asked to stop.
          watchdog: Reports what takes too long.
          explosion_factor: How many times the usual loss is an explosion; 0 for never.
          max_rollbacks: How often the run may go back to an earlier checkpoint.
        """
        self.progress = progress
        self._checkpoints = checkpoints
        self._reporter = reporter
        self._intervals = intervals
        self._stop = stop
        self._watchdog = watchdog
        self._explosion_factor = explosion_factor
        self._max_rollbacks = max_rollbacks

    def train_phase(
        self,
        phase: Phase,
        global_batch: int,
        train_step: TrainStep,
        batches_at: Callable[[int], contextlib.AbstractContextManager[Iterator[Batch]]],
        held_out: HeldOutRecords | None,
        end_phase: Callable[[], None],
    ) -> None:
        """Makes the steps of a phase that are left.

        Args:
          phase: Its steps and its number of them.
          global_batch: Sequences a step.
          train_step: Makes one.
          batches_at: Opens the distributed batches from a position in the records on.
          held_out: What to evaluate on in between.
          end_phase: Makes ready for the next phase, if there is one, before the last checkpoint of
            this one is written.

        Raises:
          StoppedError: The run was asked to stop, and is saved.
          DivergedError: The loss diverges once more than `max_rollbacks` times.
          InputError: A record cannot be used, or the last checkpoint cannot be written.
        """
        while self.progress.step < phase.last_step:
            try:
                with batches_at(self.progress.examples) as batches:
                    self._make_steps(phase, global_batch, train_step, batches, held_out, end_phase)
            except DivergenceError as error:
                self._go_back(error, phase, global_batch)
        self._checkpoints.finish(_PATIENCE_AT_END)

    def _make_steps(
        self,
        phase: Phase,
        global_batch: int,
        train_step: TrainStep,
        batches: Iterator[Batch],
        held_out: HeldOutRecords | None,
        end_phase: Callable[[], None],
    ) -> None:
        progress, intervals = self.progress, self._intervals
        health = LossHealth(self._explosion_factor)

        def evaluates(step: int) -> bool:
            wanted = held_out is not None and intervals.evaluate > 0
            return wanted and (_due(step, intervals.evaluate) or step == phase.last_step)

        def saves(step: int) -> bool:
            return _due(step, intervals.save) or step == phase.last_step

        steps = TrainingSteps(
            train_step,
            batches,
            progress.step,
            phase.last_step,
            lambda step: evaluates(step) or saves(step),
            self._stop.requested,
            self._watchdog,
        )
        stopping = False
        for result in steps:
            health.check(result.step, result.metrics)
            progress.step = result.step
            progress.examples += global_batch
            self._reporter.count_step(result)
            if result.metrics["stop_votes"]:
                stopping = True
                steps.stop()
            if _due(result.step, intervals.report) or result.step == phase.last_step:
                self._reporter.report(result.step, phase.last_step - result.step)
            if evaluates(result.step) and not stopping:
                self._evaluate(held_out)
            if saves(result.step):
                self._check_weights()
            if result.step == phase.last_step:
                end_phase()
            if saves(result.step) and not stopping:
                self._save()
        if stopping:
            self._check_weights()
            self._save()
            self._checkpoints.finish(_PATIENCE_AT_STOP)
            raise StoppedError(self._checkpoints.last(), self._stop.exit_code)

    def _evaluate(self, held_out: HeldOutRecords) -> None:
        step, start = self.progress.step, time.perf_counter()
        with self._watchdog.expecting("an evaluation", _EVALUATION_PATIENCE, _EVALUATION_HINT):
            metrics = held_out.evaluate()
        self._reporter.evaluated(
            step, metrics, time.perf_counter() - start, self._intervals.evaluate
        )
        if is_better(metrics["loss"], self.progress.best_loss):
            self.progress.best_loss = metrics["loss"]
            self._checkpoints.save_best(step, metrics)

    def _save(self) -> None:
        start = time.perf_counter()
        self.progress.seconds = self._reporter.seconds_spent
        self._checkpoints.save(self.progress)
        self._reporter.saved(self.progress.step, time.perf_counter() - start, self._intervals.save)

    def _check_weights(self) -> None:
        if not self._checkpoints.all_finite():
            raise DivergenceError(self.progress.step + 1, "a weight is not finite")

    def _go_back(self, error: DivergenceError, phase: Phase, global_batch: int) -> None:
        """Restores the last good checkpoint and passes over the records that led away from it."""
        rollbacks = self.progress.rollbacks + 1
        if rollbacks > self._max_rollbacks:
            raise DivergedError(
                f"At step {error.step} {error.reason}, and --max_rollbacks={self._max_rollbacks} "
                f"is used up; {self._checkpoints.withdraw(error.step)} is the last good "
                "checkpoint. Lower --learning_rate, raise --num_warmup_steps or --max_rollbacks, "
                "and run again to go on from there."
            )
        progress = self.progress
        # With all that was consumed up to the step that shows it.
        examples = progress.examples + global_batch * (error.step - progress.step)
        restored, path = self._checkpoints.go_back(error.step, phase.first_step)
        logging.error(
            "At step %d %s. Back to %s, and past the %d records of steps %d to %d: rollback %d of "
            "at most %d.",
            error.step,
            error.reason,
            path,
            examples - restored.examples,
            restored.step + 1,
            error.step,
            rollbacks,
            self._max_rollbacks,
        )
        progress.step, progress.examples, progress.rollbacks = restored.step, examples, rollbacks
        self._reporter.rolled_back(error, restored.step)


def _due(step: int, interval: int) -> bool:
    return interval > 0 and step % interval == 0
