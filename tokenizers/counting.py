"""How often each word or morpheme comes in text files, counted by several processes.

Files are cut into ranges, a worker counts one range at a time, and what it counted is added up
here. Memory is bounded whatever the text: what is too much for it waits on the disk, sorted, and
is merged at the end. The counts do not depend on the number of workers or on the bounds.
"""

import abc
import array
import collections
import contextlib
import dataclasses
import functools
import heapq
import itertools
import os
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import BinaryIO, NamedTuple, NoReturn

from deeq_bert.tokenizers import files
from deeq_bert.tokenizers.analyzers.base import AnalyzerSettings
from deeq_bert.tokenizers.analyzers.selection import make_analyzer
from deeq_bert.tokenizers.deeq import analyze_lines
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.processes import map_in_processes
from deeq_bert.tokenizers.vocabulary import SPECIAL_TOKENS
from deeq_bert.tokenizers.wordpiece import BasicTokenizer, split_at_whitespace

# BERT makes [UNK] of a longer word.
MAX_WORD_CHARACTERS = 200

# What a worker counts at a time. Splitting at blanks does megabytes a second; analysing takes
# minutes for one.
WORD_RANGE_BYTES = 8_000_000
MORPHEME_RANGE_BYTES = 500_000

# About 150 bytes each in memory.
_MAX_ENTRIES = 4_000_000
_MAX_ENTRIES_IN_WORKER = 500_000
_MAX_CHARACTERS = 100_000_000
_MAX_RUNS = 64
_BLOCK_BYTES = 1_000_000

# What is looked at to tell whether a file is text at all.
_HEAD_BYTES = 8_000

# The lines that are held out and kept for the coverage report.
_MAX_SAMPLE_LINES = 20_000
_MAX_SAMPLE_CHARACTERS = 1_000_000
_MAX_HELDOUT_CHARACTERS = 10_000


class TextRange(NamedTuple):
    """The lines of a file from the byte `start` up to the byte `end`."""

    path: str
    start: int
    end: int


@dataclasses.dataclass
class TextCounts:
    """What the text adds up to, besides the counts of its words.

    Attributes:
      size: The bytes read.
      lines: The lines that are not blank, those held out among them.
      heldout_lines: The lines whose words were not counted.
      long_words: The words left out for being over MAX_WORD_CHARACTERS long.
      heldout: Lines that were held out, each once, with the hashes that chose them; the lowest
        hashes only where they are many.
    """

    size: int = 0
    lines: int = 0
    heldout_lines: int = 0
    long_words: int = 0
    heldout: list[tuple[int, str]] = dataclasses.field(default_factory=list)

    def add(self, other: "TextCounts") -> None:
        """Adds what another part of the text has."""
        self.size += other.size
        self.lines += other.lines
        self.heldout_lines += other.heldout_lines
        self.long_words += other.long_words
        self.heldout = _lowest(self.heldout + other.heldout)


class WordCounter(abc.ABC):
    """Counts what a vocabulary is made of; each worker has its own."""

    @abc.abstractmethod
    def counts(self, lines: Iterable[str]) -> Iterator[dict[str, int]]:
        """Yields counts of the words in `lines`, some at a time, to be added up.

        No word is empty or has whitespace in it.
        """


class BasicWordCounter(WordCounter):
    """Counts the words and punctuation marks that WordPiece starts from."""

    def __init__(self, do_lower_case: bool):
        """Makes a counter; see `BasicTokenizer` for the lower case."""
        self._basic_tokenizer = BasicTokenizer(do_lower_case)

    def counts(self, lines: Iterable[str]) -> Iterator[dict[str, int]]:
        """Yields counts of the words in `lines`, some at a time, to be added up."""
        # Every part is taken to words once, however often it comes.
        parts: collections.Counter[str] = collections.Counter()
        for line in lines:
            parts.update(split_at_whitespace(line))
            if len(parts) >= _MAX_ENTRIES_IN_WORKER:
                yield self._split(parts)
                parts.clear()
        yield self._split(parts)

    def _split(self, parts: dict[str, int]) -> dict[str, int]:
        words: collections.defaultdict[str, int] = collections.defaultdict(int)
        for part, count in parts.items():
            for word in self._basic_tokenizer.tokenize(part):
                words[word] += count
        return words


class MorphemeCounter(WordCounter):
    """Counts the morphemes that an analyser splits text into."""

    def __init__(self, settings: AnalyzerSettings):
        """Makes a counter with an analyser of its own.

        Raises:
          InputError: The analyser cannot be had.
        """
        self._analyzer = make_analyzer(settings)

    def counts(self, lines: Iterable[str]) -> Iterator[dict[str, int]]:
        """Yields counts of the morphemes in `lines`, some at a time, to be added up."""
        forms: collections.Counter[str] = collections.Counter()
        for analyses in analyze_lines(self._analyzer, lines, SPECIAL_TOKENS):
            for analysis in analyses:
                forms.update(analysis.forms)
            if len(forms) >= _MAX_ENTRIES_IN_WORKER:
                yield forms
                forms.clear()
        yield forms

    def close(self) -> None:
        """Closes the analyser, once the last lines are counted."""
        self._analyzer.close()


class SortedCounts:
    """Counts of words, added up on disk where they are too many for the memory.

    Iterating yields every word with its count, in the order of the words; it can be done again and
    again. The files have no names, so nothing of them is left however the process ends.
    """

    def __init__(self, folder: str, max_entries: int = _MAX_ENTRIES):
        """Makes it empty.

        Args:
          folder: Where files are made when they are needed.
          max_entries: How many different words are held in memory.
        """
        self._folder = folder
        self._max_entries = max_entries
        self._counts: dict[str, int] = {}
        self._characters = 0
        self._runs: list[BinaryIO] = []

    def add(self, words: Iterable[str], counts: Iterable[int]) -> None:
        """Adds to the count of each of `words`.

        Raises:
          InputError: The counts cannot be written to the disk.
        """
        held = self._counts
        for word, count in zip(words, counts):
            if word in held:
                held[word] += count
                continue
            held[word] = count
            self._characters += len(word)
            if len(held) >= self._max_entries or self._characters >= _MAX_CHARACTERS:
                self._spill()

    def __iter__(self) -> Iterator[tuple[str, int]]:
        """Yields the words and counts."""
        if not self._runs:
            for word in sorted(self._counts):
                yield word, self._counts[word]
            return
        if self._counts:
            self._spill()
        if len(self._runs) > 1:
            self._merge_runs()
        for word, count in _read_run(self._runs[0]):
            yield word.decode(), count

    def close(self) -> None:
        """Frees the memory and the disk."""
        self._counts.clear()
        for run in self._runs:
            run.close()
        self._runs.clear()

    def _spill(self) -> None:
        # UTF-8 sorts as its characters do, so that runs can be merged as bytes.
        entries = ((word.encode(), self._counts[word]) for word in sorted(self._counts))
        self._runs.append(self._write_run(entries))
        self._counts.clear()
        self._characters = 0
        if len(self._runs) >= _MAX_RUNS:
            self._merge_runs()

    def _merge_runs(self) -> None:
        merged = self._write_run(_merge(list(map(_read_run, self._runs))))
        for run in self._runs:
            run.close()
        self._runs = [merged]

    def _write_run(self, entries: Iterable[tuple[bytes, int]]) -> BinaryIO:
        try:
            # Stays open until it is merged or all is closed.
            file = tempfile.TemporaryFile(dir=self._folder, buffering=_BLOCK_BYTES)  # noqa: SIM115
            file.writelines(b"%b\t%d\n" % entry for entry in entries)
            file.flush()
        except OSError as error:
            raise InputError(
                f"Cannot keep counts in the folder {self._folder}: {error.strerror}. Free some "
                "space there, or name another folder with --temp_dir."
            ) from error
        return file


def _read_run(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    # At an offset of its own, so that several readers do not disturb one another.
    offset, rest = 0, b""
    while block := os.pread(file.fileno(), _BLOCK_BYTES, offset):
        offset += len(block)
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            word, _, count = line.rpartition(b"\t")
            yield word, int(count)


def _merge(runs: Sequence[Iterable[tuple[bytes, int]]]) -> Iterator[tuple[bytes, int]]:
    current, total = b"", 0
    for word, count in heapq.merge(*runs):
        if word != current:
            if total:
                yield current, total
            current, total = word, 0
        total += count
    if total:
        yield current, total


def count_files(
    paths: Sequence[str],
    make_counter: Callable[[], WordCounter],
    counts: SortedCounts,
    num_workers: int,
    heldout_share: float = 0.0,
    range_bytes: int = WORD_RANGE_BYTES,
    report_progress: Callable[[int], object] = lambda size: None,
) -> TextCounts:
    """Counts the words of text files.

    Args:
      paths: UTF-8 text; lines end as in `files.read_lines`.
      make_counter: Makes what counts the words of some lines; it can be pickled.
      counts: Gets the counts.
      num_workers: How many processes count.
      heldout_share: The share of lines to leave out and keep for a report. A line is chosen by
        what stands in it, so all lines that are equal are chosen alike.
      range_bytes: How much text a worker counts at a time.
      report_progress: Is told how many more bytes were counted.

    Returns:
      What the text adds up to.

    Raises:
      InputError: A file cannot be read or is no UTF-8 text, the counter failed, or the disk is
        full.
    """
    for path in paths:
        _check_is_text(path)
    tasks = _group_ranges(_cut_files(paths, range_bytes), range_bytes)
    count = functools.partial(_count_ranges, heldout_share=heldout_share)
    totals = TextCounts()
    with contextlib.closing(map_in_processes(count, make_counter, tasks, num_workers)) as results:
        for part, packed_counts in results:
            totals.add(part)
            for words, numbers in packed_counts:
                counts.add(words.decode().split("\n"), array.array("Q", numbers))
            report_progress(part.size)
    return totals


def _check_is_text(path: str) -> None:
    if not os.path.isfile(path):
        raise InputError(f"{path} is not a regular file; write the text into one, and name that.")
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error
    if b"\0" in head:
        raise InputError(
            f"{path} is a binary file or UTF-16; expected UTF-8 text with one sentence a line. "
            "Leave it out, unpack it, or convert it, for instance with `iconv -f utf-16 -t utf-8`."
        )


def _cut_files(paths: Iterable[str], range_bytes: int) -> Iterator[TextRange]:
    for path in paths:
        try:
            with open(path, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                start = 0
                while start < size:
                    file.seek(min(start + range_bytes, size) - 1)
                    if len(file.readline(files.MAX_LINE_BYTES + 1)) > files.MAX_LINE_BYTES:
                        _raise_line_error(path, start)
                    end = min(file.tell(), size)
                    yield TextRange(path, start, end)
                    start = end
        except OSError as error:
            raise InputError(f"Cannot read {path}: {error.strerror}.") from error


def _group_ranges(ranges: Iterable[TextRange], range_bytes: int) -> Iterator[list[TextRange]]:
    # Small files together, for a task costs something too.
    group: list[TextRange] = []
    size = 0
    for text_range in ranges:
        group.append(text_range)
        size += text_range.end - text_range.start
        if size >= range_bytes:
            yield group
            group, size = [], 0
    if group:
        yield group


def _count_ranges(
    counter: WordCounter, ranges: Sequence[TextRange], heldout_share: float
) -> tuple[TextCounts, list[tuple[bytes, bytes]]]:
    """Returns what `ranges` add up to, and the counts of their words, packed to travel."""
    totals = TextCounts(size=sum(text_range.end - text_range.start for text_range in ranges))
    packed_counts = []
    for counts in counter.counts(_counted_lines(ranges, heldout_share, totals)):
        for word in [word for word in counts if len(word) > MAX_WORD_CHARACTERS]:
            totals.long_words += counts.pop(word)
        if counts:
            numbers = array.array("Q", counts.values())
            packed_counts.append(("\n".join(counts).encode(), numbers.tobytes()))
    totals.heldout = _lowest(totals.heldout)
    return totals, packed_counts


def _counted_lines(
    ranges: Iterable[TextRange], heldout_share: float, totals: TextCounts
) -> Iterator[str]:
    # A hash below the bound: the choice depends on neither order nor workers.
    bound = heldout_share * 2**32
    for line in itertools.chain.from_iterable(map(_read_range, ranges)):
        if not line or line.isspace():
            continue
        totals.lines += 1
        if bound and len(line) <= _MAX_HELDOUT_CHARACTERS:
            key = zlib.crc32(line.encode())
            if key < bound:
                totals.heldout_lines += 1
                totals.heldout.append((key, line))
                continue
        yield line


def _read_range(text_range: TextRange) -> Iterator[str]:
    """Yields the lines of a range by the rules of `files.read_lines`."""
    path, offset, end = text_range
    try:
        with open(path, "rb") as file:
            file.seek(offset)
            while offset < end:
                content = file.readline(files.MAX_LINE_BYTES + 1)
                if not content:
                    raise InputError(f"{path} became shorter while it was read; run again.")
                if len(content) > files.MAX_LINE_BYTES:
                    _raise_line_error(path, offset)
                try:
                    line = content.decode("utf-8")
                except UnicodeDecodeError:
                    _raise_line_error(path, offset)
                offset += len(content)
                yield line.rstrip("\n").replace("\r", "")
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error


def _raise_line_error(path: str, offset: int) -> NoReturn:
    # Reading from the start takes a while, and tells the number of the line.
    for _ in files.read_lines(path):
        pass
    raise InputError(f"{path} changed while it was read, near byte {offset:,}; run again.")


def _lowest(lines: Iterable[tuple[int, str]]) -> list[tuple[int, str]]:
    """Returns the lines with the lowest hashes, each once, as many as the report is made of.

    What it leaves out of a part of the text it would leave out of the whole, too.
    """
    lowest = sorted(set(lines))[:_MAX_SAMPLE_LINES]
    characters = 0
    for index, (_, line) in enumerate(lowest):
        characters += len(line)
        if characters > _MAX_SAMPLE_CHARACTERS:
            return lowest[:index]
    return lowest
