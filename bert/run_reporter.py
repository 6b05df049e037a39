"""What a run says of itself: log lines, metrics.jsonl, TensorBoard events, and a progress bar."""

import collections
import os
from collections.abc import Sequence

from absl import logging
from tqdm import tqdm

from deeq_bert.bert import devices, held_out
from deeq_bert.bert.event_files import EventWriter
from deeq_bert.bert.health import DivergenceError
from deeq_bert.bert.log_lines import log_line, slow_step_line
from deeq_bert.bert.meters import StepTimes, Throughput
from deeq_bert.bert.run_log import FILE_NAME, RunLog
from deeq_bert.bert.steps import StepResult

# Metrics that are for the loop.
_INTERNAL = ("stop_votes", "applied")
# Metrics of which the last value tells more than a mean.
_LAST = ("learning_rate", "loss_scale")


class RunReporter:
    """Reports a run as it goes on. Of several workers only the chief's writes files.

    Attributes:
      log: The file of JSON lines; None where another worker writes it.
    """

    def __init__(
        self,
        output_dir: str,
        device_names: Sequence[str],
        last_step: int,
        step: int,
        writes: bool,
    ):
        """Opens the files.

        Args:
          output_dir: Where they are.
          device_names: Whose memory is reported.
          last_step: Of the run.
          step: Updates made before.
          writes: Whether this process writes files, and shows a progress bar on a terminal.
        """
        self.log = RunLog(os.path.join(output_dir, FILE_NAME)) if writes else None
        self._events = EventWriter(output_dir) if writes else None
        self._eval_events = EventWriter(os.path.join(output_dir, "eval")) if writes else None
        self._devices = list(device_names)
        self._last_step = last_step
        self._times = StepTimes()
        self._sums: collections.Counter[str] = collections.Counter()
        self._steps = 0
        self._skipped = 0
        self._last: dict[str, float] = {}
        self._throughput: Throughput | None = None
        self._bar = tqdm(
            total=last_step,
            initial=step,
            unit="step",
            desc="training",
            disable=None if writes else True,
        )

    @property
    def seconds_spent(self) -> float:
        """What the run has taken so far, over all its processes; 0 before `begin`."""
        return self._throughput.seconds_spent if self._throughput else 0.0

    def begin(self, throughput: Throughput) -> None:
        """Takes the meter of the phase that begins."""
        self._throughput = throughput
        self._times = StepTimes()

    def count_step(self, result: StepResult) -> None:
        """Takes in a step."""
        self._throughput.count_step(result.wait_seconds)
        self._bar.update()
        self._sums.update(result.metrics)
        self._steps += 1
        self._last = {name: result.metrics[name] for name in _LAST if name in result.metrics}
        if result.metrics.get("applied") == 0:
            self._skipped += 1
            logging.info(
                "step %d: a gradient is not finite in float16; the update is left out, and the "
                "loss scale %g is halved.",
                result.step,
                result.metrics["loss_scale"],
            )
        if result.compiled:
            return
        usual = self._times.slow(result.seconds)
        if usual is not None:
            logging.warning(
                "%s", slow_step_line(result.step, result.seconds, usual, result.wait_seconds)
            )
            self._write("warning", result.step, {"step_seconds": result.seconds, "usual": usual})

    def report(self, step: int, steps_left: int) -> None:
        """Logs the means over the steps since the last report, and how fast they went.

        Args:
          step: Updates made.
          steps_left: Those of the phase that are not.
        """
        means = {name: total / self._steps for name, total in self._sums.items()}
        shown = {name: value for name, value in means.items() if name not in _INTERNAL}
        shown |= self._last
        figures = self._throughput.report(steps_left, means.get("tokens"))
        figures |= devices.memory_figures(self._devices)
        if self._skipped:
            figures["skipped_updates"] = self._skipped
        self._sums.clear()
        self._steps = self._skipped = 0
        self._bar.clear()
        logging.info("%s", log_line(step, shown, figures))
        if self._events:
            self._events.write(step, {**shown, **figures})
        self._write("train", step, {**shown, **figures})

    def evaluated(
        self, step: int, metrics: dict[str, float], seconds: float, every_steps: int
    ) -> None:
        """Logs the metrics of the held-out records."""
        self._throughput.exclude(seconds, every_steps, "evaluation")
        self._bar.clear()
        logging.info("step %d, held out: %s", step, held_out.describe(metrics))
        if self._eval_events:
            self._eval_events.write(step, metrics)
        self._write("eval", step, metrics)

    def saved(self, step: int, seconds: float, every_steps: int) -> None:
        """Takes note of a checkpoint, and of how long it held up the steps."""
        self._throughput.exclude(seconds, every_steps, "save")
        self._write("save", step, {"stalled_seconds": seconds})

    def rolled_back(self, error: DivergenceError, step: int) -> None:
        """Takes note of a way back to `step`."""
        self._sums.clear()
        self._steps = self._skipped = 0
        self._bar.reset(self._last_step)
        self._bar.update(step)
        self._write("rollback", step, {"diverged_at": error.step, "reason": error.reason})

    def started(self, step: int, figures: dict[str, object]) -> None:
        """Writes down that a process begins, and with what."""
        self._write("start", step, figures)

    def ended(self, step: int) -> None:
        """Writes down that all steps are made."""
        self._write("end", step, {"seconds_spent": self.seconds_spent})

    def close(self) -> None:
        """Ends the progress bar and the files."""
        self._bar.close()
        if self.log:
            self.log.close()

    def _write(self, kind: str, step: int, figures: dict[str, object]) -> None:
        if self.log:
            self.log.write(kind, step, figures)
