"""TFRecord files: writing, reading in order, reading at random.

A record is the length of its data (8 bytes, little-endian), a checksum of the length (4 bytes),
the data, and a checksum of the data (4 bytes); the checksums are CRC-32C, rotated and offset
("masked") as tensorflow/core/lib/hash/crc32c.h defines it. There is no TensorFlow on this path.
"""

import dataclasses
import os
import resource
import struct
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import BinaryIO, NamedTuple

import google_crc32c

from deeq_bert.tokenizers.errors import InputError

# An instance of 512 tokens takes about 3 kB. A longer record is a damaged length or a file of
# another kind, and is refused before memory is asked for.
MAX_RECORD_BYTES = 64 * 1024 * 1024


_HEADER = struct.Struct("<QI")
_CHECKSUM = struct.Struct("<I")
_FRAME_BYTES = _HEADER.size + _CHECKSUM.size


def frame_record(data: bytes) -> bytes:
    """Returns `data` as a record of a TFRecord file."""
    length = len(data).to_bytes(8, "little")
    return b"".join(
        (
            length,
            _CHECKSUM.pack(_masked_crc32c(length)),
            data,
            _CHECKSUM.pack(_masked_crc32c(data)),
        )
    )


def read_records(path: str) -> Iterator[bytes]:
    """Yields the data of the records of a file, in order.

    Raises:
      InputError: The file cannot be read, or a record is damaged.
    """
    for record in _walk(path):
        if record.damage:
            raise InputError(_damage_message(path, record))
        yield record.data


@dataclasses.dataclass(frozen=True)
class SkippedRecords:
    """What of a file was left out because it is damaged.

    Attributes:
      path: The file.
      count: How many damaged records were left out.
      first_record: The number of the first, counted from 1.
      reason: What is wrong with the first.
      lost_bytes: How many bytes from a damaged record to the end of the file were not read,
        because where the next record starts is not known; 0 where the file was read to its end.
    """

    path: str
    count: int
    first_record: int
    reason: str
    lost_bytes: int


class RecordSet:
    """The records of some files, read by index from 0.

    Only offsets and lengths are in memory, 12 bytes a record. Reading is safe from several threads
    at once. Use it as a context manager, or call `close`.

    Attributes:
      paths: The files, as given.
      skipped: What was left out, by file, for the files that are damaged.
    """

    def __init__(
        self,
        paths: Sequence[str],
        offsets: array,
        lengths: array,
        first_indexes: Sequence[int],
        bad_records: Sequence[Sequence[int]],
        skipped: Mapping[str, SkippedRecords],
    ) -> None:
        """Opens the files; use `scan`, which finds the other arguments.

        Args:
          paths: The files.
          offsets: Where the data of each record starts in its file.
          lengths: How many bytes of data each record has.
          first_indexes: For each file the index of its first record.
          bad_records: For each file the numbers of the records left out, ascending.
          skipped: What was left out, by file.
        """
        self.paths = list(paths)
        self.skipped = dict(skipped)
        self._offsets = offsets
        self._lengths = lengths
        self._first_indexes = list(first_indexes)
        self._bad_records = bad_records
        self._files: list[BinaryIO] = []
        _allow_open_files(len(self.paths))
        for path in self.paths:
            self._files.append(_open(path))

    @classmethod
    def scan(
        cls,
        paths: Sequence[str],
        skip_bad_records: bool = False,
        progress: Callable[[int], object] | None = None,
    ) -> "RecordSet":
        """Reads every file once, verifies every length and checksum, and notes the offsets.

        Args:
          paths: TFRecord files. One without records is no error.
          skip_bad_records: Leave out a record whose data is damaged, and the rest of a file from
            where a length is damaged or the file breaks off, instead of raising.
          progress: Called with the number of bytes passed since the last call.

        Raises:
          InputError: A file cannot be read, or a record is damaged.
        """
        offsets, lengths = array("q"), array("I")
        first_indexes, bad_records, skipped = [], [], {}
        for path in paths:
            first_indexes.append(len(offsets))
            bad_here: list[int] = []
            passed = 0
            for record in _walk(path):
                if not record.damage:
                    offsets.append(record.offset)
                    lengths.append(len(record.data))
                elif not skip_bad_records:
                    raise InputError(
                        f"{_damage_message(path, record)} Make the file again, or pass "
                        "--skip_bad_records to go on without the damaged records."
                    )
                else:
                    bad_here.append(record.number)
                    first = skipped.get(path)
                    skipped[path] = SkippedRecords(
                        path=path,
                        count=len(bad_here),
                        first_record=first.first_record if first else record.number,
                        reason=first.reason if first else record.damage,
                        lost_bytes=record.lost_bytes,
                    )
                if progress and record.end - passed >= 1 << 20:
                    progress(record.end - passed)
                    passed = record.end
            bad_records.append(bad_here)
            if progress:
                progress(os.path.getsize(path) - passed)
        return cls(paths, offsets, lengths, first_indexes, bad_records, skipped)

    def __len__(self) -> int:
        return len(self._offsets)

    def read(self, index: int) -> bytes:
        """Returns the data of record `index`, verified.

        Raises:
          IndexError: There is no such record.
          InputError: The file has changed since it was scanned, or cannot be read.
        """
        if not 0 <= index < len(self._offsets):
            raise IndexError(f"record {index} of {len(self._offsets)}")
        length = self._lengths[index]
        file = self._files[self._file_number(index)]
        try:
            stored = os.pread(file.fileno(), length + _CHECKSUM.size, self._offsets[index])
        except OSError as error:
            path, number = self.location(index)
            raise InputError(f"Cannot read {path}, record {number}: {error.strerror}.") from error
        data = stored[:length]
        if stored[length:] != _CHECKSUM.pack(_masked_crc32c(data)):
            path, number = self.location(index)
            raise InputError(
                f"{path}, record {number}: the data is not what it was when the file was scanned. "
                "Leave the records alone while they are in use, and start again."
            )
        return data

    def location(self, index: int) -> tuple[str, int]:
        """Returns the file of record `index` and its number there, counted from 1."""
        file_number = self._file_number(index)
        number = index - self._first_indexes[file_number] + 1
        for bad_number in self._bad_records[file_number]:
            if bad_number <= number:
                number += 1
        return self.paths[file_number], number

    def file_ranges(self) -> Iterator[tuple[str, range]]:
        """Yields each file with the indexes of its records."""
        ends = [*self._first_indexes[1:], len(self)]
        for path, start, end in zip(self.paths, self._first_indexes, ends):
            yield path, range(start, end)

    def close(self) -> None:
        """Closes the files; nothing can be read after."""
        for file in self._files:
            file.close()

    def __enter__(self) -> "RecordSet":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _file_number(self, index: int) -> int:
        # Of several files that start at one index, all but the last are empty.
        return bisect_right(self._first_indexes, index) - 1


class _Record(NamedTuple):
    """A record met while walking through a file; `damage` says what is wrong, if anything."""

    number: int
    offset: int
    data: bytes
    end: int
    damage: str = ""
    lost_bytes: int = 0


def _walk(path: str) -> Iterator[_Record]:
    """Yields the records of a file. One with a damaged length or a missing end is the last."""
    with _open(path, buffer_bytes=1 << 20) as file:
        size = os.fstat(file.fileno()).st_size
        start, number = 0, 0
        while start < size:
            number += 1
            try:
                header = file.read(_HEADER.size)
                damage, length = _check_header(header, size - start)
                if damage:
                    yield _Record(number, start, b"", size, damage, size - start)
                    return
                data = file.read(length)
                checksum = file.read(_CHECKSUM.size)
            except OSError as error:
                raise InputError(f"Cannot read {path}: {error.strerror}.") from error
            offset = start + _HEADER.size
            start += length + _FRAME_BYTES
            if checksum != _CHECKSUM.pack(_masked_crc32c(data)):
                damage = "the checksum of its data does not fit"
            yield _Record(number, offset, data, start, damage)


def _check_header(header: bytes, bytes_left: int) -> tuple[str, int]:
    """Returns what is wrong with the start of a record, if anything, and the length of its data."""
    if len(header) < _HEADER.size:
        return f"the file breaks off after {len(header)} bytes of it", 0
    length, checksum = _HEADER.unpack(header)
    if checksum != _masked_crc32c(header[:8]):
        return "the checksum of its length does not fit", 0
    if length > MAX_RECORD_BYTES:
        return f"its length is {length:,} bytes, over the limit of {MAX_RECORD_BYTES:,}", 0
    if length + _FRAME_BYTES > bytes_left:
        return f"the file breaks off after {bytes_left:,} of {length + _FRAME_BYTES:,} bytes", 0
    return "", length


def _damage_message(path: str, record: _Record) -> str:
    hint = ""
    if record.number == 1 and record.lost_bytes:
        hint = "; expected an uncompressed TFRecord file"
    return f"{path}, record {record.number}: {record.damage}{hint}."


def _masked_crc32c(data: bytes) -> int:
    checksum = google_crc32c.value(data)
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _allow_open_files(count: int) -> None:
    # The usual limit, 1,024, is less than the shards of a large corpus; a process may raise its own
    # up to the hard limit.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = count + 256
    if soft != resource.RLIM_INFINITY and soft < needed:
        limit = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, limit), hard))


def _open(path: str, buffer_bytes: int = 0) -> BinaryIO:
    try:
        return open(path, "rb", buffering=buffer_bytes)
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error
