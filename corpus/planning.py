"""The plan of a run: the input in parts that are cleaned one by one, by any number of processes."""

import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from deeq_bert.corpus.readers import selection
from deeq_bert.corpus.readers.base import BrokenRecord, Document
from deeq_bert.corpus.readers.input_file import InputFile
from deeq_bert.corpus.sources import Source
from deeq_bert.tokenizers.errors import InputError

# A part is some seconds of work, and what is lost of it when a run is killed.
MAX_PART_BYTES = 32 << 20
MIN_PART_BYTES = 1 << 20
_PARTS_OF_A_RUN = 64
# Files that have to be read from their beginning are read once for each share.
_BYTES_OF_A_SHARE = 4 * MAX_PART_BYTES
# So many documents in a row belong to one share.
_DOCUMENTS_IN_A_ROW = 64
_MAX_FILES_OF_A_PART = 2000


class FilePart(NamedTuple):
    """What of a file belongs to a part.

    Attributes:
      path: The file.
      begin: The first byte, where the file can be read by ranges.
      end: The byte after the last; None for all.
      share: Where it cannot, which of `num_shares` shares of its documents.
      num_shares: How many shares there are; 1 for the whole file.
      num_bytes: How much of the input it counts for.
      encoding: The encoding of the file, if it was found already.
    """

    path: str
    begin: int = 0
    end: int | None = None
    share: int = 0
    num_shares: int = 1
    num_bytes: int = 0
    encoding: str | None = None


class Part(NamedTuple):
    """A part of the input, of one source.

    Attributes:
      index: Its number in the order of the corpus.
      source: The index of its source.
      files: What it is made of.
    """

    index: int
    source: int
    files: tuple[FilePart, ...]

    @property
    def num_bytes(self) -> int:
        return sum(file.num_bytes for file in self.files)


def plan_parts(sources: Sequence[Source]) -> list[Part]:
    """Divides the files of the sources into parts.

    The plan depends on the files alone, so that the result does not depend on who works it off.

    Raises:
      InputError: A file cannot be read.
    """
    sizes = [[_size(path) for path in source.files] for source in sources]
    part_bytes = sum(map(sum, sizes)) // _PARTS_OF_A_RUN
    part_bytes = min(MAX_PART_BYTES, max(MIN_PART_BYTES, part_bytes))
    parts: list[Part] = []
    for source_index, source in enumerate(sources):
        waiting: list[FilePart] = []
        for path, size in zip(source.files, sizes[source_index]):
            for piece in _pieces(source, path, size, part_bytes):
                full = sum(file.num_bytes for file in waiting) + piece.num_bytes > part_bytes
                if waiting and (full or len(waiting) == _MAX_FILES_OF_A_PART):
                    parts.append(Part(len(parts), source_index, tuple(waiting)))
                    waiting = []
                waiting.append(piece)
        if waiting:
            parts.append(Part(len(parts), source_index, tuple(waiting)))
    return parts


def read_part(
    source: Source, file_part: FilePart, errors: str
) -> Iterator[Document | BrokenRecord | InputFile]:
    """Yields what of a file belongs to a part, and at its end the file, for its figures.

    Args:
      source: The source of the file.
      file_part: What of the file to read.
      errors: What to do with bytes that cannot be decoded, "strict" or "replace".

    Raises:
      InputError: The file cannot be read.
    """
    file = InputFile(
        file_part.path,
        encoding=file_part.encoding or source.encoding,
        errors=errors,
        begin=file_part.begin,
        end=file_part.end,
    )
    reader = selection.make_reader(
        selection.reader_name(source.settings.reader, file_part.path),
        source.settings.reader_options,
    )
    records = reader.read(file)
    if file_part.num_shares == 1:
        yield from records
    else:
        for number, record in enumerate(records):
            row = number // _DOCUMENTS_IN_A_ROW
            if row % file_part.num_shares == file_part.share:
                yield record
    yield file


def _pieces(source: Source, path: str, size: int, part_bytes: int) -> Iterator[FilePart]:
    if size > part_bytes:
        reader = selection.make_reader(
            selection.reader_name(source.settings.reader, path), source.settings.reader_options
        )
        file = InputFile(path, encoding=source.encoding)
        if reader.splits and file.has_byte_lines:
            num_pieces = -(-size // part_bytes)
            cuts = [size * number // num_pieces for number in range(num_pieces + 1)]
            for begin, end in zip(cuts, cuts[1:]):
                yield FilePart(path, begin, end, num_bytes=end - begin, encoding=file.encoding)
            return
        num_shares = -(-size // _BYTES_OF_A_SHARE)
        if num_shares > 1:
            for share in range(num_shares):
                yield FilePart(
                    path, share=share, num_shares=num_shares, num_bytes=size // num_shares
                )
            return
    yield FilePart(path, num_bytes=size)


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error
