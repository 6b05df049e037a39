"""What a training run measures: operations of a sequence, speed, cost, time left, slow steps.

Nothing here needs TensorFlow.
"""

import math
import statistics
import time
from collections import deque
from collections.abc import Callable

from deeq_bert.bert.config import BertConfig

# Of how many steps the median is what is usual, and how many of them must be known.
_USUAL_WINDOW = 100
_USUAL_AT_LEAST = 20
_SLOW_FACTOR = 5.0


def training_flops_per_sequence(
    config: BertConfig, seq_length: int, predictions_per_seq: int
) -> float:
    """Returns the floating-point operations that training on one sequence takes.

    Matrix products only, a multiplication and an addition each, the backward pass counted as twice
    the forward one: 6 operations a weight and token, and 12 layers x hidden x length a token for
    attention (the usual terms of model FLOPs utilisation: PaLM, appendix B). Padding counts, since
    it is computed.

    Args:
      config: The model's sizes.
      seq_length: Tokens a sequence, padding included.
      predictions_per_seq: Masked positions a sequence, padding included.
    """
    hidden = config.hidden_size
    per_token_and_layer = 4 * hidden**2 + 2 * hidden * config.intermediate_size
    attention_per_layer = 2 * seq_length**2 * hidden
    encoder = config.num_hidden_layers * (seq_length * per_token_and_layer + attention_per_layer)
    masked_lm = predictions_per_seq * hidden * (hidden + config.vocab_size)
    next_sentence = hidden * (hidden + 2)
    return 3 * 2 * float(encoder + masked_lm + next_sentence)


class Throughput:
    """Speed, and what follows from it, between one report and the next; time and cost of the run.

    Speed is that of training alone; time left and cost are those of everything.
    """

    def __init__(
        self,
        flops_per_sequence: float,
        global_batch: int,
        replicas: int,
        peak_tflops: float | None = None,
        price_per_gpu_hour: float | None = None,
        seconds_before: float = 0.0,
        flops_of_later_phases: float = 0.0,
        clock: Callable[[], float] = time.perf_counter,
    ):
        """Starts the clock of the run; that of the speed starts after the first step.

        Args:
          flops_per_sequence: See `training_flops_per_sequence`.
          global_batch: Sequences a step, over all replicas.
          replicas: How many devices share the work.
          peak_tflops: What one device can do at most, in 10^12 operations a second; None: unknown.
          price_per_gpu_hour: What one device costs an hour, in any currency; None: unknown.
          seconds_before: What the run has taken before this moment: the `seconds_spent` of the
            process before, and the time since this one began.
          flops_of_later_phases: The operations of the phases of the run that follow this one, for
            the time left: they are expected to be done as fast.
          clock: Returns seconds from any fixed moment.
        """
        self._flops_per_sequence = flops_per_sequence
        self._global_batch = global_batch
        self._replicas = replicas
        self._peak_tflops = peak_tflops
        self._price_per_second = (
            None if price_per_gpu_hour is None else price_per_gpu_hour * replicas / 3600
        )
        self._flops_of_later_phases = flops_of_later_phases
        self._clock = clock
        self._began = clock() - seconds_before
        self._since: float | None = None
        self._steps = 0
        self._wait_seconds = 0.0
        self._seconds_per_step: float | None = None
        self._recurring: dict[tuple[str, int], float] = {}

    @property
    def seconds_spent(self) -> float:
        """What the run has taken so far in wall time, over all its processes."""
        return self._clock() - self._began

    def count_step(self, wait_seconds: float = 0.0) -> None:
        """Counts a step that has ended.

        The first one, which is compiled, only starts the clock of the speed.

        Args:
          wait_seconds: How long of its time it waited for its batch.
        """
        if self._since is None:
            self._since = self._clock()
        else:
            self._steps += 1
            self._wait_seconds += wait_seconds

    def exclude(self, seconds: float, every_steps: int | None = None, what: str = "") -> None:
        """Leaves time out of the speed that went into something else, and has just ended.

        Args:
          seconds: How long it took.
          every_steps: At which interval it comes again, as saves and evaluations do, which the
            time left takes into account: each time is expected to take what the last one took.
            None or 0: it does not come again.
          what: Tells apart what comes at the same interval, such as "save" and "evaluation".
        """
        if self._since is not None:
            self._since += seconds
        if every_steps:
            self._recurring[what, every_steps] = seconds

    def report(self, steps_left: int, tokens_per_step: float | None = None) -> dict[str, float]:
        """Returns the figures of the steps counted since the last report, and starts anew.

        Args:
          steps_left: Steps that the run has yet to make.
          tokens_per_step: The mean number of tokens in a global batch, padding not counted.

        Returns:
          `seconds_spent`, and with a price `cost` so far. Where a step has been counted:
          `steps_per_second`, `sequences_per_second`, `tflops` (a device), `data_wait_share` (of
          the time of the steps, in waiting for batches), and where it is known `tokens_per_second`
          and `mfu` (model FLOPs utilisation, a share of the peak). Where one was ever counted:
          `eta_seconds`, and with a price `cost_total`, expected at the end of the run.
        """
        figures = self._speed(tokens_per_step) if self._since is not None and self._steps else {}
        spent = self.seconds_spent
        figures["seconds_spent"] = spent
        eta = self._seconds_left(steps_left)
        if eta is not None:
            figures["eta_seconds"] = eta
        if self._price_per_second is not None:
            figures["cost"] = spent * self._price_per_second
            if eta is not None:
                figures["cost_total"] = (spent + eta) * self._price_per_second
        return figures

    def _speed(self, tokens_per_step: float | None) -> dict[str, float]:
        now = self._clock()
        seconds = max(now - self._since, 1e-9)
        self._seconds_per_step = seconds / self._steps
        steps_per_second = self._steps / seconds
        sequences = steps_per_second * self._global_batch
        tflops = sequences * self._flops_per_sequence / self._replicas / 1e12
        figures = {
            "steps_per_second": steps_per_second,
            "sequences_per_second": sequences,
            "tflops": tflops,
            "data_wait_share": min(self._wait_seconds / seconds, 1.0),
        }
        if tokens_per_step is not None:
            figures["tokens_per_second"] = steps_per_second * tokens_per_step
        if self._peak_tflops:
            figures["mfu"] = tflops / self._peak_tflops
        self._since, self._steps, self._wait_seconds = now, 0, 0.0
        return figures

    def _seconds_left(self, steps_left: int) -> float | None:
        if self._seconds_per_step is None:
            return None
        # What comes at an interval comes at the end of the run as well.
        between = sum(
            math.ceil(steps_left / steps) * seconds
            for (_, steps), seconds in self._recurring.items()
        )
        flops_per_step = self._flops_per_sequence * self._global_batch
        later_steps = self._flops_of_later_phases / flops_per_step
        return (steps_left + later_steps) * self._seconds_per_step + between


class StepTimes:
    """How long steps usually take, and which take far longer.

    Attributes:
      usual: The median of the last steps in seconds; None until enough are known.
    """

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=_USUAL_WINDOW)
        self.usual: float | None = None

    def slow(self, seconds: float) -> float | None:
        """Takes in a step.

        Slow steps count in the median too: where all become slow that is what is usual, and no
        longer told of.

        Args:
          seconds: How long it took. That of a compilation should be left out.

        Returns:
          The usual time, where this one is 5 times that or more; otherwise None.
        """
        usual = self.usual
        self._seconds.append(seconds)
        if len(self._seconds) >= _USUAL_AT_LEAST:
            self.usual = statistics.median(self._seconds)
        return usual if usual is not None and seconds >= _SLOW_FACTOR * usual else None
