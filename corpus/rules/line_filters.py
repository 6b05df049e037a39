"""Filters that drop lines: sentences too short or too long, not Korean, or no sentences at all."""

import re
from collections import Counter
from collections.abc import Set as AbstractSet

from deeq_bert.corpus.rules.base import LineFilter, Rule
from deeq_bert.corpus.rules.replacement import check_at_least, listed
from deeq_bert.corpus.rules.stop_lists import stop_lines, stop_patterns
from deeq_bert.tokenizers.errors import InputError

_HANGUL = re.compile("[가-힣ㄱ-ㆎ\u1100-\u11ff\ua960-\ua97c\ud7b0-\ud7fb]+")
_NOT_WORD = re.compile(r"[\W_]+")
_LETTER = re.compile(r"[^\W\d_]")


def check_share(name: str, value: float) -> None:
    """Raises InputError if the option `name` is not a number from 0 to 1."""
    if not 0 <= value <= 1:
        raise InputError(f"{name} is {value!r}; it must be a number from 0 to 1")


def share_of_hangul(text: str, only_common: bool = False) -> float:
    """Returns the share of Hangul, syllables and jamo, among the characters other than blanks.

    Args:
      text: A line.
      only_common: Whether it has nothing but printable ASCII and syllables; then it goes faster.
    """
    size = len(text) - text.count(" ")
    if size == 0:
        return 0.0
    if only_common:
        # A syllable takes three bytes in UTF-8, a character of ASCII one.
        return (len(text.encode()) - len(text)) / 2 / size
    return sum(map(len, _HANGUL.findall(text))) / size


def no_letters() -> LineFilter:
    """Drops lines without a single letter: page numbers, dates, rows of marks."""

    def drops(line: str, uncommon: AbstractSet[str]) -> bool:
        return not _LETTER.search(line)

    return drops


# What a line of code ends or begins with, and what stands within one.
_CODE_END = re.compile(r"[A-Za-z0-9_)\]}\"'>];$|[{}]$|\)[:,]$|[\[(,]$|^[}\])]+[;,]?$")
_CODE_WORDS = (
    "import|from|def|class|return|public|private|protected|static|const|let|var|fn|use|impl|package"
    "|namespace|using|struct|void|elif|else|#include|#define|sudo|pip|npm|git|SELECT|INSERT|CREATE"
)
_CODE_START = re.compile(
    rf"(?:{_CODE_WORDS}) ?[A-Za-z0-9_<>*&.:'\"({{\[@~/=$-]"
    r"|>>>|\.\.\.|[$%>]|//|/\*|#!|@[a-z]|</?[a-z]"
)
_CODE_INSIDE = re.compile(
    r"[A-Za-z_]\((?![가-힣])|=>|->|::|[!=<>+*/-]=|&&|\|\||[A-Za-z0-9_)\]] = |[a-z][A-Z]"
    r"|[a-z]_[a-z]|</[a-z]|\\[a-z]|[A-Za-z0-9_]\[|\$[a-z{]|[A-Za-z0-9)\]];|[{}]"
)
_LATIN = re.compile("[A-Za-z]")
# Prose on code ends in Hangul and has some more of it.
_PROSE_END = re.compile("[가-힣][.,!?:]?$")
_MOST_HANGUL, _MOST_HANGUL_OF_PROSE = 0.4, 0.15


def code_lines() -> LineFilter:
    """Drops lines that look like code, for text from blogs and manuals.

    Such a line has three marks of code, where ending or beginning as code does counts as two, and
    is less than 40 % Hangul; less than 15 % if it ends in Hangul, so that a sentence about code
    stays.
    """

    def drops(line: str, uncommon: AbstractSet[str]) -> bool:
        signs = _CODE_INSIDE.findall(line)
        edges = bool(_CODE_END.search(line)) + bool(_CODE_START.match(line))
        if len(signs) + 2 * edges < 3:
            return False
        most = _MOST_HANGUL_OF_PROSE if _PROSE_END.search(line[-2:]) else _MOST_HANGUL
        return share_of_hangul(line) < most and _LATIN.search(line) is not None

    return drops


def hangul_share(least: float = 0.25) -> LineFilter:
    """Drops lines with little Hangul among their letters and digits.

    Punctuation does not count against a line: "응?..." is Korean.

    Args:
      least: The share a line must have; syllables and jamo (ㅋㅋ) count.
    """
    check_share("least", least)

    def drops(line: str, uncommon: AbstractSet[str]) -> bool:
        # Cheap, and enough for nearly all lines: among all characters the share is lower.
        if share_of_hangul(line, not uncommon) >= least:
            return False
        words = _NOT_WORD.sub("", line)
        return share_of_hangul(words) < least

    return drops


def long_lines(characters: int = 2_000) -> LineFilter:
    """Drops lines so long that no sentence was found in them.

    Args:
      characters: How long a line may be.
    """
    check_at_least("characters", characters, 1)

    def drops(line: str, uncommon: AbstractSet[str]) -> bool:
        return len(line) > characters

    return drops


_REPEATED_WORDS = 6


def repeated_words(most: float = 0.6) -> LineFilter:
    """Drops lines of six words or more that are one word for the most part.

    Single characters, as in ㅋ ㅋ ㅋ or . . ., are no such word.

    Args:
      most: The share of its words that one word may make up.
    """
    check_share("most", most)

    def drops(line: str, uncommon: AbstractSet[str]) -> bool:
        # Most lines are too short, and the others have many different words.
        if line.count(" ") < _REPEATED_WORDS - 1:
            return False
        words = line.split()
        if len(words) < _REPEATED_WORDS or len(set(words)) > (1 - most) * len(words) + 1:
            return False
        word, times = Counter(words).most_common(1)[0]
        return times > most * len(words) and len(word) > 1

    return drops


def short_lines(words: int = 3, characters: int = 0) -> LineFilter:
    """Drops lines of few words: those of one or two, unless told otherwise.

    Args:
      words: How many words, with blanks between, a line must have.
      characters: How many characters a line must have.
    """
    check_at_least("words", words, 0)
    check_at_least("characters", characters, 0)

    def drops(line: str, uncommon: AbstractSet[str]) -> bool:
        return len(line) < characters or len(line.split(None, words)) < words

    return drops


_FINAL = re.compile("[.!?…。！？](?:[\"'”’)\\]」』》〉])*$")


def final_punctuation() -> LineFilter:
    """Drops lines that do not end in . ! ? or …, quotation marks and brackets behind them aside.

    For news and books; it destroys comments and dialogues.
    """

    def drops(line: str, uncommon: AbstractSet[str]) -> bool:
        return line[-1:] != "." and not _FINAL.search(line[-10:])

    return drops


FILTERS: tuple[Rule, ...] = (
    listed(stop_lines, on=False),
    listed(stop_patterns, on=False),
    listed(no_letters),
    listed(code_lines, on=False),
    listed(hangul_share),
    listed(long_lines),
    listed(repeated_words),
    listed(short_lines),
    listed(final_punctuation, on=False),
)
