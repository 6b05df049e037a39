"""What fine-tuning on a task has come to: a file `result.json` for every seed, written last."""

import json
import math
import os
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import write_atomically

RESULT_FILE = "result.json"
_MAX_BYTES = 1024 * 1024


class TaskResult(NamedTuple):
    """The scores of one model on one task with one seed.

    Attributes:
      task: The name of the task.
      metric: The one to select by, as in "accuracy".
      seed: What the order of the examples, the dropout and the head's first weights came from.
      step: The updates behind the weights that are scored.
      dev: Metrics on the examples that the weights were selected by, as fractions; empty where
        there was no selection.
      test: Those on the examples that are reported; empty where they have no labels.
      examples: How many there were: "train", "dev", "test".
      settings: What else decided the result.
      seconds: How long it took.
    """

    task: str
    metric: str
    seed: int
    step: int
    dev: Mapping[str, float]
    test: Mapping[str, float]
    examples: Mapping[str, int]
    settings: Mapping[str, Any]
    seconds: float


def seed_folders(output_dir: str, first_seed: int, num_seeds: int) -> list[tuple[int, str]]:
    """Returns each seed with the folder of its result.

    That is `output_dir` itself for one seed, and a folder seed-S in it for each of several.
    """
    if num_seeds == 1:
        return [(first_seed, output_dir)]
    seeds = range(first_seed, first_seed + num_seeds)
    return [(seed, os.path.join(output_dir, f"seed-{seed}")) for seed in seeds]


def write_result(folder: str, result: TaskResult) -> None:
    """Writes a result, whole or not at all. Everything else of the seed must be there before."""
    text = json.dumps(result._asdict(), ensure_ascii=False, indent=2, sort_keys=True)
    write_atomically(os.path.join(folder, RESULT_FILE), f"{text}\n".encode())


def read_result(folder: str) -> TaskResult | None:
    """Reads a result; None where there is none yet.

    Raises:
      InputError: The file is not one of ours.
    """
    path = os.path.join(folder, RESULT_FILE)
    try:
        with open(path, "rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error
    try:
        if len(content) > _MAX_BYTES:
            raise ValueError(f"it is over {_MAX_BYTES:,} bytes")
        result = TaskResult(**json.loads(content))
        _check(result)
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(
            f"{path} is not the result of a fine-tuning run ({error}). Remove it to have the run "
            "made again."
        ) from None
    return result


def describe_differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """Returns in what settings a run differs from those it is asked for; empty for in none."""
    return "; ".join(
        f"{name} is {there.get(name)!r:.80} there and {value!r:.80} here"
        for name, value in here.items()
        if there.get(name) != value
    )


def mean_text(scores: Sequence[float]) -> str:
    """Returns fractions as "87.31 ± 0.12", the mean and the standard deviation times 100.

    The deviation is that of the sample, over n - 1; of one score there is none.
    """
    text = f"{100 * statistics.fmean(scores):.2f}"
    return f"{text} ± {100 * statistics.stdev(scores):.2f}" if len(scores) > 1 else text


def _check(result: TaskResult) -> None:
    for name, kind in (("task", str), ("metric", str), ("seed", int), ("step", int)):
        if not isinstance(getattr(result, name), kind):
            raise ValueError(f"{name} is {getattr(result, name)!r:.60}")
    for name in ("dev", "test", "examples", "settings"):
        if not isinstance(getattr(result, name), dict):
            raise ValueError(f"{name} is no object")
    for metrics in (result.dev, result.test, {"seconds": result.seconds}):
        for name, value in metrics.items():
            if type(value) not in (int, float) or not math.isfinite(value):
                raise ValueError(f"{name} is {value!r:.60}")
