"""Encodings of Korean text: found, and decoded with the place of every fault known."""

import codecs

from deeq_bert.tokenizers.errors import InputError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LOOKED_AT_FOR_UTF16 = 1 << 16
# A blank or a line end in UTF-16 is a zero byte beside another; in other text they do not come.
_MIN_ZERO_SHARE = 0.02
_NAMES = {"utf-8-sig": "utf-8", "euc_kr": "cp949", "ms949": "cp949"}


def check(name: str) -> str:
    """Returns the usual name of an encoding; that of EUC-KR is cp949, which has all of it.

    Raises:
      InputError: Python does not know it, or it is none of text.
    """
    try:
        info = codecs.lookup(name)
        if not info._is_text_encoding:
            raise LookupError
        # Some, such as idna, are for one word.
        "\ufffd".encode(name, "ignore")
    except (LookupError, ValueError):
        raise InputError(
            f"--encoding={name}: not an encoding. Give utf-8, cp949, utf-16-le or another name "
            "that Python knows, or auto."
        ) from None
    return _NAMES.get(info.name, info.name)


def detect(sample: bytes) -> str:
    """Finds the encoding of a file from how it begins: UTF-8, UTF-16 or cp949 (with EUC-KR).

    A byte order mark decides; else zero bytes tell UTF-16, and of UTF-8 and cp949 that is taken
    which fails less. Plain ASCII counts as UTF-8.
    """
    for mark, name in _MARKS:
        if sample.startswith(mark):
            return name
    head = sample[:_LOOKED_AT_FOR_UTF16]
    for offset, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        zeros = head[offset::2].count(0)
        if zeros > _MIN_ZERO_SHARE * len(head) / 2 and zeros > 4 * head[1 - offset :: 2].count(0):
            return name
    faults = _num_faults(sample, "utf-8")
    if faults and _num_faults(sample, "cp949") < faults and _is_korean(sample):
        return "cp949"
    return "utf-8"


class Decoder:
    """Decodes the blocks of a file.

    Attributes:
      num_replaced: How many characters stand for bytes that could not be decoded.
    """

    def __init__(self, path: str, encoding: str, errors: str, offset: int):
        """Makes a decoder.

        Args:
          path: The file, for messages.
          encoding: Its encoding.
          errors: "strict" or "replace".
          offset: Where in the file the first block begins, in bytes.
        """
        self.num_replaced = 0
        self._path = path
        self._encoding = encoding
        self._errors = errors
        self._offset = offset
        self._is_first = offset == 0
        # A text can have the replacement character of its own.
        self._genuine = "\ufffd".encode(encoding, "ignore")
        self._decoder = codecs.getincrementaldecoder(encoding)(errors)

    def decode(self, block: bytes, final: bool = False) -> str:
        """Returns the text of the next block.

        Raises:
          InputError: A byte cannot be decoded, and faults are not to be replaced.
        """
        # What the decoder holds back of a character that a block cuts in two.
        held = self._decoder.getstate()[0]
        try:
            text = self._decoder.decode(block, final)
        except UnicodeDecodeError as error:
            place = self._offset - len(held) + error.start
            raise InputError(
                f"{self._path}: the byte at offset {place:,} (0x{error.object[error.start]:02x}) "
                f"is not {self._encoding}. Give the right --encoding, mend the file, or let "
                "--errors=replace put a mark in the place of such bytes."
            ) from None
        self._offset += len(block)
        if self._errors == "replace" and "\ufffd" in text:
            genuine = (held + block).count(self._genuine) if self._genuine else 0
            self.num_replaced += max(0, text.count("\ufffd") - genuine)
        if self._is_first and text:
            self._is_first = False
            text = text.removeprefix("\ufeff")
        return text

    def finish(self) -> str:
        """Returns what is left at the end of the file.

        Raises:
          InputError: The file ends inside a character.
        """
        return self.decode(b"", final=True)


def _num_faults(sample: bytes, encoding: str) -> int:
    # The last character may be cut off.
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    return decoder.decode(sample).count("\ufffd")


def _is_korean(sample: bytes) -> bool:
    """Whether what is not ASCII in the sample is mostly Hangul, read as cp949."""
    text = sample.decode("cp949", "ignore")
    others = [character for character in text if not character.isascii()]
    return 2 * sum("가" <= character <= "힣" for character in others) >= len(others)
