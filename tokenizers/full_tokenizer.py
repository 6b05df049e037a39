"""The original's tokenizer from text to ids: basic tokenization, then WordPiece."""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from deeq_bert.tokenizers.base import (
    WORD_START,
    Encoding,
    TokenizedLine,
    TokenizedLines,
    Tokenizer,
)
from deeq_bert.tokenizers.characters import CLEANED, convert_to_unicode
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.vocabulary import UNK
from deeq_bert.tokenizers.wordpiece import (
    CONTINUATION,
    NO_ID,
    BasicTokenizer,
    WordpieceTokenizer,
)
from deeq_bert.tokenizers.wordpiece_encoder import WordpieceEncoder


class FullTokenizer(Tokenizer):
    """Text to WordPiece tokens and ids (the original's class of that name).

    A word, for `Encoding.units`, is what whole-word masking takes for one: all that
    `BasicTokenizer` does not cut, so that a punctuation mark is a word.

    Attributes:
      basic_tokenizer: Splits text into words.
      wordpiece_tokenizer: Splits words into pieces.
      continuation_ids: The ids of the tokens that go on with a word, those that begin with "##".
        Whole-word masking keeps a token whose id is among them with the token before it.
    """

    def __init__(self, vocab_file: str, do_lower_case: bool = True):
        """Reads the vocabulary.

        Args:
          vocab_file: One token a line.
          do_lower_case: Lower-case and strip accents, as for the vocabulary (see
            `BasicTokenizer`).

        Raises:
          InputError: The file cannot serve as a vocabulary (see `load_vocab`).
        """
        super().__init__(vocab_file)
        self.basic_tokenizer = BasicTokenizer(do_lower_case=do_lower_case)
        self.wordpiece_tokenizer = WordpieceTokenizer(vocab=self.vocab)
        self.continuation_ids = frozenset(
            index for token, index in self.vocab.items() if token.startswith(CONTINUATION)
        )
        self._encoder = WordpieceEncoder(self.basic_tokenizer, self.wordpiece_tokenizer)

    def encode(self, text: str | bytes) -> Encoding:
        """Returns the tokens of `text` with their ids, offsets and units.

        Raises:
          InputError: A word is unknown, and the vocabulary has no [UNK].
        """
        text = convert_to_unicode(text)
        origins = self._origins(text)
        encoding = Encoding([], [], [], [], b"")
        units = bytearray()
        word_start = 0
        for word in self.basic_tokenizer.tokenize(text):
            start, word_start = word_start, word_start + len(word)
            ids = self.wordpiece_tokenizer.ids_of(word)
            tokens = [self.wordpiece_tokenizer.pieces[index] for index in ids]
            for position, token in enumerate(tokens):
                continues = position > 0 and token.startswith(CONTINUATION)
                length = len(token) - len(CONTINUATION) * continues
                end = start + length if len(tokens) > 1 else word_start
                encoding.starts.append(origins[start])
                encoding.ends.append(origins[end - 1] + 1)
                units.append(0 if continues else WORD_START)
                start = end
            encoding.tokens.extend(tokens)
            encoding.ids.extend(ids)
        encoding.units = bytes(units)
        self._check_known(encoding.ids)
        return encoding

    def tokenize(self, text: str | bytes) -> list[str]:
        """Returns the tokens of `text`; a word the vocabulary cannot spell is one [UNK]."""
        ids = self._encoder.encode(convert_to_unicode(text))
        return list(map(self.wordpiece_tokenizer.pieces.__getitem__, ids))

    def text_to_ids(self, text: str | bytes) -> list[int]:
        """Returns `convert_tokens_to_ids(tokenize(text))` without making the tokens.

        Raises:
          InputError: A word is unknown, and the vocabulary has no [UNK].
        """
        ids = list(self._encoder.encode(convert_to_unicode(text)))
        self._check_known(ids)
        return ids

    def tokenize_lines(self, lines: Iterable[str]) -> Iterator[TokenizedLine]:
        """Yields the ids of each line, without units: the tokens tell them."""
        for line in lines:
            yield TokenizedLine(self.text_to_ids(line), b"")

    def tokenize_blocks(self, blocks: Iterable[list[str]]) -> Iterator[TokenizedLines]:
        """Yields the ids of the lines of each block, without units: the tokens tell them."""
        for lines in blocks:
            ids, counts = self._encoder.encode_lines(lines)
            self._check_known(ids)
            yield TokenizedLines(ids, counts, b"")

    def decode(self, ids: Iterable[int]) -> str:
        """Returns the words of `ids` with blanks between them."""
        return " ".join(self.convert_ids_to_tokens(ids)).replace(f" {CONTINUATION}", "")

    def identity(self) -> dict[str, Any]:
        """Returns whether text is lower-cased."""
        return {"do_lower_case": self.basic_tokenizer.do_lower_case}

    def _check_known(self, ids: Sequence[int]) -> None:
        if UNK not in self.vocab and NO_ID in ids:
            raise InputError(
                f"The vocabulary {self.vocab_file} has no {UNK}, and the text has words that need "
                "it. Name a vocabulary made for BERT."
            )

    def _origins(self, text: str) -> list[int]:
        """Returns where each character of the basic tokens, end to end, stands in `text`.

        Lower-casing and decomposition may turn one character into several, which all come from
        it, or drop it; both work on one character at a time, up to the order of combining marks.
        """
        origins = []
        lower_case = self.basic_tokenizer.do_lower_case
        for place, char in enumerate(text):
            made = char.translate(CLEANED)
            if lower_case:
                made = unicodedata.normalize("NFD", made.lower())
                made = "".join(c for c in made if unicodedata.category(c) != "Mn")
            origins.extend([place] * len("".join(made.split())))
        return origins
