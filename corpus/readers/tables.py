"""Tables: comma- and tab-separated files, whose cells may be quoted."""

import itertools
from collections.abc import Iterator

from deeq_bert.corpus.readers.base import SAMPLE_CHARACTERS, BrokenRecord, Document, Reader
from deeq_bert.corpus.readers.document_parts import DocumentParts
from deeq_bert.corpus.readers.html_pages import html_to_paragraphs
from deeq_bert.corpus.readers.input_file import InputFile
from deeq_bert.corpus.readers.table_rows import QuotedRows, Row, plain_rows
from deeq_bert.tokenizers.errors import InputError


class TableReader(Reader):
    """Reads tables, a document a row, or a document for rows that belong together.

    A row with fewer cells than the first, or with more that are not empty, is broken.
    """

    def __init__(
        self,
        delimiter: str = ",",
        quoting: str = "csv",
        text: str = "content",
        title: str = "",
        id: str = "",
        group: str = "",
        header: bool = True,
        content: str = "text",
    ):
        r"""Makes a reader.

        Args:
          delimiter: What separates cells; "\t" may be written as these two characters.
          quoting: "csv": a cell may stand in double quotes, and have delimiters and line feeds in
            it. "none": a quote is a character as any other, and a row is a line.
          text: The columns that hold text, separated by commas; their cells are paragraphs. By
            name, or without `header` by number, counting from 1.
          title: The column of the title, if there is one.
          id: The column of the id; by default that is the row's place in the file.
          group: Rows that follow one another with the same value in this column make one document,
            with the id and the title of the first. By default each row is one.
          header: Whether the first row names the columns.
          content: What cells hold, "text" or "html".

        Raises:
          InputError: An option has a value it cannot have.
        """
        delimiter = delimiter.replace("\\t", "\t")
        if quoting not in ("csv", "none"):
            raise InputError(f"reader.quoting is {quoting!r}; expected csv or none.")
        if content not in ("text", "html"):
            raise InputError(f"reader.content is {content!r}; expected text or html.")
        if not delimiter or not {*'"\n\r'}.isdisjoint(delimiter):
            raise InputError(f"reader.delimiter is {delimiter!r}; expected for instance , or \\t.")
        if quoting == "csv" and len(delimiter) > 1:
            raise InputError(
                f"reader.delimiter is {delimiter!r}; more than one character goes only with "
                "reader.quoting=none."
            )
        # A number in a configuration comes as one.
        names = [name.strip() for name in str(text).split(",") if name.strip()]
        if not names:
            raise InputError("reader.text is empty; expected the columns that hold text.")
        self._text = names
        self._title, self._id, self._group = (str(name).strip() for name in (title, id, group))
        if not header:
            for name in (*names, self._title, self._id, self._group):
                if name and not (name.isdecimal() and 0 < int(name[:9]) < 100_000):
                    raise InputError(
                        f"reader: the column {name!r} is no number; with reader.header=false "
                        "columns are numbers from 1."
                    )
        self._delimiter = delimiter
        self._quoting = quoting
        self._header = header
        self._content = content

    @property
    def splits(self) -> bool:
        """Whether ranges of a file can be read apart."""
        return self._quoting == "none" and not self._group

    def read(self, file: InputFile) -> Iterator[Document | BrokenRecord]:
        rows = self._rows(file)
        # The first row of the file tells the columns of all its ranges.
        whole = (
            InputFile(file.path, encoding=file.encoding, errors="replace") if file.begin else None
        )
        first_rows = self._rows(whole) if whole else rows
        first = next(first_rows, None)
        while isinstance(first, BrokenRecord):
            if self._header:
                raise InputError(f"{first.place}: {first.problem} in the header of the table.")
            if not whole:
                yield first
            first = next(first_rows, None)
        if first is None:
            return
        columns = _Columns(self, file.path, first[1])
        if not self._header and not whole:
            rows = itertools.chain([first], rows)
        whole_rows = _whole_rows(file, rows, len(first[1]))
        if self._group:
            yield from self._read_groups(file, columns, whole_rows)
        else:
            yield from self._read_rows(file, columns, whole_rows)

    def _rows(self, file: InputFile) -> Iterator[Row | BrokenRecord]:
        if self._quoting == "none":
            return plain_rows(file, self._delimiter)
        return iter(QuotedRows(file, self._delimiter))

    def _read_rows(
        self, file: InputFile, columns: "_Columns", rows: Iterator[Row | BrokenRecord]
    ) -> Iterator[Document | BrokenRecord]:
        id_column, title_column = columns.id, columns.title
        for row in rows:
            if type(row) is BrokenRecord:
                yield row
                continue
            number, cells = row
            if paragraphs := columns.paragraphs(cells):
                id = file.place(number) if id_column is None else cells[id_column]
                title = "" if title_column is None else cells[title_column].strip()
                yield Document(id, title, paragraphs)

    def _read_groups(
        self, file: InputFile, columns: "_Columns", rows: Iterator[Row | BrokenRecord]
    ) -> Iterator[Document | BrokenRecord]:
        parts = DocumentParts()
        last_value = None
        for row in rows:
            if type(row) is BrokenRecord:
                yield row
                continue
            number, cells = row
            value = cells[columns.group]
            if not parts.is_open or value != last_value:
                if document := parts.finish():
                    yield document
                last_value = value
                id = file.place(number) if columns.id is None else cells[columns.id]
                title = "" if columns.title is None else cells[columns.title].strip()
                parts.start(id, title)
            for paragraph in columns.paragraphs(cells):
                if document := parts.add(paragraph):
                    yield document
        if document := parts.finish():
            yield document


class _Columns:
    """Where in a row what is wanted stands."""

    def __init__(self, reader: TableReader, path: str, first_row: list[str]):
        names = [name.strip() for name in first_row]

        def index(option: str, name: str) -> int | None:
            if not name:
                return None
            if not reader._header:
                if int(name) <= len(names):
                    return int(name) - 1
                raise InputError(
                    f"{path}: there is no column {name} (reader.{option}); the first row has "
                    f"{len(names)} cells. Mend reader.{option} or reader.delimiter."
                )
            if name in names:
                return names.index(name)
            raise InputError(
                f"{path}: there is no column {name!r} (reader.{option}); there are "
                f"{', '.join(map(repr, names))[:1000]}. Mend reader.{option} or reader.delimiter."
            )

        self.text = [index("text", name) for name in reader._text]
        self.title = index("title", reader._title)
        self.id = index("id", reader._id)
        self.group = index("group", reader._group)
        self._is_html = reader._content == "html"

    def paragraphs(self, cells: list[str]) -> list[str]:
        """Returns the text of a row."""
        paragraphs = []
        for column in self.text:
            cell = cells[column].strip()
            if self._is_html:
                paragraphs.extend(html_to_paragraphs(cell))
            elif "\n" in cell:
                paragraphs.extend(filter(None, map(str.strip, cell.split("\n"))))
            elif cell:
                paragraphs.append(cell)
        return paragraphs


def _whole_rows(
    file: InputFile, rows: Iterator[Row | BrokenRecord], num_columns: int
) -> Iterator[Row | BrokenRecord]:
    """Yields the rows, those with too few or too many cells as broken ones."""
    for row in rows:
        if type(row) is not BrokenRecord and len(row[1]) != num_columns:
            number, cells = row
            few = len(cells) < num_columns
            if few or any(cells[num_columns:]):
                sample = " | ".join(cells)[:SAMPLE_CHARACTERS]
                problem = "too few cells" if few else "too many cells"
                yield BrokenRecord(file.place(number), problem, sample)
                continue
        yield row
