"""Accounts of cleaning: what every rule changed and removed, with samples, and what came out."""

import dataclasses
import heapq
import os
import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

# Longer texts are cut in samples; the middle is what is left out.
MAX_SAMPLE_CHARACTERS = 600
# A line of up to so many characters is in the first bin, one of up to the next in the second ...
LENGTH_BINS = (5, 10, 20, 40, 60, 80, 120, 160, 240, 320, 480, 640, 1000, 2000)
_LINE_FEED = ord("\n")
CHARACTER_CLASSES = ("hangul", "jamo", "hanja", "kana", "latin", "digit", "space", "other")

_RANGES = {
    "hangul": [(0xAC00, 0xD7A3)],
    "jamo": [(0x1100, 0x11FF), (0x3131, 0x318E), (0xA960, 0xA97C), (0xD7B0, 0xD7FB)],
    "hanja": [(0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF)],
    "kana": [(0x3041, 0x30FF), (0x31F0, 0x31FF), (0xFF66, 0xFF9D)],
    "latin": [(0x41, 0x5A), (0x61, 0x7A), (0xC0, 0x24F), (0xFF21, 0xFF3A), (0xFF41, 0xFF5A)],
    "digit": [(0x30, 0x39), (0xFF10, 0xFF19)],
    "space": [(0x20, 0x20), (0x09, 0x0D), (0xA0, 0xA0), (0x2000, 0x200A), (0x3000, 0x3000)],
}


def _class_table() -> np.ndarray:
    table = np.full(1 << 16, len(CHARACTER_CLASSES) - 1, dtype=np.uint8)
    for name, ranges in _RANGES.items():
        for first, last in ranges:
            table[first : last + 1] = CHARACTER_CLASSES.index(name)
    return table


_CLASS_OF = _class_table()


def count_lengths(lengths: np.ndarray) -> np.ndarray:
    """Returns how many of the lengths are in each of the bins of LENGTH_BINS, and above."""
    bins = np.searchsorted(LENGTH_BINS, lengths)
    return np.bincount(bins, minlength=len(LENGTH_BINS) + 1)


class Samples:
    """A random sample of fixed size of the texts that are offered.

    Samples of several parts join to what one sample of all would be: a text is taken if its random
    number is among the lowest.
    """

    def __init__(self, size: int, seed: str):
        self._size = size
        self._random = random.Random(seed.encode("utf-8", "surrogatepass")).random
        # The highest number first: negated, in a heap.
        self._taken: list[tuple[float, tuple[str, ...]]] = []

    def offer(self, *texts: str) -> None:
        """Takes the texts, which belong together, into the sample, or not."""
        number = self._random()
        if len(self._taken) < self._size:
            heapq.heappush(self._taken, (-number, tuple(map(shorten, texts))))
        elif self._size and number < -self._taken[0][0]:
            heapq.heapreplace(self._taken, (-number, tuple(map(shorten, texts))))

    def add(self, other: "Samples") -> None:
        """Joins another sample to this."""
        taken = heapq.nlargest(self._size, self._taken + other._taken)
        heapq.heapify(taken)
        self._taken = taken

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        for _, texts in sorted(self._taken, reverse=True):
            yield texts

    def to_json(self) -> list:
        return [[-number, *texts] for number, texts in sorted(self._taken, reverse=True)]

    @classmethod
    def from_json(cls, value: list, size: int, seed: str = "") -> "Samples":
        samples = cls(size, seed)
        samples._taken = [(-number, tuple(texts)) for number, *texts in value]
        heapq.heapify(samples._taken)
        return samples


def shorten(text: str) -> str:
    """Cuts the middle out of a long text."""
    if len(text) <= MAX_SAMPLE_CHARACTERS:
        return text
    half = MAX_SAMPLE_CHARACTERS // 2
    return f"{text[:half]} […{len(text) - 2 * half:,}…] {text[-half:]}"


def shorten_both(before: str, after: str) -> tuple[str, str]:
    """Cuts what two long texts begin and end with alike, so that the change is left."""
    if max(len(before), len(after)) <= MAX_SAMPLE_CHARACTERS:
        return before, after
    start = len(os.path.commonprefix([before, after]))
    rest = before[start:][::-1], after[start:][::-1]
    end = len(os.path.commonprefix(rest))
    context = MAX_SAMPLE_CHARACTERS // 6
    cut_start, cut_end = max(0, start - context), max(0, end - context)
    return tuple(
        ("…" if cut_start else "")
        + text[cut_start : len(text) - cut_end]
        + ("…" if cut_end else "")
        for text in (before, after)
    )


@dataclasses.dataclass
class RuleAccount:
    """What one rule did.

    Attributes:
      changed: How many lines it changed and left something of.
      removed_lines: How many lines it removed, those of removed documents among them.
      removed_documents: How many documents it removed whole.
      removed_bytes: How many bytes of UTF-8 it took away.
      changed_samples: Lines before and after.
      removed_samples: Lines, or beginnings of documents.
    """

    changed_samples: Samples
    removed_samples: Samples
    changed: int = 0
    removed_lines: int = 0
    removed_documents: int = 0
    removed_bytes: int = 0

    def add(self, other: "RuleAccount") -> None:
        for name in _RULE_NUMBERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.changed_samples.add(other.changed_samples)
        self.removed_samples.add(other.removed_samples)

    def to_json(self) -> dict[str, Any]:
        return {
            **{name: getattr(self, name) for name in _RULE_NUMBERS},
            "changed_samples": self.changed_samples.to_json(),
            "removed_samples": self.removed_samples.to_json(),
        }


_RULE_NUMBERS = ("changed", "removed_lines", "removed_documents", "removed_bytes")
# What is counted of a source, by the names of the attributes of its account.
FIGURES = (
    "files",
    "documents_in",
    "lines_in",
    "bytes_in",
    "sentences",
    "documents_out",
    "lines_out",
    "bytes_out",
    "heldout_documents",
    "heldout_lines",
    "heldout_bytes",
    "replaced_characters",
)
_NUMBERS = (*FIGURES, "seconds")
_ARRAYS = ("length_counts", "document_length_counts", "class_counts")


class Account:
    """What became of the text of one source.

    Attributes:
      files, documents_in, lines_in, bytes_in: What was read: files, documents, lines of
        paragraphs, and bytes of their UTF-8. A file that is read in parts counts once.
      sentences: Lines after sentence splitting.
      documents_out, lines_out, bytes_out: What was written; bytes without line ends.
      heldout_documents, heldout_lines, heldout_bytes: What was written for evaluation instead.
      replaced_characters: Characters that stand for bytes that could not be decoded.
      seconds: CPU time spent on cleaning.
      rules: By the name of the rule, in the order they first fired.
      broken: By the problem of the records: how many, and samples of place and text.
      encodings: By encoding: how many files.
      length_counts: Lines written by their length in characters (see LENGTH_BINS).
      document_length_counts: Documents written by their number of lines (see LENGTH_BINS).
      class_counts: Characters written, by CHARACTER_CLASSES.
    """

    def __init__(self, num_samples: int, seed: str):
        """Opens an account.

        Args:
          num_samples: How many samples are kept for each rule.
          seed: Decides which; must differ between parts.
        """
        self._num_samples = num_samples
        self._seed = seed
        for name in _NUMBERS:
            setattr(self, name, 0)
        self.rules: dict[str, RuleAccount] = {}
        self.broken: dict[str, tuple[int, Samples]] = {}
        self.encodings: dict[str, int] = {}
        self.length_counts = np.zeros(len(LENGTH_BINS) + 1, dtype=np.int64)
        self.document_length_counts = np.zeros(len(LENGTH_BINS) + 1, dtype=np.int64)
        self.class_counts = np.zeros(len(CHARACTER_CLASSES), dtype=np.int64)

    def rule(self, name: str) -> RuleAccount:
        """Returns the account of a rule, a new one if it did not fire so far."""
        account = self.rules.get(name)
        if account is None:
            account = self.rules[name] = RuleAccount(
                Samples(self._num_samples, f"{self._seed}:{name}:changed"),
                Samples(self._num_samples, f"{self._seed}:{name}:removed"),
            )
        return account

    def enter_changes(self, name: str, before: Sequence[str], after: Sequence[str]) -> None:
        """Enters what a rule made of lines; a line that became blank counts as removed."""
        account = self.rule(name)
        for old, new in zip(before, after, strict=True):
            if old == new or not old or old.isspace():
                continue
            if new and not new.isspace():
                account.changed += 1
                account.changed_samples.offer(*shorten_both(old, new))
                account.removed_bytes += max(0, _num_bytes(old) - _num_bytes(new))
            else:
                account.removed_lines += 1
                account.removed_bytes += _num_bytes(old)
                account.removed_samples.offer(old)

    def enter_removed_line(self, name: str, line: str) -> None:
        """Enters that a rule dropped a line."""
        account = self.rule(name)
        account.removed_lines += 1
        account.removed_bytes += _num_bytes(line)
        account.removed_samples.offer(line)

    def enter_removed_document(self, name: str, lines: Sequence[str]) -> None:
        """Enters that a rule dropped a document with these lines."""
        account = self.rule(name)
        account.removed_documents += 1
        account.removed_lines += len(lines)
        account.removed_bytes += sum(map(_num_bytes, lines))
        account.removed_samples.offer("\n".join(lines[:5]))

    def enter_broken(self, problem: str, place: str, sample: str) -> None:
        """Enters a record that could not be read."""
        count, samples = self.broken.get(problem) or (
            0,
            Samples(self._num_samples, f"{self._seed}:{problem}:broken"),
        )
        samples.offer(place, sample)
        self.broken[problem] = (count + 1, samples)

    def enter_output(self, documents: Sequence[str]) -> None:
        """Enters documents that are written: the lines of each, with line feeds between them.

        In lengths and classes, characters beyond U+FFFF count twice.
        """
        if not documents:
            return
        text = "\n\n".join(documents)
        units = np.frombuffer(text.encode("utf-16-le"), dtype="<u2")
        line_feeds = np.append(np.flatnonzero(units == _LINE_FEED), len(units))
        lengths = np.diff(line_feeds, prepend=-1) - 1
        # Blank lines, which end all documents but the last.
        ends = np.append(np.flatnonzero(lengths == 0), len(lengths))
        self.documents_out += len(documents)
        self.lines_out += len(lengths) - len(documents) + 1
        self.bytes_out += _num_bytes(text) - (len(line_feeds) - 1)
        self.length_counts += count_lengths(lengths[lengths > 0])
        self.document_length_counts += count_lengths(np.diff(ends, prepend=-1) - 1)
        classes = np.bincount(_CLASS_OF[units], minlength=len(CHARACTER_CLASSES))
        classes[CHARACTER_CLASSES.index("space")] -= len(line_feeds) - 1
        self.class_counts += classes

    def enter_heldout(self, document: str) -> None:
        """Enters a document that is held out."""
        num_line_feeds = document.count("\n")
        self.heldout_documents += 1
        self.heldout_lines += num_line_feeds + 1
        self.heldout_bytes += _num_bytes(document) - num_line_feeds

    def add(self, other: "Account") -> None:
        """Joins the account of another part of the same source to this."""
        for name in _NUMBERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in _ARRAYS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name, account in other.rules.items():
            self.rule(name).add(account)
        for problem, (count, samples) in other.broken.items():
            own_count, own_samples = self.broken.get(problem) or (0, Samples(self._num_samples, ""))
            own_samples.add(samples)
            self.broken[problem] = (own_count + count, own_samples)
        for encoding, count in other.encodings.items():
            self.encodings[encoding] = self.encodings.get(encoding, 0) + count

    def to_json(self) -> dict[str, Any]:
        """Returns the account as values that JSON has."""
        return {
            **{name: getattr(self, name) for name in _NUMBERS},
            **{name: getattr(self, name).tolist() for name in _ARRAYS},
            "rules": {name: account.to_json() for name, account in self.rules.items()},
            "broken": {
                problem: {"count": count, "samples": samples.to_json()}
                for problem, (count, samples) in self.broken.items()
            },
            "encodings": self.encodings,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any], num_samples: int) -> "Account":
        """Reads what `to_json` returned."""
        account = cls(num_samples, "")
        for name in _NUMBERS:
            setattr(account, name, value[name])
        for name in _ARRAYS:
            setattr(account, name, np.array(value[name], dtype=np.int64))
        for name, fields in value["rules"].items():
            account.rules[name] = RuleAccount(
                Samples.from_json(fields["changed_samples"], num_samples),
                Samples.from_json(fields["removed_samples"], num_samples),
                *(fields[number] for number in _RULE_NUMBERS),
            )
        for problem, fields in value["broken"].items():
            samples = Samples.from_json(fields["samples"], num_samples)
            account.broken[problem] = (fields["count"], samples)
        account.encodings = dict(value["encodings"])
        return account


def _num_bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
