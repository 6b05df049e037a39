"""A trial of the rules on some documents of a source: each before and after, nothing written."""

import dataclasses
import random
from collections.abc import Iterator

from absl import logging

from deeq_bert.corpus.accounting import Account, shorten
from deeq_bert.corpus.cleaning import Cleaner
from deeq_bert.corpus.planning import FilePart, read_part
from deeq_bert.corpus.readers.base import BrokenRecord, Document
from deeq_bert.corpus.report_text import visible, visible_line
from deeq_bert.corpus.sources import Source

# So many documents are looked at, over the files; a corpus is not read to its end.
_DOCUMENTS_LOOKED_AT = 5000
_SAMPLES = 1000


@dataclasses.dataclass
class Trial:
    """What the rules make of one document.

    Attributes:
      document: As it was read.
      lines: What is left of it.
      changes: By rule: lines before and after it, and the lines it removed (with None).
    """

    document: Document
    lines: list[str]
    changes: list[tuple[str, str, str | None]]


def try_source(source: Source, num_documents: int, seed: int, errors: str) -> Iterator[Trial]:
    """Cleans some documents of a source, chosen at random from the beginnings of its files.

    Raises:
      InputError: A file cannot be read.
    """
    cleaner = Cleaner(source.settings)
    for document in _choose(source, num_documents, seed, errors):
        account = Account(_SAMPLES, f"{seed}")
        (lines,) = cleaner.clean([document], account)
        changes: list[tuple[str, str, str | None]] = []
        for name, rule in account.rules.items():
            changes.extend((name, before, after) for before, after in rule.changed_samples)
            changes.extend((name, removed, None) for (removed,) in rule.removed_samples)
        yield Trial(document, lines, changes)


def describe(trial: Trial) -> str:
    """Returns a trial as text for the terminal."""
    document = trial.document
    title = f" · {visible_line(document.title)}" if document.title else ""
    parts = [f"== {visible_line(document.id)}{title}"]
    parts.append("before:")
    parts.extend(f"  {visible(shorten(paragraph))}" for paragraph in document.paragraphs)
    for name, before, after in trial.changes:
        parts.append(f"{name}:")
        parts.append(f"  - {visible(before)}")
        if after is not None:
            parts.append(f"  + {visible(after)}")
    parts.append("after:" if trial.lines else "after: nothing, it is dropped")
    parts.extend(f"  {visible(line)}" for line in trial.lines)
    return "\n".join(parts) + "\n"


def _choose(source: Source, num_documents: int, seed: int, errors: str) -> list[Document]:
    """Takes documents at random, in their order (reservoir sampling); tells of broken records."""
    chosen: list[tuple[int, Document]] = []
    generator = random.Random(seed)
    seen = 0
    broken: list[BrokenRecord] = []
    files = list(source.files)
    generator.shuffle(files)
    share = -(-_DOCUMENTS_LOOKED_AT // len(files))
    for path in files:
        if seen >= _DOCUMENTS_LOOKED_AT:
            break
        of_file = 0
        for record in read_part(source, FilePart(path), errors):
            if isinstance(record, BrokenRecord):
                broken.append(record)
                if len(broken) >= _DOCUMENTS_LOOKED_AT:
                    break
            if not isinstance(record, Document):
                continue
            seen += 1
            of_file += 1
            if len(chosen) < num_documents:
                chosen.append((seen, record))
            elif (place := generator.randrange(seen)) < num_documents:
                chosen[place] = (seen, record)
            if of_file >= share:
                break
    if broken:
        logging.warning(
            "%s: %d records cannot be read and are left out; the first is %s: %s.",
            source.name,
            len(broken),
            broken[0].place,
            broken[0].problem,
        )
    return [document for _, document in sorted(chosen, key=lambda pair: pair[0])]
