"""Whether a run still learns: a loss or gradient that is not finite, and a loss that explodes."""

import collections
import math
import statistics
from collections.abc import Mapping

_WINDOW = 100
_LEAST_KNOWN = 20
# A loss this low, in nats, may well triple from one batch to the next.
_LEAST_MEDIAN = 1.0


class DivergenceError(RuntimeError):
    """A step shows that the weights are ruined, or that its batch would ruin them.

    Attributes:
      step: The number of the step, the first being 1.
      reason: What shows it, as a part of a sentence.
    """

    def __init__(self, step: int, reason: str):
        super().__init__(f"{reason} at step {step}")
        self.step = step
        self.reason = reason


class LossHealth:
    """Looks at the metrics of every step."""

    def __init__(self, explosion_factor: float):
        """Takes how many times the usual loss is an explosion; 0 for never."""
        self._explosion_factor = explosion_factor
        self._losses: collections.deque[float] = collections.deque(maxlen=_WINDOW)

    def check(self, step: int, metrics: Mapping[str, float]) -> None:
        """Takes in the metrics of a step.

        A gradient that is not finite is no fault where a loss scale has already left the update
        out and can still be lowered (Micikevicius et al., "Mixed Precision Training", 2018).

        Raises:
          DivergenceError: A value is not finite, or the loss is `explosion_factor` times the
            median of the last hundred steps.
        """
        loss = metrics["loss"]
        if not math.isfinite(loss):
            raise DivergenceError(step, "the loss is not finite")
        if not math.isfinite(metrics["gradient_norm"]) and metrics.get("loss_scale", 1.0) <= 1.0:
            raise DivergenceError(step, "the gradient is not finite")
        if self._explosion_factor and len(self._losses) >= _LEAST_KNOWN:
            usual = statistics.median(self._losses)
            if loss > self._explosion_factor * max(usual, _LEAST_MEDIAN):
                raise DivergenceError(step, f"the loss is {loss:.4g} where {usual:.4g} is usual")
        self._losses.append(loss)
