"""The checkpoints of a run: who writes them, what is in them, and which one to go back to."""

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf
from absl import logging

from deeq_bert.bert import initialization
from deeq_bert.bert.checkpoint import CheckpointFolder, CheckpointWriteError
from deeq_bert.bert.checkpoint_files import step_of
from deeq_bert.bert.progress import Progress
from deeq_bert.bert.saving import BackgroundSaver

# How long a checkpoint that cannot be written is tried again before the run goes back, in seconds.
_PATIENCE_BEFORE_GOING_BACK = 60.0


class RunCheckpoints:
    """Saves a run as it goes on, in the background, and restores it.

    With several machines every worker has one of these over the same folder: the chief's writes,
    those of the others only read.
    """

    def __init__(
        self,
        folder: CheckpointFolder,
        best_folder: CheckpointFolder,
        variables: Mapping[str, tf.Variable],
        weights: Mapping[str, tf.Variable],
        optional: frozenset[str],
        settings: Mapping[str, Any],
        saver: BackgroundSaver | None,
        barrier: Callable[[], None],
    ):
        """Takes what there is to save.

        Args:
          folder: Where the checkpoints are.
          best_folder: Where the best one on held-out records is, without the optimizer's state.
          variables: All variables by name.
          weights: Those of the model alone.
          optional: Names of variables that a checkpoint may lack.
          settings: What a checkpoint keeps, besides the progress, to tell when flags change.
          saver: What writes; None where another worker does.
          barrier: Waits until all workers have come as far.
        """
        self._folder = folder
        self._best_folder = best_folder
        self._variables = variables
        self._weights = weights
        self._optional = optional
        self._settings = settings
        self._saver = saver
        self._barrier = barrier
        self._went_back_to: int | None = None

    def save(self, progress: Progress) -> None:
        """Saves all variables as they are, and writes them in the background."""
        if self._saver:
            state = {**self._settings, **progress.to_state()}
            self._saver.save(
                self._folder,
                progress.step,
                self._variables,
                state,
                lambda path: logging.info("Saved %s.", path),
            )

    def save_first(self, progress: Progress) -> None:
        """Saves and waits for it, so that what cannot be written shows before the work starts.

        Raises:
          InputError: It cannot be written.
        """
        if self._saver:
            state = {**self._settings, **progress.to_state()}
            path = self._folder.save(progress.step, self._variables, state)
            logging.info("Saved %s.", path)

    def save_best(self, step: int, metrics: Mapping[str, float]) -> None:
        """Saves the weights as the best so far, in the background."""
        if self._saver:
            self._saver.save(
                self._best_folder,
                step,
                self._weights,
                {"held_out": dict(metrics)},
                lambda path: logging.info("The best so far on held-out records: %s.", path),
            )

    def finish(self, patience: float) -> None:
        """Waits until everything is written, whoever writes it.

        Args:
          patience: How long what fails is tried again, in seconds.

        Raises:
          InputError: It cannot be written.
        """
        if self._saver:
            self._saver.finish(patience)
        self._barrier()

    def last(self) -> str:
        """Returns the checkpoint that a resume would go on from."""
        return self._folder.last()

    def all_finite(self) -> bool:
        """Whether no value of any variable is infinite or not a number."""
        return all(
            bool(tf.reduce_all(tf.math.is_finite(variable)))
            for variable in self._variables.values()
            if variable.dtype.is_floating
        )

    def restore(self, path: str) -> tuple[int, dict[str, Any]]:
        """Gives the variables their values in a checkpoint.

        Returns:
          The number of updates behind them, and the resume state.

        Raises:
          InputError: The checkpoint cannot be read, or does not fit.
        """
        return initialization.restore(path, self._variables, self._optional)

    def go_back(self, step: int, first_step: int) -> tuple[Progress, str]:
        """Restores the last checkpoint that a divergence seen at `step` cannot have ruined.

        The loss of a step is that of the weights the step before has left: where a checkpoint of
        those is the last one, the one before it is taken. Each time the run comes back to where
        it went back from, it goes back further.

        Args:
          step: The number of the step that diverged.
          first_step: The steps before the phase; the checkpoint of its start is the earliest.

        Returns:
          The progress as of that checkpoint, and its path.
        """
        self._settle()
        self._barrier()
        limit = step - 1 if self._went_back_to is None else min(step - 1, self._went_back_to)
        path = self._folder.before(limit)
        if path is None or step_of(path) < first_step:
            path = self._folder.before(first_step + 1) or self._folder.last()
        # All have read which one it is before the chief takes the later ones off the list.
        self._barrier()
        if self._saver:
            self._folder.go_back_to(path)
        self._barrier()
        restored_step, state = self.restore(path)
        self._went_back_to = restored_step
        return Progress.from_state(restored_step, state, 0), path

    def withdraw(self, step: int) -> str:
        """Makes the last checkpoint that `step` does not follow at once the one to resume from."""
        self._settle()
        path = self._folder.before(step - 1) or self._folder.last()
        if self._saver:
            self._folder.go_back_to(path)
        return path

    def _settle(self) -> None:
        """Waits for what is being written. What cannot be written is given up."""
        if not self._saver:
            return
        try:
            self._saver.finish(_PATIENCE_BEFORE_GOING_BACK)
        except CheckpointWriteError as error:
            logging.warning("%s", error)
