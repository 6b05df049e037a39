"""How fast duplicates are found, in how much memory; and how well near-duplicates are.

    python tests/benchmarks/deduplication.py
    python tests/benchmarks/deduplication.py --num_lines=10000000 --memory_mb=64,512

Exact duplicates: ours (hashing, sorting and finding, by parts), a set of the hashes and a set of
the lines themselves, on the same made lines of about 100 bytes, a tenth of which come before. Each
has a process of its own; speeds are MB of UTF-8 per CPU second without the making of the lines,
and memory is the most that was resident over what it was after making a part of them.

Near-duplicates: documents with copies, a word of which after another is replaced until the next
would bring the similarity (Jaccard's, of 5-letter shingles) under the one named.
"""

import argparse
import array
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

import numpy as np

FOLDER = pathlib.Path(__file__).resolve().parent
# The benchmark tokenizers.py beside this file bears the name of Hugging Face's package.
sys.path[:] = [path for path in sys.path if path != str(FOLDER)]
sys.path.append(str(FOLDER.parent))

from near_copies import SYLLABLES, WordMaker, near_copy  # noqa: E402

from deeq_bert.corpus.deduplication import hash_text, read_decisions, write_hashes  # noqa: E402
from deeq_bert.corpus.exact_duplicates import find_duplicates  # noqa: E402
from deeq_bert.corpus.near_duplicates import banding, find_near_duplicates  # noqa: E402
from deeq_bert.corpus.signatures import Signer, mix, write_signatures  # noqa: E402

LINES_OF_A_PART = 50_000
LINES_OF_A_DOCUMENT = 20
WORDS_OF_A_LINE = 10
SIMILARITIES = (0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num_lines", type=int, default=3_000_000)
    parser.add_argument("--memory_mb", default="16,256", help="for ours, in turn")
    parser.add_argument("--num_documents", type=int, default=3_000, help="for near-duplicates")
    parser.add_argument("--threshold", type=float, default=0.8)
    parser.add_argument("--contestant", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contestant:
        measure_exact(options.contestant, options.num_lines)
        return
    print(f"Exact duplicates of {options.num_lines:,} lines")
    limits = options.memory_mb.split(",")
    for contestant in (*(f"ours, {limit} MB" for limit in limits), "set of hashes", "set of lines"):
        subprocess.run(
            [
                sys.executable,
                __file__,
                f"--num_lines={options.num_lines}",
                f"--contestant={contestant}",
            ],
            check=True,
        )
    measure_near(options.num_documents, options.threshold)


def measure_exact(contestant: str, num_lines: int) -> None:
    """Prints the speed and the memory of one way to find duplicates."""
    next(parts_of_lines(num_lines))
    before = peak_memory()
    if contestant.startswith("ours"):
        found, num_bytes, seconds = by_parts(num_lines, float(contestant.split()[1]))
    else:
        found, num_bytes, seconds = by_set(num_lines, contestant == "set of hashes")
    print(
        f"{contestant:<16} {num_bytes / 1e6 / sum(seconds):6.0f} MB/s "
        f"{peak_memory() - before:7.0f} MiB {found:>10,} duplicates  "
        + (
            "(hashing {:.1f} s, sorting and writing {:.1f}, finding {:.1f})".format(*seconds)
            if len(seconds) > 1
            else ""
        ),
        flush=True,
    )


def by_parts(num_lines: int, memory_mb: float) -> tuple[int, int, list[float]]:
    seconds = [0.0, 0.0, 0.0]
    num_bytes = 0
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for number, lines in enumerate(parts_of_lines(num_lines)):
            num_bytes += size(lines)
            start = time.process_time()
            hashes = np.array(array.array("Q", map(hash_text, lines)), dtype=np.uint64)
            hashed = time.process_time()
            paths.append(os.path.join(folder, f"{number}.hashes"))
            documents = np.arange(len(lines), dtype=np.uint32) // LINES_OF_A_DOCUMENT
            write_hashes(paths[-1], hashes, documents)
            seconds[0] += hashed - start
            seconds[1] += time.process_time() - hashed
        start = time.process_time()
        decision_paths = [f"{path}.decisions" for path in paths]
        summary = find_duplicates(paths, decision_paths, memory_mb, num_most_repeated=20)
        seconds[2] = time.process_time() - start
        decided = sum(int(np.count_nonzero(read_decisions(path))) for path in decision_paths)
    if decided != summary.num_duplicates:
        sys.exit("The decisions are not as many as the summary says.")
    return decided, num_bytes, seconds


def by_set(num_lines: int, hashed: bool) -> tuple[int, int, list[float]]:
    seen: set = set()
    found = num_bytes = 0
    seconds = 0.0
    for lines in parts_of_lines(num_lines):
        num_bytes += size(lines)
        start = time.process_time()
        for line in map(hash_text, lines) if hashed else lines:
            if line in seen:
                found += 1
            else:
                seen.add(line)
        seconds += time.process_time() - start
    return found, num_bytes, [seconds]


def parts_of_lines(num_lines: int) -> Iterator[list[str]]:
    """Yields made lines; each is told by a number, so that an earlier one can come again."""
    random = np.random.default_rng(1)
    words = ["".join(random.choice(SYLLABLES, 3)) for _ in range(1 << 15)]
    places = np.arange(WORDS_OF_A_LINE, dtype=np.uint64)
    for begin in range(0, num_lines, LINES_OF_A_PART):
        numbers = np.arange(begin, min(begin + LINES_OF_A_PART, num_lines), dtype=np.uint64)
        again = random.random(len(numbers)) < 0.1
        numbers[again] = (numbers[again] * random.random(again.sum())).astype(np.uint64)
        drawn = mix(numbers[:, np.newaxis] * np.uint64(WORDS_OF_A_LINE) + places)
        drawn &= np.uint64(len(words) - 1)
        yield [" ".join([words[place] for place in row]) for row in drawn.tolist()]


def measure_near(num_documents: int, threshold: float) -> None:
    """Prints how many copies of each similarity are found, and how fast."""
    maker = WordMaker(1)
    random = maker.random
    originals = [maker.words(int(random.integers(60, 400))) for _ in range(num_documents)]
    planted = np.arange(num_documents) % len(SIMILARITIES)
    texts = [" ".join(words) for words in originals]
    copies = [near_copy(words, SIMILARITIES[row], maker) for words, row in zip(originals, planted)]
    total = size(texts) + size(copies)
    bands = banding(threshold)
    print(
        f"\nNear-duplicates: {num_documents:,} documents and a copy of each, {total / 1e6:.1f} MB; "
        f"threshold {threshold}, {bands.num_bands} bands of {bands.num_rows} values"
    )
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, name) for name in ("originals", "copies")]
        signer = Signer()
        start = time.process_time()
        for path, documents in zip(paths, (texts, copies)):
            write_signatures(path, list(map(signer.signature, documents)))
        signed = time.process_time()
        decision_paths = [f"{path}.decisions" for path in paths]
        find_near_duplicates(paths, decision_paths, threshold, memory_mb=256)
        ended = time.process_time()
        of_originals, of_copies = map(read_decisions, decision_paths)
    print(
        f"{total / 1e6 / (ended - start):.1f} MB/s (signatures {total / 1e6 / (signed - start):.1f}"
        f" MB/s, finding {total / 1e6 / (ended - signed):.1f})"
    )
    print("similarity   dropped")
    for row, similarity in enumerate(SIMILARITIES):
        print(f"  {similarity:<11}{np.mean(of_copies[planted == row] > 0):7.1%}")
    right = np.count_nonzero(of_copies[np.array(SIMILARITIES)[planted] >= threshold])
    near = np.count_nonzero(of_copies[np.array(SIMILARITIES)[planted] >= threshold - 0.1])
    dropped = np.count_nonzero(of_copies)
    expected = np.count_nonzero(np.array(SIMILARITIES)[planted] >= threshold)
    print(
        f"recall at or over the threshold {right / expected:.3f}; of what is dropped, "
        f"{right / dropped:.3f} is that similar, {near / dropped:.4f} to within 0.1; "
        f"originals dropped: {np.count_nonzero(of_originals)}"
    )


def size(texts: list[str]) -> int:
    return sum(len(text.encode()) + 1 for text in texts)


def peak_memory() -> float:
    """The most memory this process has had resident so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
