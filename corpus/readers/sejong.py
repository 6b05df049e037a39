"""21세기 세종계획, the Sejong corpora: marked up like TEI, but no well-formed XML."""

import html
import re
from collections.abc import Iterator

from deeq_bert.corpus.readers.base import BrokenRecord, Document, Reader
from deeq_bert.corpus.readers.document_parts import DocumentParts, overlong_line
from deeq_bert.corpus.readers.input_file import InputFile, OverlongLine
from deeq_bert.tokenizers.errors import InputError

# A "<" in the text is no tag unless a name follows it at once.
_TAG = re.compile(r"<(/?[A-Za-z][A-Za-z0-9.]{0,30})(?:\s[^<>]{0,1000})?/?>")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,30});", re.IGNORECASE)
# The place, the word as written and its analysis: BTAA0001-00000012<TAB>프랑스의<TAB>프랑스/NNP ...
_ANALYSED = re.compile(r"[A-Z0-9_]{1,20}-[0-9]{1,20}\t([^\t]*)\t")
# What a paragraph is, and what cannot be inside of one: SGML lets the end tag be left out.
_PARAGRAPHS = frozenset(["head", "p", "u"])
_OUTSIDE = frozenset(["body", "text", "div", "div1", "div2", "div3", "div4", "front", "back"])
_MAX_PARAGRAPH_CHARACTERS = 4_000_000


class SejongReader(Reader):
    """Reads Sejong corpora, plain or analysed: the headings and paragraphs of the bodies.

    Of an analysed text it takes the words as they were written.
    """

    def read(self, file: InputFile) -> Iterator[Document | BrokenRecord]:
        text = _Text(file.path)
        for number, line in enumerate(file.lines(), 1):
            if isinstance(line, OverlongLine):
                yield overlong_line(file, number, line)
                continue
            yield from text.read_line(line)
        yield from text.finish()
        if not text.has_body:
            raise InputError(
                f"{file.path}: no <body> in it, so it is no text of the Sejong corpora. "
                "Choose the reader for its format."
            )
        if not text.has_text:
            yield BrokenRecord(file.path, "no <head> or <p> with text in its <body>", "")


class _Text:
    """The text of a file, as far as it has been read.

    Attributes:
      has_body: Whether there was a body.
      has_text: Whether there was text in it.
    """

    def __init__(self, path: str):
        self.has_body = False
        self.has_text = False
        self._document = DocumentParts()
        self._path = path
        self._in_body = False
        # What is gathered: the name of the element, and its text.
        self._element = ""
        self._pieces: list[str] = []
        self._size = 0
        self._title = ""
        self._id = ""

    def read_line(self, line: str) -> Iterator[Document]:
        """Yields the documents that end with the next line."""
        analysed = _ANALYSED.match(line)
        if analysed:
            # Brackets in a word are no markup.
            yield from self._add(analysed[1] + " ")
            return
        line += " "
        if "<" not in line:
            yield from self._add(line)
            return
        parts = _TAG.split(line)
        yield from self._add(parts[0])
        for tag, text in zip(parts[1::2], parts[2::2]):
            yield from self._read_tag(tag.lower())
            yield from self._add(text)

    def finish(self) -> Iterator[Document]:
        """Yields what is left at the end of the file."""
        yield from self._end_element()
        yield from self._end_document()

    def _read_tag(self, tag: str) -> Iterator[Document]:
        name = tag.removeprefix("/")
        if name == "body":
            yield from self._end_element()
            yield from self._end_document()
            self._in_body = tag == name
            self.has_body = True
        elif self._in_body:
            if name in _PARAGRAPHS or name in _OUTSIDE:
                yield from self._end_element()
                self._element = name if tag in _PARAGRAPHS else ""
        elif name in ("title", "idno"):
            yield from self._end_element()
            self._element = tag if tag == name else ""

    def _add(self, text: str) -> Iterator[Document]:
        if not self._element:
            return
        self._pieces.append(text)
        self._size += len(text)
        if self._size > _MAX_PARAGRAPH_CHARACTERS:
            element = self._element
            yield from self._end_element()
            self._element = element

    def _end_element(self) -> Iterator[Document]:
        text = " ".join("".join(self._pieces).split())
        element, self._element = self._element, ""
        self._pieces, self._size = [], 0
        if "&" in text:
            text = _ENTITY.sub(lambda match: html.unescape(match[0]), text)
        if element == "title":
            self._title = self._title or text.removesuffix("전자파일").rstrip(" ,")
        elif element == "idno":
            self._id = self._id or text.partition(",")[0].strip()
        elif text:
            if not self._document.is_open:
                self.has_text = True
                self._document.start(self._id or self._path, self._title)
            if part := self._document.add(text):
                yield part

    def _end_document(self) -> Iterator[Document]:
        if self._document.is_open and (document := self._document.finish()):
            yield document
