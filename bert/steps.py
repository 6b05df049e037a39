"""The steps of a run one after the other, with one on the way while the last one is looked at."""

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import tensorflow as tf

from deeq_bert.bert.train_step import Batch, Metrics
from deeq_bert.bert.watchdog import Watchdog

# What the log says the run waits for, and what to look at when it waits for long.
_BATCH = "the next batch of records"
_BATCH_HINT = "Look at the disk or network that the records are on."
_STEP = "a training step"
_STEP_HINT = "Look at the GPUs with `nvidia-smi` and, with several machines, at the other workers."
# A batch that has not come or a step that has not ended after so many seconds is reported, or
# after so many times what the last step took.
_PATIENCE = 40.0
_PATIENCE_IN_STEPS = 5.0
# The first step is compiled, which takes minutes for a large model.
_FIRST_PATIENCE = 600.0


class StepResult(NamedTuple):
    """A step that has been made.

    Attributes:
      step: Its number, the first of a run being 1.
      metrics: See `train_step.make_train_step`, as numbers.
      seconds: How long it took, from the end of the one before.
      wait_seconds: How long of that it waited for its batch.
      compiled: Whether it was the first of its kind, and its time is that of the compilation.
    """

    step: int
    metrics: dict[str, float]
    seconds: float
    wait_seconds: float
    compiled: bool


class _Running(NamedTuple):
    step: int
    metrics: Metrics
    wait_seconds: float
    compiled: bool


class TrainingSteps:
    """Makes steps and yields their results in order.

    A device works on a step while the host looks at the result of the one before: it never stands
    idle, and what goes wrong shows a step later. At a boundary the result is yielded before the
    next step begins, so that the variables are those of that step.
    """

    def __init__(
        self,
        train_step: Callable[[Batch, tf.Tensor, tf.Tensor], Metrics],
        batches: Iterator[Batch],
        first_step: int,
        last_step: int,
        is_boundary: Callable[[int], bool],
        stop_requested: Callable[[], bool],
        watchdog: Watchdog,
    ):
        """Prepares the steps `first_step` + 1 to `last_step`.

        Args:
          train_step: See `train_step.make_train_step`.
          batches: Yields the distributed batches from that of step `first_step` + 1 on.
          first_step: Updates made before.
          last_step: Updates to have been made at the end, which is a boundary too.
          is_boundary: Whether the variables are needed after the step of that number.
          stop_requested: Whether this process is asked to stop; a step carries the question to the
            others, so that all of them end at the same one.
          watchdog: Told what is waited for.
        """
        self._train_step = train_step
        self._batches = batches
        self._range = range(first_step + 1, last_step + 1)
        self._is_boundary = is_boundary
        self._stop_requested = stop_requested
        self._watchdog = watchdog
        self._ending = False
        self._clock = 0.0
        self._patience = _PATIENCE

    def stop(self) -> None:
        """Begins no further step; the one on the way is the last to be yielded."""
        self._ending = True

    def __iter__(self) -> Iterator[StepResult]:
        running: _Running | None = None
        self._clock = time.perf_counter()
        for step in self._range:
            started = self._start(step)
            if running:
                yield self._finish(running)
            running = started
            if self._ending or self._is_boundary(step) or step == self._range[-1]:
                yield self._finish(running)
                if self._ending:
                    return
                running = None
                # What was done in between is no part of the next step.
                self._clock = time.perf_counter()

    def _start(self, step: int) -> _Running:
        start = time.perf_counter()
        with self._watchdog.expecting(_BATCH, self._patience, _BATCH_HINT):
            batch = next(self._batches)
        waited = time.perf_counter() - start
        first = step == self._range[0]
        patience = _FIRST_PATIENCE if first else self._patience
        with self._watchdog.expecting(_STEP, patience, _STEP_HINT):
            metrics = self._train_step(
                batch,
                tf.constant(step - 1, tf.int64),
                tf.constant(float(self._stop_requested()), tf.float32),
            )
        return _Running(step, metrics, waited, first)

    def _finish(self, running: _Running) -> StepResult:
        patience = _FIRST_PATIENCE if running.compiled else self._patience
        with self._watchdog.expecting(_STEP, patience, _STEP_HINT):
            metrics = {name: float(value) for name, value in running.metrics.items()}
        now = time.perf_counter()
        seconds, self._clock = now - self._clock, now
        if not running.compiled:
            self._patience = max(_PATIENCE, _PATIENCE_IN_STEPS * seconds)
        return StepResult(running.step, metrics, seconds, running.wait_seconds, running.compiled)
