"""What a cleaning rule is, and what all rules share."""

import dataclasses
import re
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

# Takes lines that are separated by "\n", and the characters among them that are not common (see
# `uncommon_characters`); returns as many lines, changed. A line that becomes empty is removed.
# Where nothing is to be done it returns the very same string, and finds that out quickly.
TextRule = Callable[[str, AbstractSet[str]], str]
# Takes one line, and the uncommon characters of it or of more lines; tells whether it is dropped.
LineFilter = Callable[[str, AbstractSet[str]], bool]
# Takes the lines of a document; tells whether it is dropped.
DocumentFilter = Callable[[Sequence[str]], bool]

_NONE: AbstractSet[str] = frozenset()
_UNCOMMON = re.compile("[^ -~\n가-힣]")


def uncommon_characters(text: str) -> AbstractSet[str]:
    """Returns the characters of `text` other than printable ASCII, "\\n" and Hangul syllables.

    Most rules concern such characters only, and most texts have next to none.
    """
    found = _UNCOMMON.findall(text)
    return set(found) if found else _NONE


@dataclasses.dataclass(frozen=True)
class Rule:
    """A rule as the catalogue lists it.

    Attributes:
      name: Its name in configurations and reports.
      make: Makes the rule; its keyword arguments, all with defaults, are the rule's options.
      on: Whether it is on where a configuration does not say.
      summary: One sentence on what it does.
    """

    name: str
    make: Callable[..., Any]
    on: bool
    summary: str
