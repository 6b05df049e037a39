"""Rules on characters: entities, invisible ones, forms of Hangul, blanks, quotation marks."""

import html
import html.entities
import re
import unicodedata
from collections.abc import Set as AbstractSet

from deeq_bert.corpus.rules.base import Rule, TextRule
from deeq_bert.corpus.rules.emoji import (
    AS_PICTURE,
    JOINER,
    PICTURES,
    SYMBOLS,
    TAGS,
    emoji,
    expand,
)
from deeq_bert.corpus.rules.hanja import hanja_in_brackets, lone_hanja
from deeq_bert.corpus.rules.replacement import listed

_ENTITY = re.compile("&(?:amp;)?(#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
# The short ones of HTML 5 look like text; those of HTML 4 are in use.
_NAMES = {
    name[:-1]: meaning
    for name, meaning in html.entities.html5.items()
    if name.endswith(";") and (len(name) > 4 or name[:-1] in html.entities.name2codepoint)
}
_SOFT_HYPHEN = "\xad"
_BREAKS = frozenset("\t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\u2028\u2029")


def html_entities() -> TextRule:
    """Turns HTML entities into their characters, those escaped twice too.

    Only what ends in ";" and has a known name is one: AT&T and R&D; stay. &shy; joins the two
    parts of a word, and an entity for a line break becomes a blank.
    """

    def character(match: re.Match) -> str:
        name = match[1]
        meaning = html.unescape(f"&{name};") if name[0] == "#" else _NAMES.get(name, f"&{name};")
        if meaning == _SOFT_HYPHEN:
            return ""
        return " " if meaning in _BREAKS else meaning

    def rule(text: str, uncommon: AbstractSet[str]) -> str:
        if "&" not in text or ";" not in text:
            return text
        return _ENTITY.sub(character, text)

    return rule


_LOST_CHARACTERS = (
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufff9-\ufffb\ufffd-\uffff"
)
_SEPARATING_CHARACTERS = (
    "\r\x0b\x0c\x1c-\x1f\x85\ue000-\uf8ff\U000f0000-\U000ffffd\U00100000-\U0010fffd"
)
_LOST = re.compile(f"[{_LOST_CHARACTERS}]+")
_SEPARATING = re.compile(f"[{_SEPARATING_CHARACTERS}]+")
_LOST_OR_SEPARATING = re.compile(f"[{_LOST_CHARACTERS}{_SEPARATING_CHARACTERS}]")


def control_characters() -> TextRule:
    """Drops control characters, U+FFFD and lone surrogates; those that part words become blanks.

    Tabs stay for the rule on blanks. Characters of private use become blanks: in newspapers they
    stand for middle dots and bullets, and without them the words around would be one.
    """

    def rule(text: str, uncommon: AbstractSet[str]) -> str:
        if not uncommon or not _LOST_OR_SEPARATING.search("".join(uncommon)):
            return text
        return _SEPARATING.sub(" ", _LOST.sub("", text))

    return rule


def _changed_by_nfc() -> tuple[frozenset[str], str]:
    """The characters that can make a text differ from its NFC, and the marks among them."""
    planes = (range(0x80, 0x3400), range(0xA000, 0xAC00), range(0xD7A4, 0xD800))
    planes += (range(0xF900, 0xFF00), range(0x10000, 0x1F000), range(0x2F800, 0x2FA20))
    changed, marks = set("\u0340"), []
    for plane in planes:
        for character in map(chr, plane):
            if unicodedata.combining(character):
                marks.append(character)
            if (
                unicodedata.category(character)[0] == "M"
                or "\u1100" <= character <= "\u11ff"
                or not unicodedata.is_normalized("NFC", character)
            ):
                changed.add(character)
    return frozenset(changed), "".join(marks)


_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_FULL_WIDTH_CHARACTERS = frozenset(map(chr, _FULL_WIDTH))
_MOST_MARKS = 30


def nfc(full_width_ascii: bool = False) -> TextRule:
    """Composes characters that are written in parts (NFC), such as Hangul from file names of macOS.

    Not NFKC, which changes ㎡, ①, … and … the jamo of ㅋㅋㅋ. More than 30 combining marks on one
    character are cut to 30.

    Args:
      full_width_ascii: Also turn full-width letters, digits and marks, ＡＢＣ１２３！, into ASCII.
    """
    changed, marks = _changed_by_nfc()
    # A long row of marks takes normalization a time that grows with its square.
    row = re.compile(f"([{marks}]{{{_MOST_MARKS}}})[{marks}]+")

    def rule(text: str, uncommon: AbstractSet[str]) -> str:
        if not uncommon.isdisjoint(changed):
            text = unicodedata.normalize("NFC", row.sub(r"\1", text))
        if full_width_ascii and not uncommon.isdisjoint(_FULL_WIDTH_CHARACTERS):
            text = text.translate(_FULL_WIDTH)
        return text

    return rule


_INITIALS = "\u1100-\u115e\ua960-\ua97c"
_VOWELS = "\u1161-\u11a7\ud7b0-\ud7c6"
_FINALS = "\u11a8-\u11ff\ud7cb-\ud7fb"
_HALF_WIDTH = "\uffa1-\uffbe\uffc2-\uffc7\uffca-\uffcf\uffd2-\uffd7\uffda-\uffdc"
_FILLER = "\u3164"
_LONE_JAMO = re.compile(
    f"[{_INITIALS}](?![{_VOWELS}])|(?<![{_INITIALS}])[{_VOWELS}][{_FINALS}]*"
    f"|(?<![{_VOWELS}가-힣])[{_FINALS}]|[{_HALF_WIDTH}]"
)
_LETTERS_INITIAL = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
_LETTERS_VOWEL = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
_LETTERS_FINAL = _FILLER + "ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"
_SPELLED = re.compile(f"{_FILLER}([{_LETTERS_INITIAL}])([{_LETTERS_VOWEL}])([{_LETTERS_FINAL}])")


def _letters_of_jamo() -> dict[str, str]:
    """The letter that shows each conjoining or half-width jamo by itself, where there is one."""
    letters = {}
    for jamo in expand(_INITIALS + _VOWELS + _FINALS + _HALF_WIDTH):
        name = unicodedata.name(jamo, "").replace("HALFWIDTH ", "")
        for part in ("CHOSEONG", "JUNGSEONG", "JONGSEONG"):
            name = name.replace(part, "LETTER")
        try:
            letters[jamo] = unicodedata.lookup(name)
        except KeyError:
            continue
    letters["\u11a2"] = "…"
    return letters


def conjoining_jamo() -> TextRule:
    """Turns jamo that are meant for composing, but stand alone, into letters: U+110F into ㅋ.

    U+11A2, two dots one above the other, is typed as an ellipsis and becomes one; U+119E becomes
    ㆍ. Dropping them would lose text. Syllables of old Hangul stay. A syllable spelled as KS X 1001
    does, a filler and three letters, is composed.
    """
    letters = _letters_of_jamo()
    jamo = frozenset(letters) | {_FILLER}

    def letter(match: re.Match) -> str:
        return "".join(letters.get(character, character) for character in match[0])

    def syllable(match: re.Match) -> str:
        initial = _LETTERS_INITIAL.index(match[1])
        vowel = _LETTERS_VOWEL.index(match[2])
        return chr(0xAC00 + (initial * 21 + vowel) * 28 + _LETTERS_FINAL.index(match[3]))

    def rule(text: str, uncommon: AbstractSet[str]) -> str:
        if uncommon.isdisjoint(jamo):
            return text
        if _FILLER in text:
            text = _SPELLED.sub(syllable, text)
        return _LONE_JAMO.sub(letter, text)

    return rule


_INVISIBLE = (
    "\xad\u034f\u061c\u115f\u1160\u180b-\u180e\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u206f"
    "\ufe00-\ufe0e\ufeff\U000e0001\U000e0100-\U000e01ef"
)
_WIDE_FILLERS = "\u2800\u3164\uffa0"
_ANY_INVISIBLE = expand(_INVISIBLE + _WIDE_FILLERS + AS_PICTURE + JOINER + TAGS)
_DROPPED_INVISIBLE = re.compile(
    f"[{_INVISIBLE}]+|(?<![0-9#*{PICTURES}{SYMBOLS}]){AS_PICTURE}"
    f"|(?<![{PICTURES}{SYMBOLS}{AS_PICTURE}]){JOINER}|{JOINER}(?![{PICTURES}{SYMBOLS}])"
    f"|(?<![\U0001f3f4{TAGS}])[{TAGS}]+"
)
_WIDE_FILLER = re.compile(f"[{_WIDE_FILLERS}]+")


def zero_width() -> TextRule:
    """Drops invisible characters, such as zero-width blanks, soft hyphens and byte order marks.

    Marks of direction, variation selectors and Hangul fillers go too. Fillers that are shown as a
    blank become one. What holds an emoji together stays.
    """

    def rule(text: str, uncommon: AbstractSet[str]) -> str:
        if uncommon.isdisjoint(_ANY_INVISIBLE):
            return text
        return _WIDE_FILLER.sub(" ", _DROPPED_INVISIBLE.sub("", text))

    return rule


_ODD_BLANKS = (
    "\t\x0b\x0c\r\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
)
_ANY_ODD_BLANK = expand(_ODD_BLANKS)
_ODD_BLANK = re.compile(f"[{_ODD_BLANKS}]+")
_BLANKS = re.compile("  +")


def spaces() -> TextRule:
    """Makes every run of blanks, tabs and other white space one blank, and none at a line's ends.

    Lines stay lines: only "\\n" parts them, and U+2028 or a carriage return becomes a blank.
    """

    def rule(text: str, uncommon: AbstractSet[str]) -> str:
        if not uncommon.isdisjoint(_ANY_ODD_BLANK):
            text = _ODD_BLANK.sub(" ", text)
        if "  " in text:
            text = _BLANKS.sub(" ", text)
        if " \n" in text:
            text = text.replace(" \n", "\n")
        if "\n " in text:
            text = text.replace("\n ", "\n")
        return text.strip(" ")

    return rule


_QUOTES = dict.fromkeys("“”„‟〝〞『』«»＂", '"') | dict.fromkeys("‘’‚‛「」‹›＇´", "'")
_ANY_QUOTE = frozenset(_QUOTES)


def quotes() -> TextRule:
    """Turns “ ” „ « » 『 』 into " and ‘ ’ ‹ › 「 」 into '.

    《 》 and 〈 〉 stay, since they mark titles.
    """

    def rule(text: str, uncommon: AbstractSet[str]) -> str:
        if uncommon.isdisjoint(_ANY_QUOTE):
            return text
        for mark in uncommon & _ANY_QUOTE:
            text = text.replace(mark, _QUOTES[mark])
        return text

    return rule


RULES: tuple[Rule, ...] = (
    listed(html_entities),
    listed(control_characters),
    listed(nfc),
    listed(conjoining_jamo),
    listed(zero_width),
    listed(spaces),
    listed(emoji),
    listed(hanja_in_brackets),
    listed(lone_hanja),
    listed(quotes, on=False),
)
