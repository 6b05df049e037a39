"""The models of a sweep: runs that leave checkpoint after checkpoint, and models from elsewhere.

Nothing here needs TensorFlow.
"""

import contextlib
import errno
import glob
import hashlib
import json
import os
import re
import shutil
from collections.abc import Sequence
from typing import Any, NamedTuple

from deeq_bert.bert.model_folder import BERT_CONFIG_FILE, ModelFolder, list_checkpoints, open_model
from deeq_bert.bert.run_log import FILE_NAME as LOG_FILE
from deeq_bert.tokenizers import registry
from deeq_bert.tokenizers.contract import FILE_NAME as CONTRACT_FILE
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import make_folder, write_atomically

# What a row of a model is called that has no step: weights from elsewhere, and random ones.
GIVEN, RANDOM = "given", "random"

_NAME = re.compile(r"[\w.+-]{1,60}")
_ENDING_BYTES = 256 * 1024
_BLOCK_BYTES = 1 << 20


class MissingCheckpointError(InputError):
    """A checkpoint is not there any more, or not yet."""


class Checkpoint(NamedTuple):
    """Weights to be scored.

    Attributes:
      label: The step as a word, or GIVEN or RANDOM.
      step: The updates behind them; None where that is not known.
      prefix: What --init_checkpoint takes; empty for random weights.
    """

    label: str
    step: int | None
    prefix: str


class SweptModel:
    """A model of a sweep.

    Attributes:
      name: In the table; also the name of a folder.
      path: As it was given.
      is_run: Whether it is the output of run_pretraining, where more checkpoints may come.
    """

    def __init__(self, name: str, path: str, do_lower_case: bool | None = None):
        """Looks at a model.

        Args:
          name: For the table.
          path: What `open_model` takes. Of a run all checkpoints count.
          do_lower_case: Whether text is lower-cased where nothing beside the model tells.

        Raises:
          InputError: There is no model, or it does not say how its text is cut.
        """
        self.name = name
        self.path = path
        self._do_lower_case = do_lower_case
        self._identities: dict[tuple, str] = {}
        self.is_run = os.path.isdir(path) and bool(
            list_checkpoints(path)
            or (
                os.path.isfile(os.path.join(path, LOG_FILE))
                and os.path.isfile(os.path.join(path, BERT_CONFIG_FILE))
            )
        )
        self._settings: dict[str, Any] | None = None
        self._opened: ModelFolder | None = None
        if not self.is_run or list_checkpoints(path):
            self.opened()

    def opened(self) -> ModelFolder:
        """Returns what the model is.

        Raises:
          InputError: See `__init__`; or a run has no checkpoint yet.
        """
        if self._opened is None:
            if self.is_run and not list_checkpoints(self.path):
                raise MissingCheckpointError(f"There is no checkpoint in {self.path} yet.")
            model = open_model(self.path)
            known = (model.do_lower_case, self._do_lower_case)
            if known == (None, None) and not registry.uses_analyzer(model.tokenizer):
                raise InputError(
                    f"--model={self.path}: nothing beside the model tells whether its text is "
                    "lower-cased. Give --do_lower_case=True or False, as it was trained; for a "
                    f"Korean model that is mostly False. (A {CONTRACT_FILE} would tell.)"
                )
            self._opened = model
        return self._opened

    def tokenizer_flags(self) -> dict[str, str]:
        """Returns the flags that have text cut as the model was trained."""
        model = self.opened()
        lower = self._do_lower_case if model.do_lower_case is None else model.do_lower_case
        flags = {"tokenizer": model.tokenizer}
        # Morphemes are never lower-cased, and the flag is not for them.
        if not self.uses_analyzer():
            flags["do_lower_case"] = str(lower)
        if model.deeq_compat:
            flags["deeq_compat"] = "True"
        return flags

    def uses_analyzer(self) -> bool:
        """Whether its tokenizer analyses morphemes."""
        return registry.uses_analyzer(self.opened().tokenizer)

    def checkpoints(self) -> list[Checkpoint]:
        """Returns the checkpoints that are there, in order of their steps."""
        if self.is_run:
            return [
                Checkpoint(str(step), step, prefix) for step, prefix in list_checkpoints(self.path)
            ]
        model = self.opened()
        label = GIVEN if model.step is None else str(model.step)
        return [Checkpoint(label, model.step, model.checkpoint)]

    def identity(self, checkpoint: Checkpoint) -> str:
        """Returns a word for the values of a checkpoint: equal ones have the same.

        The index of a checkpoint holds a checksum of every value, so it stands for all.

        Raises:
          MissingCheckpointError: It is not there any more.
        """
        if checkpoint.label == RANDOM:
            return RANDOM
        files = weight_files(checkpoint.prefix)
        if not os.path.isdir(checkpoint.prefix):
            files = [file for file in files if file.endswith(".index")]
        try:
            states = [os.stat(file) for file in files]
            key = tuple((file, s.st_size, s.st_mtime_ns) for file, s in zip(files, states))
            if key not in self._identities:
                self._identities[key] = _digest(files)
        except OSError as error:
            raise _missing(checkpoint.prefix, error) from error
        return self._identities[key]

    def settings(self) -> dict[str, Any]:
        """Returns what of the model, besides the weights, decides its scores."""
        if self._settings is None:
            model = self.opened()
            self._settings = {
                "config": model.config.without_other_fields().to_dict(),
                "vocabulary": _digest([model.vocab_file]),
                **self.tokenizer_flags(),
                "analyzer": (model.contract or {}).get("analyzer"),
            }
        return self._settings

    def has_ended(self) -> bool:
        """Whether no more checkpoints will come, as far as the log of the run tells."""
        return not self.is_run or _says_end(os.path.join(self.path, LOG_FILE))


def parse_models(values: Sequence[str], do_lower_case: bool | None) -> list[SweptModel]:
    """Returns the models that NAME=PATH and PATH name.

    Raises:
      InputError: A name cannot serve or comes twice, or see `SweptModel`.
    """
    models: dict[str, SweptModel] = {}
    for value in values:
        name, equals, path = value.partition("=")
        if not equals or os.sep in name:
            name, path = _name_of(value), value
        if not _NAME.fullmatch(name) or name.startswith(".") or not path:
            raise InputError(
                f"--model={value}: {name!r:.80} cannot be the name of a model in the table and of "
                "a folder. Give it one of letters, digits, dots, dashes and underlines: "
                "--model=NAME=PATH."
            )
        if name in models:
            raise InputError(
                f"--model={value}: there is another model called {name}. Name them apart: "
                "--model=NAME=PATH."
            )
        models[name] = SweptModel(name, path, do_lower_case)
    return list(models.values())


def check_steps(steps: str) -> None:
    """Checks a value of --steps.

    Raises:
      InputError: It is neither "every", "last" nor a list of steps.
    """
    _parse_steps(steps)


def choose(checkpoints: Sequence[Checkpoint], steps: str) -> list[Checkpoint]:
    """Returns those of a run that --steps asks for: "every", "last", or steps with commas."""
    wanted = _parse_steps(steps)
    if steps == "last":
        return list(checkpoints[-1:])
    if wanted is None:
        return list(checkpoints)
    return [checkpoint for checkpoint in checkpoints if checkpoint.step in wanted]


def missing_steps(model: SweptModel, steps: str) -> list[int]:
    """Returns the steps that --steps names and a run has no checkpoint of."""
    wanted = _parse_steps(steps) if model.is_run else None
    there = {checkpoint.step for checkpoint in model.checkpoints()} if wanted else set()
    return [step for step in wanted or () if step not in there]


def weight_files(prefix: str) -> list[str]:
    """Returns the files of a checkpoint: the data and then the index; or those of a folder."""
    if os.path.isdir(prefix):
        return sorted(glob.glob(os.path.join(glob.escape(prefix), "*.safetensors")))
    return [*sorted(glob.glob(f"{glob.escape(prefix)}.data-*")), f"{prefix}.index"]


def hold(model: SweptModel, checkpoint: Checkpoint, folder: str) -> dict[str, str]:
    """Holds on to a checkpoint and what belongs to it, so that a run may delete its own files.

    Its files get second names in `folder`, which takes no room, or are copied to another disk.
    Weights in Hugging Face's format, which no run deletes, are used where they are.

    Returns:
      The flags that have a script use it: bert_config_file, vocab_file, init_checkpoint.

    Raises:
      MissingCheckpointError: It is not there any more.
    """
    opened = model.opened()
    let_go(folder)
    make_folder(folder)
    config_file = os.path.join(folder, BERT_CONFIG_FILE)
    write_atomically(config_file, opened.config.to_json_string().encode())
    vocab_file = os.path.join(folder, os.path.basename(opened.vocab_file))
    beside = os.path.join(os.path.dirname(opened.vocab_file), CONTRACT_FILE)
    try:
        _link(opened.vocab_file, vocab_file)
        if os.path.isfile(beside):
            _link(beside, os.path.join(folder, CONTRACT_FILE))
        flags = {"bert_config_file": config_file, "vocab_file": vocab_file}
        if checkpoint.label == RANDOM:
            return flags
        if os.path.isdir(checkpoint.prefix):
            return {**flags, "init_checkpoint": os.path.abspath(checkpoint.prefix)}
        for file in weight_files(checkpoint.prefix):
            _link(file, os.path.join(folder, os.path.basename(file)))
    except OSError as error:
        raise _missing(checkpoint.prefix, error) from error
    return {**flags, "init_checkpoint": os.path.join(folder, os.path.basename(checkpoint.prefix))}


def let_go(folder: str) -> None:
    """Removes what `hold` made."""
    shutil.rmtree(folder, ignore_errors=True)


def _name_of(path: str) -> str:
    """Returns the last folder of a path, which for the prefix of a checkpoint is the one it is in.

    A release is often a folder of a telling name, and so is a run.
    """
    whole = os.path.abspath(path)
    return os.path.basename(whole if os.path.isdir(whole) else os.path.dirname(whole))


def _parse_steps(steps: str) -> tuple[int, ...] | None:
    if steps in ("every", "last"):
        return None
    words = [word.strip() for word in steps.split(",")]
    if not all(word.isascii() and word.isdigit() and len(word) < 19 for word in words):
        raise InputError(
            f"--steps={steps} is not understood. Expected every, last, or steps with commas, as in "
            "5000,10000."
        )
    return tuple(map(int, words))


def _missing(prefix: str, error: OSError) -> InputError:
    if error.errno == errno.ENOENT:
        return MissingCheckpointError(
            f"{prefix} is not there any more. Runs keep the last --keep_checkpoint_max ones."
        )
    return InputError(f"Cannot use {prefix}: {error.strerror}.")


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise
        # Another disk, or a file system without links.
        shutil.copyfile(source, target)


def _digest(files: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for path in files:
        with open(path, "rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
    return digest.hexdigest()


def _says_end(path: str) -> bool:
    """Whether the last process that a log tells of has made all its steps."""
    ended = False
    with contextlib.suppress(OSError), open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - _ENDING_BYTES))
        for line in file:
            with contextlib.suppress(ValueError, RecursionError):
                entry = json.loads(line)
                kind = entry.get("kind") if isinstance(entry, dict) else None
                ended = kind == "end" or (ended and kind not in ("start", "train", "rollback"))
    return ended
