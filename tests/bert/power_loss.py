"""What a disk may hold if the power goes at any moment of a program that writes to a folder.

Until a file is flushed, half its content is lost; until a folder is flushed, what was renamed or
removed in it may be as before, each change for itself or all of them.
"""

import contextlib
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator


class PowerLoss:
    """Records, around every call that changes the folder, the states a power loss would leave.

    Attributes:
      states: Copies of the folder, each in a folder of its own.
    """

    def __init__(self, folder: pathlib.Path, copies: pathlib.Path):
        """Takes all that is in `folder` for flushed; the states will be made in `copies`."""
        self.states: list[pathlib.Path] = []
        self._folder = folder
        self._copies = copies
        self._flushed = {path.stat().st_ino for path in folder.rglob("*")}
        # Changes of names that are not flushed: the name removed or renamed, the new name if any,
        # and the content that was removed or replaced.
        self._changes: list[tuple[str, str | None, bytes | None]] = []
        self._recording = False

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Records while the block runs."""
        with contextlib.ExitStack() as stack:
            for module, name, note in (
                (os, "mkdir", lambda path, *_: None),
                (os, "replace", self._note_change),
                (os, "remove", self._note_change),
                (os, "fsync", self._note_flush),
                (shutil, "rmtree", lambda path, *_: self._forget_inodes(path)),
            ):
                original = getattr(module, name)
                stack.callback(setattr, module, name, original)
                setattr(module, name, self._watched(original, note))
            yield
        self._record()

    def _watched(self, original: Callable, note: Callable) -> Callable:
        def function(*arguments, **options):
            if not self._recording:
                self._record()
                note(*arguments)
            original(*arguments, **options)

        return function

    def _note_change(self, source: str, target: str | None = None) -> None:
        lost = pathlib.Path(target or source)
        content = lost.read_bytes() if lost.exists() else None
        self._forget_inodes(lost)
        if os.path.exists(source):
            names = (path and os.path.relpath(path, self._folder) for path in (source, target))
            self._changes.append((*names, content))

    def _note_flush(self, descriptor: int) -> None:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        self._flushed.add(os.fstat(descriptor).st_ino)
        if os.path.isdir(path):
            # A rename is on the disk as soon as the folder it goes to is.
            flushed = os.path.relpath(path, self._folder)
            self._changes = [
                (source, target, content)
                for source, target, content in self._changes
                if (os.path.dirname(target or source) or ".") != flushed
            ]

    def _forget_inodes(self, path: str | pathlib.Path) -> None:
        """Their numbers may be used again, for files that are not flushed."""
        gone = pathlib.Path(path)
        for each in (gone, *gone.rglob("*")):
            if each.exists():
                self._flushed.discard(each.stat().st_ino)

    def _record(self) -> None:
        self._recording = True
        every = range(len(self._changes))
        for undone in sorted({(), tuple(every), *((number,) for number in every)}):
            for keep_content in (True, False):
                self._copy(undone, keep_content)
        self._recording = False

    def _copy(self, undone: tuple[int, ...], keep_content: bool) -> None:
        copy = self._copies / f"state-{len(self.states)}"
        shutil.copytree(self._folder, copy)
        self.states.append(copy)
        for path in self._folder.rglob("*"):
            if not keep_content and path.is_file() and path.stat().st_ino not in self._flushed:
                os.truncate(copy / path.relative_to(self._folder), path.stat().st_size // 2)
        for number in reversed(undone):
            source, target, content = self._changes[number]
            if target is not None and (copy / target).exists():
                (copy / source).parent.mkdir(exist_ok=True)
                shutil.move(copy / target, copy / source)
            if content is not None:
                restored = copy / (target or source)
                restored.parent.mkdir(exist_ok=True)
                restored.write_bytes(content)
