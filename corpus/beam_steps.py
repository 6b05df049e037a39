"""The steps of cleaning as Apache Beam runs them, each on a part of the corpus or a range of it.

A step reads and writes the same files of the work folder as the processes of clean_corpus.py, by
the same functions. Through Beam itself go only numbers of parts, hashes and decisions. Doing a step
twice, as runners do after a failure, does no harm: every file appears whole, and is the same.
"""

import itertools
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np

from deeq_bert.corpus import part_cleaning, writing
from deeq_bert.corpus.accounting import FIGURES, Account
from deeq_bert.corpus.deduplication import (
    DUPLICATE,
    NUM_HASHES,
    Entries,
    HashFile,
    read_decisions,
    read_hashes,
    write_decisions,
    write_hashes,
)
from deeq_bert.corpus.exact_duplicates import RepeatedEntry, RepeatedLines, find_duplicates
from deeq_bert.corpus.planning import Part
from deeq_bert.corpus.sources import Source
from deeq_bert.corpus.work_folder import part_file, write_marker
from deeq_bert.tokenizers.beam_jobs import count, do_noting_errors

# What a part has in a range of hashes, as bytes of arrays, which Beam passes on at no cost: the
# number of the part, hashes, indices and groups (see deduplication.Entries).
Piece = tuple[int, bytes, bytes, bytes]
# What is decided in a part: the indices of lines or documents, and a decision for each.
Decided = tuple[bytes, bytes]

MOST_REPEATED_MARKER = "most_repeated.json"


class CleanPart(beam.DoFn):
    """Cleans parts, unless an earlier run did, and yields their numbers."""

    def __init__(self, sources: tuple[Source, ...], settings: part_cleaning.PartSettings):
        self._sources = sources
        self._settings = settings
        self._cleaner: part_cleaning.PartCleaner | None = None

    def setup(self) -> None:
        self._cleaner = part_cleaning.PartCleaner(self._sources, self._settings)

    def process(self, part: Part) -> Iterator[int]:
        def clean() -> Account:
            if part_cleaning.finished_part(folder, part.index) is None:
                self._cleaner.clean(part)
            return part_cleaning.part_account(folder, part.index, self._settings.num_samples)

        folder = self._settings.folder
        account = do_noting_errors(folder, f"part-{part.index:05d}", clean)
        if account is not None:
            _count(account)
            yield part.index


class CutIntoRanges(beam.DoFn):
    """Yields the hashes of the documents or lines of parts, cut into ranges, by their numbers."""

    def __init__(self, folder: str, kind: str, takes_part: Sequence[bool], num_ranges: int):
        """Sets what is cut.

        Args:
          folder: The work folder.
          kind: part_cleaning.DOCUMENTS or LINES; of the latter, those of documents that are
            dropped are left out.
          takes_part: For each part, whether it is de-duplicated.
          num_ranges: How many ranges there are.
        """
        self._folder = folder
        self._kind = kind
        self._takes_part = takes_part
        self._num_ranges = num_ranges

    def process(self, part: int) -> Iterator[tuple[int, Piece]]:
        if not self._takes_part[part]:
            return
        entries = self._entries(part)
        bounds = [number * NUM_HASHES // self._num_ranges for number in range(1, self._num_ranges)]
        cuts = np.searchsorted(entries.hashes, np.array(bounds, dtype=np.uint64))
        ends = [0, *cuts.tolist(), len(entries.hashes)]
        for number, (begin, end) in enumerate(itertools.pairwise(ends)):
            if begin < end:
                yield number, (part, *(column[begin:end].tobytes() for column in entries))

    def _entries(self, part: int) -> Entries:
        entries = read_hashes(part_file(self._folder, part, self._kind))
        if self._kind == part_cleaning.LINES:
            dropped = read_decisions(part_file(self._folder, part, writing.DOCUMENT_DECISIONS)) != 0
            left = ~dropped[entries.groups]
            entries = Entries(*(column[left] for column in entries))
        return entries


class DecideRange(beam.DoFn):
    """Decides on all documents or lines of a range of hashes, and yields what goes, by part.

    Beside that it yields what comes most often, as MOST_REPEATED.
    """

    MOST_REPEATED = "most_repeated"

    def __init__(self, memory_mb: int, repeated: RepeatedLines | None, num_most_repeated: int):
        self._memory_mb = memory_mb
        self._repeated = repeated
        self._num_most_repeated = num_most_repeated

    def process(self, element: tuple[int, Iterable[Piece]]) -> Iterator[Any]:
        pieces = sorted(element[1], key=lambda piece: piece[0])
        parts, hashes, indices, groups = _in_order_of_the_corpus(pieces)
        with tempfile.TemporaryDirectory() as folder:
            hash_path = os.path.join(folder, "hashes")
            decision_path = os.path.join(folder, "decisions")
            write_hashes(hash_path, hashes, groups)
            summary = find_duplicates(
                [hash_path],
                [decision_path],
                self._memory_mb,
                repeated=self._repeated,
                num_most_repeated=self._num_most_repeated,
            )
            decisions = read_decisions(decision_path)
        ends = np.flatnonzero(np.diff(parts, append=-1)) + 1
        for begin, end in itertools.pairwise([0, *ends.tolist()]):
            going = np.flatnonzero(decisions[begin:end]) + begin
            if len(going):
                found = indices[going].tobytes(), decisions[going].tobytes()
                yield int(parts[begin]), found
        for entry in summary.most_repeated:
            place = int(parts[entry.index]), int(indices[entry.index])
            yield beam.pvalue.TaggedOutput(
                self.MOST_REPEATED, (-entry.count, *place, entry.num_groups)
            )


class WriteDecisions(beam.DoFn):
    """Writes what was decided in parts, and yields their numbers."""

    def __init__(self, folder: str, kind: str, decision_kind: str):
        """Sets what is written.

        Args:
          folder: The work folder.
          kind: The hashes that were decided on, part_cleaning.DOCUMENTS or LINES.
          decision_kind: What the file of decisions is.
        """
        self._folder = folder
        self._kind = kind
        self._decision_kind = decision_kind

    def process(self, element: tuple[int, dict[str, Iterable[Decided]]]) -> Iterator[int]:
        part, grouped = element
        hashes = HashFile(part_file(self._folder, part, self._kind))
        decisions = np.zeros(hashes.num_entries, dtype=np.uint8)
        for indices, codes in grouped["decided"]:
            decisions[np.frombuffer(indices, dtype=np.uint32)] = np.frombuffer(codes, np.uint8)

        def write() -> bool:
            write_decisions(part_file(self._folder, part, self._decision_kind), decisions)
            return True

        if do_noting_errors(self._folder, f"part-{part:05d}", write):
            num_duplicates = int(np.count_nonzero(decisions == DUPLICATE))
            count(f"duplicate_{self._kind}", num_duplicates)
            count(f"repeated_{self._kind}", int(np.count_nonzero(decisions)) - num_duplicates)
            yield part


class WriteMostRepeated(beam.DoFn):
    """Writes what comes most often in the corpus."""

    def __init__(self, folder: str):
        self._folder = folder

    def process(self, entries: list[tuple[int, int, int, int]]) -> None:
        repeated = [
            RepeatedEntry(-negated, num_groups, part, index)
            for negated, part, index, num_groups in entries
        ]
        path = os.path.join(self._folder, MOST_REPEATED_MARKER)
        write_marker(path, {"entries": [list(entry) for entry in repeated]})


class WriteShard(beam.DoFn):
    """Writes text files."""

    def __init__(self, sources: tuple[Source, ...], settings: writing.WriteSettings):
        self._sources = sources
        self._settings = settings
        self._writer: writing.ShardWriter | None = None

    def setup(self) -> None:
        self._writer = writing.ShardWriter(self._sources, self._settings)

    def process(self, shard: writing.Shard) -> None:
        folder = self._settings.folder

        def write() -> dict[int, Account]:
            self._writer.write(shard)
            return writing.shard_accounts(folder, shard.index, self._settings.num_samples)

        accounts = do_noting_errors(folder, f"shard-{shard.index:05d}", write) or {}
        for account in accounts.values():
            _count(account)


def _in_order_of_the_corpus(pieces: Sequence[Piece]) -> tuple[np.ndarray, ...]:
    """Returns for each entry its part, its hash, its index, and a number for its document."""
    columns = []
    for part, *content in pieces:
        hashes, indices, groups = map(np.frombuffer, content, (np.uint64, np.uint32, np.uint32))
        order = np.argsort(indices)
        parts = np.full(len(order), part, dtype=np.int64)
        columns.append((parts, hashes[order], indices[order], groups[order]))
    parts, hashes, indices, groups = map(np.concatenate, zip(*columns))
    is_next = (parts[1:] != parts[:-1]) | (groups[1:] != groups[:-1])
    numbers = np.concatenate([[0], np.cumsum(is_next)]).astype(np.uint32)
    return parts, hashes, indices, numbers


def _count(account: Account) -> None:
    for name in FIGURES:
        if number := getattr(account, name):
            count(name, number)
    if num_broken := sum(number for number, _ in account.broken.values()):
        count("broken_records", num_broken)
    for name, rule in account.rules.items():
        for what in ("changed", "removed_lines", "removed_documents"):
            if number := getattr(rule, what):
                count(f"{name}.{what}", number)
