"""Plain text: documents that blank lines separate, one a file, or one a line."""

from collections.abc import Iterator

from deeq_bert.corpus.readers.base import BrokenRecord, Document, Reader
from deeq_bert.corpus.readers.document_parts import (
    MAX_DOCUMENT_CHARACTERS,
    DocumentParts,
    overlong_line,
)
from deeq_bert.corpus.readers.input_file import MAX_LINE_BYTES, InputFile
from deeq_bert.tokenizers.errors import InputError

DOCUMENTS = ("blank_line", "file", "line")
_LOOK_BACK_BYTES = 1 << 12


class PlainTextReader(Reader):
    """Reads text files without markup.

    Documents of more than MAX_DOCUMENT_CHARACTERS come in parts, which end with a line.
    """

    def __init__(self, documents: str = "blank_line", join_lines: bool = False):
        """Makes a reader.

        Args:
          documents: "blank_line": blank lines separate documents, and each line is a paragraph.
            "file": the file is a document, and each line is a paragraph. "line": each line is a
            document.
          join_lines: With "file": blank lines separate paragraphs, whose lines are joined by
            blanks, for text wrapped at some width. A line that is indented further than the one
            before begins a paragraph too.

        Raises:
          InputError: An option has a value it cannot have.
        """
        if documents not in DOCUMENTS:
            raise InputError(
                f"reader.documents is {documents!r}; expected one of {', '.join(DOCUMENTS)}."
            )
        if join_lines and documents != "file":
            raise InputError(
                "reader.join_lines goes with reader.documents=file only: elsewhere each "
                "line is a paragraph."
            )
        self._documents = documents
        self._join_lines = join_lines

    @property
    def splits(self) -> bool:
        """Whether ranges of a file can be read apart."""
        return self._documents != "file"

    def read(self, file: InputFile) -> Iterator[Document | BrokenRecord]:
        if self._documents == "line":
            return _read_lines(file)
        if self._documents == "blank_line":
            return _read_blocks(file)
        return _read_joined(file) if self._join_lines else _read_file(file)


def _read_lines(file: InputFile) -> Iterator[Document | BrokenRecord]:
    for number, line in enumerate(file.lines(), 1):
        if file.past_end:
            return
        if type(line) is not str:
            yield overlong_line(file, number, line)
        elif line := line.strip():
            yield Document(file.place(number), "", [line])


def _read_blocks(file: InputFile) -> Iterator[Document | BrokenRecord]:
    """Yields the documents, separated by blank lines, whose first line begins in the range."""
    parts = DocumentParts()
    # In a document that began before the range, up to the next blank line.
    foreign = not _follows_blank_line(file)
    for number, line in enumerate(file.lines(), 1):
        text = line.strip()
        if not text:
            foreign = False
            if parts.is_open and (document := parts.finish()):
                yield document
            continue
        if not parts.is_open:
            if file.past_end:
                return
            if foreign:
                continue
            parts.start(file.place(number))
        if type(line) is not str:
            yield overlong_line(file, number, line)
        elif document := parts.add(text):
            yield document
    if document := parts.finish():
        yield document


def _read_file(file: InputFile) -> Iterator[Document | BrokenRecord]:
    parts = DocumentParts()
    parts.start(file.path)
    for number, line in enumerate(file.lines(), 1):
        if type(line) is not str:
            yield overlong_line(file, number, line)
        elif (text := line.strip()) and (document := parts.add(text)):
            yield document
    if document := parts.finish():
        yield document


def _read_joined(file: InputFile) -> Iterator[Document | BrokenRecord]:
    parts = DocumentParts()
    parts.start(file.path)
    lines: list[str] = []
    size = indent = 0
    for number, line in enumerate(file.lines(), 1):
        if type(line) is not str:
            yield overlong_line(file, number, line)
            continue
        text = line.strip()
        last_indent, indent = indent, len(line) - len(line.lstrip())
        if lines and (not text or indent > last_indent or size >= MAX_DOCUMENT_CHARACTERS):
            if document := parts.add(" ".join(lines)):
                yield document
            lines, size = [], 0
        if text:
            lines.append(text)
            size += len(text)
    if lines and (document := parts.add(" ".join(lines))):
        yield document
    if document := parts.finish():
        yield document


def _follows_blank_line(file: InputFile) -> bool:
    """Whether the first line of a range comes after a blank one, or is the first of the file."""
    if not file.begin:
        return True
    with open(file.path, "rb") as stream:
        window = _LOOK_BACK_BYTES
        while True:
            start = max(0, file.begin - window)
            stream.seek(start)
            before = stream.read(file.begin - start)
            line_start = before.rfind(b"\n", 0, len(before) - 1) + 1
            if line_start or not start or before.strip():
                break
            window *= 2
        line = before[line_start:]
        if not line.endswith(b"\n"):
            # It runs over the range's begin; the first line of the range is the next one.
            line += stream.readline(MAX_LINE_BYTES)
    return not line.decode(file.encoding, "replace").removeprefix("\ufeff").strip()
