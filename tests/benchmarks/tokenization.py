"""How fast text becomes tokens and ids: ours, the original's manner, Hugging Face's tokenizers.

    python tests/benchmarks/tokenization.py --vocab_file=vocab.txt corpus.txt ...
    python tests/benchmarks/tokenization.py --data_dir=DIR    # what shared/data/unpack.sh laid out

All run in this process, on the same lines, and are timed in CPU seconds, so that the figures are per
core and their ratios hold on a busy machine. Every line's tokens are compared.
"""

import argparse
import csv
import json
import os
import pathlib
import resource
import sys
import time
from collections.abc import Callable, Iterator

# One core for everybody; the library reads this when it is imported.
os.environ["TOKENIZERS_PARALLELISM"] = "false"

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests"))

from plain_wordpiece import PlainTokenizer  # noqa: E402

from deeq_bert.bert.tokenization import FullTokenizer  # noqa: E402
from deeq_bert.tokenizers.errors import InputError  # noqa: E402
from deeq_bert.tokenizers.files import read_lines  # noqa: E402

try:
    from tokenizers import BertWordPieceTokenizer
except ImportError:
    BertWordPieceTokenizer = None

METHODS = ("text_to_ids", "tokenize")
GOLDEN_VOCABULARY = ROOT.parent / "shared/golden/pretraining_data/vocab-bert.txt"


def main() -> None:
    options = parse_arguments()
    lines = list(text_lines(options))
    plain_lines = lines[:: options.plain_every]
    print(f"{len(lines):,} lines, {megabytes(lines):.1f} MB; best of {options.repeats}, one core")

    before = peak_memory()
    ours = FullTokenizer(options.vocab_file, options.do_lower_case)
    seconds_of_pass(ours.text_to_ids, lines)
    print(f"{'ours, memory for vocabulary and cache':<38} {peak_memory() - before:6.1f} MiB")

    speed = time_ours(options, lines)
    plain = PlainTokenizer(ours.vocab, options.do_lower_case)
    plain_speed = {
        method: report(
            f"one character at a time, {method}", getattr(plain, method), plain_lines, options
        )
        for method in METHODS
    }
    theirs = hugging_face_tokenizer(options)
    if theirs is None:
        print("Hugging Face's tokenizers is not installed: left out.")
    else:
        their_speed = time_hugging_face(theirs, lines, options)

    print("\nOurs, cold, as a multiple of")
    for method in METHODS:
        print(f"  one character at a time, {method}: {speed[method] / plain_speed[method]:.2f}")
        if theirs is not None:
            print(f"  Hugging Face's faster way, {method}: {speed[method] / their_speed:.2f}")

    print("\nLines that come out differently")
    different = sum(ours.tokenize(line) != plain.tokenize(line) for line in plain_lines)
    print(f"  from one character at a time: {different} of {len(plain_lines):,}")
    if theirs is not None:
        encode = single_encoder(theirs)
        differing_ids = sum(ours.text_to_ids(line) != encode(line) for line in lines)
        print(f"  from Hugging Face's: {differing_ids} of {len(lines):,}")
    if different:
        sys.exit("The fast tokenizer is wrong.")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", help="text files to tokenize, line by line")
    parser.add_argument("--data_dir", help="without files: the folder of the unpacked shared/data")
    parser.add_argument("--vocab_file", default=str(GOLDEN_VOCABULARY), help="one token a line")
    parser.add_argument("--do_lower_case", action="store_true")
    parser.add_argument("--repeats", type=int, default=3, help="passes for each figure")
    parser.add_argument(
        "--plain_every", type=int, default=4, help="the plain form sees one line in so many"
    )
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


def time_ours(options: argparse.Namespace, lines: list[str]) -> dict[str, float]:
    """Prints the speeds of ours, and returns those with an empty cache."""
    cold_speed = {}
    for method in METHODS:
        cold, warm = [], []
        for _ in range(options.repeats):
            ours = FullTokenizer(options.vocab_file, options.do_lower_case)
            cold.append(seconds_of_pass(getattr(ours, method), lines))
            warm.append(seconds_of_pass(getattr(ours, method), lines))
        cold_speed[method] = print_speed(f"ours, {method}, cold", megabytes(lines) / min(cold))
        print_speed(f"ours, {method}, second pass", megabytes(lines) / min(warm))
    return cold_speed


def hugging_face_tokenizer(options: argparse.Namespace):
    """Hugging Face's counterpart, None where it is not installed."""
    if BertWordPieceTokenizer is None:
        return None
    return BertWordPieceTokenizer(options.vocab_file, lowercase=options.do_lower_case)


def single_encoder(theirs) -> Callable[[str], list[int]]:
    return lambda line: theirs.encode(line, add_special_tokens=False).ids


def time_hugging_face(theirs, lines: list[str], options: argparse.Namespace) -> float:
    """Prints the speeds of Hugging Face's two ways to encode, and returns the higher."""

    def encode_batch(batch: list[str]) -> list[list[int]]:
        return [encoding.ids for encoding in theirs.encode_batch(batch, add_special_tokens=False)]

    batches = [lines[first : first + 1000] for first in range(0, len(lines), 1000)]
    batch_seconds = min(seconds_of_pass(encode_batch, batches) for _ in range(options.repeats))
    return max(
        report("Hugging Face, encode", single_encoder(theirs), lines, options),
        print_speed("Hugging Face, encode_batch", megabytes(lines) / batch_seconds),
    )


def report(
    name: str, convert: Callable[[str], list], lines: list[str], options: argparse.Namespace
) -> float:
    """Times `convert` over the lines, prints the speed in MB/s and returns it."""
    seconds = min(seconds_of_pass(convert, lines) for _ in range(options.repeats))
    return print_speed(name, megabytes(lines) / seconds)


def print_speed(name: str, speed: float) -> float:
    print(f"{name:<38} {speed:6.2f} MB/s")
    return speed


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
