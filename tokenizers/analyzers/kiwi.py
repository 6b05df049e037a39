"""The embedded analyser: Kiwi, with its output brought to the conventions of deeq."""

import importlib.metadata
import importlib.util
import itertools
import operator
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from deeq_bert.tokenizers.analyzers import conventions, placement
from deeq_bert.tokenizers.analyzers.base import Analysis, Analyzer
from deeq_bert.tokenizers.errors import InputError

# Kiwi has one number for the forms of an ending that varies with the vowel before.
_VARYING_ENDINGS = frozenset("아어여았었였앗엇엿")

# Kiwis of the process that this one was forked from. Freeing one hangs, or ends this process.
_INHERITED: list[Any] = []

_id = operator.attrgetter("id")
_start = operator.attrgetter("start")
_SURROGATE = re.compile("[\ud800-\udfff]")


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
          InputError: Kiwi is not installed, or a word cannot be a morpheme.
        """
        if importlib.util.find_spec("kiwipiepy") is None:
            raise InputError(
                "Morphemes are found by Kiwi where no server is named, and it is not installed. "
                "Install it with: pip install -e '.[deeq]', or give --deeq_server."
            )
        self._user_words = tuple(user_words)
        for word in self._user_words:
            if word.split() != [word]:
                raise InputError(
                    f"The user word {word!r} is empty or has a blank in it, and a morpheme does "
                    "not. Give words without blanks."
                )
        self._process = 0
        self._forget()

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
            yield placement.in_stretches(text, self._analyze)

    def close(self) -> None:
        """Frees the memory; another text would load Kiwi again."""
        self._forget()

    def __reduce__(self) -> tuple:
        """A copy in another process loads its own Kiwi."""
        return type(self), (self._user_words,)

    def _forget(self) -> None:
        if self._process not in (0, os.getpid()):
            _INHERITED.append(self._kiwi)
        self._kiwi: Any = None
        self._process = 0
        # What becomes of Kiwi's morphemes, by their numbers. Those that may need more than the
        # form and tag remembered are in `_rules`, with None where the form has to be looked at.
        self._forms: dict[int, str] = {}
        self._tags: dict[int, str] = {}
        self._rules: dict[int, conventions.Rule | None] = {}

    def _load(self) -> None:
        import kiwipiepy

        self._forget()
        # A single thread; integrated allomorphs would make 었 of 았.
        self._kiwi = kiwipiepy.Kiwi(
            integrate_allomorph=False, load_multi_dict=False, num_workers=-1
        )
        for word in self._user_words:
            self._kiwi.add_user_word(word, "NNP")
        self._process = os.getpid()

    def _analyze(self, text: str) -> Analysis:
        try:
            return self._convert(text)
        except UnicodeError:
            # Half of a surrogate pair, which is no character.
            return self._convert(_SURROGATE.sub("\ufffd", text))

    def _convert(self, text: str) -> Analysis:
        found = self._tokenize(text)
        numbers = list(map(_id, found))
        try:
            forms = list(map(self._forms.__getitem__, numbers))
        except KeyError:
            self._learn(found)
            forms = list(map(self._forms.__getitem__, numbers))
        tags = list(map(self._tags.__getitem__, numbers))
        starts = list(map(_start, found))
        edits = []
        special = map(self._rules.__contains__, numbers)
        for index in itertools.compress(range(len(numbers)), special):
            rule = self._rules[numbers[index]]
            if rule is None:
                morpheme = found[index]
                entry = conventions.entry_of(morpheme.form, morpheme.tag)
                forms[index], tags[index], rule = entry
                if rule is None:
                    continue
            edit = rule(found, index)
            if edit is not None:
                edits.append(edit)
        if edits:
            placement.apply(edits, forms, tags, starts)
        return placement.place(text, forms, tags, starts)

    def _tokenize(self, text: str) -> list[Any]:
        # No other options: they join 었 to stems, and find addresses by patterns of their own.
        return self._kiwi.tokenize(text, match_options=0, compatible_jamo=True)

    def _learn(self, found: Iterable[Any]) -> None:
        """Remembers what becomes of the morphemes found."""
        for morpheme in found:
            number = morpheme.id
            form, tag, rule = conventions.entry_of(morpheme.form, morpheme.tag)
            self._forms[number], self._tags[number] = form, tag
            # What is not in the dictionary, such as most names, numbers and foreign words, has a
            # number that stands for its tag, and no form there.
            in_dictionary = bool(self._kiwi.morpheme(number).form)
            if not in_dictionary or (tag[0] == "E" and form[:1] in _VARYING_ENDINGS):
                self._rules[number] = None
            elif rule is not None:
                self._rules[number] = rule


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
