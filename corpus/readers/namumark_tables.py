"""Tables in namumark: rows that begin and end with ||."""

import re

# The start of a row, also of one with a caption (|caption|); its end; braces.
_MARKS = re.compile(r"\n[ \t>]*\|(?:[^|\n]+\||\|)|\|\|(?=[ \t]*(?:\n|\}\}\}|\Z))|\{\{\{|\}\}\}")


def strip_tables(text: str) -> str:
    """Returns namumark with a blank line in the place of every row of a table.

    A row can have several lines, and text of all kinds in braces, tables among it. What begins
    like a row and does not end stays.
    """
    text = "\n" + text
    kept: list[str] = []
    begin = _strip(text, 0, True, kept)
    if begin < len(text):
        # Braces that are not closed.
        begin = _strip(text, begin, False, kept)
        kept.append(text[begin:])
    return "".join(kept)


def _strip(text: str, begin: int, heed_braces: bool, kept: list[str]) -> int:
    """Adds to `kept` what is around rows from `begin` on; returns where a row begins for good."""
    row_begin = -1
    depth = 0
    for match in _MARKS.finditer(text, begin):
        mark = match[0]
        if row_begin < 0:
            if mark[0] == "\n":
                row_begin, depth = match.start(), 0
        elif mark == "{{{":
            depth += 1
        elif mark == "}}}":
            depth -= 1
            if depth < 0 and heed_braces:
                # The block ends that the row began in.
                row_begin = -1
        elif mark[0] == "|" and (depth == 0 or not heed_braces):
            kept += text[begin:row_begin], "\n"
            begin = match.end()
            row_begin = -1
    end = len(text) if row_begin < 0 else row_begin
    kept.append(text[begin:end])
    return end
