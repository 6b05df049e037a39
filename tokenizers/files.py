"""Files on disk: finding them by pattern, reading text lines, writing whole or not at all."""

import contextlib
import glob
import os
import socket
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from deeq_bert.tokenizers.errors import InputError

# A sentence a line is the format of every text stage. A longer line is a file of another kind,
# and reading it whole would take memory without bound.
MAX_LINE_BYTES = 16 * 1024 * 1024
# So much of a file is read at once.
_BLOCK_BYTES = 1 << 18
# Of the 255 that file systems allow; the rest is for what a temporary name adds.
_MAX_NAME_BYTES = 150


def expand_patterns(patterns: str) -> tuple[list[str], list[str]]:
    """Finds the files of a comma-separated list of paths and glob patterns, ** among them.

    Returns:
      The files, sorted within each pattern, patterns in the order given (a file that two patterns
      match comes twice, as in the original); and the patterns that matched nothing.
    """
    files, unmatched = [], []
    for pattern in filter(None, (part.strip() for part in patterns.split(","))):
        matches = (
            [pattern] if os.path.exists(pattern) else sorted(glob.glob(pattern, recursive=True))
        )
        matches = [path for path in matches if os.path.exists(path) and not os.path.isdir(path)]
        files.extend(matches)
        if not matches:
            unmatched.append(pattern)
    return files, unmatched


def read_lines(path: str) -> Iterator[str]:
    """Yields the lines of a UTF-8 text file, without their ends.

    A line ends only at "\\n", and "\\r" is dropped wherever it stands, as TensorFlow's file reader
    does: other line separators of Unicode stay inside the line.

    Raises:
      InputError: The file cannot be read, a line is not UTF-8 or is over MAX_LINE_BYTES long.
    """
    try:
        with open(path, "rb") as file:
            number, rest = 0, b""
            while block := file.read(_BLOCK_BYTES):
                head, newline, tail = block.rpartition(b"\n")
                if newline:
                    lines = _decode_lines(rest + head, path, number)
                    yield from lines
                    number, rest = number + len(lines), tail
                else:
                    rest += block
                    if len(rest) > MAX_LINE_BYTES:
                        raise long_line_error(path, number + 1)
            if rest:
                yield decode_line(rest, path, number + 1)
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error


def _decode_lines(lines: bytes, path: str, number: int) -> list[str]:
    """Returns the text of lines that "\n" stands between, `number` of the file before them."""
    try:
        text = lines.decode("utf-8")
        if len(lines) < MAX_LINE_BYTES:
            return text.replace("\r", "").split("\n")
    except UnicodeDecodeError:
        pass
    # One line after the other, to tell which is at fault.
    return [
        decode_line(line + b"\n", path, number + place)
        for place, line in enumerate(lines.split(b"\n"), start=1)
    ]


def decode_line(line: bytes, path: str, number: int, unit: str = "line") -> str:
    """Returns the text of a line that was read as bytes, by the rules of `read_lines`.

    Args:
      line: The line, with its end, of which up to MAX_LINE_BYTES + 1 bytes were read.
      path: The file it stands in, for errors.
      number: Where in the file.
      unit: What `number` counts.

    Raises:
      InputError: The line is not UTF-8 or is over MAX_LINE_BYTES long.
    """
    if len(line) > MAX_LINE_BYTES:
        raise long_line_error(path, number, unit)
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}, {unit} {number}: not UTF-8 (byte {error.start + 1} of the line is "
            f"0x{line[error.start]:02x}). Convert the file, for instance with "
            "`iconv -f cp949 -t utf-8`, or mend the line."
        ) from None
    return text.rstrip("\n").replace("\r", "")


def long_line_error(path: str, number: int, unit: str = "line") -> InputError:
    """Returns the error for a line over MAX_LINE_BYTES long (see `decode_line`)."""
    return InputError(
        f"{path}, {unit} {number}: longer than {MAX_LINE_BYTES:,} bytes; expected text with one "
        "sentence a line. Split the line, or give another file."
    )


def make_parent_folder(path: str) -> None:
    """Makes the folder that `path` is to be written in.

    Raises:
      InputError: The folder can be neither made nor written, or `path` is itself a folder.
    """
    folder = os.path.dirname(os.path.abspath(path))
    if os.path.isdir(path):
        raise InputError(f"{path} is a folder; expected the name of a file to write.")
    if len(os.fsencode(os.path.basename(path))) > _MAX_NAME_BYTES:
        raise InputError(f"The name {os.path.basename(path)} is too long; choose a shorter one.")
    if os.path.lexists(path) and not os.path.isfile(path):
        raise InputError(f"{path} is not a regular file; choose another name.")
    make_folder(folder)


def make_folder(folder: str) -> None:
    """Makes `folder` and its parents where they are missing.

    Raises:
      InputError: The folder can be neither made nor written.
    """
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise InputError(f"Cannot make the folder {folder}: {error.strerror}.") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"The folder {folder} is not writable; choose another or change its mode.")


@contextlib.contextmanager
def atomic_outputs(paths: Sequence[str]) -> Iterator[list[BinaryIO]]:
    """Opens files that appear under their own names together, complete, or not at all.

    Each is written under a temporary name in its own folder. When the block ends without an
    exception all are flushed to disk and then renamed; otherwise they are removed. What an earlier
    run on this machine left behind when it was killed is removed first.

    Raises:
      InputError: The disk is full or a file cannot be written.
    """
    # Through links: what they point to is replaced, on its own disk.
    targets = [os.path.realpath(path) for path in paths]
    temporary_paths = [_temporary_path(target) for target in targets]
    with contextlib.ExitStack() as stack:
        for target, temporary in zip(targets, temporary_paths):
            _remove_orphans(target)
            stack.callback(_remove_if_there, temporary)
        try:
            with contextlib.ExitStack() as open_files:
                files = [open_files.enter_context(open(path, "wb")) for path in temporary_paths]
                yield files
                for file in files:
                    file.flush()
                    os.fsync(file.fileno())
            for target, temporary in zip(targets, temporary_paths):
                os.replace(temporary, target)
                sync_folder(os.path.dirname(target))
        except OSError as error:
            raise InputError(
                f"Cannot write {' and '.join(paths)}: {error.strerror}. Nothing was left there; "
                "free some space or choose another place, and run again."
            ) from error


def write_atomically(path: str, content: bytes) -> None:
    """Writes a small file whole or not at all (see `atomic_outputs`)."""
    with atomic_outputs([path]) as (file,):
        file.write(content)


def sync_folder(folder: str) -> None:
    """Waits until the renames made in `folder` are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _temporary_path(path: str) -> str:
    # The leading dot keeps the file from patterns such as train*; host and process tell a later
    # run whether the writer is still alive.
    folder, name = os.path.split(os.path.abspath(path))
    return os.path.join(folder, f".{name}.{socket.gethostname()}-{os.getpid()}.tmp")


def _remove_orphans(path: str) -> None:
    folder, name = os.path.split(os.path.abspath(path))
    start, end = f".{name}.{socket.gethostname()}-", ".tmp"
    if not os.path.isdir(folder):
        return
    for entry in os.listdir(folder):
        writer = entry[len(start) : -len(end)]
        ours = entry.startswith(start) and entry.endswith(end) and writer.isdigit()
        if ours and not is_running(int(writer)):
            _remove_if_there(os.path.join(folder, entry))


def is_running(process: int) -> bool:
    """Whether a process of this machine, told by its number, is there and not dead already."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    # A dead process has its number until its parent has asked how it ended, which in a container
    # may be late.
    with contextlib.suppress(OSError), open(f"/proc/{process}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    return True


def _remove_if_there(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.remove(path)
