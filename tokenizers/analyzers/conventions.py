"""From Kiwi's morphemes to those of the deeq server: other endings, joins, splits and tags.

The two agree on most morphemes. Which of Kiwi's may need a change can be told from form and tag
alone, so `entry_of` says it once for each; whether and how it changes depends on its neighbours,
which the rule of the entry looks at. The rules stand below in the order in which `_rule_for` asks
for them, and no two of them change the same morpheme.
"""

import functools
import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

# Raised whenever a rule changes, for then the same text is cut in another way.
VERSION = 1


class KiwiMorpheme(Protocol):
    """One of Kiwi's morphemes.

    Attributes:
      form: What it is, with endings in compatibility jamo.
      tag: Its part of speech, in Kiwi's tag set.
      start: Where it begins in the text.
      len: How many characters of the text it takes.
    """

    form: str
    tag: str
    start: int
    len: int


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


Rule = Callable[[Sequence[KiwiMorpheme], int], Edit | None]


class Entry(NamedTuple):
    """What becomes of a morpheme by itself, and the rule that may make more of it."""

    form: str
    tag: str
    rule: Rule | None


# Words that Kiwi does not know are without end.
@functools.lru_cache(maxsize=20_000)
def entry_of(form: str, tag: str) -> Entry:
    """Returns what becomes of one of Kiwi's morphemes."""
    form = "".join(form.translate(_COMPATIBLE_VOWELS).split())
    return Entry(form, deeq_tag(form, tag), _rule_for(form, tag))


# Of the conjoining jamo that stand alone in a text, Kiwi makes only consonants compatible.
_COMPATIBLE_VOWELS = {0x1161 + place: 0x314F + place for place in range(21)}


def _rule_for(form: str, tag: str) -> Rule | None:
    kind = tag[0]
    if not form:
        return _drop
    if kind == "E":
        return _rule_for_ending(form)
    if tag[-2:] == "-I" and _has_final_b(form):
        return _change_ending_after_b
    if form in _THINGS:
        return _shorten_thing
    if tag == "XR":
        return _join_root
    if tag == "XSM":
        return _join_adverb
    if tag == "MAG" and form in _DEMONSTRATIVE_ADVERBS:
        return _split_adverb
    if tag == "SN" and _NUMBER_PART.fullmatch(form) is None:
        return _split_number
    if tag == "SB" and len(form) > 1:
        return _split_label
    if kind == "S" and len(form) > 1 and _is_punctuation(form):
        return _split_run
    return None


def _rule_for_ending(form: str) -> Rule | None:
    if form[-1] == "요" and form not in _WHOLE_POLITE:
        return _split_polite
    if form[0] in _AFTER_HA:
        return _change_ending_after_ha
    if form.endswith(_WITH_PARTICLE):
        return _split_particle
    return None


# Tags. Kiwi marks irregular stems, tells brackets from one another, and has tags for what stands
# in for a word; deeq divides the determiners.
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
    + ("어떤", "무슨", "웬", "다른", "딴", "아무", "이딴", "그딴", "저딴", "본", "해당", "타", "각")
    + ("전", "현")
)
_NUMERALS = frozenset(
    ("한", "두", "세", "네", "석", "넉", "서", "너", "닷", "엿", "다섯", "여섯", "일곱", "여덟")
    + ("아홉", "열", "스무", "두어", "서너", "한두", "두세", "첫", "첫째", "둘째", "온", "모든")
    + ("여러", "몇", "몇몇", "수", "양")
)


def deeq_tag(form: str, tag: str) -> str:
    """Returns the tag that deeq has for a morpheme of Kiwi."""
    tag = tag.partition("-")[0]
    if tag == "MM":
        return "MMD" if form in _DEMONSTRATIVES else "MMN" if form in _NUMERALS else "MMA"
    return _TAGS.get(tag, tag)


# Empty morphemes say nothing.
def _drop(morphemes: Sequence[KiwiMorpheme], index: int) -> Edit:
    return Edit(index, index, [])


# 요 at the end is a particle, except in these, which are endings as a whole. 세요 is 시 + 어요.
_WHOLE_POLITE = frozenset(("에요", "잖아요", "지요", "죠", "요"))
_POLITE_OF_STEM = frozenset(("어요", "아요", "여요"))


def _split_polite(morphemes: Sequence[KiwiMorpheme], index: int) -> Edit | None:
    form, tag = morphemes[index].form, deeq_tag("", morphemes[index].tag)
    if form in _POLITE_OF_STEM:
        ending = _after_stem(form, morphemes, index)
        return None if ending == form else Edit(index, index, [Piece(ending, tag)])
    if form == "예요":
        return Edit(index, index, [Piece("에요", tag)])
    if form.endswith("세요"):
        # 세 is 시 + 어, in one syllable.
        before = _after_stem(form, morphemes, index)[:-2]
        pieces = [Piece(before + "시", "EP"), Piece("어요", tag, len(form) - 2)]
        return Edit(index, index, pieces)
    ending = _after_stem(form[:-1], morphemes, index)
    last = max(0, morphemes[index].len - 1)
    return Edit(index, index, [Piece(ending, tag), Piece("요", "JX", last)])


# Endings. Kiwi keeps the form an ending has after other stems where deeq has the sounds of this
# one: 했 is 하 + 았 (Kiwi: 하 + 였), 친구여서 is 이 + 어서 (이 + 여서), 추운 is 춥 + ㄴ
# (춥 + 은), 고마워 is 고맙 + 어 (고맙 + 아).
_AFTER_HA = {"여": "아", "였": "았"}
_AFTER_COPULA = {"여": "어", "였": "었"}
_AFTER_B = {"은": "ㄴ", "을": "ㄹ", "음": "ㅁ", "읍": "ㅂ", "으": "", "아": "어", "았": "었"}
# The two stems of which 와 is heard: 도와, 고와.
_BRIGHT_STEMS = frozenset(("돕", "곱"))
_STEM_TAGS = frozenset(("VV", "VA", "VX", "VCP", "VCN", "XSV", "XSA"))


def _after_stem(ending: str, morphemes: Sequence[KiwiMorpheme], index: int) -> str:
    """Returns `ending` as it is written after the stem before `index`."""
    if index == 0:
        return ending
    stem, (tag, _, irregular) = morphemes[index - 1].form, morphemes[index - 1].tag.partition("-")
    if tag not in _STEM_TAGS:
        return ending
    first, rest = ending[0], ending[1:]
    if stem.endswith("하") and first in _AFTER_HA:
        return _AFTER_HA[first] + rest
    if tag == "VCP" and first in _AFTER_COPULA:
        return _AFTER_COPULA[first] + rest
    if irregular == "I" and _has_final_b(stem) and first in _AFTER_B:
        if first in "아았" and stem in _BRIGHT_STEMS:
            return ending
        return _AFTER_B[first] + rest
    return ending


def _change_ending_after_ha(morphemes: Sequence[KiwiMorpheme], index: int) -> Edit | None:
    form = morphemes[index].form
    ending = _after_stem(form, morphemes, index)
    if ending == form:
        return None
    return Edit(index, index, [Piece(ending, deeq_tag("", morphemes[index].tag))])


def _change_ending_after_b(morphemes: Sequence[KiwiMorpheme], index: int) -> Edit | None:
    """Changes the ending after the stem at `index`: such stems are rarer than the endings."""
    following = index + 1
    if following == len(morphemes) or morphemes[following].tag[0] != "E":
        return None
    form = morphemes[following].form
    if _rule_for_ending(form) is not None:
        return None
    ending = _after_stem(form, morphemes, following)
    if ending == form:
        return None
    tag = deeq_tag("", morphemes[following].tag)
    return Edit(following, following, [Piece(ending, tag)] if ending else [])


# Particles that Kiwi's dictionary has as part of an ending: 하면은 is 하 + 면 + 은. Only these:
# ㅂ니다마는 and 더라도 are endings for deeq too.
_WITH_PARTICLE = ("면은", "고는", "고도", "데도", "니다만")


def _split_particle(morphemes: Sequence[KiwiMorpheme], index: int) -> Edit:
    form, tag = morphemes[index].form, deeq_tag("", morphemes[index].tag)
    ending = _after_stem(form[:-1], morphemes, index)
    last = max(0, morphemes[index].len - 1)
    return Edit(index, index, [Piece(ending, tag), Piece(form[-1], "JX", last)])


# Where 것이 has become 게, deeq writes 거 + 이.
_THINGS = {"것": "거", "이것": "이거", "그것": "그거", "저것": "저거", "요것": "요거"}


def _shorten_thing(morphemes: Sequence[KiwiMorpheme], index: int) -> Edit | None:
    following = index + 1
    if following == len(morphemes) or morphemes[following].form != "이":
        return None
    thing = morphemes[index]
    if morphemes[following].start >= thing.start + thing.len:
        return None
    return Edit(index, index, [Piece(_THINGS[thing.form], deeq_tag("", thing.tag))])


# Roots that are no words of their own are one stem with what makes them one: 따뜻하, 자랑스럽.
_MAKERS = {"XSA": "VA", "XSV": "VV"}


def _join_root(morphemes: Sequence[KiwiMorpheme], index: int) -> Edit | None:
    if index + 1 == len(morphemes):
        return None
    root, suffix = morphemes[index], morphemes[index + 1]
    tag = suffix.tag.partition("-")[0]
    if tag not in _MAKERS or suffix.form not in ("하", "스럽"):
        return None
    return Edit(index, index + 1, [Piece(root.form + suffix.form, _MAKERS[tag])])


def _join_adverb(morphemes: Sequence[KiwiMorpheme], index: int) -> Edit | None:
    """Joins 명확 + 히 to 명확히."""
    if index == 0:
        return None
    before = morphemes[index - 1]
    return Edit(index - 1, index, [Piece(before.form + morphemes[index].form, "MAG")])


# These are 이렇 + 게, a stem with its ending.
_DEMONSTRATIVE_ADVERBS = frozenset(("이렇게", "그렇게", "저렇게", "어떻게", "요렇게", "고렇게"))


def _split_adverb(morphemes: Sequence[KiwiMorpheme], index: int) -> Edit:
    form = morphemes[index].form
    return Edit(index, index, [Piece(form[:2], "VA"), Piece(form[2:], "EC", 2)])


# Numbers, and runs of punctuation. Ellipses, and runs of what is no punctuation, such as emoji and
# ㅋㅋㅋ, stay whole.
_NUMBER_PART = re.compile("[^,.-]+")
_NUMBER_PARTS = re.compile("[,.-]|[^,.-]+")
_NUMBER_SIGNS = {",": "SP", ".": "SF", "-": "SO"}
_ELLIPSIS = re.compile(r"\.{3,}|…+|‥+")
_PUNCTUATION = frozenset(("Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk"))


def _split_number(morphemes: Sequence[KiwiMorpheme], index: int) -> Edit:
    pieces = [
        Piece(match[0], _NUMBER_SIGNS.get(match[0], "SN"), match.start())
        for match in _NUMBER_PARTS.finditer(morphemes[index].form)
    ]
    return Edit(index, index, pieces)


# The number of an item of a list is a number and punctuation: 1. 가) (3).
_LABEL_PARTS = re.compile(r"\w+|\S")
_LABEL_SIGNS = {".": "SF", ",": "SP", "-": "SO", **dict.fromkeys("()[]<>", "SS")}


def _split_label(morphemes: Sequence[KiwiMorpheme], index: int) -> Edit:
    pieces = []
    for match in _LABEL_PARTS.finditer(morphemes[index].form):
        tag = "SN" if match[0].isdigit() else _LABEL_SIGNS.get(match[0], "SW")
        pieces.append(Piece(match[0], tag, match.start()))
    return Edit(index, index, pieces)


def _is_punctuation(form: str) -> bool:
    if _ELLIPSIS.fullmatch(form):
        return False
    return all(unicodedata.category(char) in _PUNCTUATION for char in form)


def _split_run(morphemes: Sequence[KiwiMorpheme], index: int) -> Edit:
    form = morphemes[index].form
    tag = deeq_tag(form, morphemes[index].tag)
    # Kiwi has some control characters in runs that are whitespace here.
    pieces = [Piece(char, tag, place) for place, char in enumerate(form) if not char.isspace()]
    return Edit(index, index, pieces)


_FINAL_B = 17


def _has_final_b(stem: str) -> bool:
    place = ord(stem[-1]) - ord("가")
    return 0 <= place < 11172 and place % 28 == _FINAL_B
