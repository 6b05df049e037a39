"""TFRecord files: writing, reading in order, reading at random.

A record is the length of its data (8 bytes, little-endian), a checksum of the length (4 bytes),
the data, and a checksum of the data (4 bytes); the checksums are CRC-32C, rotated and offset
("masked") as tensorflow/core/lib/hash/crc32c.h defines it. There is no TensorFlow on this path.
"""

import contextlib
import dataclasses
import itertools
import os
import resource
import struct
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import BinaryIO, NamedTuple

import google_crc32c

from deeq_bert.tokenizers.errors import InputError

# An instance of 512 tokens takes about 3 kB. A longer record is a damaged length or a file of
# another kind, and is refused before memory is asked for.
MAX_RECORD_BYTES = 64 * 1024 * 1024

# How many records of a file are noted before they are handed on.
_ROWS_AT_ONCE = 1 << 16
# What tells the system to fetch a part of a file in the background, where it can be told.
_WILL_NEED = getattr(os, "POSIX_FADV_WILLNEED", None)

_HEADER = struct.Struct("<QI")
_CHECKSUM = struct.Struct("<I")
_FRAME_BYTES = _HEADER.size + _CHECKSUM.size


class RecordError(InputError):
    """A file of records cannot be read, or what it holds is damaged."""


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
      RecordError: The file cannot be read, or a record is damaged.
    """
    for record in _walk(path):
        if record.damage:
            raise RecordError(_damage_message(path, record))
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


class FileScan(NamedTuple):
    """What was found in a file, besides where its records are.

    Attributes:
      count: How many records it has, without those left out.
      bad_records: The numbers of those left out, counted from 1, ascending.
      skipped: What was left out, if anything.
    """

    count: int
    bad_records: Sequence[int] = ()
    skipped: SkippedRecords | None = None


def scan_file(
    path: str,
    skip_bad_records: bool,
    keep: Callable[[array, array], object],
    progress: Callable[[int], object] | None = None,
) -> FileScan:
    """Reads a file once, verifies every length and checksum, and notes where the records are.

    Args:
      path: A TFRecord file. One without records is no error.
      skip_bad_records: As of `RecordSet.scan`.
      keep: Called with where the data of some records starts (int64) and how many bytes it has
        (uint32), in order, a part of the file at a time. The arrays are emptied afterwards.
      progress: As of `RecordSet.scan`.

    Raises:
      RecordError: The file cannot be read, or a record is damaged.
    """
    offsets, lengths = array("q"), array("I")
    bad_records: list[int] = []
    skipped = None
    count = passed = 0
    for record in _walk(path):
        if not record.damage:
            count += 1
            offsets.append(record.offset)
            lengths.append(len(record.data))
            if len(offsets) == _ROWS_AT_ONCE:
                keep(offsets, lengths)
                del offsets[:], lengths[:]
        elif not skip_bad_records:
            raise RecordError(
                f"{_damage_message(path, record)} Make the file again, or pass "
                "--skip_bad_records to go on without the damaged records."
            )
        else:
            bad_records.append(record.number)
            skipped = SkippedRecords(
                path=path,
                count=len(bad_records),
                first_record=skipped.first_record if skipped else record.number,
                reason=skipped.reason if skipped else record.damage,
                lost_bytes=record.lost_bytes,
            )
        if progress and record.end - passed >= 1 << 20:
            progress(record.end - passed)
            passed = record.end
    keep(offsets, lengths)
    if progress:
        progress(os.path.getsize(path) - passed)
    return FileScan(count, bad_records, skipped)


class RecordSet:
    """The records of some files, read by index from 0.

    Only offsets and lengths are in memory, 12 bytes a record, or mapped from an index on disk (see
    `record_index.open_records`). Reading is safe from several threads at once. Use it as a context
    manager, or call `close`.

    Attributes:
      paths: The files, as given.
      skipped: What was left out, by file, for the files that are damaged.
    """

    def __init__(
        self,
        paths: Sequence[str],
        offsets: Sequence[int],
        lengths: Sequence[int],
        scans: Sequence[FileScan],
        index_path: str = "",
    ) -> None:
        """Opens the files; use `scan` or `record_index.open_records`, which find the arguments.

        Args:
          paths: The files.
          offsets: Where the data of each record starts in its file; not copied.
          lengths: How many bytes of data each record has; not copied.
          scans: What is known of each file.
          index_path: Where offsets and lengths are from, if not from the files themselves.
        """
        self.paths = list(paths)
        self.skipped = {path: scan.skipped for path, scan in zip(paths, scans) if scan.skipped}
        self._offsets = offsets
        self._lengths = lengths
        # Of each file the index of its first record, and the end.
        self._bounds = list(itertools.accumulate((scan.count for scan in scans), initial=0))
        self._bad_records = [scan.bad_records for scan in scans]
        self._index_path = index_path
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
          RecordError: A file cannot be read, or a record is damaged.
        """
        offsets, lengths = array("q"), array("I")

        def keep(some_offsets: array, some_lengths: array) -> None:
            offsets.extend(some_offsets)
            lengths.extend(some_lengths)

        scans = [scan_file(path, skip_bad_records, keep, progress) for path in paths]
        return cls(paths, offsets, lengths, scans)

    def __len__(self) -> int:
        return self._bounds[-1]

    def read(self, index: int) -> bytes:
        """Returns the data of record `index`, verified.

        Raises:
          IndexError: There is no such record.
          RecordError: The file has changed since it was scanned, or cannot be read.
        """
        return self._read(index, *self._place(index))

    def read_many(self, indexes: Sequence[int]) -> list[bytes]:
        """Returns the data of the records at `indexes`, verified, in that order.

        The disk is asked for all of them before the first is waited for: records that are not in
        memory yet come several times as fast as one by one.

        Raises:
          IndexError: There is no such record.
          RecordError: A file has changed since it was scanned, or cannot be read.
        """
        places = [self._place(index) for index in indexes]
        if _WILL_NEED is not None:
            with contextlib.suppress(OSError):
                for descriptor, offset, length in places:
                    os.posix_fadvise(descriptor, offset, length + _CHECKSUM.size, _WILL_NEED)
        return [self._read(index, *place) for index, place in zip(indexes, places)]

    def _place(self, index: int) -> tuple[int, int, int]:
        """Returns the descriptor of the file of a record, and where in it how many bytes are."""
        if not 0 <= index < self._bounds[-1]:
            raise IndexError(f"record {index} of {len(self)}")
        # Of several files that start at one index, all but the last are empty.
        file = self._files[bisect_right(self._bounds, index) - 1]
        return file.fileno(), self._offsets[index], self._lengths[index]

    def _read(self, index: int, descriptor: int, offset: int, length: int) -> bytes:
        try:
            # What is longer cannot be from a scan, and no memory is asked for it.
            size = length + _CHECKSUM.size if length <= MAX_RECORD_BYTES else 0
            stored = os.pread(descriptor, size, offset)
        except OSError as error:
            path, number = self.location(index)
            raise RecordError(f"Cannot read {path}, record {number}: {error.strerror}.") from error
        data = stored[:length]
        if stored[length:] != _CHECKSUM.pack(_masked_crc32c(data)):
            path, number = self.location(index)
            advice = f", or remove the index {self._index_path}," if self._index_path else ""
            raise RecordError(
                f"{path}, record {number}: the data is not what it was when the file was scanned. "
                f"Leave the records alone while they are in use{advice} and start again."
            )
        return data

    def location(self, index: int) -> tuple[str, int]:
        """Returns the file of record `index` and its number there, counted from 1."""
        file_number = bisect_right(self._bounds, index) - 1
        number = index - self._bounds[file_number] + 1
        for bad_number in self._bad_records[file_number]:
            if bad_number <= number:
                number += 1
        return self.paths[file_number], number

    def file_ranges(self) -> Iterator[tuple[str, range]]:
        """Yields each file with the indexes of its records."""
        for path, start, end in zip(self.paths, self._bounds, self._bounds[1:]):
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
                raise RecordError(f"Cannot read {path}: {error.strerror}.") from error
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
        raise RecordError(f"Cannot read {path}: {error.strerror}.") from error
