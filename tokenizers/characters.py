"""Text as BERT reads it: decoding, and the classes of characters that decide where words end.

The classes are those of google-research/bert (`tokenization.py`); they follow the Unicode
categories of the running Python.
"""

import unicodedata
from collections.abc import Callable

# Blocks of Chinese ideographs as the original lists them: first and last code point. Hangul, kana
# are not among them: a word of theirs has several characters.
_CHINESE_BLOCKS = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)
_REPLACEMENT_CHARACTER = "\ufffd"


def convert_to_unicode(text: str | bytes) -> str:
    """Returns `text` as a string; bytes are read as UTF-8, and what is not UTF-8 is left out.

    Raises:
      ValueError: `text` is neither a string nor bytes.
    """
    if isinstance(text, str):
        return text
    if isinstance(text, bytes):
        return text.decode("utf-8", "ignore")
    raise ValueError(f"Expected text as str or bytes, not {type(text).__name__}.")


def is_whitespace(char: str) -> bool:
    """Whether `char` separates words: blank, tab, newline, carriage return, other space characters.

    Unlike `str.isspace`, form feed and the like are control characters (see `is_control`).
    """
    return char in " \t\n\r" or unicodedata.category(char) == "Zs"


def is_control(char: str) -> bool:
    """Whether `char` is a control or format character, which are dropped from the text."""
    return char not in "\t\n\r" and unicodedata.category(char) in ("Cc", "Cf")


def is_punctuation(char: str) -> bool:
    """Whether `char` is a word of its own: Unicode punctuation, and all ASCII symbols such as $."""
    if char <= "\x7f":
        return char.isprintable() and not char.isalnum() and char != " "
    return unicodedata.category(char).startswith("P")


def is_chinese_char(code_point: int) -> bool:
    """Whether the character of that number is a Chinese ideograph, also a word of its own."""
    return any(first <= code_point <= last for first, last in _CHINESE_BLOCKS)


class CharacterTable(dict[int, int | str | None]):
    """What becomes of each character in `str.translate`, found out when it is first met."""

    # More than any language writes with; text made of random characters is worked out again
    # and again rather than remembered.
    MAX_ENTRIES = 65_536

    def __init__(self, rewrite: Callable[[str], str | None]):
        """Makes an empty table.

        Args:
          rewrite: Gives the text to put in place of a character, None for nothing.
        """
        super().__init__()
        self._rewrite = rewrite

    def __reduce__(self) -> tuple:
        """A copy in another process begins empty."""
        return type(self), (self._rewrite,)

    def __missing__(self, code_point: int) -> int | str | None:
        char = chr(code_point)
        replacement = self._rewrite(char)
        # str.translate takes a number faster than a string.
        value = code_point if replacement == char else replacement
        if len(self) < self.MAX_ENTRIES:
            self[code_point] = value
        return value


def _clean(char: str) -> str | None:
    if char in ("\0", _REPLACEMENT_CHARACTER) or is_control(char):
        return None
    if is_whitespace(char):
        return " "
    return f" {char} " if is_chinese_char(ord(char)) else char


def _split_punctuation(char: str) -> str:
    return f" {char} " if is_punctuation(char) else char


def _clean_and_split_punctuation(char: str) -> str | None:
    return _split_punctuation(char) if _clean(char) == char else _clean(char)


def _strip_accents_and_split_punctuation(char: str) -> str | None:
    return None if unicodedata.category(char) == "Mn" else _split_punctuation(char)


# Drops control characters, turns whitespace to blanks and puts blanks around ideographs.
CLEANED = CharacterTable(_clean)
# The same, and blanks around punctuation.
CLEANED_AND_SPLIT = CharacterTable(_clean_and_split_punctuation)
# Drops combining marks and puts blanks around punctuation.
STRIPPED_AND_SPLIT = CharacterTable(_strip_accents_and_split_punctuation)
