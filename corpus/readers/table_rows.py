"""The rows of a table file, also of one whose quotes are in disorder."""

import csv
from collections import deque
from collections.abc import Iterator

from deeq_bert.corpus.readers.base import SAMPLE_CHARACTERS, BrokenRecord
from deeq_bert.corpus.readers.document_parts import overlong_line
from deeq_bert.corpus.readers.input_file import MAX_LINE_BYTES, InputFile

# Of a row of more than one line.
MAX_ROW_CHARACTERS = 4 << 20
_UNCLOSED = "quote not closed"

# The number of its first line, and its cells.
Row = tuple[int, list[str]]


def plain_rows(file: InputFile, delimiter: str) -> Iterator[Row | BrokenRecord]:
    """Yields the rows that begin in a range of a file in which quotes have no meaning."""
    for number, line in enumerate(file.lines(), 1):
        if file.past_end:
            return
        if type(line) is not str:
            yield overlong_line(file, number, line)
        elif line:
            yield number, line.split(delimiter)


class QuotedRows:
    """The rows of a file whose cells may stand in quotes, and then go over several lines.

    A quote that is not closed would make the rest of the file one cell. So a row of several lines
    must have no text after a closing quote, as many cells as the first row and at most
    MAX_ROW_CHARACTERS; else it counts as broken, and reading goes on at the line after its first.
    """

    def __init__(self, file: InputFile, delimiter: str):
        self._file = file
        self._delimiter = delimiter
        self._lines = file.lines()
        # Lines that have been read ahead of a row that turned out to be broken.
        self._waiting: deque[str] = deque()
        self._num_columns: int | None = None
        # Characters read ahead in vain, and characters of rows with quotes.
        self._wasted = self._used = 0

    def __iter__(self) -> Iterator[Row | BrokenRecord]:
        # The module bounds a cell at 128 KiB by default.
        csv.field_size_limit(MAX_LINE_BYTES)
        file, lines, waiting, delimiter = self._file, self._lines, self._waiting, self._delimiter
        number = 1
        while (line := waiting.popleft() if waiting else next(lines, None)) is not None:
            num_lines = 1
            if type(line) is not str:
                yield overlong_line(file, number, line)
            elif '"' in line:
                cells, num_lines = self._parse(line)
                if cells is None:
                    yield BrokenRecord(file.place(number), _UNCLOSED, line[:SAMPLE_CHARACTERS])
                else:
                    yield number, cells
                    self._num_columns = self._num_columns or len(cells)
            elif line:
                cells = line.split(delimiter)
                yield number, cells
                self._num_columns = self._num_columns or len(cells)
            number += num_lines

    def _parse(self, first: str) -> tuple[list[str] | None, int]:
        """Returns the cells of the row that begins with a line, and how many lines it has."""
        more: list[str] = []
        try:
            parser = csv.reader(
                self._lines_of_row(first, more), delimiter=self._delimiter, strict=True
            )
            cells = next(parser)
        except csv.Error:
            cells = None
        self._used += len(first)
        if cells is not None and (
            not more or self._num_columns is None or len(cells) == self._num_columns
        ):
            return cells, 1 + len(more)
        self._waiting.extendleft(reversed(more))
        self._wasted += sum(map(len, more))
        return self._parse_alone(first), 1

    def _lines_of_row(self, first: str, more: list[str]) -> Iterator[str]:
        """Yields a line, and those after it for as long as the parser wants them."""
        yield first
        # In a file where nothing is ever closed, reading ahead from every line would not end.
        if self._wasted > 2 * self._used + MAX_ROW_CHARACTERS:
            return
        size = len(first)
        while size < MAX_ROW_CHARACTERS:
            line = self._waiting.popleft() if self._waiting else next(self._lines, None)
            if line is None:
                return
            more.append(line)
            if type(line) is not str:
                return
            size += len(line)
            yield "\n" + line

    def _parse_alone(self, line: str) -> list[str] | None:
        """Returns the cells of a row of one line, taking text after a closing quote as it is."""
        closed = True

        def lines() -> Iterator[str]:
            nonlocal closed
            yield line
            closed = False

        try:
            cells = next(csv.reader(lines(), delimiter=self._delimiter))
        except csv.Error:
            return None
        return cells if closed else None
