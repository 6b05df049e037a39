"""Where tokens stand in a text: from an answer to its tokens, and from tokens to an answer.

There are two ways. Words are the original's: tokens are known by the word between blanks that they
come from, and heuristics trim the words to the answer. Characters are those that the tokenizer
reports, so that every answer is a stretch of the text, also one that ends before a particle.
"""

import abc
import bisect
import functools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from deeq_bert.bert.squad_examples import Answer
from deeq_bert.tokenizers.base import Tokenizer
from deeq_bert.tokenizers.full_tokenizer import FullTokenizer
from deeq_bert.tokenizers.processes import map_in_processes
from deeq_bert.tokenizers.wordpiece import CONTINUATION, BasicTokenizer

PLACEMENTS = ("words", "characters")

# What the original takes for blanks; str.split knows more.
_BLANKS = " \t\r\n\u202f"
_WORD = re.compile(f"[^{_BLANKS}]+")
# Analysers and their servers take texts line by line; to every tokenizer these are white space.
_LINE_ENDS = str.maketrans("\r\n", "  ")


class PlacedContext(abc.ABC):
    """The tokens of a text, each with its place.

    Attributes:
      ids: Those of the tokens.
      no_answer: What the answer is where no tokens are left to make one of.
    """

    ids: list[int]
    no_answer: str

    @abc.abstractmethod
    def answer_tokens(self, answer: Answer) -> tuple[int, int] | None:
        """Returns the first and the last token of an answer; None where the text lacks it."""

    @abc.abstractmethod
    def answer_text(self, first: int, last: int) -> str:
        """Returns the text of the tokens from `first` to `last`, both included."""


class Paragraph(NamedTuple):
    """A text, and questions about it in a row."""

    context: str
    questions: list[str]


class PlacedParagraph(NamedTuple):
    """The tokens of a text, and the ids of the tokens of each question about it."""

    context: PlacedContext
    questions: list[Sequence[int]]


# Cuts paragraphs into tokens, in their order.
Placement = Callable[[Iterable[Paragraph]], Iterator[PlacedParagraph]]


def place_by_words(
    tokenizer: FullTokenizer, paragraphs: Iterable[Paragraph]
) -> Iterator[PlacedParagraph]:
    """Yields the tokens of each paragraph, placed by words."""
    for paragraph in paragraphs:
        yield _place(WordContext, tokenizer, paragraph)


def place_by_characters(
    tokenizer: Tokenizer, paragraphs: Iterable[Paragraph]
) -> Iterator[PlacedParagraph]:
    """Yields the tokens of each paragraph, placed by characters."""
    for paragraph in paragraphs:
        yield _place(CharacterContext, tokenizer, paragraph)


def place_in_processes(
    make_tokenizer: Callable[[], Tokenizer], num_workers: int, paragraphs: Iterable[Paragraph]
) -> Iterator[PlacedParagraph]:
    """Yields the tokens of each paragraph, placed by characters, as cut by several processes.

    Args:
      make_tokenizer: Called in each process; a function of a module, or a partial of one.
      num_workers: How many processes.
      paragraphs: Read lazily.
    """
    cut = functools.partial(_place, CharacterContext)
    return map_in_processes(cut, make_tokenizer, paragraphs, num_workers)


def _place(
    make_context: Callable[[Tokenizer, str], PlacedContext],
    tokenizer: Tokenizer,
    paragraph: Paragraph,
) -> PlacedParagraph:
    questions = tokenizer.tokenize_lines(
        question.translate(_LINE_ENDS) for question in paragraph.questions
    )
    return PlacedParagraph(
        make_context(tokenizer, paragraph.context), [line.ids for line in questions]
    )


class CharacterContext(PlacedContext):
    """Tokens with the offsets that the tokenizer reports."""

    no_answer = ""

    def __init__(self, tokenizer: Tokenizer, text: str):
        """Cuts `text` into tokens."""
        encoding = tokenizer.encode(text.translate(_LINE_ENDS))
        self.ids = encoding.ids
        self._text = text
        self._starts = encoding.starts
        self._ends = encoding.ends

    def answer_tokens(self, answer: Answer) -> tuple[int, int] | None:
        """Returns the first and the last token that share a character with the answer."""
        end = answer.start + len(answer.text)
        if not answer.text or answer.start < 0 or self._text[answer.start : end] != answer.text:
            return None
        sharing = [
            token
            for token, (token_start, token_end) in enumerate(zip(self._starts, self._ends))
            if token_start < end and token_end > answer.start
        ]
        return (sharing[0], sharing[-1]) if sharing else None

    def answer_text(self, first: int, last: int) -> str:
        """Returns the stretch of the text that the tokens come from."""
        # The morphemes of a contracted syllable share it, in an order that is the analyser's.
        start = min(self._starts[first : last + 1])
        end = max(self._ends[first : last + 1])
        return self._text[start:end]


class WordContext(PlacedContext):
    """Tokens of WordPiece with the word that each comes from, as in the original."""

    no_answer = "empty"

    def __init__(self, tokenizer: FullTokenizer, text: str):
        """Cuts `text` into words, and these into tokens."""
        matches = list(_WORD.finditer(text))
        self.words = [match[0] for match in matches]
        self._word_starts = [match.start() for match in matches]
        self._size = len(text)
        self._tokenizer = tokenizer
        self.ids = []
        # The word of each token, and the first token of each word.
        self.word_of: list[int] = []
        self._first_tokens: list[int] = []
        for index, word in enumerate(self.words):
            self._first_tokens.append(len(self.ids))
            self.ids += tokenizer.text_to_ids(word)
            self.word_of += [index] * (len(self.ids) - len(self.word_of))
        self._tokens = tokenizer.convert_ids_to_tokens(self.ids)

    def answer_tokens(self, answer: Answer) -> tuple[int, int] | None:
        """Returns the tokens of the answer's words, trimmed to those of the answer if they are it.

        (The last part of `read_squad_examples` and `_improve_answer_span` of the original.)
        """
        end = answer.start + len(answer.text)
        if not answer.text or answer.start < 0 or end > self._size:
            return None
        first_word, last_word = self._word_at(answer.start), self._word_at(end - 1)
        words = " ".join(self.words[first_word : last_word + 1])
        if first_word < 0 or " ".join(answer.text.split()) not in words:
            return None
        first = self._first_tokens[first_word]
        last = len(self.ids) - 1
        if last_word < len(self.words) - 1:
            last = self._first_tokens[last_word + 1] - 1
        wanted = self._tokenizer.tokenize(answer.text)
        for new_first in range(first, last + 2 - len(wanted) if wanted else first):
            if self._tokens[new_first : new_first + len(wanted)] == wanted:
                return new_first, new_first + len(wanted) - 1
        return first, last

    def answer_text(self, first: int, last: int) -> str:
        """Returns the words of the tokens, trimmed to these as well as can be told."""
        words = self.words[self.word_of[first] : self.word_of[last] + 1]
        joined = " ".join(self._tokens[first : last + 1])
        joined = joined.replace(f" {CONTINUATION}", "").replace(CONTINUATION, "")
        return get_final_text(
            " ".join(joined.split()), " ".join(words), self._tokenizer.basic_tokenizer
        )

    def _word_at(self, place: int) -> int:
        """Returns the word at a character, or before it if that is a blank; -1 if there is none."""
        return bisect.bisect_right(self._word_starts, place) - 1


def get_final_text(pred_text: str, orig_text: str, basic_tokenizer: BasicTokenizer) -> str:
    """Finds in the words of a text what tokens made of them say (the original's of that name).

    Args:
      pred_text: The tokens, joined to words with blanks between them.
      orig_text: The words of the text that they come from, which may begin before them and end
        after them.
      basic_tokenizer: What the tokens were made with.

    Returns:
      The part of `orig_text`; all of it where the part cannot be told.
    """
    tokenized = " ".join(basic_tokenizer.tokenize(orig_text))
    start = tokenized.find(pred_text)
    if start < 0:
        return orig_text
    end = start + len(pred_text) - 1
    # Tokenizing puts blanks in, and may change characters but hardly their number: without blanks
    # both texts are aligned.
    tokenized_places = [place for place, char in enumerate(tokenized) if char != " "]
    original_places = [place for place, char in enumerate(orig_text) if char != " "]
    if len(tokenized_places) != len(original_places):
        return orig_text
    aligned = dict(zip(tokenized_places, original_places))
    if start not in aligned or end not in aligned:
        return orig_text
    return orig_text[aligned[start] : aligned[end] + 1]
