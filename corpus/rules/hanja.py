"""Rules on hanja: as glosses in brackets, and as abbreviations of newspapers."""

import re
from collections.abc import Set as AbstractSet

from deeq_bert.corpus.rules.base import TextRule
from deeq_bert.corpus.rules.replacement import check_action, unchanged

HANJA = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u3005\u3007\U00020000-\U0003ffff"

# Hanja that newspapers write in Hangul text, with the reading.
READINGS = dict(
    zip(
        "前現故新舊元全各最再初反非無未超脫親對訪駐發産製式的性化率圈派側權法説說論力罪"
        "韓美日中北南東西英獨佛蘇濠印亞歐臺越泰與野黨靑檢警軍政官民市郡道邑面里洞國社株銀"
        "證車票戰核選總長大小高低多有男父母子妻夫兄弟甲乙丙先後內外間上下左右時月人者代生"
        "弗等第次共等及號物品用家會員校院愛",
        "전현고신구원전각최재초반비무미초탈친대방주발산제식적성화율권파측권법설설론력죄"
        "한미일중북남동서영독불소호인아구대월태여야당청검경군정관민시군도읍면리동국사주은"
        "증차표전핵선총장대소고저다유남부모자처부형제갑을병선후내외간상하좌우시월인자대생"
        "불등제차공등급호물품용가회원교원애",
        strict=True,
    )
)
# Those that are read in another way at the beginning of a word.
_READINGS_WITHIN = {"女": "녀", "年": "년", "來": "래"}
_READINGS_AT_START = {"女": "여", "年": "연", "來": "내", "率": "율", "論": "논", "力": "역"}

_BRACKETS = ("()", "（）", "[]", "〔〕")
_LANGUAGE = (
    "(?:한자|한문|중국어|간체자?|번체자?|정체자?|일본어|한국어|영어|중국어 간체자?|중국어 정체자?)"
)
_MAYBE_IN_BRACKETS = re.compile(f"[(（\\[〔] ?(?:[가-힣 ]{{2,12}}: ?)?[{HANJA}]")
_DAYS = frozenset("月火水木金土日")
_RUN = re.compile(f"[{HANJA}]+")


def hanja_in_brackets(mixed: bool = False) -> TextRule:
    """Drops hanja in brackets that tell how the word before is written: 대한민국(大韓民國).

    A single hanja goes only where the word before is one syllable or is its reading, 도(道):
    이명박 (前) 대통령, 17일(月), 삼성전자(株) and 눈물(上) say something of their own.

    Args:
      mixed: Also drop brackets that begin with hanja, or a language and hanja, and go on with
        something else, such as (일본어: 昭和, 1926년~1989년).
    """
    word = "[가-힣A-Za-z0-9%」』’”'\"》〉]"
    several = f"[{HANJA}](?:[ ·,ㆍ・‧/~-]{{0,2}}[{HANJA}]){{1,40}}"
    rest = "[^()（）\\[\\]〔〕\n]{0,100}"
    label = f"{_LANGUAGE}: ?[{HANJA}]"
    patterns = []
    for opening, closing in (map(re.escape, pair) for pair in _BRACKETS):
        patterns.append(f"(?<={word}) ?{opening} ?{several} ?{closing}")
        patterns.append(f"(?<=[가-힣]) ?{opening}[{HANJA}]{closing}")
        if mixed:
            start = f"{label}|[{HANJA}]{{2}}|[{HANJA}] ?[,·;:]"
            patterns.append(f"(?<={word}) ?{opening} ?(?:{start}){rest}{closing}")
    found = re.compile("|".join(patterns))

    def gloss(match: re.Match) -> str:
        piece = match[0]
        single = piece.strip()
        if len(single) != 3:
            return ""
        text, start, character = match.string, match.start(), single[1]
        before = text[start - 1]
        earlier = text[start - 2] if start > 1 else " "
        if character in _DAYS and before == "일":
            return piece
        if before in _readings(character):
            return ""
        if character in READINGS or "가" <= earlier <= "힣" or earlier.isdigit():
            return piece
        return ""

    def rule(text: str, uncommon: AbstractSet[str]) -> str:
        if not uncommon or not _RUN.search("".join(uncommon)):
            return text
        if not _MAYBE_IN_BRACKETS.search(text):
            return text
        return found.sub(gloss, text)

    return rule


def _readings(character: str) -> tuple[str, ...]:
    tables = (READINGS, _READINGS_WITHIN, _READINGS_AT_START)
    return tuple(table[character] for table in tables if character in table)


def lone_hanja(action: str = "keep") -> TextRule:
    """Keeps hanja that stand in Hangul text, or writes those newspapers use in Hangul.

    韓美 becomes 한미, 前 대통령 전 대통령. A row with a hanja that is not one of some 150 stays
    whole, so Chinese and Japanese do. Hanja are never dropped: that would change the sense.

    Args:
      action: "keep" or "map".
    """
    check_action(action, "keep", "map")
    if action == "keep":
        return unchanged
    within = READINGS | _READINGS_WITHIN
    at_start = within | _READINGS_AT_START

    def reading(match: re.Match) -> str:
        row, text = match[0], match.string
        start, end = match.span()
        # A row with the reading behind it, 共(공), would be a word with itself behind it.
        has_reading = text.startswith("(", end) and "가" <= text[end + 1 : end + 2] <= "힣"
        if has_reading or not within.keys() >= set(row):
            return row
        follows = start > 0 and text[start - 1].isalnum()
        first = (within if follows else at_start)[row[0]]
        return first + "".join(within[character] for character in row[1:])

    def rule(text: str, uncommon: AbstractSet[str]) -> str:
        if not uncommon or not _RUN.search("".join(uncommon)):
            return text
        return _RUN.sub(reading, text)

    return rule
