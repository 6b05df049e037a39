"""MediaWiki's XML dumps, such as kowiki-20250101-pages-articles.xml.bz2."""

import re
from collections.abc import Iterator
from typing import ClassVar
from xml.parsers import expat

from deeq_bert.corpus.readers.base import SAMPLE_CHARACTERS, BrokenRecord, Document, Reader
from deeq_bert.corpus.readers.input_file import InputFile
from deeq_bert.corpus.readers.wikitext import strip_wikitext
from deeq_bert.tokenizers.errors import InputError

MAX_PAGE_BYTES = 64 << 20
_END_OF_PAGE = b"</page>"
_REVISION = b"<revision>"
_NAMESPACE = re.compile(rb"<ns>\s*(-?[0-9]{1,9})\s*</ns>")
_IS_REDIRECT = re.compile(r"\s*#\s*(?:redirect|넘겨주기)\s*:?\s*\[\[", re.IGNORECASE)
_MAX_BUFFER_BYTES = 1 << 20
# The depths at which the elements stand whose text is wanted; a page itself is at 1.
_FIELDS = {"title": 2, "id": 2, "model": 3, "text": 3}


class MediaWikiReader(Reader):
    """Reads the pages of a dump, without redirects; of several revisions of a page the last."""

    splits: ClassVar[bool] = True

    def __init__(self, namespaces: str = "0", headings: bool = False):
        """Makes a reader.

        Args:
          namespaces: The numbers of the namespaces to read, with commas between; 0 has the
            articles.
          headings: Whether headings are paragraphs.

        Raises:
          InputError: A value is not as described.
        """
        numbers = [number.strip() for number in str(namespaces).split(",")]
        if not all(re.fullmatch("-?[0-9]{1,9}", number) for number in numbers):
            raise InputError(
                f"namespaces={namespaces}: expected numbers with commas between them, such as 0 "
                "for articles or 0,4."
            )
        if not isinstance(headings, bool):
            raise InputError(f"headings={headings}: expected true or false.")
        self._namespaces = frozenset(str(int(number)).encode() for number in numbers)
        self._headings = headings

    def read(self, file: InputFile) -> Iterator[Document | BrokenRecord]:
        for offset, source in _page_sources(file):
            record = self._read_page(source)
            if isinstance(record, str):
                sample = source[: 4 * SAMPLE_CHARACTERS].decode("utf-8", "replace")
                record = BrokenRecord(
                    f"{file.path}, byte {offset:,}", record, sample[:SAMPLE_CHARACTERS]
                )
            if record is not None:
                yield record

    def _read_page(self, source: bytes) -> Document | str | None:
        """Returns the document of a page, None if it is not wanted, or what is wrong with it."""
        if len(source) > MAX_PAGE_BYTES:
            return f"a page of over {MAX_PAGE_BYTES >> 20} MB"
        end = source.rfind(_END_OF_PAGE)
        if end < 0:
            return "a page without </page>"
        head = source[: source.find(_REVISION)]
        namespace = _NAMESPACE.search(head)
        number = b"0" if namespace is None else b"%d" % int(namespace[1])
        if number not in self._namespaces or b"<redirect" in head:
            return None
        try:
            fields = _PageParser().parse(source[: end + len(_END_OF_PAGE)])
        except expat.ExpatError as error:
            return f"not well-formed XML: {expat.ErrorString(error.code)}"
        text = fields["text"]
        if fields["model"] not in ("wikitext", "") or _IS_REDIRECT.match(text):
            return None
        return Document(fields["id"], fields["title"], strip_wikitext(text, self._headings))


class _PageParser:
    """Parses the XML of one page, which can declare no entities since it has no prologue."""

    def __init__(self):
        self._parser = expat.ParserCreate("utf-8")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._depth = 0
        self._fields = dict.fromkeys(_FIELDS, "")
        self._chunks: list[str] = []

    def parse(self, source: bytes) -> dict[str, str]:
        """Returns the text of the elements that are wanted, "" for one that is missing.

        Raises:
          expat.ExpatError: The page is not well-formed.
        """
        self._parser.buffer_size = min(len(source), _MAX_BUFFER_BYTES)
        self._parser.Parse(source, True)
        return self._fields

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if _FIELDS.get(name) == self._depth:
            self._chunks = []
            self._parser.CharacterDataHandler = self._chunks.append

    def _end(self, name: str) -> None:
        if _FIELDS.get(name) == self._depth:
            self._fields[name] = "".join(self._chunks)
            self._parser.CharacterDataHandler = None
        self._depth -= 1


def _page_sources(file: InputFile) -> Iterator[tuple[int, bytes]]:
    """Yields where each page of the range begins, and its XML up to where the next one begins.

    Of a page that is too long the first MAX_PAGE_BYTES come, and a few more.

    Raises:
      InputError: The file is no dump.
    """
    parts = _split_at_pages(file)
    # At the beginning of a range stands the rest of a page of the range before.
    offset, head = next(parts)
    if offset == 0:
        _check_head(file.path, head)
    for offset, source in parts:
        if file.end is not None and offset >= file.end:
            return
        yield offset, source


def _split_at_pages(file: InputFile) -> Iterator[tuple[int, bytes]]:
    """Yields what stands before the first page, and then the pages, with their offsets."""
    # In a dump "<" in text is always written as a reference, so this can only be the tag.
    tag = b"<page>"
    part = bytearray()
    offset = file.begin
    num_left_out = 0
    for block in file.byte_blocks():
        searched_to = max(0, len(part) - len(tag) + 1)
        part += block
        while (end := part.find(tag, searched_to)) >= 0:
            yield offset, bytes(part[:end])
            offset += end + num_left_out
            num_left_out = 0
            del part[:end]
            searched_to = len(tag)
        too_many = len(part) - MAX_PAGE_BYTES - len(tag)
        if too_many > 0:
            # The end stays, where the next tag may have begun.
            num_left_out += too_many
            del part[MAX_PAGE_BYTES + 1 : MAX_PAGE_BYTES + 1 + too_many]
    yield offset, bytes(part)


def _check_head(path: str, head: bytes) -> None:
    root = ""

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal root
        root = root or name

    def refuse(*declaration: object) -> None:
        raise InputError(
            f"{path}: declares entities, which MediaWiki's dumps do not and which can be made to "
            "fill the memory. Remove its <!DOCTYPE …>."
        )

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(head, False)
    except expat.ExpatError:
        root = root or "no XML"
    if root.rpartition(":")[2] != "mediawiki":
        raise InputError(
            f"{path}: not a dump of MediaWiki, which begins with <mediawiki …>. "
            "Choose the reader for its format."
        )
