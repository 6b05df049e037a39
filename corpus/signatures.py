"""MinHash signatures: what is left of a document to tell how similar it is to others.

The similarity of two texts is the share of their shingles that both have (Jaccard's measure). A
shingle is a sequence of SHINGLE letters and digits; white space, punctuation and case do not
matter. Five is right for Korean: so many syllables are one and a half words, which unrelated texts
hardly share (0.2% of their shingles; with three, 1%: those of common endings), while each word that
differs leaves most of the others whole. The share of equal values in two signatures estimates the
similarity, with a standard error of sqrt(s * (1 - s) / NUM_VALUES), which is 0.025 at 0.8.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from deeq_bert.corpus.column_files import damaged, header, map_columns
from deeq_bert.tokenizers.files import atomic_outputs

SHINGLE = 5
NUM_VALUES = 256
# One word of three syllables that differs changes seven shingles. With fewer than this many, that
# alone is a similarity under 0.8, and what is equal is found by its hash.
MIN_SHINGLES = 50
# About 3 MB of Korean. Of a longer document the beginning is compared.
MAX_CHARACTERS = 1 << 20

_MARK = b"deeqSIG1"
_ROW_BYTES = 4 + 2 * NUM_VALUES
_ALL_BITS = np.uint64(2**64 - 1)
# Splitmix64's increment and factors.
_INCREMENT = np.uint64(0x9E3779B97F4A7C15)
_FACTORS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_FIFTH = np.uint64(0xD6E8FEB86659FD93)
# A hash is a bin in the upper eight bits, which NUM_VALUES must fill, and a value in the lower.
_BIN_SHIFT = np.uint64(56)
_ROUND_SHIFT = np.uint64(48)
_LOW_BITS = np.uint64((1 << 48) - 1)
# So many numbers are drawn for a document at once, unless it has more shingles.
_DRAWN_AT_ONCE = 4096


class Signatures(NamedTuple):
    """The signatures of a part.

    Attributes:
      num_documents: How many documents the part has.
      documents: uint32, the indices of those that have a signature, ascending.
      values: uint16, for each of them a row of NUM_VALUES.
    """

    num_documents: int
    documents: np.ndarray
    values: np.ndarray


class Signer:
    """Makes signatures.

    Where plain MinHash takes the least of each of NUM_VALUES hashes over all shingles, here a hash
    throws each shingle into one of NUM_VALUES bins, and the least hash in a bin is its value. Only
    bins that are still empty then get their values from a second hash, and so on. That estimates
    as well, and costs little more than one hash of each shingle of a long text (it is known as
    fast similarity sketching; Dahlgaard, Knudsen and Thorup, 2017).
    """

    def __init__(self):
        self._letters = _letters()

    def signature(self, text: str) -> np.ndarray | None:
        """Returns NUM_VALUES values (uint16), or None for a text that has too few shingles."""
        shingles = self._shingles(text)
        if len(shingles) < MIN_SHINGLES:
            return None
        values = np.full(NUM_VALUES, _ALL_BITS)
        hashes = mix(shingles)
        np.minimum.at(values, (hashes >> _BIN_SHIFT).view(np.int64), hashes)
        empty = np.flatnonzero(values == _ALL_BITS)
        if len(empty):
            shingles = np.unique(shingles)
            if len(shingles) < MIN_SHINGLES:
                return None
            _fill(values, empty, shingles)
        return values.astype(np.uint16)

    def _shingles(self, text: str) -> np.ndarray:
        """Returns numbers for the shingles of a text."""
        encoded = text[:MAX_CHARACTERS].encode("utf-16-le", "surrogatepass")
        letters = self._letters[np.frombuffer(encoded, "<u2")]
        letters = letters[letters != 0]
        if len(letters) < SHINGLE:
            return np.zeros(0, dtype=np.uint64)
        # Four letters are 64 bits as they stand.
        fours = np.ndarray(len(letters) - 4, "<u8", letters, strides=letters.strides)
        return fours * _FIFTH + letters[4:]


def write_signatures(path: str, signatures: Sequence[np.ndarray | None]) -> None:
    """Writes the signatures of a part's documents, 516 bytes for each that has one.

    Raises:
      InputError: The file cannot be written.
    """
    documents = [index for index, values in enumerate(signatures) if values is not None]
    with atomic_outputs([path]) as (file,):
        file.write(header(_MARK, len(signatures), len(documents)))
        file.write(np.array(documents, dtype="<u4").data)
        for document in documents:
            file.write(signatures[document].astype("<u2", copy=False).data)


def map_signatures(path: str) -> Signatures:
    """Maps a file that `write_signatures` wrote to memory; it is open as long as this is held.

    Raises:
      InputError: It cannot be read or is damaged.
    """
    (num_documents, num_rows), content = map_columns(path, _MARK, [0, _ROW_BYTES])
    documents = content[: 4 * num_rows].view("<u4")
    values = content[4 * num_rows :].view("<u2").reshape(num_rows, NUM_VALUES)
    if num_rows and (documents[-1] >= num_documents or np.any(documents[1:] <= documents[:-1])):
        raise damaged(path)
    return Signatures(num_documents, documents, values)


def _letters() -> np.ndarray:
    """Returns for each code of UTF-16 the letter or digit it counts as, or 0 for none."""
    table = np.zeros(1 << 16, dtype=np.uint16)
    for code in range(1 << 16):
        character = chr(code)
        if character.isalnum():
            lower = character.lower()
            table[code] = ord(lower) if len(lower) == 1 else code
    return table


def mix(numbers: np.ndarray) -> np.ndarray:
    """Returns 64-bit numbers that look like drawn by chance, each of another number."""
    mixed = numbers ^ (numbers >> np.uint64(30))
    mixed *= _FACTORS[0]
    mixed ^= mixed >> np.uint64(27)
    mixed *= _FACTORS[1]
    mixed ^= mixed >> np.uint64(31)
    return mixed


def _fill(values: np.ndarray, empty: np.ndarray, shingles: np.ndarray) -> None:
    """Gives the empty bins their values, from as many further hashes as it takes."""
    rounds = max(1, _DRAWN_AT_ONCE // len(shingles))
    first_round = 1
    while len(empty):
        numbers = np.arange(first_round, first_round + rounds, dtype=np.uint64)
        hashes = mix(shingles + (numbers * _INCREMENT)[:, np.newaxis])
        bins = (hashes >> _BIN_SHIFT).view(np.int64)
        # A value of an earlier round comes before those of all later ones.
        hashes &= _LOW_BITS
        hashes |= (numbers << _ROUND_SHIFT)[:, np.newaxis]
        found = np.full(NUM_VALUES, _ALL_BITS)
        np.minimum.at(found, bins.ravel(), hashes.ravel())
        values[empty] = found[empty]
        empty = empty[found[empty] == _ALL_BITS]
        first_round += rounds
