"""MeCab with its Korean dictionary, with its output brought to the conventions of deeq."""

import importlib.metadata
import importlib.util
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from deeq_bert.tokenizers.analyzers import conventions, placement
from deeq_bert.tokenizers.analyzers.base import Analysis, Analyzer
from deeq_bert.tokenizers.errors import InputError

# Tags that Kiwi, whose tag set the conventions start from, has under another name.
_KIWI_TAGS = {"NNBC": "NNB", "SC": "SP", "SY": "SW", "UNKNOWN": "UN"}

_FINAL_CONSONANTS = "ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"
# The dictionary writes endings with conjoining jamo, and some of those that are a vowel without
# the ㅇ that goes before it.
_COMPATIBLE = {0x11A8 + place: jamo for place, jamo in enumerate(_FINAL_CONSONANTS)}
_SYLLABLES = {
    "ㅏ": "아",
    "ㅓ": "어",
    "ㅏ서": "아서",
    "ㅓ서": "어서",
    "ㅏ야": "아야",
    "ㅓ야": "어야",
}

# MeCab stops at the first, and takes no text with the others, which are halves of characters.
_UNUSABLE = {0: "\ufffd", **dict.fromkeys(range(0xD800, 0xE000), "\ufffd")}


class MecabMorpheme(NamedTuple):
    """A morpheme of MeCab, in the form of one of Kiwi's (see `conventions.KiwiMorpheme`)."""

    form: str
    tag: str
    start: int
    len: int


class MecabAnalyzer(Analyzer):
    """MeCab in this process: faster than Kiwi, and further from deeq."""

    def __init__(self) -> None:
        """Finds out whether MeCab is there, without loading it.

        Raises:
          InputError: MeCab is not installed.
        """
        if importlib.util.find_spec("mecab") is None:
            raise InputError(
                "--analyzer=mecab needs a package that is not installed. Install it with: "
                "pip install -e '.[mecab]', or choose another analyser."
            )
        self._mecab: Any = None

    def identity(self) -> dict[str, Any]:
        """Returns the versions of MeCab, its dictionary and the conventions."""
        return {
            "name": "mecab",
            "version": _version("python-mecab-ko"),
            "dictionary": _version("python-mecab-ko-dic"),
            "conventions": conventions.VERSION,
        }

    def analyze(self, texts: Iterable[str]) -> Iterator[Analysis]:
        """Yields the analysis of each text, in order (see `Analyzer.analyze`)."""
        for text in texts:
            if self._mecab is None:
                import mecab

                self._mecab = mecab.MeCab()
            yield placement.in_stretches(text, self._analyze)

    def close(self) -> None:
        """Frees the memory; another text would load MeCab again."""
        self._mecab = None

    def _analyze(self, text: str) -> Analysis:
        morphemes: list[MecabMorpheme] = []
        for found in self._mecab.parse(text.translate(_UNUSABLE)):
            morphemes += _take_apart(found)
        forms, tags, edits = [], [], []
        for index, morpheme in enumerate(morphemes):
            form, tag, rule = conventions.entry_of(morpheme.form, morpheme.tag)
            forms.append(form)
            tags.append(tag)
            edit = rule(morphemes, index) if rule else None
            if edit is not None:
                edits.append(edit)
        starts = [morpheme.start for morpheme in morphemes]
        placement.apply(edits, forms, tags, starts)
        return placement.place(text, forms, tags, starts)


def _take_apart(found: Any) -> Iterator[MecabMorpheme]:
    """Yields the morphemes that one of MeCab's was contracted from, or that one.

    Those of a compound, which has one tag, stay together.
    """
    start, surface, feature = found.span.start, found.surface, found.feature
    if "+" not in feature.pos or not feature.expression:
        tag = _KIWI_TAGS.get(feature.pos, feature.pos)
        yield MecabMorpheme(surface, tag, start, len(surface))
        return
    place = 0
    for part in feature.expression.split("+"):
        form, tag = part.split("/")[:2]
        form = form.translate(_COMPATIBLE)
        form = _SYLLABLES.get(form, form)
        first = min(place, len(surface) - 1)
        place = _end_of(form, surface, place)
        tag = _KIWI_TAGS.get(tag, tag)
        yield MecabMorpheme(form, tag, start + first, max(1, place - first))


def _end_of(form: str, surface: str, place: int) -> int:
    """Returns where in `surface` a form ends whose characters begin with the same sounds."""
    for one, other in zip(form, surface[place:]):
        if one != other and _first_sound(one) != _first_sound(other):
            break
        place += 1
    return place


def _first_sound(character: str) -> int:
    """Returns the number of the first consonant of a syllable, and others below zero."""
    place = ord(character) - ord("가")
    return place // 588 if 0 <= place < 11172 else -ord(character)


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
