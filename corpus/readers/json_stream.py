"""The values at a path of a JSON file of any size, decoded one at a time."""

from collections.abc import Iterator
from typing import Any

from deeq_bert.corpus.readers import json_window
from deeq_bert.corpus.readers.base import BrokenRecord
from deeq_bert.corpus.readers.input_file import InputFile
from deeq_bert.corpus.readers.json_paths import Path, Step, Steps, name_keys, name_steps
from deeq_bert.corpus.readers.json_window import Fault, Window
from deeq_bert.tokenizers.errors import InputError

_LOST = "; the rest of the file is lost"
_MAX_KEYS_KEPT = 20
# Where nothing can be decoded any more, what is left is no JSON.
_MAX_BROKEN_IN_A_ROW = 1_000
_BEGINNINGS = frozenset('{["-0123456789tfnNI')


class JsonElements:
    """Goes down to a path of a JSON file, and decodes only what is there."""

    def __init__(self, file: InputFile, path: Path, *, or_single: bool = False):
        """Makes a walk, which can be gone once.

        Args:
          file: The file, read from its beginning.
          path: Where the values are.
          or_single: Take for the elements of a list that which stands in its place alone.
        """
        self._file = file
        self._path = path
        self._or_single = or_single
        self._window = Window(file.text_blocks())
        self._number = 0
        self._num_broken = 0
        self._arrived = False
        # The keys of the document before.
        self._model: dict[str, None] = {}
        # How far the path goes, and what is there.
        self._deepest: tuple[int, str] = (-1, "")

    def __iter__(self) -> Iterator[Any]:
        """Yields the values, and BrokenRecord for each that is broken.

        Raises:
          InputError: The file is not JSON, or more than one value, or has no such path.
        """
        window = self._window
        first = window.peek()
        if not first:
            yield BrokenRecord(self._file.path, "an empty file", "")
            return
        if first not in _BEGINNINGS:
            raise self._not_json()
        try:
            yield from self._walk(0)
            if window.peek():
                self._check_several_values()
                raise _LostError("not JSON: text after its end")
        except _LostError as error:
            if self._number <= 1 and first not in "{[":
                raise self._not_json() from None
            yield BrokenRecord(self.place(), error.problem + _LOST, error.sample)
            return
        if not self._arrived:
            length, what = self._deepest
            raise InputError(
                f"{self._file.path}: no `{self._path.expression}`: "
                f"{name_steps(self._path.steps[:length])} {what}. "
                "Give its reader another path, or choose another reader."
            )

    def place(self) -> str:
        """Returns the place of the value that came last."""
        return f"{self._file.path}, document {max(1, self._number):,}"

    def _walk(self, depth: int) -> Iterator[Any]:
        steps: Steps = self._path.steps
        if depth == len(steps):
            self._arrived = True
            yield self._element()
            return
        step = steps[depth]
        opening = self._window.peek()
        if step is Step.EACH and opening == "[":
            yield from self._walk_list(depth)
        elif step is Step.EACH and self._or_single:
            yield from self._walk(depth + 1)
        elif step is not Step.EACH and opening == "{":
            yield from self._walk_object(depth, step)
        else:
            kinds = {"[": "is a list", "{": "is an object"}
            self._note(depth, kinds.get(opening, "is no list and no object"))
            self._skip()

    def _walk_list(self, depth: int) -> Iterator[Any]:
        window = self._window
        window.position += 1
        self._arrived = self._arrived or depth + 1 == len(self._path.steps)
        mark = "," if window.peek() != "]" else window.take()
        while mark == ",":
            if window.peek() == "]":
                # A comma after the last element, which some programs write.
                mark = window.take()
                break
            yield from self._walk(depth + 1)
            mark = window.take()
        if mark != "]":
            raise _LostError("cut short" if not mark else "not JSON")

    def _walk_object(self, depth: int, step: str | Step) -> Iterator[Any]:
        window = self._window
        window.position += 1
        keys: list[str] = []
        found = False
        mark = "," if window.peek() != "}" else window.take()
        while mark == ",":
            if window.peek() != '"':
                raise _LostError("not JSON" if window.peek() else "cut short")
            key = self._key()
            if window.take() != ":":
                raise _LostError("not JSON" if window.peek() else "cut short")
            if step is Step.VALUES or key == step:
                found = True
                yield from self._walk(depth + 1)
            else:
                if len(keys) < _MAX_KEYS_KEPT:
                    keys.append(key)
                self._skip()
            mark = window.take()
        if mark != "}":
            raise _LostError("cut short" if not mark else "not JSON")
        if not found:
            self._note(depth, name_keys(keys))

    def _key(self) -> str:
        try:
            return self._window.decode()
        except Fault as fault:
            raise _LostError(fault.problem) from None

    def _skip(self) -> None:
        if not self._window.peek() or not self._window.skip():
            raise _LostError("cut short")

    def _note(self, depth: int, what: str) -> None:
        if depth > self._deepest[0]:
            self._deepest = (depth, what)

    def _element(self) -> Any:
        window = self._window
        window.peek()
        self._number += 1
        try:
            value = window.decode()
        except Fault as fault:
            self._num_broken += 1
            if not self._path.steps and fault.is_long:
                raise InputError(
                    f"{self._file.path}: one value of over {json_window.MAX_CHARACTERS:,} "
                    "characters. Name the list that holds its documents with the reader's "
                    "`document`, such as data[]."
                ) from None
            sample = window.sample()
            can_go_on = self._path.steps and self._num_broken <= _MAX_BROKEN_IN_A_ROW
            if can_go_on and self._resume(fault):
                return BrokenRecord(self.place(), fault.problem, sample)
            raise _LostError(fault.problem, sample) from None
        self._num_broken = 0
        if type(value) is dict and value.keys() != self._model.keys():
            self._model = dict.fromkeys(value)
        return value

    def _resume(self, fault: "Fault") -> bool:
        """Moves past a broken value, where its end can be found."""
        window = self._window
        # A quotation mark too many turns text and structure about; a document like the one before
        # can be told all the same.
        can_be_told = fault.at is not None and self._path.steps[-1] is Step.EACH
        if can_be_told and self._model:
            first = next(iter(self._model))
            if window.find_object_like(self._model.keys(), first, fault.at):
                return True
        return window.skip() and window.peek() in (",", "]", "}")

    def _check_several_values(self) -> None:
        if self._window.peek() in '{["':
            raise InputError(
                f"{self._file.path}: several JSON values, one after the other. "
                "Read it with the reader jsonl, which takes one a line."
            )

    def _not_json(self) -> InputError:
        beginning = self._window.sample()[:20]
        return InputError(
            f"{self._file.path}: not JSON, since it begins with {beginning!r}. "
            "Choose the reader for its format."
        )


class _LostError(Exception):
    """The structure of the file cannot be followed any further."""

    def __init__(self, problem: str, sample: str = ""):
        super().__init__(problem)
        self.problem = problem
        self.sample = sample
