"""Makes the records that BERT is pre-trained on: text in, TFRecord files out.

Example:
  python bert/create_pretraining_data.py --input_file="text/*.txt" --vocab_file=vocab.txt \\
    --do_lower_case=False --output_file=records/train.tfrecord

With --num_shards, or --max_memory_mb, a text of any size in bounded memory, and by several
processes: records/train.tfrecord-00000-of-00100 and so on. create_pretraining_data_beam.py makes
the same shards by a cluster.
"""

import contextlib
import functools
import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from absl import flags, logging
from tqdm import tqdm

from deeq_bert.bert import record_flags, record_reports, record_runs, shard_folders
from deeq_bert.bert.documents import Documents, TextCounts
from deeq_bert.bert.record_making import (
    RecordCounts,
    RecordMaker,
    RecordSettings,
    SequenceLength,
    empty_documents,
)
from deeq_bert.bert.record_shards import Shard, ShardMaker, ShardRun
from deeq_bert.bert.tokenization import Tokenizer, make_tokenizer
from deeq_bert.tokenizers import command_line, files, parallel, tokenizer_flags
from deeq_bert.tokenizers.processes import default_num_workers, map_in_processes
from deeq_bert.tokenizers.text_files import find_text_files

FLAGS = flags.FLAGS

for module in (record_flags, record_runs):
    flags.adopt_module_key_flags(module)


def main() -> None:
    """Makes the records that the flags ask for."""
    started = time.monotonic()
    record_flags.check_record_flags()
    record_runs.check_shard_flags()
    tokenizer_settings = tokenizer_flags.tokenizer_settings()
    tokenizer, contract = tokenizer_flags.load_tokenizer(tokenizer_settings)
    settings = record_flags.record_settings(tokenizer_settings, tokenizer, contract)
    input_files = find_text_files("input_file", FLAGS.input_file)
    num_bytes = sum(map(os.path.getsize, input_files))
    record_reports.tell_if_not_compiled()
    logging.info("*** Reading from input files ***")
    for path in input_files:
        logging.info("  %s", path)
    output_files = record_runs.prepare_output_files(input_files)
    if record_runs.is_sharded():
        text, counts = record_runs.make_shards(
            input_files, output_files[0], settings, tokenizer, _make_shards
        )
    else:
        text, counts = _make_files(input_files, output_files, settings, tokenizer)
    record_runs.report(text, counts, settings, output_files)
    record_reports.log_speed(num_bytes, time.monotonic() - started)


def _make_files(
    input_files: list[str],
    output_files: list[str],
    settings: RecordSettings,
    tokenizer: Tokenizer,
) -> tuple[TextCounts, list[RecordCounts]]:
    """Makes records of the text as one whole, as the original does."""
    for length in settings.lengths:
        for path in record_runs.names_of_length(output_files, length):
            shard_folders.refuse_shards(path)
    num_workers = tokenizer_flags.num_workers(settings.tokenizer.name)
    # With several processes this one tokenizes nothing, so that no analyser is started in it.
    factory = lambda: tokenizer  # noqa: E731
    if num_workers > 1:
        factory = functools.partial(make_tokenizer, settings.tokenizer)
    documents = empty_documents(settings, tokenizer)
    _read_documents(documents, input_files, factory, num_workers)
    tokenizer.close()
    return documents.counts, [
        _make_records(
            documents,
            tokenizer,
            settings,
            length,
            record_runs.names_of_length(output_files, length),
        )
        for length in settings.lengths
    ]


def _make_records(
    documents: Documents,
    tokenizer: Tokenizer,
    settings: RecordSettings,
    length: SequenceLength,
    paths: list[str],
) -> RecordCounts:
    with tqdm(
        total=len(documents) * settings.dupe_factor,
        unit=" documents",
        desc="Making instances",
        disable=None,
    ) as progress_bar:
        maker = RecordMaker(
            documents, tokenizer, settings, length, settings.random_seed, progress_bar.update
        )
    record_reports.log_first_examples(maker.examples(), tokenizer)
    logging.info("*** Writing to output files ***")
    for path in paths:
        logging.info("  %s", path)
    maker.write(paths, settings.facts(length, tokenizer, documents.counts))
    return maker.counts


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
        lines_read, is_decomposed = 0, False
        for lines, tokenized in blocks:
            documents.add_lines(lines, tokenized)
            if lines_read < record_runs.SAMPLE_LINES:
                lines_read += len(lines)
                is_decomposed = is_decomposed or record_runs.is_lower_cased_hangul(lines)
                if lines_read >= record_runs.SAMPLE_LINES:
                    progress_bar.clear()
                    record_reports.warn_of_unknown_tokens(documents.counts, is_decomposed)
    if lines_read < record_runs.SAMPLE_LINES:
        record_reports.warn_of_unknown_tokens(documents.counts, is_decomposed)
    if not len(documents):
        raise record_runs.no_text_error()


def _read_lines(input_files: Iterable[str], progress_bar: tqdm) -> Iterator[str]:
    for path in input_files:
        if progress_bar.disable:
            yield from files.read_lines(path)
        else:
            for line in files.read_lines(path):
                yield line
                progress_bar.update(len(line.encode()) + 1)


def _make_shards(run: ShardRun, shards: list[Shard]) -> list[list[dict[str, Any]]]:
    """Makes shards by processes of this machine (see `record_runs.MakeShards`)."""
    made = map_in_processes(
        ShardMaker.make,
        functools.partial(ShardMaker, run),
        shards,
        FLAGS.num_workers or default_num_workers(),
    )
    infos = []
    with (
        contextlib.closing(made),
        tqdm(
            total=sum(shard.num_bytes for shard in shards),
            unit="B",
            unit_scale=True,
            desc="Making shards",
            disable=None,
        ) as progress_bar,
    ):
        for shard, shard_infos in zip(shards, made, strict=True):
            infos.append(shard_infos)
            progress_bar.update(shard.num_bytes)
    return infos


if __name__ == "__main__":
    command_line.run(main)
