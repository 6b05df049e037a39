"""XML: documents at a path, among them the articles of RSS and Atom feeds."""

import html
import re
from collections.abc import Iterator
from xml.parsers import expat

from deeq_bert.corpus.readers.base import SAMPLE_CHARACTERS, BrokenRecord, Document, Reader
from deeq_bert.corpus.readers.html_pages import html_to_paragraphs
from deeq_bert.corpus.readers.input_file import InputFile
from deeq_bert.corpus.readers.xml_paths import ElementPath, TextPaths
from deeq_bert.tokenizers.errors import InputError

_CONTENTS = ("text", "html")
# The text of one document; it bounds the memory.
MAX_DOCUMENT_CHARACTERS = 32 << 20
# What the parser holds back until it is whole: a tag, a comment.
_MAX_TOKEN_BYTES = 16 << 20
_MAX_DEPTH = 5_000
# The documents in so much of the file are held at a time.
_PIECE_BYTES = 1 << 17
_MAX_NAMES_TOLD = 12
# No XML may have them; in exports of databases they come all the same, and carry no text.
_CONTROL_CHARACTERS = bytes(set(range(0x20)) - set(b"\t\n\r"))
_DECLARATION = re.compile(
    rb"""<\?xml[^>]{1,200}?encoding\s{0,20}=\s{0,20}["']([A-Za-z0-9._-]{1,40})"""
)
_LONGEST_DECLARATION = 1_000
# Elements in a text that set what follows apart from what comes before.
_BREAKS = frozenset(["br", "div", "head", "l", "lb", "li", "p", "s", "tr", "u"])


class XmlReader(Reader):
    """Reads XML files of any size, a document at a time.

    Namespaces do not count, only the names after the colon. Entities that a file declares are
    refused, since they can grow without bound or name other files; those of HTML are known.
    """

    def __init__(
        self,
        document: str = "item,entry",
        text: str = "encoded|description|content|summary",
        title: str = "title",
        id: str = "",
        content: str = "text",
    ):
        """Makes a reader.

        Args:
          document: What is one document: the name of an element, or the names on the way to it
            with slashes between them, from anywhere on; several with commas between them.
          text: Where its texts are, each a paragraph: the names on the way from the document down,
            or "//" and a name for elements at any depth, or "." for the document itself. Several
            with commas between them are all taken, in the order of the file; of several with "|"
            between them, the first that is there.
          title: The path to its title, or "".
          id: The path to its name, or "".
          content: "text", or "html" where the texts are HTML, as in RSS.

        Raises:
          InputError: A value is not as described.
        """
        if content not in _CONTENTS:
            raise InputError(f"The content {content!r} is not known; expected text or html.")
        self.documents = tuple(ElementPath(part) for part in document.split(","))
        self.texts = TextPaths(text)
        self.title = ElementPath(title) if title else None
        self.id = ElementPath(id) if id else None
        self.is_html = content == "html"
        # Most elements are told not to be wanted by their names alone.
        wanted = [*self.texts.paths, *filter(None, (self.title, self.id))]
        self.document_names = {path.names[-1] for path in self.documents if path.names}
        self.wanted_names = {path.names[-1] for path in wanted if path.names}

    def read(self, file: InputFile) -> Iterator[Document | BrokenRecord]:
        _heed_declaration(file)
        yield from _Parse(self, file).run()


class _Parse:
    """One reading of one file."""

    def __init__(self, reader: XmlReader, file: InputFile):
        self._reader = reader
        self._file = file
        self._names: list[str] = []
        self._ready: list[Document | BrokenRecord] = []
        self._parts: _Parts | None = None
        self._num_documents = 0
        self._any_text = False
        # What there is where the documents or texts were looked for, for a message.
        self._seen: dict[str, None] = {}
        self._parser = parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.buffer_size = 1 << 16
        # Default values are declared once, and can be long.
        parser.specified_attributes = True
        # Otherwise an entity of HTML, such as &nbsp; in a feed, ends the parse.
        parser.UseForeignDTD(True)
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.SkippedEntityHandler = self._skipped_entity
        parser.StartDoctypeDeclHandler = self._doctype
        parser.EntityDeclHandler = self._entity

    def run(self) -> Iterator[Document | BrokenRecord]:
        unread = 0
        last_index = -1
        beginning = ""
        try:
            for text in self._file.text_blocks():
                beginning = beginning or text[:SAMPLE_CHARACTERS]
                block = text.encode("utf-8", "replace").translate(None, _CONTROL_CHARACTERS)
                for begin in range(0, len(block), _PIECE_BYTES):
                    self._parser.Parse(block[begin : begin + _PIECE_BYTES])
                    yield from self._take_ready()
                index = self._parser.CurrentByteIndex
                # -1 where the parser waits for more before it looks at a token again.
                unread = unread + len(block) if index in (last_index, -1) else 0
                last_index = max(last_index, index)
                if unread > _MAX_TOKEN_BYTES:
                    raise _LostError(f"a tag or comment of over {_MAX_TOKEN_BYTES:,} bytes")
            self._parser.Parse(b"", True)
            yield from self._take_ready()
        except (expat.ExpatError, _LostError) as error:
            yield from self._take_ready()
            if not beginning:
                yield BrokenRecord(self._file.path, "an empty file", "")
                return
            if not self._names and not self._seen and not self._num_documents:
                raise InputError(
                    f"{self._file.path}: not XML, since it begins with {beginning[:20]!r}. "
                    "Choose the reader for its format."
                ) from None
            yield self._lost(error, beginning)
            return
        self._check_found()

    def _take_ready(self) -> list[Document | BrokenRecord]:
        ready, self._ready = self._ready, []
        return ready

    def _lost(self, error: Exception, beginning: str) -> BrokenRecord:
        place = self._file.place(self._parser.CurrentLineNumber)
        problem = str(error)
        if isinstance(error, expat.ExpatError):
            problem = f"not XML: {expat.ErrorString(error.code)}"
        return BrokenRecord(place, f"{problem}; the rest of the file is lost", beginning)

    def _check_found(self) -> None:
        reader = self._reader
        if self._num_documents and self._any_text:
            return
        wanted, option = reader.texts, "text"
        if not self._num_documents:
            wanted, option = ",".join(str(path) for path in reader.documents), "document"
        names = ", ".join(list(self._seen)[:_MAX_NAMES_TOLD])
        raise InputError(
            f"{self._file.path}: no element `{wanted}`; it has {names}. "
            f"Give the reader another `{option}`."
        )

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(":")[2]
        names = self._names
        names.append(name)
        if len(names) > _MAX_DEPTH:
            raise _LostError(f"elements nested over {_MAX_DEPTH:,} deep")
        if self._parts is not None:
            self._parts.start(name)
            return
        reader = self._reader
        if name in reader.document_names and any(path.ends(names) for path in reader.documents):
            if not self._num_documents:
                self._seen.clear()
            self._num_documents += 1
            place = self._file.place(self._parser.CurrentLineNumber)
            self._parts = _Parts(reader, place)
            self._parser.CharacterDataHandler = self._parts.add
        elif not self._num_documents and len(self._seen) < _MAX_NAMES_TOLD:
            self._seen["/".join(names[-4:])] = None

    def _end(self, name: str) -> None:
        self._names.pop()
        parts = self._parts
        if parts is None or not parts.end(name.rpartition(":")[2]):
            return
        self._parts = None
        self._parser.CharacterDataHandler = None
        record = parts.finish()
        if isinstance(record, Document):
            self._any_text = self._any_text or parts.has_text
            if not self._any_text and len(self._seen) < _MAX_NAMES_TOLD:
                self._seen.update(dict.fromkeys(parts.seen))
        else:
            self._any_text = True
        self._ready.append(record)

    def _skipped_entity(self, name: str, is_parameter: bool) -> None:
        if self._parts is not None and not is_parameter:
            self._parts.add(html.unescape(f"&{name};"))

    def _doctype(
        self, name: str, system: str | None, public: str | None, has_internal: int
    ) -> None:
        if system is not None or public is not None:
            raise self._refused("names a DTD outside of the file")

    def _entity(self, name: str, *_: object) -> None:
        raise self._refused(f"declares the entity {name[:50]!r}")

    def _refused(self, what: str) -> InputError:
        return InputError(
            f"{self._file.path}: {what}, which is refused (entity expansion can fill the memory "
            "or read other files). Remove its <!DOCTYPE ...>, with entities replaced."
        )


class _Parts:
    """The texts of one document, as they are met.

    Attributes:
      has_text: Whether there was an element for a text.
      seen: The ways to some of the elements there were.
    """

    def __init__(self, reader: XmlReader, place: str):
        self.has_text = False
        self.seen: list[str] = []
        self._reader = reader
        self._place = place
        self._names: list[str] = []
        self._texts: list[tuple[tuple[int, int], str]] = []
        self._title = ""
        self._id = ""
        self._size = 0
        # What is gathered at present: for whom, from how deep on, and what. Markup is told from
        # text, since both can be the same characters.
        self._target: tuple[int, int] | str | None = None
        self._target_depth = 0
        self._pieces: list[tuple[str, bool]] = []
        self._open()

    def start(self, name: str) -> None:
        """Takes the beginning of an element in the document."""
        self._names.append(name)
        if self._target is None:
            if name in self._reader.wanted_names:
                self._open()
            elif len(self.seen) < _MAX_NAMES_TOLD:
                self.seen.append("/".join(self._names[-4:]))
        elif self._reader.is_html:
            self._append(f"<{name}>", True)
        elif name in _BREAKS:
            self._append("\n", False)

    def end(self, name: str) -> bool:
        """Takes the end of an element; whether it is that of the document."""
        if self._target is not None and len(self._names) == self._target_depth:
            self._close()
        elif self._target is not None and self._reader.is_html:
            self._append(f"</{name}>", True)
        if not self._names:
            return True
        self._names.pop()
        return False

    def add(self, text: str) -> None:
        """Takes characters of the document."""
        if self._target is not None:
            self._append(text, False)

    def finish(self) -> Document | BrokenRecord:
        """Returns the document."""
        if self._size > MAX_DOCUMENT_CHARACTERS:
            problem = f"a document of over {MAX_DOCUMENT_CHARACTERS:,} characters"
            sample = self._texts[0][1] if self._texts else self._title
            return BrokenRecord(self._place, problem, sample[:SAMPLE_CHARACTERS])
        best: dict[int, int] = {}
        for (choice, rank), _ in self._texts:
            best[choice] = min(rank, best.get(choice, rank))
        texts = [text for (choice, rank), text in self._texts if rank == best[choice]]
        if self._reader.is_html:
            texts = [paragraph for text in texts for paragraph in html_to_paragraphs(text)]
        return Document(self._id or self._place, self._title, texts)

    def _append(self, piece: str, is_markup: bool) -> None:
        self._size += len(piece)
        if self._size <= MAX_DOCUMENT_CHARACTERS:
            self._pieces.append((piece, is_markup))

    def _open(self) -> None:
        names = self._names
        reader = self._reader
        target: tuple[int, int] | str | None = reader.texts.number_of(names)
        if target is not None:
            self.has_text = True
        elif reader.title and not self._title and reader.title.matches(names):
            target = "title"
        elif reader.id and not self._id and reader.id.matches(names):
            target = "id"
        self._target, self._target_depth = target, len(names)

    def _close(self) -> None:
        is_html = self._reader.is_html and isinstance(self._target, tuple)
        if is_html and any(is_markup for _, is_markup in self._pieces):
            # Elements rather than text that looks like them, as XHTML in Atom: what looks like
            # markup in the text between them is text.
            text = "".join(
                piece if is_markup else html.escape(piece, quote=False)
                for piece, is_markup in self._pieces
            )
        else:
            text = "".join(piece for piece, is_markup in self._pieces if not is_markup)
        if not is_html:
            lines = (line.strip() for line in text.split("\n"))
            text = "\n".join(line for line in lines if line)
        if self._target == "title":
            self._title = " ".join(text.split())
        elif self._target == "id":
            self._id = " ".join(text.split())
        elif text:
            self._texts.append((self._target, text))
        self._target = None
        self._pieces = []


class _LostError(Exception):
    """The rest of the file cannot be read."""


def _heed_declaration(file: InputFile) -> None:
    """Reads the file in the encoding that it declares, unless it is plainly another.

    Files that were converted to UTF-8 often keep their old declaration.
    """
    head = next(file.byte_blocks(), b"")
    match = _DECLARATION.search(head[:_LONGEST_DECLARATION])
    if match and head.isascii():
        file.declare_encoding(match[1].decode())
