"""Path expressions: where in a JSON value the texts are.

A path is the keys on the way with dots between them; `[]` after a key stands for every element of
the list there, `*` in place of a key for the values of all keys: `document[].paragraph[].form`,
`[].talk.content.*`. The empty path is the value itself.
"""

import enum
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from deeq_bert.tokenizers.errors import InputError


class Step(enum.Enum):
    """A step of a path that is no key."""

    EACH = "[]"
    VALUES = "*"


Steps = tuple[str | Step, ...]

_PART = re.compile(r"([^\[\]]*)((?:\[\])*)")
_MAX_KEYS_TOLD = 12


class Path:
    """One path.

    Attributes:
      expression: As it was given.
      steps: The keys, and the steps to every element of a list and to all values of an object.
    """

    def __init__(self, expression: str):
        """Compiles a path.

        Raises:
          InputError: It is no path.
        """
        self.expression = expression.strip()
        self.steps = _parse(self.expression)

    def find(self, value: Any) -> list[Any] | None:
        """Returns what is at the path in `value`, in order; None where the path does not exist.

        An empty list and null on the way make an empty list: there the path exists.
        """
        return _follow(self.steps, value)

    def first(self, value: Any) -> Any:
        """Returns what comes first at the path, or None."""
        found = self.find(value)
        return found[0] if found else None

    def explain(self, value: Any) -> str:
        """Returns a clause on why `find` finds no texts in `value`."""
        for length in range(len(self.steps)):
            if _follow(self.steps[: length + 1], value) is None:
                found = _follow(self.steps[:length], value)
                return f"{name_steps(self.steps[:length])} {describe(found[0])}"
        found = self.find(value)
        return f"{name_steps(self.steps)} {describe(found[0]) if found else 'is empty'}"


class Paths:
    """Several paths, whose values come in the order of the file.

    Attributes:
      paths: Each of them.
    """

    def __init__(self, expression: str):
        """Compiles paths.

        Args:
          expression: One path, or several with commas between them.

        Raises:
          InputError: One of them is no path.
        """
        self.paths = [Path(part) for part in expression.split(",")]
        self._tree = _Tree([path.steps for path in self.paths])

    def find(self, value: Any) -> list[Any] | None:
        """Returns what is at the paths in `value`; None where none of them exists.

        The elements of a list come in their order, each with all that the paths find in it; the
        keys of an object in the order in which the paths name them.
        """
        return self._tree.find(value)


def name_steps(steps: Sequence[str | Step]) -> str:
    """Returns the path of these steps for a message."""
    return f"`{_join(steps)}`" if steps else "the value"


def describe(value: Any) -> str:
    """Returns what `value` is, for a message, with its keys where it has any."""
    if isinstance(value, dict):
        return name_keys(value)
    if isinstance(value, list):
        return "is a list" if value else "is an empty list"
    return "is null" if value is None else "is no list and no object"


def name_keys(keys: Iterable[str]) -> str:
    """Returns which keys there are, for a message."""
    names = [key[:50] for key in itertools.islice(keys, _MAX_KEYS_TOLD + 1)]
    if not names:
        return "is an empty object"
    more = " and more" if len(names) > _MAX_KEYS_TOLD else ""
    return f"has the keys {', '.join(names[:_MAX_KEYS_TOLD])}{more}"


class _Tree:
    """Paths with what they have in common at their beginnings walked once."""

    def __init__(self, all_steps: Sequence[Steps]):
        common = os.path.commonprefix(list(all_steps))
        groups: dict[str | Step | None, list[Steps]] = {}
        for steps in all_steps:
            rest = steps[len(common) :]
            groups.setdefault(rest[0] if rest else None, []).append(rest)
        self._steps: Steps = tuple(common)
        self._branches = [_Tree(group) for group in groups.values()] if len(groups) > 1 else []

    def find(self, value: Any) -> list[Any] | None:
        values = _follow(self._steps, value)
        if not values or not self._branches:
            return values
        lists = [branch.find(value) for value in values for branch in self._branches]
        found = [values for values in lists if values is not None]
        return list(itertools.chain.from_iterable(found)) if found else None


def _parse(expression: str) -> Steps:
    steps: list[str | Step] = []
    for part in expression.split(".") if expression else []:
        match = _PART.fullmatch(part.strip())
        if match is None or not (match[1] or (match[2] and not steps)):
            raise InputError(
                f"{expression!r} is no path into JSON. Expected keys with dots between them, "
                "with [] after the key of a list, such as document[].paragraph[].form."
            )
        if match[1]:
            steps.append(Step.VALUES if match[1] == "*" else match[1])
        steps.extend([Step.EACH] * (len(match[2]) // 2))
    return tuple(steps)


def _follow(steps: Steps, value: Any) -> list[Any] | None:
    if len(steps) == 1 and type(value) is dict and steps[0] in value:
        # Most paths are one key, and most lines of JSON lines are short.
        return [value[steps[0]]]
    values = [value]
    for step in steps:
        # A level at a time: order is kept, and the work is done in comprehensions.
        if step is Step.EACH:
            inside: Iterator[list] = (value for value in values if type(value) is list)
        elif step is Step.VALUES:
            inside = (list(value.values()) for value in values if type(value) is dict)
        else:
            inside = ([value[step]] for value in values if type(value) is dict and step in value)
        parts = list(inside)
        if not parts:
            return None if any(value is not None for value in values) else []
        values = parts[0] if len(parts) == 1 else list(itertools.chain.from_iterable(parts))
    return values


def _join(steps: Sequence[str | Step]) -> str:
    names = [("" if step is Step.EACH else ".") + getattr(step, "value", step) for step in steps]
    return "".join(names).removeprefix(".")
