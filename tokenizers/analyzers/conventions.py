"""From Kiwi's morphemes to those of the deeq server: other endings, joins, splits and tags.

The two agree on most morphemes. Which of Kiwi's may need a change can be told from form and tag
alone (`Entry.rule`); whether and how it changes may depend on its neighbours.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import NamedTuple

# Raised whenever a rule changes, for then the same text is cut in another way.
VERSION = 1


class Piece(NamedTuple):
    """A morpheme of deeq, with the number of characters it begins after Kiwi's morpheme."""

    form: str
    tag: str
    shift: int = 0


class Edit(NamedTuple):
    """Kiwi's morphemes from `first` to `last` (included) become `pieces`.

    The pieces are shifted from the start of the first.
    """

    first: int
    last: int
    pieces: list[Piece]


class Morphemes(NamedTuple):
    """Kiwi's morphemes of one text.

    Attributes:
      forms: In compatibility jamo.
      tags: Kiwi's own.
      length_of: Gives the number of characters of the text that a morpheme takes.
    """

    forms: Sequence[str]
    tags: Sequence[str]
    length_of: Callable[[int], int]


Rule = Callable[[Morphemes, int], "Edit | None"]


class Entry(NamedTuple):
    """What becomes of a morpheme by itself, and the rule that may make more of it."""

    form: str
    tag: str
    rule: Rule | None


def entry_of(form: str, tag: str) -> Entry:
    """Returns what becomes of one of Kiwi's morphemes."""
    plain = "".join(form.split())
    if not plain:
        return Entry("", deeq_tag(form, tag), _drop)
    return Entry(plain, deeq_tag(plain, tag), _rule_for(plain, tag))


_TAGS = {
    "SSO": "SS",
    "SSC": "SS",
    "SB": "SW",
    "UN": "NA",
    "Z_CODA": "NA",
    "Z_SIOT": "NA",
    "XSM": "XSN",
    "W_URL": "SL",
    "W_EMAIL": "SL",
    "W_HASHTAG": "SL",
    "W_MENTION": "SL",
    "W_SERIAL": "SN",
    "W_EMOJI": "SW",
}
_DEMONSTRATIVES = frozenset(
    ("이", "그", "저", "요", "고", "조", "이런", "그런", "저런", "요런", "고런", "조런", "어느")
    + ("어떤", "무슨", "웬", "다른", "딴", "아무", "이딴", "그딴", "저딴", "당", "본", "해당", "타")
)
_NUMERALS = frozenset(
    ("한", "두", "세", "네", "석", "넉", "서", "너", "닷", "엿", "다섯", "여섯", "일곱", "여덟")
    + ("아홉", "열", "스무", "두어", "서너", "한두", "두세", "첫", "첫째", "둘째", "온", "모든")
    + ("여러", "몇", "몇몇", "각", "전", "총", "수", "매", "양")
)


def deeq_tag(form: str, tag: str) -> str:
    """Returns the tag that deeq has for a morpheme of Kiwi."""
    tag = tag.partition("-")[0]
    if tag == "MM":
        return "MMD" if form in _DEMONSTRATIVES else "MMN" if form in _NUMERALS else "MMA"
    return _TAGS.get(tag, tag)


def _rule_for(form: str, tag: str) -> Rule | None:
    kind = tag[0]
    if kind == "E":
        if form.endswith("요") and len(form) > 1 and form not in _WHOLE_POLITE:
            return _split_polite
        if form[0] in _ENDING_STARTS:
            return _change_ending
    elif kind == "X":
        if tag == "XR":
            return _join_root
        if tag == "XSM":
            return _join_adverb
    elif tag == "MAG" and form in _DEMONSTRATIVE_ADVERBS:
        return _split_adverb
    elif tag == "SN":
        if _NUMBER_PART.fullmatch(form) is None:
            return _split_number
    elif kind == "S" and len(form) > 1 and _is_run(form):
        return _split_run
    return None


def _drop(morphemes: Morphemes, index: int) -> Edit:
    return Edit(index, index, [])


# Endings. Kiwi keeps the form an ending has after other stems where deeq has the sounds of this
# one: 했 is 하 + 았 (Kiwi: 하 + 였), 추운 is 춥 + ㄴ (춥 + 은), 고마워 is 고맙 + 어 (고맙 + 아).
_AFTER_HA = {"여": "아", "였": "았"}
_AFTER_B = {"은": "ㄴ", "을": "ㄹ", "음": "ㅁ", "읍": "ㅂ", "으": "", "아": "어", "았": "었"}
_ENDING_STARTS = frozenset([*_AFTER_HA, *_AFTER_B])
# The two stems of which 와 is heard: 도와, 고와.
_BRIGHT_STEMS = frozenset(("돕", "곱"))
_STEM_TAGS = frozenset(("VV", "VA", "VX", "VCP", "VCN", "XSV", "XSA"))
_FINAL_B = 17


def _after_stem(ending: str, morphemes: Morphemes, index: int) -> str:
    """Returns `ending` as it is written after the stem before `index`."""
    if index == 0:
        return ending
    stem, (tag, _, irregular) = morphemes.forms[index - 1], morphemes.tags[index - 1].partition("-")
    if tag not in _STEM_TAGS:
        return ending
    first, rest = ending[0], ending[1:]
    if stem.endswith("하") and first in _AFTER_HA:
        return _AFTER_HA[first] + rest
    if irregular == "I" and _has_final_b(stem) and first in _AFTER_B:
        if first in "아았" and stem in _BRIGHT_STEMS:
            return ending
        return _AFTER_B[first] + rest
    return ending


def _change_ending(morphemes: Morphemes, index: int) -> Edit | None:
    form = morphemes.forms[index]
    changed = _after_stem(form, morphemes, index)
    if changed == form:
        return None
    tag = deeq_tag(changed, morphemes.tags[index])
    return Edit(index, index, [Piece(changed, tag)] if changed else [])


# 요 at the end of a sentence is a particle, except in these, which are endings as a whole.
_WHOLE_POLITE = frozenset(("에요", "잖아요", "지요", "죠", "요"))
_POLITE_OF_STEM = frozenset(("어요", "아요", "여요"))


def _split_polite(morphemes: Morphemes, index: int) -> Edit | None:
    form, tag = morphemes.forms[index], deeq_tag("", morphemes.tags[index])
    if form in _POLITE_OF_STEM:
        return _change_ending(morphemes, index)
    if form == "예요":
        return Edit(index, index, [Piece("에요", tag)])
    if form.endswith("세요"):
        # 세 is 시 + 어, in one syllable.
        before = _after_stem(form, morphemes, index)[:-2]
        pieces = [Piece(before + "시", "EP"), Piece("어요", tag, len(form) - 2)]
        return Edit(index, index, pieces)
    ending = _after_stem(form[:-1], morphemes, index)
    last = max(0, morphemes.length_of(index) - 1)
    return Edit(index, index, [Piece(ending, tag), Piece("요", "JX", last)])


# Roots that are no words of their own are one stem with what makes them one: 따뜻하, 자랑스럽.
_MAKERS = {"XSA": "VA", "XSV": "VV"}


def _join_root(morphemes: Morphemes, index: int) -> Edit | None:
    if index + 1 == len(morphemes.forms):
        return None
    suffix, tag = morphemes.forms[index + 1], morphemes.tags[index + 1].partition("-")[0]
    if tag not in _MAKERS or suffix not in ("하", "스럽"):
        return None
    return Edit(index, index + 1, [Piece(morphemes.forms[index] + suffix, _MAKERS[tag])])


def _join_adverb(morphemes: Morphemes, index: int) -> Edit | None:
    """Joins 명확 + 히 to 명확히."""
    if index == 0:
        return None
    return Edit(
        index - 1, index, [Piece(morphemes.forms[index - 1] + morphemes.forms[index], "MAG")]
    )


_DEMONSTRATIVE_ADVERBS = frozenset(("이렇게", "그렇게", "저렇게", "어떻게", "요렇게", "고렇게"))


def _split_adverb(morphemes: Morphemes, index: int) -> Edit:
    form = morphemes.forms[index]
    return Edit(index, index, [Piece(form[:2], "VA"), Piece(form[2:], "EC", 2)])


# Numbers, and runs of punctuation. Ellipses, and runs of what is no punctuation, such as emoji and
# ㅋㅋㅋ, stay whole.
_NUMBER_PART = re.compile("[^,.-]+")
_NUMBER_PARTS = re.compile("[,.-]|[^,.-]+")
_NUMBER_SIGNS = {",": "SP", ".": "SF", "-": "SO"}
_ELLIPSIS = re.compile(r"\.{3,}|…+|‥+")
_PUNCTUATION = frozenset(("Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk"))


def _split_number(morphemes: Morphemes, index: int) -> Edit:
    pieces = [
        Piece(match[0], _NUMBER_SIGNS.get(match[0], "SN"), match.start())
        for match in _NUMBER_PARTS.finditer(morphemes.forms[index])
    ]
    return Edit(index, index, pieces)


def _is_run(form: str) -> bool:
    if _ELLIPSIS.fullmatch(form):
        return False
    return all(unicodedata.category(char) in _PUNCTUATION for char in form)


def _split_run(morphemes: Morphemes, index: int) -> Edit:
    form = morphemes.forms[index]
    tag = deeq_tag(form, morphemes.tags[index])
    return Edit(index, index, [Piece(char, tag, place) for place, char in enumerate(form)])


def _has_final_b(stem: str) -> bool:
    place = ord(stem[-1]) - ord("가")
    return 0 <= place < 11172 and place % 28 == _FINAL_B
