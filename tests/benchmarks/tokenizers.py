"""How fast every kind of tokenizer is, against a named peer in the same run.

    python tests/benchmarks/tokenizers.py --data_dir=DIR    # what shared/data/unpack.sh laid out
    python tests/benchmarks/tokenizers.py --vocab_file=vocab.txt --deeq_vocab_file=deeq.txt FILE ...

WordPiece is set against the original's manner and Hugging Face's tokenizers (wordpiece.py beside
this file); deeq against bare Kiwi, which does no more than analyse: per core, with two processes,
and from the cache of analyses. Speeds per core are in CPU seconds, those of several processes and
of the cache in seconds on the clock.
"""

import os
import sys

# This file bears the name of Hugging Face's package, and would be found in its place.
_FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [*(folder for folder in sys.path if folder != _FOLDER), _FOLDER]

import argparse  # noqa: E402
import functools  # noqa: E402
import itertools  # noqa: E402
import pathlib  # noqa: E402
import re  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402

import wordpiece  # noqa: E402
from kiwipiepy import Kiwi  # noqa: E402

from deeq_bert.tokenizers import parallel  # noqa: E402
from deeq_bert.tokenizers.analyzers.base import AnalyzerSettings  # noqa: E402
from deeq_bert.tokenizers.base import Tokenizer, TokenizerSettings  # noqa: E402
from deeq_bert.tokenizers.processes import map_in_processes  # noqa: E402
from deeq_bert.tokenizers.registry import make_tokenizer  # noqa: E402

# Bare Kiwi does a tenth of a megabyte a second on some machines. With much less, the seconds that
# a process takes to load Kiwi count.
DEEQ_MEGABYTES = 6.0
BLOCK_LINES = 100


def main() -> None:
    options = parse_arguments()
    lines = list(wordpiece.text_lines(options))
    print("WordPiece\n")
    wordpiece.compare(lines, options)

    # Lines from all over, and the lines before them, as a corpus has them.
    share = max(1, int(wordpiece.megabytes(lines) / options.deeq_megabytes))
    blocks = [lines[start : start + 200] for start in range(0, len(lines), 200 * share)]
    deeq_lines = list(itertools.chain.from_iterable(blocks))
    size = wordpiece.megabytes(deeq_lines)
    print(f"\n\nMorphemes: {len(deeq_lines):,} lines, {size:.2f} MB\n")
    compare_morphemes(deeq_lines, size, options)


def compare_morphemes(lines: list[str], size: float, options: argparse.Namespace) -> None:
    """Prints the speed of deeq as a multiple of that of bare Kiwi, and its memory."""
    settings = TokenizerSettings("deeq", options.deeq_vocab_file or options.vocab_file)
    ours = make_tokenizer(settings)
    ours.text_to_ids("오늘")
    kiwi = Kiwi(integrate_allomorph=False, load_multi_dict=False, num_workers=-1)

    def bare(block: list[str]) -> None:
        for line in block:
            if text := line.strip():
                kiwi.tokenize(text, match_options=0, compatible_jamo=True)

    def deeq(block: list[str]) -> None:
        for _ in ours.tokenize_lines(block):
            pass

    # In turn, a few lines each, so that what else the machine does slows both alike.
    contestants = (bare, deeq)
    cpu_seconds = dict.fromkeys(contestants, 0.0)
    for start in range(0, len(lines), BLOCK_LINES):
        block = lines[start : start + BLOCK_LINES]
        for contestant in contestants:
            run = functools.partial(contestant, block)
            cpu_seconds[contestant] += timed(run, time.process_time)
        contestants = contestants[::-1]
    kiwi_speed, deeq_speed = (size / cpu_seconds[contestant] for contestant in (bare, deeq))
    print(f"{'bare Kiwi.tokenize':<40} {kiwi_speed:6.2f} MB/s per core")
    print(f"{'deeq':<40} {deeq_speed:6.2f} MB/s per core, {deeq_speed / kiwi_speed:.2f} times")
    print()
    compare_processes(lines, size, settings)
    compare_cache(lines, size, options, settings)


def compare_processes(lines: list[str], size: float, settings: TokenizerSettings) -> None:
    """Prints what a second process brings; each starts anew and loads Kiwi."""
    speeds = {}
    for num_workers in (1, 2):
        run = functools.partial(run_workers, lines, num_workers, settings)
        speeds[num_workers] = size / timed(run, time.perf_counter)
        gain = speeds[num_workers] / speeds[1]
        name = f"deeq, {num_workers} process{'es' * (num_workers > 1)}, start included"
        print(f"{name:<40} {speeds[num_workers]:6.2f} MB/s, {gain:.2f} times")
    chunks = [lines[start::4] for start in range(4)]
    peaks = map_in_processes(
        tokenize_and_measure, functools.partial(make_tokenizer, settings), chunks, 2
    )
    print(f"Memory of a worker process, at most: {max(peaks):.0f} MiB\n")


def tokenize_and_measure(tokenizer: Tokenizer, lines: list[str]) -> float:
    """Returns the most memory that this process has had, in MiB, after tokenizing `lines`."""
    for _ in tokenizer.tokenize_lines(lines):
        pass
    # What getrusage gives counts the parent's memory, from before this program was loaded.
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) / 1024


def compare_cache(
    lines: list[str], size: float, options: argparse.Namespace, settings: TokenizerSettings
) -> None:
    """Prints how much faster a second pass is."""
    with tempfile.TemporaryDirectory() as folder:
        cached = TokenizerSettings(
            settings.name, settings.vocab_file, analyzer=AnalyzerSettings(cache_dir=folder)
        )
        run = functools.partial(run_workers, lines, 1, cached)
        seconds = [timed(run, time.perf_counter) for _ in range(1 + options.repeats)]
    first, again = seconds[0], min(seconds[1:])
    print(f"{'deeq, filling the cache':<40} {size / first:6.2f} MB/s")
    print(f"{'deeq, from the cache':<40} {size / again:6.2f} MB/s, {first / again:.1f} times")


def run_workers(lines: list[str], num_workers: int, settings: TokenizerSettings) -> None:
    for _ in parallel.tokenize_lines(
        functools.partial(make_tokenizer, settings), lines, num_workers
    ):
        pass


def timed(run: Callable[[], None], clock: Callable[[], float]) -> float:
    start = clock()
    run()
    return clock() - start


def parse_arguments() -> argparse.Namespace:
    parser = wordpiece.argument_parser(__doc__.splitlines()[0])
    parser.add_argument(
        "--deeq_vocab_file", help="a vocabulary of morphemes; without it, --vocab_file serves"
    )
    parser.add_argument(
        "--deeq_megabytes",
        type=float,
        default=DEEQ_MEGABYTES,
        help="how much of the text is analysed to morphemes",
    )
    return wordpiece.parse_arguments(parser)


if __name__ == "__main__":
    main()
