"""How soon a stopped run is back at its place in the data, and how fast records are read.

    python tests/benchmarks/resume.py                     # 100 million records that take no room
    python tests/benchmarks/resume.py train*.tfrecord     # and what reading real ones takes

The first part makes sparse files and an index of 1.2 GB that says they are full of records, drops
both from the system's memory, and does what a resume does, in a process of its own: open the
records, find out which come next, read them. A second process does the same with all in memory. The
second part scans the given files, opens them by the index, and reads records at random: from
memory, and from the disk.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests"))

from fabricated_records import data_of, fabricate  # noqa: E402

from deeq_bert.bert.record_index import open_records  # noqa: E402
from deeq_bert.bert.shuffling import shuffled_indexes  # noqa: E402

SEED = 12345


def main() -> None:
    if sys.argv[1:2] == ["--resume"]:
        print(json.dumps(resume(*json.loads(sys.argv[2]))))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", help="TFRecord files to read at random")
    parser.add_argument("--records", type=int, default=100_000_000)
    parser.add_argument("--files_of_records", type=int, default=200)
    parser.add_argument("--step", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--folder", help="where the temporary files go")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = pathlib.Path(name)
        measure_resume(folder, options)
        if options.files:
            measure_reading(options.files, str(folder / "real"), options.batch)


def measure_resume(folder: pathlib.Path, options: argparse.Namespace) -> None:
    index_folder = folder / "index"
    records_a_file = options.records // options.files_of_records
    count = records_a_file * options.files_of_records
    batch = shuffled_indexes(options.step * options.batch, options.batch, count, SEED)
    paths = fabricate(
        folder, index_folder, options.files_of_records, records_a_file, batch.tolist()
    )
    print(f"Resuming at step {options.step:,}, batch {options.batch}:")
    for state in ("on the disk", "in memory"):
        if state == "on the disk":
            forget([*index_folder.iterdir(), *map(pathlib.Path, paths)])
        arguments = json.dumps([paths, str(index_folder), options.step, options.batch])
        completed = subprocess.run(
            [sys.executable, __file__, "--resume", arguments],
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        )
        took = json.loads(completed.stdout)
        print(
            f"  all {state}: {took['records']:,} records opened in {took['open']:.3f} s, the next "
            f"batch found in {took['shuffle']:.4f} s and read in {took['read']:.4f} s; "
            f"{took['mebibytes']:.0f} MiB more memory"
        )


def resume(paths: list[str], index_folder: str, step: int, batch: int) -> dict[str, float]:
    """Does what a resume does, and returns how long each part took."""
    memory = own_mebibytes()
    times = [time.perf_counter()]
    with open_records(paths, index_folder) as records:
        times.append(time.perf_counter())
        indexes = shuffled_indexes(step * batch, batch, len(records), SEED).tolist()
        times.append(time.perf_counter())
        data = records.read_many(indexes)
        times.append(time.perf_counter())
        if data != [data_of(index) for index in indexes]:
            sys.exit("ERROR: the records read are not those of the position.")
        spans = dict(zip(("open", "shuffle", "read"), np.diff(times).tolist()))
        return {"records": len(records), "mebibytes": own_mebibytes() - memory, **spans}


def measure_reading(paths: list[str], index_folder: str, batch: int) -> None:
    size = sum(map(os.path.getsize, paths))
    for state in ("scanned", "opened by the index"):
        start, cpu = time.perf_counter(), time.process_time()
        records = open_records(paths, index_folder)
        wall, cpu = time.perf_counter() - start, time.process_time() - cpu
        print(
            f"{len(records):,} records, {size / 1e6:.0f} MB, {state} in {wall:.3f} s "
            f"({cpu:.3f} s of CPU)"
        )
    ways: dict[str, Callable[[list[int]], object]] = {
        "read": lambda indexes: [records.read(index) for index in indexes],
        "read_many": records.read_many,
    }
    random = np.random.default_rng(SEED)
    with records:
        for state, batches in (("in memory", 200), ("on the disk", 20)):
            for name, read in ways.items():
                if state == "on the disk":
                    forget(map(pathlib.Path, paths))
                else:
                    records.read_many(range(len(records)))
                drawn = random.integers(0, len(records), (batches, batch)).tolist()
                start, cpu = time.perf_counter(), time.process_time()
                for indexes in drawn:
                    read(indexes)
                wall, cpu = time.perf_counter() - start, time.process_time() - cpu
                wall, cpu = (seconds / batches / batch * 1e6 for seconds in (wall, cpu))
                print(f"  {state}, {name}: {wall:.2f} microseconds a record ({cpu:.2f} of CPU)")


def forget(paths: Iterable[pathlib.Path]) -> None:
    """Drops files from the system's memory."""
    for path in paths:
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def own_mebibytes() -> float:
    """Returns the memory of this process, without what it has mapped from files."""
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+) kB", status)[1]) / 1024


if __name__ == "__main__":
    main()
