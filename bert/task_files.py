"""Which files make the splits of a fine-tuning task: the official ones or those given."""

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from absl import logging

from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import expand_patterns

SPLITS = ("train", "dev", "test")

# One way a task is published: the files of each split, within the task's folder. Where it has no
# "dev", a share of "train" is taken for it.
Form = Mapping[str, tuple[str, ...]]


class TaskFiles(NamedTuple):
    """The files found.

    Attributes:
      paths: Those of each split that has some.
      cuts_dev: Whether "dev" is to be a share of "train".
    """

    paths: dict[str, list[str]]
    cuts_dev: bool


def find_task_files(
    task: str,
    data_dir: str,
    forms: Sequence[Form],
    files: Mapping[str, str],
    needed: Sequence[str],
) -> TaskFiles:
    """Finds the files of a task without reading any.

    Args:
      task: Its name, for messages.
      data_dir: Its folder.
      forms: The ways it is published, the best first. The first with all that is needed counts.
      files: For some splits paths or patterns, with commas between them, instead of the official
        files; as given or within `data_dir`.
      needed: The splits that must be there.

    Raises:
      InputError: A split that is needed, or a file that was given, is not there; or one file is to
        serve for two splits.
    """
    unknown = set(files) - set(SPLITS)
    if unknown:
        raise InputError(
            f"{task}: no split {', '.join(sorted(unknown))}; files can be given for train, dev "
            "and test."
        )
    given = {
        split: _given_files(split, patterns, data_dir)
        for split, patterns in files.items()
        if patterns
    }
    taken = set()
    for form in forms:
        all_paths = {
            split: found
            for split in SPLITS
            if (found := given.get(split) or _official_files(data_dir, form.get(split, ())))
        }
        paths = _without_doubles(task, all_paths, given)
        dropped = all_paths.keys() - paths.keys()
        cuts_dev = "train" in paths and "dev" not in paths
        cuts_dev = cuts_dev and ("dev" not in form or "dev" in dropped)
        if all(split in paths or (split == "dev" and cuts_dev) for split in needed):
            for split in dropped:
                logging.warning(
                    "%s: %s was given for another split, so it does not serve for %s.",
                    task,
                    ", ".join(all_paths[split]),
                    split,
                )
            return TaskFiles(paths, cuts_dev)
        taken |= dropped & set(needed)
    if taken:
        raise InputError(
            f"{task}: the usual file for {', '.join(taken)} was given for another split. Give a "
            "file for it too."
        )
    raise _missing(task, data_dir, forms, given, needed)


def _given_files(split: str, patterns: str, data_dir: str) -> list[str]:
    found = []
    for pattern in filter(None, (part.strip() for part in patterns.split(","))):
        matches, _ = expand_patterns(pattern)
        matches = matches or expand_patterns(os.path.join(data_dir, pattern))[0]
        if not matches:
            raise InputError(
                f"The file given for {split}, {pattern}, is not there, nor in the folder "
                f"{data_dir}. Give the path of a file."
            )
        found.extend(matches)
    return found


def _official_files(data_dir: str, names: Sequence[str]) -> list[str]:
    paths = [os.path.join(data_dir, name) for name in names]
    return paths if all(os.path.isfile(path) for path in paths) else []


def _without_doubles(
    task: str, paths: dict[str, list[str]], given: Mapping[str, list[str]]
) -> dict[str, list[str]]:
    """Returns `paths` less each official split whose file was given for another split."""
    kept = dict(paths)
    for split, other in (("test", "dev"), ("dev", "test"), ("test", "train"), ("dev", "train")):
        if split not in kept or other not in kept:
            continue
        shared = {os.path.realpath(path) for path in kept[split]} & {
            os.path.realpath(path) for path in kept[other]
        }
        if shared and split not in given:
            del kept[split]
        elif shared and (other in given or other == "train"):
            raise InputError(
                f"{task}: {sorted(shared)[0]} is to serve for {split} and for {other}. Scores on "
                "examples that the model was trained on or selected by mean nothing; give another "
                "file."
            )
    return kept


def _missing(
    task: str,
    data_dir: str,
    forms: Sequence[Form],
    given: Mapping[str, list[str]],
    needed: Sequence[str],
) -> InputError:
    expected = []
    for form in forms:
        wanted_splits = {*needed, "train"} if "dev" in needed and "dev" not in form else needed
        names = [
            name
            for split in SPLITS
            if split in wanted_splits and split not in given
            for name in form.get(split, ())
        ]
        if names and names not in expected:
            expected.append(names)
    wanted = "; or ".join(", ".join(names) for names in expected) or "a file for each split"
    if not os.path.isdir(data_dir):
        return InputError(
            f"The folder {data_dir} is not there; expected the files of {task}: {wanted}."
        )
    return InputError(
        f"The folder {data_dir} lacks files of {task} for {', '.join(needed)}; expected {wanted}. "
        "Put them there, or name the files of the splits."
    )
