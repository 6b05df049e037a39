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

GOLDEN_VOCABULARY = ROOT.parent / "shared/golden/pretraining_data/vocab-bert.txt"


def main() -> None:
    options = parse_arguments()
    lines = list(text_lines(options))
    megabytes = sum(len(line.encode()) for line in lines) / 1e6
    print(f"{len(lines):,} lines, {megabytes:.1f} MB; best of {options.repeats} passes, one core")

    speeds: dict[str, float] = {}

    def report(name: str, seconds: float) -> None:
        speeds[name] = megabytes / seconds
        print(f"{name:<44} {speeds[name]:7.2f} MB/s")

    memory = peak_memory()
    for method in ("text_to_ids", "tokenize"):
        cold, warm = [], []
        for _ in range(options.repeats):
            ours = FullTokenizer(options.vocab_file, options.do_lower_case)
            convert = getattr(ours, method)
            cold.append(cpu_seconds(convert, lines))
            warm.append(cpu_seconds(convert, lines))
        report(f"ours, {method}, cold", min(cold))
        report(f"ours, {method}, warm", min(warm))
    print(f"{'ours, memory with vocabulary and cache':<44} {peak_memory() - memory:7.1f} MiB")

    plain = PlainTokenizer(ours.vocab, options.do_lower_case)
    plain_lines = lines[:: options.plain_every]
    share = sum(len(line.encode()) for line in plain_lines) / 1e6 / megabytes
    for method in ("text_to_ids", "tokenize"):
        convert = getattr(plain, method)
        seconds = [cpu_seconds(convert, plain_lines) for _ in range(options.repeats)]
        report(f"one character at a time, {method}", min(seconds) / share)

    theirs = None
    if BertWordPieceTokenizer is None:
        print("Hugging Face's tokenizers is not installed: left out.")
    else:
        theirs = BertWordPieceTokenizer(
            options.vocab_file, lowercase=options.do_lower_case, clean_text=True
        )
        for name, convert in (
            ("Hugging Face, encode", lambda line: theirs.encode(line, add_special_tokens=False).ids),
            ("Hugging Face, encode_batch", None),
        ):
            seconds = [
                cpu_seconds(convert, lines) if convert else batch_seconds(theirs, lines)
                for _ in range(options.repeats)
            ]
            report(name, min(seconds))

    reference = speeds["one character at a time, text_to_ids"]
    print("\nRatios of text_to_ids, cold:")
    print(f"  to one character at a time: {speeds['ours, text_to_ids, cold'] / reference:.2f}")
    if theirs is not None:
        best = max(speed for name, speed in speeds.items() if name.startswith("Hugging Face"))
        print(f"  to Hugging Face's faster way: {speeds['ours, text_to_ids, cold'] / best:.2f}")

    different = sum(ours.tokenize(line) != plain.tokenize(line) for line in plain_lines)
    print(f"\nLines whose tokens differ from the plain form's: {different} of {len(plain_lines):,}")
    if theirs is not None:
        different_ids = sum(
            ours.text_to_ids(line) != theirs.encode(line, add_special_tokens=False).ids
            for line in lines
        )
        print(f"Lines whose ids differ from Hugging Face's: {different_ids} of {len(lines):,}")
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


def cpu_seconds(convert: Callable[[str], list], lines: list[str]) -> float:
    start = time.process_time()
    for line in lines:
        convert(line)
    return time.process_time() - start


def batch_seconds(theirs, lines: list[str]) -> float:
    start = time.process_time()
    for first in range(0, len(lines), 1000):
        for encoding in theirs.encode_batch(lines[first : first + 1000], add_special_tokens=False):
            _ = encoding.ids
    return time.process_time() - start


def peak_memory() -> float:
    """The most memory this process has had resident so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"ERROR: {error}")
