"""The embedded analyser: Kiwi, with its output brought to the conventions of deeq."""

import importlib.metadata
import importlib.util
import operator
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from deeq_bert.tokenizers.analyzers import conventions
from deeq_bert.tokenizers.analyzers.base import Analysis, Analyzer
from deeq_bert.tokenizers.errors import InputError

# Kiwi's time and memory for a text grow with its length, and a longer line is hardly a sentence.
_MAX_CHARACTERS = 4096
# What Kiwi gives for words it does not know is without end.
_MAX_REMEMBERED = 200_000

_form = operator.attrgetter("form")
_tag = operator.attrgetter("tag")
_start = operator.attrgetter("start")
_EOJEOL = re.compile(r"\S+")


class KiwiAnalyzer(Analyzer):
    """Kiwi in this process.

    It is loaded for the first text, which takes seconds and a third of a gigabyte, and again after
    a fork: a Kiwi cannot be used in a forked child.
    """

    def __init__(self, user_words: Sequence[str] = ()):
        """Finds out whether Kiwi is there, without loading it.

        Args:
          user_words: Nouns that are not taken apart.

        Raises:
          InputError: Kiwi is not installed.
        """
        if importlib.util.find_spec("kiwipiepy") is None:
            raise InputError(
                "Morphemes are found by Kiwi where no server is named, and it is not installed. "
                "Install it with: pip install -e '.[deeq]', or give --deeq_server."
            )
        self._user_words = tuple(user_words)
        self._kiwi: Any = None
        self._process = 0
        self._entries = _Entries()

    def identity(self) -> dict[str, Any]:
        """Returns the versions of Kiwi, its model and the conventions, and the user words."""
        user_words = {"user_words": list(self._user_words)} if self._user_words else {}
        return {
            "name": "kiwi",
            "version": _version("kiwipiepy"),
            "model": _version("kiwipiepy_model"),
            "conventions": conventions.VERSION,
            **user_words,
        }

    def analyze(self, texts: Iterable[str]) -> Iterator[Analysis]:
        """Yields the analysis of each text, in order (see `Analyzer.analyze`)."""
        for text in texts:
            if self._process != os.getpid():
                self._load()
            if len(text) <= _MAX_CHARACTERS:
                yield self._analyze(text)
            else:
                yield self._analyze_long(text)

    def close(self) -> None:
        """Frees the memory; another text would load Kiwi again."""
        self._kiwi, self._process = None, 0

    def _load(self) -> None:
        import kiwipiepy

        # A single thread; integrated allomorphs would make 었 of 았.
        self._kiwi = kiwipiepy.Kiwi(
            integrate_allomorph=False, load_multi_dict=False, num_workers=-1
        )
        for word in self._user_words:
            self._kiwi.add_user_word(word, "NNP")
        self._process = os.getpid()

    def _analyze(self, text: str) -> Analysis:
        # No other options: they join 었 to stems, and find addresses by patterns of their own.
        found = self._kiwi.tokenize(text, match_options=0, compatible_jamo=True)
        kiwi_forms, kiwi_tags = list(map(_form, found)), list(map(_tag, found))
        entries = list(map(self._entries.__getitem__, zip(kiwi_forms, kiwi_tags)))
        starts = list(map(_start, found))
        forms, tags = [entry[0] for entry in entries], [entry[1] for entry in entries]
        flagged = [(index, entry[2]) for index, entry in enumerate(entries) if entry[2]]
        if flagged:
            morphemes = conventions.Morphemes(kiwi_forms, kiwi_tags, lambda i: found[i].len)
            _apply([rule(morphemes, index) for index, rule in flagged], forms, tags, starts)
        return _place(text, forms, tags, starts)

    def _analyze_long(self, text: str) -> Analysis:
        """Analyses a text in stretches, cut at whitespace where there is any."""
        whole = Analysis([], [], [], [], b"")
        word_starts = bytearray()
        for start, stretch in _stretches(text):
            part = self._analyze(stretch)
            part_word_starts = bytearray(part.word_starts)
            if start and not text[start - 1].isspace():
                # An eojeol that goes on.
                part_word_starts[:1] = b"\0"
            whole.forms += part.forms
            whole.tags += part.tags
            whole.starts += [place + start for place in part.starts]
            whole.ends += [place + start for place in part.ends]
            word_starts += part_word_starts
        whole.word_starts = bytes(word_starts)
        return whole


class _Entries(dict[tuple[str, str], conventions.Entry]):
    """What becomes of Kiwi's morphemes, by form and tag, found out when they are first met."""

    def __missing__(self, key: tuple[str, str]) -> conventions.Entry:
        entry = conventions.entry_of(*key)
        if len(self) < _MAX_REMEMBERED:
            self[key] = entry
        return entry


def _apply(
    edits: Sequence[conventions.Edit | None],
    forms: list[str],
    tags: list[str],
    starts: list[int],
) -> None:
    """Carries out `edits`, which are in the order of their places and do not overlap."""
    for edit in reversed(edits):
        if edit is None:
            continue
        first, last, pieces = edit
        if first == last and len(pieces) == 1:
            forms[first], tags[first], _ = pieces[0]
            continue
        start = starts[first]
        forms[first : last + 1] = [piece.form for piece in pieces]
        tags[first : last + 1] = [piece.tag for piece in pieces]
        starts[first : last + 1] = [start + piece.shift for piece in pieces]


def _place(text: str, forms: list[str], tags: list[str], starts: list[int]) -> Analysis:
    """Gives the morphemes their ends, and finds those that begin an eojeol.

    Each reaches to the next that starts further on, or to the end of its eojeol.
    """
    spans = [match.span() for match in _EOJEOL.finditer(text)]
    word_starts = bytearray(map({start for start, _ in spans}.__contains__, starts))
    following = starts[1:]
    for index, same in enumerate(map(operator.eq, starts, following), start=1):
        if same:
            word_starts[index] = 0
    firsts = [index for index, begins in enumerate(word_starts) if begins]
    if len(firsts) != len(spans) or any(map(operator.gt, starts, following)):
        starts, word_starts = _fit(text, spans, forms, tags, starts)
        firsts = [index for index, begins in enumerate(word_starts) if begins]
    ends = starts[1:]
    ends.append(0)
    # The last morpheme before the next eojeol, or of all (-1), reaches to the end of its eojeol.
    for first, (_, end) in zip([*firsts[1:], 0], spans):
        ends[first - 1] = end
    if any(map(operator.le, ends, starts)):
        for index in range(len(ends) - 2, -1, -1):
            if ends[index] <= starts[index]:
                ends[index] = ends[index + 1]
    return Analysis(forms, tags, starts, ends, bytes(word_starts))


def _fit(
    text: str,
    spans: list[tuple[int, int]],
    forms: list[str],
    tags: list[str],
    starts: list[int],
) -> tuple[list[int], bytearray]:
    """Fits morphemes whose places do not agree with the whitespace of the text to its eojeols.

    Every eojeol gets the morphemes that start in it, moved into ascending order; one without any
    becomes a morpheme by itself.

    Returns:
      The starts, and what begins an eojeol; `forms` and `tags` are changed in place.
    """
    new_forms, new_tags, new_starts, word_starts = [], [], [], bytearray()
    index = 0
    for (start, end), following in zip(spans, [*spans[1:], (len(text) + 1, 0)]):
        place = start
        begins = True
        while index < len(forms) and starts[index] < following[0]:
            # The first covers the eojeol from its start on.
            place = start if begins else min(max(place, starts[index]), end - 1)
            new_forms.append(forms[index])
            new_tags.append(tags[index])
            new_starts.append(place)
            word_starts.append(begins)
            begins = False
            index += 1
        if begins:
            new_forms.append(text[start:end])
            new_tags.append("NA")
            new_starts.append(start)
            word_starts.append(1)
    forms[:], tags[:] = new_forms, new_tags
    return new_starts, word_starts


def _stretches(text: str) -> Iterator[tuple[int, str]]:
    start = 0
    while start < len(text):
        end = start + _MAX_CHARACTERS
        if end < len(text):
            blanks = [match.end() for match in re.finditer(r"\s", text[start:end])]
            end = start + blanks[-1] if blanks else end
        stretch = text[start:end]
        if not stretch.isspace():
            yield start, stretch
        start = end


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
