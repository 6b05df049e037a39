"""Shows what is in files of records, checks every record, and sums up.

Examples:
  python bert/inspect_records.py --input_file="records/train*"
  python bert/inspect_records.py --input_file=records/train.tf --record=17 --check=False
  python bert/inspect_records.py --input_file="records/train*" --json > records.json

Exit codes: 0 where all is well, 1 where something is wrong.
"""

import contextlib
import functools
import hashlib
import itertools
import json
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from absl import flags, logging
from tqdm import tqdm

from deeq_bert.bert import example_text, record_info, record_sets
from deeq_bert.bert.example_checks import KnownIds
from deeq_bert.bert.examples import decode_example
from deeq_bert.bert.record_files import find_files
from deeq_bert.bert.record_inspection import FileReport, InspectionRules, inspect_file, inspect_sets
from deeq_bert.bert.record_summary import summarize, summary_lines
from deeq_bert.bert.records import RecordError, read_records
from deeq_bert.tokenizers import command_line
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.processes import default_num_workers, map_in_processes
from deeq_bert.tokenizers.vocabulary import check_special_tokens, load_vocab

FLAGS = flags.FLAGS

flags.DEFINE_string(
    "input_file",
    None,
    "TFRecord files of create_pretraining_data.py or the original: paths and glob patterns, "
    "separated by commas. What stands beside them, NAME.json, is found by itself.",
    required=True,
)
flags.DEFINE_string(
    "vocab_file",
    None,
    "The vocabulary the records were made with. Without it, what NAME.json names, if it is still "
    "what it was; without either, examples are shown as ids.",
)
flags.DEFINE_integer(
    "num_examples",
    3,
    "How many examples are shown, spread over the files.",
    lower_bound=0,
)
flags.DEFINE_bool("first", False, "Whether to show the first examples instead.")
flags.DEFINE_integer(
    "record",
    None,
    "Show this record only, counted from 1 over the files in their order.",
    lower_bound=1,
)
flags.DEFINE_bool(
    "check", True, "Whether to read and check every record, and to sum up; else only examples show."
)
flags.DEFINE_integer(
    "num_workers",
    None,
    "How many processes check, a file at a time each. Without it, as many as there are cores.",
    lower_bound=1,
)
flags.DEFINE_bool(
    "json", False, "Whether to print the summary and the problems as JSON, without examples."
)

_COLOURS = {
    example_text.SPECIAL: "2",
    example_text.HIDDEN: "1;32",
    example_text.REPLACED: "1;31",
    example_text.KEPT: "1;33",
}


class _Vocabulary(NamedTuple):
    """The vocabulary of the records: its tokens by id, and its special ones."""

    tokens: list[str]
    ids: KnownIds


def main() -> None:
    """Shows, checks and sums up the records that the flags name."""
    paths = list(dict.fromkeys(find_files("input_file", FLAGS.input_file)))
    problems: list[str] = []
    infos = _known_infos(paths)
    vocabulary = _load_vocabulary(infos, problems)
    with _standard_output():
        if not FLAGS.json:
            _print_examples(paths, vocabulary.tokens if vocabulary else None)
            sys.stdout.flush()
        if FLAGS.check:
            _check(paths, infos, vocabulary, problems)
        else:
            for problem in problems:
                print(problem)
    if problems:
        command_line.fail(
            f"Something is wrong with --input_file={FLAGS.input_file}, as told on the standard "
            "output. Mend it, or make the records again."
        )


@contextlib.contextmanager
def _standard_output() -> Iterator[None]:
    """Sees to what may be wrong with where all is printed to."""
    sys.stdout.reconfigure(errors="backslashreplace")
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        # At its exit Python would flush once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        # What reads a pipe, such as head, may have enough.
        if not isinstance(error, BrokenPipeError):
            raise InputError(f"Cannot print: {error.strerror}.") from error


def _known_infos(paths: Sequence[str]) -> dict[str, dict[str, Any]]:
    infos = {}
    for path in paths:
        # What cannot be read is told when the file is checked.
        with contextlib.suppress(InputError):
            info = record_info.read_info(path)
            if info is not None:
                infos[path] = info
    return infos


def _load_vocabulary(infos: dict[str, dict[str, Any]], problems: list[str]) -> _Vocabulary | None:
    info = next(iter(infos.values()), {})
    expected = info.get("tokenizer", {}).get("vocab_sha256")
    path = FLAGS.vocab_file
    if path:
        vocab = load_vocab(path)
        check_special_tokens(vocab, path)
        if expected is not None and _sha256(path) != expected:
            problems.append(
                f"--vocab_file={path} is not the vocabulary the records were made with: its "
                f"SHA-256 is {_sha256(path)}, not {expected}."
            )
    else:
        path = info.get("vocab_file")
        if not isinstance(path, str) or not os.path.isfile(path) or _sha256(path) != expected:
            logging.warning(
                "The vocabulary of the records is not at hand%s, so that examples are shown as ids "
                "and less can be checked. Give --vocab_file.",
                f" ({path} has changed or is gone)" if isinstance(path, str) else "",
            )
            return None
        vocab = load_vocab(path)
        check_special_tokens(vocab, path)
    tokens = [str(id_) for id_ in range(max(vocab.values()) + 1)]
    for token, id_ in vocab.items():
        tokens[id_] = token
    return _Vocabulary(tokens, KnownIds(vocab["[CLS]"], vocab["[SEP]"], vocab["[MASK]"]))


def _sha256(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error


def _print_examples(paths: Sequence[str], tokens: list[str] | None) -> None:
    legends = set()
    try:
        for path, number, data in _chosen_records(paths):
            print(f"{path}, record {number}:")
            try:
                features = decode_example(data)
                text = example_text.describe_example(features, tokens, _paint)
            except ValueError as error:
                print(f"  It cannot be shown: {error}.\n")
                continue
            print(f"  {text.summary}")
            for name, segment in zip("AB", text.segments):
                print(f"  {name}: {segment}")
            legends.add(example_text.legend("token_units" in features))
            print()
    except RecordError as error:
        if not FLAGS.check:
            raise
        # All that is wrong is told below.
        print(f"An example cannot be shown: {error}\n")
    for legend in sorted(legends):
        print(f"{legend}\n")


def _chosen_records(paths: Sequence[str]) -> Iterator[tuple[str, int, bytes]]:
    """Yields the records to show: their file, their number there, and their data."""
    every = (
        (path, number, data)
        for path in paths
        for number, data in enumerate(read_records(path), start=1)
    )
    if FLAGS.record is not None:
        chosen = list(itertools.islice(every, FLAGS.record - 1, FLAGS.record))
        if not chosen:
            raise InputError(f"--record={FLAGS.record}: there are not so many records.")
        yield from chosen
    elif FLAGS.first:
        yield from itertools.islice(every, FLAGS.num_examples)
    else:
        yield from _spread_records(paths)


def _spread_records(paths: Sequence[str]) -> Iterator[tuple[str, int, bytes]]:
    """Yields records in the middle of parts of equal size of all files."""
    sizes = [os.path.getsize(path) for path in paths]
    targets = [
        (2 * part + 1) * sum(sizes) // (2 * FLAGS.num_examples)
        for part in range(FLAGS.num_examples)
    ]
    start = 0
    for path, size in zip(paths, sizes):
        wanted = [target - start for target in targets if start <= target < start + size]
        start += size
        place = 0
        for number, data in enumerate(read_records(path), start=1) if wanted else ():
            # A record has 16 bytes besides its data.
            place += len(data) + 16
            if place > wanted[0]:
                yield path, number, data
                wanted = [target for target in wanted if target >= place]
                if not wanted:
                    break


def _paint(kind: str, text: str) -> str:
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\033[{_COLOURS[kind]}m{text}\033[0m"


def _check(
    paths: Sequence[str],
    infos: dict[str, dict[str, Any]],
    vocabulary: _Vocabulary | None,
    problems: list[str],
) -> None:
    rules = InspectionRules(
        len(vocabulary.tokens) if vocabulary else None, vocabulary.ids if vocabulary else None
    )
    reports = _inspect(paths, rules)
    problems.extend(_set_problems(paths, infos, reports))
    for report in reports:
        problems.extend(report.problems)
    summary = summarize(reports, vocabulary is not None)
    leftovers = record_sets.temporary_files(paths)
    if FLAGS.json:
        summary |= {"problems": problems, "temporary_files": leftovers}
        print(json.dumps(summary, ensure_ascii=False, indent=2))
        return
    for problem in problems:
        print(problem)
    for path in leftovers:
        print(f"{path} was left behind by a run that was stopped, or one is writing it now.")
    if problems or leftovers:
        print()
    for line in summary_lines(summary):
        print(line)


def _inspect(paths: Sequence[str], rules: InspectionRules) -> list[FileReport]:
    num_workers = FLAGS.num_workers or default_num_workers()
    reports = []
    with tqdm(
        total=sum(os.path.getsize(path) for path in paths),
        unit="B",
        unit_scale=True,
        desc="Checking records",
        disable=None,
    ) as progress_bar:
        for report in map_in_processes(
            inspect_file, functools.partial(_give, rules), paths, num_workers
        ):
            reports.append(report)
            progress_bar.update(report.bytes)
    return reports


def _give(rules: InspectionRules) -> InspectionRules:
    return rules


def _set_problems(
    paths: Sequence[str], infos: dict[str, dict[str, Any]], reports: Sequence[FileReport]
) -> Iterator[str]:
    """Yields what is wrong with files taken together."""
    try:
        for fault in record_sets.set_faults(paths, infos):
            yield fault.message
        yield from inspect_sets(reports)
        if infos:
            record_info.check_one_tokenizer(infos)
    except InputError as error:
        yield str(error)


if __name__ == "__main__":
    command_line.run(main)
