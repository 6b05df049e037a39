"""How much memory sharded record making takes as the text grows, and how long.

    python tests/benchmarks/records_memory.py --folder=DIR corpus.txt ...
    python tests/benchmarks/records_memory.py --folder=DIR --megabytes=100,1000,10000 \\
      --max_memory_mb=500 --num_workers=2 corpus.txt ...

The text is made of that given: documents of its sentences, drawn at random from a seed, a third of
which get two words joined to a new one, since real text never stops bringing new words. It stays
in the folder for the next run; records, about twice as large, are removed as soon as they are
measured. Memory is what is resident: each process's own most, and the most of all together, in
which what they share counts for each.
"""

import argparse
import contextlib
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import atomic_outputs, read_lines

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "bert" / "create_pretraining_data.py"
GOLDEN_VOCABULARY = ROOT.parent / "shared/golden/pretraining_data/vocab-bert.txt"
SAMPLE_SECONDS = 0.05
# Of the text given so much is kept in memory to draw from.
SOURCE_MEGABYTES = 20
SENTENCES_OF_A_DOCUMENT = 5, 40
SHARE_WITH_NEW_WORD = 1 / 3
# What records, and what stands between, take of the disk as a multiple of the text, at most.
DISK_FACTOR = 4


class Usage(NamedTuple):
    """What a process and those it started took.

    Attributes:
      cpu_seconds: Of all of them, user and system.
      wall_seconds: From start to end.
      process_mebibytes: The most that was resident of each process, largest first.
      total_mebibytes: The most that was resident of all together at one time.
    """

    cpu_seconds: float
    wall_seconds: float
    process_mebibytes: list[float]
    total_mebibytes: float


def run_measured(
    command: Sequence[str],
    folder: str | os.PathLike,
    environment: dict[str, str] | None = None,
    core: int | None = None,
) -> Usage:
    """Runs a command to its end, with all it starts, and returns what that took.

    Args:
      command: The program and its arguments; what it prints goes to a file in `folder`.
      folder: Where it runs.
      environment: Variables that it has besides the ones here.
      core: The one core it may use; any if None.

    Raises:
      RuntimeError: It failed; says how, with the last of what it printed.
    """
    log_path = os.path.join(folder, "process.log")
    started = time.monotonic()
    with open(log_path, "wb") as log, _pinned(core):
        # A session of its own, whose processes are all found, and ended with it.
        process = subprocess.Popen(
            list(map(str, command)),
            stdout=log,
            stderr=log,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    sampler = _MemorySampler(process.pid)
    try:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGTERM)
        sampler.stop()
    wall_seconds = time.monotonic() - started
    if process.returncode:
        last_words = pathlib.Path(log_path).read_text(errors="replace").strip()[-1500:]
        raise RuntimeError(f"{' '.join(map(str, command))} failed:\n{last_words}")
    return Usage(
        usage.ru_utime + usage.ru_stime,
        wall_seconds,
        sorted(sampler.peaks.values(), reverse=True),
        max([sampler.total, *sampler.peaks.values()]),
    )


@contextlib.contextmanager
def _pinned(core: int | None) -> Iterator[None]:
    """Lets what is started meanwhile run on one core."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class _MemorySampler:
    """Watches the memory of a session's processes from a thread, in MiB.

    Attributes:
      peaks: The most that was resident of each process.
      total: The most that was resident of all at one time.
    """

    def __init__(self, session: int):
        self.peaks: dict[int, float] = {}
        self.total = 0.0
        self._session = session
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        ended = False
        while not ended:
            ended = self._stopped.wait(SAMPLE_SECONDS)
            total = 0.0
            for process in filter(str.isdigit, os.listdir("/proc")):
                # A process may end at any time.
                with contextlib.suppress(OSError, KeyError):
                    if os.getsid(int(process)) == self._session:
                        status = pathlib.Path("/proc", process, "status").read_text()
                        sizes = dict(line.split(":\t", 1) for line in status.splitlines())
                        # One that has just been forked still shares its parent's memory.
                        if int(process) in self.peaks:
                            total += int(sizes["VmRSS"].split()[0]) / 1024
                        self.peaks[int(process)] = int(sizes["VmHWM"].split()[0]) / 1024
            self.total = max(self.total, total)


def main() -> None:
    options = parse_arguments()
    sentences = source_sentences(options.files)
    print(
        f"{'MB':>6} {'shards':>6} {'workers':>7} {'wall s':>8} {'CPU s':>8} {'MB/s':>6} "
        f"{'records GB':>10} {'all MiB':>8}  MiB of each process"
    )
    for megabytes in options.megabytes:
        text = make_text(options, sentences, megabytes)
        measure(options, text)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", help="text to draw sentences from")
    parser.add_argument("--folder", required=True, help="where text and records go")
    parser.add_argument(
        "--megabytes",
        type=lambda text: [int(part) for part in text.split(",")],
        default=[100, 1000],
        help="sizes of text, in turn, separated by commas",
    )
    parser.add_argument("--max_memory_mb", type=int, default=1000, help="of each worker")
    parser.add_argument("--num_shards", type=int, help="instead of what the memory asks for")
    parser.add_argument("--num_workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--dupe_factor", type=int, default=1)
    parser.add_argument("--vocab_file", default=str(GOLDEN_VOCABULARY), help="one token a line")
    parser.add_argument("--do_lower_case", action="store_true")
    parser.add_argument("--random_seed", type=int, default=12345, help="of the text")
    return parser.parse_args()


def source_sentences(paths: Sequence[str]) -> list[str]:
    """Returns the first sentences of some files."""
    sentences, size = [], 0
    for path in paths:
        for line in read_lines(path):
            if line := line.strip():
                sentences.append(line)
                size += len(line.encode()) + 1
            if size > SOURCE_MEGABYTES * 1e6:
                return sentences
    if not sentences:
        raise InputError(f"There is no text in {', '.join(paths)}. Give files of sentences.")
    return sentences


def make_text(options: argparse.Namespace, sentences: list[str], megabytes: int) -> str:
    """Writes text of a size, unless it is there, and returns its path."""
    name = f"text-{megabytes}mb-seed{options.random_seed}.txt"
    path = os.path.abspath(os.path.join(options.folder, name))
    os.makedirs(options.folder, exist_ok=True)
    room = shutil.disk_usage(options.folder).free / 1e6
    needed = megabytes * (DISK_FACTOR * options.dupe_factor + (not os.path.exists(path)))
    if room < needed:
        raise InputError(
            f"--megabytes={megabytes} needs up to {needed / 1000:.1f} GB in {options.folder}, "
            f"where {room / 1000:.1f} GB are free. Give another --folder, or a smaller size."
        )
    if not os.path.exists(path):
        rng = random.Random(options.random_seed)
        words = list(dict.fromkeys(word for sentence in sentences for word in sentence.split()))
        left = megabytes * 1e6
        with atomic_outputs([path]) as (output,):
            while left > 0:
                document = make_document(sentences, words, rng).encode()
                output.write(document)
                left -= len(document)
    return path


def make_document(sentences: list[str], words: list[str], rng: random.Random) -> str:
    lines = rng.choices(sentences, k=rng.randint(*SENTENCES_OF_A_DOCUMENT))
    for place in range(len(lines)):
        if rng.random() < SHARE_WITH_NEW_WORD:
            lines[place] = f"{rng.choice(words)}{rng.choice(words)} {lines[place]}"
    lines.append("\n")
    return "\n".join(lines)


def measure(options: argparse.Namespace, text: str) -> None:
    """Makes records of a text, prints what that took and removes them."""
    size = os.path.getsize(text)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="records-", dir=options.folder)).resolve()
    command = [
        sys.executable,
        SCRIPT,
        f"--input_file={text}",
        f"--vocab_file={os.path.abspath(options.vocab_file)}",
        f"--output_file={folder / 'train.tfrecord'}",
        f"--do_lower_case={options.do_lower_case}",
        f"--dupe_factor={options.dupe_factor}",
        f"--max_memory_mb={options.max_memory_mb}",
        f"--num_workers={options.num_workers}",
    ]
    if options.num_shards:
        command.append(f"--num_shards={options.num_shards}")
    try:
        usage = run_measured(command, folder)
        shards = [*folder.glob("train.tfrecord-?????-of-?????")]
        written = sum(path.stat().st_size for path in shards)
    finally:
        shutil.rmtree(folder)
    each = " ".join(f"{peak:.0f}" for peak in usage.process_mebibytes)
    print(
        f"{size / 1e6:6.0f} {len(shards):6} {options.num_workers:7} {usage.wall_seconds:8.1f} "
        f"{usage.cpu_seconds:8.1f} {size / 1e6 / usage.wall_seconds:6.2f} {written / 1e9:10.2f} "
        f"{usage.total_mebibytes:8.0f}  {each}",
        flush=True,
    )


if __name__ == "__main__":
    try:
        main()
    except (InputError, RuntimeError) as error:
        sys.exit(f"ERROR: {error}")
