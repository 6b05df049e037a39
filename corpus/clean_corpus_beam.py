"""Cleans Korean text as clean_corpus.py does, by the workers of a cluster, with Apache Beam.

Flags, text and report are those of clean_corpus.py; the text is the same to the byte, whatever the
runner and however many workers it has. A run that was killed goes on where it stopped. What stands
after -- are options of Beam and of the runner. To try rules, use clean_corpus.py with --dry_run; to
clean on one machine, use it as well, for DirectRunner holds all hashes in memory.

What a runner needs: workers with Python that have "deeq-bert[beam]" installed in this version, as
in a container image that --environment_config names; and one file system with the input, the files
of tasks and of rules, and the output, under the same paths on this machine and on every worker,
such as NFS. Buckets (gs://, s3://) are not read or written; Dataflow's workers need a share that is
mounted. FlinkRunner and SparkRunner want Java and download Beam's job server, unless
--flink_job_server_jar or --spark_job_server_jar names one.

Examples:
  python corpus/clean_corpus_beam.py --manifest_file=/nfs/raw/sources.json \\
    --output_file=/nfs/corpus/train-@####.txt \\
    -- --direct_running_mode=multi_processing --direct_num_workers=8
  python corpus/clean_corpus_beam.py --manifest_file=/nfs/raw/sources.json \\
    --output_file=/nfs/corpus/train-@####.txt --runner=FlinkRunner \\
    -- --flink_master=flink:8081 --flink_job_server_jar=beam-runners-flink-job-server.jar \\
    --parallelism=64 --environment_type=EXTERNAL --environment_config=localhost:50000
"""

from absl import flags, logging

from deeq_bert.corpus import cleaning_flags, report
from deeq_bert.tokenizers import beam_flags, command_line
from deeq_bert.tokenizers.errors import InputError

FLAGS = flags.FLAGS

cleaning_flags.define_cleaning_flags()
flags.adopt_module_key_flags(beam_flags)
flags.DEFINE_bool("dry_run", False, "Refused: clean_corpus.py has it.")
flags.DEFINE_float("near_dedup", None, "Refused: only clean_corpus.py finds near-duplicates.")
flags.DEFINE_integer("num_workers", None, "Refused: it is an option of the runner, after --.")


def main(beam_options: list[str]) -> None:
    """Cleans the sources that the flags name.

    Args:
      beam_options: The options for Beam.
    """
    _check_flags()
    settings = cleaning_flags.given_settings(near_dedup=None, num_workers=1)
    with beam_flags.importing_beam("clean_corpus.py"):
        from deeq_bert.corpus import beam_pipeline
        from deeq_bert.tokenizers import beam_jobs
    jobs = beam_jobs.Jobs(FLAGS.runner, beam_options)
    result = beam_pipeline.clean_corpus(cleaning_flags.given_sources(), settings, jobs)
    for line in report.summary_lines(result):
        logging.info("%s", line)
    logging.info("%d files at %s", len(result["outputs"]), FLAGS.output_file)
    logging.info("What was removed and changed, with samples: %s/report.html", settings.report_dir)


def _check_flags() -> None:
    if FLAGS.dry_run:
        raise InputError("--dry_run: try the rules with clean_corpus.py, which has this flag.")
    if FLAGS.near_dedup is not None:
        raise InputError(
            "--near_dedup: near-duplicates are found by clean_corpus.py only. Leave it out, or "
            "clean on one machine."
        )
    beam_flags.refuse_num_workers()
    if not FLAGS.output_file:
        raise InputError(
            "--output_file is missing: give the text files to write, as in train-@####.txt."
        )
    cleaning_flags.check_cleaning_flags()


if __name__ == "__main__":
    options_after = beam_flags.take_beam_options()
    command_line.run(lambda: main(options_after))
