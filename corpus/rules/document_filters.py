"""Filters that drop whole documents: too short, not Korean, or mostly repetition."""

from collections import Counter
from collections.abc import Sequence

from deeq_bert.corpus.rules.base import DocumentFilter, Rule
from deeq_bert.corpus.rules.line_filters import check_share, share_of_hangul
from deeq_bert.corpus.rules.replacement import check_at_least, listed


def short_documents(characters: int = 200, lines: int = 1) -> DocumentFilter:
    """Drops documents with few characters or lines, for pages of the web.

    Args:
      characters: How many characters a document must have.
      lines: How many lines, that is sentences, a document must have.
    """
    check_at_least("characters", characters, 0)
    check_at_least("lines", lines, 0)

    def drops(document: Sequence[str]) -> bool:
        return len(document) < lines or sum(map(len, document)) < characters

    return drops


def document_hangul_share(least: float = 0.5) -> DocumentFilter:
    """Drops documents with little Hangul among all their characters, blanks aside.

    Args:
      least: The share a document must have; syllables and jamo (ㅋㅋ) count.
    """
    check_share("least", least)

    def drops(document: Sequence[str]) -> bool:
        return share_of_hangul(" ".join(document)) < least

    return drops


# In less text than this, anything may be frequent.
_FEWEST_LINES = 5
_FEWEST_WORDS = 50
_PHRASE = 3


def document_repetition(lines: float = 0.5, phrase: float = 0.3) -> DocumentFilter:
    """Drops documents that say the same over and over: lines, or a row of three words.

    Args:
      lines: The share of its lines, of five or more, that may have come before in it.
      phrase: The share of its words, of 50 or more, that its most frequent row of three words may
        make up.
    """
    check_share("lines", lines)
    check_share("phrase", phrase)

    def drops(document: Sequence[str]) -> bool:
        count = len(document)
        if count >= _FEWEST_LINES and count - len(set(document)) > lines * count:
            return True
        words = " ".join(document).split()
        if len(words) < _FEWEST_WORDS:
            return False
        # A row of words is no more frequent than its rarest word.
        most = phrase * len(words) / _PHRASE
        frequent = {word for word, times in Counter(words).items() if times > most}
        if not frequent:
            return False
        rows = Counter(row for row in zip(words, words[1:], words[2:]) if frequent.issuperset(row))
        return max(rows.values(), default=0) > most

    return drops


FILTERS: tuple[Rule, ...] = (
    listed(short_documents, on=False),
    listed(document_hangul_share, on=False),
    listed(document_repetition),
)
