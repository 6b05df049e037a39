"""Wikitext, the markup of MediaWiki, made plain paragraphs."""

import html
import re

from deeq_bert.corpus.readers.nested_markup import REMOVED, replace_nested
from deeq_bert.corpus.readers.wiki_tags import LINE_BREAK, strip_tags
from deeq_bert.corpus.readers.wiki_templates import template_text

# Sections that hold references and links and no prose, without the blanks in their names.
_NAMES_OF_SKIPPED = (
    "각주 주석 주해 출처 참고문헌 참고자료 참고서적 각주및참고문헌 각주와참고문헌 주석및참고문헌 "
    "같이보기 함께보기 외부링크 바깥고리 바깥링크 외부고리 references notes seealso externallinks "
    "bibliography furtherreading footnotes"
)
_SKIPPED_SECTIONS = frozenset(_NAMES_OF_SKIPPED.split())

_HEADING = re.compile(r"\n(=[^\n]*=)[ \t\r]*(?=\n|\Z)")
# Most links, all in one go: the split leaves the label between what is around the links.
_PLAIN_LINK = re.compile(r"\[\[(?:[^\[\]{}|:<>\n]+\|)?([^\[\]{}|:<>\n]+)\]\]")
_LINK_MARKS = re.compile(r"(\[\[|\]\](?!\]))")
_TEMPLATE_MARKS = re.compile(r"(\{\{|\}\})")
_PARAMETER = re.compile(r"\{\{\{[^{}|]*(?:\|([^{}]*))?\}\}\}")
_TABLE_MARKS = re.compile(r"(\n[ \t:*#]*\{\||\n[ \t]*\|\}(?!\}))")
_EXTERNAL_LINK = re.compile(
    r"\[(?:(?:https?:|ftp:)?//|mailto:)[^\s\[\]<>]+(?:[^\S\n]|(?=\]))([^\[\]\n]*)\]"
)
_NO_LINK = frozenset(("파일", "그림", "file", "image", "미디어", "media", "분류", "category"))
_LANGUAGE = re.compile("(?:[a-z]{2,3}|simple)(?:-[a-z]+){0,2}")
_SWITCH = re.compile("__(?:[A-Z]{3,30}|[가-힣]{2,12})__")
_VARIANT = re.compile(r"-\{(?:[^{}|]*\|)?([^{}]*)\}-")
_VARIANT_CODE = re.compile(r"[a-zA-Z-]{2,12}:")
_REFERENCE = re.compile("&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_BLANKS = re.compile("[ \t]{2,}|\t")

# What the removal of a template or link leaves around it: brackets with nothing in them, and
# marks with nothing on one of their sides.
_GAP = r"[ ,;:·\0]"
_EMPTY_BRACKETS = re.compile(rf"[(（]{_GAP}+[)）]")
_BRACKET_START = re.compile(rf"(?<=[(（]){_GAP}+")
_BRACKET_END = re.compile(rf"(?<!{_GAP}){_GAP}+(?=[)）])")
_COMMAS = re.compile(r"[,;·] *\0[ \0]*(?=[,;·])")
_BEFORE_MARK = re.compile(r"(?<![ \0]) *\0[ \0]*(?=[,.)])")

_LINE_MARKS = frozenset("=*#:;|!-{}[]")
_TRIMMED = " \t\r" + REMOVED


def strip_wikitext(text: str, headings: bool = False) -> list[str]:
    """Returns the paragraphs of a page without markup.

    Templates, references, tables, images, formulas and code are left out, and so are sections
    such as 각주 and 외부 링크 with all below them. The lines of a list are one paragraph, with line
    feeds between them; other lines are joined by blanks, as MediaWiki shows them.

    Args:
      text: The wikitext. Unbalanced markup costs its marks, not the text after it, but where
        MediaWiki too has nothing to show.
      headings: Whether headings are paragraphs.
    """
    if REMOVED in text or LINE_BREAK in text:
        text = text.replace(REMOVED, "").replace(LINE_BREAK, "")
    if "<" in text:
        text = strip_tags(text)
    text = _without_skipped_sections("\n" + "".join(_PLAIN_LINK.split(text)))
    if "{{" in text or "}}" in text:
        text = _strip_templates(text)
    if "{|" in text or "|}" in text:
        text = replace_nested(text, _TABLE_MARKS, "{|", _nothing, unclosed="\n|")
    if "[" in text:
        text = "".join(_EXTERNAL_LINK.split(text))
        text = replace_nested(text, _LINK_MARKS, "[[", _link_text)
    if "-{" in text:
        text = _VARIANT.sub(_variant_text, text)
    if "__" in text:
        text = _SWITCH.sub("", text)
    if "''" in text:
        text = text.replace("'''''", "").replace("'''", "").replace("''", "")
    return _paragraphs(text, headings)


def _without_skipped_sections(text: str) -> str:
    kept: list[str] = []
    begin = 0
    skipped_level = 0
    for match in _HEADING.finditer(text):
        level, title = _level_and_title(match[1])
        if skipped_level and level > skipped_level:
            continue
        is_skipped = "".join(title.split()).lower() in _SKIPPED_SECTIONS
        if is_skipped and not skipped_level:
            kept.append(text[begin : match.start()])
        elif skipped_level and not is_skipped:
            begin = match.start()
        skipped_level = level if is_skipped else 0
    if not skipped_level:
        kept.append(text[begin:])
    return "".join(kept)


def _level_and_title(line: str) -> tuple[int, str]:
    level = min(len(line) - len(line.lstrip("=")), len(line) - len(line.rstrip("=")), 6)
    return level, line[level:-level].strip("= \t\r'" + REMOVED)


def _strip_templates(text: str) -> str:
    if "{{{" in text:
        text = _PARAMETER.sub(r"\1", text)
    return replace_nested(text, _TEMPLATE_MARKS, "{{", _template)


def _template(content: str) -> str:
    text = template_text(content)
    return REMOVED if text is None else text


def _nothing(content: str) -> str:
    return "\n" + REMOVED


def _link_text(content: str) -> str:
    target, bar, label = content.partition("|")
    name, colon, rest = target.partition(":")
    if colon:
        name = name.strip(" _\n" + REMOVED)
        if not name:
            # [[:분류:음악]] is a link to the category, and does not put the page into it.
            target = rest
        elif name.lower() in _NO_LINK or not bar and _LANGUAGE.fullmatch(name):
            return REMOVED
    return label if label.strip() else target


def _variant_text(match: re.Match[str]) -> str:
    first = match[1].split(";", 1)[0].strip()
    return _VARIANT_CODE.sub("", first, count=1)


def _tidy(text: str) -> str:
    if "(" in text or "（" in text:
        text = _EMPTY_BRACKETS.sub(_closed_gap, text)
        text = _BRACKET_START.sub(_closed_gap, text)
        text = _BRACKET_END.sub(_closed_gap, text)
    text = _COMMAS.sub("", text)
    return _BEFORE_MARK.sub("", text).replace(REMOVED, "")


def _closed_gap(match: re.Match[str]) -> str:
    if REMOVED not in match[0]:
        return match[0]
    return REMOVED if match[0][0] in "(（" else ""


def _paragraphs(text: str, headings: bool) -> list[str]:
    gathered = _Paragraphs()
    for line in text.split("\n"):
        line = line.strip(_TRIMMED)
        mark = line[:1]
        if not line:
            gathered.end()
        elif mark not in _LINE_MARKS:
            gathered.add(line)
        elif mark in "*#:;":
            gathered.add_item(line.lstrip("*#:;").strip(_TRIMMED))
        elif mark == "=" and line[-1] == "=" and len(line) > 2:
            gathered.end()
            if headings:
                gathered.add(_level_and_title(line)[1])
                gathered.end()
        elif line.startswith("----"):
            gathered.end()
            gathered.add(line.lstrip("-").strip(_TRIMMED))
        elif not _is_rest(line):
            gathered.add(line)
    gathered.end()
    return gathered.paragraphs


def _is_rest(line: str) -> bool:
    """Whether a line is what is left of a table or template that is not balanced."""
    if line[0] == "!":
        return "!!" in line
    return line[0] == "|" or line.startswith("{|") or not line.strip("{}[]| ")


class _Paragraphs:
    """Gathers lines to paragraphs."""

    def __init__(self):
        self.paragraphs: list[str] = []
        self._lines: list[str] = []
        self._in_list = False

    def add(self, line: str) -> None:
        if self._in_list:
            self.end()
        if line:
            self._lines.append(line)

    def add_item(self, line: str) -> None:
        if not self._in_list:
            self.end()
            self._in_list = True
        if line:
            self._lines.append(line)

    def end(self) -> None:
        if self._lines:
            text = ("\n" if self._in_list else " ").join(self._lines)
            if paragraph := _plain(text):
                self.paragraphs.append(paragraph)
            self._lines = []
        self._in_list = False


def _plain(text: str) -> str:
    """Returns the text of a paragraph without the last marks."""
    if REMOVED in text:
        text = _tidy(text)
    if "&" in text:
        text = _REFERENCE.sub(_character, text.replace("&nbsp;", " "))
    if "  " in text or "\t" in text:
        text = _BLANKS.sub(" ", text)
    if LINE_BREAK in text:
        lines = (line.strip() for line in text.replace("\n", LINE_BREAK).split(LINE_BREAK))
        text = "\n".join(line for line in lines if line)
    return text.strip()


def _character(reference: re.Match[str]) -> str:
    character = html.unescape(reference[0])
    return " " if character in "\n\r\t\xa0" else character
