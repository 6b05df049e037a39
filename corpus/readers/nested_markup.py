"""Marks in pairs that can stand one inside the other, such as {{ and }}."""

import re
from collections.abc import Callable

# What a removed piece leaves, until the blanks and brackets around it are tidied. No text has it.
REMOVED = "\0"
# MediaWiki gives up on templates at this depth too. It bounds how often a piece is copied.
_MAX_DEPTH = 40


def replace_nested(
    text: str,
    marks: re.Pattern[str],
    opening: str,
    replacement: Callable[[str], str],
    unclosed: str = "",
) -> str:
    """Replaces what stands between two marks, the innermost first, in linear time.

    Args:
      text: The text.
      marks: Matches both marks, with all of it in one group.
      opening: How an opening mark ends; the others are closing ones.
      replacement: Returns what takes the place of a pair of marks and the text between.
      unclosed: What takes the place of an opening mark that has no closing one.

    Returns:
      The text; a closing mark that has no opening one stays, since code such as a[b[0]] has it.
    """
    pieces = marks.split(text)
    if len(pieces) == 1:
        return text
    done = [pieces[0]]
    opened: list[int] = []
    for mark, after in zip(pieces[1::2], pieces[2::2]):
        if mark.endswith(opening):
            opened.append(len(done))
            done.append(unclosed)
        elif opened:
            begin = opened.pop()
            replaced = REMOVED
            if len(opened) < _MAX_DEPTH:
                replaced = replacement("".join(done[begin + 1 :]))
            del done[begin:]
            done.append(replaced)
        else:
            done.append(mark)
        done.append(after)
    return "".join(done)
