"""The cells of a sweep, a task with a checkpoint each: which are done, which are to be done.

    cells/NAME/STEP/TASK-HASH/cell.json        what the cell is
                              seed-S/          result.json of each seed, written last
                              log.txt          what its process told
                              checkpoint/      the weights while it runs

HASH is of all that decides the result: with other settings, data or weights it is another cell.
Nothing here needs TensorFlow.
"""

import glob
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from absl import logging

from deeq_bert.bert import sweep_models
from deeq_bert.bert.sweep_models import RANDOM, Checkpoint, MissingCheckpointError, SweptModel
from deeq_bert.bert.sweep_tasks import SweepTask
from deeq_bert.bert.task_results import TaskResult, read_result
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import make_folder, write_atomically

CELL_FILE = "cell.json"
LOG_FILE = "log.txt"
_CHECKPOINT_FOLDER = "checkpoint"
_CELLS_FOLDER = "cells"
_HASH_DIGITS = 12
_MAX_CELL_BYTES = 1 << 20
# Flags that change how fast a result comes, or how much is told, and not what it is.
_DECIDE_NOTHING = ("num_workers", "save_checkpoints_steps", "keep_checkpoint_max", "log_steps")
_DECIDE_NOTHING += ("eval_batch_size", "predict_batch_size")


class Cell(NamedTuple):
    """A task with a checkpoint.

    Attributes:
      model: The model.
      checkpoint: Its weights.
      task: The task.
      settings: All that decides the result.
      folder: Where the result is.
      seeds: Those that it takes.
    """

    model: SweptModel
    checkpoint: Checkpoint
    task: SweepTask
    settings: Mapping[str, Any]
    folder: str
    seeds: tuple[int, ...]

    @property
    def name(self) -> str:
        """Returns what the cell is called in the log."""
        return f"{self.model.name} {self.checkpoint.label} {self.task.name}"

    @property
    def log_file(self) -> str:
        return os.path.join(self.folder, LOG_FILE)

    def results(self) -> list[TaskResult] | None:
        """Returns the result of each seed; None where one is not there."""
        return read_results(self.folder, self.seeds)


class Row(NamedTuple):
    """A row of the table.

    Attributes:
      model: The name.
      checkpoint: The weights; they may be gone.
      folders: By task where its results are, or are to be.
    """

    model: str
    checkpoint: Checkpoint
    folders: Mapping[str, str]


class Sweep:
    """Models times tasks times seeds in one folder.

    Attributes:
      output_dir: The folder.
      models: In the order of the table.
      tasks: Likewise.
    """

    def __init__(
        self,
        output_dir: str,
        models: Sequence[SweptModel],
        tasks: Sequence[SweepTask],
        *,
        steps: str = "every",
        random_floor: bool = False,
        first_seed: int = 12345,
        run_flags: Mapping[str, str] | None = None,
        analyzer_flags: Mapping[str, str] | None = None,
        deciding: Sequence[str] = ("dtype",),
    ):
        """Takes what there is to do.

        Args:
          output_dir: Where results are kept.
          models: The models.
          tasks: The tasks.
          steps: Which checkpoints of runs, see `sweep_models.choose`.
          random_floor: Whether each model is also scored with random weights.
          first_seed: The seeds of a task are this and those that follow.
          run_flags: Flags for all processes, such as dtype; those that a script has not are left
            out.
          analyzer_flags: Flags for those of models whose tokenizer analyses morphemes.
          deciding: Those of run_flags that decide the result.
        """
        # Results tell the path of the weights, and must not depend on where a command is given.
        self.output_dir = os.path.abspath(output_dir)
        self.models = list(models)
        self.tasks = list(tasks)
        self._steps = steps
        self._random_floor = random_floor
        self._first_seed = first_seed
        self._run_flags = dict(run_flags or {})
        self._analyzer_flags = dict(analyzer_flags or {})
        self._deciding = deciding
        self._data = {task.name: _describe_files(task.data) for task in tasks}

    def seeds(self, task: SweepTask) -> tuple[int, ...]:
        """Returns the seeds of a task."""
        return tuple(range(self._first_seed, self._first_seed + task.num_seeds))

    def cells(self) -> list[Cell]:
        """Returns all cells whose weights are there, in the order they are to be done.

        The newest checkpoint of each model comes first, since it says how training goes; with it
        all its tasks; then random weights, then what is older.
        """
        ranked = []
        for place, model in enumerate(self.models):
            checkpoints = _chosen(model, self._steps)
            for age, checkpoint in enumerate(reversed(checkpoints)):
                ranked.append((2 * age, place, model, checkpoint))
            if self._random_floor and checkpoints:
                ranked.append((1, place, model, Checkpoint(RANDOM, None, "")))
        cells = []
        for _, _, model, checkpoint in sorted(ranked, key=lambda entry: entry[:2]):
            try:
                cells.extend(self._cell(model, checkpoint, task) for task in self.tasks)
            except MissingCheckpointError as error:
                logging.warning("%s", error)
        return cells

    def rows(self) -> list[Row]:
        """Returns the rows of the table: random weights first, then steps in their order.

        A checkpoint that is gone has a row if any result of it is there.
        """
        rows: dict[tuple[str, str], Row] = {}
        for cell in self.cells():
            key = (cell.model.name, cell.checkpoint.label)
            row = rows.setdefault(key, Row(cell.model.name, cell.checkpoint, {}))
            rows[key] = row._replace(folders={**row.folders, cell.task.name: cell.folder})
        for model in self.models:
            if model.is_run and self._steps != "last":
                for label, folders in self._of_deleted(model).items():
                    checkpoint = Checkpoint(label, int(label), "")
                    if sweep_models.choose([checkpoint], self._steps):
                        row = Row(model.name, checkpoint, folders)
                        rows.setdefault((model.name, label), row)
        order = {model.name: place for place, model in enumerate(self.models)}

        def place(row: Row) -> tuple[int, bool, int]:
            return order[row.model], row.checkpoint.label != RANDOM, row.checkpoint.step or 0

        return sorted(rows.values(), key=place)

    def command(self, cell: Cell) -> list[str]:
        """Makes a cell ready, and returns the command that does it, but for --gpus.

        Raises:
          MissingCheckpointError: Its weights are gone.
          InputError: Something cannot be read or written.
        """
        make_folder(cell.folder)
        content = {
            "model": cell.model.name,
            "path": os.path.abspath(cell.model.path),
            "checkpoint": cell.checkpoint.label,
            "task": cell.task.name,
            "settings": cell.settings,
        }
        text = json.dumps(content, ensure_ascii=False, indent=2, sort_keys=True)
        write_atomically(os.path.join(cell.folder, CELL_FILE), f"{text}\n".encode())
        held = sweep_models.hold(
            cell.model, cell.checkpoint, os.path.join(cell.folder, _CHECKPOINT_FOLDER)
        )
        seeds = len(cell.seeds)
        several = seeds > 1
        flags = {
            **self._run_flags,
            **(self._analyzer_flags if cell.model.uses_analyzer() else {}),
            **cell.model.tokenizer_flags(),
            "data_dir": cell.task.data,
            "do_train": "True",
            "do_eval": "True",
            "do_predict": "True",
            **cell.task.command_flags(),
            **held,
            # One seed has no folder of its own there; here it is where it would be of several.
            "output_dir": cell.folder
            if several
            else os.path.join(cell.folder, f"seed-{cell.seeds[0]}"),
            "num_seeds": str(seeds),
            "random_seed": str(cell.seeds[0]),
        }
        return [
            cell.task.script,
            *(f"--{name}={value}" for name, value in flags.items()
              if name in cell.task.known_flags),
        ]  # fmt: skip

    def remove_leftovers(self) -> None:
        """Lets all weights go that a killed sweep was holding. No process may be using them."""
        pattern = os.path.join(glob.escape(self.output_dir), _CELLS_FOLDER, "*", "*", "*")
        for folder in glob.glob(os.path.join(pattern, _CHECKPOINT_FOLDER)):
            sweep_models.let_go(folder)

    def finish(self, cell: Cell) -> None:
        """Lets the weights of a cell go."""
        sweep_models.let_go(os.path.join(cell.folder, _CHECKPOINT_FOLDER))

    def _cell(self, model: SweptModel, checkpoint: Checkpoint, task: SweepTask) -> Cell:
        settings = {
            **self._settings(model, task),
            "checkpoint": model.identity(checkpoint),
        }
        text = json.dumps(settings, ensure_ascii=False, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:_HASH_DIGITS]
        folder = os.path.join(self._folder(model), checkpoint.label, f"{task.name}-{digest}")
        return Cell(model, checkpoint, task, settings, folder, self.seeds(task))

    def _settings(self, model: SweptModel, task: SweepTask) -> dict[str, Any]:
        flags = {name: self._run_flags.get(name, "") for name in self._deciding}
        flags |= {
            name: _plain(value) for name, value in task.flags.items() if name not in _DECIDE_NOTHING
        }
        settings = {
            "script": os.path.basename(task.script),
            "flags": flags,
            "data": self._data[task.name],
            "model": model.settings(),
        }
        # As JSON has it.
        return json.loads(json.dumps(settings))

    def _folder(self, model: SweptModel) -> str:
        return os.path.join(self.output_dir, _CELLS_FOLDER, model.name)

    def _of_deleted(self, model: SweptModel) -> dict[str, dict[str, str]]:
        """Returns by step and task where results are of weights that may be gone.

        They count if all but the weights is as it is now, and the run is the same folder.
        """
        found: dict[str, dict[str, str]] = {}
        if not os.path.isdir(self._folder(model)) or not model.checkpoints():
            return found
        wanted = {task.name: self._settings(model, task) for task in self.tasks}
        for label in sorted(os.listdir(self._folder(model))):
            if not label.isdecimal():
                continue
            # Should a step have been trained twice, the later results count.
            pattern = os.path.join(glob.escape(self._folder(model)), label, "*", CELL_FILE)
            for cell_file in sorted(glob.glob(pattern), key=os.path.getmtime):
                folder = os.path.dirname(cell_file)
                content = _read_cell(cell_file)
                task = content.get("task")
                settings = content.get("settings")
                if task not in wanted or not isinstance(settings, dict):
                    continue
                same = {name: settings.get(name) for name in wanted[task]} == wanted[task]
                if not same or content.get("path") != os.path.abspath(model.path):
                    continue
                seeds = next(self.seeds(known) for known in self.tasks if known.name == task)
                if read_results(folder, seeds) is not None:
                    found.setdefault(label, {})[task] = folder
        return found


def _chosen(model: SweptModel, steps: str) -> list[Checkpoint]:
    checkpoints = model.checkpoints()
    return sweep_models.choose(checkpoints, steps) if model.is_run else checkpoints


def read_results(folder: str, seeds: Sequence[int]) -> list[TaskResult] | None:
    """Returns the result of each seed in the folder of a cell; None where one is not there.

    A file that is no result counts as none, and is told of.
    """
    results = []
    for seed in seeds:
        try:
            result = read_result(os.path.join(folder, f"seed-{seed}"))
        except InputError as error:
            logging.warning("%s", error)
            return None
        if result is None or result.seed != seed:
            return None
        results.append(result)
    return results


def _read_cell(path: str) -> dict[str, Any]:
    """Returns what a cell is; empty for what is none."""
    try:
        with open(path, "rb") as file:
            content = json.loads(file.read(_MAX_CELL_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _describe_files(folder: str) -> dict[str, int]:
    """Returns the sizes of all files in a folder, by their paths in it."""
    return {
        os.path.relpath(path, folder): os.path.getsize(path)
        for parent, _, names in sorted(os.walk(folder))
        for path in (os.path.join(parent, name) for name in sorted(names))
        if not os.path.basename(path).startswith(".") and os.path.isfile(path)
    }


def _plain(value: str) -> object:
    """Returns a value of a flag so that 5e-5 and 0.00005, and True and true, are the same."""
    try:
        return float(value)
    except ValueError:
        return {"true": True, "false": False}.get(value.lower(), value)


def undone(cells: Iterable[Cell]) -> list[Cell]:
    """Returns those whose results are not all there."""
    return [cell for cell in cells if cell.results() is None]
