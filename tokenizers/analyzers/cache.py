"""Analyses kept on disk, so that no run analyses what another has analysed already."""

import collections
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from absl import logging

from deeq_bert.tokenizers.analyzers import cache_entry
from deeq_bert.tokenizers.analyzers.base import Analysis, Analyzer
from deeq_bert.tokenizers.analyzers.cache_file import CacheFile
from deeq_bert.tokenizers.errors import InputError

# Texts are looked up, and analyses stored, this many at a time.
_BATCH_LINES = 256
_BATCH_CHARACTERS = 64 * 1024
# While an analysis is awaited, no more is read ahead than this.
_WAITING_LINES = 4096
_WAITING_CHARACTERS = 256 * 1024
# What is larger is rare, and crowds out many others.
_MAX_ENTRY_BYTES = 1024 * 1024


class CachedAnalyzer(Analyzer):
    """Another analyser with a cache in front, which processes and runs share.

    The analyser itself is asked only for what is not in the cache: where everything is, not once.

    Attributes:
      hits: How many texts needed no analysis.
      misses: How many analyses were made.
      damaged: How many of those because what the cache had was damaged.
    """

    def __init__(
        self, analyzer: Analyzer, folder: str, gigabytes: float, key_facts: Mapping[str, Any]
    ):
        """Finds the file for `analyzer` in the folder.

        Args:
          analyzer: Makes the analyses.
          folder: Where caches are kept, a file for each identity and facts; made where missing.
          gigabytes: How large that file may become before its oldest entries are removed.
          key_facts: What else analyses depend on, besides the analyser's identity and the text.

        Raises:
          InputError: The folder cannot be made.
        """
        self.hits = self.misses = self.damaged = 0
        self._analyzer = analyzer
        identity = analyzer.identity()
        facts = json.dumps(
            {**cache_entry.FORMAT, "analyzer": identity, "facts": dict(key_facts)},
            ensure_ascii=False,
            sort_keys=True,
        )
        name = re.sub(r"[^\w.-]", "_", str(identity.get("name", "analyzer")), flags=re.ASCII)[:40]
        digest = hashlib.blake2b(facts.encode(), digest_size=6).hexdigest()
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"--morpheme_cache={folder}: the folder cannot be made: {error.strerror}. Give "
                "another, or none to analyse without a cache."
            ) from error
        path = os.path.join(folder, f"{name}-{digest}.sqlite")
        self._file = CacheFile(path, facts, int(gigabytes * 1e9))

    def identity(self) -> dict[str, Any]:
        """Returns the identity of the analyser behind the cache."""
        return self._analyzer.identity()

    def analyze(self, texts: Iterable[str]) -> Iterator[Analysis]:
        """Yields the analysis of each text, in order (see `Analyzer.analyze`)."""
        return _Pass(self, iter(texts)).analyses()

    def close(self) -> None:
        """Closes the cache and the analyser."""
        self._file.close()
        self._analyzer.close()

    def _look_up(self, lines: Mapping[bytes, "_Line"]) -> None:
        """Gives the lines, by their keys, the analyses that the file has of them."""
        for key, entry in self._file.read(list(lines)).items():
            line = lines.get(key)
            if line is None:
                continue
            try:
                line.analysis = cache_entry.unpack(key, line.text, entry)
            except cache_entry.DamagedEntry as error:
                if not self.damaged:
                    logging.warning(
                        "The cache of analyses has a damaged entry (%s); it and others like it "
                        "are made anew.",
                        error,
                    )
                self.damaged += 1

    def _store(self, lines: Iterable["_Line"]) -> None:
        entries = []
        for line in lines:
            entry = cache_entry.pack(line.key, line.text, line.analysis)
            if entry is not None and len(entry) <= _MAX_ENTRY_BYTES:
                entries.append((line.key, entry))
        if entries:
            self._file.write(entries)


class _Line:
    """A text that was read, and its analysis once there is one."""

    __slots__ = ("text", "key", "analysis")

    def __init__(self, text: str, key: bytes):
        self.text = text
        self.key = key
        self.analysis: Analysis | None = None


class _Pass:
    """One pass over texts.

    What the cache lacks goes to the analyser as a single stream, so that it can batch as it likes.
    The stream reads ahead, and what is found meanwhile waits for its turn. Where too much waits,
    the stream ends, and another begins later.
    """

    def __init__(self, cache: CachedAnalyzer, texts: Iterator[str]):
        self._cache = cache
        self._texts = texts
        # In the order of the texts; a text that came again while it waited is the same line.
        self._waiting: collections.deque[_Line] = collections.deque()
        self._waiting_characters = 0
        # Lines without an analysis: by key, and in order before and after they are in the stream.
        self._missing: dict[bytes, _Line] = {}
        self._unsent: collections.deque[_Line] = collections.deque()
        self._sent: collections.deque[_Line] = collections.deque()
        self._stream: Iterator[Analysis] | None = None
        self._unstored: list[_Line] = []

    def analyses(self) -> Iterator[Analysis]:
        try:
            while self._read():
                while self._waiting:
                    while self._waiting[0].analysis is None:
                        self._receive()
                    line = self._waiting.popleft()
                    self._waiting_characters -= len(line.text)
                    yield line.analysis
            if self._stream is not None and next(self._stream, None) is not None:
                raise InputError(self._miscount("more"))
        finally:
            self._store()
            # It and this pass refer to each other, so it would linger.
            stream, self._stream = self._stream, None
            if close := getattr(stream, "close", None):
                close()

    def _read(self) -> bool:
        """Reads and looks up some texts; False where there are none."""
        self._store()
        asked: dict[bytes, _Line] = {}
        lines, characters = 0, 0
        for text in self._texts:
            key = cache_entry.key_of(text)
            line = asked.get(key) or self._missing.get(key)
            if line is None:
                line = asked[key] = _Line(text, key)
            self._waiting.append(line)
            lines += 1
            characters += len(text)
            if lines == _BATCH_LINES or characters >= _BATCH_CHARACTERS:
                break
        if asked:
            self._cache._look_up(asked)
        missing = {key: line for key, line in asked.items() if line.analysis is None}
        self._missing.update(missing)
        self._unsent.extend(missing.values())
        self._waiting_characters += characters
        self._cache.hits += lines - len(missing)
        return lines > 0

    def _texts_to_analyze(self) -> Iterator[str]:
        while True:
            while self._unsent:
                line = self._unsent.popleft()
                self._sent.append(line)
                yield line.text
            full = (
                len(self._waiting) >= _WAITING_LINES
                or self._waiting_characters >= _WAITING_CHARACTERS
            )
            if full or not self._read():
                return

    def _receive(self) -> None:
        """Takes an analysis from the stream, or begins another stream where it has ended."""
        is_new = self._stream is None
        if self._stream is None:
            self._stream = self._cache._analyzer.analyze(self._texts_to_analyze())
        analysis = next(self._stream, None)
        if analysis is None:
            if is_new or self._sent or not self._unsent:
                raise InputError(self._miscount("fewer"))
            self._stream = None
            return
        if not self._sent:
            raise InputError(self._miscount("more"))
        line = self._sent.popleft()
        line.analysis = analysis
        del self._missing[line.key]
        self._cache.misses += 1
        self._unstored.append(line)
        if len(self._unstored) >= _BATCH_LINES:
            self._store()

    def _store(self) -> None:
        lines, self._unstored = self._unstored, []
        if lines:
            self._cache._store(lines)

    def _miscount(self, what: str) -> str:
        name = self._cache.identity().get("name")
        return f"The analyser {name} gave {what} analyses than it was given texts. Give another."
