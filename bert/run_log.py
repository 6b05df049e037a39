"""The figures of a run as JSON lines: written while it trains, read to be drawn.

Each line is an object with `kind`, `step` (updates made), `time` (UTC, ISO 8601) and figures.
Kinds:

- "start": a process, or the next phase of a run, goes on from `step`; what was told of later steps
  is undone.
- "train": means over the steps since the last such line.
- "eval": metrics of held-out records.
- "save", "warning", "end".
- "rollback": the run has gone back to `step`; what was told of later steps is undone.

Nothing here needs TensorFlow.
"""

import dataclasses
import datetime
import json
import math
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from absl import logging

from deeq_bert.tokenizers.errors import InputError

FILE_NAME = "metrics.jsonl"
KINDS = ("start", "train", "eval", "save", "rollback", "warning", "end")

# A line has some dozens of figures; a longer one is not ours.
MAX_LINE_BYTES = 256 * 1024
# A report at every step of a million takes half of it.
MAX_FILE_BYTES = 1024 * 1024 * 1024
# Integers of more digits are read as floats: no figure of a run is one, and they are slow.
_MAX_INTEGER_DIGITS = 18


class RunLog:
    """Appends lines to the log of a run, each of them whole."""

    def __init__(self, path: str):
        """Opens a log, or begins one, and mends what a killed process left at its end.

        Raises:
          InputError: The file cannot be written.
        """
        self._path = path
        self._failed = False
        try:
            # Unbuffered: a line is one write, and the system's from then on.
            self._file = open(path, "a+b", buffering=0)  # noqa: SIM115
            _mend_end(self._file)
        except OSError as error:
            raise InputError(
                f"Cannot write {path}: {error.strerror}. It takes the figures of the run; free "
                "some space, change its mode, or choose another --output_dir."
            ) from error

    def write(self, kind: str, step: int, figures: Mapping[str, Any] | None = None) -> None:
        """Writes a line.

        A disk that is full does not end the run: the line is lost, which is logged once.

        Args:
          kind: One of KINDS.
          step: Updates made.
          figures: Numbers (those not finite are written as null), strings, and lists or
            dictionaries of them.
        """
        if kind not in KINDS:
            raise ValueError(f"unknown kind of line: {kind}")
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
        line = {"kind": kind, "step": int(step), "time": now}
        line.update(_plain(figures or {}), **line)
        text = json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n"
        # File names that are not UTF-8 have lone surrogates in them, which are escapes in JSON.
        content = text.encode("utf-8", "backslashreplace")
        size = None
        try:
            size = os.fstat(self._file.fileno()).st_size
            if self._file.write(content) != len(content):
                raise OSError("the disk took only a part of the line")
        except OSError as error:
            self._report_failure(error, size)
        else:
            self._failed = False

    def _report_failure(self, error: OSError, size: int | None) -> None:
        if size is not None:
            try:
                self._file.truncate(size)
            except OSError:
                logging.error("%s may end in a torn line.", self._path)
        if not self._failed:
            logging.error(
                "Cannot write %s: %s. The run goes on; its figures are lost until it can.",
                self._path,
                error.strerror or error,
            )
        self._failed = True

    def close(self) -> None:
        """Closes the file, after waiting until it is on the disk."""
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            logging.error("Cannot flush %s: %s.", self._path, error.strerror)
        self._file.close()

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


@dataclasses.dataclass
class RunHistory:
    """What the log of a run tells, without what was undone by going back.

    Attributes:
      path: The file.
      train: The last "train" line of each step, in the order of steps.
      evaluations: The last "eval" line of each step, likewise.
      starts: The "start" lines.
      rollbacks: The "rollback" lines.
      seconds_spent: The most that any line has, which counts what was undone; 0 without any.
      lines: How many lines could be read.
      broken_lines: How many could not be, and were passed over.
    """

    path: str
    train: dict[int, dict[str, Any]] = dataclasses.field(default_factory=dict)
    evaluations: dict[int, dict[str, Any]] = dataclasses.field(default_factory=dict)
    starts: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    rollbacks: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    seconds_spent: float = 0.0
    lines: int = 0
    broken_lines: int = 0


def read_run_log(path: str) -> RunHistory:
    """Reads a log, also one that is being written.

    Lines that are torn, too long or of another form are passed over and counted.

    Raises:
      InputError: The file cannot be read, or is far larger than a log.
    """
    history = RunHistory(path)
    try:
        if os.path.getsize(path) > MAX_FILE_BYTES:
            raise InputError(
                f"{path} is larger than {MAX_FILE_BYTES:,} bytes; expected the {FILE_NAME} of a "
                "run."
            )
        with open(path, "rb") as file:
            for content in _lines(file):
                line = _parse(content) if content is not None else None
                if line is None:
                    history.broken_lines += 1
                else:
                    history.lines += 1
                    _take_in(history, line)
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error
    return history


def series(lines: Mapping[int, Mapping[str, Any]], name: str) -> tuple[list[int], list[float]]:
    """Returns the steps at which a figure is known, and its values there.

    Args:
      lines: Such as `RunHistory.train`.
      name: Of the figure. Where it is missing, null or no number its step is left out.
    """
    steps, values = [], []
    for step, line in lines.items():
        value = finite_number(line.get(name))
        if value is not None:
            steps.append(step)
            values.append(value)
    return steps, values


def places_of_steps(history: RunHistory, x: str) -> tuple[list[int], list[float]]:
    """Returns steps in rising order, the first 0, and where they are on an axis.

    Args:
      history: Of a run.
      x: What the axis shows: "step", "tokens" trained on, or "hours" that the run has taken.

    Raises:
      InputError: The log does not tell them.
    """
    if x == "step":
        last_step = max([0, *history.train, *history.evaluations])
        return [0, last_step], [0.0, float(last_step)]
    figure = "tokens" if x == "tokens" else "seconds_spent"
    known = dict(zip(*series(history.train, figure)))
    if x == "hours":
        known.update(zip(*series(history.evaluations, figure)))
    if not known:
        raise InputError(
            f"--x={x}: the lines of training in {history.path} have no {figure}. Choose --x=step."
        )
    steps, places, place, last_step = [0], [0.0], 0.0, 0
    for step in sorted(known):
        if x == "tokens":
            # The mean number of a step, over those since the line before.
            place += known[step] * (step - last_step)
        else:
            place = max(place, known[step] / 3600)
        steps.append(step)
        places.append(place)
        last_step = step
    return steps, places


def finite_number(value: object) -> float | None:
    """Returns a value of a line as a float, or None where it is no finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None


def _plain(value: Any) -> Any:
    """Returns a value as JSON can hold it; scalars of numpy and TensorFlow become numbers."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if hasattr(value, "numpy"):
        value = value.numpy()
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, (bool, int)):
        return value
    return float(value) if math.isfinite(value) else None


def _mend_end(file: BinaryIO) -> None:
    """Completes a last line that lacks only its end, and cuts off one that was torn."""
    size = file.seek(0, os.SEEK_END)
    start = max(0, size - MAX_LINE_BYTES)
    file.seek(start)
    content = file.read(size - start)
    newline = content.rfind(b"\n")
    rest = content[newline + 1 :]
    if not rest:
        return
    # A torn line without a start in sight is not ours: it is ended, and passed over in reading.
    if _parse(rest) is not None or (newline < 0 and start > 0):
        file.write(b"\n")
    else:
        file.truncate(size - len(rest))


def _lines(file: BinaryIO) -> Iterator[bytes | None]:
    """Yields the lines of a log; None for one that is too long."""
    while line := file.readline(MAX_LINE_BYTES):
        if line.endswith(b"\n") or len(line) < MAX_LINE_BYTES:
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = file.readline(MAX_LINE_BYTES)
        yield None


def _parse(content: bytes) -> dict[str, Any] | None:
    """Returns the object that a line holds; None where it holds none of the form of a log's."""
    try:
        line = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_to_dict,
            parse_int=_to_number,
            parse_constant=lambda _: None,
        )
    except (ValueError, RecursionError):
        return None
    if not isinstance(line, dict) or line.get("kind") not in KINDS:
        return None
    step = line.get("step")
    return line if type(step) is int and step >= 0 else None


def _to_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # The names are the same in every line: one string each, and not one a line.
    return {sys.intern(name): value for name, value in pairs}


def _to_number(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_INTEGER_DIGITS else float(digits)


def _take_in(history: RunHistory, line: dict[str, Any]) -> None:
    kind, step = line["kind"], line["step"]
    spent = finite_number(line.get("seconds_spent"))
    if spent is not None:
        history.seconds_spent = max(history.seconds_spent, spent)
    if kind in ("start", "rollback"):
        (history.starts if kind == "start" else history.rollbacks).append(line)
        _forget_beyond(history.train, step)
        _forget_beyond(history.evaluations, step)
    elif kind in ("train", "eval"):
        lines = history.train if kind == "train" else history.evaluations
        # Steps only rise, so a lower one has gone back, though the line that says so is lost.
        _forget_beyond(lines, step)
        lines[step] = line


def _forget_beyond(lines: dict[int, dict[str, Any]], step: int) -> None:
    while lines and next(reversed(lines)) > step:
        lines.popitem()
