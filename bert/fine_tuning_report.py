"""What a fine-tuning run tells while it goes on: lines in the log, metrics.jsonl, event files."""

import collections
import os
from collections.abc import Mapping
from types import TracebackType
from typing import Protocol

from absl import logging

from deeq_bert.bert.event_files import EventWriter
from deeq_bert.bert.log_lines import duration
from deeq_bert.bert.run_log import FILE_NAME, RunLog
from deeq_bert.bert.steps import StepResult

# Steps overlap: the time of a few says nothing of their speed.
_STEPS_TO_TELL = 10
_SHOWN = ("loss", "learning_rate", "gradient_norm", "loss_scale")


class Settings(Protocol):
    """What of the settings is needed; see `fine_tuning.FineTuningSettings`."""

    train_batch_size: int
    num_train_steps: int
    log_steps: int


class FineTuningReport:
    """Reports the steps and evaluations of a run; a context manager."""

    def __init__(self, output_dir: str, settings: Settings, step: int):
        """Opens the files.

        Args:
          output_dir: Where they are.
          settings: The batch, the number of steps, and how many of them a line is about.
          step: Updates made before.

        Raises:
          InputError: They cannot be written.
        """
        self._settings = settings
        self._log = RunLog(os.path.join(output_dir, FILE_NAME))
        self._events = EventWriter(output_dir)
        self._eval_events = EventWriter(os.path.join(output_dir, "eval"))
        self._log.write("start", step)
        self._sums: collections.Counter[str] = collections.Counter()
        self._steps = 0
        # The first step compiles, and says nothing about the speed.
        self._timed_steps = 0
        self._seconds = 0.0

    def __enter__(self) -> "FineTuningReport":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._log.close()

    def count_step(self, result: StepResult) -> None:
        """Takes in a step, and logs the means over some when it is time to."""
        self._sums.update({name: result.metrics.get(name, 0.0) for name in _SHOWN})
        self._steps += 1
        if not result.compiled:
            self._timed_steps += 1
            self._seconds += result.seconds
        settings = self._settings
        if result.step % settings.log_steps and result.step != settings.num_train_steps:
            return
        figures = {
            name: total / self._steps
            for name, total in self._sums.items()
            if name in result.metrics
        }
        figures["learning_rate"] = result.metrics["learning_rate"]
        line = (
            f"step {result.step} of {settings.num_train_steps}: loss {figures['loss']:.4f}, "
            f"lr {figures['learning_rate']:.3g}, gradient {figures['gradient_norm']:.3g}"
        )
        if self._timed_steps >= _STEPS_TO_TELL and self._seconds:
            step_seconds = self._seconds / self._timed_steps
            figures["examples_per_second"] = settings.train_batch_size / step_seconds
            left = step_seconds * (settings.num_train_steps - result.step)
            line += f", {figures['examples_per_second']:.1f} examples/s, {duration(left)} left"
        logging.info("%s", line)
        self._events.write(result.step, figures)
        self._log.write("train", result.step, figures)
        self._sums.clear()
        self._steps = self._timed_steps = 0
        self._seconds = 0.0

    def evaluated(self, step: int, metrics: Mapping[str, float]) -> None:
        """Logs the metrics of an evaluation."""
        logging.info("step %d, dev: %s", step, describe(metrics))
        self._eval_events.write(step, dict(metrics))
        self._log.write("eval", step, metrics)


def describe(metrics: Mapping[str, float]) -> str:
    """Returns metrics as a part of a line: "accuracy 0.8731, loss 0.3310"."""
    return ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())
