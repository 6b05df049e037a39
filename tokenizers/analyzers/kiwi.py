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

_BATCH_CHARACTERS = 16_384

# Kiwi has one number for the forms of an ending that varies with the vowel before.
_VARYING_ENDINGS = frozenset("아어여았었였앗엇엿")

# Kiwis of the process that this one was forked from. Freeing one hangs, or ends this process.
_INHERITED: list[Any] = []

_id = operator.attrgetter("id")
_start = operator.attrgetter("start")
_form, _tag, _rule = map(operator.itemgetter, range(3))
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
        for batch in _batches(texts):
            if self._process != os.getpid():
                self._load()
            if len(batch) == 1:
                # It may be a long one.
                yield placement.in_stretches(batch[0], self._analyze)
            else:
                yield from self._analyze_batch(batch)

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
        # What becomes of Kiwi's morphemes, by their numbers, for those that are always the same.
        self._entries: dict[int, conventions.Entry] = {}

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

    def _analyze_batch(self, texts: Sequence[str]) -> list[Analysis]:
        try:
            # First the one for all texts, then the other: the data of Kiwi and ours drive each
            # other out of the caches of the CPU.
            found = list(map(self._tokenize, texts))
            return list(map(self._convert, texts, found))
        except UnicodeError:
            return list(map(self._analyze, texts))

    def _analyze(self, text: str) -> Analysis:
        try:
            return self._convert(text, self._tokenize(text))
        except UnicodeError:
            # Half of a surrogate pair, which is no character.
            text = _SURROGATE.sub("\ufffd", text)
            return self._convert(text, self._tokenize(text))

    def _convert(self, text: str, found: Sequence[Any]) -> Analysis:
        numbers = list(map(_id, found))
        try:
            entries = list(map(self._entries.__getitem__, numbers))
        except KeyError:
            self._learn(found)
            entries = list(map(self._entries.__getitem__, numbers))
        forms, tags = list(map(_form, entries)), list(map(_tag, entries))
        starts = list(map(_start, found))
        edits = []
        for index in itertools.compress(itertools.count(), map(_rule, entries)):
            rule = entries[index].rule
            if rule is _look_at_form:
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
            entry = conventions.entry_of(morpheme.form, morpheme.tag)
            # What is not in the dictionary, such as most names, numbers and foreign words, has a
            # number that stands for its tag, and no form there.
            in_dictionary = bool(self._kiwi.morpheme(morpheme.id).form)
            varies = entry.tag[0] == "E" and entry.form[:1] in _VARYING_ENDINGS
            if varies or not in_dictionary:
                entry = entry._replace(rule=_look_at_form)
            self._entries[morpheme.id] = entry


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    """Yields the texts, several at a time; a long one is alone."""
    batch: list[str] = []
    size = 0
    for text in texts:
        is_long = len(text) > placement.MAX_CHARACTERS
        if batch and (is_long or size + len(text) > _BATCH_CHARACTERS):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += len(text)
        if is_long:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _look_at_form(morphemes: Any, index: int) -> None:
    """Stands for the rule of morphemes that differ although they have one number."""


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
