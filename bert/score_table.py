"""The table of a sweep: rows model and step, columns tasks; as data, and as Markdown.

Weights and settings are chosen on dev, and test is what is shown: no choice here looks at test.
"""

import os
import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from deeq_bert.bert.sweep import Sweep, read_results
from deeq_bert.bert.sweep_models import GIVEN, RANDOM
from deeq_bert.bert.sweep_tasks import SweepTask
from deeq_bert.bert.task_results import TaskResult, mean_text

_NOTHING = "-"
_BEST = "★"
_ON_DEV = "ᵈ"
_PUNCTUATION = re.compile(r"([\\`*_\[\]<>|~&$])")
_VERSION = 1


def make_table(sweep: Sweep) -> dict[str, Any]:
    """Returns all that the table has, as JSON can hold it.

    Scores are fractions. A cell has `metric`, and `dev` and `test` with `values` by seed, `mean`
    and `deviation` (of the sample; None for one seed) of the metric; `metrics` has the means of all
    others; it is None where a result of a seed is missing. A row has the mean of the tasks' means
    in `test` as shown, and in `dev` for those tasks that have a dev; None unless all of them are
    there. `best` marks the checkpoint of each model with the highest mean on dev.
    """
    rows = []
    for row in sweep.rows():
        cells = {}
        for task in sweep.tasks:
            folder = row.folders.get(task.name)
            results = read_results(folder, sweep.seeds(task)) if folder else None
            cells[task.name] = (
                _cell(results, os.path.relpath(folder, sweep.output_dir)) if results else None
            )
        rows.append(
            {
                "model": row.model,
                "checkpoint": row.checkpoint.label,
                "step": row.checkpoint.step,
                "cells": cells,
                "dev": None,
                "test": None,
                "best": False,
            }
        )
    _add_means(rows)
    return {
        "version": _VERSION,
        "models": [
            {"name": model.name, "path": model.path, "is_run": model.is_run}
            for model in sweep.models
        ],
        "tasks": [_describe_task(task, sweep, rows) for task in sweep.tasks],
        "rows": rows,
    }


def shown(cell: Mapping[str, Any] | None) -> tuple[str, Mapping[str, Any]] | None:
    """Returns which figures of a cell the table shows: those of test, or of dev without labels.

    Returns:
      "test" or "dev", and its figures; None where there are none.
    """
    for split in ("test", "dev"):
        if cell and cell[split]:
            return split, cell[split]
    return None


def to_markdown(table: Mapping[str, Any]) -> str:
    """Returns the table, with what has to be known to read it below."""
    tasks = table["tasks"]
    with_mean = len(tasks) > 1
    header = ["model", "step"]
    header += [f"{task['name']} ({task['metric'] or '?'})" for task in tasks]
    header += ["mean"] * with_mean
    lines = [_row(map(_escape, header)), _row(["---", "---:"] + ["---:"] * (len(header) - 2))]
    for row in table["rows"]:
        words = [_escape(row["model"]), _step(row)]
        words += [_score(row["cells"][task["name"]]) for task in tasks]
        words += [_NOTHING if row["test"] is None else f"{100 * row['test']:.2f}"] * with_mean
        lines.append(_row(words))
    return "\n".join(["# Scores", "", *lines, "", *_notes(table), ""])


def _cell(results: Sequence[TaskResult], folder: str) -> dict[str, Any]:
    metric = results[0].metric
    names = {
        split: sorted(set.intersection(*(set(getattr(result, split)) for result in results)))
        for split in ("dev", "test")
    }
    return {
        "metric": metric,
        **{
            split: _figures([getattr(result, split)[metric] for result in results], results)
            if metric in names[split]
            else None
            for split in names
        },
        "metrics": {
            split: {
                name: statistics.fmean(getattr(result, split)[name] for result in results)
                for name in names[split]
            }
            for split in names
        },
        "examples": dict(results[0].examples),
        "remark": str(results[0].settings.get("remark", "")),
        "seconds": sum(result.seconds for result in results),
        "folder": folder,
    }


def _figures(values: Sequence[float], results: Sequence[TaskResult]) -> dict[str, Any]:
    return {
        "values": {str(result.seed): value for result, value in zip(results, values)},
        "mean": statistics.fmean(values),
        "deviation": statistics.stdev(values) if len(values) > 1 else None,
    }


def _add_means(rows: Sequence[dict[str, Any]]) -> None:
    """Gives rows their means over the tasks, and marks the best step of each model, by dev."""
    with_dev = {task for row in rows for task, cell in row["cells"].items() if cell and cell["dev"]}
    for row in rows:
        found = [shown(cell) for cell in row["cells"].values()]
        if all(found):
            row["test"] = statistics.fmean(figures["mean"] for _, figures in found)
        figures = [(row["cells"][task] or {}).get("dev") for task in with_dev]
        if figures and all(figures):
            row["dev"] = statistics.fmean(of_dev["mean"] for of_dev in figures)
    for model in {row["model"] for row in rows}:
        known = [
            row
            for row in rows
            if row["model"] == model and row["checkpoint"] != RANDOM and row["dev"] is not None
        ]
        if len(known) > 1:
            max(known, key=lambda row: row["dev"])["best"] = True


def _describe_task(
    task: SweepTask, sweep: Sweep, rows: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    cells = [row["cells"][task.name] for row in rows if row["cells"][task.name]]
    return {
        "name": task.name,
        "metric": cells[0]["metric"] if cells else None,
        "seeds": list(sweep.seeds(task)),
        "flags": dict(task.flags),
        "sampled": task.sampled(),
        "examples": cells[0]["examples"] if cells else {},
        "remark": cells[0]["remark"] if cells else "",
        "has_dev": any(cell["dev"] for cell in cells),
        "shown": next((shown(cell)[0] for cell in cells if shown(cell)), "test"),
    }


def _notes(table: Mapping[str, Any]) -> Iterator[str]:
    tasks, rows = table["tasks"], table["rows"]
    seeds = {len(task["seeds"]) for task in tasks}
    yield (
        "Scores on test, times 100: "
        + ("one seed, so without a deviation." if seeds == {1} else "mean ± standard deviation "
           "(of the sample) over the seeds.")
    )  # fmt: skip
    yield "Within a fine-tuning run the weights are chosen on dev; test chooses nothing."
    if any(row["best"] for row in rows):
        without = [task["name"] for task in tasks if not task["has_dev"]]
        but = f", where {_escape(', '.join(without))} has none" if without else ""
        yield f"{_BEST} is the checkpoint of a model with the highest mean on dev{but}."
    on_dev = [task["name"] for task in tasks if task["shown"] == "dev"]
    if on_dev:
        yield (
            f"{_ON_DEV} is a score on dev, for want of labels in the test set of "
            f"{_escape(', '.join(on_dev))}: the weights were chosen on it, so it flatters."
        )
    if any(row["checkpoint"] == RANDOM for row in rows):
        yield "random is the same model with random weights in the place of pre-trained ones."
    missing = sum(cell is None for row in rows for cell in row["cells"].values())
    if missing:
        yield f"{_NOTHING} is what is not done, or failed: {missing} of {_count_cells(rows)} cells."
    yield ""
    for task in tasks:
        words = [f"{len(task['seeds'])} seed(s)"]
        words += [
            f"{count:,} {split}" + (" (a sample)" if split in task["sampled"] else "")
            for split, count in _in_order(task["examples"])
        ]
        words += [
            f"a sample of {count:,} {split} at most"
            for split, count in task["sampled"].items()
            if split not in task["examples"]
        ]
        remark = f"; {task['remark']}" if task["remark"] else ""
        yield _escape(f"- {task['name']}: {', '.join(words)}{remark}")


def _in_order(examples: Mapping[str, int]) -> list[tuple[str, int]]:
    return [(split, examples[split]) for split in ("train", "dev", "test") if split in examples]


def _count_cells(rows: Sequence[Mapping[str, Any]]) -> int:
    return sum(len(row["cells"]) for row in rows)


def _row(words: Sequence[str] | Iterator[str]) -> str:
    return f"| {' | '.join(words)} |"


def _step(row: Mapping[str, Any]) -> str:
    step = row["checkpoint"] if row["step"] is None else f"{row['step']:,}"
    step = _NOTHING if step == GIVEN else step
    return f"{step} {_BEST}" if row["best"] else step


def _score(cell: Mapping[str, Any] | None) -> str:
    found = shown(cell)
    if found is None:
        return _NOTHING
    split, figures = found
    text = mean_text(list(figures["values"].values()))
    return text if split == "test" else f"{text}{_ON_DEV}"


def _escape(text: str) -> str:
    return _PUNCTUATION.sub(r"\\\1", text)
