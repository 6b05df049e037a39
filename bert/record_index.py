"""Opening records at once: what one pass over them found is kept on disk, and mapped from then on.

Verifying every checksum of a large corpus takes minutes, and a run that is stopped and resumed
would pay for it each time. There is no TensorFlow on this path.
"""

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from absl import logging

from deeq_bert.bert import record_index_files
from deeq_bert.bert.record_index_files import FileState, KeepRows, RecordIndex
from deeq_bert.bert.records import FileScan, RecordError, RecordSet, scan_file
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import make_folder

Progress = Callable[[int], object]


class _PublishedMeanwhile(Exception):
    """Another process has written the same index."""


class _KnownFile(NamedTuple):
    """What an index knows of a file: its rows there, and the rest."""

    index: RecordIndex
    rows: slice
    scan: FileScan


def open_records(
    paths: Sequence[str],
    index_folder: str | None,
    skip_bad_records: bool = False,
    progress: Progress | None = None,
) -> RecordSet:
    """Opens files of records, reading them only where that has not been done before.

    The first time every record is read and verified, and where they are is written into
    `index_folder`, 12 bytes a record. From then on, as long as the files have the same size and
    time of change, they are ready at once, and only what is read later is verified. Of a list that
    has changed, only new and changed files are read. Any number of processes may do this at once.
    An index may be removed at any time; the next call makes it anew.

    Args:
      paths: TFRecord files. One without records is no error.
      index_folder: Where indexes are kept; made where it is missing. If it cannot be written, what
        is found is kept in memory, after a warning. None: always so, without one.
      skip_bad_records: As of `RecordSet.scan`.
      progress: Called with the number of bytes passed since the last call.

    Raises:
      RecordError: A file cannot be read, or a record is damaged.
    """
    if index_folder is None:
        return RecordSet.scan(paths, skip_bad_records, progress)
    states = [FileState.of(path) for path in paths]
    json_path = os.path.join(index_folder, f"{record_index_files.index_name(states)}.json")
    index = _load(json_path, states, skip_bad_records)
    if index is not None:
        logging.info("The records are opened by the index %s.", json_path)
        if progress:
            progress(sum(state.size for state in states))
        return _record_set(paths, index, json_path)
    try:
        make_folder(index_folder)
        _make(paths, states, index_folder, json_path, skip_bad_records, progress)
    except RecordError:
        raise
    except (InputError, OSError) as error:
        logging.warning(
            "The index of the records cannot be kept in %s, so they are read now and at every "
            "start. %s",
            index_folder,
            error,
        )
    else:
        # Mapped, what was found takes no memory of this process.
        index = _load(json_path, states, skip_bad_records)
        if index is not None:
            return _record_set(paths, index, json_path)
    return RecordSet.scan(paths, skip_bad_records, progress)


def _load(
    json_path: str, states: Sequence[FileState], skip_bad_records: bool
) -> RecordIndex | None:
    """Returns the index, if there is one that fits."""
    try:
        index = record_index_files.load(json_path)
        if index.states != list(states):
            raise ValueError("of other files than its name tells")
    except FileNotFoundError as error:
        if error.filename != json_path:
            logging.warning("The index %s lacks %s; it is made anew.", json_path, error.filename)
        return None
    except (OSError, ValueError) as error:
        logging.warning("The index %s is damaged and made anew: it is %s.", json_path, error)
        return None
    if not skip_bad_records and any(scan.bad_records for scan in index.scans):
        return None
    return index


def _record_set(paths: Sequence[str], index: RecordIndex, json_path: str) -> RecordSet:
    # Named as in this call, and not absolute.
    scans = [
        scan._replace(skipped=scan.skipped and dataclasses.replace(scan.skipped, path=path))
        for path, scan in zip(paths, index.scans)
    ]
    return RecordSet(paths, index.offsets, index.lengths, scans, json_path)


def _make(
    paths: Sequence[str],
    states: Sequence[FileState],
    folder: str,
    json_path: str,
    skip_bad_records: bool,
    progress: Progress | None,
) -> None:
    """Writes the index, and removes that of an earlier state of the same files.

    Raises:
      RecordError: A file of records cannot be read, or a record is damaged.
      InputError: The index cannot be written.
    """
    known = _known_files(folder, states, skip_bad_records)
    _tell_what_is_read(states, known)

    def fill(keep: KeepRows) -> Iterator[FileScan]:
        for path, state in zip(paths, states):
            if state in known:
                index, rows, scan = known[state]
                keep(index.offsets[rows], index.lengths[rows])
                if progress:
                    progress(state.size)
                yield scan
            else:
                yield scan_file(path, skip_bad_records, keep, progress)
        # What a process on another machine has mapped is not replaced, where it would be lost.
        if _load(json_path, states, skip_bad_records) is not None:
            raise _PublishedMeanwhile

    try:
        record_index_files.write(folder, states, fill)
    except _PublishedMeanwhile:
        return
    list_name = os.path.basename(json_path).rpartition("-")[0]
    for other in _json_paths(folder):
        if os.path.basename(other).startswith(f"{list_name}-") and other != json_path:
            record_index_files.remove(other)


def _known_files(
    folder: str, states: Sequence[FileState], skip_bad_records: bool
) -> dict[FileState, _KnownFile]:
    """Returns which of the files any index of the folder knows in the state they are in."""
    wanted, known = set(states), {}
    for json_path in _json_paths(folder):
        try:
            index = record_index_files.load(json_path)
        except (OSError, ValueError):
            continue
        start = 0
        for state, scan in zip(index.states, index.scans):
            if state in wanted and (skip_bad_records or not scan.bad_records):
                known[state] = _KnownFile(index, slice(start, start + scan.count), scan)
            start += scan.count
    return known


def _tell_what_is_read(states: Sequence[FileState], known: Mapping[FileState, _KnownFile]) -> None:
    unknown = [state for state in states if state not in known]
    if unknown:
        logging.info(
            "%d of %d files of records are new or have changed since they were last read, the "
            "first being %s: reading %s bytes once.",
            len(unknown),
            len(states),
            unknown[0].path,
            f"{sum(state.size for state in unknown):,}",
        )


def _json_paths(folder: str) -> list[str]:
    return sorted(
        os.path.join(folder, name)
        for name in os.listdir(folder)
        if name.startswith("records-") and name.endswith(".json")
    )
