"""Reads every record of a file of records, checks it, and sums up.

What is wrong is no error here but what is looked for. Memory does not grow with the file: records
are read in blocks, and of what is wrong only the first of each kind are told.
"""

import collections
import dataclasses
import functools
import hashlib
import os
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from deeq_bert.bert.example_arrays import decode_examples
from deeq_bert.bert.example_checks import (
    ExampleSums,
    Expectations,
    KnownIds,
    check_examples,
    sum_up,
)
from deeq_bert.bert.examples import FEATURE_NAMES, UNMASKED_FEATURE_NAMES, decode_example
from deeq_bert.bert.record_blocks import read_blocks
from deeq_bert.bert.record_info import info_path, read_info, read_set_info, shard_name
from deeq_bert.bert.record_making import LENGTH_RANGES
from deeq_bert.bert.records import FileScan, RecordError, scan_file
from deeq_bert.tokenizers.errors import InputError

# A block is what fits, and at least one record.
_BLOCK_BYTES = 2 * 1024 * 1024
_READ_BYTES = 1024 * 1024
_WEIGHTS = "masked_lm_weights"
# So many of a kind are told by themselves.
_TOLD = 3


class InspectionRules(NamedTuple):
    """What all files are checked against.

    Attributes:
      num_ids: How many ids the vocabulary has; None where it is not at hand.
      ids: Those of its special tokens; None where it is not at hand.
    """

    num_ids: int | None
    ids: KnownIds | None


@dataclasses.dataclass
class FileReport:
    """What was found in a file.

    Attributes:
      path: The file.
      bytes: Its size.
      features: How many values each feature of its records has; empty where there is none.
      sums: What its sound records sum to.
      problems: What is wrong, a sentence each that names the file.
      problem_records: How many records are not sound.
      info: What stands beside it, if that is about it.
    """

    path: str
    bytes: int = 0
    features: dict[str, int] = dataclasses.field(default_factory=dict)
    sums: ExampleSums = dataclasses.field(default_factory=ExampleSums)
    problems: list[str] = dataclasses.field(default_factory=list)
    problem_records: int = 0
    info: dict[str, Any] | None = None


def length_counts(lengths: Sequence[int]) -> list[int]:
    """Returns how many records there are of each of LENGTH_RANGES ranges of lengths.

    Args:
      lengths: How many there are of 0, 1, 2 ... up to max_seq_length tokens.
    """
    counts = [0] * LENGTH_RANGES
    for length, count in enumerate(lengths[1:]):
        counts[length * LENGTH_RANGES // (len(lengths) - 1)] += count
    return counts


def inspect_file(rules: InspectionRules, path: str) -> FileReport:
    """Reads a file of records and says what is wrong with it, and what it sums up to."""
    report = FileReport(path)
    try:
        report.bytes = os.path.getsize(path)
        report.info = read_info(path)
        if report.info is None and os.path.exists(info_path(path)):
            report.problems.append(
                f"{info_path(path)} is not about {path}, which has {report.bytes:,} bytes."
            )
    except OSError as error:
        report.problems.append(f"Cannot read {path}: {error.strerror}.")
        return report
    except InputError as error:
        report.problems.append(str(error))
    try:
        inspector, scan = _read(report, rules)
    except RecordError as error:
        report.problems.append(str(error))
        return report
    except OSError as error:
        report.problems.append(f"Cannot read {path}: {error.strerror}.")
        return report
    inspector.report_problems(scan)
    if not scan.count and not scan.bad_records:
        report.problems.append(f"{path}: there is not one record in it.")
    if report.info is not None:
        report.problems.extend(_differences_from_info(report, report.info))
    return report


def inspect_sets(reports: Iterable[FileReport]) -> Iterator[str]:
    """Yields what is wrong with the sets that files are shards of, each taken as a whole.

    Raises:
      InputError: What stands beside a set cannot be read.
    """
    by_set: dict[tuple[str, int], list[FileReport]] = collections.defaultdict(list)
    for report in reports:
        shard = shard_name(report.path)
        if shard and report.features:
            by_set[shard.set_path, shard.count].append(report)
    for (set_path, count), shards in by_set.items():
        whole = FileReport(set_path, features=shards[0].features)
        for report in shards:
            if report.features != whole.features:
                yield (
                    f"{shards[0].path} and {report.path} are shards of one set, but the features "
                    f"of the one have {_lengths(whole)} values and of the other {_lengths(report)}."
                )
                break
            whole.bytes += report.bytes
            whole.sums.add(report.sums)
            whole.problem_records += report.problem_records
        else:
            info = read_set_info(set_path)
            if info and info.get("num_shards") == count == len(shards):
                yield from _differences_from_info(whole, info)


def _lengths(report: FileReport) -> str:
    return ", ".join(str(length) for length in report.features.values())


def _read(report: FileReport, rules: InspectionRules) -> tuple["_Inspector", FileScan]:
    """Checks all records of a file, and returns what has noted the faults, and what the file is."""
    inspector = _Inspector(report, rules)
    try:
        for block in read_blocks(report.path):
            inspector.take_block(*block)
        return inspector, FileScan(inspector.passed)
    except RecordError:
        pass
    # From the start again, in a way that is slower and tells what is damaged.
    report.sums = ExampleSums()
    inspector = _Inspector(report, rules)
    with open(report.path, "rb") as file:
        scan = scan_file(report.path, True, functools.partial(inspector.take, file))
    return inspector, scan


class _Inspector:
    """Checks the records of a file as they are passed, and keeps what is wrong with them."""

    def __init__(self, report: FileReport, rules: InspectionRules) -> None:
        info = report.info or {}
        self._report = report
        self._expected = Expectations(
            _num_ids(info) if rules.num_ids is None else rules.num_ids,
            rules.ids,
            _number(info, "masked_lm_prob"),
            info.get("mask_unit"),
        )
        self._mask_id = rules.ids.mask_id if rules.ids else None
        # How many undamaged records were checked.
        self.passed = 0
        # By kind, what is wrong: where among the undamaged records, and a sentence about it.
        self._told: dict[str, list[tuple[int, str]]] = collections.defaultdict(list)
        self._counts: collections.Counter[str] = collections.Counter()

    def take(self, file: BinaryIO, offsets: array, lengths: array) -> None:
        """Checks the records at some places of the file, which are the next."""
        starts = np.array(offsets, np.int64)
        ends = starts + np.array(lengths, np.int64)
        first = 0
        while first < len(starts):
            fitting = int(np.searchsorted(ends, starts[first] + _BLOCK_BYTES, "right"))
            last = max(fitting, first + 1)
            block_start, block_end = int(starts[first]), int(ends[last - 1])
            file.seek(block_start)
            data = file.read(block_end - block_start)
            if len(data) < block_end - block_start:
                raise RecordError(f"{self._report.path} has become shorter while it was read.")
            self.take_block(data, starts[first:last] - block_start, ends[first:last] - block_start)
            first = last

    def report_problems(self, scan: FileScan) -> None:
        """Tells what is wrong with records, now that it is known which are damaged."""
        path, problems = self._report.path, self._report.problems
        if scan.skipped:
            problems.extend(_damage(scan))
            self._report.problem_records += scan.skipped.count
        for kind, told in self._told.items():
            for index, sentence in told:
                number = _number_in_file(index, scan.bad_records)
                problems.append(f"{path}, record {number}: {sentence}.")
            if self._counts[kind] > len(told):
                more = self._counts[kind] - len(told)
                problems.append(f"{path}: {more:,} more such records: {kind}.")
        self._report.problem_records += sum(self._counts.values())

    def take_block(self, data: bytes, starts: np.ndarray, ends: np.ndarray) -> None:
        """Checks the next records: the parts of `data` that these places bound."""
        usual = np.zeros(len(starts), bool)
        if not self._report.features:
            self._find_features(data, starts, ends)
        if self._report.features:
            values, usual = decode_examples(data, starts, ends, self._report.features)
            self._check(values, self.passed + np.flatnonzero(usual))
        indexes, rows = [], []
        for row in np.flatnonzero(~usual):
            features = self._decode(data[starts[row] : ends[row]], self.passed + int(row))
            if features is not None:
                indexes.append(self.passed + int(row))
                rows.append(features)
        if rows:
            self._check(
                {
                    name: np.array(
                        [features[name] for features in rows],
                        np.float64 if name == _WEIGHTS else np.int64,
                    )
                    for name in self._report.features
                },
                np.array(indexes),
            )
        self.passed += len(starts)

    def _find_features(self, data: bytes, starts: np.ndarray, ends: np.ndarray) -> None:
        """Takes from the first record that tells it what all should have."""
        for start, end in zip(starts, ends):
            try:
                features = decode_example(data[start:end])
            except ValueError:
                continue
            names = UNMASKED_FEATURE_NAMES if "token_units" in features else FEATURE_NAMES
            if all(features.get(name) for name in names):
                self._report.features = {name: len(features[name]) for name in names}
                return

    def _decode(self, data: bytes, index: int) -> dict[str, list] | None:
        """Returns the values of a record that is not as usual, or notes why it has none."""
        try:
            features = decode_example(data)
        except ValueError as error:
            self._note("it must be a tf.train.Example", [index], [str(error)])
            return None
        for name, length in (self._report.features or dict.fromkeys(FEATURE_NAMES, 1)).items():
            found = features.get(name, [])
            kind = float if name == _WEIGHTS else int
            if len(found) != length or not all(isinstance(value, kind) for value in found):
                self._note(
                    f"{name} must be {length} {'floats' if kind is float else 'integers'}",
                    [index],
                    [f"there are {len(found)} values" if found else "there is none"],
                )
                return None
        return features

    def _check(self, values: Mapping[str, np.ndarray], indexes: np.ndarray) -> None:
        sound = np.ones(len(indexes), bool)
        for fault in check_examples(values, self._expected):
            self._note(fault.kind, indexes[fault.rows], map(fault.detail, fault.rows))
            sound[fault.rows] = False
        if not sound.all():
            values = {name: array[sound] for name, array in values.items()}
        self._report.sums.add(sum_up(values, self._mask_id))

    def _note(self, kind: str, indexes: Sequence[int], details: Iterable[str]) -> None:
        """Notes what is wrong with some records, of which `details` has a sentence each."""
        told = self._told[kind]
        for index, detail in zip(indexes[: _TOLD - len(told)], details):
            told.append((int(index), f"{kind}; {detail}"))
        self._counts[kind] += len(indexes)


def _number_in_file(index: int, bad_records: Sequence[int]) -> int:
    """Returns the number, counted from 1, of an undamaged record, counted from 0."""
    number = index + 1
    for bad_number in bad_records:
        number += bad_number <= number
    return number


def _damage(scan: FileScan) -> Iterator[str]:
    skipped = scan.skipped
    yield f"{skipped.path}, record {skipped.first_record}: {skipped.reason}."
    if skipped.count > 1:
        others = ", ".join(map(str, scan.bad_records[1 : 1 + _TOLD]))
        yield (
            f"{skipped.path}: {skipped.count - 1:,} more damaged records: {others}"
            f"{' ...' if skipped.count - 1 > _TOLD else ''}."
        )
    if skipped.lost_bytes:
        yield (
            f"{skipped.path}: its last {skipped.lost_bytes:,} bytes could not be read, since where "
            "the next record starts is not known."
        )


def _num_ids(info: Mapping[str, Any]) -> int | None:
    for value in (info.get("num_ids"), info.get("tokenizer", {}).get("vocab_size")):
        if type(value) is int:
            return value
    return None


def _number(info: Mapping[str, Any], name: str) -> float | None:
    value = info.get(name)
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _differences_from_info(report: FileReport, info: Mapping[str, Any]) -> Iterator[str]:
    """Yields what the information about a file tells otherwise than the file."""
    sums = report.sums
    found: dict[str, Any] = {
        "bytes": report.bytes,
        "records": sums.records + report.problem_records,
    }
    if report.features:
        found["max_seq_length"] = report.features["input_ids"]
        found["dynamic_masking"] = "token_units" in report.features
        if _WEIGHTS in report.features:
            found["max_predictions_per_seq"] = report.features[_WEIGHTS]
    # Of records that cannot be read, it is not known what they would add.
    if not report.problem_records:
        found["instance_tokens"] = sums.instance_tokens
        found["random_next"] = sums.random_next
        found["length_counts"] = length_counts(sums.lengths)
        if _WEIGHTS in report.features:
            found["predictions"] = sums.predictions
    # A set has none as a whole.
    if "sha256" in info and "shards" not in info:
        found["sha256"] = _sha256(report.path)
    for name, value in found.items():
        if name in info and info[name] != value:
            yield (
                f"{info_path(report.path)} gives {name} as {info[name]}, but {report.path} has "
                f"{value}."
            )


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while part := file.read(_READ_BYTES):
            digest.update(part)
    return digest.hexdigest()
