"""Many records that take no room: sparse files and an index that says they are full."""

import os
import pathlib
from collections.abc import Iterable, Iterator

import numpy as np

from deeq_bert.bert import record_index_files
from deeq_bert.bert.record_index_files import FileState, KeepRows
from deeq_bert.bert.records import FileScan, frame_record

# About what 128 tokens take; 12 bytes stand before the data and 4 behind it.
RECORD_BYTES = 720


def fabricate(
    folder: pathlib.Path,
    index_folder: pathlib.Path,
    file_count: int,
    records_a_file: int,
    written: Iterable[int],
) -> list[str]:
    """Makes files that hold a few records, in their places, and an index of many more.

    Args:
      folder: Where the files go.
      index_folder: Where the index goes.
      file_count: How many files.
      records_a_file: How many records the index says each has.
      written: The indexes of those that are there; the rest is zeros.

    Returns:
      The paths of the files.
    """
    paths = [str(folder / f"part-{number:05}.tfrecord") for number in range(file_count)]
    for path in paths:
        with open(path, "wb") as file:
            file.truncate(records_a_file * RECORD_BYTES)
    for index in written:
        file_number, number = divmod(index, records_a_file)
        with open(paths[file_number], "r+b") as file:
            file.seek(number * RECORD_BYTES)
            file.write(frame_record(data_of(index)))
    offsets = np.arange(records_a_file, dtype=np.int64) * RECORD_BYTES + 12
    lengths = np.full(records_a_file, RECORD_BYTES - 16, np.uint32)

    def fill(keep: KeepRows) -> Iterator[FileScan]:
        for _ in paths:
            keep(offsets.data, lengths.data)
            yield FileScan(records_a_file)

    os.makedirs(index_folder, exist_ok=True)
    record_index_files.write(str(index_folder), [FileState.of(path) for path in paths], fill)
    return paths


def data_of(index: int) -> bytes:
    """Returns the data of the fabricated record `index`."""
    return b"%0*d" % (RECORD_BYTES - 16, index)
