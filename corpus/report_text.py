"""Text and numbers as reports show them: invisible characters shown, differences marked."""

import difflib
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from os.path import commonprefix
from typing import Any

KEPT = "kept"
REMOVED = "removed"
ADDED = "added"

# Printable, as Unicode has it, but nothing to be seen: fillers, joiners, variation selectors.
_FILLERS = (0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0)
_BLANK = frozenset(map(chr, (*_FILLERS, *range(0xFE00, 0xFE10))))
# The time that a comparison takes grows with the product of the lengths.
_MAX_COMPARISONS = 20_000
# Where less than this of a changed stretch is the same, pieces of it only confuse.
_MIN_SAME_SHARE = 0.3
_WORDS = re.compile(r"\w+|\W")


def visible(text: str, show: Callable[[str], str] | None = None) -> str:
    """Returns `text` with the characters shown that cannot be seen or that move others.

    These are control and format characters, among them those that turn the direction of writing,
    unassigned ones, halves of surrogate pairs, blanks other than " ", and fillers. Line feeds
    stay.

    Args:
      text: Any text.
      show: Returns what stands for such a character; without it, ⟨U+200B⟩.
    """
    odd = {
        character
        for character in set(text)
        if character in _BLANK or not (character.isprintable() or character == "\n")
    }
    if not odd:
        return text
    show = show or (lambda character: f"⟨{code_point(character)}⟩")
    return text.translate({ord(character): show(character) for character in odd})


def visible_line(text: str) -> str:
    """Returns what `visible` does, in one line."""
    return visible(text).replace("\n", " ⏎ ")


def code_point(character: str) -> str:
    """Returns the number of a character as Unicode writes it, U+200B."""
    return f"U+{ord(character):04X}"


def character_name(character: str) -> str:
    """Returns the name of a character, or ""."""
    return unicodedata.name(character, "")


def difference(before: str, after: str) -> Iterator[tuple[str, str]]:
    """Yields what two texts share and do not, in order, in time that is bounded.

    Long stretches that differ are compared word by word, and still longer ones not at all.

    Yields:
      KEPT, REMOVED or ADDED, and a piece of text.
    """
    begin = len(commonprefix([before, after]))
    rest_before, rest_after = before[begin:], after[begin:]
    end = len(commonprefix([rest_before[::-1], rest_after[::-1]]))
    middle_before = rest_before[: len(rest_before) - end]
    middle_after = rest_after[: len(rest_after) - end]
    if begin:
        yield KEPT, before[:begin]
    yield from _compare(middle_before, middle_after)
    if end:
        yield KEPT, before[len(before) - end :]


def _compare(before: str, after: str) -> Iterator[tuple[str, str]]:
    pieces = _match(before, after)
    if pieces is None:
        pieces = _match(_WORDS.findall(before), _WORDS.findall(after))
    same = sum(len(text) for kind, text in pieces or [] if kind == KEPT)
    if pieces is None or same < _MIN_SAME_SHARE * min(len(before), len(after)):
        pieces = [(REMOVED, before), (ADDED, after)]
    yield from ((kind, text) for kind, text in pieces if text)


def _match(before: str | list[str], after: str | list[str]) -> list[tuple[str, str]] | None:
    if len(before) * len(after) > _MAX_COMPARISONS:
        return None
    pieces = []
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for tag, begin, end, new_begin, new_end in matcher.get_opcodes():
        if tag == "equal":
            pieces.append((KEPT, "".join(before[begin:end])))
            continue
        pieces.append((REMOVED, "".join(before[begin:end])))
        pieces.append((ADDED, "".join(after[new_begin:new_end])))
    return pieces


def by_share(rules: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Returns the rules of a report, those first that remove the largest share of the lines."""
    return sorted(
        rules, key=lambda rule: (rule["share_removed"], rule["share_changed"]), reverse=True
    )


def share(part: float, whole: float) -> float:
    """Returns a share, from 0 to 1; 0 of nothing."""
    return round(min(1.0, part / whole), 6) if whole else 0.0


def percent(value: float) -> str:
    """Returns a share as people say it."""
    if not value:
        return "0%"
    if value < 0.0001:
        return "<0.01%"
    return f"{100 * value:.2f}%" if value < 0.01 else f"{100 * value:.1f}%"


def size(num_bytes: float) -> str:
    """Returns a number of bytes as people say it."""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if num_bytes >= unit:
            return f"{num_bytes / unit:,.1f} {name}"
    return f"{num_bytes:,} B"


def histogram_shares(bins: Sequence[Mapping[str, Any]]) -> list[tuple[str, float]]:
    """Returns the names of bins and their shares, without the empty ones at both ends."""
    number = sum(one["count"] for one in bins)
    filled = [place for place, one in enumerate(bins) if one["count"]]
    if not filled:
        return []
    ends = [0, *(one["up_to"] for one in bins)]
    return [
        (_range(ends[place], bins[place]["up_to"]), share(bins[place]["count"], number))
        for place in range(filled[0], filled[-1] + 1)
    ]


def _range(end_before: int, up_to: int | None) -> str:
    return f"over {end_before:,}" if up_to is None else f"{end_before + 1:,} to {up_to:,}"
