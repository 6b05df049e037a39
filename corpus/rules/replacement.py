"""What the rules share that take pieces out of a text or put a mask in their place."""

import re
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Any

from deeq_bert.corpus.rules.base import Rule
from deeq_bert.tokenizers.errors import InputError

_NO_BLANK_BEFORE = frozenset(".,!?;:…)]}>）]〕」』”’\"'")


def listed(make: Callable[..., Any], on: bool = True) -> Rule:
    """Returns the entry of a rule in the catalogue: `make`'s name, and its docstring's first line.

    Args:
      make: Makes the rule.
      on: Whether the rule is on where a configuration does not say.
    """
    return Rule(make.__name__, make, on, (make.__doc__ or "").strip().partition("\n")[0])


def unchanged(text: str, uncommon: AbstractSet[str]) -> str:
    """The rule that does nothing."""
    return text


def check_action(action: str, *actions: str) -> None:
    """Raises InputError if `action` is none of `actions`."""
    if action not in actions:
        raise InputError(f'action is "{action}"; it must be one of {", ".join(actions)}')


def check_at_least(name: str, value: int, least: int) -> None:
    """Raises InputError if the option `name` is not a whole number of at least `least`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputError(f"{name} is {value!r}; it must be a whole number of at least {least}")


def replacer(pattern: str, action: str, mask: str, apart: bool = False) -> Callable[[str], str]:
    """Returns a function that drops or masks what `pattern` finds.

    Dropping also takes round brackets that hold nothing else, and one of two blanks.

    Args:
      pattern: A regular expression without groups that does not match across lines.
      action: "drop" or "mask".
      mask: What "mask" puts in the place of what is found.
      apart: Whether words that had only the dropped piece between them get a blank instead.

    Raises:
      InputError: `action` is neither of the two.
    """
    check_action(action, "drop", "mask")
    if action == "mask":
        found = re.compile(pattern)
        return lambda text: found.sub(lambda _: mask, text)
    found = re.compile(rf" ?\( ?(?:{pattern}) ?\) ?| ?(?:{pattern})(?: ?(?:{pattern}))* ?")

    def gap(match: re.Match) -> str:
        text, piece = match.string, match[0]
        start, end = match.span()
        if start == 0 or end == len(text):
            return ""
        before, after = text[start - 1], text[end]
        if before in "\n([{" or after == "\n" or after in _NO_BLANK_BEFORE:
            return ""
        if piece[-1] == " ":
            return " "
        if piece[0] == " ":
            return "" if piece[-1] == ")" else " "
        return " " if apart and before.isalnum() and after.isalnum() else ""

    return lambda text: found.sub(gap, text)
