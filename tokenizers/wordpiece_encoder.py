"""Text to the ids of WordPieces, with those of words met before remembered."""

import itertools
import re
from array import array
from collections.abc import Iterator, Sequence

from deeq_bert.tokenizers.word_table import WordTable
from deeq_bert.tokenizers.wordpiece import (
    VANISHING_WHITESPACE,
    BasicTokenizer,
    RecentResults,
    WordpieceTokenizer,
    split_at_whitespace,
)

# What most parts of a text are: letters that are one word if they are not lower-cased, and then
# punctuation marks, each a word.
_PLAIN_WORD = re.compile("([0-9A-Za-z\uac00-\ud7a3]+)([!-/:-@\\[-`{-~]*)")


class WordpieceEncoder:
    """Text to the ids of its pieces, at the cost of one look-up for each word met before."""

    def __init__(
        self,
        basic_tokenizer: BasicTokenizer,
        wordpiece_tokenizer: WordpieceTokenizer,
        max_words: int = 65_536,
        max_table_words: int = 1 << 19,
    ):
        """Makes an encoder that remembers nothing yet.

        Args:
          basic_tokenizer: Splits text into words and punctuation.
          wordpiece_tokenizer: Splits those into pieces.
          max_words: Bounds the memory of `encode`: about 400 bytes for each, in the worst case
            1,300.
          max_table_words: Bounds that of `encode_lines`: about 60 bytes for each.
        """
        self._basic_tokenizer = basic_tokenizer
        self._keeps_plain = not basic_tokenizer.do_lower_case
        self._words = RecentResults(self._ids_of_part, max_words)
        self._table = WordTable(self._ids_of_part, max_table_words)
        # Small, for punctuation and ideographs above all. It cannot be one with the other: taking a
        # word with rare accents through the basic tokenizer twice may change it twice.
        self._tokens = RecentResults(wordpiece_tokenizer.ids_of, 2_048)
        self._ids_of_token = wordpiece_tokenizer.ids_of

    def encode(self, text: str) -> Iterator[int]:
        """Yields the ids of the text's pieces (NO_ID as in `WordpieceTokenizer.ids_of`)."""
        parts = split_at_whitespace(text)
        return itertools.chain.from_iterable(map(self._words.__getitem__, parts))

    def encode_lines(self, lines: Sequence[str]) -> tuple[array, array]:
        """Returns the ids of the pieces of all lines, end to end, and how many each line has.

        The same as `encode` for each, in half the time; both arrays are of type "i".
        """
        if not lines:
            return array("i"), array("i")
        text = "\n".join(lines)
        if text.count("\n") >= len(lines):
            text = "\n".join(line.replace("\n", " ") for line in lines)
        ids, counts = self._table.ids_of_lines(VANISHING_WHITESPACE.sub("", text))
        return array("i", ids.tobytes()), array("i", counts.tobytes())

    def _ids_of_part(self, part: str) -> tuple[int, ...]:
        if self._keeps_plain and (match := _PLAIN_WORD.fullmatch(part)):
            word, marks = match.groups()
            ids = self._ids_of_token(word)
            for mark in marks:
                ids += self._tokens[mark]
            return ids
        tokens = self._basic_tokenizer.tokenize(part)
        if len(tokens) == 1:
            return self._ids_of_token(tokens[0])
        return tuple(itertools.chain.from_iterable(map(self._tokens.__getitem__, tokens)))
