"""The files of an index of records: two arrays to be mapped into memory, and a description.

NAME.offsets.npy (int64) and NAME.lengths.npy (uint32) hold where the data of each record starts in
its file and how many bytes it has; numpy.load reads them. NAME.json, which is written last, says
which files they are of. NAME tells the list of files and their state, so that an index never
changes: files that change get another one.
"""

import contextlib
import hashlib
import json
import mmap
import os
import struct
import sys
from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from deeq_bert.bert.records import FileScan, RecordError, SkippedRecords
from deeq_bert.tokenizers.files import atomic_outputs

_FORMAT, _VERSION = "deeq_bert record index", 1
# The arrays: what the struct module calls their type, and what NumPy does.
_BYTE_ORDER = "<" if sys.byteorder == "little" else ">"
_TYPES = {"offsets": ("q", f"{_BYTE_ORDER}i8"), "lengths": ("I", f"{_BYTE_ORDER}u4")}
_HEADER_BYTES = 128
_MAX_JSON_BYTES = 256 * 1024 * 1024
# What stands before the data of a file's first record, and behind that of its last.
_BYTES_BEFORE, _BYTES_BEHIND = 12, 4

Rows = array | memoryview
KeepRows = Callable[[Rows, Rows], object]


class FileState(NamedTuple):
    """A file, and what tells that it has not changed.

    Attributes:
      path: Absolute.
      size: In bytes.
      mtime_ns: When it was last written, in nanoseconds since 1970.
    """

    path: str
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: str) -> "FileState":
        """Returns the state `path` is in.

        Raises:
          RecordError: It cannot be found out.
        """
        try:
            status = os.stat(path)
        except OSError as error:
            raise RecordError(f"Cannot read {path}: {error.strerror}.") from error
        return cls(os.path.abspath(path), status.st_size, status.st_mtime_ns)


class RecordIndex(NamedTuple):
    """An index, its arrays mapped.

    Attributes:
      states: The files, in order.
      scans: What is known of each.
      offsets: int64, a row a record.
      lengths: uint32, a row a record.
    """

    states: list[FileState]
    scans: list[FileScan]
    offsets: memoryview
    lengths: memoryview


def index_name(states: Sequence[FileState]) -> str:
    """Returns the name of the index of files in this state.

    Its part up to the last hyphen is that of the list of files, in whatever state.
    """
    paths = [state.path for state in states]
    return f"records-{_digest(paths)}-{_digest([list(state) for state in states])}"


def write(
    folder: str,
    states: Sequence[FileState],
    fill: Callable[[KeepRows], Iterable[FileScan]],
) -> None:
    """Writes an index, whole or not at all, as its rows are found.

    Args:
      folder: Where to; it exists.
      states: The files, in the state they are in before `fill` reads them.
      fill: Gets a function to call with the offsets and the lengths of some more records, and
        returns what is known of each file.

    Raises:
      InputError: The disk is full or a file cannot be written; or what `fill` raises.
    """
    base = os.path.join(folder, index_name(states))
    paths = [f"{base}.offsets.npy", f"{base}.lengths.npy", f"{base}.json"]
    with atomic_outputs(paths) as (offsets_file, lengths_file, json_file):
        for file in (offsets_file, lengths_file):
            # The place of the header, which tells how many rows there are.
            file.write(bytes(_HEADER_BYTES))

        def keep(offsets: Rows, lengths: Rows) -> None:
            offsets_file.write(offsets)
            lengths_file.write(lengths)

        scans = list(fill(keep))
        count = sum(scan.count for scan in scans)
        for file, (_, dtype) in zip((offsets_file, lengths_file), _TYPES.values()):
            file.seek(0)
            file.write(_header(dtype, count))
        description = {
            "format": _FORMAT,
            "version": _VERSION,
            "records": count,
            "files": [_file_to_json(state, scan) for state, scan in zip(states, scans)],
        }
        json_file.write(json.dumps(description, indent=1).encode())


def load(json_path: str) -> RecordIndex:
    """Maps the index described by `json_path`; its files of records are not touched.

    Raises:
      ValueError: It is damaged or something else; the message says what is wrong.
      OSError: A file of it cannot be read.
    """
    with open(json_path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > _MAX_JSON_BYTES:
            raise ValueError(f"over {_MAX_JSON_BYTES:,} bytes long")
        content = file.read(size)
    try:
        description = json.loads(content)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(description, dict) or description.get("format") != _FORMAT:
        raise ValueError("no index of records")
    if description.get("version") != _VERSION:
        raise ValueError(f"of version {description.get('version')}, not {_VERSION}")
    files = description.get("files")
    if not isinstance(files, list):
        raise ValueError("without a list of files")
    states, scans = [], []
    for entry in files:
        state, scan = _file_from_json(entry)
        states.append(state)
        scans.append(scan)
    count = sum(scan.count for scan in scans)
    if description.get("records") != count:
        raise ValueError("of another number of records than its files have")
    base = json_path.removesuffix(".json")
    (offsets_mapping, offsets), (lengths_mapping, lengths) = (
        _map(f"{base}.{name}.npy", *types, count) for name, types in _TYPES.items()
    )
    # The ends of the files lie far apart: for as long as they are looked at, the system shall not
    # read ahead around each, which with many files would read the whole index.
    for mapping in (offsets_mapping, lengths_mapping):
        mapping.madvise(mmap.MADV_RANDOM)
    _check_ends(states, scans, offsets, lengths)
    for mapping in (offsets_mapping, lengths_mapping):
        mapping.madvise(mmap.MADV_NORMAL)
    return RecordIndex(states, scans, offsets, lengths)


def remove(json_path: str) -> None:
    """Removes an index, the description first. What has mapped it goes on."""
    base = json_path.removesuffix(".json")
    for path in (json_path, f"{base}.offsets.npy", f"{base}.lengths.npy"):
        # Another process may be removing it too.
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)


def _digest(value: list) -> str:
    content = json.dumps([_VERSION, value]).encode()
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def _header(dtype: str, count: int) -> bytes:
    """Returns the head of a .npy file, version 1.0, always of the same length."""
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({count},), }}"
    return (
        b"\x93NUMPY\x01\x00"
        + (_HEADER_BYTES - 10).to_bytes(2, "little")
        + (text.ljust(_HEADER_BYTES - 11).encode("latin-1") + b"\n")
    )


def _map(path: str, type_code: str, dtype: str, count: int) -> tuple[mmap.mmap, memoryview]:
    """Maps an array of `count` rows. Its header is compared and not interpreted."""
    with open(path, "rb") as file:
        header = file.read(_HEADER_BYTES)
        size = os.fstat(file.fileno()).st_size
        expected = _HEADER_BYTES + count * struct.calcsize(type_code)
        if header != _header(dtype, count) or size != expected:
            raise ValueError(f"not with {count:,} rows in {os.path.basename(path)}")
        mapping = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    return mapping, memoryview(mapping)[_HEADER_BYTES:].cast(type_code)


def _check_ends(
    states: Sequence[FileState],
    scans: Sequence[FileScan],
    offsets: memoryview,
    lengths: memoryview,
) -> None:
    """Checks that the first and the last record of each file lie in it.

    What lies between is not looked at, since that would read the whole index: it is checked when a
    record is read, like its data.
    """
    start = 0
    for state, scan in zip(states, scans):
        end = start + scan.count
        if scan.count:
            last = offsets[end - 1] + lengths[end - 1] + _BYTES_BEHIND
            if offsets[start] < _BYTES_BEFORE or last > state.size:
                raise ValueError(f"with records outside of {state.path}")
        start = end


def _file_to_json(state: FileState, scan: FileScan) -> dict[str, Any]:
    skipped = scan.skipped
    return {
        **state._asdict(),
        "records": scan.count,
        "bad_records": list(scan.bad_records),
        "reason": skipped.reason if skipped else "",
        "lost_bytes": skipped.lost_bytes if skipped else 0,
    }


def _file_from_json(entry: Any) -> tuple[FileState, FileScan]:
    if not isinstance(entry, dict):
        raise ValueError("with something else in its list of files")
    path, reason = entry.get("path"), entry.get("reason")
    names = ("size", "mtime_ns", "records", "lost_bytes")
    numbers = [entry.get(name) for name in names]
    bad_records = entry.get("bad_records")
    if not (
        isinstance(path, str)
        and isinstance(reason, str)
        and all(type(number) is int and number >= 0 for number in numbers)
        and isinstance(bad_records, list)
        and all(type(number) is int and number > 0 for number in bad_records)
    ):
        raise ValueError("with a file that is not described as it should be")
    size, mtime_ns, count, lost_bytes = numbers
    skipped = None
    if bad_records:
        skipped = SkippedRecords(path, len(bad_records), bad_records[0], reason, lost_bytes)
    return FileState(path, size, mtime_ns), FileScan(count, bad_records, skipped)
