"""Tokens that are morphemes: `deeq`, and `deeq-wordpiece`, which splits them into WordPieces.

Both clean the text, cut it at special tokens, have the rest analysed and look the morphemes up.
They differ in what they do with a morpheme that the vocabulary lacks.
"""

import abc
import itertools
import re
import unicodedata
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from deeq_bert.tokenizers.analyzers.base import Analysis, Analyzer
from deeq_bert.tokenizers.base import (
    MASK_UNITS,
    MORPHEME_START,
    WORD_START,
    Encoding,
    TokenizedLine,
    Tokenizer,
)
from deeq_bert.tokenizers.characters import CharacterTable
from deeq_bert.tokenizers.joining import join_morphemes
from deeq_bert.tokenizers.vocabulary import MASK, SPECIAL_TOKENS, UNK, check_special_tokens
from deeq_bert.tokenizers.wordpiece import (
    CONTINUATION,
    RecentResults,
    WordpieceTokenizer,
    longest_by_start,
)

_NEW_WORD = WORD_START | MORPHEME_START
# What becomes of a byte of Analysis.word_starts: each morpheme starts itself, some a word too.
_UNITS = bytes([MORPHEME_START, _NEW_WORD]) + bytes(254)
_MAX_REMEMBERED = 65_536


class MorphemeTokenizer(Tokenizer):
    """What the two morpheme tokenizers have in common."""

    mask_units = MASK_UNITS

    def __init__(self, vocab_file: str, analyzer: Analyzer, compat: bool = False):
        """Reads the vocabulary.

        Args:
          vocab_file: One token a line, among them [UNK], [CLS], [SEP] and [MASK].
          analyzer: Splits text into morphemes.
          compat: Repeat the quirks of the first deeq tokenizer (see `DeeqTokenizer`).

        Raises:
          InputError: The file cannot serve as a vocabulary (see `load_vocab`).
        """
        super().__init__(vocab_file)
        check_special_tokens(self.vocab, vocab_file)
        self._analyzer = analyzer
        self._compat = compat
        self._unknown_id = self.vocab[UNK]
        special_tokens = (MASK,) if compat else tuple(self.vocab.keys() & set(SPECIAL_TOKENS))
        self._special_ids = {token: self.vocab[token] for token in special_tokens}
        self._cutter = _LineCutter(special_tokens, compat)
        self._known = RecentResults(self._ids_of, _MAX_REMEMBERED)

    @abc.abstractmethod
    def _ids_of(self, form: str) -> tuple[int, ...]:
        """Returns the ids of the pieces of one morpheme, from left to right."""

    @abc.abstractmethod
    def _piece_lengths(self, form: str, ids: Sequence[int]) -> list[int]:
        """Returns how many characters of `form` each of its pieces stands for."""

    def encode(self, text: str) -> Encoding:
        """Returns the tokens of `text` with their ids, offsets and units.

        Pieces of a morpheme that stands in the text as it is have the offsets of their own
        characters; those of another have all of the morpheme's.
        """
        ((line, analyses),) = _analyze(self._analyzer, [self._cutter.cut(text)])
        encoding = Encoding([], [], [], [], b"")
        units = bytearray()
        remaining = iter(analyses)
        for stretch in line.stretches:
            if stretch.is_special:
                end = stretch.start + len(stretch.text)
                self._append(encoding, line, self._special_ids[stretch.text], stretch.start, end)
                units.append(_NEW_WORD)
            else:
                self._append_analysis(encoding, units, line, stretch.start, next(remaining))
        encoding.units = bytes(units)
        encoding.tokens = self.convert_ids_to_tokens(encoding.ids)
        return encoding

    def text_to_ids(self, text: str) -> list[int]:
        """Returns the ids of the tokens of `text`."""
        (line,) = self.tokenize_lines([text])
        return list(line.ids)

    def tokenize(self, text: str) -> list[str]:
        """Returns the tokens of `text`."""
        return self.convert_ids_to_tokens(self.text_to_ids(text))

    def tokenize_lines(self, lines: Iterable[str]) -> Iterator[TokenizedLine]:
        """Yields ids and units of each line, in order; lines are read ahead."""
        for line, analyses in _analyze(self._analyzer, map(self._cutter.cut, lines)):
            if len(line.stretches) == 1 and analyses:
                yield TokenizedLine(*self._ids_and_units(analyses[0]))
                continue
            ids: list[int] = []
            units = b""
            remaining = iter(analyses)
            for stretch in line.stretches:
                if stretch.is_special:
                    more_ids, more_units = [self._special_ids[stretch.text]], bytes([_NEW_WORD])
                else:
                    more_ids, more_units = self._ids_and_units(next(remaining))
                ids += more_ids
                units += more_units
            yield TokenizedLine(ids, units)

    def decode(self, ids: Iterable[int]) -> str:
        """Returns readable text: morphemes joined to words, with blanks where they seem to belong.

        The ids do not tell where words ended, so the blanks are Kiwi's guess; without Kiwi there is
        one between every two morphemes.
        """
        parts = []
        for is_special, group in itertools.groupby(
            self.convert_ids_to_tokens(ids), SPECIAL_TOKENS.__contains__
        ):
            tokens = list(group)
            parts.extend(tokens if is_special else [join_morphemes(self._join_pieces(tokens))])
        return " ".join(parts)

    def identity(self) -> dict[str, Any]:
        """Returns what the analyser says of itself, and whether quirks are repeated."""
        compat = {"deeq_compat": True} if self._compat else {}
        return {"analyzer": self._analyzer.identity(), **compat}

    def close(self) -> None:
        """Closes the analyser."""
        self._analyzer.close()

    def _join_pieces(self, tokens: Iterable[str]) -> list[str]:
        """Returns the morphemes that `tokens` are pieces of, as far as that can be told."""
        return list(tokens)

    def _ids_and_units(self, analysis: Analysis) -> tuple[list[int], bytes]:
        known = self._known
        ids_of_forms = list(map(known.__getitem__, analysis.forms))
        ids = list(itertools.chain.from_iterable(ids_of_forms))
        units = analysis.word_starts.translate(_UNITS)
        if len(ids) == len(ids_of_forms):
            return ids, units
        # Most morphemes are one token; only the others need a look.
        counts = list(map(len, ids_of_forms))
        parts, end = [], 0
        for index in itertools.compress(itertools.count(1), map((1).__ne__, counts)):
            parts += (units[end:index], bytes(counts[index - 1] - 1))
            end = index
        return ids, b"".join((*parts, units[end:]))

    def _append_analysis(
        self,
        encoding: Encoding,
        units: bytearray,
        line: "_Line",
        offset: int,
        analysis: Analysis,
    ) -> None:
        _, more_units = self._ids_and_units(analysis)
        units += more_units
        for form, start, end in zip(analysis.forms, analysis.starts, analysis.ends):
            ids = self._known[form]
            start, end = start + offset, end + offset
            if len(ids) == 1 or len(form) != end - start:
                for index in ids:
                    self._append(encoding, line, index, start, end)
                continue
            for index, length in zip(ids, self._piece_lengths(form, ids)):
                self._append(encoding, line, index, start, start + length)
                start += length

    @staticmethod
    def _append(encoding: Encoding, line: "_Line", index: int, start: int, end: int) -> None:
        encoding.ids.append(index)
        encoding.starts.append(line.origins[start] if line.origins else start)
        encoding.ends.append(line.origins[end - 1] + 1 if line.origins else end)


class DeeqTokenizer(MorphemeTokenizer):
    """The deeq tokenizer: a morpheme is a token, or else split into the longest prefixes.

    Nothing marks where a morpheme or a word goes on. Where no prefix is in the vocabulary, one
    character is [UNK], and splitting goes on after it.

    With `compat`, what the first such tokenizer did is repeated: tabs and carriage returns vanish,
    so that what stands around them is one word; only the first [MASK] of a text is a token; and
    from a character that starts no token on, the rest of the morpheme is one [UNK].
    """

    def __init__(self, vocab_file: str, analyzer: Analyzer, compat: bool = False):
        """Reads the vocabulary (see `MorphemeTokenizer`)."""
        super().__init__(vocab_file, analyzer, compat)
        self._longest = longest_by_start(self.vocab)

    def _ids_of(self, form: str) -> tuple[int, ...]:
        index = self.vocab.get(form)
        if index is not None:
            return (index,)
        ids = []
        start, size = 0, len(form)
        while start < size:
            end = min(size, start + self._longest.get(form[start : start + 2], 1))
            while end > start and (index := self.vocab.get(form[start:end])) is None:
                end -= 1
            if end > start:
                ids.append(index)
                start = end
                continue
            ids.append(self._unknown_id)
            start = size if self._compat else start + 1
        return tuple(ids)

    def _piece_lengths(self, form: str, ids: Sequence[int]) -> list[int]:
        lengths = [1 if i == self._unknown_id else len(self.inv_vocab[i]) for i in ids]
        if ids[-1] == self._unknown_id:
            lengths[-1] = len(form) - sum(lengths[:-1])
        return lengths


class DeeqWordpieceTokenizer(MorphemeTokenizer):
    """Morphemes, and WordPiece inside each: pieces that go on with a morpheme begin with "##".

    A morpheme that cannot be made of pieces is one [UNK].
    """

    def __init__(self, vocab_file: str, analyzer: Analyzer):
        """Reads the vocabulary (see `MorphemeTokenizer`)."""
        super().__init__(vocab_file, analyzer)
        self._wordpiece_tokenizer = WordpieceTokenizer(vocab=self.vocab)

    def _ids_of(self, form: str) -> tuple[int, ...]:
        return self._wordpiece_tokenizer.ids_of(form)

    def _piece_lengths(self, form: str, ids: Sequence[int]) -> list[int]:
        first, *later = (len(self.inv_vocab[index]) for index in ids)
        return [first, *(length - len(CONTINUATION) for length in later)]

    def _join_pieces(self, tokens: Iterable[str]) -> list[str]:
        morphemes: list[str] = []
        for token in tokens:
            if morphemes and token.startswith(CONTINUATION):
                morphemes[-1] += token[len(CONTINUATION) :]
            else:
                morphemes.append(token)
        return morphemes


def analyze_lines(
    analyzer: Analyzer, lines: Iterable[str], special_tokens: Sequence[str] = SPECIAL_TOKENS
) -> Iterator[list[Analysis]]:
    """Yields the analyses of each line: of what is left of it, cleaned, between special tokens.

    A blank line has none. Lines are read ahead.
    """
    cutter = _LineCutter(special_tokens, compat=False)
    for _, analyses in _analyze(analyzer, map(cutter.cut, lines)):
        yield analyses


class _Stretch(NamedTuple):
    """A part of a cleaned line: a special token, or text to be analysed."""

    text: str
    start: int
    is_special: bool


class _Line(NamedTuple):
    """A cleaned line, cut. `origins`: where its characters stood before cleaning, None if there."""

    stretches: list[_Stretch]
    origins: list[int] | None


class _LineCutter:
    """Cleans lines and cuts them at special tokens."""

    def __init__(self, special_tokens: Sequence[str], compat: bool):
        self._cleaned = _CLEANED_COMPAT if compat else _CLEANED
        self._max_cuts = 1 if compat else 0
        self._special = re.compile("|".join(map(re.escape, sorted(special_tokens))) or "(?!)")

    def cut(self, text: str) -> _Line:
        if text.isprintable() and "`" not in text:
            cleaned, origins = text, None
        else:
            cleaned, origins = self._clean(text)
        if "[" not in cleaned:
            return _Line(list(_stripped(cleaned, 0)), origins)
        stretches: list[_Stretch] = []
        end = 0
        matches = self._special.finditer(cleaned)
        for match in itertools.islice(matches, self._max_cuts or None):
            stretches.extend(_stripped(cleaned[end : match.start()], end))
            stretches.append(_Stretch(match[0], match.start(), True))
            end = match.end()
        stretches.extend(_stripped(cleaned[end:], end))
        return _Line(stretches, origins)

    def _clean(self, text: str) -> tuple[str, list[int] | None]:
        cleaned = text.translate(self._cleaned)
        if len(cleaned) == len(text):
            return cleaned, None
        kept = self._cleaned
        return cleaned, [place for place, char in enumerate(text) if kept[ord(char)] is not None]


def _stripped(text: str, start: int) -> Iterator[_Stretch]:
    stripped = text.strip()
    if stripped:
        yield _Stretch(stripped, start + text.index(stripped[0]), False)


def _analyze(analyzer: Analyzer, lines: Iterable[_Line]) -> Iterator[tuple[_Line, list[Analysis]]]:
    """Yields each line with the analyses of its stretches of text."""
    waiting: deque[tuple[_Line, int]] = deque()

    def texts() -> Iterator[str]:
        for line in lines:
            line_texts = [text for text, _, is_special in line.stretches if not is_special]
            waiting.append((line, len(line_texts)))
            yield from line_texts

    analyses: list[Analysis] = []
    unread = texts()
    for analysis in analyzer.analyze(unread):
        while waiting[0][1] == 0:
            yield waiting.popleft()[0], []
        analyses.append(analysis)
        if len(analyses) == waiting[0][1]:
            yield waiting.popleft()[0], analyses
            analyses = []
    if next(unread, None) is not None or any(count for _, count in waiting):
        raise RuntimeError("the analyser gave fewer analyses than it was given texts")
    for line, _ in waiting:
        yield line, []


def _clean(char: str) -> str | None:
    if char in "\t\r\n\u00a0":
        return " "
    if char == "`":
        return "'"
    return None if unicodedata.category(char)[0] == "C" else char


def _clean_compat(char: str) -> str | None:
    return None if char in "\t\r" else _clean(char)


_CLEANED = CharacterTable(_clean)
_CLEANED_COMPAT = CharacterTable(_clean_compat)
