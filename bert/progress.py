"""Where a run stands, besides its variables: what a checkpoint keeps of it."""

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass
class Progress:
    """The place of a run, in the resume state of its checkpoints.

    Attributes:
      step: Updates made. A checkpoint has it as `global_step`.
      phase: The number of the phase, from 0 on.
      examples: Records of the phase that have been consumed: the position in the data.
      rollbacks: How often the run has gone back to an earlier checkpoint.
      seconds: What the run has taken, over all its processes.
      best_loss: The lowest held-out loss so far, of the phase; None before the first.
      train_batch_size: The global batch; None before the first checkpoint.
    """

    step: int = 0
    phase: int = 0
    examples: int = 0
    rollbacks: int = 0
    seconds: float = 0.0
    best_loss: float | None = None
    train_batch_size: int | None = None

    def to_state(self) -> dict[str, Any]:
        """Returns what goes into a checkpoint."""
        state = dataclasses.asdict(self)
        del state["step"]
        return state

    @classmethod
    def from_state(cls, step: int, state: Mapping[str, Any], default_batch: int) -> "Progress":
        """Reads what `to_state` gave.

        Args:
          step: The checkpoint's.
          state: Its resume state; empty for a checkpoint of Google's.
          default_batch: The batch it was made with, where it does not say.
        """
        names = {field.name for field in dataclasses.fields(cls)} - {"step"}
        known = {name: value for name, value in state.items() if name in names}
        batch = known.get("train_batch_size") or default_batch
        return cls(**{"examples": step * batch, **known, "step": step})
