"""JSON and JSON lines."""

import json
from collections.abc import Iterator
from typing import Any, ClassVar

from deeq_bert.corpus.readers.base import SAMPLE_CHARACTERS, BrokenRecord, Document, Reader
from deeq_bert.corpus.readers.input_file import InputFile, OverlongLine
from deeq_bert.corpus.readers.json_documents import DocumentFields, MissingTexts, Utterance
from deeq_bert.corpus.readers.json_paths import Path
from deeq_bert.corpus.readers.json_stream import JsonElements
from deeq_bert.corpus.readers.json_window import make_decoder
from deeq_bert.tokenizers.errors import InputError

# The text of the records of one group, which are held together.
_MAX_GROUP_CHARACTERS = 32 << 20
_MAX_BROKEN_AT_START = 100


class JsonReader(Reader):
    """Reads files that are one JSON value, of any size: a document is decoded at a time."""

    def __init__(
        self,
        document: str = "",
        text: str = "text",
        title: str = "",
        id: str = "",
        speaker: str = "",
        content: str = "text",
    ):
        """Makes a reader; for paths see json_paths.

        Args:
          document: The path to what is one document, such as "data[]"; "" for the whole file.
          text: Where its texts are, from the document on: a path, or several with commas between
            them. Each string there, or in a list there, is a paragraph.
          title: The path to its title, or "".
          id: The path to its name, or "".
          speaker: The path to the name of who speaks, from what holds the text on: then what one
            says in a row is joined by blanks into one paragraph.
          content: "text", or "html" where the strings are HTML.

        Raises:
          InputError: A value is not as described.
        """
        self._document = Path(document)
        self._fields = DocumentFields(
            text=text, title=title, id=id, speaker=speaker, content=content
        )

    def read(self, file: InputFile) -> Iterator[Document | BrokenRecord]:
        elements = JsonElements(file, self._document)
        texts = MissingTexts(file, self._fields)
        for value in elements:
            if isinstance(value, BrokenRecord):
                yield value
                continue
            place = elements.place()
            document = self._fields.document(value, place)
            if document is None:
                yield texts.missing(value, place)
                continue
            texts.found()
            yield document
        texts.finish()


class JsonLinesReader(Reader):
    """Reads files with a JSON value on every line."""

    splits: ClassVar[bool] = True

    def __init__(
        self,
        text: str = "text",
        title: str = "",
        id: str = "",
        group: str = "",
        speaker: str = "",
        content: str = "text",
    ):
        """Makes a reader; for paths see json_paths.

        Args:
          text: Where the texts of a line are; see JsonReader.
          title: The path to the title, or "".
          id: The path to the name of the document, or "".
          group: A path: lines in a row with the same value there are one document. With "", every
            line is one.
          speaker: The path to the name of who speaks; see JsonReader.
          content: "text", or "html" where the strings are HTML.

        Raises:
          InputError: A value is not as described.
        """
        self._group = Path(group) if group else None
        self._fields = DocumentFields(
            text=text, title=title, id=id, speaker=speaker, content=content
        )

    def read(self, file: InputFile) -> Iterator[Document | BrokenRecord]:
        texts = MissingTexts(file, self._fields)
        if self._group is None:
            yield from self._read_lines(file, texts)
        else:
            yield from self._read_groups(file, texts, self._group)
        texts.finish()

    def _read_lines(
        self, file: InputFile, texts: MissingTexts
    ) -> Iterator[Document | BrokenRecord]:
        for place, record in _records(file):
            if file.past_end:
                return
            if isinstance(record, BrokenRecord):
                yield record
                continue
            document = self._fields.document(record, place)
            if document is None:
                yield texts.missing(record, place)
                continue
            texts.found()
            yield document

    def _read_groups(
        self, file: InputFile, texts: MissingTexts, path: Path
    ) -> Iterator[Document | BrokenRecord]:
        # Whether the first record of a range goes on with a group of the range before cannot be
        # seen from here. So its group always is of the range before, which reads on as far.
        group: _Group | None = None
        is_first = True
        has_passed_end = False
        previous = None
        for place, record in _records(file):
            if isinstance(record, BrokenRecord):
                if not file.past_end:
                    yield record
                continue
            name = path.first(record)
            if is_first or name is None or name != previous:
                if has_passed_end:
                    break
                if group is not None:
                    yield group.document(self._fields)
                is_ours = not (is_first and file.begin)
                group = _Group(self._fields, record, place) if is_ours else None
            is_first, previous = False, name
            has_passed_end = file.past_end
            if group is None:
                continue
            utterances = self._fields.utterances(record)
            if utterances is None:
                yield texts.missing(record, place)
                continue
            texts.found()
            group.add(utterances, file.path, path)
        if group is not None:
            yield group.document(self._fields)


class _Group:
    """Records that are one document."""

    def __init__(self, fields: DocumentFields, record: Any, place: str):
        self._id = fields.id(record) or place
        self._title = fields.title(record)
        self._utterances: list[Utterance] = []
        self._size = 0

    def add(self, utterances: list[Utterance], path: str, group: Path) -> None:
        self._utterances.extend(utterances)
        self._size += sum(len(text) for text, _ in utterances)
        if self._size > _MAX_GROUP_CHARACTERS:
            raise InputError(
                f"{path}: over {_MAX_GROUP_CHARACTERS:,} characters in a row have the same "
                f"`{group.expression}`, which is no document. Choose another `group`."
            )

    def document(self, fields: DocumentFields) -> Document:
        return Document(self._id, self._title, fields.paragraphs(self._utterances))


def _records(file: InputFile) -> Iterator[tuple[str, Any]]:
    """Yields the value of each line, or BrokenRecord, and where it is; blank lines are left out.

    Raises:
      InputError: The file is not JSON lines.
    """
    decode = make_decoder().decode
    num_broken_at_start = 0 if not file.begin else -1
    for number, line in enumerate(file.lines(), 1):
        if not line or line.isspace():
            continue
        place = file.place(number)
        try:
            value = decode(line)
        except (json.JSONDecodeError, RecursionError) as error:
            problem = "nested too deeply" if isinstance(error, RecursionError) else "not JSON"
            if isinstance(line, OverlongLine):
                problem = "an overlong line"
            elif number == 1:
                _check_first_line(file, line)
            if num_broken_at_start >= 0:
                num_broken_at_start += 1
            if num_broken_at_start >= _MAX_BROKEN_AT_START:
                raise InputError(
                    f"{file.path}: its first {num_broken_at_start} lines are not JSON. Choose the "
                    "reader for its format."
                ) from None
            value = BrokenRecord(place, problem, line[:SAMPLE_CHARACTERS])
        else:
            num_broken_at_start = -1
        yield place, value


def _check_first_line(file: InputFile, line: str) -> None:
    if not file.begin and line.strip() in ("{", "[", "[{"):
        raise InputError(
            f"{file.path}: one JSON value over several lines, not one a line. "
            "Read it with the reader json."
        )
