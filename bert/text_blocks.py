"""Text divided by documents into blocks that processes read on their own.

Files in order are one stream of bytes with a sentence a line and a blank line between documents.
As in `documents.Documents` the end of a file ends a line and no document. Blocks are planned
without reading the text: only a few lines are looked at where a block is to end, so that 100 GB
are planned in seconds.
"""

import bisect
import contextlib
import heapq
import itertools
import os
import random
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

from deeq_bert.tokenizers import files as text_files
from deeq_bert.tokenizers.errors import InputError

# Enough blocks for shards to come out nearly equal, each with text from all over the input; and
# small enough to mix sources well, where shards are large.
_BLOCKS_OF_A_SHARD = 16
_LARGEST_BLOCK_BYTES = 4 << 20

_WRITTEN_TO = "Start again with files that nobody writes to."


class TextFile(NamedTuple):
    """What tells whether a file is the one it was.

    Attributes:
      path: The file.
      num_bytes: How long it is.
      changed: When it was last written to, in nanoseconds; None where that is not known.
    """

    path: str
    num_bytes: int
    changed: int | None


class FileRange(NamedTuple):
    """Whole lines of a file.

    Attributes:
      path: The file.
      start: The offset of the first byte.
      end: The offset after the last byte.
    """

    path: str
    start: int
    end: int


class TextBlock(NamedTuple):
    """Whole documents, one after the other.

    Attributes:
      ranges: Where they stand; more than one range where the block goes on in the next file.
    """

    ranges: tuple[FileRange, ...]

    @property
    def num_bytes(self) -> int:
        """How long the text is."""
        return sum(text_range.end - text_range.start for text_range in self.ranges)


def count_bytes(files: Sequence[str]) -> int:
    """Returns how long the files are together.

    Raises:
      InputError: A file cannot be read.
    """
    return sum(_size(path) for path in files)


def describe_file(path: str) -> TextFile:
    """Returns what tells whether a file is the one it was.

    Raises:
      InputError: The file cannot be read.
    """
    changed = None
    with contextlib.suppress(OSError):
        changed = os.stat(path).st_mtime_ns
    return TextFile(path, _size(path), changed)


def check_unchanged(file: TextFile) -> None:
    """Checks that a file is still as it was described.

    Raises:
      InputError: It has been written to since, or cannot be read.
    """
    if describe_file(file.path) != file:
        raise InputError(f"{file.path} has changed since the run began. {_WRITTEN_TO}")


def block_size(num_bytes: int, num_shards: int) -> int:
    """Returns of how many bytes the blocks should be where a text is divided into shards."""
    return max(1, min(_LARGEST_BLOCK_BYTES, num_bytes // (num_shards * _BLOCKS_OF_A_SHARD)))


def plan_blocks(
    files: Sequence[str],
    block_bytes: int,
    max_block_bytes: int,
    remedy: str = "Put blank lines between its documents.",
) -> list[TextBlock]:
    """Divides text into blocks: each ends right after a blank line, the last with the text.

    Every byte of the files is in one block. A block ends after the first blank line that starts at
    least `block_bytes` after its own start, which makes it longer than that by part of a document;
    where this is too long, before that document.

    Args:
      files: UTF-8 text, in order.
      block_bytes: How long blocks should be, at least 1.
      max_block_bytes: How long they may be, and with them documents; not less than `block_bytes`.
      remedy: What to do about a document that is longer, as a sentence for the error.

    Returns:
      The blocks in the order of the text.

    Raises:
      InputError: A document or a line is too long, or a file cannot be read or changes meanwhile.
    """
    blocks = []
    with contextlib.closing(_Stream(files)) as stream:
        start = 0
        while start < stream.num_bytes:
            limit = start + max_block_bytes
            end = stream.first_cut(start + block_bytes, limit) or stream.last_cut(start, limit)
            if end is None:
                path, offset, _ = next(stream.ranges(start, stream.num_bytes))
                raise InputError(
                    f"{path}: the document that starts at byte offset {offset} is longer than "
                    f"{max_block_bytes:,} bytes, and a document is held in memory whole. {remedy}"
                )
            blocks.append(TextBlock(tuple(stream.ranges(start, end))))
            start = end
    return blocks


def read_block(block: TextBlock) -> Iterator[str]:
    """Yields the lines of a block, by the rules of `read_lines` in tokenizers/files.py.

    Raises:
      InputError: A file cannot be read or has changed, a line is too long or not UTF-8.
    """
    for path, offset, end in block.ranges:
        with _reading(path), open(path, "rb") as file:
            file.seek(offset)
            while offset < end:
                line = _read_line(file, path, offset, end)
                yield text_files.decode_line(line, path, offset, "the line at byte offset")
                offset += len(line)


def assign_blocks(blocks: Sequence[TextBlock], num_shards: int, seed: int) -> list[list[TextBlock]]:
    """Deals blocks out to shards at random, but so that these become nearly equally long.

    Args:
      blocks: All blocks of the text.
      num_shards: How many shards.
      seed: Fixes what is random.

    Returns:
      For each shard its blocks, at least one, in random order.

    Raises:
      InputError: There are fewer blocks than shards.
    """
    if not blocks:
        raise InputError(
            "The input files are empty; expected a sentence a line and a blank line between "
            "documents."
        )
    if len(blocks) < num_shards:
        raise InputError(
            f"--num_shards={num_shards}: the text divides into {len(blocks)} parts only, for "
            f"documents stay whole. Give --num_shards={len(blocks)} or less, or put blank "
            "lines between documents where they are missing."
        )
    order = list(blocks)
    random.Random(f"the order of blocks,{seed}").shuffle(order)
    shards: list[list[int]] = [[] for _ in range(num_shards)]
    # Of equally long shards the first is next.
    lengths = [(0, number) for number in range(num_shards)]
    # The longest blocks first, for the short ones to level out.
    for place in sorted(range(len(order)), key=lambda place: -order[place].num_bytes):
        num_bytes, number = lengths[0]
        shards[number].append(place)
        heapq.heapreplace(lengths, (num_bytes + order[place].num_bytes, number))
    return [[order[place] for place in sorted(places)] for places in shards]


class _Stream:
    """Files end to end, looked at here and there. Offsets count from the start of the first."""

    def __init__(self, files: Sequence[str]) -> None:
        self._files = files
        sizes = [_size(path) for path in files]
        self._starts = [0, *itertools.accumulate(sizes)]
        self.num_bytes = self._starts[-1]
        # The last one looked at: where the next block ends is often in the same.
        self._path: str | None = None
        self._file: BinaryIO | None = None

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def ranges(self, start: int, end: int) -> Iterator[FileRange]:
        """Yields where the bytes from `start` to `end` stand."""
        index = bisect.bisect_right(self._starts, start) - 1
        while start < end:
            file_start, file_end = self._starts[index : index + 2]
            stop = min(end, file_end)
            # Of an empty file there is nothing.
            if start < stop:
                yield FileRange(self._files[index], start - file_start, stop - file_start)
            start, index = stop, index + 1

    def first_cut(self, start: int, limit: int) -> int | None:
        """Returns the end of the first blank line that starts at `start` or later.

        Without a blank line it is the end of the text, and None if all that is beyond `limit`.
        """
        for end, line in self._lines(start):
            if end > limit:
                return None
            if _is_blank(line):
                return end
        return self.num_bytes if self.num_bytes <= limit else None

    def last_cut(self, start: int, limit: int) -> int | None:
        """Returns the last end of a blank line from `start`, the start of a line, to `limit`."""
        cut = None
        for end, line in self._lines(start):
            if end > limit:
                break
            if _is_blank(line):
                cut = end
        return cut

    def _lines(self, start: int) -> Iterator[tuple[int, bytes]]:
        """Yields the lines that start at `start` or later, each after the offset of its end."""
        end = start
        for path, offset, file_end in self.ranges(start, self.num_bytes):
            with _reading(path):
                file = self._open(path)
                if offset:
                    # One byte earlier: where that ends a line, a line starts at `offset`.
                    file.seek(offset - 1)
                    skipped = len(_read_line(file, path, offset - 1, file_end)) - 1
                    offset, end = offset + skipped, end + skipped
                else:
                    file.seek(0)
                while offset < file_end:
                    line = _read_line(file, path, offset, file_end)
                    offset, end = offset + len(line), end + len(line)
                    yield end, line

    def _open(self, path: str) -> BinaryIO:
        if self._file is None or self._path != path:
            self.close()
            self._path, self._file = path, open(path, "rb")  # noqa: SIM115
        return self._file


def _size(path: str) -> int:
    with _reading(path), open(path, "rb") as file:
        if not file.seekable():
            raise InputError(
                f"{path} is no regular file, and cannot be read from several places. Write the "
                "text into a file, and name that."
            )
        return file.seek(0, os.SEEK_END)


def _read_line(file: BinaryIO, path: str, offset: int, end: int) -> bytes:
    """Reads a line of a file from `offset` on, of which the text is known to go on to `end`."""
    line = file.readline(text_files.MAX_LINE_BYTES + 1)
    if len(line) > text_files.MAX_LINE_BYTES:
        raise text_files.long_line_error(path, offset, "the line at byte offset")
    if not line or offset + len(line) > end:
        raise InputError(
            f"{path} has changed since the run began, at byte offset {offset}. {_WRITTEN_TO}"
        )
    return line


def _is_blank(line: bytes) -> bool:
    try:
        return not line.decode("utf-8").strip()
    except UnicodeDecodeError:
        # Whoever reads the block reports it.
        return False


@contextlib.contextmanager
def _reading(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror or error}.") from error
