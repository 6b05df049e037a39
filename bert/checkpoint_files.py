"""The files of the checkpoints in a folder: listed, put in place whole, tidied up after a kill.

Every step leaves the folder, should the machine lose power there, in a state from which
`remove_leftovers` comes back to whole checkpoints only.
"""

import contextlib
import os
import re
import shutil
from collections.abc import Iterable

import tensorflow as tf

from deeq_bert.bert.checkpoint_bundle import bundle_files, is_complete
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import sync_folder

BASENAME = "model.ckpt"
STATE_FILE = "checkpoint"

_TEMPORARY = re.compile(r"\.model\.ckpt-\d+\.tmp|model\.ckpt-\d+_temp_.*")
_ASIDE = re.compile(r"\.(model\.ckpt-\d+)\.old")
_DATA_FILE = re.compile(r"(model\.ckpt-\d+)\.data-\d{5}-of-\d{5}")
_INDEX_FILE = re.compile(r"model\.ckpt-(\d+)\.index")


def step_of(path: str) -> int:
    """Returns the step of a checkpoint by its name, -1 for one of another name."""
    step = path.rpartition("-")[2]
    return int(step) if step.isdecimal() else -1


def complete_names(folder: str) -> list[str]:
    """Returns the names of all checkpoints in a folder that are whole, by their steps."""
    if not os.path.isdir(folder):
        return []
    steps = [
        int(match[1])
        for match in map(_INDEX_FILE.fullmatch, os.listdir(folder))
        if match and is_complete(os.path.join(folder, match[0]))
    ]
    return [f"{BASENAME}-{step}" for step in sorted(steps)]


def read_checkpoint_state(folder: str) -> object | None:
    """Reads the file `checkpoint` of a folder; None where there is no such file.

    Raises:
      InputError: The file is not one that lists checkpoints.
    """
    path = os.path.join(folder, STATE_FILE)
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


def listed_names(folder: str) -> list[str]:
    """Returns the names that the file `checkpoint` lists and that are there, in its order.

    Without that file, all that are whole.

    Raises:
      InputError: The file is not one that lists checkpoints.
    """
    state = read_checkpoint_state(folder)
    if state is None:
        return complete_names(folder)
    paths = state.all_model_checkpoint_paths
    return list(dict.fromkeys(os.path.basename(path) for path in paths if is_complete(path)))


def size_of(folder: str, name: str) -> int:
    """Returns the bytes that the files of a checkpoint take."""
    return sum(os.path.getsize(os.path.join(folder, file)) for file in _files_of(folder, name))


def temporary_folder(folder: str, name: str) -> str:
    """Makes an empty folder to write the checkpoint `name` in."""
    path = os.path.join(folder, f".{name}.tmp")
    if os.path.exists(path):
        shutil.rmtree(path)
    os.mkdir(path)
    return path


def put_in_place(folder: str, name: str, temporary: str) -> None:
    """Moves a written checkpoint from the folder `temporary` to `folder`, the index last.

    An earlier checkpoint of that name may be the only one there is, and two files cannot be
    replaced at once. It is set aside, until `forget_aside` or `bring_back`.
    """
    _bring_back_aside(folder, name)
    if any(os.path.exists(os.path.join(folder, file)) for file in bundle_files(name)):
        aside = _aside(folder, name)
        os.mkdir(aside)
        _move(reversed(bundle_files(name)), folder, aside)
    _move(bundle_files(name), temporary, folder)


def forget_aside(folder: str, name: str) -> None:
    """Removes what was set aside for the checkpoint `name`, once that is listed."""
    shutil.rmtree(_aside(folder, name), ignore_errors=True)


def bring_back(folder: str, name: str) -> None:
    """Removes the files of the checkpoint `name` and brings back what was set aside for them.

    What cannot be done is left to the next `put_in_place` or `remove_leftovers`.
    """
    with contextlib.suppress(OSError):
        remove(folder, name)
        _bring_back_aside(folder, name)


def remove(folder: str, name: str) -> None:
    """Removes a checkpoint, the index first: without the data it must not look whole."""
    for file in sorted(_files_of(folder, name), key=lambda file: not file.endswith(".index")):
        with contextlib.suppress(FileNotFoundError):
            os.remove(os.path.join(folder, file))


def remove_leftovers(folder: str) -> None:
    """Undoes what a killed save had begun."""
    for entry in sorted(os.listdir(folder)):
        aside = _ASIDE.fullmatch(entry)
        if aside:
            _bring_back_aside(folder, aside[1])
        elif _TEMPORARY.fullmatch(entry) and os.path.isdir(os.path.join(folder, entry)):
            shutil.rmtree(os.path.join(folder, entry))
    for entry in os.listdir(folder):
        if _DATA_FILE.fullmatch(entry) or _INDEX_FILE.fullmatch(entry):
            name = entry.removesuffix(".index").partition(".data-")[0]
            if not is_complete(os.path.join(folder, name)):
                os.remove(os.path.join(folder, entry))


def _bring_back_aside(folder: str, name: str) -> None:
    aside = _aside(folder, name)
    if not os.path.isdir(aside):
        return
    if not is_complete(os.path.join(folder, name)):
        # What is in the way is of the failed save, or of this very checkpoint.
        _move(bundle_files(name), aside, folder)
    shutil.rmtree(aside)


def _move(files: Iterable[str], source: str, target: str) -> None:
    """Renames those of `files` that are in `source`; each is on the disk before the next."""
    for file in files:
        with contextlib.suppress(FileNotFoundError):
            os.replace(os.path.join(source, file), os.path.join(target, file))
            sync_folder(target)
            sync_folder(source)


def _aside(folder: str, name: str) -> str:
    return os.path.join(folder, f".{name}.old")


def _files_of(folder: str, name: str) -> list[str]:
    return [file for file in os.listdir(folder) if file.startswith(f"{name}.")]
