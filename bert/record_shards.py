"""Records of a large text, made in shards: by processes on their own, in bounded memory, to go on.

The text is divided by documents into blocks, and these are dealt out to shards at random, so that
each shard is a sample of the whole text. A shard is made as the records of a text by itself, with
random choices of its own: random next sentences are from the same shard. It depends on nothing but
text and settings, so that any process on any machine may make it, and what stands beside it, which
is written last, tells that it is done.
"""

import dataclasses
import hashlib
import json
import math
import os
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from deeq_bert.bert import record_info, shard_folders
from deeq_bert.bert.documents import Documents, TextCounts
from deeq_bert.bert.record_info import ShardName, shard_path
from deeq_bert.bert.record_making import (
    RecordCounts,
    RecordMaker,
    RecordSettings,
    SequenceLength,
    empty_documents,
    name_of_length,
)
from deeq_bert.bert.text_blocks import (
    TextBlock,
    TextFile,
    assign_blocks,
    block_size,
    check_unchanged,
    count_bytes,
    describe_file,
    plan_blocks,
    read_block,
)
from deeq_bert.bert.tokenization import make_tokenizer
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import write_atomically
from deeq_bert.tokenizers.parallel import tokenize_blocks_by

# What a process takes that makes shards: the least, and with a morpheme analyser in it (Kiwi), in
# bytes; and for each byte of text of a shard, and again for each use of the text. Measured by
# tests/benchmarks/records_memory.py, and rounded up.
_PROCESS_BYTES, _ANALYZER_BYTES = 150_000_000, 500_000_000
_BYTES_PER_BYTE, _BYTES_PER_BYTE_AND_USE = 2.0, 1.5
# The text of a shard is not planned shorter than this, nor longer than the memory allows by more
# than that factor, which the rounding above covers.
_LEAST_BYTES, _TOLERANCE = 1_000_000, 1.05

Counts = TypeVar("Counts", TextCounts, RecordCounts)

# Of what making shards depends on; to be changed where the same settings give other records.
_VERSION = 1


class Shard(NamedTuple):
    """One of the shards of a run.

    Attributes:
      number: Which, counted from 0.
      count: How many there are.
      blocks: The text.
    """

    number: int
    count: int
    blocks: list[TextBlock]

    @property
    def num_bytes(self) -> int:
        """How long the text is."""
        return sum(block.num_bytes for block in self.blocks)

    @property
    def text_digest(self) -> str:
        """Tells which parts of the files it is made of."""
        ranges = [
            (os.path.basename(path), start, end)
            for block in self.blocks
            for path, start, end in block.ranges
        ]
        return hashlib.sha256(json.dumps(ranges).encode()).hexdigest()[:16]


class OutputSet(NamedTuple):
    """Where the shards of one length go.

    Attributes:
      path: What the names of the shards begin with.
      length: That of the records.
    """

    path: str
    length: SequenceLength

    def shard_path(self, shard: Shard) -> str:
        """Returns where a shard goes."""
        return shard_path(ShardName(self.path, shard.number, shard.count))


@dataclasses.dataclass(frozen=True)
class ShardRun:
    """All that making any of the shards takes, besides its text; it can be pickled.

    Attributes:
      settings: How the records are made.
      outputs: Where they go; one for each length of the settings.
      run: Names text and settings: shards of one run have the same.
      text: Its files, as they were at the start.
    """

    settings: RecordSettings
    outputs: tuple[OutputSet, ...]
    run: str
    text: tuple[TextFile, ...]


def plan_shards(
    input_files: Sequence[str],
    settings: RecordSettings,
    num_shards: int | None,
    max_memory_mb: int | None,
    has_analyzer: bool,
) -> list[Shard]:
    """Divides text into shards.

    Args:
      input_files: The text.
      settings: How records are made.
      num_shards: How many shards; None for as many as the memory asks for.
      max_memory_mb: How many megabytes a process may take; None where `num_shards` decides.
      has_analyzer: Whether a process has a morpheme analyser in it.

    Raises:
      InputError: That cannot be done, or a file cannot be read.
    """
    num_bytes = count_bytes(input_files)
    given, most = num_shards, num_bytes
    remedy = "Put blank lines between its documents."
    if max_memory_mb is not None:
        most = _shard_bytes(settings, max_memory_mb, has_analyzer)
        needed = max(1, math.ceil(num_bytes / most))
        if num_shards is not None and num_shards < needed:
            raise InputError(
                f"--num_shards={num_shards}: with --max_memory_mb={max_memory_mb} a shard is made "
                f"of {most / 1e6:.0f} MB of text at most, and there are {num_bytes / 1e6:.0f} MB. "
                f"Give --num_shards={needed} or more, or more memory."
            )
        num_shards = num_shards or needed
        remedy = "Put blank lines between its documents, or raise --max_memory_mb."
    blocks = plan_blocks(input_files, min(block_size(num_bytes, num_shards), most), most, remedy)
    while True:
        dealt_out = assign_blocks(blocks, num_shards, settings.random_seed)
        shards = [Shard(number, num_shards, blocks) for number, blocks in enumerate(dealt_out)]
        # Only documents that are long themselves do not spread evenly.
        if max(shard.num_bytes for shard in shards) <= most * _TOLERANCE:
            return shards
        if given is not None:
            raise InputError(
                f"--num_shards={given}: the text has long documents, which stay whole, and so "
                f"a shard would have more than the {most / 1e6:.0f} MB of text that "
                f"--max_memory_mb={max_memory_mb} allows. Give more shards, or more memory."
            )
        # At the latest with a block each none is too long.
        num_shards = min(num_shards + math.ceil(num_shards / 20), len(blocks))


def _shard_bytes(settings: RecordSettings, max_memory_mb: int, has_analyzer: bool) -> int:
    """Returns how long the text of a shard may be."""
    process = _PROCESS_BYTES + (_ANALYZER_BYTES if has_analyzer else 0)
    needed = _BYTES_PER_BYTE + _BYTES_PER_BYTE_AND_USE * settings.dupe_factor
    lowest = max(256, math.ceil((process + _LEAST_BYTES * needed) / 1e6))
    if max_memory_mb < lowest:
        raise InputError(
            f"--max_memory_mb={max_memory_mb}: too little, for a process takes "
            f"{process / 1e6:.0f} MB before there is any text, and {needed:g} bytes for each byte "
            f"of it. Give {lowest} or more."
        )
    return int((max_memory_mb * 1e6 - process) / needed)


def shard_run(
    input_files: Sequence[str],
    settings: RecordSettings,
    output_file: str,
    num_shards: int,
) -> ShardRun:
    """Returns what making the shards takes.

    Args:
      input_files: The text, which is told by the names, sizes and times of change of its files.
      settings: How the records are made.
      output_file: What the names of the shards begin with, LENGTH_MARK standing for the length.
      num_shards: How many shards.

    Raises:
      InputError: A file cannot be read.
    """
    text = tuple(describe_file(path) for path in input_files)
    facts = {
        "version": _VERSION,
        "num_shards": num_shards,
        "input_files": [(os.path.basename(path), *described) for path, *described in text],
        "contract": settings.contract,
        "lengths": settings.lengths,
        "mask_unit": settings.mask_unit,
        "masked_lm_prob": settings.masked_lm_prob,
        "short_seq_prob": settings.short_seq_prob,
        "dupe_factor": settings.dupe_factor,
        "random_seed": settings.random_seed,
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    outputs = tuple(
        OutputSet(name_of_length(output_file, length), length) for length in settings.lengths
    )
    return ShardRun(settings, outputs, digest[:16], text)


def prepare_outputs(run: ShardRun, num_shards: int, overwrite: bool) -> None:
    """Makes sure that the shards of a run will be the only ones of their names.

    Args:
      run: The run.
      num_shards: How many shards it has.
      overwrite: Whether to remove what is there of other runs.

    Raises:
      InputError: There are records of another run, or the run would overwrite what it reads.
    """
    read_files = [*(file.path for file in run.text), run.settings.tokenizer.vocab_file]
    for output in run.outputs:
        shard_folders.refuse_to_overwrite(output.path, read_files)
    for output in run.outputs:
        shard_folders.make_way(output.path, run.run, num_shards, overwrite)
    remove_leftovers(run)


def remove_leftovers(run: ShardRun) -> None:
    """Removes what processes of this machine were writing that are gone.

    Raises:
      InputError: That cannot be done.
    """
    for output in run.outputs:
        shard_folders.remove_leftovers(output.path)


def remove_shards(run: ShardRun, shards: Sequence[Shard]) -> None:
    """Removes what has been made of some shards.

    Raises:
      InputError: That cannot be done.
    """
    for output in run.outputs:
        for shard in shards:
            shard_folders.remove_records(output.shard_path(shard))


def finished_shard(run: ShardRun, shard: Shard) -> list[dict[str, Any]] | None:
    """Returns what stands beside the files of a shard; None where one is still to be made."""
    infos = []
    for output in run.outputs:
        info = shard_folders.known_info(output.shard_path(shard))
        is_ours = info is not None and info.get("run") == run.run
        # A plan for less memory may divide the same text in another way.
        if not is_ours or info.get("text") != shard.text_digest:
            return None
        infos.append(info)
    return infos


def add_up(
    infos: Sequence[Sequence[dict[str, Any]]],
) -> tuple[TextCounts, list[RecordCounts]]:
    """Returns what was read for all shards, and what the records of each length add up to.

    Args:
      infos: For each shard what stands beside each of its files.
    """
    text = _sum(TextCounts, [shard_infos[0] for shard_infos in infos])
    return text, [_sum(RecordCounts, of_length) for of_length in zip(*infos)]


def finish_sets(run: ShardRun, infos: Sequence[Sequence[dict[str, Any]]]) -> None:
    """Writes what stands beside each set as a whole, when all shards are made.

    Args:
      run: The run.
      infos: For each shard what stands beside each of its files.
    """
    for output, of_length in zip(run.outputs, zip(*infos)):
        info = _set_info(output.path, of_length)
        write_atomically(record_info.info_path(output.path), record_info.encode_info(info))


def _set_info(path: str, infos: Sequence[dict[str, Any]]) -> dict[str, Any]:
    summed = {
        "bytes": sum(info["bytes"] for info in infos),
        **dataclasses.asdict(_sum(RecordCounts, infos)),
        **dataclasses.asdict(_sum(TextCounts, infos)),
    }
    common = {
        name: value
        for name, value in infos[0].items()
        if name not in summed and name not in ("sha256", "shard", "text")
    }
    shards = [
        {
            "name": os.path.basename(shard_path(ShardName(path, info["shard"], len(infos)))),
            **{name: info[name] for name in ("records", "bytes", "sha256")},
        }
        for info in infos
    ]
    return {**summed, **common, "shards": shards}


def _sum(kind: type[Counts], infos: Sequence[dict[str, Any]]) -> Counts:
    """Adds up the values that have the names of the fields of `kind`; lists place by place."""
    total = dataclasses.asdict(kind())
    for info in infos:
        for name, value in total.items():
            if isinstance(value, list):
                total[name] = list(map(sum, zip(value, info[name])))
            else:
                total[name] = value + info[name]
    return kind(**total)


class ShardMaker:
    """Makes shards, one after the other; one works in each process."""

    def __init__(self, run: ShardRun) -> None:
        """Makes the tokenizer."""
        self._run = run
        self._tokenizer = make_tokenizer(run.settings.tokenizer)
        self._text = {file.path: file for file in run.text}

    def close(self) -> None:
        """Closes the tokenizer."""
        self._tokenizer.close()

    def make(self, shard: Shard) -> list[dict[str, Any]]:
        """Makes the records of a shard, those of each length.

        Returns:
          What stands beside each of the files.

        Raises:
          InputError: The text cannot be read or the records not be written.
        """
        settings = self._run.settings
        documents = empty_documents(settings, self._tokenizer)
        lines = (line for block in shard.blocks for line in self._lines(block))
        for some_lines, tokenized in tokenize_blocks_by(self._tokenizer, lines):
            documents.add_lines(some_lines, tokenized)
        for path in {path for block in shard.blocks for path, _, _ in block.ranges}:
            check_unchanged(self._text[path])
        return [self._write(shard, documents, output) for output in self._run.outputs]

    def _write(self, shard: Shard, documents: Documents, output: OutputSet) -> dict[str, Any]:
        settings = self._run.settings
        maker = RecordMaker(
            documents,
            self._tokenizer,
            settings,
            output.length,
            f"{settings.random_seed},{shard.number}",
        )
        facts = {
            "run": self._run.run,
            "text": shard.text_digest,
            "shard": shard.number,
            "num_shards": shard.count,
            **settings.facts(output.length, self._tokenizer, documents.counts),
        }
        (info,) = maker.write([output.shard_path(shard)], facts)
        return info

    def _lines(self, block: TextBlock) -> Iterator[str]:
        yield from read_block(block)
        # Blocks are whole documents, but the last of the text need not end in a blank line.
        yield ""
