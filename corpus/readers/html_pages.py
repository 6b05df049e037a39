"""HTML pages: the text of a page without menus, scripts and code.

The scanner here takes tags as they come and never looks back, so that a page of any kind takes
time in proportion to its size; the standard library's parser takes minutes for some broken pages
of 100 KB.
"""

import html
import re
from collections.abc import Iterable, Iterator

from deeq_bert.corpus.readers.base import BrokenRecord, Document, Reader
from deeq_bert.corpus.readers.input_file import InputFile


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_BLOCKS = _names(
    "address article blockquote body caption center dd details dialog dir div dl dt fieldset "
    "figcaption figure h1 h2 h3 h4 h5 h6 hr legend li main menu ol optgroup option p section "
    "summary table tbody td tfoot th thead title tr ul"
)
_HEADINGS = _names("h1 h2 h3 h4 h5 h6")
_MAIN = _names("article main")
# Their content is no markup: it ends at the first end tag of the same name.
_RAW = _names("iframe noembed noframes script style textarea title xmp")
# What no reader of the page takes for its text.
_LEFT_OUT = _names(
    "aside audio button canvas datalist footer header map math nav noscript object pre select svg "
    "template video"
)
_MENU_ROLES = re.compile(
    r"""\srole\s*=\s*["']?(?:navigation|banner|contentinfo|search|menu|menubar|complementary)\b""",
    re.IGNORECASE,
)
_TAG_NAME = re.compile("/?([A-Za-z][A-Za-z0-9:-]*)")
_FRAGMENT_BLOCK = re.compile("<(?:p|br|div|li|td|tr|h[1-6]|section|article)[ \t\r\n/>]", re.I)
# Python refuses to read a number of thousands of digits.
_HUGE_REFERENCE = re.compile("&#(?:[0-9]{8,}|[xX][0-9a-fA-F]{7,});?")
# Stands for <br>; whitespace in any case.
_BREAK = "\x1e"

# What documentation tools hang a heading's link on.
_HEADING_MARKS = "#¶\uf0c1 \n"

# How far a tag may go on after a ">" that stands in quotes.
_MAX_QUOTED = 4096
# Below this many characters, or this share of the page, <main> or <article> is not the page's text.
_MIN_MAIN_CHARACTERS = 200
_MIN_MAIN_SHARE = 0.2
_MAX_LINK_SHARE = 0.6


class HtmlReader(Reader):
    """Reads HTML pages, a document a file.

    Blocks are paragraphs, `<br>` is a line feed in one, and two are a paragraph's end. Where there
    is a `<main>` or `<article>`, only that is read. Menus go: nav, header, footer, aside and forms,
    and blocks that are mostly links. Code blocks, scripts, drawings and the like go too.
    """

    def __init__(self, headings: bool = True):
        """Makes a reader.

        Args:
          headings: Whether headings are paragraphs, or left out.
        """
        self._headings = headings

    def read(self, file: InputFile) -> Iterator[Document | BrokenRecord]:
        page = _Page(file.whole_text())
        blocks = [block for block in page.blocks if self._headings or not block.is_heading]
        paragraphs = [
            paragraph for block in _without_menus(blocks) for paragraph in block.paragraphs()
        ]
        if paragraphs:
            yield Document(file.path, page.title, paragraphs)


def html_to_paragraphs(text: str) -> list[str]:
    """Returns the text of a piece of HTML, such as a cell or the content of a feed's entry.

    Scripts, code blocks and the like are left out, but not menus. In text without blocks a line
    feed ends a paragraph, as in plain text.
    """
    if "<" not in text or not _FRAGMENT_BLOCK.search(text):
        text = text.replace("\n", "<br><br>")
    return [paragraph for block in _Page(text).blocks for paragraph in block.paragraphs()]


def decode_entities(text: str) -> str:
    """Returns text with character references such as `&amp;` and `&#44032;` decoded."""
    if "&" not in text:
        return text
    if "&#" in text:
        text = _HUGE_REFERENCE.sub("\ufffd", text)
    return html.unescape(text)


class _Block:
    """The text of a block, entities decoded, and what is known of it."""

    __slots__ = ("text", "link_size", "is_heading", "in_main", "in_form")

    def __init__(self, text: str, link_size: int, is_heading: bool, in_main: bool, in_form: bool):
        self.text = text
        self.link_size = link_size
        self.is_heading = is_heading
        self.in_main = in_main
        self.in_form = in_form

    def paragraphs(self) -> list[str]:
        if _BREAK not in self.text:
            return [" ".join(self.text.split())]
        lines = [" ".join(line.split()) for line in self.text.split(_BREAK)]
        paragraphs, current = [], []
        for line in lines:
            if line:
                current.append(line)
            elif current:
                paragraphs.append("\n".join(current))
                current = []
        if current:
            paragraphs.append("\n".join(current))
        return paragraphs


class _Page:
    """The blocks of a page that have text, and its title."""

    def __init__(self, text: str):
        self.title = ""
        self.blocks: list[_Block] = []
        self._text = text
        self._pieces: list[str] = []
        self._link_size = 0
        self._in_link = self._in_heading = False
        self._num_main = self._num_forms = 0
        # Elements that are opened and never closed cannot be left out: the rest would go too.
        self._unclosed: set[str] = set()
        self._scan()
        self._end_block()

    def _scan(self) -> None:
        text = self._text
        find, match_name = text.find, _TAG_NAME.match
        position, size = 0, len(text)
        while position < size:
            start = find("<", position)
            if start < 0:
                self._add(text[position:])
                return
            if start > position:
                self._add(text[position:start])
            name = match_name(text, start + 1)
            if name is None:
                position = self._skip_declaration(start)
                continue
            end = self._tag_end(start)
            if end < 0:
                # The page is cut off inside a tag.
                return
            if text[start + 1] == "/":
                self._close(name[1].lower())
                position = end
            else:
                position = self._open(name[1].lower(), start, end)

    def _add(self, piece: str) -> None:
        self._pieces.append(piece)
        if self._in_link:
            self._link_size += len(piece.strip())

    def _skip_declaration(self, start: int) -> int:
        """Returns where a comment or the like ends; adds a "<" that begins nothing."""
        text = self._text
        following = text[start + 1 : start + 2]
        if text.startswith("<!--", start):
            end = text.find("-->", start + 2)
            if end >= 0:
                return end + 3
            # As browsers have it, all the rest is the comment.
            return len(text)
        if text.startswith("<![CDATA[", start):
            end = text.find("]]>", start)
            self._add(html.escape(text[start + 9 : end if end >= 0 else len(text)], quote=False))
            return end + 3 if end >= 0 else len(text)
        if following and following in "!?/":
            end = text.find(">", start)
            return end + 1 if end >= 0 else len(text)
        self._pieces.append("<")
        return start + 1

    def _tag_end(self, start: int) -> int:
        """Returns where the tag at `start` ends, -1 if it does not."""
        text = self._text
        end = text.find(">", start) + 1
        if not end:
            return -1
        quote = '"' if text.count('"', start, end) % 2 else "'"
        if quote == '"' or text.count("'", start, end) % 2 and text.find("='", start, end) >= 0:
            closing = text.find(quote, end, end + _MAX_QUOTED)
            if closing >= 0:
                after = text.find(">", closing, closing + _MAX_QUOTED)
                if after >= 0:
                    return after + 1
        return end

    def _open(self, name: str, start: int, end: int) -> int:
        """Takes notice of a start tag; returns where reading goes on."""
        text = self._text
        if name == "br":
            self._pieces.append(_BREAK)
            return end
        if name == "a":
            self._in_link = True
            return end
        if name in _RAW:
            return self._skip_raw(name, end)
        if name in _LEFT_OUT or "role" in text[start:end] and _MENU_ROLES.search(text, start, end):
            if text[end - 2] == "/" or name in self._unclosed:
                return end
            after = self._skip_element(name, end)
            if after >= 0:
                self._end_block()
                return after
        if name in _BLOCKS or name == "form":
            self._end_block()
            if name in _HEADINGS:
                self._in_heading = True
            elif name in _MAIN:
                self._num_main += 1
            elif name == "form":
                self._num_forms += 1
        return end

    def _close(self, name: str) -> None:
        if name == "a":
            self._in_link = False
        elif name in _BLOCKS or name == "form":
            self._end_block()
            if name in _HEADINGS:
                self._in_heading = False
            elif name in _MAIN:
                self._num_main = max(0, self._num_main - 1)
            elif name == "form":
                self._num_forms = max(0, self._num_forms - 1)

    def _skip_raw(self, name: str, end: int) -> int:
        if name in self._unclosed:
            return end
        closing = re.compile(f"</{name}(?=[ \t\r\n/>])", re.IGNORECASE).search(self._text, end)
        if closing is None:
            self._unclosed.add(name)
            return end
        if name == "title" and not self.title:
            title = decode_entities(self._text[end : closing.start()])
            self.title = " ".join(title.split())
        return self._text.find(">", closing.end()) + 1 or len(self._text)

    def _skip_element(self, name: str, end: int) -> int:
        """Returns where the element ends whose start tag ends at `end`; -1 if it does not."""
        depth = 1
        tags = re.compile(f"<(/?){name}(?=[ \t\r\n/>])", re.IGNORECASE)
        for tag in tags.finditer(self._text, end):
            depth += -1 if tag[1] else 1
            if not depth:
                return self._text.find(">", tag.end()) + 1 or len(self._text)
        self._unclosed.add(name)
        return -1

    def _end_block(self) -> None:
        if not self._pieces:
            return
        text = "".join(self._pieces)
        self._pieces.clear()
        link_size, self._link_size = self._link_size, 0
        if not text or text.isspace():
            return
        text = decode_entities(text)
        if self._in_heading:
            text = text.rstrip(_HEADING_MARKS)
        if not text or text.isspace():
            return
        self.blocks.append(
            _Block(text, link_size, self._in_heading, self._num_main > 0, self._num_forms > 0)
        )


def _without_menus(blocks: list[_Block]) -> list[_Block]:
    main = _size(block for block in blocks if block.in_main)
    if main >= _MIN_MAIN_CHARACTERS and main >= _MIN_MAIN_SHARE * _size(blocks):
        blocks = [block for block in blocks if block.in_main]
    # Some sites have the whole page in a form.
    if _size(block for block in blocks if block.in_form) < 0.5 * _size(blocks):
        blocks = [block for block in blocks if not block.in_form]
    kept = [
        block
        for block in blocks
        if block.is_heading or block.link_size <= _MAX_LINK_SHARE * len(block.text.strip())
    ]
    # What is left of menus at the end of a page.
    while kept and kept[-1].is_heading and len(kept) < len(blocks):
        kept.pop()
    return kept


def _size(blocks: Iterable[_Block]) -> int:
    """Returns how many characters blocks have outside of links."""
    return sum(len(block.text) - block.link_size for block in blocks)
