"""BERT's tokenization one character at a time: the plainest form, to compare the fast one with.

This is how google-research/bert goes about it, so its speed stands for the original's too.
"""

import unicodedata

_IDEOGRAPHS = (
    range(0x4E00, 0xA000),
    range(0x3400, 0x4DC0),
    range(0x20000, 0x2A6E0),
    range(0x2A700, 0x2B740),
    range(0x2B740, 0x2B820),
    range(0x2B820, 0x2CEB0),
    range(0xF900, 0xFB00),
    range(0x2F800, 0x2FA20),
)


class PlainTokenizer:
    """Text to tokens by steps that each go through the text anew."""

    def __init__(self, vocab: dict[str, int], do_lower_case: bool, max_word_length: int = 200):
        self.vocab = vocab
        self.do_lower_case = do_lower_case
        self.max_word_length = max_word_length

    def tokenize(self, text: str) -> list[str]:
        """Returns the WordPiece tokens of `text`."""
        tokens = []
        for word in self.words(text):
            tokens.extend(self.pieces(word))
        return tokens

    def text_to_ids(self, text: str) -> list[int]:
        """Returns the ids of the tokens of `text`."""
        return [self.vocab[token] for token in self.tokenize(text)]

    def words(self, text: str) -> list[str]:
        """Returns the words and punctuation marks of `text`."""
        text = self._set_ideographs_apart(self._drop_control_characters(text))
        words = []
        for word in text.strip().split():
            if self.do_lower_case:
                word = self._strip_accents(word.lower())
            words.extend(self._set_punctuation_apart(word))
        return " ".join(words).split()

    def pieces(self, word: str) -> list[str]:
        """Returns the longest pieces of `word` from the left, or [UNK]."""
        chars = list(word)
        if len(chars) > self.max_word_length:
            return ["[UNK]"]
        pieces = []
        start = 0
        while start < len(chars):
            end = len(chars)
            found = None
            while start < end:
                candidate = "".join(chars[start:end])
                if start > 0:
                    candidate = "##" + candidate
                if candidate in self.vocab:
                    found = candidate
                    break
                end -= 1
            if found is None:
                return ["[UNK]"]
            pieces.append(found)
            start = end
        return pieces

    def _drop_control_characters(self, text: str) -> str:
        kept = []
        for char in text:
            number = ord(char)
            if number == 0 or number == 0xFFFD or self._is_control(char):
                continue
            kept.append(" " if self._is_whitespace(char) else char)
        return "".join(kept)

    def _set_ideographs_apart(self, text: str) -> str:
        parts = []
        for char in text:
            number = ord(char)
            if any(number in block for block in _IDEOGRAPHS):
                parts.append(" ")
                parts.append(char)
                parts.append(" ")
            else:
                parts.append(char)
        return "".join(parts)

    def _strip_accents(self, word: str) -> str:
        kept = []
        for char in unicodedata.normalize("NFD", word):
            if unicodedata.category(char) == "Mn":
                continue
            kept.append(char)
        return "".join(kept)

    def _set_punctuation_apart(self, word: str) -> list[str]:
        groups: list[list[str]] = []
        begins_word = True
        for char in list(word):
            if self._is_punctuation(char):
                groups.append([char])
                begins_word = True
            elif begins_word:
                groups.append([char])
                begins_word = False
            else:
                groups[-1].append(char)
        return ["".join(group) for group in groups]

    def _is_whitespace(self, char: str) -> bool:
        if char == " " or char == "\t" or char == "\n" or char == "\r":
            return True
        return unicodedata.category(char) == "Zs"

    def _is_control(self, char: str) -> bool:
        if char == "\t" or char == "\n" or char == "\r":
            return False
        return unicodedata.category(char) in ("Cc", "Cf")

    def _is_punctuation(self, char: str) -> bool:
        number = ord(char)
        if 33 <= number <= 47 or 58 <= number <= 64 or 91 <= number <= 96 or 123 <= number <= 126:
            return True
        return unicodedata.category(char).startswith("P")
