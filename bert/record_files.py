"""Finds the files of records that flags name, and looks at their first records.

Reading all records of a large corpus takes minutes; most mistakes show in the first ones.
"""

import os
from collections.abc import Sequence
from typing import NamedTuple

from absl import logging

from deeq_bert.bert.phases import Phase
from deeq_bert.bert.record_info import without_info_files
from deeq_bert.bert.records import FileScan, RecordError, RecordSet, read_records
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import expand_patterns

# Of each flag so many files are looked into.
_LOOKED_INTO = 8
# The length of a record and the checksum of that come before its data.
_DATA_OFFSET = 12


class RecordFiles(NamedTuple):
    """The files of the records of a phase.

    Attributes:
      train: Those to train on; None where they are not needed.
      held_out: Those to evaluate on; None where there are none.
    """

    train: list[str] | None
    held_out: list[str] | None

    @property
    def all(self) -> list[str]:
        """All of them."""
        return [*(self.train or []), *(self.held_out or [])]


def find_record_files(phase: Phase, train: bool, held_out: bool) -> RecordFiles:
    """Finds the files of a phase. Without held-out records those to train on serve.

    Args:
      phase: Names them.
      train: Whether those to train on are needed.
      held_out: Whether those to evaluate on are.

    Raises:
      InputError: There are none, or one is no regular file.
    """
    train_files = held_out_files = None
    if train or not phase.eval_input_file:
        train_files = held_out_files = find_files("input_file", phase.input_file)
    if phase.eval_input_file and held_out:
        held_out_files = find_files("eval_input_file", phase.eval_input_file)
    return RecordFiles(train_files, held_out_files)


def first_records(files: Sequence[str]) -> RecordSet:
    """Returns the first record of each of the first files, if it is whole."""
    paths, lengths = [], []
    for path in files[:_LOOKED_INTO]:
        try:
            data = next(read_records(path), None)
        except RecordError:
            # That is told when all are read, or left out then.
            continue
        if data is not None:
            paths.append(path)
            lengths.append(len(data))
    return RecordSet(paths, [_DATA_OFFSET] * len(paths), lengths, [FileScan(1)] * len(paths))


def find_files(flag: str, patterns: str) -> list[str]:
    """Finds files of records, and leaves out what stands beside them (see `record_info`).

    Args:
      flag: The flag that names them.
      patterns: Its value.

    Raises:
      InputError: There are none, or one is no regular file.
    """
    files, unmatched = expand_patterns(patterns)
    if not files:
        raise InputError(
            f"No file matches --{flag}={patterns}. Expected TFRecord files, as "
            "create_pretraining_data.py writes them; put quotes around patterns."
        )
    files = without_info_files(files)
    for pattern in unmatched:
        logging.warning("No file matches %s in --%s.", pattern, flag)
    if len(set(files)) < len(files):
        logging.warning("--%s names some files more than once; they count as often.", flag)
    for file in files:
        if not os.path.isfile(file):
            raise InputError(
                f"--{flag}: {file} is not a regular file, and cannot be read at random."
            )
    return files
