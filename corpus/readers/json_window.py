"""The part of a JSON text around the place that is read, for files of any size."""

import json
import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Any

from deeq_bert.corpus.readers.base import SAMPLE_CHARACTERS

# A value that is decoded at once, such as a document. It bounds the memory.
MAX_CHARACTERS = 32 << 20
_BLANKS = re.compile(r"[ \t\n\r]*")
_NO_MARK = re.compile(r"[^,\[\]{}\s]*")
_MARK = re.compile(r'["\[\]{}]')
_NEXT_OBJECT = re.compile(r',[ \t\n\r]*(?=\{[ \t\n\r]*")')
# The decoder complains at most so far before the end of what is cut off, but for strings.
_LONGEST_TOKEN = 16
# Between one object and the next; what is longer is read over.
_LONGEST_GAP = 1_000
_WORK_OF_DEEP_VALUE = 100_000


def make_decoder() -> json.JSONDecoder:
    """Returns a decoder that takes line breaks inside strings, and numbers as they are written.

    So a number of any length is read, and one that is an identifier stays what it was.
    """
    return json.JSONDecoder(strict=False, parse_int=str, parse_float=str, parse_constant=str)


class Fault(Exception):
    """A value that cannot be decoded.

    Attributes:
      problem: What is wrong with it.
      at: Where, from the beginning of the value; None where it is sound but too much for us.
      is_long: Whether it is too long.
      work: How many characters were looked at.
    """

    def __init__(self, problem: str, at: int | None, *, is_long: bool = False):
        super().__init__(problem)
        self.problem = problem
        self.at = at
        self.is_long = is_long
        self.work = _WORK_OF_DEEP_VALUE if at is None else at + 1


class Window:
    """The part of the text around the place that is read."""

    def __init__(self, blocks: Iterator[str]):
        self.text = ""
        self.position = 0
        self._blocks = blocks
        self._num_read = 0
        # What searches have looked at in vain: not much more than there is to read.
        self._num_searched = 0
        self._raw_decode = make_decoder().raw_decode

    def more(self) -> bool:
        """Lets go what is read, and reads on about as much as is left; False at the end."""
        parts = [self.text[self.position :]]
        wanted = len(parts[0])
        size = 0
        for block in self._blocks:
            parts.append(block)
            size += len(block)
            if size >= wanted:
                break
        self.text = "".join(parts)
        self.position = 0
        self._num_read += size
        return size > 0

    def peek(self) -> str:
        """Returns the next character that is no blank, without moving past it; "" at the end."""
        while True:
            self.position = _BLANKS.match(self.text, self.position).end()
            if self.position < len(self.text):
                return self.text[self.position]
            if not self.more():
                return ""

    def take(self) -> str:
        """Moves past the next character that is no blank, and returns it."""
        mark = self.peek()
        self.position += len(mark)
        return mark

    def sample(self) -> str:
        return self.text[self.position : self.position + SAMPLE_CHARACTERS]

    def decode(self) -> Any:
        """Decodes the value that begins here, and moves past it.

        Raises:
          Fault: It cannot be decoded; the position stays.
        """
        while True:
            value, end = self._decode_at(0)
            if self.text[self.position] not in '"[{':
                # A number may go on after what has been read.
                is_cut = _NO_MARK.match(self.text, end).end() == len(self.text)
                if is_cut and end - self.position < MAX_CHARACTERS and self.more():
                    continue
            self.position = end
            return value

    def _decode_at(self, offset: int) -> tuple[Any, int]:
        while True:
            begin = self.position + offset
            try:
                return self._raw_decode(self.text, begin)
            except json.JSONDecodeError as error:
                left = len(self.text) - error.pos
                is_cut = left <= _LONGEST_TOKEN or error.msg.startswith("Unterminated")
                if not is_cut:
                    raise Fault("not JSON", error.pos - begin) from None
                if len(self.text) - begin > MAX_CHARACTERS:
                    raise Fault(
                        f"a value of over {MAX_CHARACTERS:,} characters",
                        error.pos - begin,
                        is_long=True,
                    ) from None
                if not self.more():
                    raise Fault("cut short", error.pos - begin) from None
            except RecursionError:
                raise Fault("nested too deeply", None) from None

    def skip(self) -> bool:
        """Moves past the value that begins here by its brackets and quotation marks alone.

        Returns:
          Whether its end was found.
        """
        depth = 0
        if self.peek() not in ('"', "[", "{"):
            return self._skip_word()
        while True:
            match = _MARK.search(self.text, self.position)
            if match is None:
                self.position = len(self.text)
                if not self.more():
                    return False
                continue
            self.position = match.end()
            mark = match[0]
            if mark == '"':
                if not self._skip_string():
                    return False
            else:
                depth += 1 if mark in "[{" else -1
            if depth <= 0:
                return True

    def find_object_like(self, keys: AbstractSet[str], first: str, fault_at: int) -> bool:
        """Moves to the comma before the next object whose keys are mostly `keys`.

        Args:
          keys: The keys of an object.
          first: The first of them: an object that begins with it but is broken counts too, if it
            is not of the value that begins here.
          fault_at: Where in that value decoding failed. A bracket that is missing before the next
            object is missed in that only.

        Returns:
          Whether there is one, not too far away; if not, the position stays.
        """
        beginning = json.dumps(first, ensure_ascii=False)
        offset = 0
        while offset < MAX_CHARACTERS and self._num_searched < MAX_CHARACTERS + 4 * self._num_read:
            match = _NEXT_OBJECT.search(self.text, self.position + offset)
            if match is None:
                # What is cut off may be the beginning of one.
                offset = max(offset, len(self.text) - self.position - _LONGEST_GAP)
                if not self.more():
                    return False
                continue
            comma, begin = match.start() - self.position, match.end() - self.position
            try:
                value, end = self._decode_at(begin)
            except Fault as fault:
                key = _BLANKS.match(self.text, self.position + begin + 1).end()
                is_like = begin > fault_at and self.text.startswith(beginning, key)
                self._num_searched += fault.work
                offset = begin
            else:
                is_like = 2 * len(keys & value.keys()) > max(len(keys), len(value))
                offset = end - self.position
                self._num_searched += offset - begin
            if is_like:
                self.position += comma
                return True
        return False

    def _skip_word(self) -> bool:
        while True:
            begin = self.position
            self.position = _NO_MARK.match(self.text, begin).end()
            if self.position < len(self.text):
                return True
            if not self.more():
                return False

    def _skip_string(self) -> bool:
        while True:
            begin = self.position
            end = self.text.find('"', begin)
            stop = end if end >= 0 else len(self.text)
            is_escaped = False
            if stop > begin and self.text[stop - 1] == "\\":
                piece = self.text[begin:stop]
                is_escaped = (len(piece) - len(piece.rstrip("\\"))) % 2 == 1
            if end < 0:
                self.position = stop - is_escaped
                if not self.more():
                    return False
                continue
            self.position = end + 1
            if not is_escaped:
                return True
