"""The flags that say what is cleaned and how, alike in every script that cleans a corpus."""

from absl import flags

from deeq_bert.corpus.outputs import OutputName
from deeq_bert.corpus.run_settings import RunSettings
from deeq_bert.corpus.settings import preset_names
from deeq_bert.corpus.sources import Source, make_source, read_manifest
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import expand_patterns

FLAGS = flags.FLAGS
# Each script's --help then shows them as its own.
flags.disclaim_key_flags()

_LOWEST = {
    "repeated_lines": 0,
    "repeated_line_documents": 1,
    "dedup_memory_mb": 16,
    "samples_per_rule": 0,
}
_HIGHEST_SAMPLES = 1000


def define_cleaning_flags() -> None:
    """Defines them; how many processes work, and where, is each script's own."""
    flags.DEFINE_string(
        "input_file",
        None,
        "The files to read: paths and glob patterns, separated by commas, where ** is any number "
        "of folders. gz, bz2, xz and zst files are decompressed. Needed unless --manifest_file is "
        "given.",
    )
    flags.DEFINE_string(
        "exclude",
        "",
        "Patterns of files to leave out, separated by commas, held against the path and the name.",
    )
    flags.DEFINE_string(
        "source",
        None,
        "The kind of source, which is the name of a configuration in configs/corpus: "
        f"{', '.join(preset_names())}.",
    )
    flags.DEFINE_string(
        "config_file", None, "A configuration of your own, in the place of --source; JSON."
    )
    flags.DEFINE_string(
        "manifest_file",
        None,
        'Several sources in one run, in the place of --input_file: {"sources": [{"input_file": …, '
        '"source": …, "weight": …, "cap_mb": …}, …]}; paths are taken from its folder on.',
    )
    flags.DEFINE_string(
        "reader",
        None,
        "The format of the files, in the place of what the configuration says: auto (by the name "
        "of the file), text, csv, tsv, json, jsonl, xml, html, markdown, mediawiki ...",
    )
    flags.DEFINE_multi_string(
        "set",
        [],
        "A change of the configuration, as rule.option=value, rule=off, or reader.option=value; "
        "may be given several times.",
    )
    flags.DEFINE_string(
        "output_file",
        None,
        "The text files to write; @#### in the name is a number of four digits, as in "
        "train-@####.txt. Without it there is one file. Needed unless --dry_run is given.",
    )
    flags.DEFINE_string(
        "report_dir",
        None,
        "The folder for the report. Without it, the name of --output_file with -report in the "
        "place of number and ending.",
    )
    flags.DEFINE_enum(
        "sentence_splitter",
        None,
        ["rule", "kiwi", "hybrid", "none"],
        "How text is cut into sentences, in the place of what the configuration says: by rules; "
        "by Kiwi, which is some hundred times slower; by rules, and Kiwi where there is no "
        "punctuation; or at line ends only.",
    )
    flags.DEFINE_string(
        "encoding",
        "auto",
        "The encoding of the files; auto tells UTF-8, UTF-16 and cp949 apart.",
    )
    flags.DEFINE_enum(
        "errors",
        "strict",
        ["strict", "replace"],
        "What to do with bytes that cannot be decoded: stop, or put a mark in their place and "
        "count.",
    )
    flags.DEFINE_bool(
        "strict",
        False,
        "Whether to stop at a record that cannot be read, instead of leaving it out and counting "
        "it.",
    )
    flags.DEFINE_integer(
        "repeated_lines",
        20,
        "A line of 20 characters or more that comes so many times, in as many documents as "
        "--repeated_line_documents says, is boilerplate and is dropped everywhere; of shorter "
        "ones one stays. At least 2, or 0 for never.",
    )
    flags.DEFINE_integer(
        "repeated_line_documents", 10, "In how many documents it must come. At least 1."
    )
    flags.DEFINE_integer(
        "dedup_memory_mb",
        1024,
        "How many megabytes de-duplication may take at once. At least 16.",
    )
    flags.DEFINE_float(
        "heldout_fraction",
        0.0,
        "The share of documents that go to --heldout_file, for evaluation, and not into the text. "
        "From 0 to below 1.",
    )
    flags.DEFINE_string(
        "heldout_file",
        None,
        "Where they go. Without it, heldout- and the name of --output_file without its number, so "
        "that no pattern for the text finds them.",
    )
    flags.DEFINE_string(
        "decontaminate",
        None,
        "Files of tasks whose sentences must not be in the text, such as ratings_test.txt of NSMC: "
        "paths and patterns, separated by commas.",
    )
    flags.DEFINE_integer(
        "samples_per_rule", 20, "How many samples the report has for each rule. From 0 to 1000."
    )
    flags.DEFINE_float(
        "shard_mb",
        64.0,
        "How many megabytes of text a file of a series has at least, about. Above 0.",
    )
    flags.DEFINE_integer(
        "seed",
        12345,
        "Decides which documents are held out or taken, and the samples of the report.",
    )
    flags.DEFINE_bool(
        "restart", False, "Whether to throw away what an unfinished run with other flags left."
    )
    flags.DEFINE_bool(
        "overwrite", False, "Whether to replace the files of an earlier run with other flags."
    )


def check_cleaning_flags() -> None:
    """Checks the numbers.

    Raises:
      InputError: One cannot be used.
    """
    for name, lowest in _LOWEST.items():
        check_lowest(name, lowest)
    if FLAGS.repeated_lines == 1:
        raise InputError("--repeated_lines is 1; expected at least 2, or 0 for never.")
    if FLAGS.samples_per_rule > _HIGHEST_SAMPLES:
        raise InputError(
            f"--samples_per_rule is {FLAGS.samples_per_rule}; expected up to {_HIGHEST_SAMPLES}."
        )
    if not 0 <= FLAGS.heldout_fraction < 1:
        raise InputError(
            f"--heldout_fraction is {FLAGS.heldout_fraction}; expected 0 or more, and below 1."
        )
    if not FLAGS.shard_mb > 0:
        raise InputError(f"--shard_mb is {FLAGS.shard_mb}; expected above 0.")


def check_lowest(name: str, lowest: int) -> None:
    """Checks that a flag, if it is given, is not below `lowest`.

    Raises:
      InputError: It is.
    """
    value = FLAGS[name].value
    if value is not None and value < lowest:
        raise InputError(f"--{name} is {value}; expected at least {lowest}.")


def given_sources() -> list[Source]:
    """Returns the sources that the flags or the manifest name.

    Raises:
      InputError: One of them, or the flags together, cannot be used.
    """
    changes = list(FLAGS.set)
    if FLAGS.sentence_splitter:
        changes.append(f"sentence_splitter={FLAGS.sentence_splitter}")
    if FLAGS.manifest_file:
        for flag in ("input_file", "exclude", "source", "config_file", "reader"):
            if getattr(FLAGS, flag):
                raise InputError(
                    f"--{flag} and --manifest_file: give one of them; the manifest has the files, "
                    "and how each is read."
                )
        return read_manifest(FLAGS.manifest_file, changes)
    if not FLAGS.input_file:
        raise InputError("--input_file is missing: give the files to clean, or a manifest.")
    return [
        make_source(
            FLAGS.input_file,
            exclude=FLAGS.exclude,
            source=FLAGS.source,
            config_file=FLAGS.config_file,
            reader=FLAGS.reader,
            changes=changes,
            encoding=FLAGS.encoding,
        )
    ]


def given_settings(*, near_dedup: float | None, num_workers: int) -> RunSettings:
    """Returns what a run is to do by the flags.

    Args:
      near_dedup: See `RunSettings`, as for the other.
      num_workers: How many processes work.

    Raises:
      InputError: The name of the output, or the files of tasks, cannot be used.
    """
    output = OutputName(FLAGS.output_file)
    return RunSettings(
        output_file=FLAGS.output_file,
        heldout_file=FLAGS.heldout_file or output.heldout_path,
        report_dir=FLAGS.report_dir or f"{output.stem}-report",
        heldout_fraction=FLAGS.heldout_fraction,
        near_dedup=near_dedup,
        repeated_lines=FLAGS.repeated_lines,
        repeated_line_documents=FLAGS.repeated_line_documents,
        decontaminate=_task_files(),
        errors=FLAGS.errors,
        strict=FLAGS.strict,
        num_samples=FLAGS.samples_per_rule,
        shard_mb=FLAGS.shard_mb,
        seed=FLAGS.seed,
        dedup_memory_mb=FLAGS.dedup_memory_mb,
        num_workers=num_workers,
        restart=FLAGS.restart,
        overwrite=FLAGS.overwrite,
    )


def _task_files() -> tuple[str, ...]:
    if not FLAGS.decontaminate:
        return ()
    files, unmatched = expand_patterns(FLAGS.decontaminate)
    if unmatched:
        raise InputError(
            f"--decontaminate={FLAGS.decontaminate}: nothing matches {unmatched[0]}. Give the "
            "files of tasks; a missing one would let its text into the corpus."
        )
    return tuple(files)
