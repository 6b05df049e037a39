"""Makes a vocabulary of text: WordPiece, or morphemes whole or in pieces.

Beside it go tokenizer_config.json, which tells later stages how to tokenize, and a report on what
the vocabulary covers and leaves out. Equal text and flags make equal vocabularies, however many
processes count.

Example:
  python tokenizers/build_vocab.py --tokenizer=deeq-wordpiece --input_file="text/*.txt" \\
    --vocab_size=32000 --output_file=vocabulary/vocab.txt
"""

import contextlib
import dataclasses
import functools
import json
import math
import os
import resource
import time
from typing import Any

from absl import flags, logging
from tqdm import tqdm

from deeq_bert.tokenizers import (
    command_line,
    contract,
    counting,
    coverage_report,
    files,
    recipes,
    registry,
    tokenizer_flags,
    vocabulary,
)
from deeq_bert.tokenizers.analyzers.base import AnalyzerSettings
from deeq_bert.tokenizers.base import TokenizerSettings
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.processes import default_num_workers
from deeq_bert.tokenizers.text_files import find_text_files
from deeq_bert.tokenizers.wordpiece import BasicTokenizer

FLAGS = flags.FLAGS

flags.DEFINE_enum(
    "tokenizer",
    "wordpiece",
    list(registry.BUILT_IN),
    "What the vocabulary is for: wordpiece has pieces of words; deeq has characters and morphemes; "
    "deeq-wordpiece has pieces of morphemes.",
)
flags.DEFINE_string(
    "input_file",
    None,
    "The text: UTF-8, a sentence a line. Paths and glob patterns, separated by commas; at least "
    "one file must match.",
    required=True,
)
flags.DEFINE_string(
    "output_file",
    None,
    "The vocabulary to write, in a folder that has no other; a report goes to the same name with "
    ".coverage.json after it.",
    required=True,
)
flags.DEFINE_integer(
    "vocab_size", 32_000, "How many tokens the vocabulary has, if the text has as many to give."
)
flags.DEFINE_integer(
    "min_frequency",
    2,
    "How often a morpheme, or the two parts of a piece side by side, must come in the text. At "
    "least 1. Of text that is too much for the WordPiece trainer, this is reckoned for the share "
    "that it gets.",
)
flags.DEFINE_integer(
    "min_char_frequency",
    5,
    "How often a character must come in the text; a rarer one is left out. At least 1.",
)
flags.DEFINE_integer(
    "num_unused",
    0,
    "How many places are kept free for tokens to come, as [unused0] and so on. At least 0.",
)
flags.DEFINE_string(
    "user_words",
    None,
    "A file of words, one a line, that are tokens however often they come, and that Kiwi, if it is "
    "the analyser, leaves whole.",
)
flags.DEFINE_bool(
    "do_lower_case",
    False,
    "Whether to lower-case the text and strip accents, which takes Hangul apart. For "
    "--tokenizer=wordpiece only.",
)
flags.DEFINE_float(
    "heldout_share",
    0.01,
    "The share of lines that are not counted, but used to see how much the vocabulary covers. From "
    "0 to 0.5; with 0 there is no such measurement.",
)
flags.DEFINE_string(
    "temp_dir",
    None,
    "The folder for counts that are too many for the memory. Without it, that of --output_file.",
)
tokenizer_flags.define_analyzer_flags()

_LOWEST = {"vocab_size": 1, "min_frequency": 1, "min_char_frequency": 1, "num_unused": 0}
_HIGHEST = {"vocab_size": vocabulary.MAX_LINES, "num_unused": vocabulary.MAX_LINES}
_ANALYZER_FLAGS = (
    "analyzer",
    "deeq_server",
    "api_key_file",
    "deeq_domain",
    "deeq_timeout",
    "morpheme_cache",
    "morpheme_cache_gb",
)
_REPORTED = 20


def main() -> None:
    """Makes the vocabulary that the flags ask for."""
    started = time.monotonic()
    _check_flags()
    input_files = find_text_files("input_file", FLAGS.input_file)
    temp_dir = _prepare_folders(input_files)
    recipe, settings = _read_recipe()
    num_workers = _num_workers(input_files)
    if FLAGS.tokenizer != "deeq":
        recipes.check_trainer()

    with contextlib.closing(counting.SortedCounts(temp_dir)) as counts:
        totals = _count(input_files, counts, settings, num_workers)
        _check_has_words(totals)
        characters = recipes.survey_characters(counts)
        if FLAGS.tokenizer == "deeq":
            made = recipes.make_morpheme_vocabulary(counts, characters, recipe)
        else:
            logging.info("Training WordPiece on %d different words.", characters.distinct_words)
            made = recipes.make_wordpiece_vocabulary(counts, characters, recipe)
        left_out = coverage_report.most_frequent_left_out(counts, made.tokens, _REPORTED)

    text = "".join(f"{token}\n" for token in made.tokens)
    files.write_atomically(FLAGS.output_file, text.encode())
    measured = _write_contract_and_measure(settings, totals)
    report = _make_report(totals, characters, made, left_out, measured)
    report["seconds"] = round(time.monotonic() - started, 1)
    # In kilobytes, of this process; the workers have their own.
    report["peak_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    files.write_atomically(
        _report_file(), (json.dumps(report, ensure_ascii=False, indent=2) + "\n").encode()
    )
    _log_report(report)


def _check_flags() -> None:
    for name, lowest in _LOWEST.items():
        if FLAGS[name].value < lowest:
            raise InputError(f"--{name}={FLAGS[name].value}: must be {lowest} or more.")
    for name, highest in _HIGHEST.items():
        if FLAGS[name].value > highest:
            raise InputError(f"--{name}={FLAGS[name].value}: must be {highest} or less.")
    # Written so that NaN fails.
    if not 0 <= FLAGS.heldout_share <= 0.5:
        raise InputError(f"--heldout_share={FLAGS.heldout_share}: must be from 0 to 0.5.")
    if registry.uses_analyzer(FLAGS.tokenizer):
        if FLAGS.do_lower_case:
            raise InputError(
                f"--do_lower_case=True does not go with --tokenizer={FLAGS.tokenizer}, which keeps "
                "the text as it is. Leave it out."
            )
        return
    for name in _ANALYZER_FLAGS:
        if command_line.explicitly_given(name):
            logging.warning("--%s has no effect with --tokenizer=%s.", name, FLAGS.tokenizer)


def _prepare_folders(input_files: list[str]) -> str:
    """Makes the folders that are written to, and returns the one for counts."""
    read = {os.path.realpath(path): "--input_file" for path in input_files}
    if FLAGS.user_words:
        read[os.path.realpath(FLAGS.user_words)] = "--user_words"
    written = (FLAGS.output_file, _report_file(), contract.contract_path(FLAGS.output_file))
    if os.path.basename(FLAGS.output_file) == contract.FILE_NAME:
        raise InputError(
            f"--output_file={FLAGS.output_file}: {contract.FILE_NAME} is written beside the "
            "vocabulary. Choose another name, such as vocab.txt."
        )
    for path in written:
        if flag := read.get(os.path.realpath(path)):
            raise InputError(
                f"--output_file={FLAGS.output_file} would overwrite {path}, which {flag} names. "
                "Choose another name."
            )
    files.make_parent_folder(_report_file())
    contract.check_can_write(FLAGS.output_file)
    temp_dir = FLAGS.temp_dir or os.path.dirname(os.path.abspath(FLAGS.output_file))
    files.make_folder(temp_dir)
    return temp_dir


def _report_file() -> str:
    return f"{FLAGS.output_file}.coverage.json"


def _read_recipe() -> tuple[recipes.Recipe, TokenizerSettings]:
    user_words = recipes.read_user_words(FLAGS.user_words) if FLAGS.user_words else ()
    analyzer = AnalyzerSettings()
    if registry.uses_analyzer(FLAGS.tokenizer):
        analyzer = tokenizer_flags.analyzer_settings(user_words)
    else:
        user_words = recipes.whole_words(user_words, BasicTokenizer(FLAGS.do_lower_case))
    recipe = recipes.Recipe(
        vocab_size=FLAGS.vocab_size,
        min_frequency=FLAGS.min_frequency,
        min_char_frequency=FLAGS.min_char_frequency,
        num_unused=FLAGS.num_unused,
        user_words=user_words,
    )
    settings = TokenizerSettings(
        name=FLAGS.tokenizer,
        vocab_file=FLAGS.output_file,
        do_lower_case=FLAGS.do_lower_case,
        analyzer=analyzer,
    )
    return recipe, settings


def _num_workers(input_files: list[str]) -> int:
    # The flag's own choice is meant for tokenizing, which is quick with wordpiece.
    num_workers = tokenizer_flags.num_workers(FLAGS.tokenizer)
    if not FLAGS.num_workers:
        num_workers = default_num_workers()
    size = sum(os.path.getsize(path) for path in input_files)
    return max(1, min(num_workers, math.ceil(size / _range_bytes())))


def _range_bytes() -> int:
    if registry.uses_analyzer(FLAGS.tokenizer):
        return counting.MORPHEME_RANGE_BYTES
    return counting.WORD_RANGE_BYTES


def _count(
    input_files: list[str],
    counts: counting.SortedCounts,
    settings: TokenizerSettings,
    num_workers: int,
) -> counting.TextCounts:
    size = sum(os.path.getsize(path) for path in input_files)
    logging.info(
        "Counting in %d files of %.2f MB, %d at a time.", len(input_files), size / 1e6, num_workers
    )
    if registry.uses_analyzer(FLAGS.tokenizer):
        make_counter = functools.partial(counting.MorphemeCounter, settings.analyzer)
    else:
        make_counter = functools.partial(counting.BasicWordCounter, settings.do_lower_case)
    with tqdm(total=size, unit="B", unit_scale=True, desc="Counting", disable=None) as progress_bar:
        return counting.count_files(
            input_files,
            make_counter,
            counts,
            num_workers,
            heldout_share=FLAGS.heldout_share,
            range_bytes=_range_bytes(),
            report_progress=progress_bar.update,
        )


def _check_has_words(totals: counting.TextCounts) -> None:
    if not totals.lines:
        raise InputError(
            f"--input_file={FLAGS.input_file}: there is no text in it. Expected a sentence a line."
        )
    if totals.lines == totals.heldout_lines:
        raise InputError(
            f"--input_file={FLAGS.input_file}: all of its {totals.lines} lines are held out. Give "
            "more text, or --heldout_share=0."
        )


def _write_contract_and_measure(
    settings: TokenizerSettings, totals: counting.TextCounts
) -> coverage_report.Coverage | None:
    with contextlib.closing(registry.make_tokenizer(settings)) as tokenizer:
        made = contract.make_contract(settings.name, tokenizer)
        contract.write_contract(settings.vocab_file, made)
        if "analyzer" in made:
            tokenizer_flags.log_analyzer(settings.analyzer, made["analyzer"])
        if not totals.heldout:
            return None
        logging.info("Tokenizing %d of the lines that were held out.", len(totals.heldout))
        return coverage_report.measure_coverage(tokenizer, (line for _, line in totals.heldout))


def _make_report(
    totals: counting.TextCounts,
    characters: recipes.Characters,
    made: recipes.Vocabulary,
    left_out: list[tuple[str, int]],
    measured: coverage_report.Coverage | None,
) -> dict[str, Any]:
    rare = characters.left_out(FLAGS.min_char_frequency)
    rare_total = sum(count for _, count in rare)
    report: dict[str, Any] = {
        "tokenizer": FLAGS.tokenizer,
        "text": {
            "bytes": totals.size,
            "lines": totals.lines,
            "heldout_lines": totals.heldout_lines,
            "words": characters.words,
            "distinct_words": characters.distinct_words,
            "long_words_left_out": totals.long_words,
        },
        "vocabulary": {"size": len(made.tokens), **made.composition},
        "characters_left_out": {
            "distinct": len(rare),
            "share_of_characters": rare_total / max(1, sum(characters.counts.values())),
            "most_frequent": dict(rare[:_REPORTED]),
        },
        "words_left_out": {"most_frequent": dict(left_out)},
        "heldout": None,
    }
    if measured:
        report["heldout"] = {
            **dataclasses.asdict(measured),
            "unknown_share": measured.unknown_share,
            "tokens_per_eojeol": measured.tokens_per_eojeol,
            "single_character_share": measured.single_character_share,
        }
    return report


def _log_report(report: dict[str, Any]) -> None:
    unit = "morphemes" if registry.uses_analyzer(FLAGS.tokenizer) else "words"
    text, rare, heldout = report["text"], report["characters_left_out"], report["heldout"]
    logging.info(
        "Counted %d %s, %d of them different, in %d lines.",
        text["words"],
        unit,
        text["distinct_words"],
        text["lines"] - text["heldout_lines"],
    )
    if text["long_words_left_out"]:
        logging.warning(
            "Left out %d %s of over %d characters, which are hardly language.",
            text["long_words_left_out"],
            unit,
            counting.MAX_WORD_CHARACTERS,
        )
    if rare["distinct"]:
        logging.info(
            "Left out %d characters that come under %d times, %.4f%% of the text: %s",
            rare["distinct"],
            FLAGS.min_char_frequency,
            100 * rare["share_of_characters"],
            _listed(rare["most_frequent"]),
        )
    if left_out := report["words_left_out"]["most_frequent"]:
        logging.info("The most frequent %s that are no tokens: %s", unit, _listed(left_out))
    if heldout:
        logging.info(
            "On %d lines that were held out: %.3f%% of tokens are [UNK], %.2f tokens an eojeol, "
            "%.1f%% of tokens are single characters.",
            heldout["lines"],
            100 * heldout["unknown_share"],
            heldout["tokens_per_eojeol"],
            100 * heldout["single_character_share"],
        )
    else:
        logging.info("No lines were held out, so that nothing is known about other text.")
    parts = ", ".join(
        f"{count} {kind.replace('_', ' ')}"
        for kind, count in report["vocabulary"].items()
        if kind != "size"
    )
    logging.info(
        "Wrote %d tokens to %s: %s.", report["vocabulary"]["size"], FLAGS.output_file, parts
    )
    logging.info(
        "Took %.1f seconds, and %d MB of memory besides that of the workers.",
        report["seconds"],
        report["peak_memory_mb"],
    )


def _listed(counted: dict[str, int]) -> str:
    return ", ".join(f"{word} ({count})" for word, count in counted.items())


if __name__ == "__main__":
    command_line.run(main)
