"""Exact duplicates: lines or documents that come more than once, anywhere in a corpus of any size.

`find_duplicates` goes through the hashes of all parts, a range of values at a time: what is equal
falls into the same range, whichever part it is in. Memory depends on neither the parts nor the
corpus.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from deeq_bert.corpus.column_files import damaged
from deeq_bert.corpus.deduplication import (
    DUPLICATE,
    NUM_HASHES,
    REPEATED,
    REPEATED_FIRST,
    DecisionFile,
    Entries,
    HashFile,
)

# The most that an entry takes while its range is worked on, with all temporary arrays; measured.
_MEMORY_OF_AN_ENTRY = 64
# By the decision on the first of equal entries, that on the others.
_CODE_OF_REST = np.array([DUPLICATE, DUPLICATE, REPEATED, REPEATED], dtype=np.uint8)


class RepeatedLines(NamedTuple):
    """When a line is boilerplate and goes everywhere, its first occurrence too.

    Attributes:
      min_count: How often it comes at least.
      min_documents: In how many documents at least.
    """

    min_count: int
    min_documents: int


class RepeatedEntry(NamedTuple):
    """A line or document that comes more than once.

    Attributes:
      count: How often.
      num_groups: In how many documents.
      part: The part of its first occurrence.
      index: The index of that in the part.
    """

    count: int
    num_groups: int
    part: int
    index: int


@dataclasses.dataclass
class DuplicateSummary:
    """What `find_duplicates` found.

    Attributes:
      num_entries: How many lines or documents took part.
      num_distinct: How many different ones.
      num_duplicates: How many are DUPLICATE.
      num_repeated: How many are REPEATED.
      most_repeated: What comes most often, in descending order.
    """

    num_entries: int = 0
    num_distinct: int = 0
    num_duplicates: int = 0
    num_repeated: int = 0
    most_repeated: list[RepeatedEntry] = dataclasses.field(default_factory=list)


def find_duplicates(
    paths: Sequence[str],
    decision_paths: Sequence[str],
    memory_mb: float,
    *,
    dropped: Callable[[int], np.ndarray | None] = lambda part: None,
    takes_part: Sequence[bool] | None = None,
    repeated: RepeatedLines | None = None,
    num_most_repeated: int = 0,
) -> DuplicateSummary:
    """Decides which lines or documents of a corpus go, and writes that for each part.

    Of what is equal the first is kept, in the order of the parts and then of the index; the others
    are DUPLICATE. If it comes as often as `repeated` says, the first is REPEATED_FIRST and the
    others are REPEATED. Nothing depends on `memory_mb`.

    Args:
      paths: For each part, what `write_hashes` wrote.
      decision_paths: For each part, where its decisions go (see `read_decisions`).
      memory_mb: About how many megabytes of memory to take. Less makes for more passes: one for
        every megabyte to 16,000 entries. What a part holds of one hash must fit anyway.
      dropped: Returns, by the index of a part, for each of its documents whether it is dropped
        already. Their lines are kept here and count for nothing. None stands for no document.
      takes_part: For each part, whether it is looked at; all of a part that is not is kept and
        counts for nothing.
      repeated: When an entry is boilerplate; None for never.
      num_most_repeated: How many the summary lists.

    Raises:
      InputError: A file cannot be read or written, or is damaged.
    """
    parts = [
        _Part(index, hashes, DecisionFile(decision_path, hashes.num_entries), dropped)
        for index, (hashes, decision_path) in enumerate(
            zip(map(HashFile, paths), decision_paths, strict=True)
        )
    ]
    taking_part = [
        part
        for part in parts
        if part.hashes.num_entries and (takes_part is None or takes_part[part.index])
    ]
    finder = _Finder(repeated, num_most_repeated)
    needed = sum(part.hashes.num_entries for part in taking_part) * _MEMORY_OF_AN_ENTRY
    num_ranges = max(1, math.ceil(needed / (memory_mb * 1e6)))
    for number in range(num_ranges):
        low = number * NUM_HASHES // num_ranges
        high = (number + 1) * NUM_HASHES // num_ranges - 1
        finder.decide(taking_part, low, high)
    for part in parts:
        part.decisions.finish()
    return finder.summary


class _Part:
    """A part, with what is decided on it."""

    def __init__(
        self,
        index: int,
        hashes: HashFile,
        decisions: DecisionFile,
        dropped: Callable[[int], np.ndarray | None],
    ):
        self.index = index
        self.hashes = hashes
        self.decisions = decisions
        self._dropped = dropped

    def runs(self, low: int, high: int) -> "_Runs | None":
        """Returns what the part has in a range of hashes, or None if that is nothing."""
        entries = self.hashes.entries(low, high)
        dropped = self._dropped(self.index) if len(entries.hashes) else None
        if dropped is not None and dropped.any():
            if entries.groups.max() >= len(dropped):
                raise damaged(self.hashes.path)
            left = ~dropped.astype(bool)[entries.groups]
            entries = Entries(*(column[left] for column in entries))
        return _Runs(entries) if len(entries.hashes) else None


class _Runs:
    """What a part has in a range of hashes: a run for each hash, of entries in their order."""

    def __init__(self, entries: Entries):
        hashes, groups = entries.hashes, entries.groups
        is_first = _starts_run(hashes)
        self.indices = entries.indices
        self.starts = np.flatnonzero(is_first)
        self.hashes = hashes[self.starts]
        self.counts = np.diff(self.starts, append=len(hashes)).astype(np.uint32)
        # As groups ascend within a run, a document begins wherever another one ended.
        is_first[1:] |= groups[1:] != groups[:-1]
        self.num_groups = np.add.reduceat(is_first, self.starts, dtype=np.uint32)

    def columns(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Returns for each run its hash, its entries, their documents and the first's index."""
        return self.hashes, self.counts, self.num_groups, self.indices[self.starts]

    def decisions(self, codes: np.ndarray) -> np.ndarray:
        """Returns the decision on each entry, by the code of its run (see `_Finder`)."""
        decisions = np.repeat(_CODE_OF_REST[codes], self.counts)
        decisions[self.starts] = codes
        return decisions


class _Range:
    """What all parts have in a range of hashes.

    Attributes:
      parts: The parts that have something there.
      ends: Where their runs end when all are put in a row, after a 0.
      order: The places of the runs in that row, sorted by hash and then by part.
      starts: Where in `order` another hash begins; the rest has a value for each different hash.
      hashes: uint64.
      counts: How many entries have it.
      num_groups: In how many documents.
    """

    def __init__(self, parts: Sequence[_Part], low: int, high: int):
        columns: list[tuple[np.ndarray, ...]] = []
        self.parts: list[_Part] = []
        self.ends = [0]
        for part in parts:
            if (runs := part.runs(low, high)) is not None:
                columns.append(runs.columns())
                self.parts.append(part)
                self.ends.append(self.ends[-1] + len(runs.hashes))
        if not columns:
            columns = [(np.zeros(0, dtype=np.uint64), *(np.zeros(0, dtype=np.uint32),) * 3)]
        hashes, counts, num_groups, self._first_indices = map(np.concatenate, zip(*columns))
        columns.clear()
        self.order = np.argsort(hashes, kind="stable").astype(np.uint32)
        hashes = hashes[self.order]
        self.starts = np.flatnonzero(_starts_run(hashes)).astype(np.uint32)
        self.hashes = hashes[self.starts]
        del hashes
        if len(self.order):
            counts = np.add.reduceat(counts[self.order], self.starts, dtype=np.int64)
            num_groups = np.add.reduceat(num_groups[self.order], self.starts, dtype=np.int64)
        self.counts = counts
        self.num_groups = num_groups

    def most_repeated(self, number: int) -> list[RepeatedEntry]:
        """Returns what comes most often, and more than once, in the order of `_most_first`."""
        number = min(number, len(self.counts))
        if not number:
            return []
        least = max(2, int(np.partition(self.counts, -number)[-number]))
        rows = np.flatnonzero(self.counts >= least)
        firsts = self.order[self.starts[rows]]
        places = np.searchsorted(self.ends, firsts, side="right") - 1
        indices = self._first_indices[firsts]
        return [
            RepeatedEntry(
                int(self.counts[rows[best]]),
                int(self.num_groups[rows[best]]),
                self.parts[places[best]].index,
                int(indices[best]),
            )
            for best in np.lexsort((indices, places, -self.counts[rows]))[:number]
        ]


def _most_first(entry: RepeatedEntry) -> tuple[int, int, int]:
    return -entry.count, entry.part, entry.index


class _Finder:
    """Decides on ranges of hashes.

    The code of a run of equal entries in a part is the decision on the first of them; the others
    get what _CODE_OF_REST has for it.
    """

    def __init__(
        self,
        repeated: RepeatedLines | None,
        num_most_repeated: int,
    ):
        self.summary = DuplicateSummary()
        self._repeated = repeated
        self._num_most_repeated = num_most_repeated

    def decide(self, parts: Sequence[_Part], low: int, high: int) -> None:
        """Decides on the hashes from `low` to `high` in all parts."""
        found = _Range(parts, low, high)
        summary = self.summary
        summary.num_entries += int(found.counts.sum())
        summary.num_distinct += len(found.counts)
        most = [*summary.most_repeated, *found.most_repeated(self._num_most_repeated)]
        summary.most_repeated = sorted(most, key=_most_first)[: self._num_most_repeated]
        present, ends, codes = found.parts, found.ends, self._codes(found)
        del found
        # The parts are read once more: all their entries need not be in memory at once.
        for part, begin, end in zip(present, ends, ends[1:]):
            self._apply(part, part.runs(low, high), codes[begin:end])

    def _codes(self, found: _Range) -> np.ndarray:
        """Returns the codes of the runs, in the order of the parts."""
        decisions = np.zeros(len(found.counts), dtype=np.uint8)
        if self._repeated is not None:
            often = found.counts >= self._repeated.min_count
            widely = found.num_groups >= self._repeated.min_documents
            decisions[often & widely] = REPEATED_FIRST
        lengths = np.diff(found.starts, append=np.uint32(len(found.order)))
        sorted_codes = np.repeat(_CODE_OF_REST[decisions], lengths)
        sorted_codes[found.starts] = decisions
        codes = np.empty_like(sorted_codes)
        codes[found.order] = sorted_codes
        return codes

    def _apply(self, part: _Part, runs: _Runs | None, codes: np.ndarray) -> None:
        """Writes the decisions on the entries of a part."""
        if runs is None or len(runs.hashes) != len(codes):
            raise ValueError(f"part {part.index} changed while it was worked on")
        decisions = runs.decisions(codes)
        going = np.flatnonzero(decisions)
        if not len(going):
            return
        decisions = decisions[going]
        numbers = np.bincount(decisions, minlength=len(_CODE_OF_REST))
        self.summary.num_duplicates += int(numbers[DUPLICATE])
        self.summary.num_repeated += int(numbers[REPEATED] + numbers[REPEATED_FIRST])
        part.decisions.enter(runs.indices[going], decisions)


def _starts_run(sorted_values: np.ndarray) -> np.ndarray:
    """Returns for each value whether it is another than the one before."""
    is_first = np.ones(len(sorted_values), dtype=bool)
    np.not_equal(sorted_values[1:], sorted_values[:-1], out=is_first[1:])
    return is_first
