"""How fast text is cleaned, against named peers in the same run.

    python tests/benchmarks/corpus.py --data_dir=DIR     # what shared/data/unpack.sh laid out

On news and on reviews, in MB of UTF-8 per second of one core: the default chain, with all rules
and the rule splitter, in memory; the same from file to file, with reading and hashing; and for
comparison what KcBERT publishes as its cleaning (our own equivalent), kss's preprocessing if kss is
installed, and Kiwi's sentence splitter. Then whole runs of corpus/clean_corpus.py with one process
and with two, exact de-duplication, and the MediaWiki reader.
"""

import argparse
import itertools
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence

import numpy as np

from deeq_bert.corpus import deduplication, exact_duplicates
from deeq_bert.corpus.accounting import Account
from deeq_bert.corpus.cleaning import Cleaner
from deeq_bert.corpus.kiwi_sentences import KiwiSplitter
from deeq_bert.corpus.part_cleaning import PartCleaner, PartSettings, batches, part_account
from deeq_bert.corpus.planning import plan_parts
from deeq_bert.corpus.readers.base import Document
from deeq_bert.corpus.readers.input_file import InputFile
from deeq_bert.corpus.readers.mediawiki import MediaWikiReader
from deeq_bert.corpus.sources import Source, make_source

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MEGABYTES = 8.0
SLOW_MEGABYTES = 0.3
KSS_WORDS = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_dir", required=True, type=pathlib.Path)
    parser.add_argument("--repeats", default=3, type=int)
    options = parser.parse_args()
    corpus = options.data_dir / "corpus"
    news = make_source(
        f"{corpus}/web/dps_jsonl/*/*.jsonl", source="news", changes=["reader.text=text"]
    )
    reviews = make_source(
        f"{corpus}/reviews/nsmc_reviews.jsonl", source="comments", changes=["reader.text=review"]
    )
    for name, source in (("news", news), ("reviews", reviews)):
        print(f"\n{name}: MB/s of one core (best of {options.repeats})")
        compare_chains(source, options.repeats)
    print("\nclean_corpus.py, whole process: seconds on the clock")
    compare_workers(news, 20, options.repeats)
    compare_workers(reviews, 3, options.repeats)
    print("\nexact de-duplication of lines of reviews and news, order kept")
    deduplicate([*texts(reviews), *texts(news)], options.repeats)
    print("\nMediaWiki, dump to paragraphs")
    read_wiki(options.data_dir / "fixtures/mediawiki/kowiki-fixture-pages-articles.xml")


def texts(source: Source) -> list[str]:
    """The texts of a source's documents."""
    field = source.settings.reader_options["*"]["text"]
    return [
        json.loads(line)[field]
        for path in source.files
        for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines()
    ]


def compare_chains(source: Source, repeats: int) -> None:
    """Prints the speed of the chain and of its peers on the same documents."""
    everything = texts(source)
    fast = share(everything, MEGABYTES)
    slow = share(everything, SLOW_MEGABYTES)
    cleaner = Cleaner(source.settings)

    def chain(lines: Sequence[str]) -> None:
        account = Account(20, "0")
        for documents in batches(Document("", "", [text]) for text in lines):
            cleaner.clean(documents, account)

    show("default chain, rule splitter", chain, fast, repeats)
    print(f"{'from file to file, with hashes':34}{file_to_file(source, repeats):9.2f}")
    show("KcBERT's cleaning, alone", kcbert_clean, fast, 1)
    show("Kiwi's splitter, alone", lambda lines: [*map(KIWI, lines)], slow, 1)
    try:
        from kss import Kss
    except ImportError:
        print("kss is not installed: pip install kss to compare with its preprocess")
    else:
        preprocess = Kss("preprocess")
        # It fails at texts of a few words.
        longer = [text for text in slow if len(text.split()) >= KSS_WORDS]
        show("kss preprocess, alone", lambda lines: [*map(preprocess, lines)], longer, 1)


def show(name: str, work: Callable, lines: Sequence[str], repeats: int) -> None:
    work(lines[: max(1, len(lines) // 20)])
    seconds = min(cpu_seconds(work, lines) for _ in range(repeats))
    print(f"{name:34}{megabytes(lines) / seconds:9.2f}")


def cpu_seconds(work: Callable, *arguments: object) -> float:
    started = time.process_time()
    work(*arguments)
    return time.process_time() - started


def megabytes(lines: Sequence[str]) -> float:
    return sum(len(line.encode()) for line in lines) / 1e6


def share(lines: list[str], size: float) -> list[str]:
    """Lines from all over, of about this many megabytes."""
    step = max(1, int(megabytes(lines) / size))
    return lines[::step]


def file_to_file(source: Source, repeats: int) -> float:
    """Returns MB/s of cleaning some parts of the source, as workers do."""
    with tempfile.TemporaryDirectory() as folder:
        settings = PartSettings(folder, 0, 20, "strict", False, False, False, None)
        cleaner = PartCleaner((source,), settings)
        parts = list(itertools.islice(plan_parts([source]), 8))
        cleaner.clean(parts[0])
        seconds = min(
            cpu_seconds(lambda: [cleaner.clean(part) for part in parts]) for _ in range(repeats)
        )
        size = sum(part_account(folder, part.index, 20).bytes_in for part in parts)
    return size / 1e6 / seconds


# What KcBERT keeps: Hangul, ASCII, some marks and emoji; URLs go, runs are folded to two.
_NOT_KEPT = re.compile("[^ .,?!/@$%~％·∼()\x00-\x7fㄱ-ㅣ가-힣\U0001f300-\U0001faff☀-➿]+")
_URL = re.compile(
    r"https?://(?:www\.)?[-a-zA-Z0-9@:%._+~#=]{1,256}\.[a-zA-Z0-9()]{1,6}\b[-a-zA-Z0-9()@:%_+.~#?&/=]*"
)
_RUN_OF_WORDS = re.compile(r"(\w{2,})(?=\1\1)")
_RUN = re.compile(r"(.)(?=\1\1)")


def kcbert_clean(lines: Sequence[str]) -> list[str]:
    cleaned = []
    for line in lines:
        line = _NOT_KEPT.sub(" ", line)
        line = _URL.sub("", line).strip()
        line = _RUN_OF_WORDS.sub("", line)
        cleaned.append(_RUN.sub("", line))
    return cleaned


KIWI = KiwiSplitter()


def compare_workers(source: Source, copies: int, repeats: int) -> None:
    """Prints how long whole runs over some copies of the files take with one process and two."""
    field = source.settings.reader_options["*"]["text"]
    seconds = {1: [], 2: []}
    for _, workers in itertools.product(range(repeats), seconds):
        with tempfile.TemporaryDirectory() as folder:
            for copy, path in itertools.product(range(copies), source.files):
                name = path.replace("/", "-")
                os.symlink(path, f"{folder}/{copy}-{name}")
            command = [
                sys.executable,
                ROOT / "corpus" / "clean_corpus.py",
                f"--input_file={folder}/*.jsonl",
                f"--source={source.name}",
                f"--set=reader.text={field}",
                f"--output_file={folder}/train.txt",
                f"--num_workers={workers}",
            ]
            started = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            seconds[workers].append(time.perf_counter() - started)
    one, two = min(seconds[1]), min(seconds[2])
    size = copies * sum(map(os.path.getsize, source.files)) / 1e6
    print(
        f"{source.name}, {size:.0f} MB of files: {one:.1f} s with 1 process, {two:.1f} s with 2: "
    )
    print(f"    {one / two:.2f} times as fast, efficiency {one / two / 2:.2f}")


def deduplicate(lines: list[str], repeats: int) -> None:
    """Prints MB/s of hashing, writing, finding; and of a set of the lines."""
    num_parts = 16
    size = -(-len(lines) // num_parts)
    parts = [lines[start : start + size] for start in range(0, len(lines), size)]

    def ours() -> int:
        with tempfile.TemporaryDirectory() as folder:
            paths = [f"{folder}/{part}" for part in range(len(parts))]
            for path, part in zip(paths, parts):
                deduplication.write_hashes(path, *hashed(part))
            decisions = [f"{path}.decisions" for path in paths]
            return exact_duplicates.find_duplicates(paths, decisions, 256).num_duplicates

    def plain() -> int:
        seen: set[str] = set()
        return sum(1 for line in lines if line in seen or seen.add(line))

    assert ours() == plain()
    for name, work in (("ours, 256 MB of memory", ours), ("a set of the lines", plain)):
        seconds = min(cpu_seconds(work) for _ in range(repeats))
        print(f"{name:34}{megabytes(lines) / seconds:9.1f} MB/s")


def hashed(lines: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """The hashes of lines that are each a document."""
    hashes = np.fromiter(map(deduplication.hash_text, lines), np.uint64, len(lines))
    return hashes, np.arange(len(lines), dtype=np.uint32)


def read_wiki(path: pathlib.Path) -> None:
    def read() -> int:
        return sum(1 for _ in MediaWikiReader().read(InputFile(str(path))))

    read()
    seconds = min(cpu_seconds(read) for _ in range(3))
    print(f"{'ours':34}{path.stat().st_size / 1e6 / seconds:9.1f} MB/s of XML")


if __name__ == "__main__":
    main()
