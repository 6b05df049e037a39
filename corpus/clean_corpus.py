"""Cleans Korean text of any source: one sentence a line, a blank line between documents.

What is read, and which rules clean it, is a configuration for each kind of source, in
configs/corpus or your own. A report says what every rule changed and removed, with samples. A run
that was killed goes on where it stopped.

Examples:
  python corpus/clean_corpus.py --input_file="news/*.csv" --source=news --dry_run
  python corpus/clean_corpus.py --input_file="news/*.csv" --source=news \\
    --output_file=corpus/train-@####.txt
"""

import os
import sys

from absl import flags, logging

from deeq_bert.corpus import cleaning_flags, pipeline, trial
from deeq_bert.corpus.sources import Source
from deeq_bert.tokenizers import command_line
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.processes import default_num_workers

FLAGS = flags.FLAGS

cleaning_flags.define_cleaning_flags()
flags.DEFINE_bool(
    "dry_run", False, "Whether only to show some documents before and after, and write nothing."
)
flags.DEFINE_integer(
    "dry_run_documents", 5, "How many documents of each source --dry_run shows. At least 1."
)
flags.DEFINE_float(
    "near_dedup",
    None,
    "Documents that are as similar as this to an earlier one are dropped. Above 0.5, up to 1; "
    "without it only equal ones are.",
)
flags.DEFINE_integer(
    "num_workers",
    None,
    "How many processes work; the output does not depend on it. Without it, the number of cores. "
    "At least 1.",
)
flags.DEFINE_alias("workers", "num_workers")


def main() -> None:
    """Cleans the sources that the flags name, or tries the rules on some documents."""
    _check_flags()
    sources = cleaning_flags.given_sources()
    if FLAGS.dry_run:
        _try(sources)
        return
    settings = cleaning_flags.given_settings(
        near_dedup=FLAGS.near_dedup, num_workers=FLAGS.num_workers or default_num_workers()
    )
    result = pipeline.clean_corpus(sources, settings)
    for line in pipeline.report.summary_lines(result):
        logging.info("%s", line)
    logging.info("%d files at %s", len(result["outputs"]), FLAGS.output_file)
    logging.info("What was removed and changed, with samples: %s/report.html", settings.report_dir)


def _try(sources: list[Source]) -> None:
    # A terminal may want characters in its own way.
    sys.stdout.reconfigure(errors="replace")
    try:
        for source in sources:
            print(f"#### {source.name}: {len(source.files)} files\n")
            trials = trial.try_source(source, FLAGS.dry_run_documents, FLAGS.seed, FLAGS.errors)
            for tried in trials:
                print(trial.describe(tried))
        sys.stdout.flush()
    except BrokenPipeError:
        # What reads this, such as head, has enough; at its exit Python would flush once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _check_flags() -> None:
    if not FLAGS.dry_run and not FLAGS.output_file:
        raise InputError(
            "--output_file is missing: give the text files to write, as in train-@####.txt, or "
            "--dry_run to see what would become of some documents."
        )
    cleaning_flags.check_cleaning_flags()
    cleaning_flags.check_lowest("dry_run_documents", 1)
    cleaning_flags.check_lowest("num_workers", 1)
    if FLAGS.near_dedup is not None and not 0.5 < FLAGS.near_dedup <= 1:
        raise InputError(f"--near_dedup is {FLAGS.near_dedup}; expected above 0.5, up to 1.")


if __name__ == "__main__":
    command_line.run(main)
