"""How fast a GPU pre-trains BERT-base and large, at 128 and 512 tokens; gpu.sh runs it.

    bash tests/benchmarks/gpu.sh                  # the whole table, in less than 8 minutes
    bash tests/benchmarks/gpu.sh --smoke          # the same code at tiny sizes, on a CPU

For each cell of the table the batch is doubled from a start until it does not fit, until that
brings nothing more, or until the cell's time is up. Each size is tried in a process of its own
(gpu_trial.py beside this file), so that its memory is its own: the project's training step, in
bfloat16 and compiled by XLA, on batches that its input pipeline reads from records written here.
What is known after a cell is in the output file, whatever happens to the next.
"""

import os
import sys

# Beside this file is one that bears the name of Hugging Face's package.
_FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [*(folder for folder in sys.path if folder != _FOLDER), _FOLDER]

import argparse  # noqa: E402
import json  # noqa: E402
import pathlib  # noqa: E402
import subprocess  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable, Sequence  # noqa: E402
from typing import Any, NamedTuple  # noqa: E402

import generated_records  # noqa: E402
import gpu_trial  # noqa: E402

from deeq_bert.bert.config import BertConfig  # noqa: E402
from deeq_bert.bert.devices import peak_tflops  # noqa: E402
from deeq_bert.bert.meters import training_flops_per_sequence  # noqa: E402
from deeq_bert.tokenizers.errors import InputError  # noqa: E402
from deeq_bert.tokenizers.files import write_atomically  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Gain in speed from doubling the batch that is worth going on for.
WORTHWHILE_GAIN = 1.02
# What is kept back for each later cell, at most, when the first trial of one takes long.
RESERVED_SECONDS = 45.0
# The next size takes longer to compile and to measure.
GROWTH_OF_TRIALS = 1.2
# The memory that the first batches of the cells are meant for.
MEMORY_OF_STARTS = 80 * 1024

Result = dict[str, Any]


class Cell(NamedTuple):
    """A place in the table.

    Attributes:
      name: As in "base-128".
      config_file: The model's.
      max_seq_length: Tokens a sequence.
      max_predictions_per_seq: Masked positions a sequence.
      start: The first batch that is tried, on a GPU with 80 GiB.
      config_changes: Fields that differ from the file.
    """

    name: str
    config_file: str
    max_seq_length: int
    max_predictions_per_seq: int
    start: int
    config_changes: dict[str, int] = {}

    @property
    def config(self) -> BertConfig:
        """The model's sizes."""
        fields = BertConfig.from_json_file(ROOT / "configs" / self.config_file).to_dict()
        return BertConfig.from_dict(fields | self.config_changes)


# Short ones first: a GPU that does everything slowly then has some results at least.
CELLS = (
    Cell("base-128", "bert_config.json", 128, 20, 256),
    Cell("base-512", "bert_config.json", 512, 77, 64),
    Cell("large-128", "bert_config_large.json", 128, 20, 128),
    Cell("large-512", "bert_config_large.json", 512, 77, 32),
)
SMOKE_CHANGES = {"hidden_size": 32, "num_hidden_layers": 1, "intermediate_size": 64}
SMOKE_CELLS = (
    Cell("tiny-16", "bert_config_tiny.json", 16, 3, 64, SMOKE_CHANGES),
    Cell("tiny-32", "bert_config_tiny.json", 32, 5, 32, SMOKE_CHANGES),
)


class FatalError(RuntimeError):
    """No trial can succeed on this machine."""


def main() -> None:
    options = parse_arguments()
    began = time.monotonic()
    cells = SMOKE_CELLS if options.smoke else CELLS
    table: dict[str, Result] = {}
    print(HEADER)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        trials = Trials(options, folder)
        for number, cell in enumerate(cells):
            left = options.budget_s - (time.monotonic() - began)
            later = len(cells) - number - 1
            share = left / (later + 1)
            try:
                found = measure_cell(
                    cell,
                    first_batch(cell, None if options.smoke else memory_of_gpu()),
                    trials.run,
                    share,
                    left - later * min(RESERVED_SECONDS, share / 2),
                )
            except FatalError as error:
                sys.exit(f"ERROR: {error}")
            except (InputError, OSError) as error:
                found = {"failed": str(error), "trials": []}
            table[cell.name] = with_utilisation(cell, found, options)
            print(table_line(cell, table[cell.name]), flush=True)
            write_table(options.output_file, table, time.monotonic() - began, options)
    seconds = time.monotonic() - began
    print(f"{seconds:.0f} s; all figures are in {options.output_file}")
    if not any("batch" in result for result in table.values()):
        sys.exit(1)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output_file", default="gpu_pretraining.json", help="where JSON goes")
    parser.add_argument("--budget_s", type=float, help="seconds for everything; 450 by default")
    parser.add_argument("--no_xla", action="store_true", help="without XLA, to compare")
    parser.add_argument("--peak_tflops", type=float, help="of a GPU that is not known here")
    parser.add_argument("--folder", help="where the temporary records go: about 60 MB")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, on a CPU")
    options = parser.parse_args()
    if options.budget_s is None:
        options.budget_s = 50.0 if options.smoke else 450.0
    if options.budget_s <= 0:
        parser.error("--budget_s is above 0")
    # A bad place is better told of before than after.
    folder = os.path.dirname(os.path.abspath(options.output_file))
    if not os.access(folder, os.W_OK):
        parser.error(f"--output_file: {folder} is no folder that can be written to")
    return options


class Trials:
    """Tries batch sizes, each in a process of its own."""

    def __init__(self, options: argparse.Namespace, folder: str):
        """Takes the options of the command and a folder for records."""
        self._options = options
        self._folder = folder
        self._records: dict[tuple[int, int, int], str] = {}
        self._count = 0

    def run(self, cell: Cell, batch: int, limit: float) -> Result:
        """Returns what gpu_trial.run gives; `failed` where it takes longer than `limit` seconds.

        Raises:
          FatalError: No trial can succeed on this machine.
        """
        end = time.monotonic() + limit
        records = self._records_for(cell)
        self._count += 1
        path = os.path.join(self._folder, f"trial-{self._count}.json")
        trial = gpu_trial.Trial(
            cell.config.to_dict(),
            cell.max_seq_length,
            cell.max_predictions_per_seq,
            records,
            batch,
            "bfloat16",
            not self._options.no_xla,
            seconds=0.2 if self._options.smoke else 8.0,
            on_cpu=self._options.smoke,
        )
        pathlib.Path(path).write_text(json.dumps(trial._asdict()))
        command = [sys.executable, os.path.join(_FOLDER, "gpu_trial.py"), path]
        log_path = f"{path}.log"
        try:
            with open(log_path, "wb") as log:
                subprocess.run(
                    command, stdout=log, stderr=log, timeout=max(end - time.monotonic(), 1)
                )
            result = json.loads(pathlib.Path(gpu_trial.result_path(path)).read_text())
        except subprocess.TimeoutExpired:
            return {"failed": f"stopped after {limit:.0f} s"}
        except (OSError, ValueError):
            log_text = pathlib.Path(log_path).read_text(errors="replace")
            if gpu_trial.says_out_of_memory(log_text):
                return {"out_of_memory": True}
            return {"failed": last_words(log_text)}
        if "fatal" in result:
            raise FatalError(result["fatal"])
        return result

    def _records_for(self, cell: Cell) -> str:
        lengths = cell.max_seq_length, cell.max_predictions_per_seq, cell.config.vocab_size
        if lengths not in self._records:
            path = os.path.join(self._folder, f"records-{len(self._records)}.tfrecord")
            count = 1000 if self._options.smoke else 2_000_000 // cell.max_seq_length
            generated_records.write_records(path, count, *lengths)
            self._records[lengths] = path
        return self._records[lengths]


def measure_cell(
    cell: Cell,
    start: int,
    trial: Callable[[Cell, int, float], Result],
    share: float,
    first_limit: float,
    clock: Callable[[], float] = time.monotonic,
) -> Result:
    """Finds the batch a cell is fastest with, and what it does there.

    Args:
      cell: What to measure.
      start: The first batch that is tried; smaller ones where it does not fit.
      trial: Tries a batch within a number of seconds; see `gpu_trial.run`.
      share: How many seconds this cell may take.
      first_limit: How many its trials may take until one has succeeded.
      clock: Returns seconds from any fixed moment.

    Returns:
      The result of the fastest trial, or `failed`, with the reason. `trials` is all of them, and
      `ended` why there are no more.
    """
    began = clock()
    best: Result | None = None
    trials: list[Result] = []
    batch, longest, failed = start, 0.0, ""
    while True:
        spent = clock() - began
        if best and spent + longest * GROWTH_OF_TRIALS > share:
            ended = "the time is up"
            break
        if not best and spent >= first_limit:
            ended = failed = f"no batch was measured in {spent:.0f} s"
            break
        result = trial(cell, batch, (share if best else first_limit) - spent)
        longest = max(longest, clock() - began - spent)
        trials.append({**result, "batch": batch})
        if "failed" in result:
            ended = f"batch {batch}: {result['failed']}"
            failed = "" if best else ended
            break
        if result.get("out_of_memory"):
            ended = f"batch {batch} does not fit"
            if best or batch == 1:
                failed = "" if best else ended
                break
            batch //= 2
            continue
        gain = (
            result["sequences_per_second"] / best["sequences_per_second"] if best else float("inf")
        )
        best = result if gain > 1 else best
        if gain < WORTHWHILE_GAIN:
            ended = f"batch {batch} brings {gain - 1:+.1%}"
            break
        if any(other["batch"] == batch * 2 for other in trials):
            ended = f"batch {batch * 2} does not fit"
            break
        batch *= 2
    outcome = best if best else {"failed": failed}
    return {**outcome, "ended": ended, "trials": trials}


def first_batch(cell: Cell, memory_mebibytes: int | None) -> int:
    """Returns the power of two to begin with, for a GPU with so much memory."""
    if not memory_mebibytes:
        return cell.start
    batch = cell.start
    while batch > 1 and batch * MEMORY_OF_STARTS > cell.start * memory_mebibytes * 1.1:
        batch //= 2
    return batch


def memory_of_gpu() -> int | None:
    """Returns how much the first GPU has in MiB, where the driver's tool tells."""
    command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=20)
        return int(run.stdout.splitlines()[0])
    except (OSError, subprocess.TimeoutExpired, ValueError, IndexError):
        return None


def last_words(log_text: str) -> str:
    """Returns the end of what a process has said."""
    lines = log_text.strip().splitlines()
    return " / ".join(lines[-3:])[-600:] or "the process ended and said nothing"


def with_utilisation(cell: Cell, result: Result, options: argparse.Namespace) -> Result:
    """Adds the model FLOPs utilisation, where the peak of the device is known."""
    if "sequences_per_second" not in result:
        return result
    flops = training_flops_per_sequence(
        cell.config, cell.max_seq_length, cell.max_predictions_per_seq
    )
    tflops = result["sequences_per_second"] * flops / 1e12
    peak = options.peak_tflops or peak_tflops(result["device"], "bfloat16")
    return {
        **result,
        "tflops": tflops,
        "peak_tflops": peak,
        "mfu": tflops / peak if peak else None,
    }


def write_table(
    path: str, table: dict[str, Result], seconds: float, options: argparse.Namespace
) -> None:
    """Writes all that is known so far."""
    contents = {
        "dtype": "bfloat16",
        "use_xla": not options.no_xla,
        "smoke": options.smoke,
        "seconds": seconds,
        "cells": table,
    }
    write_atomically(path, f"{json.dumps(contents, indent=2)}\n".encode())


COLUMNS = (
    ("cell", 10),
    ("batch", 7),
    ("sequences/s", 13),
    ("tokens/s", 13),
    ("MFU", 8),
    ("memory", 11),
    ("data wait", 11),
    ("compile", 10),
)
HEADER = "".join(f"{name:>{width}}" for name, width in COLUMNS) + "   device; why no larger batch"


def table_line(cell: Cell, result: Result) -> str:
    """Returns a cell's line of the table."""
    if "sequences_per_second" not in result:
        return f"{cell.name:>{COLUMNS[0][1]}}  FAILED: {result['failed']}"
    mfu = "-" if result["mfu"] is None else f"{result['mfu']:.1%}"
    values: Sequence[str] = (
        cell.name,
        str(result["batch"]),
        f"{result['sequences_per_second']:,.1f}",
        f"{result['tokens_per_second']:,.0f}",
        mfu,
        f"{result['memory_peak_bytes'] / 2**30:.2f} GiB",
        f"{result['data_wait_share']:.1%}",
        f"{result['compile_seconds']:.1f} s",
    )
    line = "".join(f"{value:>{width}}" for value, (_, width) in zip(values, COLUMNS))
    return f"{line}   {result['device']}; {result['ended']}"


if __name__ == "__main__":
    main()
