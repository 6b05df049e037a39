"""What the files of a run tell of its training, for those who get the model.

Nothing is guessed: what no file tells is left out.
"""

import glob
import json
import os
from typing import Any, NamedTuple

from deeq_bert.bert import run_log
from deeq_bert.bert.model_folder import ModelFolder
from deeq_bert.bert.record_info import read_info
from deeq_bert.tokenizers.errors import InputError

_EVAL_RESULTS = "eval_results.txt"
_RECORD_INDEXES = os.path.join("record_index", "*.json")
_MAX_BYTES = 64 * 1024 * 1024
_COUNTS = ("sentences", "tokens", "characters")
_WAYS = ("max_seq_length", "dupe_factor", "short_seq_prob", "dynamic_masking")
# What a run logs at its start, and readers of a card ask for.
_SETTINGS = ("train_batch_size", "max_seq_length", "num_train_steps")


class TrainingFacts(NamedTuple):
    """What is known of a training; empty where nothing is.

    Attributes:
      settings: Lists of what the run was given, without repetition: of each phase or process.
      figures: Of the run up to the checkpoint: tokens, the last training loss and the like.
      held_out: Metrics of held-out records.
      held_out_step: The updates behind the weights they are of; None without any.
      records: For each set of records that the run read, the largest first: how many they are, and
        of what they were made.
    """

    settings: dict[str, list[Any]]
    figures: dict[str, float]
    held_out: dict[str, float]
    held_out_step: int | None
    records: list[dict[str, Any]]


def read_training_facts(model: ModelFolder) -> TrainingFacts:
    """Reads what the files beside a model's checkpoint tell.

    Raises:
      InputError: One of the files is there and cannot be read.
    """
    settings: dict[str, list[Any]] = {}
    figures: dict[str, float] = {}
    held_out: dict[str, float] = {}
    held_out_step = None
    path = os.path.join(model.folder, run_log.FILE_NAME)
    if model.step is not None and os.path.isfile(path):
        history = run_log.read_run_log(path)
        settings = _settings(history, model.step)
        figures = _figures(history, model.step)
        held_out_step = max((s for s in history.evaluations if s <= model.step), default=None)
        if held_out_step is not None:
            held_out = _numbers(history.evaluations[held_out_step])
    results = _eval_results(model.folder)
    step = results.pop("global_step", None)
    # Of another checkpoint, they tell nothing of this one.
    if step is not None and step == model.step and held_out_step != model.step:
        held_out, held_out_step = results, model.step
    return TrainingFacts(settings, figures, held_out, held_out_step, _records(model.folder))


def _settings(history: run_log.RunHistory, step: int) -> dict[str, list[Any]]:
    settings: dict[str, list[Any]] = {}
    for line in history.starts:
        for name in _SETTINGS:
            value = run_log.finite_number(line.get(name))
            if line["step"] <= step and value is not None:
                values = settings.setdefault(name, [])
                if int(value) not in values:
                    values.append(int(value))
    return settings


def _figures(history: run_log.RunHistory, step: int) -> dict[str, float]:
    figures = {}
    history.train = {at: line for at, line in history.train.items() if at <= step}
    if history.train:
        try:
            steps, tokens = run_log.places_of_steps(history, "tokens")
            # The log has a line every so many steps, the last of them maybe before the checkpoint.
            figures["tokens"] = tokens[-1] * step / steps[-1]
        except InputError:
            pass
        last = history.train[max(history.train)]
        for name in ("masked_lm_loss", "next_sentence_loss"):
            value = run_log.finite_number(last.get(name))
            if value is not None:
                figures[f"training {name}"] = value
    return figures


def _numbers(line: dict[str, Any]) -> dict[str, float]:
    numbers = {name: run_log.finite_number(value) for name, value in line.items()}
    return {name: value for name, value in numbers.items() if value is not None and name != "step"}


def _eval_results(folder: str) -> dict[str, float]:
    """Reads "name = value" lines as run_pretraining writes them; empty without the file."""
    try:
        with open(os.path.join(folder, _EVAL_RESULTS), encoding="utf-8", errors="replace") as file:
            lines = file.read(_MAX_BYTES).splitlines()
    except OSError:
        return {}
    results = {}
    for name, is_line, value in (line.partition(" = ") for line in lines):
        try:
            if is_line:
                results[name] = float(value)
        except ValueError:
            continue
    return results


def _records(folder: str) -> list[dict[str, Any]]:
    sets = []
    for path in sorted(glob.glob(os.path.join(glob.escape(folder), _RECORD_INDEXES))):
        description = _read_json(path)
        count = description.get("records")
        files = description.get("files")
        if isinstance(count, int) and isinstance(files, list):
            sets.append({"records": count, **_made_of(files)})
    return sorted(sets, key=lambda each: each["records"], reverse=True)


def _made_of(files: list[Any]) -> dict[str, Any]:
    """Sums up what stands beside files of records; empty unless it stands beside all of them."""
    infos = []
    for file in files:
        path = file.get("path") if isinstance(file, dict) else None
        try:
            info = read_info(path) if isinstance(path, str) and os.path.isfile(path) else None
        except InputError:
            info = None
        if info is None:
            return {}
        infos.append(info)
    summed: dict[str, Any] = {}
    for name in _COUNTS:
        counts = [info.get(name) for info in infos]
        if all(isinstance(count, int) for count in counts):
            summed[name] = sum(counts)
    for name in _WAYS:
        values = {json.dumps(info.get(name)) for info in infos}
        if len(values) == 1 and infos[0].get(name) is not None:
            summed[name] = infos[0][name]
    return summed


def _read_json(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            value = json.loads(file.read(_MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
