"""Documents to files of records, and what is to be known of these."""

import dataclasses
import functools
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from deeq_bert.bert import record_info
from deeq_bert.bert.documents import Documents, TextCounts
from deeq_bert.bert.example_encoding import ExampleEncoder
from deeq_bert.bert.instance_blocks import InstanceReader
from deeq_bert.bert.instances import Instances, make_instances
from deeq_bert.bert.masking import MaskingChoice
from deeq_bert.bert.records import frame_record
from deeq_bert.tokenizers.base import Tokenizer, TokenizerSettings
from deeq_bert.tokenizers.files import atomic_outputs
from deeq_bert.tokenizers.vocabulary import MASK, UNK

# What stands for the length in the name of an output file.
LENGTH_MARK = "{length}"

# So many instances are put together at once.
_INSTANCES_AT_ONCE = 1024
# In how many ranges of equal width lengths are counted.
LENGTH_RANGES = 16


class SequenceLength(NamedTuple):
    """The lengths of the features of records.

    Attributes:
      max_seq_length: How many ids an instance has, with padding.
      max_predictions_per_seq: How many of them are to be predicted at most.
    """

    max_seq_length: int
    max_predictions_per_seq: int


@dataclasses.dataclass(frozen=True)
class RecordSettings:
    """What records depend on besides the text.

    Attributes:
      tokenizer: What makes the tokenizer.
      contract: What goes beside the records about it.
      lengths: Of the records; for each there is a set of its own.
      mask_unit: What is masked as a whole, "token", "morpheme" or "word"; None where the masks are
        drawn when the records are read.
      masked_lm_prob: The share of tokens to predict.
      short_seq_prob: The share of documents that are cut into shorter instances.
      dupe_factor: How often each document is used.
      random_seed: What the random choices start from.
    """

    tokenizer: TokenizerSettings
    contract: dict[str, Any]
    lengths: tuple[SequenceLength, ...]
    mask_unit: str | None
    masked_lm_prob: float
    short_seq_prob: float
    dupe_factor: int
    random_seed: int

    def choices(self, length: SequenceLength, tokenizer: Tokenizer) -> dict[str, Any]:
        """Returns how records of a length were made, or what masking them takes."""
        choices = {
            "max_seq_length": length.max_seq_length,
            "short_seq_prob": self.short_seq_prob,
            "dupe_factor": self.dupe_factor,
            "random_seed": self.random_seed,
            "dynamic_masking": self.mask_unit is None,
        }
        if self.mask_unit is None:
            return {
                **choices,
                "mask_id": tokenizer.vocab[MASK],
                # A random word may be any of the vocabulary.
                "num_ids": max(tokenizer.vocab.values()) + 1,
                "mask_units": list(tokenizer.mask_units),
            }
        return {
            **choices,
            "max_predictions_per_seq": length.max_predictions_per_seq,
            "masked_lm_prob": self.masked_lm_prob,
            "mask_unit": self.mask_unit,
        }

    def facts(
        self, length: SequenceLength, tokenizer: Tokenizer, text: TextCounts
    ) -> dict[str, Any]:
        """Returns what is told beside records of a length besides what they add up to."""
        return {
            **self.choices(length, tokenizer),
            **dataclasses.asdict(text),
            "vocab_file": os.path.abspath(self.tokenizer.vocab_file),
            "tokenizer": self.contract,
        }


@dataclasses.dataclass
class RecordCounts:
    """What records add up to; the names are those beside the records.

    Attributes:
      records: How many.
      instance_tokens: Their ids, without padding.
      random_next: Those whose second segment is from a random place.
      predictions: Their tokens to predict.
      length_counts: How many have a length in each of 16 ranges, as many ids each, from 1 on.
    """

    records: int = 0
    instance_tokens: int = 0
    random_next: int = 0
    predictions: int = 0
    length_counts: list[int] = dataclasses.field(default_factory=lambda: [0] * LENGTH_RANGES)

    @classmethod
    def of(cls, instances: Instances, numbers: np.ndarray, max_seq_length: int) -> "RecordCounts":
        """Counts the instances of some numbers."""
        lengths = instances.lengths[numbers]
        ranges = (lengths.astype(np.int64) - 1) * LENGTH_RANGES // max_seq_length
        predictions = np.diff(instances.prediction_ends, prepend=0)[numbers]
        return cls(
            len(numbers),
            int(lengths.sum(dtype=np.int64)),
            int(np.count_nonzero(instances.random_next[numbers])),
            int(predictions.sum()),
            np.bincount(ranges, minlength=LENGTH_RANGES).tolist(),
        )


def name_of_length(name: str, length: SequenceLength) -> str:
    """Returns the name of a file of records of a length, which stands there for LENGTH_MARK."""
    return name.replace(LENGTH_MARK, str(length.max_seq_length))


def empty_documents(settings: RecordSettings, tokenizer: Tokenizer) -> Documents:
    """Returns what collects the documents that records with these settings are made of."""
    return Documents(
        max(tokenizer.vocab.values()) + 1,
        tokenizer.vocab[UNK],
        # Tokens tell by themselves where each is a unit, or which continue one.
        keep_units=settings.mask_unit != "token",
    )


class RecordMaker:
    """Makes the records of one length of some documents.

    Attributes:
      counts: What all records add up to.
    """

    def __init__(
        self,
        documents: Documents,
        tokenizer: Tokenizer,
        settings: RecordSettings,
        length: SequenceLength,
        seed: int | str,
        progress: Callable[[int], object] | None = None,
    ) -> None:
        """Makes the instances.

        Args:
          documents: With a sentence at least.
          tokenizer: What they were tokenized with; its vocabulary is used.
          settings: How.
          length: One of those of the settings.
          seed: Of the random choices, as for `random.Random`.
          progress: Called with the number of documents done since the last call.
        """
        masking = None
        if settings.mask_unit is not None:
            masking = MaskingChoice(
                settings.masked_lm_prob, length.max_predictions_per_seq, settings.mask_unit
            )
        self._length = length
        self._instances, order = make_instances(
            documents,
            tokenizer,
            masking,
            length.max_seq_length,
            settings.dupe_factor,
            settings.short_seq_prob,
            seed,
            progress,
        )
        self._order = np.frombuffer(order, np.int64)
        self._reader = InstanceReader(documents, tokenizer, self._instances)
        self._encoder = _encoder(
            length.max_seq_length,
            length.max_predictions_per_seq if masking else None,
            max(tokenizer.vocab.values()) + 1,
        )
        self.counts = self._count(self._order)

    def examples(self) -> Iterator[bytes]:
        """Yields the serialised examples in their order."""
        for start in range(0, len(self._order), _INSTANCES_AT_ONCE):
            numbers = self._order[start : start + _INSTANCES_AT_ONCE]
            yield from self._encoder.encode(self._reader.read(numbers))

    def write(self, paths: Sequence[str], facts: dict[str, Any]) -> list[dict[str, Any]]:
        """Writes the records into files, in turn, and beside each what is known of it.

        Each file, and what stands beside it, appears complete or not at all.

        Args:
          paths: The files.
          facts: What is known besides what the records add up to.

        Returns:
          What is known of each file, as it stands beside it.

        Raises:
          InputError: A file cannot be written.
        """
        infos = []
        info_paths = [record_info.info_path(path) for path in paths]
        with atomic_outputs([*paths, *info_paths]) as outputs:
            files = [_HashedFile(output) for output in outputs[: len(paths)]]
            self._write(files)
            for index, (file, info_output) in enumerate(zip(files, outputs[len(paths) :])):
                infos.append(
                    {
                        "bytes": file.num_bytes,
                        "sha256": file.sha256.hexdigest(),
                        **dataclasses.asdict(self._count(self._order[index :: len(files)])),
                        **facts,
                    }
                )
                info_output.write(record_info.encode_info(infos[-1]))
        return infos

    def _write(self, files: "list[_HashedFile]") -> None:
        count = len(files)
        # Whose turn it is at the next record.
        first = 0
        for start in range(0, len(self._order), _INSTANCES_AT_ONCE):
            numbers = self._order[start : start + _INSTANCES_AT_ONCE]
            framed = list(map(frame_record, self._encoder.encode(self._reader.read(numbers))))
            for turn in range(count):
                files[(first + turn) % count].write(b"".join(framed[turn::count]))
            first += len(framed)

    def _count(self, numbers: np.ndarray) -> RecordCounts:
        return RecordCounts.of(self._instances, numbers, self._length.max_seq_length)


@functools.lru_cache(maxsize=8)
def _encoder(
    max_seq_length: int, max_predictions_per_seq: int | None, num_ids: int
) -> ExampleEncoder:
    # Its tables take a tenth of a second, and many small shards have the same.
    return ExampleEncoder(max_seq_length, max_predictions_per_seq, num_ids)


class _HashedFile:
    """A file, and what has been written into it.

    Attributes:
      num_bytes: How many bytes.
      sha256: Their hash.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.num_bytes = 0
        self.sha256 = hashlib.sha256()
        self._file = file

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self.sha256.update(data)
        self.num_bytes += len(data)
