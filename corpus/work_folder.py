"""The folder of a run that is under way: finished parts, and markers that say which they are."""

import fcntl
import json
import os
import shutil
from collections.abc import Sequence
from typing import Any, BinaryIO

from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import make_folder, write_atomically

_PLAN = "plan.json"
_LOCK = "lock"


class WorkFolder:
    """Holds what a run has done so far, so that after a kill it goes on and does the rest.

    A marker is a small JSON file that is written after the data it speaks of, and holds what the
    run has to know of it.

    Attributes:
      path: Where it is.
      was_there: Whether an earlier, unfinished run of the same plan left it.
    """

    def __init__(
        self,
        path: str,
        plan: dict[str, Any],
        restart: bool,
        good_for_plan: Sequence[dict[str, Any]] = (),
    ):
        """Makes the folder, or takes over what an unfinished run left, and locks it.

        Args:
          path: Where it is.
          plan: What the run is to do: settings, files, sizes. Equal plans give equal results.
          restart: Whether to throw away what a run of another plan left.
          good_for_plan: Other plans, of whose results those that are finished are good for this.

        Raises:
          InputError: Another process works in it, it belongs to a run of another plan, or to no
            run at all.
        """
        self.path = path
        make_folder(path)
        self._refuse_foreign()
        self._lock = self._take_lock()
        self.was_there = os.path.exists(self.file(_PLAN))
        try:
            self._take_over(plan, restart, good_for_plan)
        except BaseException:
            self._lock.close()
            raise

    def file(self, name: str) -> str:
        """Returns the path of a file in the folder."""
        return os.path.join(self.path, name)

    def part_file(self, part: int, kind: str) -> str:
        """Returns the path of a file of a part; its kind is its ending."""
        return part_file(self.path, part, kind)

    def mark(self, name: str, content: dict[str, Any]) -> None:
        """Writes a marker."""
        write_marker(self.file(name), content)

    def marker(self, name: str) -> dict[str, Any] | None:
        """Returns what a marker says, or None if it was not written."""
        return read_marker(self.file(name))

    def close(self) -> None:
        """Gives the lock up and leaves what is there for a later run."""
        self._lock.close()

    def remove(self) -> None:
        """Removes all of it."""
        # Without the plan nobody takes the rest for work that is done, and with the lock it can be
        # told from a folder of the user's until all else is gone.
        os.remove(self.file(_PLAN))
        self._remove_files()
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()

    def _refuse_foreign(self) -> None:
        names = os.listdir(self.path)
        if names and _LOCK not in names and _PLAN not in names:
            raise InputError(
                f"{self.path} would be the work folder of this run, but holds other files, such as "
                f"{names[0]}. Move it away, or give another --output_file."
            )

    def _remove_files(self) -> None:
        for name in os.listdir(self.path):
            if name != _LOCK:
                os.remove(self.file(name))

    def _has_finished_work(self) -> bool:
        return any(name.endswith(".json") and name != _PLAN for name in os.listdir(self.path))

    def _take_lock(self) -> BinaryIO:
        lock = open(self.file(_LOCK), "ab")  # noqa: SIM115
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise InputError(
                f"Another process is writing this corpus (it holds {self.file(_LOCK)}). Wait for "
                "it, or give another --output_file."
            ) from None
        return lock

    def _take_over(
        self, plan: dict[str, Any], restart: bool, good_for_plan: Sequence[dict[str, Any]]
    ) -> None:
        # As JSON has it: tuples become lists.
        plan = json.loads(json.dumps(plan))
        earlier = self.marker(_PLAN)
        if earlier != plan and earlier in json.loads(json.dumps(list(good_for_plan))):
            self.mark(_PLAN, plan)
            return
        if earlier is not None and earlier != plan:
            if not restart and self._has_finished_work():
                raise InputError(
                    f"{self.path} holds an unfinished run with other flags or files "
                    f"({_difference(earlier, plan)}). Give --restart to throw it away, run the "
                    "earlier command to finish it, or give another --output_file."
                )
            earlier = None
        if earlier is None:
            self.was_there = False
            self._remove_files()
            self.mark(_PLAN, plan)


def part_file(folder: str, part: int, kind: str) -> str:
    """Returns the path of a file of a part in a work folder."""
    return os.path.join(folder, f"part-{part:05d}.{kind}")


def write_marker(path: str, content: dict[str, Any]) -> None:
    """Writes a JSON file whole or not at all."""
    write_atomically(
        path, json.dumps(content, ensure_ascii=False).encode("utf-8", "backslashreplace")
    )


def read_marker(path: str) -> dict[str, Any] | None:
    """Reads what `write_marker` wrote; None if there is no such file."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(f"Cannot read {path} ({error}). Give --restart to begin anew.") from error


def _difference(earlier: Any, later: Any, place: str = "") -> str:
    """Returns where two plans differ first, with both values."""
    if isinstance(earlier, dict) and isinstance(later, dict):
        for name in [*later, *(name for name in earlier if name not in later)]:
            if earlier.get(name) != later.get(name):
                inner = f"{place}.{name}" if place else name
                return _difference(earlier.get(name), later.get(name), inner)
    if isinstance(earlier, list) and isinstance(later, list) and len(earlier) == len(later):
        for index, (one, other) in enumerate(zip(earlier, later)):
            if one != other:
                return _difference(one, other, f"{place}[{index}]")
    return f"{place} was {_brief(earlier)}, is {_brief(later)}"


def _brief(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "..."
