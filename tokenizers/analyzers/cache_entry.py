"""An analysis as bytes: columns that are read back at a fraction of what analysing costs."""

import hashlib
import operator
import struct
import sys
import zlib
from typing import Any

from deeq_bert.tokenizers.analyzers.base import Analysis

# Of the layout below. A cache written with another is another file.
FORMAT: dict[str, Any] = {"format": 1, "byte_order": sys.byteorder}

# Checksum of key and all that follows, number of morphemes, bytes for each offset (with
# _TAGS_AS_TEXT). Then come the marks (a byte for each morpheme), starts, ends, and the forms as
# UTF-8 with _SEPARATOR between them.
_HEADER = struct.Struct("=IIB")
_CHECKED_FROM = 4
_TAGS_AS_TEXT = 0x10
_OFFSET_TYPES = {1: "B", 2: "H", 4: "I"}
_SEPARATOR = "\n"

# A mark is the place of the tag in this table, with _WORD_START where a word begins. Adding to
# the table is safe at its end only.
_TAGS = (
    "UNK EC EF EP ETM ETN IC JC JKB JKC JKG JKO JKQ JKS JKV JX MAG MAJ MMA MMD MMN NA NF NNB NNG "
    "NNP NP NR NV SE SF SH SL SN SO SP SS SW VA VCN VCP VV VX XPN XR XSA XSN XSV"
)
_TAG_NUMBERS = {tag: number for number, tag in enumerate(_TAGS.split())}
_WORD_START = 0x80
_TAG_OF_MARK = {
    number | start: tag for tag, number in _TAG_NUMBERS.items() for start in (0, _WORD_START)
}
_WORD_START_OF_MARK = bytes(mark >> 7 for mark in range(256))


class DamagedEntry(ValueError):
    """Bytes that are not, or no longer, the analysis they were stored as."""


def key_of(text: str) -> bytes:
    """Returns 16 bytes that stand for `text`."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def pack(key: bytes, text: str, analysis: Analysis) -> bytes | None:
    """Returns the bytes that `unpack` makes an equal analysis of.

    None where they would not: the analysis is not as `Analysis` promises.
    """
    count = len(analysis.forms)
    forms = _SEPARATOR.join(analysis.forms)
    starts, ends, word_starts = list(analysis.starts), list(analysis.ends), analysis.word_starts
    if not (len(analysis.tags) == len(starts) == len(ends) == len(word_starts) == count):
        return None
    if count and forms.count(_SEPARATOR) != count - 1:
        return None
    if word_starts.translate(None, b"\0\1") or not _are_offsets(starts, ends, len(text)):
        return None
    width = 1 if len(text) < 1 << 8 else 2 if len(text) < 1 << 16 else 4
    kind, strings = width, forms
    numbers = [_TAG_NUMBERS.get(tag, -1) for tag in analysis.tags]
    if -1 in numbers:
        tags = _SEPARATOR.join(analysis.tags)
        if tags.count(_SEPARATOR) != count - 1:
            return None
        kind, strings = width | _TAGS_AS_TEXT, forms + _SEPARATOR + tags
        numbers = [0] * count
    marks = bytes(number | start << 7 for number, start in zip(numbers, word_starts))
    offsets = struct.pack(f"={2 * count}{_OFFSET_TYPES[width]}", *starts, *ends)
    columns = marks + offsets + strings.encode("utf-8", "surrogatepass")
    unchecked = _HEADER.pack(0, count, kind) + columns
    return _HEADER.pack(_checksum(key, unchecked), count, kind) + columns


def unpack(key: bytes, text: str, entry: bytes) -> Analysis:
    """Returns the analysis that `pack` made `entry` of.

    Raises:
      DamagedEntry: The entry is damaged, or belongs to another text.
    """
    # SQLite gives other types where the damage is to its own bytes.
    if not isinstance(entry, bytes) or len(entry) < _HEADER.size:
        raise DamagedEntry("too short")
    checksum, count, kind = _HEADER.unpack_from(entry)
    if checksum != _checksum(key, entry):
        raise DamagedEntry("wrong checksum")
    width = kind & ~_TAGS_AS_TEXT
    starts_at = _HEADER.size + count
    ends_at = starts_at + count * width
    forms_at = ends_at + count * width
    if width not in _OFFSET_TYPES or forms_at > len(entry):
        raise DamagedEntry("wrong length")
    marks = entry[_HEADER.size : starts_at]
    offsets = memoryview(entry)
    starts = offsets[starts_at:ends_at].cast(_OFFSET_TYPES[width]).tolist()
    ends = offsets[ends_at:forms_at].cast(_OFFSET_TYPES[width]).tolist()
    try:
        forms = entry[forms_at:].decode("utf-8", "surrogatepass").split(_SEPARATOR)
        if kind & _TAGS_AS_TEXT:
            forms, tags = forms[:count], forms[count:]
        else:
            tags = list(map(_TAG_OF_MARK.__getitem__, marks))
    except (UnicodeDecodeError, KeyError) as error:
        raise DamagedEntry("wrong content") from error
    if not count and forms == [""]:
        forms = []
    if not (len(forms) == len(tags) == count and _are_offsets(starts, ends, len(text))):
        raise DamagedEntry("columns do not fit")
    return Analysis(forms, tags, starts, ends, marks.translate(_WORD_START_OF_MARK))


def _checksum(key: bytes, entry: bytes) -> int:
    return zlib.crc32(memoryview(entry)[_CHECKED_FROM:], zlib.crc32(key))


def _are_offsets(starts: list[int], ends: list[int], size: int) -> bool:
    if not starts:
        return True
    return min(starts) >= 0 and max(ends) <= size and all(map(operator.lt, starts, ends))
