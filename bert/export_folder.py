"""A folder that appears under its name complete, or not at all."""

import contextlib
import os
import re
import shutil
import socket
from collections.abc import Iterator

from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import is_running, make_folder, sync_folder


def check_is_free(folder: str) -> None:
    """Checks that a folder can be written as a whole.

    Raises:
      InputError: There is something at that place already, other than an empty folder.
    """
    if not os.path.lexists(folder):
        return
    if not os.path.isdir(folder):
        raise InputError(f"{folder} is not a folder; choose another --output_dir.")
    try:
        is_empty = not os.listdir(folder)
    except OSError as error:
        raise InputError(f"Cannot read the folder {folder}: {error.strerror}.") from error
    if not is_empty:
        raise InputError(
            f"The folder {folder} is not empty, and an export overwrites nothing. Choose another "
            "--output_dir, or remove it."
        )


@contextlib.contextmanager
def whole_folder(folder: str) -> Iterator[str]:
    """Makes a folder that appears under its own name when the block ends without an exception.

    The files are written to a folder of a temporary name beside it, which the block is given, and
    are on the disk before that is renamed. What a killed run on this machine left behind there is
    removed first.

    Raises:
      InputError: `check_is_free` objects, or the disk is full or cannot be written to.
    """
    check_is_free(folder)
    target = os.path.realpath(folder)
    parent, name = os.path.split(target)
    make_folder(parent)
    _remove_orphans(parent, name)
    temporary = os.path.join(parent, f".{name}.{socket.gethostname()}-{os.getpid()}.tmp")
    try:
        os.mkdir(temporary)
        yield temporary
        _sync_all(temporary)
        # An empty folder may be in its place; anything else there is an error.
        os.rename(temporary, target)
        sync_folder(parent)
    except OSError as error:
        raise InputError(
            f"Cannot write {folder}: {error.strerror}. Nothing was left there; free some space or "
            "choose another --output_dir, and run again."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _sync_all(folder: str) -> None:
    for path, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(path, name), "rb") as file:
                os.fsync(file.fileno())
        sync_folder(path)


def _remove_orphans(parent: str, name: str) -> None:
    pattern = re.compile(rf"\.{re.escape(name)}\.{re.escape(socket.gethostname())}-(\d+)\.tmp")
    for entry in os.listdir(parent):
        match = pattern.fullmatch(entry)
        if match and not is_running(int(match[1])):
            shutil.rmtree(os.path.join(parent, entry), ignore_errors=True)
