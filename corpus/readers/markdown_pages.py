"""Markdown pages: the text without front matter, code, tables, formulas and markup."""

import re
from collections.abc import Iterator

from deeq_bert.corpus.readers.base import BrokenRecord, Document, Reader
from deeq_bert.corpus.readers.input_file import InputFile
from deeq_bert.corpus.readers.markdown_inline import InlineCleaner

_FRONT_MATTER = re.compile(r"\s*(---|\+\+\+)[ \t]*\n")
_FRONT_MATTER_TITLE = re.compile(r"^title[ \t]*[:=][ \t]*(\S.*)$", re.MULTILINE | re.IGNORECASE)
_QUOTE = re.compile(r"[ \t]*>(?:[ \t]*>)*[ \t]?")
_HEADING = re.compile(r"#{1,6}(?:[ \t]+|$)|#{2,6}(?=[^#\s])")
_ITEM = re.compile(r"(?:[-*+•]|[0-9]{1,3}[.)])(?:[ \t]+|$)(?:\[[ xX]\][ \t]+)?")
_DEFINITION = re.compile(r"\[([^\[\]]+)\]:[ \t]*\S")
_FOOTNOTE = re.compile(r"\[\^[^\[\]\s]+\]:[ \t]*")
_TABLE_RULE = re.compile(r"\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?$")
_RULE_MARKS = frozenset("-*_ \t")
_DOCS_EXTENSION = re.compile(r"\[![A-Za-z]+\][ \t]*")
_TAB = re.compile(":(?:begin|end)_tab:")
_TEX = re.compile(r"\\begin\{([a-z]+\*?)\}")
_RAW_ELEMENT = re.compile("<(script|style|pre|svg|table|iframe|video)(?=[ \t>])", re.IGNORECASE)
_RAW_LIQUID = re.compile(r"\{%-?[ \t]*(highlight|comment)\b")
_MAX_FORMULA_LINES = 100
# With none of these first, a line is text.
_SPECIAL = frozenset("`~#>-*+•|[<$\\{:=0123456789_")


class MarkdownReader(Reader):
    """Reads Markdown pages, a document a file, of the dialects of blogs and documentation.

    The title is that of the front matter, else the heading the page begins with, which is then no
    paragraph. Items of lists are paragraphs, and the lines of a paragraph are joined by blanks.
    """

    def __init__(self, headings: bool = True, tables: bool = False, formulas: bool = True):
        """Makes a reader.

        Args:
          headings: Whether headings are paragraphs, or left out.
          tables: Whether the cells of tables are paragraphs, or left out.
          formulas: Whether formulas inside a sentence stay; those on lines of their own go.
        """
        self._headings = headings
        self._tables = tables
        self._formulas = formulas

    def read(self, file: InputFile) -> Iterator[Document | BrokenRecord]:
        text = file.whole_text().replace("\r\n", "\n")
        title, text = _split_front_matter(text)
        blocks = _Blocks(text.split("\n"), self._tables)
        cleaner = InlineCleaner(self._formulas, blocks.references)
        title = _tidy(cleaner.clean(title))
        paragraphs = []
        for is_heading, block in blocks.blocks:
            block = _tidy(cleaner.clean(block))
            if is_heading and block and not paragraphs and block == (title or block):
                title = block
            elif block and (self._headings or not is_heading):
                paragraphs.append(block)
        if paragraphs or title:
            yield Document(file.path, title, paragraphs)


def _split_front_matter(text: str) -> tuple[str, str]:
    """Returns the title that YAML or TOML at the top gives, and the text after it."""
    opening = _FRONT_MATTER.match(text)
    if not opening:
        return "", text
    closing = re.compile(f"^{re.escape(opening[1])}[ \t]*$", re.MULTILINE).search(
        text, opening.end()
    )
    if not closing:
        return "", text
    title = _FRONT_MATTER_TITLE.search(text, opening.end(), closing.start())
    value = title[1].strip() if title else ""
    if value[:1] in ("'", '"') and value[:1] == value[-1:]:
        value = value[1:-1]
    return value, text[closing.end() :]


def _tidy(text: str) -> str:
    if "\n" not in text:
        return " ".join(text.split())
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return "\n".join(filter(None, lines))


class _Blocks:
    """The blocks of a page that hold text, with their inline markup.

    Attributes:
      blocks: Whether each is a heading, and its text.
      references: The names of links that the page defines, in lower case.
    """

    def __init__(self, lines: list[str], tables: bool):
        self.blocks: list[tuple[bool, str]] = []
        self.references: set[str] = set()
        self._lines = lines
        self._tables = tables
        # Lines, each with the blank or the line feed that follows it.
        self._paragraph: list[str] = []
        # The column in which the text of the list's item begins; 0 outside of lists.
        self._item_column = 0
        self._in_table = self._in_quote = False
        # What would end a region that is left out, where nothing does.
        self._unclosed: set[str] = set()
        index = 0
        while index < len(lines):
            index = self._read_line(index)
        self._end_paragraph()

    def _read_line(self, index: int) -> int:
        """Takes up a line; returns the index of the line to go on with."""
        line = self._lines[index]
        stripped = line.strip()
        if "<!--" in stripped and (after := self._cut_comment(index)) is not None:
            return after
        if stripped.startswith(">"):
            if not self._in_quote:
                self._end_paragraph()
            self._in_quote = True
            line = line[_QUOTE.match(line).end() :]
            stripped = line.strip()
        elif not stripped:
            self._in_quote = False
        if not stripped:
            self._end_paragraph()
            self._in_table = False
            return index + 1
        indent = 0 if line[0] not in " \t" else _indent(line)
        if not self._paragraph and not self._in_table:
            if indent >= self._item_column + 4 and not _ITEM.match(stripped):
                # Code.
                return index + 1
            if not indent and not _ITEM.match(stripped):
                self._item_column = 0
        if stripped[0] in _SPECIAL or "|" in stripped:
            after = self._read_special(index, stripped)
            if after is not None:
                return after
            self._in_table = False
            if item := self._match_item(stripped):
                self._end_paragraph()
                self._item_column = indent + item.end()
                stripped = stripped[item.end() :]
                # An item can begin with a heading, code or a formula.
                if not stripped or (after := self._read_special(index, stripped)) is not None:
                    return index + 1 if not stripped else after
        self._add_text(stripped, line.endswith("  "))
        return index + 1

    def _read_special(self, index: int, text: str) -> int | None:
        """Takes up a line that is more than text; returns where to go on, or None for text."""
        first = text[0]
        if first == "#":
            if heading := _HEADING.match(text):
                self._end_paragraph()
                self._add_heading(text[heading.end() :].rstrip("# \t"))
                return index + 1
        elif first in "`~" and text.startswith(("```", "~~~")):
            fence = text[: len(text) - len(text.lstrip(first))]
            if first == "~" or "`" not in text[len(fence) :]:
                self._end_paragraph()
                return self._skip_fence(index, fence)
        elif first in "-=" and self._paragraph and len(text) > 1 and not text.strip(first):
            heading = "".join(self._paragraph)
            self._paragraph.clear()
            self._add_heading(heading)
            return index + 1
        elif first in "[:":
            return self._read_definition(index, text)
        elif first in "<{":
            return self._skip_raw(index, text)
        elif first in "$\\":
            return self._skip_formula(index, text)
        if first in _RULE_MARKS and len(text) >= 3 and _RULE_MARKS.issuperset(text):
            self._end_paragraph()
            return index + 1
        if "|" in text and self._read_table_row(text):
            return index + 1
        return None

    def _match_item(self, text: str) -> re.Match | None:
        item = _ITEM.match(text)
        # A number that happens to come first in a line does not begin a list.
        if item and self._paragraph and not self._item_column and text[0].isdigit():
            return item if text[:2] in ("1.", "1)") else None
        return item

    def _read_definition(self, index: int, text: str) -> int | None:
        if text[0] == ":":
            if text.startswith(":::") or _TAB.match(text):
                self._end_paragraph()
                return index + 1
            if text.startswith(": "):
                self._end_paragraph()
                self._add_text(text[2:], False)
                return index + 1
            return None
        if opening := _FOOTNOTE.match(text) or _DOCS_EXTENSION.match(text):
            self._end_paragraph()
            if opening.end() < len(text):
                self._add_text(text[opening.end() :], False)
            return index + 1
        if not self._paragraph and (definition := _DEFINITION.match(text)):
            self.references.add(definition[1].lower())
            return index + 1
        return None

    def _read_table_row(self, text: str) -> bool:
        if not self._in_table:
            if _TABLE_RULE.match(text) and self._paragraph and "|" in self._paragraph[-2]:
                self._in_table = True
                header = self._paragraph[-2]
                del self._paragraph[-2:]
                self._end_paragraph()
                self._add_cells(header)
                return True
            if not text.startswith("|") or text.count("|") < 2:
                return False
            self._end_paragraph()
            self._in_table = True
        if not _TABLE_RULE.match(text):
            self._add_cells(text)
        return True

    def _skip_fence(self, index: int, fence: str) -> int:
        for end in range(index + 1, len(self._lines)):
            line = self._lines[end].strip(" \t\r>")
            if line.startswith(fence) and not line.strip(fence[0]):
                return end + 1
        return len(self._lines)

    def _skip_raw(self, index: int, text: str) -> int | None:
        if opening := _RAW_ELEMENT.match(text):
            if opening[1].lower() == "table" and self._tables:
                return None
            name = opening[1].lower()
            opener, closing = f"<{name}", f"</{name}"
        elif opening := _RAW_LIQUID.match(text):
            opener, closing = f"% {opening[1]}", f"end{opening[1]}"
        else:
            return None
        end = self._find(closing, index, opener)
        if end is not None:
            self._end_paragraph()
            return end + 1
        return None

    def _skip_formula(self, index: int, text: str) -> int | None:
        if text.startswith("$$"):
            inside, closing, after = text[2:].partition("$$")
            if closing:
                return None if after.strip(" .,") else index + 1
            closing = "$$"
        elif text.startswith(("\\[", "\\\\[")):
            closing = "\\]"
        elif opening := _TEX.match(text):
            closing = f"\\end{{{opening[1]}}}"
        else:
            return None
        # Formulas have no blank lines: what seems to go on after one was not opened here.
        start = index if closing != "$$" else index + 1
        for end in range(start, min(start + _MAX_FORMULA_LINES, len(self._lines))):
            line = self._lines[end]
            if not line.strip():
                return None
            if closing in line:
                self._lines[end] = line.rpartition(closing)[2].strip(" .,")
                return end if self._lines[end] else end + 1
        return None

    def _cut_comment(self, index: int) -> int | None:
        """Takes the comments out of a line, and the lines that the last one goes over.

        Returns:
          The index of the line to go on with; None if there is nothing to take out.
        """
        line = self._lines[index]
        pieces, position = [], 0
        while (start := line.find("<!--", position)) >= 0:
            if line.count("`", position, start) % 2:
                # In code.
                pieces.append(line[position : start + 4])
                position = start + 4
                continue
            pieces.append(line[position:start])
            end = line.find("-->", start + 2)
            if end < 0:
                last = self._find("-->", index + 1)
                if last is None:
                    pieces.append(line[start:])
                    return None
                pieces.append(self._lines[last].partition("-->")[2])
                self._lines[last] = "".join(pieces)
                return last
            position = end + 3
        if not position:
            return None
        changed = "".join(pieces) + line[position:]
        if changed == line:
            return None
        self._lines[index] = changed
        return index

    def _find(self, closing: str, index: int, opening: str = "\n") -> int | None:
        """Returns the index of the line from `index` on that closes what is open.

        Args:
          closing: What closes it.
          index: Where to begin.
          opening: What opens another one inside it.
        """
        if closing in self._unclosed:
            return None
        depth = 0
        for end in range(index, len(self._lines)):
            line = self._lines[end].lower()
            if closing in line or opening in line:
                depth += line.count(opening) - line.count(closing)
                if depth <= 0:
                    return end
        self._unclosed.add(closing)
        return None

    def _add_text(self, text: str, breaks: bool) -> None:
        if text.endswith("\\"):
            text, breaks = text[:-1], True
        self._paragraph.append(text)
        self._paragraph.append("\n" if breaks else " ")

    def _add_heading(self, text: str) -> None:
        self._item_column = 0
        if text:
            self.blocks.append((True, text))

    def _add_cells(self, row: str) -> None:
        if self._tables:
            self.blocks.extend((False, cell) for cell in row.strip("| ").split("|"))

    def _end_paragraph(self) -> None:
        if self._paragraph:
            self.blocks.append((False, "".join(self._paragraph)))
            self._paragraph.clear()


def _indent(line: str) -> int:
    blank = line[: len(line) - len(line.lstrip())]
    return len(blank.expandtabs(4))
