"""A run of record making as the flags ask for it, whoever does the work.

Records in shards are made by the processes of one machine or by the workers of a cluster: the
scripts differ in that, and in nothing else.
"""

import itertools
import os
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from absl import flags, logging

from deeq_bert.bert import record_flags, record_info, record_reports, record_shards
from deeq_bert.bert.documents import TextCounts
from deeq_bert.bert.record_making import (
    LENGTH_MARK,
    RecordCounts,
    RecordSettings,
    SequenceLength,
    empty_documents,
    name_of_length,
)
from deeq_bert.bert.record_shards import Shard, ShardRun
from deeq_bert.bert.records import read_records
from deeq_bert.bert.tokenization import Tokenizer
from deeq_bert.tokenizers import files, parallel, registry
from deeq_bert.tokenizers.errors import InputError

FLAGS = flags.FLAGS

flags.DEFINE_integer(
    "num_shards",
    None,
    "Into how many files to divide the records. Each is made of a random part of the text by "
    "itself, and a run that was stopped goes on with those that are missing. From 1 to 99999; "
    "without it, as many as --max_memory_mb asks for.",
)
flags.DEFINE_integer(
    "max_memory_mb",
    None,
    "How many megabytes of memory each of the processes may take that make shards, which decides "
    "how much text a shard may have. At least 256.",
)
flags.DEFINE_bool(
    "overwrite",
    False,
    "Whether to replace shards that were made of other text or with other flags, instead of "
    "refusing to. For --num_shards and --max_memory_mb.",
)

# Makes shards of a run, and gives what stands beside the files of each, in their order.
MakeShards = Callable[[ShardRun, list[Shard]], list[list[dict[str, Any]]]]

# The [UNK] share of so many lines tells whether text and vocabulary belong together.
SAMPLE_LINES = 1000

_HANGUL = re.compile("[\uac00-\ud7a3]")


def is_sharded() -> bool:
    """Whether the flags ask for shards."""
    return FLAGS.num_shards is not None or FLAGS.max_memory_mb is not None


def check_shard_flags() -> None:
    """Checks the flags of shards.

    Raises:
      InputError: A value is out of its range, or the output is several files.
    """
    for name, lowest in (("num_shards", 1), ("max_memory_mb", 256)):
        value = FLAGS[name].value
        if value is not None and value < lowest:
            raise InputError(f"--{name}={value}: must be {lowest} or more.")
    if FLAGS.num_shards is not None and FLAGS.num_shards > 99_999:
        raise InputError(f"--num_shards={FLAGS.num_shards}: must be 99999 or less.")
    if FLAGS.num_workers < 0:
        raise InputError(f"--num_workers={FLAGS.num_workers}: must be 0 or more.")
    if is_sharded() and "," in FLAGS.output_file:
        raise InputError(
            f"--output_file={FLAGS.output_file}: with --num_shards or --max_memory_mb it is what "
            "the names of all shards begin with. Give one name."
        )


def names_of_length(output_files: Sequence[str], length: SequenceLength) -> list[str]:
    """Returns the names of the files of a length (see `name_of_length`)."""
    return [name_of_length(path, length) for path in output_files]


def prepare_output_files(input_files: Iterable[str]) -> list[str]:
    """Makes the folders of what --output_file names, and returns these names.

    The length may be left open in them.

    Raises:
      InputError: They cannot be written, or what is read would be overwritten.
    """
    output_files = [path for part in FLAGS.output_file.split(",") if (path := part.strip())]
    if not output_files:
        raise InputError(
            f"--output_file={FLAGS.output_file}: names no file. Give the path of the file to write."
        )
    lengths = record_flags.sequence_lengths()
    mark = LENGTH_MARK
    if len(lengths) > 1 and not all(mark in path for path in output_files):
        raise InputError(
            f"--output_file={FLAGS.output_file}: with {len(lengths)} lengths it must have {mark}, "
            f"which stands for the length, as in records/train-{mark}.tfrecord."
        )
    taken = {os.path.realpath(path): "--input_file" for path in input_files}
    taken[os.path.realpath(FLAGS.vocab_file)] = "--vocab_file"
    paths = [path for length in lengths for path in names_of_length(output_files, length)]
    for path in [*paths, *map(record_info.info_path, paths)]:
        flag = taken.setdefault(os.path.realpath(path), "--output_file")
        if flag != "--output_file":
            raise InputError(
                f"--output_file={path} would overwrite what {flag} names. Choose another name."
            )
    if len({os.path.realpath(path) for path in paths}) < len(paths):
        raise InputError(
            f"--output_file={FLAGS.output_file}: names a file twice. Choose different names."
        )
    for path in paths:
        files.make_parent_folder(path)
    return output_files


def is_lower_cased_hangul(lines: Iterable[str]) -> bool:
    """Whether --do_lower_case takes some of the lines apart."""
    return FLAGS.do_lower_case and any(map(_HANGUL.search, lines))


def no_text_error() -> InputError:
    """Returns the error for input without a sentence."""
    return InputError(
        f"--input_file={FLAGS.input_file}: there is no text in it. Expected a sentence a line and "
        "a blank line between documents."
    )


def make_shards(
    input_files: list[str],
    output_file: str,
    settings: RecordSettings,
    tokenizer: Tokenizer,
    make: MakeShards,
) -> tuple[TextCounts, list[RecordCounts]]:
    """Makes records in shards, those that are not there yet, and what stands beside each set.

    Args:
      input_files: The text.
      output_file: What the names of the shards begin with; the length may be left open.
      settings: How the records are made.
      tokenizer: What a part of the text is tried with; it is closed before shards are made.
      make: Makes shards.

    Returns:
      What was read for all shards, and what the records of each length add up to.

    Raises:
      InputError: The text cannot be read or divided, shards are there of another run, or `make`
        raised it.
    """
    _try_text(input_files, settings, tokenizer)
    shards = record_shards.plan_shards(
        input_files,
        settings,
        FLAGS.num_shards,
        FLAGS.max_memory_mb,
        registry.uses_analyzer(settings.tokenizer.name) and not settings.tokenizer.analyzer.server,
    )
    run = record_shards.shard_run(input_files, settings, output_file, len(shards))
    record_shards.prepare_outputs(run, len(shards), FLAGS.overwrite)
    done = {
        shard.number: infos
        for shard in shards
        if (infos := record_shards.finished_shard(run, shard)) is not None
    }
    waiting = [shard for shard in shards if shard.number not in done]
    logging.info(
        "%d shards, of about %.1f MB of text each%s.",
        len(shards),
        sum(shard.num_bytes for shard in shards) / len(shards) / 1e6,
        f"; {len(done)} of them are done already" if done else "",
    )
    try:
        for shard, infos in zip(waiting, make(run, waiting), strict=True):
            done[shard.number] = infos
    finally:
        # Workers that are ended on the way leave what they were writing.
        record_shards.remove_leftovers(run)
    infos = [done[shard.number] for shard in shards]
    text, counts = record_shards.add_up(infos)
    if not text.sentences:
        record_shards.remove_shards(run, shards)
        raise no_text_error()
    record_shards.finish_sets(run, infos)
    first_shard = run.outputs[0].shard_path(shards[0])
    record_reports.log_first_examples(read_records(first_shard), tokenizer)
    record_reports.warn_of_few_documents(text.documents / len(shards))
    return text, counts


def _try_text(input_files: list[str], settings: RecordSettings, tokenizer: Tokenizer) -> None:
    """Tells, before all the work, when the vocabulary does not know the text."""
    sample = empty_documents(settings, tokenizer)
    lines = list(
        itertools.islice(itertools.chain(*map(files.read_lines, input_files)), SAMPLE_LINES)
    )
    for some_lines, tokenized in parallel.tokenize_blocks_by(tokenizer, lines):
        sample.add_lines(some_lines, tokenized)
    tokenizer.close()
    record_reports.warn_of_unknown_tokens(sample.counts, is_lower_cased_hangul(lines))


def report(
    text: TextCounts,
    counts: Sequence[RecordCounts],
    settings: RecordSettings,
    output_files: Sequence[str],
) -> None:
    """Tells what was read and made.

    Args:
      text: What was read.
      counts: What the records of each length add up to.
      settings: How they were made.
      output_files: Where they went; the length may be left open.
    """
    record_reports.log_text(text)
    for length, made in zip(settings.lengths, counts):
        names = names_of_length(output_files, length)
        shown = ", ".join(f"{name}-*" if is_sharded() else name for name in names)
        record_reports.log_records(made, length.max_seq_length, shown)
    record_reports.warn_of_next_sentences(text, counts[0])
