"""Keeps the files of one set of shards in a folder apart from others, and from what is read."""

import contextlib
import os
import re
import socket
from collections.abc import Iterable, Iterator
from typing import Any

from deeq_bert.bert import record_info
from deeq_bert.bert.record_info import ShardName
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import is_running

# What tokenizers/files.py writes under before a file has its own name.
_TEMPORARY = r"\.{name}(?:-[0-9]{{5,}}-of-[0-9]{{5,}})?(?:\.json)?\.{host}-([0-9]+)\.tmp"


def known_info(path: str) -> dict[str, Any] | None:
    """Returns what is known of a shard; None where it, or what stands beside it, is not whole."""
    if os.path.isfile(path):
        # What cannot be read is as good as missing: the shard is made again.
        with contextlib.suppress(InputError):
            return record_info.read_info(path)
    return None


def refuse_to_overwrite(set_path: str, read_files: Iterable[str]) -> None:
    """Stops where a file that is read has a name as the files of a set.

    Args:
      set_path: What the names of the shards begin with.
      read_files: What is read.

    Raises:
      InputError: One does; names it.
    """
    folder, name = os.path.split(os.path.abspath(set_path))
    names = {os.path.join(folder, name), os.path.join(os.path.realpath(folder), name)}
    for path in read_files:
        for full_path in (os.path.abspath(path), os.path.realpath(path)):
            about = full_path.removesuffix(record_info.info_path(""))
            shard = record_info.shard_name(about)
            if about in names or (shard and shard.set_path in names):
                raise InputError(
                    f"--output_file={set_path} would overwrite {path}, which is read. Choose "
                    "another name or folder."
                )


def refuse_shards(path: str) -> None:
    """Stops where shards stand beside what is to be a single file of records.

    What is known of the set stands where it would stand for the file, and a pattern finds both.

    Raises:
      InputError: There are shards.
    """
    for shard_path, _ in _shards_of(path):
        raise InputError(
            f"--output_file={path}: there are shards of that name already, such as {shard_path}. "
            "Remove them, or give another --output_file."
        )


def make_way(set_path: str, run: str, num_shards: int, overwrite: bool) -> None:
    """Makes sure that the shards of a run will be the only records named after a set.

    Args:
      set_path: What the names of the shards begin with.
      run: What names the run.
      num_shards: How many shards it has.
      overwrite: Whether to remove what is there of other runs.

    Raises:
      InputError: There are records of another run, or they cannot be removed.
    """
    others = [
        path
        for path, shard in _shards_of(set_path)
        if shard.count != num_shards or (known_info(path) or {"run": run}).get("run") != run
    ]
    if others and not overwrite:
        raise InputError(
            f"{others[0]} is there already, made of other text or with other flags; text counts "
            "as other after any change, and in another order of files. Remove the earlier "
            "shards, give another --output_file, or give --overwrite."
        )
    if os.path.lexists(set_path):
        if not overwrite:
            raise InputError(
                f"{set_path} is there already, and is no shard: the records would count twice "
                "where a pattern finds both. Remove it, give another --output_file, or give "
                "--overwrite."
            )
        others.append(set_path)
    for path in others:
        remove_records(path)
    try:
        info = record_info.read_set_info(set_path)
    except InputError:
        # Written anew at the end.
        info = {}
    if info is not None and info.get("run") != run:
        _remove(record_info.info_path(set_path))


def remove_records(path: str) -> None:
    """Removes a file of records and what stands beside it.

    Raises:
      InputError: That cannot be done.
    """
    # First what says that they are whole.
    _remove(record_info.info_path(path))
    _remove(path)


def remove_leftovers(set_path: str) -> None:
    """Removes what processes of this machine were writing of a set that are gone.

    Raises:
      InputError: That cannot be done.
    """
    folder, name = os.path.split(os.path.abspath(set_path))
    pattern = _TEMPORARY.format(name=re.escape(name), host=re.escape(socket.gethostname()))
    for entry in _entries(folder):
        match = re.fullmatch(pattern, entry)
        if match and not is_running(int(match[1])):
            _remove(os.path.join(folder, entry))


def _shards_of(set_path: str) -> Iterator[tuple[str, ShardName]]:
    """Yields the shards that are there, of whatever run."""
    folder, name = os.path.split(os.path.abspath(set_path))
    for entry in _entries(folder):
        shard = record_info.shard_name(entry)
        if shard is not None and shard.set_path == name:
            yield os.path.join(folder, entry), shard


def _entries(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        raise InputError(f"Cannot list the folder {folder}: {error.strerror}.") from error


def _remove(path: str) -> None:
    try:
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)
    except OSError as error:
        raise InputError(f"Cannot remove {path}: {error.strerror}. Remove it by hand.") from error
