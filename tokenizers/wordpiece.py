"""WordPiece as BERT uses it: text to words, words to the longest pieces of a vocabulary.

Behaves as `BasicTokenizer` and `WordpieceTokenizer` of google-research/bert do, for every input.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping

from deeq_bert.tokenizers.characters import (
    CLEANED,
    CLEANED_AND_SPLIT,
    STRIPPED_AND_SPLIT,
    convert_to_unicode,
)

CONTINUATION = "##"

# Stands for the id of an unknown word where the vocabulary has no token for it.
NO_ID = -1

# Whitespace for str.split, control characters for BERT: they vanish, and what stands around them
# is one word.
VANISHING_WHITESPACE = re.compile("[\x0b\x0c\x1c-\x1f\x85]")


def split_at_whitespace(text: str) -> list[str]:
    """Splits text into the parts whose tokens do not depend on one another.

    The tokens of a text are those of its parts in turn: all that the tokenizers here do to a
    character depends at most on its neighbours up to the next whitespace.
    """
    # None of the characters looked for is printable, and most lines are printable throughout.
    if not text.isprintable():
        text = VANISHING_WHITESPACE.sub("", text)
    return text.split()


class BasicTokenizer:
    """Splits text into words and punctuation marks, as the original's class of that name."""

    def __init__(self, do_lower_case: bool = True):
        """Makes a tokenizer.

        Args:
          do_lower_case: Lower-case the text and strip accents. The latter takes Hangul syllables
            apart, so it suits only a vocabulary made in the same way.
        """
        self.do_lower_case = do_lower_case

    def tokenize(self, text: str | bytes) -> list[str]:
        """Returns the words, ideographs and punctuation marks of `text`, none of them empty."""
        text = convert_to_unicode(text)
        if not self.do_lower_case:
            return text.translate(CLEANED_AND_SPLIT).split()
        text = unicodedata.normalize("NFD", text.translate(CLEANED).lower())
        return text.translate(STRIPPED_AND_SPLIT).split()


class WordpieceTokenizer:
    """Splits words into vocabulary entries, the longest first, as the original's class.

    Attributes:
      vocab: The id of each piece.
      unk_token: Stands for a word that cannot be made of pieces.
      max_input_chars_per_word: A longer word is unknown.
      pieces: The piece of each id that `ids_of` can give.
    """

    def __init__(
        self,
        vocab: Mapping[str, int],
        unk_token: str = "[UNK]",
        max_input_chars_per_word: int = 200,
    ):
        """Makes a tokenizer.

        Args:
          vocab: The id of each piece, all of them different; pieces that go on with a word begin
            with "##". It may lack `unk_token`.
          unk_token: Stands for a word that cannot be made of pieces.
          max_input_chars_per_word: A longer word is unknown.
        """
        self.vocab = vocab
        self.unk_token = unk_token
        self.max_input_chars_per_word = max_input_chars_per_word
        self._unknown_id = vocab.get(unk_token, NO_ID)
        self.pieces = {index: piece for piece, index in vocab.items()}
        self.pieces[self._unknown_id] = unk_token
        self._later_pieces = {
            piece[len(CONTINUATION) :]: index
            for piece, index in vocab.items()
            if piece.startswith(CONTINUATION)
        }
        self._longest_first = longest_by_start(self.vocab)
        self._longest_later = longest_by_start(self._later_pieces)

    def tokenize(self, text: str | bytes) -> list[str]:
        """Returns the pieces of the words in `text`, which whitespace separates.

        Args:
          text: Words as `BasicTokenizer.tokenize` gives them, for instance one of them.
        """
        words = convert_to_unicode(text).split()
        return [self.pieces[index] for word in words for index in self.ids_of(word)]

    def ids_of(self, word: str) -> tuple[int, ...]:
        """Returns the ids of the pieces of one word: from the left, the longest that fits.

        A word that cannot be made of pieces has the id of `unk_token` alone, NO_ID where the
        vocabulary lacks that.
        """
        size = len(word)
        if size > self.max_input_chars_per_word:
            return (self._unknown_id,)
        ids: list[int] = []
        known, longest = self.vocab, self._longest_first
        start = 0
        while start < size:
            end = start + longest.get(word[start : start + 2], 1)
            if end > size:
                end = size
            while (index := known.get(word[start:end])) is None:
                end -= 1
                if end == start:
                    return (self._unknown_id,)
            ids.append(index)
            start = end
            known, longest = self._later_pieces, self._longest_later
        return tuple(ids)


def longest_by_start(pieces: Iterable[str]) -> dict[str, int]:
    """Returns the length of the longest of `pieces`, of those over 1, by its first two characters.

    What a look-up of the longest piece at some place can start with.
    """
    # With two characters known, few lengths remain to be tried; a pair that is not there starts
    # no piece but its first character.
    longest: dict[str, int] = {}
    for piece in pieces:
        if len(piece) > 1:
            longest[piece[:2]] = max(longest.get(piece[:2], 0), len(piece))
    return longest


class RecentResults(dict[str, tuple[int, ...]]):
    """What a function makes of strings, remembered for those that were asked for lately.

    Ask by key: `results[string]`. When this dictionary is full, it becomes the earlier generation
    in place of the one before, and what is asked for again moves back. That loses little of what
    matters and costs less than keeping the order of use.
    """

    # Longer strings rarely come twice, and would make the memory unbounded.
    MAX_LENGTH = 32

    def __init__(self, function: Callable[[str], tuple[int, ...]], max_entries: int):
        """Makes an empty memory of `function`, which holds at most twice `max_entries` results."""
        super().__init__()
        self._function = function
        self._max_entries = max_entries
        self._earlier: dict[str, tuple[int, ...]] = {}

    def __reduce__(self) -> tuple:
        """A copy in another process begins with nothing remembered."""
        return type(self), (self._function, self._max_entries)

    def __missing__(self, key: str) -> tuple[int, ...]:
        result = self._earlier.get(key)
        if result is None:
            result = self._function(key)
            if len(key) > self.MAX_LENGTH:
                return result
        if len(self) >= self._max_entries:
            self._earlier = dict(self)
            self.clear()
        self[key] = result
        return result
