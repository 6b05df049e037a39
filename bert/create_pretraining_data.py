"""Makes the records that BERT is pre-trained on: text in, TFRecord files out.

Example:
  python bert/create_pretraining_data.py --input_file="text/*.txt" --vocab_file=vocab.txt \\
    --do_lower_case=False --output_file=records/train.tfrecord

With --num_shards, or --max_memory_mb, a text of any size in bounded memory, and by several
processes: records/train.tfrecord-00000-of-00100 and so on.
"""

import functools
import itertools
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from absl import flags, logging
from tqdm import tqdm

from deeq_bert.bert import record_flags, record_reports, record_shards
from deeq_bert.bert.documents import Documents, TextCounts
from deeq_bert.bert.record_making import (
    LENGTH_MARK,
    RecordCounts,
    RecordMaker,
    RecordSettings,
    SequenceLength,
    empty_documents,
    name_of_length,
)
from deeq_bert.bert.records import read_records
from deeq_bert.bert.tokenization import Tokenizer, make_tokenizer
from deeq_bert.tokenizers import command_line, files, parallel, registry, tokenizer_flags
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.processes import default_num_workers, map_in_processes
from deeq_bert.tokenizers.text_files import find_text_files

FLAGS = flags.FLAGS

flags.adopt_module_key_flags(record_flags)
flags.DEFINE_integer(
    "num_shards",
    None,
    "Into how many files to divide the records. Each is made of a random part of the text by "
    "itself, as --num_workers processes get to it, and a run that was stopped goes on with those "
    "that are missing. At least 1; without it, as many as --max_memory_mb asks for, and with "
    "neither the text is one whole, as in the original.",
)
flags.DEFINE_integer(
    "max_memory_mb",
    None,
    "How many megabytes of memory each of the --num_workers processes may take, which decides how "
    "much text a shard may have. At least 256.",
)
flags.DEFINE_bool(
    "overwrite",
    False,
    "Whether to replace shards that were made of other text or with other flags, instead of "
    "refusing to. For --num_shards and --max_memory_mb.",
)

# The [UNK] share of so many lines tells whether text and vocabulary belong together.
_SAMPLE_LINES = 1000

_HANGUL = re.compile("[\uac00-\ud7a3]")


def main() -> None:
    """Makes the records that the flags ask for."""
    started = time.monotonic()
    record_flags.check_record_flags()
    is_sharded = FLAGS.num_shards is not None or FLAGS.max_memory_mb is not None
    _check_shard_flags(is_sharded)
    tokenizer_settings = tokenizer_flags.tokenizer_settings()
    tokenizer, contract = tokenizer_flags.load_tokenizer(tokenizer_settings)
    settings = record_flags.record_settings(tokenizer_settings, tokenizer, contract)
    input_files = find_text_files("input_file", FLAGS.input_file)
    logging.info("*** Reading from input files ***")
    for path in input_files:
        logging.info("  %s", path)
    output_files = _prepare_output_files(input_files)
    if is_sharded:
        text, counts = _make_shards(input_files, output_files, settings, tokenizer)
    else:
        text, counts = _make_files(input_files, output_files, settings, tokenizer)
    record_reports.log_text(text)
    for length, made in zip(settings.lengths, counts):
        names = _names(output_files, length)
        shown = ", ".join(f"{name}-*" if is_sharded else name for name in names)
        record_reports.log_records(made, length.max_seq_length, shown)
    record_reports.log_speed(sum(map(os.path.getsize, input_files)), time.monotonic() - started)
    record_reports.warn_of_next_sentences(text, counts[0])


def _check_shard_flags(is_sharded: bool) -> None:
    for name, lowest in (("num_shards", 1), ("max_memory_mb", 256)):
        value = FLAGS[name].value
        if value is not None and value < lowest:
            raise InputError(f"--{name}={value}: must be {lowest} or more.")
    if FLAGS.num_shards is not None and FLAGS.num_shards > 99_999:
        raise InputError(f"--num_shards={FLAGS.num_shards}: must be 99999 or less.")
    if is_sharded and "," in FLAGS.output_file:
        raise InputError(
            f"--output_file={FLAGS.output_file}: with --num_shards or --max_memory_mb it is what "
            "the names of all shards begin with. Give one name."
        )


def _names(output_files: Sequence[str], length: SequenceLength) -> list[str]:
    return [name_of_length(path, length) for path in output_files]


def _prepare_output_files(input_files: Iterable[str]) -> list[str]:
    """Returns the names to write, in which the length may be left open."""
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
    paths = [path for length in lengths for path in _names(output_files, length)]
    for path in paths:
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


def _make_files(
    input_files: list[str],
    output_files: list[str],
    settings: RecordSettings,
    tokenizer: Tokenizer,
) -> tuple[TextCounts, list[RecordCounts]]:
    """Makes records of the text as one whole, as the original does."""
    num_workers = tokenizer_flags.num_workers(settings.tokenizer.name)
    # With several processes this one tokenizes nothing, so that no analyser is started in it.
    factory = lambda: tokenizer  # noqa: E731
    if num_workers > 1:
        factory = functools.partial(make_tokenizer, settings.tokenizer)
    documents = empty_documents(settings, tokenizer)
    _read_documents(documents, input_files, factory, num_workers)
    tokenizer.close()
    all_counts = []
    for length in settings.lengths:
        with _progress_bar(len(documents) * settings.dupe_factor, "Making instances") as bar:
            maker = RecordMaker(
                documents, tokenizer, settings, length, settings.random_seed, bar.update
            )
        record_reports.log_first_examples(maker.examples(), tokenizer)
        paths = _names(output_files, length)
        logging.info("*** Writing to output files ***")
        for path in paths:
            logging.info("  %s", path)
        maker.write(paths, settings.facts(length, tokenizer, documents.counts))
        all_counts.append(maker.counts)
    return documents.counts, all_counts


def _read_documents(
    documents: Documents,
    input_files: list[str],
    factory: Callable[[], Tokenizer],
    num_workers: int,
) -> None:
    size = sum(os.path.getsize(path) for path in input_files)
    with tqdm(
        total=size, unit="B", unit_scale=True, desc="Reading text", disable=None
    ) as progress_bar:
        blocks = parallel.tokenize_blocks(
            factory, _read_lines(input_files, progress_bar), num_workers
        )
        lines_read, has_hangul = 0, False
        for lines, tokenized in blocks:
            documents.add_lines(lines, tokenized)
            if lines_read < _SAMPLE_LINES:
                lines_read += len(lines)
                has_hangul = has_hangul or any(map(_HANGUL.search, lines))
                if lines_read >= _SAMPLE_LINES:
                    progress_bar.clear()
                    record_reports.warn_of_unknown_tokens(
                        documents.counts, FLAGS.do_lower_case and has_hangul
                    )
    if lines_read < _SAMPLE_LINES:
        record_reports.warn_of_unknown_tokens(documents.counts, FLAGS.do_lower_case and has_hangul)
    if not len(documents):
        raise InputError(_no_text())


def _no_text() -> str:
    return (
        f"--input_file={FLAGS.input_file}: there is no text in it. Expected a sentence a line and "
        "a blank line between documents."
    )


def _read_lines(input_files: Iterable[str], progress_bar: tqdm) -> Iterator[str]:
    for path in input_files:
        if progress_bar.disable:
            yield from files.read_lines(path)
        else:
            for line in files.read_lines(path):
                yield line
                progress_bar.update(len(line.encode()) + 1)


def _make_shards(
    input_files: list[str],
    output_files: list[str],
    settings: RecordSettings,
    tokenizer: Tokenizer,
) -> tuple[TextCounts, list[RecordCounts]]:
    """Makes records in shards, those that are not there yet."""
    sample = empty_documents(settings, tokenizer)
    lines = itertools.islice(itertools.chain(*map(files.read_lines, input_files)), _SAMPLE_LINES)
    has_hangul = False
    for some_lines, tokenized in parallel.tokenize_blocks_by(tokenizer, lines):
        sample.add_lines(some_lines, tokenized)
        has_hangul = has_hangul or any(map(_HANGUL.search, some_lines))
    tokenizer.close()
    record_reports.warn_of_unknown_tokens(sample.counts, FLAGS.do_lower_case and has_hangul)
    shards = record_shards.plan_shards(
        input_files,
        settings,
        FLAGS.num_shards,
        FLAGS.max_memory_mb,
        registry.uses_analyzer(settings.tokenizer.name) and not settings.tokenizer.analyzer.server,
    )
    run = record_shards.shard_run(input_files, settings, output_files[0], len(shards))
    record_shards.prepare_outputs(run, len(shards), FLAGS.overwrite)
    done = {
        shard.number: infos
        for shard in shards
        if (infos := record_shards.finished_shard(run, shard)) is not None
    }
    waiting = [shard for shard in shards if shard.number not in done]
    num_workers = FLAGS.num_workers or default_num_workers()
    logging.info(
        "%d shards, of about %.1f MB of text each%s.",
        len(shards),
        sum(shard.num_bytes for shard in shards) / len(shards) / 1e6,
        f"; {len(done)} of them are done already" if done else "",
    )
    with tqdm(
        total=sum(shard.num_bytes for shard in waiting),
        unit="B",
        unit_scale=True,
        desc="Making shards",
        disable=None,
    ) as progress_bar:
        made = map_in_processes(
            record_shards.ShardMaker.make,
            functools.partial(record_shards.ShardMaker, run),
            waiting,
            num_workers,
        )
        for shard, infos in zip(waiting, made):
            done[shard.number] = infos
            progress_bar.update(shard.num_bytes)
    infos = [done[shard.number] for shard in shards]
    text, counts = record_shards.add_up(infos)
    if not text.sentences:
        raise InputError(_no_text())
    record_shards.finish_sets(run, infos)
    first_shard = run.outputs[0].shard_path(shards[0])
    record_reports.log_first_examples(read_records(first_shard), tokenizer)
    record_reports.warn_of_few_documents(text.documents / len(shards))
    return text, counts


def _progress_bar(total: int, description: str) -> tqdm:
    return tqdm(total=total, unit=" documents", desc=description, disable=None)


if __name__ == "__main__":
    command_line.run(main)
