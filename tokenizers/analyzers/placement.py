"""Where the morphemes of an analysis stand, so that they cover the eojeols of the text."""

import array
import itertools
import operator
import re
from collections.abc import Callable, Iterator, Sequence

from deeq_bert.tokenizers.analyzers.base import Analysis
from deeq_bert.tokenizers.analyzers.conventions import Edit

# The time and memory analysers take grow with the length of a text, some with its square, and a
# longer line is hardly a sentence.
MAX_CHARACTERS = 4096

_EOJEOL = re.compile(r"\S+")
_BLANK = re.compile(r"\s")


def apply(edits: Sequence[Edit], forms: list[str], tags: list[str], starts: list[int]) -> None:
    """Carries out `edits`, which are in the order of their places and do not overlap."""
    for first, last, pieces in reversed(edits):
        if first == last and len(pieces) == 1:
            forms[first], tags[first], _ = pieces[0]
            continue
        start = starts[first]
        forms[first : last + 1] = [piece.form for piece in pieces]
        tags[first : last + 1] = [piece.tag for piece in pieces]
        starts[first : last + 1] = [start + piece.shift for piece in pieces]


def place(text: str, forms: list[str], tags: list[str], starts: list[int]) -> Analysis:
    """Gives the morphemes their ends, and finds those that begin an eojeol.

    Each reaches to the next that starts further on, or to the end of its eojeol.
    """
    eojeols = text.split()
    # The ends of the eojeols, if one character stands between each two.
    lengths = itertools.accumulate(map(len, eojeols))
    word_ends = list(map(operator.add, lengths, itertools.count()))
    places = None
    if word_ends and word_ends[-1] == len(text):
        word_begins = [0, *map((1).__add__, word_ends[:-1])]
        places = _first_places(starts, word_begins, word_ends)
    if places is None:
        spans = [match.span() for match in _EOJEOL.finditer(text)]
        word_begins, word_ends = [begin for begin, _ in spans], [end for _, end in spans]
        starts = _fit(text, spans, forms, tags, starts)
        places = _first_places(starts, word_begins, word_ends)
    word_starts = bytearray(len(starts))
    for first in map(places.__getitem__, word_begins):
        word_starts[first] = 1
    bounds = sorted([*places, *word_ends])
    ends = list(map(dict(zip(bounds, bounds[1:])).__getitem__, starts))
    return Analysis(forms, tags, starts, ends, bytes(word_starts))


def _first_places(
    starts: list[int], word_begins: list[int], word_ends: list[int]
) -> dict[int, int] | None:
    """Returns the index of the first morpheme at each start, or None where starts do not fit.

    They fit if they ascend, each eojeol has one at its beginning, and none is between eojeols,
    which are a single character apart, so that it would be at an end.
    """
    places = dict(zip(reversed(starts), range(len(starts) - 1, -1, -1)))
    fit = (
        sorted(starts) == starts
        and places.keys().isdisjoint(word_ends)
        and all(map(places.__contains__, word_begins))
    )
    return places if fit else None


def _fit(
    text: str,
    spans: list[tuple[int, int]],
    forms: list[str],
    tags: list[str],
    starts: list[int],
) -> list[int]:
    """Fits morphemes whose places do not agree with the whitespace of the text to its eojeols.

    Every eojeol gets the morphemes that start in it, moved into ascending order; one without any
    becomes a morpheme by itself.

    Returns:
      The starts; `forms` and `tags` are changed in place.
    """
    new_forms, new_tags, new_starts = [], [], []
    index = 0
    for (start, end), following in zip(spans, [*spans[1:], (len(text) + 1, 0)]):
        position = start
        begins = True
        while index < len(forms) and starts[index] < following[0]:
            # The first covers the eojeol from its start on.
            position = start if begins else min(max(position, starts[index]), end - 1)
            new_forms.append(forms[index])
            new_tags.append(tags[index])
            new_starts.append(position)
            begins = False
            index += 1
        if begins:
            new_forms.append(text[start:end])
            new_tags.append("NA")
            new_starts.append(start)
    forms[:], tags[:] = new_forms, new_tags
    return new_starts


def in_stretches(text: str, analyze: Callable[[str], Analysis]) -> Analysis:
    """Returns the analysis of `text` by `analyze`, which never gets a very long one.

    Such a text is analysed in stretches that end at whitespace where there is any.
    """
    if len(text) <= MAX_CHARACTERS:
        return analyze(text)
    # Plain lists of a million offsets would take more memory than the analyser does.
    starts, ends = array.array("I"), array.array("I")
    forms: list[str] = []
    tags: list[str] = []
    word_starts = bytearray()
    for start, stretch in _stretches(text):
        part = analyze(stretch)
        part_word_starts = bytearray(part.word_starts)
        if start and not text[start - 1].isspace():
            # An eojeol that goes on.
            part_word_starts[:1] = b"\0"
        forms += part.forms
        tags += part.tags
        starts.extend(place + start for place in part.starts)
        ends.extend(place + start for place in part.ends)
        word_starts += part_word_starts
    return Analysis(forms, tags, starts, ends, bytes(word_starts))


def _stretches(text: str) -> Iterator[tuple[int, str]]:
    start = 0
    while start < len(text):
        end = start + MAX_CHARACTERS
        if end < len(text):
            blanks = [match.end() for match in _BLANK.finditer(text, start, end)]
            end = blanks[-1] if blanks else end
        stretch = text[start:end].rstrip()
        if stretch:
            yield start, stretch
        start = end
