"""Line filters made of files that the user gives: stop-lines and stop-patterns."""

import re
import unicodedata
import warnings
from collections.abc import Set as AbstractSet
from typing import Any

from deeq_bert.corpus.rules.base import LineFilter
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import read_lines

try:
    from re import _parser as parser
except ImportError:  # Python 3.10
    import sre_parse as parser

# What stands again and again around a text is short, and only short lines bound the time that a
# pattern takes.
LONGEST_TRIED = 500
_LONGEST_PATTERN = 1_000
# How many ways there may be to match a pattern from one place of such a line. Two repetitions
# without a bound reach it.
_MOST_WAYS = (LONGEST_TRIED + 1) ** 2

_REPEATS = {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}
_SINGLE = {"LITERAL", "NOT_LITERAL", "ANY", "IN", "AT", "FAILURE"}


def stop_lines(file: str = "") -> LineFilter:
    """Drops lines that equal a line of a file of the user's.

    They are compared as they would be written: sentences, after the rules on text. Blanks at the
    ends do not count.

    Args:
      file: Text in UTF-8, one line for each line to drop; empty ones do not count.
    """
    stopped = frozenset(line for _, line in _lines_of("stop_lines", file))

    def drops(line: str, uncommon: AbstractSet[str]) -> bool:
        return line.strip() in stopped

    return drops


def stop_patterns(file: str = "") -> LineFilter:
    """Drops lines in which a regular expression from a file of the user's finds something.

    The lines are those that would be written: sentences, after the rules on text. Lines of over
    500 characters are not tried, and stay.

    Args:
      file: Text in UTF-8, one regular expression of Python a line, to be found anywhere unless it
        has ^ or $; empty lines and those that begin with # do not count. Those that may take very
        long are refused.
    """
    patterns = [
        _compile(line, f"{file}, line {number}")
        for number, line in _lines_of("stop_patterns", file)
        if not line.startswith("#")
    ]
    searches = [pattern.search for pattern in patterns]

    def drops(line: str, uncommon: AbstractSet[str]) -> bool:
        if len(line) > LONGEST_TRIED:
            return False
        return any(search(line) for search in searches)

    return drops


def _lines_of(rule: str, file: str) -> list[tuple[int, str]]:
    if not file:
        raise InputError(f"file is empty; {rule} needs the path of a text file")
    lines = []
    for number, line in enumerate(read_lines(file), 1):
        stripped = unicodedata.normalize("NFC", line.removeprefix("\ufeff").strip())
        if stripped:
            lines.append((number, stripped))
    return lines


def _compile(pattern: str, place: str) -> re.Pattern:
    if len(pattern) > _LONGEST_PATTERN:
        raise InputError(
            f"{place}: over {_LONGEST_PATTERN:,} characters; make several patterns of it."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compiled = re.compile(pattern)
            ways = _ways(parser.parse(pattern))
    except (re.error, RecursionError, OverflowError) as error:
        raise InputError(f"{place}: not a regular expression of Python: {error}.") from None
    except _TooSlowError as error:
        raise InputError(
            f"{place}: {pattern} may take very long on some lines: it has {error}. Write it "
            "without, or as several patterns."
        ) from None
    if compiled.search("") is not None:
        raise InputError(f"{place}: {pattern} fits every line, the empty one too; nothing is left.")
    if ways > _MOST_WAYS:
        raise InputError(
            f"{place}: {pattern} may take very long on some lines: it has too many repetitions "
            "(* + {m,n}). Two without a bound are the most; .* at the start or end is not needed."
        )
    return compiled


class _TooSlowError(Exception):
    """What makes a pattern too slow."""


def _ways(parsed: Any) -> int:
    """Returns how many ways there are at most to match a parsed pattern from one place."""
    ways = 1
    for operation, argument in parsed:
        ways *= _ways_of(str(operation), argument)
        ways = min(ways, _MOST_WAYS + 1)
    return ways


def _ways_of(operation: str, argument: Any) -> int:
    if operation in _SINGLE:
        return 1
    if operation in _REPEATS:
        least, most, repeated = argument
        ways = _ways(repeated)
        if most > 1 and ways > 1:
            raise _TooSlowError("a repetition or alternatives within what is repeated")
        return ways + 1 if most == 1 else min(most, LONGEST_TRIED) - min(least, LONGEST_TRIED) + 1
    if operation == "SUBPATTERN":
        return _ways(argument[-1])
    if operation == "BRANCH":
        return sum(_ways(branch) for branch in argument[1])
    if operation in ("ASSERT", "ASSERT_NOT"):
        return _ways(argument[1])
    if operation == "ATOMIC_GROUP":
        return _ways(argument)
    raise _TooSlowError("a reference to a group")
