"""Reads a whole TFRecord file quickly, many records at once, as long as nothing is wrong with it.

Lengths and checksums are verified as `records.read_records` does, in a fraction of its time. What
is wrong, and where, is for `records.scan_file` to find out.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

import google_crc32c
import numpy as np

from deeq_bert.bert.records import MAX_RECORD_BYTES, RecordError

_LENGTH = struct.Struct("<Q")
_HEADER_BYTES, _CHECKSUM_BYTES = 12, 4
# What the format adds to a rotated checksum.
_MASK_DELTA = 0xA282EAD8
_BLOCK_BYTES = 2 * 1024 * 1024


class RecordBlock(NamedTuple):
    """Records that follow each other in a file.

    Attributes:
      data: A part of the file.
      starts: Where in it the data of each record starts.
      ends: And where it ends.
    """

    data: bytes
    starts: np.ndarray
    ends: np.ndarray


def read_blocks(path: str) -> Iterator[RecordBlock]:
    """Yields all records of a file.

    Raises:
      RecordError: The file cannot be read, or something is wrong with the next records.
    """
    # By length what stands before the data: there are few lengths, and comparing is quicker than
    # computing.
    headers: dict[int, bytes] = {}
    try:
        with open(path, "rb") as file:
            rest = b""
            while part := file.read(_BLOCK_BYTES):
                data = rest + part
                starts, ends, place = _walk(data, headers, path)
                if starts:
                    yield _verified(RecordBlock(data, np.array(starts), np.array(ends)), path)
                rest = data[place:]
            if rest:
                raise _damage(path)
    except OSError as error:
        raise RecordError(f"Cannot read {path}: {error.strerror}.") from error


def _walk(data: bytes, headers: dict[int, bytes], path: str) -> tuple[list[int], list[int], int]:
    """Returns where whole records start and end in `data`, and where the next would start."""
    starts, ends = [], []
    place, size = 0, len(data)
    while place + _HEADER_BYTES <= size:
        start = place + _HEADER_BYTES
        header = data[place:start]
        (length,) = _LENGTH.unpack_from(header)
        if headers.get(length) != header:
            if header != _header(length) or length > MAX_RECORD_BYTES:
                raise _damage(path)
            headers[length] = header
        end = start + length
        if end + _CHECKSUM_BYTES > size:
            break
        starts.append(start)
        ends.append(end)
        place = end + _CHECKSUM_BYTES
    return starts, ends, place


def _verified(block: RecordBlock, path: str) -> RecordBlock:
    """Returns `block` if the checksums of all data in it fit."""
    checksum = google_crc32c.value
    data = block.data
    found = [
        checksum(data[start:end]) for start, end in zip(block.starts.tolist(), block.ends.tolist())
    ]
    buffer = np.frombuffer(data, np.uint8)
    stored = buffer[block.ends[:, np.newaxis] + np.arange(_CHECKSUM_BYTES)].view("<u4")[:, 0]
    if (stored != _masked(np.array(found, np.uint32))).any():
        raise _damage(path)
    return block


def _header(length: int) -> bytes:
    encoded = _LENGTH.pack(length)
    masked = _masked(np.array([google_crc32c.value(encoded)], np.uint32))
    return encoded + masked.astype("<u4").tobytes()


def _masked(checksums: np.ndarray) -> np.ndarray:
    rotated = checksums >> np.uint32(15) | checksums << np.uint32(17)
    return rotated + np.uint32(_MASK_DELTA)


def _damage(path: str) -> RecordError:
    return RecordError(f"{path} has damaged records.")
