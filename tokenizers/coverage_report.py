"""How well a vocabulary covers text it was not made from, and what it leaves out."""

import dataclasses
import heapq
from collections.abc import Iterable

from deeq_bert.tokenizers.base import Tokenizer
from deeq_bert.tokenizers.vocabulary import UNK
from deeq_bert.tokenizers.wordpiece import CONTINUATION


@dataclasses.dataclass
class Coverage:
    """What a tokenizer makes of some lines.

    Attributes:
      lines: How many there are.
      eojeols: How many stretches between whitespace they have.
      tokens: How many tokens they become.
      unknown: How many of these are [UNK].
      single_characters: How many are a character, at the start of a word or within.
    """

    lines: int = 0
    eojeols: int = 0
    tokens: int = 0
    unknown: int = 0
    single_characters: int = 0

    @property
    def unknown_share(self) -> float:
        """The share of tokens that are [UNK]."""
        return self.unknown / max(1, self.tokens)

    @property
    def single_character_share(self) -> float:
        """The share of tokens that are a single character, punctuation marks among them."""
        return self.single_characters / max(1, self.tokens)

    @property
    def tokens_per_eojeol(self) -> float:
        """How many tokens a stretch between whitespace becomes."""
        return self.tokens / max(1, self.eojeols)


def measure_coverage(tokenizer: Tokenizer, lines: Iterable[str]) -> Coverage:
    """Returns what `tokenizer` makes of `lines`."""
    lines = list(lines)
    single_ids = {index for token, index in tokenizer.vocab.items() if _is_single(token)}
    unknown_id = tokenizer.vocab[UNK]
    coverage = Coverage(lines=len(lines), eojeols=sum(len(line.split()) for line in lines))
    for tokenized in tokenizer.tokenize_lines(lines):
        coverage.tokens += len(tokenized.ids)
        for index in tokenized.ids:
            coverage.unknown += index == unknown_id
            coverage.single_characters += index in single_ids
    return coverage


def most_frequent_left_out(
    counts: Iterable[tuple[str, int]], tokens: Iterable[str], number: int
) -> list[tuple[str, int]]:
    """Returns words of two or more characters that are no tokens, the most frequent first.

    Args:
      counts: Words with their counts.
      tokens: The vocabulary.
      number: How many words are returned at most.
    """
    known = set(tokens)
    missing = ((-count, word) for word, count in counts if len(word) > 1 and word not in known)
    return [(word, -count) for count, word in heapq.nsmallest(number, missing)]


def _is_single(token: str) -> bool:
    return len(token) == 1 or (token.startswith(CONTINUATION) and len(token) == 3)
