"""The text files of a corpus, written from its cleaned parts and what was decided on them."""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

import numpy as np

from deeq_bert.corpus import part_cleaning
from deeq_bert.corpus.accounting import Account
from deeq_bert.corpus.cleaning import NOTHING_LEFT
from deeq_bert.corpus.deduplication import (
    DUPLICATE,
    REPEATED,
    REPEATED_FIRST,
    contains,
    hash_text,
    read_decisions,
    read_hashes,
)
from deeq_bert.corpus.sources import Source
from deeq_bert.corpus.work_folder import part_file, read_marker, write_marker
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import atomic_outputs

# Kinds of files of a part, made of those that its cleaning left.
LINE_DECISIONS = "line_decisions"
DOCUMENT_DECISIONS = "document_decisions"
NEAR_DECISIONS = "near_decisions"
HELDOUT_LINES = "heldout_lines.npy"

# A shorter line that comes often is what many say, as "감사합니다."; it stays once.
MIN_REPEATED_CHARACTERS = 20

# The names in the report of what is decided over the whole corpus.
DUPLICATE_LINE = "duplicate_lines"
REPEATED_LINE = "repeated_lines"
DUPLICATE_DOCUMENT = "duplicate_documents"
NEAR_RULE = "near_duplicate_documents"
NOT_TAKEN = "not_taken"
HELDOUT_LINE = "heldout_lines"

_HASHES = 1 << 64
_HELDOUT_SALT = 0x9E3779B97F4A7C15
_WEIGHT_SALT = 0xC2B2AE3D27D4EB4F


class Shard(NamedTuple):
    """A text file to write.

    Attributes:
      index: Its number, from 0.
      path: Where it goes.
      parts: The indices of the parts it is made of, with the index of each one's source.
    """

    index: int
    path: str
    parts: tuple[tuple[int, int], ...]


@dataclasses.dataclass(frozen=True)
class WriteSettings:
    """What the writing depends on.

    Attributes:
      folder: The work folder.
      seed: Decides which documents are held out, and which are taken of a source that is not
        taken whole.
      num_samples: How many samples of each rule are kept.
      heldout_fraction: The share of documents that are held out.
      weights: By the index of a source: how often each of its documents is written.
      near_duplicates: Whether near-duplicates were looked for.
    """

    folder: str
    seed: int
    num_samples: int
    heldout_fraction: float
    weights: tuple[float, ...]
    near_duplicates: bool


def shard_marker(index: int) -> str:
    """Returns the name of the marker of a shard that is written."""
    return f"shard-{index:05d}.json"


def heldout_path(folder: str, index: int) -> str:
    """Returns where the held-out documents of a shard stand."""
    return f"{folder}/shard-{index:05d}.heldout"


def is_held_out(document_hashes: np.ndarray, seed: int, fraction: float) -> np.ndarray:
    """Tells which documents are held out, by the hashes of their text."""
    return _units(document_hashes, seed ^ _HELDOUT_SALT) < fraction


class ShardWriter:
    """Writes shards; one works in each process."""

    def __init__(self, sources: tuple[Source, ...], settings: WriteSettings):
        self._sources = sources
        self._settings = settings
        self._heldout_lines = None
        if settings.heldout_fraction:
            path = f"{settings.folder}/{HELDOUT_LINES}"
            self._heldout_lines = np.load(path, mmap_mode="r", allow_pickle=False)

    def write(self, shard: Shard) -> int:
        """Writes a shard, its held-out documents and then its marker, which has the accounts.

        Returns:
          The index of the shard.
        """
        settings = self._settings
        accounts: dict[int, Account] = {}
        paths = [shard.path, heldout_path(settings.folder, shard.index)]
        with atomic_outputs(paths) as (text_file, heldout_file):
            text, heldout = _DocumentFile(text_file), _DocumentFile(heldout_file)
            for part, source in shard.parts:
                seed = f"{settings.seed}:shard:{shard.index}:{source}"
                account = accounts.setdefault(source, Account(settings.num_samples, seed))
                written = []
                for document, is_held in self._documents(part, source, account):
                    if is_held:
                        heldout.write(document)
                        account.enter_heldout(document)
                        continue
                    text.write(document)
                    written.append(document)
                account.enter_output(written)
        write_marker(
            f"{settings.folder}/{shard_marker(shard.index)}",
            {"accounts": {str(source): account.to_json() for source, account in accounts.items()}},
        )
        return shard.index

    def _documents(self, part: int, source: int, account: Account) -> Iterator[tuple[str, bool]]:
        """Yields the documents of a part that are written, and whether they are held out."""
        settings = self._settings
        with open(part_file(settings.folder, part, part_cleaning.TEXT), "rb") as file:
            text = file.read().decode("utf-8")
        documents = text.split("\n\n") if text else []
        line_codes, heldout_lines = self._line_codes(part, source)
        document_rules = self._document_rules(part, len(documents))
        held, copies = self._fates(documents, settings.weights[source])
        end = 0
        for number, document in enumerate(documents):
            begin, end = end, end + document.count("\n") + 1
            if document_rules[number]:
                account.enter_removed_document(document_rules[number], document.split("\n"))
                continue
            codes = line_codes[begin:end]
            elsewhere = b"" if held[number] else heldout_lines[begin:end]
            if codes.strip(b"\0") or elsewhere.strip(b"\0"):
                lines = _keep(document.split("\n"), codes, elsewhere, account)
                if not lines:
                    account.rule(NOTHING_LEFT).removed_documents += 1
                    continue
                document = "\n".join(lines)
            if held[number]:
                yield document, True
                continue
            if not copies[number]:
                account.enter_removed_document(NOT_TAKEN, document.split("\n"))
            for _ in range(copies[number]):
                yield document, False

    def _fates(self, documents: Sequence[str], weight: float) -> tuple[Sequence, Sequence]:
        """Returns for each document whether it is held out, and how often it is written else."""
        settings = self._settings
        if not settings.heldout_fraction and weight == 1:
            return bytes(len(documents)), b"\1" * len(documents)
        hashes = np.fromiter(map(hash_text, documents), np.uint64, len(documents))
        held = is_held_out(hashes, settings.seed, settings.heldout_fraction)
        return held.tolist(), self._copies(hashes, weight)

    def _line_codes(self, part: int, source: int) -> tuple[bytes, bytes]:
        """Returns the decision on each line, and which lines are held out; b"" for none at all."""
        folder = self._settings.folder
        codes = heldout = b""
        if "lines" in self._sources[source].settings.deduplicate:
            codes = read_decisions(part_file(folder, part, LINE_DECISIONS)).tobytes()
        if self._heldout_lines is not None:
            hashes, indices, _ = read_hashes(part_file(folder, part, part_cleaning.LINES))
            is_held = np.zeros(len(hashes), dtype=np.uint8)
            is_held[indices] = contains(self._heldout_lines, hashes)
            heldout = is_held.tobytes()
        return codes, heldout

    def _document_rules(self, part: int, num_documents: int) -> list[str]:
        """Returns for each document the rule that removes it, or ""."""
        folder = self._settings.folder
        decisions = read_decisions(part_file(folder, part, DOCUMENT_DECISIONS))
        if len(decisions) != num_documents:
            raise InputError(f"{folder}: part {part} was changed. Give --restart to begin anew.")
        rules = [DUPLICATE_DOCUMENT if code else "" for code in decisions.tolist()]
        if self._settings.near_duplicates:
            near = read_decisions(part_file(folder, part, NEAR_DECISIONS))
            rules = [
                rule or (NEAR_RULE if code else "") for rule, code in zip(rules, near.tolist())
            ]
        return rules

    def _copies(self, hashes: np.ndarray, weight: float) -> list[int]:
        whole = int(weight)
        more = _units(hashes, self._settings.seed ^ _WEIGHT_SALT) < weight - whole
        return (whole + more.astype(np.int64)).tolist()


def write_shard(writer: ShardWriter, shard: Shard) -> int:
    """Writes a shard, as a function that a process can be given."""
    return writer.write(shard)


def shard_accounts(folder: str, index: int, num_samples: int) -> dict[int, Account]:
    """Returns the accounts of a written shard by the index of the source."""
    marker = read_marker(f"{folder}/{shard_marker(index)}")
    return {
        int(source): Account.from_json(account, num_samples)
        for source, account in marker["accounts"].items()
    }


def _keep(lines: list[str], codes: bytes, heldout: bytes, account: Account) -> list[str]:
    """Returns the lines that stay, by the decision on each and whether it is held out."""
    kept = []
    for line, code, held in itertools.zip_longest(lines, codes, heldout, fillvalue=0):
        is_long = len(line) >= MIN_REPEATED_CHARACTERS
        if is_long and code in (REPEATED, REPEATED_FIRST):
            account.enter_removed_line(REPEATED_LINE, line)
        elif code in (DUPLICATE, REPEATED):
            account.enter_removed_line(DUPLICATE_LINE, line)
        elif held:
            account.enter_removed_line(HELDOUT_LINE, line)
        else:
            kept.append(line)
    return kept


class _DocumentFile:
    """Writes documents with a blank line between them."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self._separator = ""

    def write(self, document: str) -> None:
        self._file.write(f"{self._separator}{document}\n".encode())
        self._separator = "\n"


def _units(hashes: np.ndarray, seed: int) -> np.ndarray:
    """Returns numbers in [0, 1) that the hashes and the seed decide (splitmix64's mixing)."""
    with np.errstate(over="ignore"):
        mixed = hashes + np.uint64(seed % _HASHES)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
        mixed = mixed ^ (mixed >> np.uint64(31))
    return (mixed >> np.uint64(11)).astype(np.float64) / (1 << 53)
