"""Where in an XML file documents and their texts are: names of elements with slashes between."""

import re
from collections.abc import Sequence

from deeq_bert.tokenizers.errors import InputError

_PATH = re.compile(r"(//)?[\w.-]{1,100}(?:/[\w.-]{1,100}){0,50}")


class ElementPath:
    """One path; namespaces do not count.

    Attributes:
      names: The names on the way, the last that of the element itself.
      is_deep: Whether the way may begin anywhere; it is written with "//" in front.
    """

    def __init__(self, expression: str):
        """Compiles a path.

        Raises:
          InputError: It is no path.
        """
        expression = expression.strip()
        self.is_deep = expression.startswith("//")
        if expression != "." and not _PATH.fullmatch(expression):
            raise InputError(
                f"{expression!r} is no path into XML. Expected names of elements without their "
                "namespaces, with slashes between them, such as text/p."
            )
        self.names = [] if expression == "." else expression.removeprefix("//").split("/")

    def ends(self, names: Sequence[str]) -> bool:
        """Whether the path is the end of `names`, the elements that are open."""
        return names[-len(self.names) :] == self.names

    def matches(self, names: Sequence[str]) -> bool:
        """Whether the path leads from a document to the element whose way there is `names`."""
        return names[-len(self.names) :] == self.names if self.is_deep else names == self.names

    def __str__(self) -> str:
        return ("//" if self.is_deep else "") + ("/".join(self.names) or ".")


class TextPaths:
    """Paths of texts: all of several with commas between them, the first of several with "|".

    Attributes:
      paths: Each of them.
    """

    def __init__(self, expression: str):
        """Compiles paths.

        Raises:
          InputError: One of them is no path.
        """
        self._expression = expression
        self._choices = [
            [ElementPath(part) for part in choice.split("|")] for choice in expression.split(",")
        ]
        self.paths = [path for choice in self._choices for path in choice]

    def number_of(self, names: Sequence[str]) -> tuple[int, int] | None:
        """Returns which path leads to `names`: of which choice, and its rank there; or None."""
        for number, choice in enumerate(self._choices):
            for rank, path in enumerate(choice):
                if path.matches(names):
                    return number, rank
        return None

    def __str__(self) -> str:
        return self._expression
