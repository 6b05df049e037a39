"""How fast text becomes tokens and ids: ours, the original's manner, Hugging Face's tokenizers.

    python tests/benchmarks/wordpiece.py --vocab_file=vocab.txt corpus.txt ...
    python tests/benchmarks/wordpiece.py --data_dir=DIR    # what shared/data/unpack.sh laid out

tests/benchmarks/tokenizers.py runs this and the benchmark of the morpheme tokenizers.

All run in this process, in turn, on the same lines, timed in CPU seconds: the figures are per
core, and their ratios hold on a busy machine. The tokens are compared too.
"""

import argparse
import csv
import functools
import json
import os
import pathlib
import resource
import sys
import time
from collections.abc import Callable, Iterator

# One core for everybody; the library reads this when it is imported.
os.environ["TOKENIZERS_PARALLELISM"] = "false"

FOLDER = pathlib.Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]
# The benchmark tokenizers.py beside this file bears the name of Hugging Face's package.
sys.path[:] = [path for path in sys.path if path != str(FOLDER)]
sys.path += [str(FOLDER), str(ROOT / "tests")]

from plain_wordpiece import PlainTokenizer  # noqa: E402

from deeq_bert.bert.tokenization import FullTokenizer  # noqa: E402
from deeq_bert.tokenizers.errors import InputError  # noqa: E402
from deeq_bert.tokenizers.files import read_lines  # noqa: E402

try:
    from tokenizers import BertWordPieceTokenizer
except ImportError:
    BertWordPieceTokenizer = None

PLAIN = "one character at a time"
METHODS = ("text_to_ids", "tokenize")
GOLDEN_VOCABULARY = ROOT.parent / "shared/golden/pretraining_data/vocab-bert.txt"


def main() -> None:
    options = parse_arguments(argument_parser(__doc__.splitlines()[0]))
    compare(list(text_lines(options)), options)


def compare(lines: list[str], options: argparse.Namespace) -> None:
    """Prints the speeds of all contestants on `lines`, and whether their tokens are the same."""
    print(f"{len(lines):,} lines, {megabytes(lines):.1f} MB; best of {options.repeats} rounds")

    before = peak_memory()
    ours = FullTokenizer(options.vocab_file, options.do_lower_case)
    seconds_of_pass(ours.text_to_ids, lines)
    print(f"Memory of ours, vocabulary and cache: {peak_memory() - before:.1f} MiB\n")

    plain = PlainTokenizer(ours.vocab, options.do_lower_case)
    theirs = hugging_face_tokenizer(options)
    speeds = measure(contestants(ours, plain, theirs, options), lines, options)
    for name, speed in speeds.items():
        print(f"{name:<40} {speed:6.2f} MB/s")
    print("\nOurs, the first time, as a multiple of")
    for method in METHODS:
        for name, speed in speeds.items():
            if name.endswith(method) and not name.startswith("ours"):
                print(f"  {name:<38} {speeds[f'ours, first time, {method}'] / speed:6.2f}")

    print("\nLines that come out differently")
    plain_lines = lines[:: options.plain_every]
    different = sum(ours.tokenize(line) != plain.tokenize(line) for line in plain_lines)
    print(f"  from one character at a time: {different} of {len(plain_lines):,}")
    if theirs is not None:
        encode = functools.partial(theirs.encode, add_special_tokens=False)
        differing_ids = sum(ours.text_to_ids(line) != encode(line).ids for line in lines)
        print(f"  from Hugging Face's: {differing_ids} of {len(lines):,}")
    if different:
        sys.exit("The fast tokenizer is wrong.")


def argument_parser(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("files", nargs="*", help="text files to tokenize, line by line")
    parser.add_argument("--data_dir", help="without files: the folder of the unpacked shared/data")
    parser.add_argument("--vocab_file", default=str(GOLDEN_VOCABULARY), help="one token a line")
    parser.add_argument("--do_lower_case", action="store_true")
    parser.add_argument("--repeats", type=int, default=3, help="rounds, of which the best counts")
    parser.add_argument(
        "--plain_every", type=int, default=4, help="the plain form sees one line in so many"
    )
    return parser


def parse_arguments(parser: argparse.ArgumentParser) -> argparse.Namespace:
    options = parser.parse_args()
    if not options.files and not options.data_dir:
        parser.error("give text files, or --data_dir")
    return options


def text_lines(options: argparse.Namespace) -> Iterator[str]:
    if options.files:
        for path in options.files:
            yield from read_lines(path)
        return
    corpus = pathlib.Path(options.data_dir) / "corpus"
    csv.field_size_limit(1 << 30)
    for path in sorted(corpus.glob("web/petitions_jsonl/*.jsonl")):
        for record in read_lines(str(path)):
            yield from filled_lines(json.loads(record)["content"])
    for path in sorted(corpus.glob("news/**/*.csv")):
        with open(path, encoding="utf-8", newline="") as file:
            for row in csv.reader(file):
                for cell in row:
                    yield from filled_lines(cell)


def filled_lines(text: str) -> Iterator[str]:
    return (line for line in text.replace("\r", "").split("\n") if line.strip())


def hugging_face_tokenizer(options: argparse.Namespace):
    """Hugging Face's counterpart, None where it is not installed."""
    if BertWordPieceTokenizer is None:
        print("Hugging Face's tokenizers is not installed: left out.")
        return None
    return BertWordPieceTokenizer(options.vocab_file, lowercase=options.do_lower_case)


def contestants(ours, plain, theirs, options: argparse.Namespace) -> dict[str, Callable]:
    """By name, what makes ready a function from a line to its tokens or ids."""

    def fresh(method: str) -> Callable:
        return getattr(FullTokenizer(options.vocab_file, options.do_lower_case), method)

    found: dict[str, Callable] = {}
    for method in METHODS:
        found[f"ours, first time, {method}"] = functools.partial(fresh, method)
        found[f"ours, again, {method}"] = functools.partial(getattr, ours, method)
        found[f"{PLAIN}, {method}"] = functools.partial(getattr, plain, method)
    if theirs is not None:
        encode = functools.partial(theirs.encode, add_special_tokens=False)
        found["Hugging Face, text_to_ids"] = lambda: lambda line: encode(line).ids
        found["Hugging Face, tokenize"] = lambda: lambda line: encode(line).tokens
    return found


def measure(
    ready: dict[str, Callable], lines: list[str], options: argparse.Namespace
) -> dict[str, float]:
    """Returns the best speed of each in MB/s, over rounds in which all take their turn."""
    best: dict[str, float] = dict.fromkeys(ready, 0.0)
    for _ in range(options.repeats):
        for name, make_ready in ready.items():
            share = lines[:: options.plain_every] if name.startswith(PLAIN) else lines
            seconds = seconds_of_pass(make_ready(), share)
            best[name] = max(best[name], megabytes(share) / seconds)
    return best


def seconds_of_pass(convert: Callable, items: list) -> float:
    """CPU seconds, those of all threads together."""
    start = time.process_time()
    for item in items:
        convert(item)
    return time.process_time() - start


def megabytes(lines: list[str]) -> float:
    return sum(len(line.encode()) for line in lines) / 1e6


def peak_memory() -> float:
    """The most memory this process has had resident so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"ERROR: {error}")
