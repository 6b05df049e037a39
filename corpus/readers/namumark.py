"""Namumark, the markup of Namuwiki, made plain paragraphs."""

import re

from deeq_bert.corpus.readers.namumark_tables import strip_tables
from deeq_bert.corpus.readers.nested_markup import REMOVED, replace_nested

_LINE_BREAK = "\1"
# Characters that are meant as they are written stand aside as Unicode's noncharacters.
_MARKUP = "\\[]{}|~-_^,'=>#*"
_ASIDE = {mark: chr(0xFDD0 + index) for index, mark in enumerate(_MARKUP)}
_AS_WRITTEN = str.maketrans(_ASIDE)
_BACK = {aside: mark for mark, aside in _ASIDE.items()}
_IS_ASIDE = re.compile("[\ufdd0-\ufdef]")
_NOT_TEXT = re.compile("[\0\1\ufdd0-\ufdef]")
_ESCAPE = re.compile(r"\\([^\w\s]|_)")

_BRACES = re.compile(r"(\{\{\{|\}\}\})")
# What else begins with # is text, such as #include.
_COLORS = (
    "aqua|beige|black|blue|brown|crimson|cyan|fuchsia|gold|gr[ae]y|green|indigo|ivory|lavender|"
    "lime|magenta|maroon|navy|olive|orange|pink|purple|red|silver|tan|teal|violet|white|yellow"
)
_COLOR = rf"#(?:[0-9A-F]{{3}}|[0-9A-F]{{6}}|(?:dark|deep|light|medium|pale|sky)?(?:{_COLORS}))"
_SIZE_OR_COLOR = re.compile(rf"[+-][1-5]\s|{_COLOR}(?:,{_COLOR})?\s", re.IGNORECASE)
_SHOWN_BLOCKS = frozenset(("#!wiki", "#!folding", "#!if"))
_STYLE = re.compile(r'(?:\s+[a-z-]+="[^"\n]*")+')

# Most links, all in one go: the split leaves the label between what is around the links.
_PLAIN_LINK = re.compile(r"\[\[(?:[^\[\]|:\n]+\|)?([^\[\]|:#\n]+)\]\]")
_LINK_MARKS = re.compile(r"(\[\[|\]\](?!\]))")
_NO_LINK = frozenset(("파일", "file", "분류", "category"))
_URL = re.compile("(?:https?|ftp)://|//", re.IGNORECASE)
_ANCHOR = re.compile(r"#(?:[^#]+|(?<=##))\Z")
_MACRO = re.compile(r"\[([A-Za-z가-힣]{1,20})(?:\(([^\[\]\n]*)\))?\]")
_BRACKETS = re.compile(r"(\[\*|\[|\])")
_REMOVED_MACROS = frozenset(
    (
        *("목차", "tableofcontents", "각주", "footnote", "clearfix", "pagecount", "date"),
        *("datetime", "include", "youtube", "kakaotv", "nicovideo", "navertv", "vimeo", "tvpot"),
        *("anchor", "age", "dday", "math", "pagebreak"),
    )
)

_STRUCK = re.compile(r"~~(?!~)(?:[^~\n]|~(?!~))+~~|(?<!-)--(?![-\n])(?:[^-\n]|-(?!-))+--(?!-)")
_UNDERLINED = re.compile(r"__(?![a-z]+__)([^_\n]+)__")
_RAISED = re.compile(r"\^\^([^^\n]+)\^\^")
_LOWERED = re.compile(r",,([^,\n]+),,")

_LIST_MARK = re.compile(r"[ \t]+(?:\*|-(?= )|[1aAiI]\.(?:#[0-9]{1,9})?)")
_BLANKS = re.compile("[ \t]{2,}|\t")
_SKIPPED_SECTIONS = frozenset(("각주", "둘러보기", "관련문서", "외부링크", "바깥고리"))


def strip_namumark(text: str, headings: bool = False) -> list[str]:
    """Returns the paragraphs of a page without markup.

    Tables, footnotes, struck text, images, code and macros are left out, and so are sections such
    as 각주 and 둘러보기 with all below them. Blank lines separate paragraphs; the line ends inside
    a paragraph stay, since Namuwiki shows them.

    Args:
      text: The namumark.
      headings: Whether headings are paragraphs.
    """
    text = _NOT_TEXT.sub("", text).replace("\r", "")
    if "\\" in text:
        text = _ESCAPE.sub(_escaped, text)
    if "||" in text:
        text = strip_tables(text)
    if "{{{" in text or "}}}" in text:
        text = replace_nested(text, _BRACES, "{{{", _block)
    if "[" in text:
        text = "".join(_PLAIN_LINK.split(text))
        text = replace_nested(text, _LINK_MARKS, "[[", _link_text)
        text = _MACRO.sub(_macro_text, text)
        text = _without_footnotes(text)
    if "~~" in text or "--" in text:
        text = _STRUCK.sub(REMOVED, text)
    if "''" in text:
        text = text.replace("'''''", "").replace("'''", "").replace("''", "")
    if "__" in text:
        text = _UNDERLINED.sub(r"\1", text)
    if "^^" in text:
        text = _RAISED.sub(r"\1", text)
    if ",," in text:
        text = _LOWERED.sub(r"\1", text)
    return _paragraphs(text, headings)


def _escaped(match: re.Match[str]) -> str:
    return _ASIDE.get(match[1], match[1])


def _block(content: str) -> str:
    """Returns the text that a piece between braces shows."""
    if content.startswith("#!"):
        head, _, rest = content.partition("\n")
        name = head.split(None, 1)[0]
        if name not in _SHOWN_BLOCKS:
            return REMOVED
        # Of a block on one line only #!wiki has text, behind its attributes.
        shown = f"\n{rest}\n" if rest else _STYLE.sub("", head.removeprefix("#!wiki"))
        return REMOVED if shown.startswith("#!") else shown
    if match := _SIZE_OR_COLOR.match(content):
        return content[match.end() :].strip(" ")
    # What begins with a line end is code.
    return REMOVED if content.startswith("\n") else content.translate(_AS_WRITTEN)


def _link_text(content: str) -> str:
    target, _, label = content.partition("|")
    name = target.partition(":")[0].strip(" " + REMOVED)
    if name.lower() in _NO_LINK and ":" in target:
        return REMOVED
    label = label.strip(" " + REMOVED)
    if label and _URL.match(target) and not any(map(str.isalpha, label)):
        # Such as # or [1], which stand for a source.
        return REMOVED
    if not label and not _URL.match(target):
        target = _ANCHOR.sub("", target)
    return label or target.removeprefix(":")


def _macro_text(match: re.Match[str]) -> str:
    name = match[1].lower()
    if name in _REMOVED_MACROS:
        return REMOVED
    if name == "br":
        return _LINE_BREAK
    if name == "ruby" and match[2]:
        return match[2].partition(",")[0]
    return match[0]


def _without_footnotes(text: str) -> str:
    if "[*" not in text:
        return text
    pieces = _BRACKETS.split(text)
    done = [pieces[0]]
    # Where the brackets stand that are open; -1 for those that are text.
    opened: list[int] = []
    for mark, after in zip(pieces[1::2], pieces[2::2]):
        if mark == "[*":
            opened.append(len(done))
        elif mark == "[":
            opened.append(-1)
        elif opened and (begin := opened.pop()) >= 0:
            del done[begin:]
            mark = REMOVED
        done += mark, after
    return "".join(done)


def _paragraphs(text: str, headings: bool) -> list[str]:
    paragraphs: list[str] = []
    lines: list[str] = []
    skipped_level = 0
    for line in f"{text}\n".split("\n"):
        if line[:1] == "=" and (heading := _heading(line)):
            level, title = heading
            if skipped_level and level > skipped_level:
                continue
            is_skipped = "".join(title.split()) in _SKIPPED_SECTIONS
            skipped_level = level if is_skipped else 0
            paragraphs += ["\n".join(lines)] if lines else []
            paragraphs += [title] if headings and title and not is_skipped else []
            lines = []
        elif not line or line.isspace():
            paragraphs += ["\n".join(lines)] if lines else []
            lines = []
        elif not skipped_level and (plain := _plain(line)):
            lines.append(plain)
    return paragraphs


def _heading(line: str) -> tuple[int, str] | None:
    line = line.rstrip()
    title = line.strip("=")
    level = len(line) - len(line.lstrip("="))
    if not title or level > 6 or not line.endswith("=" * level):
        return None
    # The sections with #s are folded at first.
    return level, _plain(title.removeprefix("#").removesuffix("#"))


def _plain(line: str) -> str:
    """Returns the text of a line without the last marks, "" where it has none."""
    if line[0] in " \t":
        if match := _LIST_MARK.match(line):
            line = line[match.end() :]
    elif line[0] == ">":
        line = line.lstrip("> ")
    elif line.startswith(("##", "#!")):
        return ""
    if line.startswith("----"):
        line = line.lstrip("-")
    elif line.startswith("||"):
        # Of a table that does not end.
        line = line.replace("||", " ")
    if REMOVED in line:
        line = line.replace(REMOVED, "")
    if not line.strip("{}[]| "):
        # Of markup that is not balanced.
        return ""
    if "  " in line or "\t" in line:
        line = _BLANKS.sub(" ", line)
    if not line.isascii():
        line = _IS_ASIDE.sub(lambda match: _BACK[match[0]], line)
    if _LINE_BREAK in line:
        return "\n".join(filter(None, map(str.strip, line.split(_LINE_BREAK))))
    return line.strip()
