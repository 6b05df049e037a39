"""The checkpoints of a run: written whole, kept and pruned with care, and the one to resume from.

The file `checkpoint` in the folder lists those kept, oldest first, and names the one to go on from.
Whatever moment a run is killed at or its machine loses power, what that file names is whole.
"""

import contextlib
import fcntl
import os
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence

import tensorflow as tf
from absl import logging

from deeq_bert.bert import checkpoint_files
from deeq_bert.bert.checkpoint_bundle import (
    Checkpoint,
    bytes_needed,
    is_complete,
    is_no_space,
    reason_of,
    write_bundle,
)
from deeq_bert.bert.checkpoint_files import (
    BASENAME,
    STATE_FILE,
    complete_names,
    listed_names,
    read_checkpoint_state,
    step_of,
)
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import make_folder, write_atomically

# A full disk may cost older checkpoints, but not those: one more than the last, should that turn
# out to be ruined.
_NEVER_FEWER_THAN = 2


class CheckpointWriteError(InputError):
    """A checkpoint cannot be written.

    Attributes:
      problem: What failed and where, without advice.
    """

    def __init__(self, problem: str):
        super().__init__(
            f"{problem} Mend that, by freeing some space for instance, and give the same command "
            "again."
        )
        self.problem = problem


class CheckpointFolder:
    """The checkpoints of one run: the folder, which are kept, and the one resumed from.

    Reading needs no lock and changes nothing, so that a second worker or an evaluation may look in
    on a run. Inside `locked` its methods may be called from several threads.
    """

    def __init__(self, folder: str, keep_max: int = 5):
        """Names the folder; nothing is touched yet.

        Args:
          folder: Where the checkpoints are.
          keep_max: How many to keep, oldest deleted first; 0 keeps all.
        """
        self.folder = folder
        self._keep_max = keep_max
        self._resumed_from: str | None = None
        # Names of checkpoints: those listed, the one to resume from last; and those that are whole
        # but not listed, because a killed run did not come to it, or because they were withdrawn.
        self._kept: list[str] = []
        self._unlisted: list[str] = []
        self._is_locked = False
        self._threads = threading.RLock()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Makes the folder, keeps other writers out while the block runs, and tidies up.

        What a killed save left is removed. Whatever writes may be called in the block only.

        Raises:
          InputError: The folder can be neither made nor written, or another run writes there.
        """
        make_folder(self.folder)
        path = os.path.join(self.folder, ".lock")
        with contextlib.ExitStack() as stack:
            try:
                lock = stack.enter_context(open(path, "w"))
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(
                    f"Another run is writing to {self.folder}. Wait for it or stop it, or choose "
                    "another --output_dir."
                ) from None
            except OSError as error:
                raise InputError(f"Cannot write {path}: {error.strerror}.") from error
            try:
                checkpoint_files.remove_leftovers(self.folder)
            except OSError as error:
                raise InputError(
                    f"Cannot remove what a stopped run left in {self.folder}: {error.strerror}. "
                    "Make its files writable for this user."
                ) from error
            self._kept = listed_names(self.folder)
            # They will be the first to go.
            self._unlisted = [
                name for name in complete_names(self.folder) if name not in self._kept
            ]
            self._is_locked = True
            try:
                yield
            finally:
                self._is_locked = False

    def latest(self) -> str | None:
        """Returns the checkpoint to resume from, or None in a folder without any.

        That is the one the file `checkpoint` names, so that editing it goes back to an earlier
        one; without that file, the one of the highest step. It is never deleted by `save`.

        Raises:
          InputError: The file names a checkpoint that is not there.
        """
        with self._threads:
            state = read_checkpoint_state(self.folder)
            if state is None:
                names = complete_names(self.folder)
                path = self._path(names[-1]) if names else None
            else:
                path = state.model_checkpoint_path
                if not is_complete(path):
                    raise InputError(self._missing(path))
            self._resume_from(path)
            return path

    def latest_readable(self) -> str | None:
        """Returns `latest`, or the newest before it that reads whole where that one is damaged.

        It reads all values, and warns of each checkpoint that is passed over.

        Raises:
          InputError: There are checkpoints, but none that reads whole.
        """
        with self._threads:
            path = self.latest()
            if path is None or self._reads_whole(path):
                return path
            damaged = os.path.basename(path)
            earlier = self._newest_readable(listed_names(self.folder), step_of(damaged))
            if earlier is None:
                raise InputError(
                    f"The checkpoint {path} is damaged and there is no earlier one that can be "
                    "read. Restore its files from a copy, or choose another --output_dir."
                )
            logging.warning(
                "THE CHECKPOINT %s IS DAMAGED: GOING BACK TO %s. Its updates after that are made "
                "again.",
                path,
                earlier,
            )
            self._withdraw([damaged])
            self._resume_from(earlier)
            return earlier

    def before(self, step: int) -> str | None:
        """Returns the newest kept checkpoint of a step below `step` that reads whole, if any."""
        with self._threads:
            return self._newest_readable(
                self._kept if self._is_locked else listed_names(self.folder), step
            )

    def go_back_to(self, path: str) -> None:
        """Makes `path`, one of those kept, the one to resume from.

        Those of later steps are taken off the list, and are the first to be pruned.

        Raises:
          InputError: The list cannot be written; it is as it was.
        """
        with self._threads:
            name = os.path.basename(path)
            later = [kept for kept in self._kept if step_of(kept) > step_of(name)]
            others = [kept for kept in self._kept if kept not in later and kept != name]
            self._list([*others, name])
            self._withdraw(later)

    def last(self) -> str | None:
        """Returns the prefix of the checkpoint that a resume would go on from, if there is any."""
        # What is on disk counts: a run can be stopped between a save and the note of it here.
        state = read_checkpoint_state(self.folder)
        if state:
            return state.model_checkpoint_path
        return self._path(self._kept[-1]) if self._kept else None

    def save(
        self, step: int, variables: Mapping[str, tf.Variable | tf.Tensor], resume_state: dict
    ) -> str:
        """Writes the checkpoint of `step`, lists it, then deletes those beyond `keep_max`.

        The files are written to a temporary folder, flushed to disk and renamed, the index last:
        a checkpoint that can be opened is whole.

        On a full disk, checkpoints beyond the newest two are deleted, the oldest first, if that
        can make room: a run whose progress cannot be saved loses more than they are worth. With
        `keep_max` 0 none is.

        Args:
          step: The number of updates made so far.
          variables: Every variable, or its value, under the name it shall have.
          resume_state: What can be put into JSON and `Checkpoint.resume_state` shall return.

        Returns:
          The prefix of the new checkpoint.

        Raises:
          CheckpointWriteError: It cannot be written, for want of space say. What was listed
            before still is, and nothing is left of the new one.
        """
        if not self._is_locked:
            raise RuntimeError("CheckpointFolder.save needs the lock of CheckpointFolder.locked")
        name = f"{BASENAME}-{step}"
        needed = bytes_needed(variables)
        with self._threads:
            while True:
                try:
                    self._write(name, step, variables, resume_state)
                    break
                except (OSError, tf.errors.OpError, InputError) as error:
                    no_space = is_no_space(error)
                    with contextlib.suppress(OSError):
                        if no_space and self._make_room(needed):
                            continue
                    size = f" It takes {needed / 1e9:.3g} GB." if no_space else ""
                    last = self._kept[-1] if self._kept else None
                    good = f" {last} is the last good one." if last and last != name else ""
                    raise CheckpointWriteError(
                        f"Cannot write the checkpoint {self._path(name)}: {reason_of(error)}"
                        f"{size}{good}"
                    ) from error
            try:
                self._prune()
            except (OSError, InputError) as error:
                logging.warning("Cannot delete old checkpoints: %s", reason_of(error))
        return self._path(name)

    def _write(
        self,
        name: str,
        step: int,
        variables: Mapping[str, tf.Variable | tf.Tensor],
        resume_state: dict,
    ) -> None:
        temporary = None
        placed = False
        try:
            temporary = checkpoint_files.temporary_folder(self.folder, name)
            write_bundle(os.path.join(temporary, name), step, variables, resume_state)
            checkpoint_files.put_in_place(self.folder, name, temporary)
            placed = True
            self._list([kept for kept in self._kept if kept != name] + [name])
            self._unlisted = [other for other in self._unlisted if other != name]
        except (OSError, tf.errors.OpError, InputError):
            # The folder must not fill up with failed tries. What is listed in spite of the error,
            # because only the flushing of the list failed, stays.
            if placed and self._is_listed(name):
                checkpoint_files.forget_aside(self.folder, name)
            else:
                checkpoint_files.bring_back(self.folder, name)
            raise
        finally:
            if temporary:
                shutil.rmtree(temporary, ignore_errors=True)
        checkpoint_files.forget_aside(self.folder, name)

    def _make_room(self, needed: int) -> bool:
        """Deletes old checkpoints until `needed` bytes are free.

        Returns:
          Whether at least one was deleted, so that another try may succeed.
        """
        if not self._keep_max:
            return False
        candidates = [*self._unlisted, *self._kept[:-_NEVER_FEWER_THAN]]
        candidates = [name for name in candidates if name != self._resumed_from]
        sizes = [checkpoint_files.size_of(self.folder, name) for name in candidates]
        free = shutil.disk_usage(self.folder).free
        if not candidates or free + sum(sizes) < needed:
            return False
        # A quota shows in no figure: then one is deleted a try.
        count = 1
        while free + sum(sizes[:count]) < needed:
            count += 1
        for name in candidates[:count]:
            logging.warning(
                "The disk of %s is full: deleting %s, the oldest checkpoint, to make room. The "
                "newest %d are kept in any case.",
                self.folder,
                name,
                _NEVER_FEWER_THAN,
            )
            checkpoint_files.remove(self.folder, name)
            self._kept = [kept for kept in self._kept if kept != name]
            self._unlisted = [other for other in self._unlisted if other != name]
        return True

    def _prune(self) -> None:
        if not self._keep_max:
            return
        candidates = [*self._unlisted, *self._kept[:-1]]
        candidates = [name for name in candidates if name != self._resumed_from]
        total = len(self._unlisted) + len(self._kept)
        excess = candidates[: max(0, total - self._keep_max)]
        if not excess:
            return
        # Removed before they are taken off the list: after a kill in between, the next run drops
        # what is listed and not there.
        for name in excess:
            checkpoint_files.remove(self.folder, name)
        self._unlisted = [name for name in self._unlisted if name not in excess]
        kept = [name for name in self._kept if name not in excess]
        if kept != self._kept:
            self._list(kept)

    def _list(self, names: list[str]) -> None:
        lines = [f'model_checkpoint_path: "{names[-1]}"\n']
        lines += [f'all_model_checkpoint_paths: "{name}"\n' for name in names]
        write_atomically(self._path(STATE_FILE), "".join(lines).encode())
        self._kept = names

    def _withdraw(self, names: list[str]) -> None:
        self._kept = [name for name in self._kept if name not in names]
        self._unlisted += [name for name in names if name not in self._unlisted]

    def _resume_from(self, path: str | None) -> None:
        """Notes the one resumed from; others may stand after it in a list edited to go back."""
        self._resumed_from = path and os.path.basename(path)
        for names in (self._kept, self._unlisted):
            if self._resumed_from in names:
                names.remove(self._resumed_from)
                self._kept.append(self._resumed_from)
                return

    def _newest_readable(self, names: Sequence[str], below: int) -> str | None:
        earlier = sorted((name for name in names if step_of(name) < below), key=step_of)
        return next(filter(self._reads_whole, map(self._path, reversed(earlier))), None)

    def _reads_whole(self, path: str) -> bool:
        try:
            Checkpoint(path).verify()
        except InputError as error:
            logging.warning("%s", error)
            return False
        return True

    def _missing(self, path: str) -> str:
        names = complete_names(self.folder)
        return (
            f"{self._path(STATE_FILE)} names {os.path.basename(path)}, which is not there. "
        ) + (
            f'Let its first line be model_checkpoint_path: "{names[-1]}" to go on from there, or '
            "choose another --output_dir."
            if names
            else "Remove that file to start anew, or choose another --output_dir."
        )

    def _is_listed(self, name: str) -> bool:
        # Without the file nothing is, though all that is whole counts as such elsewhere.
        state_file = os.path.exists(self._path(STATE_FILE))
        return state_file and name in listed_names(self.folder)

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, name)
