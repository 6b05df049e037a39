"""What de-duplication knows of a part of the corpus, in files: hashes of its text, and decisions.

A corpus is cleaned in parts. Each leaves a file of the hashes of its lines and one of those of its
documents, sorted, so that a range of hashes stands together. What exact_duplicates and
near_duplicates decide on each line or document is again a file for each part.
"""

import hashlib
import os
from typing import NamedTuple

import numpy as np

from deeq_bert.corpus.column_files import damaged, header, map_columns
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import atomic_outputs, sync_folder, write_atomically

# What is decided on a line or document; REPEATED_FIRST is the first of those that are REPEATED.
KEEP, DUPLICATE, REPEATED, REPEATED_FIRST = range(4)
NUM_HASHES = 1 << 64

_HASHES_MARK = b"deeqHSH1"
_DECISIONS_MARK = b"deeqDEC1"
_ENTRY_BYTES = 16
_BLOCK_BYTES = 1 << 20

# A copy of it costs less than a new one.
_EMPTY_HASH = hashlib.blake2b(digest_size=8)
_to_int = int.from_bytes


class Entries(NamedTuple):
    """Lines or documents of a part, sorted by hash and then by index.

    Attributes:
      hashes: uint64.
      indices: uint32, which line or document of the part each is.
      groups: uint32, the document that each belongs to.
    """

    hashes: np.ndarray
    indices: np.ndarray
    groups: np.ndarray


def hash_text(text: str) -> int:
    """Returns 64 bits that are the same for equal text, on every machine and in every run.

    Among a billion different lines, 0.03 pairs are expected to have the same.
    """
    state = _EMPTY_HASH.copy()
    state.update(text.encode("utf-8", "surrogatepass"))
    return _to_int(state.digest(), "little")


def contains(sorted_hashes: np.ndarray, hashes: np.ndarray) -> np.ndarray:
    """Returns for each of `hashes` whether it is among `sorted_hashes`."""
    if not len(sorted_hashes):
        return np.zeros(len(hashes), dtype=bool)
    places = np.searchsorted(sorted_hashes, hashes)
    np.minimum(places, len(sorted_hashes) - 1, out=places)
    return sorted_hashes[places] == hashes


def write_hashes(path: str, hashes: np.ndarray, groups: np.ndarray) -> None:
    """Writes the hashes of a part's lines or documents, 16 bytes for each.

    Args:
      path: Where to.
      hashes: uint64, in the order of the part.
      groups: uint32, the document each belongs to; never descending.

    Raises:
      InputError: The file cannot be written.
    """
    if len(groups) != len(hashes) or np.any(groups[1:] < groups[:-1]):
        raise ValueError("expected a group for each hash, in ascending order")
    order = np.argsort(hashes, kind="stable")
    with atomic_outputs([path]) as (file,):
        file.write(header(_HASHES_MARK, len(hashes)))
        file.write(hashes[order].astype("<u8", copy=False).data)
        file.write(order.astype("<u4").data)
        file.write(groups[order].astype("<u4", copy=False).data)


def read_hashes(path: str) -> Entries:
    """Reads what `write_hashes` wrote.

    Raises:
      InputError: It cannot be read or is damaged.
    """
    return HashFile(path).entries(0, NUM_HASHES - 1)


def write_decisions(path: str, decisions: np.ndarray) -> None:
    """Writes a uint8 for each line or document of a part.

    Raises:
      InputError: The file cannot be written.
    """
    content = np.asarray(decisions, dtype=np.uint8).tobytes()
    write_atomically(path, header(_DECISIONS_MARK, len(content)) + content)


def read_decisions(path: str) -> np.ndarray:
    """Reads what was decided on the lines or documents of a part: uint8, in their order.

    Raises:
      InputError: It cannot be read or is damaged.
    """
    _, decisions = map_columns(path, _DECISIONS_MARK, [1])
    return np.array(decisions)


class HashFile:
    """A file of hashes, of which ranges are read; it is open only while that is done.

    Attributes:
      path: Where it is.
      num_entries: How many hashes it has.
    """

    def __init__(self, path: str):
        """Looks at the header of a file.

        Raises:
          InputError: It cannot be read or is damaged.
        """
        self.path = path
        (self.num_entries,), _ = map_columns(path, _HASHES_MARK, [_ENTRY_BYTES])

    def entries(self, low: int, high: int) -> Entries:
        """Returns the entries whose hashes are from `low` to `high`.

        Raises:
          InputError: The file cannot be read or is damaged.
        """
        (size,), content = map_columns(self.path, _HASHES_MARK, [_ENTRY_BYTES])
        hashes = content[: 8 * size].view("<u8")
        begin = int(np.searchsorted(hashes, np.uint64(low), "left"))
        end = int(np.searchsorted(hashes, np.uint64(high), "right"))
        # Copies, so that the file does not stay open.
        entries = Entries(
            np.array(hashes[begin:end]),
            np.array(content[8 * size : 12 * size].view("<u4")[begin:end]),
            np.array(content[12 * size :].view("<u4")[begin:end]),
        )
        if np.any(entries.hashes[1:] < entries.hashes[:-1]) or np.any(entries.indices >= size):
            raise damaged(self.path)
        return entries


class DecisionFile:
    """Decisions that are written bit by bit; the file has its name only when it is finished."""

    def __init__(self, path: str, size: int):
        """Begins a file of `size` decisions, all of them KEEP.

        Raises:
          InputError: It cannot be written.
        """
        self._path = path
        self._partial_path = f"{path}.partial"
        self._size = size
        self._start = header(_DECISIONS_MARK, size)
        try:
            with open(self._partial_path, "wb") as file:
                file.write(self._start)
                # Not by growing the file alone: a disk that is full must be noticed here, for at
                # a write to mapped memory it ends the process.
                for begin in range(0, size, _BLOCK_BYTES):
                    file.write(bytes(min(_BLOCK_BYTES, size - begin)))
        except OSError as error:
            raise self._error(error) from error

    def enter(self, indices: np.ndarray, decisions: np.ndarray | int) -> None:
        """Writes the decisions on the lines or documents of some indices.

        Raises:
          InputError: The file cannot be written.
        """
        try:
            size = (self._size,)
            file = np.memmap(self._partial_path, np.uint8, "r+", len(self._start), size)
        except OSError as error:
            raise self._error(error) from error
        file[indices] = decisions

    def finish(self) -> None:
        """Waits until all is on disk and gives the file its name.

        Raises:
          InputError: The file cannot be written.
        """
        try:
            with open(self._partial_path, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(self._partial_path, self._path)
            sync_folder(os.path.dirname(os.path.abspath(self._path)))
        except OSError as error:
            raise self._error(error) from error

    def _error(self, error: OSError) -> InputError:
        return InputError(
            f"Cannot write {self._path}: {error.strerror}. Free some space or choose another "
            "place, and run again."
        )
