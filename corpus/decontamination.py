"""Lines of evaluation tasks, kept out of the corpus."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet

import numpy as np

from deeq_bert.corpus.deduplication import hash_text
from deeq_bert.corpus.readers.input_file import InputFile, OverlongLine
from deeq_bert.corpus.readers.selection import ending_of
from deeq_bert.corpus.rules import catalogue
from deeq_bert.corpus.rules.base import uncommon_characters
from deeq_bert.corpus.sentences import split
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import atomic_outputs

# Shorter sentences are anybody's, as "재미있게 봤습니다" is.
MIN_CHARACTERS = 12

_NOT_LETTERS = re.compile(r"[\W_]+")
_RUNS = re.compile(r"(.)\1+")
_FIELDS = re.compile(r"[\t|]")


def normalize(text: str) -> str:
    """Returns what two writings of the same sentence share.

    These are its letters and digits, without case, each run of the same one once: cleaning, and
    the making of a task, change blanks, punctuation and the length of ㅋㅋㅋ.
    """
    return _RUNS.sub(r"\1", _NOT_LETTERS.sub("", text)).casefold()


class Decontamination:
    """Knows the sentences of some tasks by their hashes."""

    def __init__(self, hashes: np.ndarray):
        self._hashes = frozenset(hashes.tolist())

    @classmethod
    def read(cls, path: str) -> "Decontamination":
        """Reads what `write_task_hashes` wrote."""
        with open(path, "rb") as file:
            return cls(np.load(io.BytesIO(file.read()), allow_pickle=False))

    def drops(self, line: str, uncommon: AbstractSet[str]) -> bool:
        """Whether a line is a sentence of a task, or the whole text of one of its fields."""
        normal = normalize(line)
        return len(normal) >= MIN_CHARACTERS and hash_text(normal) in self._hashes


def task_hashes(files: Sequence[str]) -> np.ndarray:
    """Returns the hashes of the sentences in the files of tasks.

    Each line's fields count, and the sentences in them: a field is what stands between tabs, or as
    csv or JSON have it, so that the files of tasks need no description. They count as they are, and
    as the text rules leave them.

    Args:
      files: .json is read whole, each line of .jsonl is JSON, .csv has commas and quotes; other
        files are lines of fields between tabs. All may be compressed.

    Returns:
      uint64, sorted, each once.

    Raises:
      InputError: A file cannot be read, or none of its text is long enough.
    """
    clean = _cleaner()
    hashes: set[int] = set()
    for path in files:
        before = len(hashes)
        texts = 0
        for text in _texts(path):
            cleaned = clean(text)
            for candidate in {text, *split(text), cleaned, *split(cleaned)}:
                normal = normalize(candidate)
                if len(normal) >= MIN_CHARACTERS:
                    hashes.add(hash_text(normal))
                    texts += 1
        if not texts and len(hashes) == before:
            raise InputError(
                f"--decontaminate: {path} has no text of {MIN_CHARACTERS} characters or more. Give "
                "the files of tasks, such as ratings_test.txt."
            )
    return np.array(sorted(hashes), dtype=np.uint64)


def write_task_hashes(path: str, hashes: np.ndarray) -> None:
    """Writes hashes for `Decontamination.read`."""
    content = io.BytesIO()
    np.save(content, hashes, allow_pickle=False)
    with atomic_outputs([path]) as (file,):
        file.write(content.getvalue())


def _cleaner() -> Callable[[str], str]:
    """Returns what does to a text what the rules do to the corpus before it is compared."""
    rules = catalogue.make_rules(catalogue.TEXT_RULES, {})

    def clean(text: str) -> str:
        for _, rule in rules:
            text = rule(text, uncommon_characters(text))
        return text

    return clean


def _texts(path: str) -> Iterator[str]:
    file = InputFile(path, errors="replace")
    ending = ending_of(path)
    if ending == ".json":
        yield from _strings(_parse(file.whole_text(), path))
        return
    lines = _short_lines(file)
    if ending == ".csv":
        try:
            for row in csv.reader(lines):
                yield from row
        except csv.Error as error:
            raise InputError(f"--decontaminate: {path}: {error}. Mend the file.") from None
        return
    for line in lines:
        if ending in (".jsonl", ".ndjson"):
            if line.strip():
                yield from _strings(_parse(line, path))
        else:
            yield line
            yield from _FIELDS.split(line)


def _short_lines(file: InputFile) -> Iterator[str]:
    for line in file.lines():
        if isinstance(line, OverlongLine):
            raise InputError(
                f"--decontaminate: {file.path} has a line that is too long for the file of a task. "
                "Mend the file."
            )
        yield line


def _parse(text: str, path: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"--decontaminate: {path} is not JSON ({error}). Mend the file.") from None


def _strings(value: object) -> Iterator[str]:
    """Yields the strings in a JSON value, without recursion."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
