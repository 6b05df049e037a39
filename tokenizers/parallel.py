"""Lines of text tokenized by several processes, in order, with the same result as by one."""

import collections
import contextlib
from array import array
from collections.abc import Callable, Iterable, Iterator

from deeq_bert.tokenizers.base import TokenizedLine, Tokenizer
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.processes import map_in_processes

# About 30 KB of Korean: enough to make the way to another process cheap, and little enough to
# keep all workers busy until near the end.
_CHUNK_CHARACTERS = 12_000
_CHUNK_LINES = 4_000

# The ids of a chunk of lines, how many each line has, the units, and how many each line has.
_TokenizedChunk = tuple[array, array, bytes, array]


def tokenize_lines(
    tokenizer_factory: Callable[[], Tokenizer], lines: Iterable[str], num_workers: int
) -> Iterator[tuple[str, TokenizedLine]]:
    """Yields each line with its tokens, in order; the ids are an `array` of type "i".

    Args:
      tokenizer_factory: Makes a tokenizer in each process, which is closed after the last line; a
        function of a module, or a partial of one.
      lines: Read lazily, some ahead.
      num_workers: With 1, the tokenizer is in this process (see `map_in_processes`).

    Raises:
      InputError: As the tokenizer does, or a worker process died.
    """
    if num_workers > 1:
        return _tokenize_in_processes(tokenizer_factory, lines, num_workers)
    return _tokenize_here(tokenizer_factory, lines)


def _tokenize_here(
    tokenizer_factory: Callable[[], Tokenizer], lines: Iterable[str]
) -> Iterator[tuple[str, TokenizedLine]]:
    # The tokenizer reads ahead.
    waiting: collections.deque[str] = collections.deque()
    lines = _remember(lines, waiting)
    tokenizer = tokenizer_factory()
    try:
        for ids, units in tokenizer.tokenize_lines(lines):
            if not waiting:
                raise InputError(_miscount(tokenizer))
            yield waiting.popleft(), TokenizedLine(array("i", ids), units)
        if waiting or any(True for _ in lines):
            raise InputError(_miscount(tokenizer))
    finally:
        tokenizer.close()


def _tokenize_in_processes(
    tokenizer_factory: Callable[[], Tokenizer], lines: Iterable[str], num_workers: int
) -> Iterator[tuple[str, TokenizedLine]]:
    waiting: collections.deque[list[str]] = collections.deque()
    chunks = map_in_processes(
        _tokenize_chunk, tokenizer_factory, _remember(_chunks(lines), waiting), num_workers
    )
    # Closed by name, so that the processes end at once with this generator.
    with contextlib.closing(chunks):
        for ids, id_counts, units, unit_counts in chunks:
            id_end = unit_end = 0
            for line, id_count, unit_count in zip(waiting.popleft(), id_counts, unit_counts):
                id_start, id_end = id_end, id_end + id_count
                unit_start, unit_end = unit_end, unit_end + unit_count
                yield line, TokenizedLine(ids[id_start:id_end], units[unit_start:unit_end])


def _remember(items: Iterable, memory: collections.deque) -> Iterator:
    for item in items:
        memory.append(item)
        yield item


def _chunks(lines: Iterable[str]) -> Iterator[list[str]]:
    chunk: list[str] = []
    characters = 0
    for line in lines:
        chunk.append(line)
        characters += len(line)
        if characters >= _CHUNK_CHARACTERS or len(chunk) == _CHUNK_LINES:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk


def _tokenize_chunk(tokenizer: Tokenizer, lines: list[str]) -> _TokenizedChunk:
    tokenized = list(tokenizer.tokenize_lines(lines))
    if len(tokenized) != len(lines):
        raise InputError(_miscount(tokenizer))
    ids = array("i")
    for line in tokenized:
        ids.extend(line.ids)
    return (
        ids,
        array("i", [len(line.ids) for line in tokenized]),
        b"".join([line.units for line in tokenized]),
        array("i", [len(line.units) for line in tokenized]),
    )


def _miscount(tokenizer: Tokenizer) -> str:
    return (
        f"The tokenizer {type(tokenizer).__name__} did not give one result for each line, which is "
        "a fault in it. Choose another --tokenizer."
    )
