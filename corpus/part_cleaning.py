"""A part of the input, cleaned by one process into files that the rest of the run works with."""

import array
import dataclasses
import os
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from deeq_bert.corpus.accounting import Account
from deeq_bert.corpus.cleaning import Cleaner
from deeq_bert.corpus.decontamination import Decontamination
from deeq_bert.corpus.deduplication import hash_text, write_hashes
from deeq_bert.corpus.planning import FilePart, Part, read_part
from deeq_bert.corpus.readers.base import BrokenRecord, Document
from deeq_bert.corpus.readers.input_file import InputFile
from deeq_bert.corpus.signatures import Signer, write_signatures
from deeq_bert.corpus.sources import Source
from deeq_bert.corpus.work_folder import part_file, read_marker, write_marker
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import atomic_outputs

# So much text goes through the rules at once: more would not be faster.
_BATCH_CHARACTERS = 8192
_BATCH_DOCUMENTS = 256

# The kinds of files of a part (see work_folder.part_file).
TEXT = "text"
LINES = "lines"
DOCUMENTS = "documents"
SIGNATURES = "signatures"
MARKER = "json"


@dataclasses.dataclass(frozen=True)
class PartSettings:
    """What the cleaning of a part depends on, beside the part and its source.

    Attributes:
      folder: The work folder.
      seed: Decides which lines become samples.
      num_samples: How many samples of each rule are kept.
      errors: What to do with bytes that cannot be decoded, "strict" or "replace".
      strict: Whether a broken record is an error.
      near_duplicates: Whether signatures for near-duplicates are wanted.
      all_line_hashes: Whether hashes of lines are wanted of sources whose lines are not
        de-duplicated, too.
      decontamination: The file of hashes of lines to leave out, or None.
    """

    folder: str
    seed: int
    num_samples: int
    errors: str
    strict: bool
    near_duplicates: bool
    all_line_hashes: bool
    decontamination: str | None


class CleanedPart(NamedTuple):
    """What the run has to know of a cleaned part.

    Attributes:
      index: Its number.
      num_documents: How many documents are left.
      num_lines: How many lines they have.
      num_bytes: How many bytes their text has.
    """

    index: int
    num_documents: int
    num_lines: int
    num_bytes: int


def finished_part(folder: str, index: int) -> CleanedPart | None:
    """Returns what is known of a part that an earlier run finished, or None."""
    marker = read_marker(part_file(folder, index, MARKER))
    return CleanedPart(*marker["part"]) if marker else None


def part_account(folder: str, index: int, num_samples: int) -> Account:
    """Returns the account of a finished part."""
    marker = read_marker(part_file(folder, index, MARKER))
    if marker is None:
        raise InputError(f"{folder}: part {index} is not there. Give --restart to begin anew.")
    return Account.from_json(marker["account"], num_samples)


class PartCleaner:
    """Cleans parts; one works in each process."""

    def __init__(self, sources: tuple[Source, ...], settings: PartSettings):
        self._sources = sources
        self._settings = settings
        self._cleaners: dict[int, Cleaner] = {}
        self._signer = Signer() if settings.near_duplicates else None
        self._more_filters = []
        if settings.decontamination:
            decontamination = Decontamination.read(settings.decontamination)
            self._more_filters = [("decontamination", decontamination.drops)]

    def clean(self, part: Part) -> CleanedPart:
        """Reads and cleans a part and leaves its files in the work folder, the marker last.

        Raises:
          InputError: A file cannot be read; or a record, in strict mode.
        """
        settings = self._settings
        started = time.process_time()
        source = self._sources[part.source]
        account = Account(settings.num_samples, f"{settings.seed}:{part.index}")
        with_lines = settings.all_line_hashes or "lines" in source.settings.deduplicate
        output = _Output(with_lines, self._signer)
        cleaner = self._cleaner(part.source)
        text_path = part_file(settings.folder, part.index, TEXT)
        with atomic_outputs([text_path]) as (text_file,):
            for documents in batches(self._documents(part, source, account)):
                for lines in cleaner.clean(documents, account):
                    if lines:
                        text_file.write(output.add(lines))
        output.write(settings.folder, part.index)
        account.seconds = time.process_time() - started
        cleaned = CleanedPart(
            part.index, output.num_documents, output.num_lines, os.path.getsize(text_path)
        )
        write_marker(
            part_file(settings.folder, part.index, MARKER),
            {"part": list(cleaned), "account": account.to_json()},
        )
        return cleaned

    def _documents(self, part: Part, source: Source, account: Account) -> Iterator[Document]:
        """Yields the documents of a part, and enters what else its files have."""
        for file_part in part.files:
            for record in read_part(source, file_part, self._settings.errors):
                if isinstance(record, Document):
                    yield record
                elif isinstance(record, BrokenRecord):
                    self._enter_broken(record, account)
                else:
                    _enter_file(record, file_part, account)

    def _cleaner(self, source: int) -> Cleaner:
        if source not in self._cleaners:
            settings = self._sources[source].settings
            self._cleaners[source] = Cleaner(settings, self._more_filters)
        return self._cleaners[source]

    def _enter_broken(self, record: BrokenRecord, account: Account) -> None:
        if self._settings.strict:
            raise InputError(
                f"{record.place}: {record.problem}: {record.sample!r}. Mend the record, or leave "
                "out --strict to have such records skipped and counted."
            )
        account.enter_broken(record.problem, record.place, record.sample)


def clean_part(cleaner: PartCleaner, part: Part) -> CleanedPart:
    """Cleans a part, as a function that a process can be given."""
    return cleaner.clean(part)


def batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    """Yields documents together that have some kilobytes of text."""
    batch: list[Document] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += sum(map(len, document.paragraphs))
        if size >= _BATCH_CHARACTERS or len(batch) == _BATCH_DOCUMENTS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _enter_file(file: InputFile, file_part: FilePart, account: Account) -> None:
    if file_part.share:
        return
    if not file_part.begin:
        account.files += 1
        account.encodings[file.encoding] = account.encodings.get(file.encoding, 0) + 1
    account.replaced_characters += file.num_replaced


class _Output:
    """Gathers what the rest of the run has to know of the documents of a part."""

    def __init__(self, with_lines: bool, signer: Signer | None):
        self.num_documents = 0
        self.num_lines = 0
        self._with_lines = with_lines
        self._signer = signer
        self._line_hashes = array.array("Q")
        self._document_hashes = array.array("Q")
        self._document_of_line = array.array("I")
        self._signatures: list[np.ndarray | None] = []

    def add(self, lines: list[str]) -> bytes:
        """Enters a document, and returns its text as it stands in the part's file."""
        text = "\n".join(lines)
        self._document_hashes.append(hash_text(text))
        if self._with_lines:
            self._line_hashes.extend(map(hash_text, lines))
            self._document_of_line.extend([self.num_documents] * len(lines))
        if self._signer is not None:
            self._signatures.append(self._signer.signature(text))
        separator = "\n\n" if self.num_documents else ""
        self.num_documents += 1
        self.num_lines += len(lines)
        return (separator + text).encode("utf-8", "replace")

    def write(self, folder: str, part: int) -> None:
        """Writes the hashes and signatures."""
        write_hashes(
            part_file(folder, part, DOCUMENTS),
            np.array(self._document_hashes, dtype=np.uint64),
            np.arange(self.num_documents, dtype=np.uint32),
        )
        write_hashes(
            part_file(folder, part, LINES),
            np.array(self._line_hashes, dtype=np.uint64),
            np.array(self._document_of_line, dtype=np.uint32),
        )
        if self._signer is not None:
            write_signatures(part_file(folder, part, SIGNATURES), self._signatures)
