"""Makes records as create_pretraining_data.py --num_shards does, by a cluster, with Apache Beam.

Flags and records are those of create_pretraining_data.py with --num_shards or --max_memory_mb: for
the same text, flags and seed the shards are the same to the byte, whatever the runner and however
many workers it has. A run that was stopped goes on where it was, and may have been begun by the
other script. What stands after -- are options of Beam and of the runner. On one machine
create_pretraining_data.py does the same in less time, and is told when a process dies, for want of
memory for instance: DirectRunner then waits without end, until it is stopped.

What a runner needs: workers with Python that have "deeq-bert[beam]" installed in this version, and
the morpheme analyser, if there is one, as in a container image that --environment_config names or,
on Dataflow, --sdk_container_image; and one file system with the text, the vocabulary and the
output, under the same paths on this machine and on every worker, such as NFS. Buckets (gs://,
s3://, hdfs://) are neither read nor written, but may be mounted where they appear as files that
can be renamed. A worker makes a shard at a time, in the memory that --max_memory_mb names.
FlinkRunner and SparkRunner want Java and download Beam's job server, unless --flink_job_server_jar
or --spark_job_server_jar names one.

Examples:
  python bert/create_pretraining_data_beam.py --input_file="/nfs/text/*.txt" \\
    --vocab_file=/nfs/vocab.txt --do_lower_case=False --output_file=/nfs/records/train.tfrecord \\
    --num_shards=100 -- --direct_running_mode=multi_processing --direct_num_workers=8
  python bert/create_pretraining_data_beam.py --input_file="/nfs/text/*.txt" \\
    --vocab_file=/nfs/vocab.txt --do_lower_case=False --output_file=/nfs/records/train.tfrecord \\
    --num_shards=1000 --runner=FlinkRunner -- --flink_master=flink:8081 --parallelism=64 \\
    --flink_job_server_jar=beam-runners-flink-job-server.jar \\
    --environment_type=EXTERNAL --environment_config=localhost:50000
"""

import dataclasses
import functools
import os
import re
import time

from absl import flags, logging

from deeq_bert.bert import record_flags, record_reports, record_runs
from deeq_bert.bert.tokenization import TokenizerSettings
from deeq_bert.tokenizers import beam_flags, command_line, tokenizer_flags
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.text_files import find_text_files

FLAGS = flags.FLAGS

for module in (record_flags, record_runs, beam_flags):
    flags.adopt_module_key_flags(module)

_PATH_FLAGS = ("input_file", "output_file", "vocab_file", "api_key_file", "morpheme_cache")
_REMOTE = re.compile(r"(?:^|,)\s*([a-z][a-z0-9+.-]*)://", re.IGNORECASE)


def main(beam_options: list[str]) -> None:
    """Makes the records that the flags ask for.

    Args:
      beam_options: The options for Beam.
    """
    started = time.monotonic()
    _check_flags()
    with beam_flags.importing_beam("create_pretraining_data.py with --num_shards"):
        from deeq_bert.bert import beam_records
        from deeq_bert.tokenizers import beam_jobs
    jobs = beam_jobs.Jobs(FLAGS.runner, beam_options)
    tokenizer_settings = _for_workers(tokenizer_flags.tokenizer_settings())
    tokenizer, contract = tokenizer_flags.load_tokenizer(tokenizer_settings)
    settings = record_flags.record_settings(tokenizer_settings, tokenizer, contract)
    input_files = list(map(os.path.abspath, find_text_files("input_file", FLAGS.input_file)))
    num_bytes = sum(map(os.path.getsize, input_files))
    record_reports.tell_if_not_compiled()
    logging.info("*** Reading from input files ***")
    for path in input_files:
        logging.info("  %s", path)
    (output_file,) = map(os.path.abspath, record_runs.prepare_output_files(input_files))
    make = functools.partial(beam_records.make_shards, jobs)
    text, counts = record_runs.make_shards(input_files, output_file, settings, tokenizer, make)
    record_runs.report(text, counts, settings, [output_file])
    record_reports.log_speed(num_bytes, time.monotonic() - started)


def _check_flags() -> None:
    beam_flags.refuse_num_workers()
    record_flags.check_record_flags()
    record_runs.check_shard_flags()
    if not record_runs.is_sharded():
        raise InputError(
            "--num_shards is missing: the workers make records in shards. Give it, or "
            "--max_memory_mb, the megabytes that each of them may take."
        )
    for name in _PATH_FLAGS:
        remote = _REMOTE.search(FLAGS[name].value or "")
        if remote:
            raise InputError(
                f"--{name}={FLAGS[name].value}: {remote[1]}:// is not read or written. Mount that "
                "storage, or a share like NFS, under the same path on this machine and on every "
                "worker, and give this path."
            )


def _for_workers(settings: TokenizerSettings) -> TokenizerSettings:
    """Returns settings with full paths: workers have another current folder."""

    def full(path: str | None) -> str | None:
        return path and os.path.abspath(path)

    analyzer = dataclasses.replace(
        settings.analyzer,
        api_key_file=full(settings.analyzer.api_key_file),
        cache_dir=full(settings.analyzer.cache_dir),
    )
    return dataclasses.replace(settings, vocab_file=full(settings.vocab_file), analyzer=analyzer)


if __name__ == "__main__":
    options_after = beam_flags.take_beam_options()
    command_line.run(lambda: main(options_after))
