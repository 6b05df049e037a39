"""Checkpoints written in the background, while training goes on, and again where a try failed."""

import copy
import dataclasses
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType

import tensorflow as tf
from absl import logging

from deeq_bert.bert.checkpoint import CheckpointFolder, CheckpointWriteError

# A slow disk is said to be one after that long, and a failing one again after that long.
_REPORT_SECONDS = 60.0
_REPEAT_SECONDS = 600.0


@dataclasses.dataclass(eq=False)
class _Snapshot:
    """What is to be written, and how the tries went."""

    folder: CheckpointFolder
    step: int
    values: Mapping[str, tf.Tensor]
    resume_state: dict
    on_saved: Callable[[str], None]
    failure: CheckpointWriteError | None = None
    try_at: float = 0.0
    warn_at: float = 0.0


class BackgroundSaver:
    """Writes checkpoints in a thread of its own, one at a time, through CheckpointFolder.save.

    A save that fails is tried again until it is replaced by a newer one of the same folder; the
    checkpoints before it stay, and training goes on. Used as a context manager, inside
    `CheckpointFolder.locked`: nothing is being written when the block has been left. All methods
    are for one thread, that of the training loop.

    The first save of a run belongs to CheckpointFolder.save itself, whose errors come at once.

    Attributes:
      stalled_seconds: For how long `save` has held up the loop so far, all calls together.
    """

    def __init__(self, retry_seconds: float = 30.0):
        """Starts nothing yet.

        Args:
          retry_seconds: How long to wait after a failed try.
        """
        self.stalled_seconds = 0.0
        self._retry_seconds = retry_seconds
        # What follows is guarded by the condition, which is notified of every change.
        self._condition = threading.Condition()
        self._wait_after_failure = retry_seconds
        self._pending: dict[str, _Snapshot] = {}  # by folder, in the order of their arrival
        self._writing: _Snapshot | None = None
        self._thread: threading.Thread | None = None
        self._closing = False
        self._error: Exception | None = None

    def __enter__(self) -> "BackgroundSaver":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def save(
        self,
        folder: CheckpointFolder,
        step: int,
        variables: Mapping[str, tf.Variable],
        resume_state: dict,
        on_saved: Callable[[str], None],
    ) -> float:
        """Takes the values as they are and has them written; updates may go on at once.

        A GPU's values are copied to the host. Those on a CPU are not copied: the next update of
        each variable makes its result in new memory instead of over the old. Of a mirrored
        variable, one replica's value is taken.

        Where the save before, to the same folder, is still being written, this waits for it: the
        host holds one set of values a folder. One that has failed is replaced.

        Args:
          folder: Where to; locked. Several may be used in turn.
          step: The number of updates made so far.
          variables: See CheckpointFolder.save.
          resume_state: See CheckpointFolder.save.
          on_saved: Called in the writing thread with the prefix of the checkpoint, once it is
            listed. It may log, but not use the saver.

        Returns:
          The seconds this took.

        Raises:
          Exception: What an earlier `on_saved` raised, or another error that no retry can mend.
        """
        start = time.monotonic()
        with self._condition:
            before = self._pending.get(folder.folder)
            if before is not None:
                self._wait_until(lambda: self._is_over(before))
            self._raise_error()
            if self._pending.pop(folder.folder, None) is not None:
                logging.warning(
                    "The checkpoint of step %d, which could not be written to %s, is replaced by "
                    "that of step %d.",
                    before.step,
                    folder.folder,
                    step,
                )
            self._pending[folder.folder] = _Snapshot(
                folder, step, _values_on_host(variables), copy.deepcopy(resume_state), on_saved
            )
            self._wake_thread()
        stalled = time.monotonic() - start
        self.stalled_seconds += stalled
        return stalled

    def finish(self, give_up_seconds: float) -> None:
        """Waits until the newest snapshot of every folder is written.

        Args:
          give_up_seconds: For how long a save that fails is tried again. A write under way is
            waited for in any case.

        Raises:
          CheckpointWriteError: One could not be written. It is given up.
          Exception: See `save`.
        """
        deadline = time.monotonic() + give_up_seconds
        with self._condition:
            self._wait_after_failure = min(self._retry_seconds, max(1.0, give_up_seconds / 4))
            for snapshot in self._pending.values():
                snapshot.try_at = 0.0
            self._wake_thread()
            try:
                self._wait_until(lambda: not self._pending, deadline)
                failed = [snapshot for snapshot in self._pending.values() if snapshot.failure]
                self._pending.clear()
            finally:
                self._wait_after_failure = self._retry_seconds
            self._raise_error()
        if failed:
            raise CheckpointWriteError(failed[0].failure.problem) from failed[0].failure

    def close(self) -> None:
        """Ends the thread. A write under way is completed, but nothing is tried again."""
        with self._condition:
            self._closing = True
            self._condition.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join()
        for snapshot in self._pending.values():
            logging.error(
                "The checkpoint of step %d was not written to %s.",
                snapshot.step,
                snapshot.folder.folder,
            )
        self._pending.clear()

    def _is_over(self, snapshot: _Snapshot) -> bool:
        """Whether a snapshot is written, or has failed and is not being tried again right now."""
        if self._writing is snapshot:
            return False
        return self._pending.get(snapshot.folder.folder) is not snapshot or (
            snapshot.failure is not None
        )

    def _wait_until(self, ready: Callable[[], bool], deadline: float | None = None) -> None:
        """Waits, at most until `deadline` unless a write is under way then."""
        start = time.monotonic()
        while not ready():
            seconds = _REPORT_SECONDS
            if deadline is not None and self._writing is None:
                seconds = min(seconds, deadline - time.monotonic())
                if seconds <= 0 and all(snapshot.failure for snapshot in self._pending.values()):
                    return
            if not self._condition.wait(max(seconds, 0.01)) and self._writing is not None:
                logging.warning(
                    "Waiting for the checkpoint of step %d to be written to %s, for %.0f s now.",
                    self._writing.step,
                    self._writing.folder.folder,
                    time.monotonic() - start,
                )

    def _raise_error(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _wake_thread(self) -> None:
        if self._pending and self._thread is None:
            # Not a daemon: one that is ended within TensorFlow takes the process down.
            self._thread = threading.Thread(target=self._write_pending, name="checkpoint writer")
            self._thread.start()
        self._condition.notify_all()

    def _write_pending(self) -> None:
        """Writes until nothing is left to write; runs in the thread."""
        while (snapshot := self._next()) is not None:
            failure = error = None
            try:
                path = snapshot.folder.save(snapshot.step, snapshot.values, snapshot.resume_state)
                snapshot.on_saved(path)
            except CheckpointWriteError as write_error:
                failure = write_error
            except Exception as other_error:  # for the loop to raise
                error = other_error
            with self._condition:
                self._writing = None
                self._error = error or self._error
                if failure is not None:
                    self._put_off(snapshot, failure)
                else:
                    del self._pending[snapshot.folder.folder]
                self._condition.notify_all()

    def _next(self) -> _Snapshot | None:
        """Waits for a snapshot whose time has come; None ends the thread."""
        with self._condition:
            while self._pending and not self._closing:
                now = time.monotonic()
                due = [snapshot for snapshot in self._pending.values() if snapshot.try_at <= now]
                if due:
                    self._writing = due[0]
                    return due[0]
                self._condition.wait(min(s.try_at for s in self._pending.values()) - now)
            self._thread = None
            return None

    def _put_off(self, snapshot: _Snapshot, failure: CheckpointWriteError) -> None:
        now = time.monotonic()
        snapshot.failure = failure
        snapshot.try_at = now + self._wait_after_failure
        if now >= snapshot.warn_at:
            logging.warning(
                "%s TRAINING GOES ON, and this is tried again every %.3g s. Mend it, by freeing "
                "some space for instance.",
                failure.problem,
                self._wait_after_failure,
            )
            snapshot.warn_at = now + _REPEAT_SECONDS


def _values_on_host(variables: Mapping[str, tf.Variable]) -> dict[str, tf.Tensor]:
    with tf.device("/CPU:0"):
        return {
            name: tf.identity(tf.convert_to_tensor(variable))
            for name, variable in variables.items()
        }
