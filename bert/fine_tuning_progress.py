"""Where a fine-tuning run stands, and whether what is in its folder is its own."""

import dataclasses
import os
from collections.abc import Iterable, Mapping
from typing import Any

from absl import logging

from deeq_bert.bert.checkpoint import CheckpointFolder
from deeq_bert.bert.checkpoint_bundle import Checkpoint, is_complete
from deeq_bert.bert.checkpoint_files import BASENAME
from deeq_bert.bert.task_results import describe_differences
from deeq_bert.tokenizers.errors import InputError


@dataclasses.dataclass
class Progress:
    """Where a run stands, besides its variables: what a checkpoint keeps of it.

    Attributes:
      step: Updates made.
      best_step: Those behind the best weights; 0 where there are none yet.
      best_metrics: The metrics of that evaluation.
      evaluations_since_best: How many have not been better.
      is_finished: Whether training has ended, before its last step maybe.
      made_by: What decides the result; None where that is not known.
    """

    step: int = 0
    best_step: int = 0
    best_metrics: dict[str, float] = dataclasses.field(default_factory=dict)
    evaluations_since_best: int = 0
    is_finished: bool = False
    made_by: Mapping[str, Any] | None = None

    def to_state(self) -> dict:
        """Returns what a checkpoint keeps, as JSON can hold it."""
        state = dataclasses.asdict(self)
        del state["step"]
        return state

    @classmethod
    def from_state(cls, step: int, state: Mapping) -> "Progress":
        """Returns what `to_state` was made of."""
        names = {field.name for field in dataclasses.fields(cls)} - {"step"}
        return cls(step, **{name: state[name] for name in names if name in state})

    def best_path(self, best_folder: CheckpointFolder) -> str:
        """Returns the prefix of the best weights."""
        return os.path.join(best_folder.folder, f"{BASENAME}-{self.best_step}")

    def check_made_by(self, path: str, made_by: Mapping[str, Any] | None) -> None:
        """Checks that a checkpoint was made by what the run that goes on is asked for.

        Raises:
          InputError: It was not.
        """
        if differing := describe_differences(self.made_by or {}, made_by if self.made_by else {}):
            raise InputError(
                f"{path} is of another run: {differing}. Choose another --output_dir, or remove "
                "that folder."
            )

    def check_best(self, best_folder: CheckpointFolder, num_train_steps: int) -> None:
        """Forgets the best evaluation where its weights have been replaced by later ones.

        Raises:
          InputError: They are not there, and there are no more steps to choose from.
        """
        path = self.best_path(best_folder)
        if not self.best_metrics or is_complete(path):
            return
        if self.is_finished or self.step == num_train_steps:
            raise InputError(
                f"The best weights, {path}, are not there, and training is over. Restore them from "
                f"a copy, or remove {os.path.dirname(best_folder.folder)} to train again."
            )
        logging.warning("%s is not there; the best weights are chosen from here on.", path)
        self.best_step, self.best_metrics, self.evaluations_since_best = 0, {}, 0


def check_folder(folder: str, variables: Iterable[str]) -> None:
    """Checks that a folder has no checkpoints, or those of a model with such variables.

    Raises:
      InputError: They are of another model, such as one that is only pre-trained.
    """
    latest = CheckpointFolder(folder).latest()
    if latest is None:
        return
    there = Checkpoint(latest).shapes
    if missing := [name for name in variables if name not in there]:
        raise InputError(
            f"{folder} has checkpoints of another model: {latest} lacks {missing[0]}. Nothing was "
            "changed there. Choose another --output_dir."
        )
