"""How fast text becomes records: ours, the original and a peer, each as a whole process.

    python tests/benchmarks/pretraining_data.py --vocab_file=vocab.txt corpus.txt ...
    python tests/benchmarks/pretraining_data.py --data_dir=DIR    # of shared/data/unpack.sh
    python tests/benchmarks/pretraining_data.py corpus.txt --original_dir=DIR --cases=512:5

The original is Google's own script where --original_dir names a folder with its package `bert` (the
unpacked wheel of bert-tensorflow 1.0.4), and where there is none, or it lacks what a case is about,
the same algorithm in its manner (plain_pretraining_data.py). Its records are compared with ours.
The peer is Hugging Face's tokenizers with a masker in numpy (hugging_face_records.py).

Cases, each with a dupe factor after a colon: wordpiece; whole-word (masking); 512 (tokens, 77
predictions); deeq, whose morphemes are from a cache that a run before has filled; and workers and
deeq-workers, which make shards with one worker and two. All but the last two are pinned to one
core. Speeds are in seconds on the clock, start-up included.
"""

import argparse
import filecmp
import importlib.metadata
import itertools
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from typing import NamedTuple

FOLDER = pathlib.Path(__file__).resolve().parent
# The benchmark tokenizers.py beside this file bears the name of Hugging Face's package.
sys.path[:] = [*(path for path in sys.path if path != str(FOLDER)), str(FOLDER)]

from records_memory import GOLDEN_VOCABULARY, ROOT, SCRIPT, Usage, run_measured  # noqa: E402

from deeq_bert.bert.examples import decode_example  # noqa: E402
from deeq_bert.bert.records import read_records  # noqa: E402
from deeq_bert.tokenizers.errors import InputError  # noqa: E402
from deeq_bert.tokenizers.files import read_lines  # noqa: E402

NUM_SHARDS = 8
CASES = {
    "wordpiece": (),
    "whole-word": ("--do_whole_word_mask=True",),
    "512": ("--max_seq_length=512", "--max_predictions_per_seq=77"),
    "deeq": (),
    "workers": (),
    "deeq-workers": (),
}
DEFAULT_CASES = (
    "wordpiece:1,wordpiece:5,whole-word:1,512:1,deeq:1,workers:1,workers:5,deeq-workers:1"
)
# What the original has no flag for.
NOT_IN_ORIGINAL = ("whole-word", "deeq")
# CPU seconds of the original on 2.0 MB of Korean news, on a busy machine (shared/golden/README.md).
REFERENCE_SECONDS = {1: 8.9, 5: 22.0}


class Program(NamedTuple):
    """What makes records.

    Attributes:
      name: As the table has it.
      command: What runs it, without flags.
      environment: Variables it needs.
      flags: Flags that the others do not get.
      core: The one it may use; any if None.
    """

    name: str
    command: tuple[str, ...]
    environment: dict[str, str] = {}
    flags: tuple[str, ...] = ()
    core: int | None = None


class Run(NamedTuple):
    """What a program took, and where its records are."""

    usage: Usage
    records: str

    @property
    def peak(self) -> float:
        """The memory of the largest process, in MiB."""
        return self.usage.process_mebibytes[0]


class Benchmark:
    """Runs programs on one text in one folder."""

    def __init__(self, options: argparse.Namespace, folder: str):
        """Writes the text."""
        self._options = options
        self._folder = folder
        self._core = min(os.sched_getaffinity(0))
        self._ours = Program("ours", (sys.executable, str(SCRIPT)), core=self._core)
        self._text = os.path.join(folder, "text.txt")
        write_text(leading_documents(source_lines(options), options.megabytes * 1e6), self._text)
        self._megabytes = os.path.getsize(self._text) / 1e6
        print(f"{self._megabytes:.1f} MB of text")

    def compare(self, case: str, dupe_factor: int) -> None:
        """Prints what every program takes for a case, and how they compare."""
        print(f"\n{case}, dupe factor {dupe_factor}")
        print(
            f"{'':<26} dupe     MB   CPU s  wall s    MB/s  instances/s  largest MiB  all MiB",
            flush=True,
        )
        flags = (f"--dupe_factor={dupe_factor}", *self._tokenizer_flags(case), *CASES[case])
        if case.endswith("workers"):
            self._compare_workers(flags, dupe_factor)
            return
        ours = self._run(self._ours, flags, dupe_factor)
        original = self._original(case)
        theirs = self._run(original, flags, dupe_factor)
        report(original.name, theirs, ours, compare_records(ours.records, theirs.records))
        by_google = original.name == "the original"
        if case == "wordpiece" and dupe_factor in REFERENCE_SECONDS and not by_google:
            print(
                f"  for reference, the original on 2.0 MB of news, one core of a busy machine: "
                f"{REFERENCE_SECONDS[dupe_factor]} CPU s"
            )
        if case != "deeq":
            self._compare_hugging_face(flags, dupe_factor, ours)

    def _compare_hugging_face(self, flags: tuple[str, ...], dupe_factor: int, ours: Run) -> None:
        try:
            version = importlib.metadata.version("tokenizers")
        except importlib.metadata.PackageNotFoundError:
            print("  Hugging Face's tokenizers are not installed: pip install -e '.[vocab]'")
            return
        peer = Program(
            f"tokenizers {version}, numpy",
            (sys.executable, str(FOLDER / "hugging_face_records.py")),
            core=self._core,
        )
        theirs = self._run(peer, flags, dupe_factor)
        report(peer.name, theirs, ours, compare_shapes(ours.records, theirs.records))

    def _compare_workers(self, flags: tuple[str, ...], dupe_factor: int) -> None:
        whole = self._run(self._ours._replace(name="ours, one file, one core"), flags, dupe_factor)
        runs = []
        for num_workers in (1, 2):
            name = f"ours, {NUM_SHARDS} shards, {num_workers} worker{'s' * (num_workers > 1)}"
            shards = (f"--num_shards={NUM_SHARDS}", f"--num_workers={num_workers}")
            program = self._ours._replace(name=name, flags=shards, core=None)
            runs.append(self._run(program, flags, dupe_factor))
        one, two = runs
        gain = one.usage.wall_seconds / two.usage.wall_seconds
        for one_shard, two_shard in zip(
            record_files(one.records), record_files(two.records), strict=True
        ):
            if not filecmp.cmp(one_shard, two_shard, shallow=False):
                sys.exit(f"ERROR: {one_shard} and {two_shard} differ.")
        print(
            f"  2 workers are {gain:.2f} times as fast as 1, parallel efficiency {gain / 2:.2f}, "
            f"and make the same files; "
            f"{whole.usage.wall_seconds / two.usage.wall_seconds:.2f} times as fast as one file"
        )

    def _original(self, case: str) -> Program:
        if self._options.original_dir and case not in NOT_IN_ORIGINAL:
            environment = {
                "PYTHONPATH": os.path.abspath(self._options.original_dir),
                "TF_CPP_MIN_LOG_LEVEL": "3",
            }
            command = (sys.executable, "-m", "bert.create_pretraining_data")
            return Program("the original", command, environment, core=self._core)
        script = str(FOLDER / "plain_pretraining_data.py")
        return Program("the original's manner", (sys.executable, script), core=self._core)

    def _tokenizer_flags(self, case: str) -> tuple[str, ...]:
        if not case.startswith("deeq"):
            return (
                f"--vocab_file={os.path.abspath(self._options.vocab_file)}",
                f"--do_lower_case={self._options.do_lower_case}",
            )
        cache = f"--morpheme_cache={os.path.join(self._folder, 'morphemes')}"
        vocabulary = os.path.join(self._folder, "deeq", "vocab.txt")
        flags = ("--tokenizer=deeq", f"--vocab_file={vocabulary}", cache)
        if not os.path.exists(vocabulary):
            common = ("--tokenizer=deeq", f"--input_file={self._text}", cache)
            build = (sys.executable, str(ROOT / "tokenizers" / "build_vocab.py"))
            run_measured((*build, *common, f"--output_file={vocabulary}"), self._folder)
            # What the vocabulary's making has left out is analysed now.
            filled = os.path.join(self._folder, "filling")
            make = (*self._ours.command, f"--input_file={self._text}", "--dupe_factor=1", *flags)
            run_measured((*make, f"--output_file={filled}"), self._folder)
        return flags if case.endswith("workers") else (*flags, "--num_workers=1")

    def _run(self, program: Program, flags: tuple[str, ...], dupe_factor: int) -> Run:
        """Runs a program, prints what it took and returns it; the best of some times."""
        run_folder = os.path.join(self._folder, re.sub(r"\W+", "-", program.name))
        records = os.path.join(run_folder, "train.tfrecord")
        files = (f"--input_file={self._text}", f"--output_file={records}")
        command = (*program.command, *files, *flags, *program.flags)
        usages = []
        for _ in range(self._options.repeats):
            # Shards that are there already would not be made again.
            shutil.rmtree(run_folder, ignore_errors=True)
            os.mkdir(run_folder)
            usages.append(run_measured(command, run_folder, program.environment, program.core))
        usage = min(usages, key=lambda usage: usage.wall_seconds)
        count = sum(1 for path in record_files(records) for _ in read_records(path))
        print(
            f"{program.name:<26} {dupe_factor:4} {self._megabytes:6.1f} {usage.cpu_seconds:7.2f} "
            f"{usage.wall_seconds:7.2f} {self._megabytes / usage.wall_seconds:7.2f} "
            f"{count / usage.wall_seconds:12.0f} {usage.process_mebibytes[0]:12.0f} "
            f"{usage.total_mebibytes:8.0f}",
            flush=True,
        )
        return Run(usage, records)


def main() -> None:
    options = parse_arguments()
    if options.folder:
        os.makedirs(options.folder, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        benchmark = Benchmark(options, folder)
        for case, dupe_factor in options.cases:
            benchmark.compare(case, dupe_factor)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", help="text, a blank line between documents")
    parser.add_argument("--data_dir", help="without files: the folder of the unpacked shared/data")
    parser.add_argument("--megabytes", type=float, default=20, help="how much of the text is used")
    parser.add_argument("--cases", type=parse_cases, default=parse_cases(DEFAULT_CASES))
    parser.add_argument("--original_dir", help="where the original's package bert is")
    parser.add_argument("--vocab_file", default=str(GOLDEN_VOCABULARY), help="one token a line")
    parser.add_argument("--do_lower_case", action="store_true")
    parser.add_argument("--repeats", type=int, default=1, help="runs of each, the best counts")
    parser.add_argument("--folder", help="where the temporary files go")
    options = parser.parse_args()
    if not options.files and not options.data_dir:
        parser.error("give text files, or --data_dir")
    original_dir = options.original_dir
    if original_dir and not os.path.exists(f"{original_dir}/bert/create_pretraining_data.py"):
        parser.error(f"--original_dir: {original_dir} has no bert/create_pretraining_data.py")
    return options


def parse_cases(text: str) -> list[tuple[str, int]]:
    cases = []
    for part in text.split(","):
        case, _, dupe_factor = part.partition(":")
        if case not in CASES or not re.fullmatch("[1-9][0-9]*|", dupe_factor):
            raise argparse.ArgumentTypeError(
                f"{part!r} is none of {', '.join(CASES)}, with a dupe factor as in wordpiece:5"
            )
        cases.append((case, int(dupe_factor or 1)))
    return cases


def source_lines(options: argparse.Namespace) -> Iterator[str]:
    for path in options.files:
        yield from read_lines(path)
        yield ""
    if not options.files:
        folder = pathlib.Path(options.data_dir) / "corpus/web"
        names = ("petitions_jsonl/*.jsonl", "dps_jsonl/**/*.jsonl")
        for path in itertools.chain.from_iterable(sorted(folder.glob(name)) for name in names):
            for record in read_lines(str(path)):
                fields = json.loads(record)
                text = fields["content" if "content" in fields else "text"]
                sentences = re.split(r"(?<=[.!?])\s+|\n", text)
                yield from filter(None, map(str.strip, sentences))
                yield ""


def leading_documents(lines: Iterable[str], size: float) -> Iterator[str]:
    """The lines of the documents that begin in the first `size` bytes."""
    for line in lines:
        size -= len(line.encode()) + 1
        if size < 0 and not line:
            return
        yield line


def write_text(lines: Iterable[str], path: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)


def record_files(records: str) -> list[str]:
    """Returns the one file, or the shards, that were written as `records`."""
    path = pathlib.Path(records)
    shards = path.parent.glob(f"{path.name}-?????-of-?????")
    return [records] if path.exists() else sorted(map(str, shards))


def compare_records(our_records: str, their_records: str) -> str:
    """Says that the records are the same; stops where they are not."""
    ours = map(decode_example, read_records(our_records))
    theirs = map(decode_example, read_records(their_records))
    count = 0
    for count, (our_example, their_example) in enumerate(zip(ours, theirs, strict=True), start=1):
        if our_example != their_example:
            sys.exit(f"ERROR: record {count} differs.")
    return f"its {count:,} records are the same"


def compare_shapes(our_records: str, their_records: str) -> str:
    """Says that the records have the same features, and how full they are."""
    shapes, filled = [], []
    for records in (our_records, their_records):
        tokens = predictions = 0
        for example in map(decode_example, read_records(records)):
            tokens += sum(example["input_mask"])
            predictions += sum(example["masked_lm_weights"])
        shapes.append({name: len(values) for name, values in example.items()})
        filled.append(f"{tokens:,} tokens and {predictions:,.0f} predictions")
    if shapes[0] != shapes[1]:
        sys.exit(f"ERROR: its records have other features: {shapes}")
    return f"its records have {filled[1]}, ours {filled[0]}"


def report(name: str, theirs: Run, ours: Run, records: str) -> None:
    print(
        f"  {name}: {theirs.usage.cpu_seconds / ours.usage.cpu_seconds:.2f} times our CPU time, "
        f"{theirs.usage.wall_seconds / ours.usage.wall_seconds:.2f} times our wall time, "
        f"{theirs.peak / ours.peak:.2f} times our memory;\n  {records}",
        flush=True,
    )


if __name__ == "__main__":
    try:
        main()
    except (InputError, RuntimeError) as error:
        sys.exit(f"ERROR: {error}")
