"""Morphemes back to readable text: 춥 + ㄴ to 추운, 서울 + 은 to 서울은, blanks between words.

Kiwi conjugates and sets the blanks, for which it needs the part of speech of every morpheme. Tokens
do not carry it, so the likeliest parts of speech are found first: those that are common for the
form and that can stand beside each other.
"""

import functools
import math
import unicodedata
from collections.abc import Sequence
from typing import Any

_CODAS = {"ㄴ": "\u11ab", "ㄹ": "\u11af", "ㅁ": "\u11b7", "ㅂ": "\u11b8", "ㅆ": "\u11bb"}
# deeq writes 춥 + ㄴ where Kiwi has 춥 + 은.
_AFTER_B = {"ㄴ": "은", "ㄹ": "을", "ㅁ": "음"}
_B = 17  # The place of ㅂ among the 28 finals of a Hangul syllable.

_NOUNS = frozenset(("NNG", "NNP", "NNB", "NP", "NR", "XSN", "SN", "SL", "SH", "XR", "ETN"))
_STEMS = frozenset(("VV", "VA", "VX", "XSV", "XSA", "VCP", "VCN"))
_ENDINGS = frozenset(("EF", "EC", "ETM", "ETN"))
_PARTICLES = frozenset(("JKS", "JKC", "JKG", "JKO", "JKB", "JKV", "JKQ", "JX", "JC"))
_OTHERS = frozenset(("MAG", "MAJ", "MM", "IC", "XPN", "XSM"))
_CLOSED = _ENDINGS | _PARTICLES | {"EP"}
_TAGS = _NOUNS | _STEMS | _CLOSED | _OTHERS
_MAX_CLOSED_RANK = 1000
_PUNCTUATION = {
    **dict.fromkeys(".?!", "SF"),
    **dict.fromkeys(",:;/", "SP"),
    **dict.fromkeys("([{<「『《〈“‘", "SSO"),
    **dict.fromkeys(")]}>」』》〉”’", "SSC"),
}
_HARMONIC = {ord("어"): "아", ord("었"): "았"}
_NUMBER_SIGNS = frozenset(".,-:/%")

# In the unit of the logarithm of a form's rank among Kiwi's morphemes, which are in the order of
# their frequency.
_WRONG_NEIGHBOUR = 8.0
_UNUSUAL_NEIGHBOUR = 3.0


def join_morphemes(forms: Sequence[str]) -> str:
    """Returns `forms` as text; with blanks between all of them where Kiwi is not installed."""
    forms = [form for form in forms if form]
    joiner = _joiner()
    return joiner.join(forms) if joiner else " ".join(forms)


@functools.cache
def _joiner() -> "_Joiner | None":
    try:
        import kiwipiepy
    except ImportError:
        return None
    return _Joiner(kiwipiepy.Kiwi(integrate_allomorph=False, load_multi_dict=False, num_workers=-1))


class _Joiner:
    """Joins by a Kiwi, whose dictionary it reads once."""

    def __init__(self, kiwi: Any):
        self._kiwi = kiwi
        self._ranks: dict[str, dict[str, int]] = {}
        index = 0
        while True:
            try:
                morpheme = kiwi.morpheme(index)
            except ValueError:
                break
            tag = morpheme.tag.partition("-")[0]
            if tag in _TAGS:
                # Variants such as 은 beside 는 come after all that have a frequency of their own.
                rank = min(index, _MAX_CLOSED_RANK) if tag in _CLOSED else index
                self._ranks.setdefault(morpheme.form, {}).setdefault(tag, rank)
            index += 1
        self._add_harmonic_forms()

    def _add_harmonic_forms(self) -> None:
        """Adds 아, 았, 아서 ..., which Kiwi's dictionary has as 어, 었, 어서 ... only."""
        for form, ranks in list(self._ranks.items()):
            if form.startswith(("어", "었")):
                harmonic = form[0].translate(_HARMONIC) + form[1:]
                for tag in ranks.keys() & _CLOSED:
                    self._ranks.setdefault(harmonic, {}).setdefault(tag, ranks[tag])

    def join(self, forms: Sequence[str]) -> str:
        forms = _contract(forms)
        forms = [_to_kiwi(form, before) for before, form in zip(["", *forms], forms)]
        tags = self._likeliest_tags(forms)
        morphs: list[tuple] = []
        for place, (form, tag) in enumerate(zip(forms, tags)):
            if _is_inside_number(forms, place):
                morphs.append((form, tag, False))
            else:
                morphs.append((form, tag))
        return self._kiwi.join(morphs)

    def _likeliest_tags(self, forms: Sequence[str]) -> list[str]:
        """Returns the tag of each form on the cheapest path through all of them (Viterbi)."""
        costs: dict[str, float] = {"": 0.0}
        steps: list[dict[str, str]] = []
        for form in forms:
            candidates = self._ranks.get(form) or {_tag_by_script(form): 1}
            new_costs, step = {}, {}
            for tag, rank in candidates.items():
                best = min(costs, key=lambda before: costs[before] + _transition(before, tag))
                new_costs[tag] = costs[best] + _transition(best, tag) + math.log(rank + 2)
                step[tag] = best
            costs = new_costs
            steps.append(step)
        tag = min(costs, key=lambda last: costs[last] + _transition(last, ""))
        tags = []
        for step in reversed(steps):
            tags.append(tag)
            tag = step[tag]
        return tags[::-1]


def _transition(before: str, tag: str) -> float:
    """Returns how much speaks against `tag` after `before`; "" is the edge of the text."""
    after_stem = before in _STEMS or before == "EP"
    is_ending = tag in _ENDINGS or tag == "EP"
    if after_stem != is_ending:
        return _WRONG_NEIGHBOUR
    if tag in _PARTICLES:
        if before in _NOUNS or (tag == "JX" and before in ("EF", "EC")):
            return 0.0
        fits = before in _PARTICLES or before in _ENDINGS or before in ("MAG", "SSC", "SF")
        return _UNUSUAL_NEIGHBOUR if fits else _WRONG_NEIGHBOUR
    if tag in ("XSV", "XSA", "XSN", "XSM"):
        return 0.0 if before in _NOUNS else _WRONG_NEIGHBOUR
    if tag == "VCP":
        return 0.0 if before in _NOUNS else _UNUSUAL_NEIGHBOUR
    if before == "MM" and tag not in _NOUNS and tag not in ("MM", "XPN"):
        return _WRONG_NEIGHBOUR
    if tag == "IC" and before not in ("", "IC", "SF", "SP", "SSO"):
        return _UNUSUAL_NEIGHBOUR
    return _UNUSUAL_NEIGHBOUR if before == "XR" else 0.0


def _contract(forms: Sequence[str]) -> list[str]:
    """Joins 시 + 어요, which Kiwi would write 셔요, to the usual 세요."""
    contracted: list[str] = []
    for form in forms:
        if form == "어요" and contracted and contracted[-1] == "시":
            contracted[-1] = "세요"
        else:
            contracted.append(form)
    return contracted


def _to_kiwi(form: str, before: str) -> str:
    """Returns a form in the conventions of Kiwi; `before` is the form it follows."""
    coda = _CODAS.get(form[0])
    if coda is None:
        return form
    if form in _AFTER_B and before and _has_final_b(before):
        return _AFTER_B[form]
    return coda + form[1:]


def _has_final_b(form: str) -> bool:
    place = ord(form[-1]) - ord("가")
    return 0 <= place < 11172 and place % 28 == _B


def _tag_by_script(form: str) -> str:
    char = form[0]
    if char in _PUNCTUATION:
        return _PUNCTUATION[char]
    if char.isdigit():
        return "SN"
    if unicodedata.category(char)[0] in "PS":
        return "SW"
    return "SL" if char.isascii() else "NNG"


def _is_inside_number(forms: Sequence[str], place: int) -> bool:
    """Whether `forms[place]` goes on with a number, as the sign and the second half of 3.14 do."""
    if place and forms[place] in _NUMBER_SIGNS:
        return forms[place - 1].isdigit()
    return (
        place > 1
        and forms[place].isdigit()
        and forms[place - 1] in _NUMBER_SIGNS
        and forms[place - 2].isdigit()
    )
