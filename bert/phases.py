"""The phases of a pre-training run: sequences of 128 tokens for most steps, then 512, say.

A phase has records, lengths, a batch and a learning rate of its own; the weights go on. BERT itself
was trained so, nine tenths of the steps at 128 (Devlin et al., 2018, appendix A.2).
"""

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any

from deeq_bert.tokenizers.errors import InputError

_MAX_BYTES = 1 << 20
_EXAMPLE = '{"phases": [{"max_seq_length": 128, "num_train_steps": 900000, ...}, {...}]}'


@dataclasses.dataclass(frozen=True)
class Phase:
    """What stays the same over some steps of a run.

    Attributes:
      input_file: Patterns of the records to train on.
      eval_input_file: Those of the held-out records; empty for none.
      max_seq_length: The length of their sequences.
      max_predictions_per_seq: Masked positions a sequence.
      train_batch_size: Sequences a step over all devices; None: the largest that fits.
      gradient_accumulation_steps: In how many parts a device goes through its share of a batch.
      num_train_steps: Steps of this phase.
      num_warmup_steps: Steps at its start over which the learning rate rises.
      learning_rate: The rate the decay over this phase starts from.
      reset_optimizer: Whether the optimizer's moments start from zero at its start.
      first_step: Steps of the run before this phase.
    """

    input_file: str
    eval_input_file: str
    max_seq_length: int
    max_predictions_per_seq: int
    train_batch_size: int | None
    gradient_accumulation_steps: int
    num_train_steps: int
    num_warmup_steps: int
    learning_rate: float
    reset_optimizer: bool = False
    first_step: int = 0

    @property
    def last_step(self) -> int:
        """The number of steps of the run that are done at the end of this phase."""
        return self.first_step + self.num_train_steps


# Lowest values; input files are patterns, reset_optimizer is true or false.
_LOWEST = {
    "max_seq_length": 5,
    "max_predictions_per_seq": 1,
    "train_batch_size": 1,
    "gradient_accumulation_steps": 1,
    "num_train_steps": 1,
    "num_warmup_steps": 0,
    "learning_rate": 0.0,
}
_FIELDS = [field.name for field in dataclasses.fields(Phase) if field.name != "first_step"]


def read_schedule(path: str, default: Phase) -> list[Phase]:
    """Reads the phases from a JSON file, {"phases": [...]}.

    Args:
      path: The file. The keys of a phase are attributes of Phase. Patterns of records are from the
        folder the program runs in, as those of flags.
      default: Gives what a phase does not name.

    Raises:
      InputError: The file cannot be read, or a key or a value in it cannot be used.
    """
    try:
        with open(path, "rb") as file:
            text = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"Cannot read --schedule_file={path}: {error.strerror}.") from error
    if len(text) > _MAX_BYTES:
        raise InputError(
            f"--schedule_file={path} has over {_MAX_BYTES:,} bytes; expected {_EXAMPLE}"
        )
    try:
        content = json.loads(text.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"--schedule_file={path} is not JSON: {error}. Expected {_EXAMPLE}"
        ) from error
    described = content.get("phases") if isinstance(content, dict) else None
    if not isinstance(described, list) or not described:
        raise InputError(f"--schedule_file={path} has no list of phases; expected {_EXAMPLE}")
    if unknown := set(content) - {"phases"}:
        raise InputError(f"--schedule_file={path}: {sorted(unknown)[0]} is not known, only phases.")
    phases = []
    for number, fields in enumerate(described, start=1):
        place = f"--schedule_file={path}, phase {number}"
        _check_fields(fields, place)
        first_step = phases[-1].last_step if phases else 0
        if fields.get("train_batch_size") == "auto":
            fields["train_batch_size"] = None
        phases.append(dataclasses.replace(default, **{**fields, "first_step": first_step}))
    return phases


def _check_fields(fields: object, place: str) -> None:
    if not isinstance(fields, Mapping):
        raise InputError(f"{place} is not an object; expected {_EXAMPLE}")
    for name, value in fields.items():
        if name not in _FIELDS:
            raise InputError(f"{place}: {name} is not known. A phase has {', '.join(_FIELDS)}.")
        if problem := _problem(name, value):
            raise InputError(f"{place}: {name} is {json.dumps(value)}, but must be {problem}.")


def _problem(name: str, value: Any) -> str:
    """Returns what a value should have been, or nothing where it is well."""
    if name in ("input_file", "eval_input_file"):
        return "" if isinstance(value, str) else "a string with patterns of files"
    if name == "reset_optimizer":
        return "" if isinstance(value, bool) else "true or false"
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if name == "learning_rate":
        valid = number and 0 <= value < 3e38
        return "" if valid else "a finite number that is not negative"
    if name == "train_batch_size" and value in (None, "auto"):
        return ""
    lowest = _LOWEST[name]
    valid = number and isinstance(value, int) and lowest <= value < 2**31
    return "" if valid else f"a whole number from {lowest} on"


def batch_hint(examples_before: int, now: Phase, size_before: int, size_now: int) -> str:
    """Says what a batch of another size means for steps and learning rate.

    The rate of Adam and LAMB goes with the square root of the batch, and the number of steps
    falls as the batch grows, for as many examples in all (You et al., 2019, section 4).

    Args:
      examples_before: Examples the run has seen.
      now: The phase as it is given.
      size_before: The batch the settings of `now` were meant for.
      size_now: The batch that is used.
    """
    factor = size_now / size_before
    steps = max(1, round(now.num_train_steps / factor))
    return (
        f"The global batch is {size_now} and was {size_before}. For as many examples as before, "
        f"--num_train_steps={steps}; the usual learning rate for this batch is "
        f"{now.learning_rate * math.sqrt(factor):.3g} (the square root of the batch), with "
        f"--num_warmup_steps={round(now.num_warmup_steps / factor)}."
        + (f" {examples_before:,} examples have been seen." if examples_before else "")
    )
