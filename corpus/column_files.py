"""Files of numbers in columns, which are looked into without reading all of them.

A file begins with a mark that tells its kind and with some counts, from which its size follows.
"""

import mmap
import os
import struct
from collections.abc import Sequence

import numpy as np

from deeq_bert.tokenizers.errors import InputError

_MARK_BYTES = 8


def header(mark: bytes, *counts: int) -> bytes:
    """Returns what a file begins with.

    Args:
      mark: Eight bytes that tell the kind of file.
      counts: How many there are of each kind of item.
    """
    return struct.pack(f"<{_MARK_BYTES}s{len(counts)}Q", mark, *counts)


def map_columns(
    path: str, mark: bytes, item_bytes: Sequence[int]
) -> tuple[tuple[int, ...], np.ndarray]:
    """Maps a file to memory, which takes an address range but no memory until it is read.

    Args:
      path: The file.
      mark: What it must begin with.
      item_bytes: How many bytes an item takes, for each count in the header.

    Returns:
      The counts, and the bytes after the header; the file stays open as long as there are views of
      these.

    Raises:
      InputError: It cannot be read, is of another kind or of another size.
    """
    format_ = struct.Struct(f"<{_MARK_BYTES}s{len(item_bytes)}Q")
    try:
        with open(path, "rb") as file:
            start = file.read(format_.size)
            if len(start) < format_.size:
                raise damaged(path)
            found_mark, *counts = format_.unpack(start)
            expected = sum(count * size for count, size in zip(counts, item_bytes))
            if found_mark != mark or os.fstat(file.fileno()).st_size - format_.size != expected:
                raise damaged(path)
            if not expected:
                return tuple(counts), np.zeros(0, dtype=np.uint8)
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error
    return tuple(counts), np.frombuffer(content, np.uint8, offset=format_.size)


def damaged(path: str) -> InputError:
    """Returns the error for a file that does not hold what it should."""
    return InputError(
        f"{path} is damaged or not complete. Give --restart to make the files of this run anew."
    )
