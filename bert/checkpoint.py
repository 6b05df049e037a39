"""Checkpoints in the name-based format of Google's scripts, written whole and pruned with care.

A checkpoint is `model.ckpt-STEP.index` and `model.ckpt-STEP.data-00000-of-00001`, with every
variable under its own name, Adam's slots under `NAME/adam_m` and `NAME/adam_v`, and `global_step`.
The file `checkpoint` beside them lists those kept. What a resume needs beyond the variables rides
along as a JSON string under a name that the known converters skip.
"""

import contextlib
import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import IO

import numpy as np
import tensorflow as tf

from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import make_folder, sync_folder, write_atomically

GLOBAL_STEP = "global_step"
# Converters of other projects skip any name with a component "global_step", and fail on names they
# do not know.
RESUME_STATE = "global_step/resume_state"

_BASENAME = "model.ckpt"
_STATE_FILE = "checkpoint"
_TEMPORARY = re.compile(r"\.model\.ckpt-\d+\.tmp|model\.ckpt-\d+_temp_.*")
_DATA_FILE = re.compile(r"(model\.ckpt-\d+)\.data-\d{5}-of-\d{5}")
_INDEX_FILE = re.compile(r"model\.ckpt-(\d+)\.index")
# Where in its graph something failed, which tells a user nothing.
_TENSORFLOW_NAMES = re.compile(r"\{\{.*?\}\}|\[Op:.*?\].*")
# What TensorFlow's reader raises for files that are missing, cut off or something else.
_READ_ERRORS = (tf.errors.OpError, ValueError, RuntimeError, IndexError)
# Enough to see what is wrong; a whole BERT would fill the screen.
_NAMES_SHOWN = 4


class Checkpoint:
    """A checkpoint opened for reading: Google's, or one of ours.

    Attributes:
      path: The prefix of its files, such as "out/model.ckpt-1000".
      shapes: The shape of every variable by name.
    """

    def __init__(self, path: str):
        """Opens the checkpoint at `path`, a prefix or the name of its .index file.

        Raises:
          InputError: There is no readable checkpoint there.
        """
        self.path = path.removesuffix(".index")
        try:
            self._reader = tf.train.load_checkpoint(self.path)
        except _READ_ERRORS as error:
            raise InputError(
                f"Cannot read a checkpoint at {self.path}: {_first_line(error)} Expected the "
                "prefix of an .index and a .data file, such as out/model.ckpt-1000."
            ) from error
        self.shapes: dict[str, list[int]] = self._reader.get_variable_to_shape_map()

    def read(self, name: str) -> np.ndarray:
        """Returns the value of one variable.

        Raises:
          InputError: The data file is damaged or misses.
        """
        try:
            return self._reader.get_tensor(name)
        except _READ_ERRORS as error:
            raise InputError(
                f"Cannot read {name} from the checkpoint {self.path}: {_first_line(error)} "
                "Go back to an earlier checkpoint by naming it in the file `checkpoint`."
            ) from error

    def global_step(self) -> int:
        """Returns the number of updates behind the checkpoint, 0 where it does not say."""
        return int(self.read(GLOBAL_STEP)) if GLOBAL_STEP in self.shapes else 0

    def resume_state(self) -> dict:
        """Returns what `save` was given to resume from; empty for a checkpoint of Google's."""
        if RESUME_STATE not in self.shapes:
            return {}
        state = json.loads(bytes(self.read(RESUME_STATE)))
        if not isinstance(state, dict):
            raise InputError(f"{self.path} holds a resume state that this version cannot read.")
        return state

    def restore(self, variables: Mapping[str, tf.Variable]) -> None:
        """Assigns every one of `variables` (by checkpoint name) its value in the checkpoint.

        Raises:
          InputError: A name is missing or a shape differs; nothing has been assigned then.
        """
        problems = [
            f"{name} is not in it"
            if name not in self.shapes
            else f"{name} is {self.shapes[name]} there and {variable.shape.as_list()} here"
            for name, variable in variables.items()
            if self.shapes.get(name) != variable.shape.as_list()
        ]
        if problems:
            more = len(problems) - _NAMES_SHOWN
            raise InputError(
                f"The checkpoint {self.path} does not fit the model: "
                f"{'; '.join(problems[:_NAMES_SHOWN])}{f'; and {more} more' if more > 0 else ''}. "
                "Give the bert_config.json it was trained with, or another --output_dir or "
                "--init_checkpoint."
            )
        for name, variable in variables.items():
            variable.assign(self.read(name))


class CheckpointFolder:
    """The checkpoints of one run: the folder, which are kept, and the one resumed from."""

    def __init__(self, folder: str, keep_max: int = 5):
        """Prepares `folder`, which is made if missing.

        Args:
          folder: Where the checkpoints are.
          keep_max: How many to keep, oldest deleted first; 0 keeps all.

        Raises:
          InputError: The folder can be neither made nor written.
        """
        make_folder(folder)
        self.folder = folder
        self._keep_max = keep_max
        self._resumed_from: str | None = None
        self._kept: list[str] = []

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other writers out while the block runs, and removes what a killed save left.

        `save` may be called in it only.

        Raises:
          InputError: Another run is writing there.
        """
        with self._open_lock() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(
                    f"Another run is writing to {self.folder}. Wait for it or stop it, or choose "
                    "another --output_dir."
                ) from None
            self._remove_orphans()
            listed = [os.path.basename(path) for path in self._listed() if is_complete(path)]
            # One that a killed run has written and not listed is the first to go.
            unlisted = [name for name in self._complete() if name not in listed]
            self._kept = list(dict.fromkeys(unlisted + listed))
            yield

    def _open_lock(self) -> IO:
        path = os.path.join(self.folder, ".lock")
        try:
            return open(path, "w")
        except OSError as error:
            raise InputError(f"Cannot write {path}: {error.strerror}.") from error

    def latest(self) -> str | None:
        """Returns the checkpoint to resume from, or None in a folder without any.

        That is the one the file `checkpoint` names, so that editing it goes back to an earlier
        one; without that file, the one of the highest step. It is never deleted by `save`.

        Raises:
          InputError: The file names a checkpoint that is not there.
        """
        state = read_checkpoint_state(self.folder)
        if state is None:
            path = self._highest_step()
        else:
            path = state.model_checkpoint_path
            if not is_complete(path):
                other = self._highest_step()
                raise InputError(
                    f"{os.path.join(self.folder, _STATE_FILE)} names {os.path.basename(path)}, "
                    "which is not there. "
                    + (
                        f'Let its first line be model_checkpoint_path: "{os.path.basename(other)}" '
                        "to go on from there, or choose another --output_dir."
                        if other
                        else "Remove that file to start anew, or choose another --output_dir."
                    )
                )
        self._resumed_from = path and os.path.basename(path)
        if self._resumed_from in self._kept:
            # Others may be listed after it, where the file was edited to go back.
            others = [name for name in self._kept if name != self._resumed_from]
            self._kept = [*others, self._resumed_from]
        return path

    def save(self, step: int, variables: Mapping[str, tf.Variable], resume_state: dict) -> str:
        """Writes the checkpoint of `step`, lists it, then deletes those beyond `keep_max`.

        The files are written to a temporary folder, flushed to disk and renamed, the index last:
        a checkpoint that can be opened is whole.

        Args:
          step: The number of updates made so far.
          variables: Every variable under the name it shall have.
          resume_state: What can be put into JSON and `Checkpoint.resume_state` shall return.

        Returns:
          The prefix of the new checkpoint.

        Raises:
          InputError: It cannot be written, for want of space say. Earlier ones are untouched.
        """
        name = f"{_BASENAME}-{step}"
        prefix = os.path.join(self.folder, name)
        temporary = os.path.join(self.folder, f".{name}.tmp")
        try:
            os.makedirs(temporary, exist_ok=True)
            _write_bundle(os.path.join(temporary, name), step, variables, resume_state)
            # An index left from an unlisted checkpoint of this step would fit no new data.
            with contextlib.suppress(FileNotFoundError):
                os.remove(f"{prefix}.index")
            for file in sorted(os.listdir(temporary)):  # .data-... comes before .index
                os.replace(os.path.join(temporary, file), os.path.join(self.folder, file))
            sync_folder(self.folder)
            self._list([kept for kept in self._kept if kept != name] + [name])
        except (OSError, tf.errors.OpError, InputError) as error:
            last = self._kept[-1] if self._kept else None
            raise InputError(
                f"Cannot write the checkpoint {prefix}: {_first_line(error)} "
                + (f"{last} is the last good one. " if last and last != name else "")
                + "Mend that, by freeing some space for instance, and give the same command again."
            ) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        self._prune()
        return prefix

    def last(self) -> str:
        """Returns the prefix of the checkpoint that a resume would go on from."""
        # What is on disk counts: a run can be stopped between a save and the note of it here.
        state = read_checkpoint_state(self.folder)
        return state.model_checkpoint_path if state else os.path.join(self.folder, self._kept[-1])

    def withdraw_last(self) -> str | None:
        """Makes the checkpoint before the last one the one to resume from.

        For a last one that turned out to be ruined. Its files stay until they are pruned.

        Returns:
          The prefix of the one withdrawn, or None where it is the only one.
        """
        if len(self._kept) < 2:
            return None
        withdrawn = self.last()
        self._list(self._kept[:-1])
        return withdrawn

    def _listed(self) -> Sequence[str]:
        state = read_checkpoint_state(self.folder)
        return list(state.all_model_checkpoint_paths) if state else []

    def _complete(self) -> list[str]:
        """Returns the names of all checkpoints that are whole, by their steps."""
        steps = [
            int(match[1])
            for match in map(_INDEX_FILE.fullmatch, os.listdir(self.folder))
            if match and is_complete(os.path.join(self.folder, match[0]))
        ]
        return [f"{_BASENAME}-{step}" for step in sorted(steps)]

    def _highest_step(self) -> str | None:
        names = self._complete()
        return os.path.join(self.folder, names[-1]) if names else None

    def _list(self, names: list[str]) -> None:
        lines = [f'model_checkpoint_path: "{names[-1]}"\n']
        lines += [f'all_model_checkpoint_paths: "{name}"\n' for name in names]
        write_atomically(os.path.join(self.folder, _STATE_FILE), "".join(lines).encode())
        self._kept = names

    def _prune(self) -> None:
        if not self._keep_max:
            return
        candidates = [name for name in self._kept[:-1] if name != self._resumed_from]
        excess = candidates[: max(0, len(self._kept) - self._keep_max)]
        if not excess:
            return
        # Removed before they are taken off the list: after a kill in between, the next run drops
        # what is listed and not there. The index goes first: without it the rest counts as an
        # orphan, with it and without the data the checkpoint would look whole.
        for name in excess:
            files = [file for file in os.listdir(self.folder) if file.startswith(f"{name}.")]
            for file in sorted(files, key=lambda file: not file.endswith(".index")):
                with contextlib.suppress(FileNotFoundError):
                    os.remove(os.path.join(self.folder, file))
        self._list([name for name in self._kept if name not in excess])

    def _remove_orphans(self) -> None:
        for entry in os.listdir(self.folder):
            path = os.path.join(self.folder, entry)
            data_file = _DATA_FILE.fullmatch(entry)
            if _TEMPORARY.fullmatch(entry) and os.path.isdir(path):
                shutil.rmtree(path)
            elif data_file and not os.path.exists(
                os.path.join(self.folder, f"{data_file[1]}.index")
            ):
                os.remove(path)


def read_checkpoint_state(folder: str) -> object | None:
    """Reads the file `checkpoint` of a folder; None where there is no such file.

    Raises:
      InputError: The file is not one that lists checkpoints.
    """
    path = os.path.join(folder, _STATE_FILE)
    if not os.path.exists(path):
        return None
    try:
        state = tf.train.get_checkpoint_state(folder)
    except (ValueError, tf.errors.OpError):
        state = None
    if state is None:
        raise InputError(
            f"{path} does not list checkpoints; expected a line such as "
            'model_checkpoint_path: "model.ckpt-1000". Mend it, or remove it to go on from the '
            "highest step there is."
        )
    return state


def is_complete(path: str) -> bool:
    """Whether both files of the checkpoint with prefix (or .index file) `path` are there."""
    prefix = path.removesuffix(".index")
    folder, name = os.path.split(os.path.abspath(prefix))
    if not os.path.exists(f"{prefix}.index"):
        return False
    return any(file.startswith(f"{name}.data-") for file in os.listdir(folder))


def _write_bundle(
    prefix: str, step: int, variables: Mapping[str, tf.Variable], resume_state: dict
) -> None:
    with tf.device("/CPU:0"):
        tensors = {name: tf.convert_to_tensor(variable) for name, variable in variables.items()}
        tensors[GLOBAL_STEP] = tf.constant(step, tf.int64)
        tensors[RESUME_STATE] = tf.constant(json.dumps(resume_state, sort_keys=True))
        names = sorted(tensors)
        tf.raw_ops.SaveV2(
            prefix=prefix,
            tensor_names=names,
            shape_and_slices=[""] * len(names),
            tensors=[tensors[name] for name in names],
        )
    folder = os.path.dirname(prefix)
    for file in os.listdir(folder):
        with open(os.path.join(folder, file), "rb") as written:
            os.fsync(written.fileno())


def _first_line(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.strerror}."
    line = str(getattr(error, "message", error)).strip().split("\n")[0]
    line = _TENSORFLOW_NAMES.sub("", line).strip()
    return line if line.endswith(".") else f"{line}."
