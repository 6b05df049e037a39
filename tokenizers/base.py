"""What a tokenizer is here: text to tokens and ids, with offsets and the starts of words.

A plug-in subclasses `Tokenizer` and registers, under the entry-point group
`deeq_bert.tokenizers`, a function that takes `TokenizerSettings` and returns one.
"""

import abc
import collections
import dataclasses
import itertools
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from deeq_bert.tokenizers.analyzers.base import AnalyzerSettings
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.vocabulary import load_vocab

# Bits that say what begins with a token.
WORD_START, MORPHEME_START = 1, 2

# What can be masked as a whole, the smallest first.
MASK_UNITS = ("token", "morpheme", "word")


@dataclasses.dataclass(frozen=True)
class TokenizerSettings:
    """What makes a tokenizer. It can be pickled, so that every process makes its own.

    Attributes:
      name: "wordpiece", "deeq", "deeq-wordpiece" or the name of a plug-in.
      vocab_file: The vocabulary, a token a line.
      do_lower_case: Lower-case and strip accents; for wordpiece only.
      deeq_compat: Repeat the quirks of the first deeq tokenizer; for deeq only.
      analyzer: The morpheme analyser; unused by wordpiece.
    """

    name: str
    vocab_file: str
    do_lower_case: bool = True
    deeq_compat: bool = False
    analyzer: AnalyzerSettings = AnalyzerSettings()


@dataclasses.dataclass(slots=True)
class Encoding:
    """The tokens of one text, in order, as columns of equal length.

    Attributes:
      tokens: As they stand in the vocabulary.
      ids: Their ids.
      starts: Where the first character a token comes from stands in the text.
      ends: Where the character after the last stands.
      units: A byte for each token: WORD_START where it is the first of a word, MORPHEME_START
        where it is the first of a morpheme, both or neither.
    """

    tokens: list[str]
    ids: list[int]
    starts: list[int]
    ends: list[int]
    units: bytes


class TokenizedLine(NamedTuple):
    """What records are made of.

    Attributes:
      ids: The ids of the tokens.
      units: As in `Encoding`; empty where the tokens themselves say which of them continue a word
        (see `Tokenizer.continuation_ids`).
    """

    ids: Sequence[int]
    units: bytes


class TokenizedLines(NamedTuple):
    """Several lines, end to end.

    Attributes:
      ids: The ids of all tokens; an array of type "i".
      counts: How many of them each line has; likewise.
      units: As in `TokenizedLine`, for all tokens.
    """

    ids: array
    counts: array
    units: bytes


class Tokenizer(abc.ABC):
    """Text to tokens and ids.

    Attributes:
      vocab: The id of each token, in the order of the vocabulary file.
      inv_vocab: The token of each id.
      vocab_file: Where the vocabulary was read.
      mask_units: Those of MASK_UNITS that it tells the starts of.
      continuation_ids: The ids of tokens that always belong to the word of the token before
        them, where that can be told from the token; then the units of `TokenizedLine` are empty.
    """

    mask_units: tuple[str, ...] = ("token", "word")
    continuation_ids: frozenset[int] = frozenset()

    def __init__(self, vocab_file: str):
        """Reads the vocabulary.

        Raises:
          InputError: The file cannot serve as a vocabulary (see `load_vocab`).
        """
        self.vocab_file = vocab_file
        self.vocab = load_vocab(vocab_file)
        self.inv_vocab = {index: token for token, index in self.vocab.items()}

    @abc.abstractmethod
    def encode(self, text: str) -> Encoding:
        """Returns the tokens of `text` with their ids, offsets and units."""

    def text_to_ids(self, text: str) -> list[int]:
        """Returns the ids of the tokens of `text`."""
        return self.encode(text).ids

    def tokenize(self, text: str) -> list[str]:
        """Returns the tokens of `text`."""
        return self.encode(text).tokens

    def tokenize_lines(self, lines: Iterable[str]) -> Iterator[TokenizedLine]:
        """Yields ids and units of each line, in order; lines may be read ahead."""
        for line in lines:
            encoding = self.encode(line)
            yield TokenizedLine(encoding.ids, encoding.units)

    def tokenize_blocks(self, blocks: Iterable[list[str]]) -> Iterator[TokenizedLines]:
        """Yields ids and units of the lines of each block, in order; blocks may be read ahead.

        Raises:
          InputError: This tokenizer did not give one result for each line.
        """
        blocks = iter(blocks)
        sizes: collections.deque[int] = collections.deque()

        def lines() -> Iterator[str]:
            for block in blocks:
                sizes.append(len(block))
                yield from block

        tokenized = self.tokenize_lines(lines())
        for line in tokenized:
            if not sizes:
                break
            size = sizes.popleft()
            some = [line, *itertools.islice(tokenized, size - 1)]
            if len(some) < size:
                break
            ids = array("i", itertools.chain.from_iterable(line.ids for line in some))
            units = b"".join([line.units for line in some])
            if units and len(units) != len(ids):
                break
            yield TokenizedLines(ids, array("i", [len(line.ids) for line in some]), units)
        else:
            if not sizes and not any(True for _ in blocks):
                return
        raise InputError(
            f"The tokenizer {type(self).__name__} did not give one result for each line, which is "
            "a fault in it. Choose another --tokenizer."
        )

    def decode(self, ids: Iterable[int]) -> str:
        """Returns readable text for `ids`, as near to the original as can be told."""
        return " ".join(self.convert_ids_to_tokens(ids))

    def identity(self) -> dict[str, Any]:
        """Returns what, besides name and vocabulary, decides how text is cut.

        It goes into the contract (see `contract`), so the values can be put into JSON.
        """
        return {}

    def convert_tokens_to_ids(self, tokens: Iterable[str]) -> list[int]:
        """Returns the id of each token; KeyError for one that is not in the vocabulary."""
        return [self.vocab[token] for token in tokens]

    def convert_ids_to_tokens(self, ids: Iterable[int]) -> list[str]:
        """Returns the token of each id; KeyError for an id that is not in the vocabulary."""
        return [self.inv_vocab[index] for index in ids]

    def close(self) -> None:  # noqa: B027  most tokenizers have nothing to close
        """Releases connections and files; the tokenizer cannot be used after."""
