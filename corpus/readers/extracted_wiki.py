"""Encyclopedia articles that other tools have extracted: WikiExtractor, kowikitext."""

import html
import re
from collections.abc import Iterator

from deeq_bert.corpus.readers.base import SAMPLE_CHARACTERS, BrokenRecord, Document, Reader
from deeq_bert.corpus.readers.document_parts import DocumentParts, overlong_line
from deeq_bert.corpus.readers.input_file import InputFile
from deeq_bert.tokenizers.errors import InputError

_ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')


class WikiExtractorReader(Reader):
    """Reads what WikiExtractor writes: `<doc id="…" url="…" title="…">`, text, `</doc>`.

    The title, which the text begins with, is left out of the text. Each line is a paragraph.
    """

    splits = True

    def read(self, file: InputFile) -> Iterator[Document | BrokenRecord]:
        parts = DocumentParts()
        title, at_start = "", False
        # Before the first document of a range comes the rest of one of the range before.
        foreign = file.begin > 0
        for number, line in enumerate(file.lines(), 1):
            text = line.strip()
            if not text:
                continue
            if text.startswith("<doc ") and text.endswith(">"):
                if document := parts.finish():
                    yield document
                if file.past_end:
                    return
                foreign = False
                id, title = _id_and_title(text)
                parts.start(id, title)
                at_start = True
            elif text == "</doc>":
                if document := parts.finish():
                    yield document
            elif parts.is_open:
                if type(line) is not str:
                    yield overlong_line(file, number, line)
                elif at_start and text == title:
                    at_start = False
                elif document := parts.add(text):
                    yield document
            elif file.past_end:
                return
            elif not foreign:
                if number == 1:
                    raise InputError(
                        f"{file.path}: begins with {text[:40]!r}; expected WikiExtractor's "
                        '<doc id="…" …>. Choose another reader.'
                    )
                yield BrokenRecord(
                    file.place(number), "text outside of <doc>", text[:SAMPLE_CHARACTERS]
                )
        if document := parts.finish():
            yield document


class KowikitextReader(Reader):
    """Reads kowikitext and namuwikitext: ` = title =` lines, ` = = section = =` lines, and text.

    Each line is a paragraph; the headings of sections that have text are paragraphs too.
    """

    splits = True

    def read(self, file: InputFile) -> Iterator[Document | BrokenRecord]:
        parts = DocumentParts()
        headings: list[str] = []
        foreign = file.begin > 0
        for number, line in enumerate(file.lines(), 1):
            text = line.strip()
            if not text:
                continue
            level, heading = _level_and_heading(line)
            if level == 1:
                if document := parts.finish():
                    yield document
                if file.past_end:
                    return
                foreign = False
                parts.start(file.place(number), heading)
                headings.clear()
            elif not parts.is_open:
                if file.past_end:
                    return
                if not foreign:
                    raise InputError(
                        f"{file.path}: begins with {text[:40]!r}; expected the title of an "
                        "article, as ` = title =`. Choose another reader."
                    )
            elif level:
                # The headings above it stay, if they still wait for text.
                headings = [*headings[: level - 2], heading]
            elif type(line) is not str:
                yield overlong_line(file, number, line)
            else:
                for paragraph in (*headings, text):
                    if document := parts.add(paragraph):
                        yield document
                headings.clear()
        if document := parts.finish():
            yield document


def _id_and_title(tag: str) -> tuple[str, str]:
    attributes = dict(_ATTRIBUTE.findall(tag))
    # The title comes last, and its own quotes are not escaped.
    _, found, title = tag.partition(' title="')
    title = title[:-2] if found and title.endswith('">') else attributes.get("title", "")
    return attributes.get("id", ""), html.unescape(title)


def _level_and_heading(line: str) -> tuple[int, str]:
    """Returns the level of a heading, counting from 1, and its text; 0 for other lines."""
    if not line.startswith((" = ", "= ")) or not line.endswith(("=", "= ")):
        return 0, ""
    words = line.split(" ")
    words = [word for word in words if word]
    level = 0
    while 2 * level + 2 < len(words) and words[level] == "=" == words[-1 - level]:
        level += 1
    return level, " ".join(words[level : len(words) - level])
