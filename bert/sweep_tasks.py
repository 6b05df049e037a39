"""The tasks of a sweep: a configuration each, whose keys are flags of the script that runs it.

A configuration is a JSON object. `script` is the script (run_classifier without it), `data` the
folder with the task's files in --data_dir (the task's name without it), `description` a sentence
for people. All else are flags of the script; those that end in _file are taken from the folder on.
Nothing here needs TensorFlow.
"""

import dataclasses
import difflib
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from deeq_bert.bert.hf_weights import read_json_object
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import expand_patterns

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CONFIGS_FOLDER = os.path.join(_ROOT, "configs", "tasks")
SCRIPTS_FOLDER = os.path.join(_ROOT, "bert")

# What the sweep itself gives a value.
_FLAGS_OF_THE_SWEEP = frozenset(
    ("output_dir", "data_dir", "bert_config_file", "vocab_file", "init_checkpoint", "tokenizer")
    + ("do_lower_case", "deeq_compat", "gpus", "dtype", "use_xla", "random_seed", "keep_model")
    + ("allow_tokenizer_mismatch", "do_train")
)
_NAME = re.compile(r"[\w.-]{1,80}")
_NO_FLAGS = ("script", "data", "description")
_HELP_SECONDS = 120
_ON_OFF = ("true", "false", "1", "0", "t", "f", "yes", "no", "y", "n")


class ScriptFlag(NamedTuple):
    """A flag of a script.

    Attributes:
      kind: absl's word for what it takes, such as "int" or "string enum".
      choices: The values of an enum.
    """

    kind: str
    choices: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class SweepTask:
    """A task with its settings.

    Attributes:
      name: In the table, and for --task_name.
      script: The path of the script.
      data: The folder of its files.
      flags: By name; values as in the configuration, so files by their names in the folder.
      num_seeds: How many seeds.
      known_flags: Those that the script has.
    """

    name: str
    script: str
    data: str
    flags: Mapping[str, str]
    num_seeds: int
    known_flags: frozenset[str]

    def command_flags(self) -> dict[str, str]:
        """Returns the flags with the paths of files in the place of their names."""
        return {
            name: _from_folder(self.data, value) if name.endswith("_file") else value
            for name, value in self.flags.items()
        }

    def sampled(self) -> dict[str, int]:
        """Returns how many examples at most are used of "train", "dev" and "test", if a sample."""
        limits = {
            split: self.flags.get(f"max_{split}_examples", "0")
            for split in ("train", "dev", "test")
        }
        return {split: int(limit) for split, limit in limits.items() if int(limit)}


def task_names(folder: str = CONFIGS_FOLDER) -> list[str]:
    """Returns the tasks that there are configurations for."""
    if not os.path.isdir(folder):
        return []
    return sorted(name[: -len(".json")] for name in os.listdir(folder) if name.endswith(".json"))


def read_tasks(
    names: Sequence[str],
    data_dir: str,
    changes: Sequence[str],
    num_seeds: int,
    scripts_folder: str = SCRIPTS_FOLDER,
) -> list[SweepTask]:
    """Reads the configurations of tasks and checks all that can be before any work.

    Args:
      names: Of configurations in configs/tasks, or paths of others that end in .json.
      data_dir: The folder with a folder for each task.
      changes: As of --set: "flag=value" for all tasks whose script has the flag, and
        "task.flag=value" for one.
      num_seeds: For tasks whose configuration does not say another number.
      scripts_folder: Where the scripts are.

    Raises:
      InputError: A task, flag or value is not known, or a folder with data is missing.
    """
    configs: dict[str, tuple[str, dict[str, Any]]] = {}
    for name in names:
        path = _config_path(name)
        short = os.path.splitext(os.path.basename(path))[0]
        if short in configs or not _NAME.fullmatch(short):
            raise InputError(
                f"--tasks: {short} comes twice, or its name has other signs than letters, digits, "
                "dots, dashes and underlines. Name each task once."
            )
        configs[short] = (path, read_json_object(path))
    flags_of: dict[str, Mapping[str, ScriptFlag]] = {}
    for path, config in configs.values():
        script = _script(path, config, scripts_folder)
        if script not in flags_of:
            flags_of[script] = script_flags(script)
    known = {
        name: flags_of[_script(path, config, scripts_folder)]
        for name, (path, config) in configs.items()
    }
    changed = _changes_by_task(changes, known)
    tasks = []
    for name, (path, config) in configs.items():
        values = {key: _flag_value(path, key, value) for key, value in config.items()}
        values = {key: value for key, value in values.items() if key not in _NO_FLAGS}
        _check_flags(path, values, known[name])
        values |= changed[name]
        tasks.append(_make_task(name, path, config, values, known[name], data_dir, num_seeds,
                                scripts_folder))  # fmt: skip
    return tasks


def script_flags(script: str) -> dict[str, ScriptFlag]:
    """Returns the flags of a script by name, as its --helpxml tells them.

    Raises:
      InputError: The script does not run.
    """
    try:
        completed = subprocess.run(
            [sys.executable, script, "--helpxml"],
            capture_output=True,
            timeout=_HELP_SECONDS,
        )
        tree = xml.etree.ElementTree.fromstring(completed.stdout)
    except (OSError, subprocess.TimeoutExpired, xml.etree.ElementTree.ParseError) as error:
        raise InputError(
            f"{script} does not tell its flags ({type(error).__name__}). Restore it, or see what "
            f"`{sys.executable} {script} --help` says."
        ) from None
    return {
        flag.findtext("name", ""): ScriptFlag(
            flag.findtext("type", ""),
            tuple(choice.text or "" for choice in flag.iter("enum_value")),
        )
        for flag in tree.iter("flag")
    }


def _config_path(name: str) -> str:
    if name.endswith(".json"):
        if not os.path.isfile(name):
            raise InputError(f"--tasks: there is no {name}. Give the configuration of a task.")
        return name
    known = task_names()
    if name not in known:
        raise InputError(
            f"--tasks: no such task as {name}{_did_you_mean(name, known)} There are: "
            f"{', '.join(known)}. Or give the path of a configuration that ends in .json."
        )
    return os.path.join(CONFIGS_FOLDER, f"{name}.json")


def _script(path: str, config: Mapping[str, Any], scripts_folder: str) -> str:
    name = config.get("script", "run_classifier")
    if name not in ("run_classifier", "run_squad"):
        raise InputError(
            f"{path}: script is {name!r:.60}; expected run_classifier, which it is without the "
            "key, or run_squad."
        )
    return os.path.join(scripts_folder, f"{name}.py")


def _flag_value(path: str, key: str, value: Any) -> str:
    if not isinstance(value, (str, int, float)):
        raise InputError(
            f"{path}: {key} is {json.dumps(value)[:60]}; expected a string, a number, true or "
            "false."
        )
    return str(value)


def _check_flags(place: str, values: Mapping[str, str], known: Mapping[str, ScriptFlag]) -> None:
    for name, value in values.items():
        if name in _FLAGS_OF_THE_SWEEP:
            raise InputError(
                f"{place}: {name} is not for a task to say; the sweep gives it the same value in "
                "all of them, or one for each model. Leave it out."
            )
        if name not in known:
            raise InputError(
                f"{place}: the script has no flag {name}{_did_you_mean(name, known)} Mend the name."
            )
        _check_value(place, name, value, known[name])


def _check_value(place: str, name: str, value: str, flag: ScriptFlag) -> None:
    expected = ""
    if flag.choices and value not in flag.choices:
        expected = f"one of {', '.join(flag.choices)}"
    elif flag.kind == "bool" and value.lower() not in _ON_OFF:
        expected = "true or false"
    elif flag.kind in ("int", "float"):
        try:
            int(value) if flag.kind == "int" else float(value)
        except ValueError:
            expected = "a whole number" if flag.kind == "int" else "a number"
    if expected:
        raise InputError(f"{place}: {name} is {value!r:.60}; expected {expected}.")


def _changes_by_task(
    changes: Sequence[str], known: Mapping[str, Mapping[str, ScriptFlag]]
) -> dict[str, dict[str, str]]:
    """Returns what --set says of each task; what is said of one wins over what is said of all."""
    for_all: dict[str, dict[str, str]] = {name: {} for name in known}
    for_one: dict[str, dict[str, str]] = {name: {} for name in known}
    for change in changes:
        name, equals, value = change.partition("=")
        task, dot, flag = name.strip().rpartition(".")
        if not equals or not flag:
            raise InputError(
                f"--set={change}: expected flag=value, as in num_train_epochs=2, or "
                "task.flag=value, as in nsmc.max_train_examples=10000."
            )
        if dot and task not in known:
            raise InputError(
                f"--set={change}: {task} is none of the tasks{_did_you_mean(task, known)} They are "
                f"{', '.join(known)}."
            )
        having = [task] if dot else [name for name in known if flag in known[name]]
        for name in having or list(known):
            _check_flags(f"--set={change}", {flag: value}, known[name])
            (for_one if dot else for_all)[name][flag] = value
    return {name: {**for_all[name], **for_one[name]} for name in known}


def _make_task(
    name: str,
    path: str,
    config: Mapping[str, Any],
    values: dict[str, str],
    known: Mapping[str, ScriptFlag],
    data_dir: str,
    num_seeds: int,
    scripts_folder: str,
) -> SweepTask:
    data = os.path.join(data_dir, str(config.get("data", name)))
    if not os.path.isdir(data):
        raise InputError(
            f"There is no folder {data}, where the files of the task {name} should be. Put them "
            "there, change --data_dir, or leave the task out of --tasks."
        )
    if not any(files for _, _, files in os.walk(data)):
        raise InputError(f"{data}, the folder of the task {name}, is empty. Put its files there.")
    seeds = int(values.pop("num_seeds", num_seeds))
    if seeds < 1:
        raise InputError(f"{path}: num_seeds is {seeds}; expected at least 1.")
    for flag, value in values.items():
        missing = expand_patterns(_from_folder(data, value))[1] if flag.endswith("_file") else []
        if missing:
            raise InputError(
                f"There is no {missing[0]}, the {flag} of the task {name}. Put it there, or name "
                f"another with --set={name}.{flag}=…"
            )
    if "task_name" in known:
        values.setdefault("task_name", name)
    script = _script(path, config, scripts_folder)
    return SweepTask(name, script, data, values, seeds, frozenset(known))


def _from_folder(folder: str, names: str) -> str:
    """Returns names with commas between them as paths."""
    parts = filter(None, (part.strip() for part in names.split(",")))
    return ",".join(os.path.join(folder, part) for part in parts)


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {close[0]}?" if close else "."
