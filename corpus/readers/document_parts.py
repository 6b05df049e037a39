"""Documents of any size in bounded memory: what is too long comes in parts."""

from deeq_bert.corpus.readers.base import SAMPLE_CHARACTERS, BrokenRecord, Document
from deeq_bert.corpus.readers.input_file import InputFile

# About 12 MB of Korean: longer than all but a few books, and little for the stages that follow.
MAX_DOCUMENT_CHARACTERS = 4_000_000


class DocumentParts:
    """Gathers the paragraphs of one document after another.

    Attributes:
      is_open: Whether a document has been started and not finished.
    """

    def __init__(self) -> None:
        self.is_open = False
        self._id = self._title = ""
        self._paragraphs: list[str] = []
        self._size = 0
        self._part = 1

    def start(self, id: str, title: str = "") -> None:
        """Begins a document; the one before must be finished."""
        self.is_open = True
        self._id, self._title, self._part = id, title, 1

    def add(self, paragraph: str) -> Document | None:
        """Adds a paragraph; returns a part of the document if it is long enough for one.

        The parts after the first have ids that end with "#2", "#3" and so on.
        """
        self._paragraphs.append(paragraph)
        self._size += len(paragraph)
        return self._take() if self._size >= MAX_DOCUMENT_CHARACTERS else None

    def finish(self) -> Document | None:
        """Ends the document; returns what is left of it, None if that is nothing."""
        self.is_open = False
        return self._take() if self._paragraphs else None

    def _take(self) -> Document:
        id = self._id if self._part == 1 else f"{self._id}#{self._part}"
        document = Document(id, self._title, self._paragraphs)
        self._paragraphs, self._size = [], 0
        self._part += 1
        return document


def overlong_line(file: InputFile, line_number: int, line: str) -> BrokenRecord:
    """Returns the record that stands for a line of more than MAX_LINE_BYTES bytes."""
    return BrokenRecord(file.place(line_number), "line too long", line[:SAMPLE_CHARACTERS])
