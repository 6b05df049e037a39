"""reStructuredText: the text without directives, code, tables and markup."""

import re
from collections.abc import Iterator

from deeq_bert.corpus.readers.base import BrokenRecord, Document, Reader
from deeq_bert.corpus.readers.document_parts import overlong_line
from deeq_bert.corpus.readers.input_file import InputFile
from deeq_bert.tokenizers.errors import InputError

PARAGRAPHS = ("block", "line")

_DIRECTIVE = re.compile(r"\.\. (?:\|[^|]*\| )?([\w:+.-]+?)::(?:[ \t]+|$)")
_FOOTNOTE = re.compile(r"\.\. \[[^\[\]]*\](?:[ \t]+|$)")
_TARGET = re.compile(r"\.\. _(?:`([^`]+)`|([^:`]+)):")
_ITEM = re.compile(r"(?:[-*+•]|\(?(?:[0-9]{1,3}|#|[a-zA-Z])[.)])[ \t]+")
_FIELD = re.compile(r":[^:\s`][^:`]*:(?:[ \t]+|$)")
_TABLE_BORDER = re.compile(r"=+(?:[ \t]+=+)+$")
_ADORNMENTS = frozenset("=-`:'\"~^_*+#<>.")
# Directives whose content is text; the others, and what they hold, are left out.
_ADMONITIONS = frozenset(
    ["admonition", "attention", "caution", "danger", "epigraph", "error", "hint", "important"]
    + ["note", "pull-quote", "rubric", "seealso", "sidebar", "tip", "todo", "topic", "warning"]
    + ["versionadded", "versionchanged", "deprecated", "versionremoved", "line-block"]
)
_CONTAINERS = frozenset(
    ["container", "compound", "cssclass", "dropdown", "glossary", "grid-item-card"]
    + ["highlights", "only", "tab", "tab-item", "tab-set", "tabs"]
)
# What stands after the name of these is no text but a version.
_VERSIONS = frozenset(["versionadded", "versionchanged", "deprecated", "versionremoved"])
# What stands after the name of these is a title.
_TITLED = frozenset(["admonition", "rubric", "sidebar", "topic"])
# Descriptions of functions and the like: `.. function:: name(arguments)`.
_OBJECTS = frozenset(
    ["attribute", "class", "classmethod", "cmdoption", "data", "decorator", "describe", "envvar"]
    + ["exception", "function", "macro", "member", "method", "module", "object", "opcode"]
    + ["option", "property", "staticmethod", "struct", "type", "var", "enum", "enumerator"]
    + ["pdbcommand", "confval", "setting", "decoratormethod", "coroutinefunction"]
)

_LITERAL = re.compile(r"``([^`]+)``")
_INTERPRETED = re.compile(
    r"(?::([A-Za-z][\w:+.-]{0,40}):)?`([^`]+)`(?::[A-Za-z][\w:+.-]{0,40}:|_{1,2}(?![A-Za-z0-9_]))?"
)
_LINK_TARGET = re.compile(r"(?<!\s)\s+<[^<>]*>$")
_REFERENCE_MARK = re.compile(r"[ \t]?\[(?:[0-9]+|#[\w-]*|\*|[A-Z][A-Za-z]*[0-9]*)\]_(?!\w)")
_STRONG = re.compile(r"\*\*(?![\s*])([^*]*[^\s*])\*\*")
_EMPHASIS = re.compile(r"(?<![\w*])\*(?![\s*])([^*]*[^\s*])\*(?![A-Za-z0-9*])")
_SUBSTITUTION = re.compile(r"\|([^|\s](?:[^|]*[^|\s])?)\|(?:_{1,2}(?!\w))?")
_NAME_REFERENCE = re.compile(r"(?<![\w`])([^\W_]+)_{1,2}(?!\w)")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
# Stands for markup that is meant as such, and is in no text.
_ASIDE = "\ufffe"
_ASIDE_AGAIN = re.compile(f"{_ASIDE}([0-9]{{1,9}}){_ASIDE}")


class RestructuredTextReader(Reader):
    """Reads reStructuredText, a document a file.

    Sections' titles, items of lists, and blocks are paragraphs, whose lines are joined by blanks.
    The text of notes and of descriptions of functions stays; code, figures and tables go.
    """

    def __init__(self, paragraphs: str = "block", headings: bool = True):
        """Makes a reader.

        Args:
          paragraphs: "block": blank lines and indentation separate paragraphs. "line": each line
            is a paragraph with inline markup only, as in texts taken from translation files.
          headings: Whether the titles of sections are paragraphs, or left out.

        Raises:
          InputError: An option has a value it cannot have.
        """
        if paragraphs not in PARAGRAPHS:
            raise InputError(
                f"reader.paragraphs is {paragraphs!r}; expected one of {', '.join(PARAGRAPHS)}."
            )
        self._paragraphs = paragraphs
        self._headings = headings

    def read(self, file: InputFile) -> Iterator[Document | BrokenRecord]:
        if self._paragraphs == "line":
            yield from self._read_lines(file)
            return
        blocks = _Blocks(file.whole_text().split("\n"))
        title, paragraphs = "", []
        for is_heading, block in blocks.blocks:
            block = " ".join(clean_inline(block, blocks.targets).split())
            if is_heading and block and not title and not paragraphs:
                title = block
            elif block and (self._headings or not is_heading):
                paragraphs.append(block)
        if paragraphs or title:
            yield Document(file.path, title, paragraphs)

    def _read_lines(self, file: InputFile) -> Iterator[Document | BrokenRecord]:
        paragraphs = []
        for number, line in enumerate(file.lines(), 1):
            if type(line) is not str:
                yield overlong_line(file, number, line)
            elif paragraph := " ".join(clean_inline(_without_literal_mark(line)).split()):
                paragraphs.append(paragraph)
        if paragraphs:
            yield Document(file.path, "", paragraphs)


def clean_inline(text: str, targets: frozenset[str] | set[str] = frozenset()) -> str:
    """Returns text without the markup inside lines.

    Args:
      text: A paragraph.
      targets: The names, in lower case, that a word with a "_" after it may refer to.
    """
    aside: list[str] = []

    def restore(text: str) -> str:
        return _ASIDE_AGAIN.sub(lambda place: aside[int(place[1])], text)

    def put_aside(kept: str) -> str:
        aside.append(restore(kept) if _ASIDE in kept else kept)
        return f"{_ASIDE}{len(aside) - 1}{_ASIDE}"

    if _ASIDE in text:
        text = text.replace(_ASIDE, "")
    if "`" in text:
        text = _LITERAL.sub(lambda literal: put_aside(literal[1]), text)
        text = _INTERPRETED.sub(lambda match: put_aside(_shown(match[1], match[2])), text)
    if "\\" in text:
        text = _ESCAPE.sub(lambda escape: "" if escape[1].isspace() else put_aside(escape[1]), text)
    if "*" in text:
        text = _EMPHASIS.sub(r"\1", _STRONG.sub(r"\1", text))
    if "_" in text:
        text = _REFERENCE_MARK.sub("", text)
        if targets:
            text = _NAME_REFERENCE.sub(
                lambda name: name[1] if name[1].lower() in targets else name[0], text
            )
    if "|" in text:
        text = _SUBSTITUTION.sub(r"\1", text)
    return restore(text) if aside else text


def _shown(role: str | None, content: str) -> str:
    """Returns what a reader sees of text in backquotes."""
    if content.endswith(">"):
        content = _LINK_TARGET.sub("", content)
    if content.startswith("!"):
        content = content[1:]
    elif content.startswith("~"):
        content = content.rpartition(".")[2].removeprefix("~")
    if role in ("pep", "PEP", "rfc", "RFC") and content.isdecimal():
        content = f"{role.upper()} {content}"
    return _ESCAPE.sub(lambda escape: "" if escape[1].isspace() else escape[1], content)


def _without_literal_mark(text: str) -> str:
    """Returns text without the colon that says that code follows."""
    if not text.endswith("::"):
        return text
    return text[:-2] if text[-3:-2].isspace() else text[:-1]


class _Blocks:
    """The blocks of a page that hold text, with their inline markup.

    Attributes:
      blocks: Whether each is a heading, and its text.
      targets: The names that references with a "_" may have, in lower case.
    """

    def __init__(self, lines: list[str]):
        self.blocks: list[tuple[bool, str]] = []
        self.targets: set[str] = set()
        self._lines = lines
        self._paragraph: list[str] = []
        # Where the paragraph's first line begins, and where its others must; None: anywhere.
        self._indent = 0
        self._column: int | None = 0
        self._in_item = False
        self._table_unclosed = False
        index = 0
        while index < len(lines):
            index = self._read_line(index)
        self._end_paragraph()

    def _read_line(self, index: int) -> int:
        """Takes up a line; returns the index of the line to go on with."""
        line = self._lines[index]
        text = line.strip()
        if not text:
            return self._end_paragraph_at(index)
        indent = 0 if line[0] not in " \t" else _indent(line)
        if text[0].isalnum() and not text.isascii():
            # The usual case: a line of Korean prose.
            self._add_text(indent, text)
            return index + 1
        after = self._read_explicit(index, indent, text)
        if after is None:
            after = self._read_adornment(index, indent, text)
        if after is None:
            after = self._read_table(index, text)
        if after is not None:
            return after
        if field := _FIELD.match(text):
            self._end_paragraph()
            if not self.blocks:
                return self._skip_indented(index + 1, indent)
            self._start_item(indent, None, text[field.end() :])
            return index + 1
        item = _ITEM.match(text)
        if item and (not self._paragraph or self._in_item or text[0] in "-*+•"):
            self._end_paragraph()
            self._start_item(indent, indent + item.end(), text[item.end() :])
            return index + 1
        self._add_text(indent, text)
        return index + 1

    def _read_explicit(self, index: int, indent: int, text: str) -> int | None:
        """Takes up a directive, a comment, a target or the like; None for other lines."""
        if text.startswith(">>> ") or text == ">>>":
            self._end_paragraph()
            while index < len(self._lines) and self._lines[index].strip():
                index += 1
            return index
        if text.startswith("__ ") or (text[0] == "|" and text[1:2] in ("", " ")):
            self._end_paragraph()
            if text[0] == "|" and text[1:].strip():
                self.blocks.append((False, text[1:]))
            return index + 1
        if not text.startswith("..") or text[2:3] not in ("", " "):
            return None
        self._end_paragraph()
        if footnote := _FOOTNOTE.match(text):
            self._start_item(indent, None, text[footnote.end() :])
            return index + 1
        if target := _TARGET.match(text):
            self.targets.add((target[1] or target[2]).strip().lower())
        directive = _DIRECTIVE.match(text)
        if directive:
            name = directive[1].rpartition(":")[2].lower()
            argument = text[directive.end() :]
            if name in _ADMONITIONS:
                return self._enter(index, indent, name, argument)
            if name in _OBJECTS:
                # More signatures, and options.
                index += 1
                while index < len(self._lines) and self._lines[index].strip():
                    index += 1
                return index
            if name in _CONTAINERS:
                return self._skip_options(index + 1)
        return self._skip_indented(index + 1, indent)

    def _enter(self, index: int, indent: int, name: str, argument: str) -> int:
        if name in _VERSIONS:
            argument = argument.partition(" ")[2]
        index = self._skip_options(index + 1)
        if argument:
            self._start_item(indent, None, argument)
            if name in _TITLED:
                self._end_paragraph()
        return index

    def _skip_options(self, index: int) -> int:
        while index < len(self._lines) and _FIELD.match(self._lines[index].strip()):
            index += 1
        return index

    def _read_adornment(self, index: int, indent: int, text: str) -> int | None:
        mark = text[0]
        if mark not in _ADORNMENTS or len(text) < 2 or text.strip(mark):
            return None
        if text == "::":
            self._end_paragraph()
            return self._skip_indented(index + 1, indent)
        if len(self._paragraph) == 1 and not self._in_item:
            self.blocks.append((True, self._paragraph.pop()))
            return index + 1
        lines = [line.strip() for line in self._lines[index + 1 : index + 3]]
        if not self._paragraph and len(lines) == 2 and lines[0] and lines[1] == text:
            self.blocks.append((True, lines[0]))
            return index + 3
        if len(text) < 4:
            return None
        self._end_paragraph()
        return index + 1

    def _read_table(self, index: int, text: str) -> int | None:
        lines = self._lines
        if text.startswith(("+-", "+=")) and text.endswith("+"):
            self._end_paragraph()
            while index < len(lines) and lines[index].lstrip()[:1] in ("+", "|"):
                index += 1
            return index
        if text[0] != "=" or not _TABLE_BORDER.match(text):
            return None
        self._end_paragraph()
        if not self._table_unclosed:
            for end in range(index + 1, len(lines)):
                is_last = end + 1 == len(lines) or not lines[end + 1].strip()
                if is_last and _TABLE_BORDER.match(lines[end].strip()):
                    return end + 1
            self._table_unclosed = True
        return index + 1

    def _skip_indented(self, index: int, indent: int) -> int:
        """Returns the index of the first line from `index` on that is not indented further."""
        while index < len(self._lines):
            line = self._lines[index]
            if line.strip() and _indent(line) <= indent:
                return index
            index += 1
        return index

    def _start_item(self, indent: int, column: int | None, text: str) -> None:
        self._indent, self._column, self._in_item = indent, column, True
        if text:
            self._paragraph.append(text)

    def _add_text(self, indent: int, text: str) -> None:
        if not self._paragraph and not (self._in_item and self._column is None):
            self._indent = self._column = indent
            self._in_item = False
        elif self._column is None:
            self._column = indent
        elif indent != self._column:
            # A term and its definition, or the end of a quoted block.
            self._end_paragraph()
            self._indent = self._column = indent
        self._paragraph.append(text)

    def _end_paragraph_at(self, index: int) -> int:
        """Ends the paragraph before a blank line, and leaves out the literal block after it."""
        is_literal = bool(self._paragraph) and self._paragraph[-1].endswith("::")
        self._end_paragraph()
        return self._skip_indented(index + 1, self._indent) if is_literal else index + 1

    def _end_paragraph(self) -> None:
        if self._paragraph:
            self.blocks.append((False, _without_literal_mark(" ".join(self._paragraph))))
            self._paragraph.clear()
        self._in_item = False


def _indent(line: str) -> int:
    return len(line[: len(line) - len(line.lstrip())].expandtabs(8))
