"""Near-duplicates: documents that an earlier one of the corpus resembles, found by signatures.

Candidates are documents whose signatures agree in a whole band of values; whole signatures then
tell how similar they are. Every document that is dropped is similar to a document that is kept and
comes earlier, its leader. Similarity is not passed on: if B resembles A, and C resembles B but not
A, then B is dropped and C is kept.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from deeq_bert.corpus.column_files import damaged
from deeq_bert.corpus.deduplication import DUPLICATE, NUM_HASHES, write_decisions
from deeq_bert.corpus.signatures import NUM_VALUES, Signatures, map_signatures, mix

# The share of pairs at the threshold that have no band in common.
_MISSED_BY_BANDS = 0.01
# How many standard errors an estimate may be under the threshold.
_TOLERANCE = 1.5
# Of documents with a band in common, so many are compared with all others; more than a few differ
# from one another only where the bands are short, for a threshold near 0.5.
_MAX_LEADERS_OF_A_BUCKET = 16
# The most that a document takes while its range of a band is worked on; measured.
_MEMORY_OF_AN_ENTRY = 64
_MEMORY_OF_A_PAIR = 9 * NUM_VALUES
_BLOCK_ROWS = 1 << 18
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_LEFT_OUT = np.uint32(0xFFFFFFFF)


class Cluster(NamedTuple):
    """Documents that resemble one, which is kept.

    Attributes:
      size: How many they are, with the one that is kept.
      members: The part and the index in the part of the first of them, beginning with the one that
        is kept.
    """

    size: int
    members: list[tuple[int, int]]


@dataclasses.dataclass
class NearDuplicateSummary:
    """What `find_near_duplicates` found.

    Attributes:
      num_documents: How many documents took part; the others are too short, or dropped already.
      num_duplicates: How many of them are near-duplicates.
      clusters: The largest clusters, in descending order.
    """

    num_documents: int
    num_duplicates: int
    clusters: list[Cluster]


class Banding(NamedTuple):
    """How signatures are searched.

    Attributes:
      num_bands: How many bands there are.
      num_rows: How many values each has.
      least_equal: How many values of two signatures must be equal.
    """

    num_bands: int
    num_rows: int
    least_equal: int


def banding(threshold: float) -> Banding:
    """Returns the longest bands that miss next to no pair of documents at the threshold.

    For a threshold of 0.8 these are 26 bands of 8 values. Of pairs of just that similarity 98% were
    found in tests/benchmarks/deduplication.py, of pairs at 0.75 43%, at 0.7 1%, at 0.85 all.
    """
    num_bands, num_rows = NUM_VALUES, 1
    for rows in range(1, NUM_VALUES + 1):
        agreeing = threshold**rows
        # How many bands it takes depends on the logarithm of what one misses.
        missed = math.log1p(-agreeing) if agreeing < 1 else -math.inf
        bands = math.ceil(max(1.0, math.log(_MISSED_BY_BANDS) / min(missed, -1e-9)))
        if bands * rows <= NUM_VALUES:
            num_bands, num_rows = bands, rows
    error = math.sqrt(threshold * (1 - threshold) / NUM_VALUES)
    least_equal = math.ceil(NUM_VALUES * (threshold - _TOLERANCE * error))
    return Banding(num_bands, num_rows, least_equal)


def find_near_duplicates(
    paths: Sequence[str],
    decision_paths: Sequence[str],
    threshold: float,
    memory_mb: float,
    *,
    dropped: Callable[[int], np.ndarray | None] = lambda part: None,
    takes_part: Sequence[bool] | None = None,
    num_clusters: int = 0,
    max_members: int = 10,
) -> NearDuplicateSummary:
    """Decides which documents of a corpus go as near-duplicates, and writes that for each part.

    Nothing depends on `memory_mb`.

    Args:
      paths: For each part, what `signatures.write_signatures` wrote.
      decision_paths: For each part, where its decisions go: DUPLICATE for each document that goes
        (see `deduplication.read_decisions`).
      threshold: The similarity from which on documents are near-duplicates, above 0 and up to 1.
      memory_mb: About how many megabytes of memory to take, beside 8 bytes for each document. Less
        makes for more passes over the signatures: `banding(threshold).num_bands` for every
        megabyte to 16,000 documents. The documents that share one band must fit anyway.
      dropped: Returns, by the index of a part, for each of its documents whether it is dropped
        already, and so is neither compared nor counted. None stands for no document.
      takes_part: For each part, whether it is looked at; all of a part that is not is kept.
      num_clusters: How many clusters the summary has.
      max_members: How many members of each are named.

    Raises:
      InputError: A file cannot be read or written, or is damaged.
    """
    corpus = _Corpus(paths)
    leaders = _first_leaders(corpus, dropped, takes_part)
    num_documents = int(np.count_nonzero(leaders != _LEFT_OUT))
    finder = _Finder(corpus, leaders, banding(threshold), num_documents, memory_mb * 1e6)
    finder.find()
    num_duplicates = 0
    for part, decision_path in enumerate(decision_paths):
        signatures = corpus.part(part)
        begin, end = corpus.rows(part)
        going = _dropped_rows(leaders, begin, end) - begin
        decisions = np.zeros(signatures.num_documents, dtype=np.uint8)
        decisions[signatures.documents[going]] = DUPLICATE
        write_decisions(decision_path, decisions)
        num_duplicates += len(going)
    clusters = _largest_clusters(corpus, leaders, num_clusters, max_members)
    return NearDuplicateSummary(num_documents, num_duplicates, clusters)


class _Corpus:
    """The signatures of all parts, in files that are open only while they are read.

    A row is the number of a document among all that have a signature.
    """

    def __init__(self, paths: Sequence[str]):
        self.num_parts = len(paths)
        self._paths = paths
        sizes = [len(map_signatures(path).documents) for path in paths]
        self._starts = np.cumsum([0, *sizes])

    @property
    def num_rows(self) -> int:
        return int(self._starts[-1])

    def rows(self, part: int) -> tuple[int, int]:
        """Returns the first row of a part, and the one after its last."""
        return int(self._starts[part]), int(self._starts[part + 1])

    def part(self, part: int) -> Signatures:
        """Returns the signatures of a part, which are read when they are looked at."""
        signatures = map_signatures(self._paths[part])
        begin, end = self.rows(part)
        if len(signatures.documents) != end - begin:
            raise damaged(self._paths[part])
        return signatures

    def values(self, rows: np.ndarray) -> np.ndarray:
        """Returns the values of some rows."""
        wanted, places = np.unique(rows, return_inverse=True)
        values = np.empty((len(wanted), NUM_VALUES), dtype=np.uint16)
        for part, places_of_part in self._by_part(wanted):
            rows_of_part = wanted[places_of_part] - np.uint32(self._starts[part])
            values[places_of_part] = self.part(part).values[rows_of_part]
        return values[places]

    def place(self, row: int) -> tuple[int, int]:
        """Returns the part of a row, and the index of its document in that."""
        part = int(np.searchsorted(self._starts, row, side="right")) - 1
        return part, int(self.part(part).documents[row - self._starts[part]])

    def _by_part(self, sorted_rows: np.ndarray) -> Iterator[tuple[int, slice]]:
        parts = np.searchsorted(self._starts, sorted_rows, side="right") - 1
        found, begins = np.unique(parts, return_index=True)
        ends = np.append(begins[1:], len(parts))
        for part, begin, end in zip(found.tolist(), begins.tolist(), ends.tolist()):
            yield part, slice(begin, end)


class _Finder:
    """Finds the leader of each document, a band at a time.

    Only documents that are their own leaders take part in a band. What is done to one bucket of a
    band, the documents that share its values, does not touch another, so that nothing depends on
    the order in which they come.
    """

    def __init__(
        self,
        corpus: _Corpus,
        leaders: np.ndarray,
        bands: Banding,
        num_documents: int,
        memory_bytes: float,
    ):
        self._corpus = corpus
        self._leaders = leaders
        self._bands = bands
        self._num_ranges = max(1, math.ceil(num_documents * _MEMORY_OF_AN_ENTRY / memory_bytes))
        self._pairs_at_once = max(64, int(memory_bytes / 2 / _MEMORY_OF_A_PAIR))

    def find(self) -> None:
        """Goes through all bands."""
        for band in range(self._bands.num_bands):
            for number in range(self._num_ranges):
                low = number * NUM_HASHES // self._num_ranges
                high = (number + 1) * NUM_HASHES // self._num_ranges - 1
                self._lead(*self._buckets(band, np.uint64(low), np.uint64(high)))
            self._settle()

    def _buckets(self, band: int, low: np.uint64, high: np.uint64) -> tuple[np.ndarray, np.ndarray]:
        """Returns rows that share a band with others, and where buckets begin among them."""
        columns = [(np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.uint32))]
        for part in range(self._corpus.num_parts):
            begin, end = self._corpus.rows(part)
            own = np.arange(begin, end, dtype=np.uint32)
            live = np.flatnonzero(self._leaders[begin:end] == own)
            if not len(live):
                continue
            keys = self._keys(part, band)[live]
            inside = (keys >= low) & (keys <= high)
            columns.append((keys[inside], own[live[inside]]))
        keys, rows = map(np.concatenate, zip(*columns))
        columns.clear()
        order = np.argsort(keys, kind="stable")
        keys, rows = keys[order], rows[order]
        del order
        same = keys[1:] == keys[:-1]
        has_others = np.zeros(len(keys), dtype=bool)
        has_others[1:] = same
        is_first = ~has_others
        has_others[:-1] |= same
        return rows[has_others], is_first[has_others]

    def _keys(self, part: int, band: int) -> np.ndarray:
        num_rows = self._bands.num_rows
        values = self._corpus.part(part).values[:, band * num_rows : (band + 1) * num_rows]
        keys = np.zeros(len(values), dtype=np.uint64)
        for column in values.T:
            keys = keys * _FACTOR + column
        return mix(keys)

    def _lead(self, rows: np.ndarray, is_first: np.ndarray) -> None:
        """Gives the rows of buckets to the first of their bucket that they resemble."""
        for _ in range(_MAX_LEADERS_OF_A_BUCKET):
            if not len(rows):
                return
            buckets = np.cumsum(is_first) - 1
            firsts = rows[is_first][buckets]
            rest = ~is_first
            rows, firsts, buckets = rows[rest], firsts[rest], buckets[rest]
            similar = self._are_similar(rows, firsts)
            self._leaders[rows[similar]] = firsts[similar]
            rows, buckets = rows[~similar], buckets[~similar]
            is_first = np.ones(len(rows), dtype=bool)
            np.not_equal(buckets[1:], buckets[:-1], out=is_first[1:])

    def _settle(self) -> None:
        """Finds new leaders for documents whose leader was given one itself."""
        for begin in range(0, len(self._leaders), _BLOCK_ROWS):
            rows = _dropped_rows(self._leaders, begin, min(begin + _BLOCK_ROWS, len(self._leaders)))
            leaders = self._leaders[rows]
            new_leaders = self._leaders[leaders]
            moves = new_leaders != leaders
            rows, new_leaders = rows[moves], new_leaders[moves]
            similar = self._are_similar(rows, new_leaders)
            self._leaders[rows] = np.where(similar, new_leaders, rows)

    def _are_similar(self, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
        similar = np.zeros(len(rows), dtype=bool)
        for begin in range(0, len(rows), self._pairs_at_once):
            block = slice(begin, begin + self._pairs_at_once)
            values = self._corpus.values(rows[block])
            other_values = self._corpus.values(others[block])
            num_equal = np.count_nonzero(values == other_values, axis=1)
            similar[block] = num_equal >= self._bands.least_equal
        return similar


def _first_leaders(
    corpus: _Corpus,
    dropped: Callable[[int], np.ndarray | None],
    takes_part: Sequence[bool] | None,
) -> np.ndarray:
    """Returns for each row that takes part the row itself, and _LEFT_OUT for the others."""
    leaders = np.arange(corpus.num_rows, dtype=np.uint32)
    for part in range(corpus.num_parts):
        begin, end = corpus.rows(part)
        if takes_part is not None and not takes_part[part]:
            leaders[begin:end] = _LEFT_OUT
            continue
        is_dropped = dropped(part)
        if is_dropped is not None:
            signatures = corpus.part(part)
            if len(is_dropped) != signatures.num_documents:
                raise ValueError(f"part {part} has {signatures.num_documents} documents")
            leaders[begin:end][is_dropped.astype(bool)[signatures.documents]] = _LEFT_OUT
    return leaders


def _dropped_rows(leaders: np.ndarray, begin: int, end: int) -> np.ndarray:
    """Returns the rows from `begin` to before `end` that have another leader than themselves."""
    own = np.arange(begin, end, dtype=np.uint32)
    block = leaders[begin:end]
    return own[(block != own) & (block != _LEFT_OUT)]


def _largest_clusters(
    corpus: _Corpus, leaders: np.ndarray, num_clusters: int, max_members: int
) -> list[Cluster]:
    followers = np.zeros(len(leaders), dtype=np.uint32)
    for begin in range(0, len(leaders), _BLOCK_ROWS):
        rows = _dropped_rows(leaders, begin, min(begin + _BLOCK_ROWS, len(leaders)))
        np.add.at(followers, leaders[rows], 1)
    number = min(num_clusters, int(np.count_nonzero(followers)))
    if not number:
        return []
    least = np.partition(followers, -number)[-number]
    found = np.flatnonzero(followers >= least)
    found = found[np.argsort(-followers[found].astype(np.int64), kind="stable")[:number]]
    members: dict[int, list[int]] = {row: [row] for row in found.tolist()}
    for begin in range(0, len(leaders), _BLOCK_ROWS):
        rows = _dropped_rows(leaders, begin, min(begin + _BLOCK_ROWS, len(leaders)))
        rows = rows[np.isin(leaders[rows], found)]
        for row, leader in zip(rows.tolist(), leaders[rows].tolist()):
            if len(members[leader]) < max_members:
                members[leader].append(row)
    return [
        Cluster(int(followers[row]) + 1, [corpus.place(member) for member in rows])
        for row, rows in members.items()
    ]
