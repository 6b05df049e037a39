"""Lines of text tokenized by several processes, in order, with the same result as by one."""

import collections
import contextlib
from collections.abc import Callable, Iterable, Iterator

from deeq_bert.tokenizers.base import TokenizedLine, TokenizedLines, Tokenizer
from deeq_bert.tokenizers.processes import map_in_processes

# About 30 KB of Korean: enough to make the way to another process cheap, and little enough to
# keep all workers busy until near the end.
_BLOCK_CHARACTERS = 12_000
_BLOCK_LINES = 4_000


def tokenize_lines(
    tokenizer_factory: Callable[[], Tokenizer], lines: Iterable[str], num_workers: int
) -> Iterator[tuple[str, TokenizedLine]]:
    """Yields each line with its tokens, in order (see `tokenize_blocks`)."""
    with contextlib.closing(tokenize_blocks(tokenizer_factory, lines, num_workers)) as blocks:
        for some_lines, (ids, counts, units) in blocks:
            end = 0
            for line, count in zip(some_lines, counts):
                start, end = end, end + count
                yield line, TokenizedLine(ids[start:end], units[start:end])


def tokenize_blocks(
    tokenizer_factory: Callable[[], Tokenizer], lines: Iterable[str], num_workers: int
) -> Iterator[tuple[list[str], TokenizedLines]]:
    """Yields some lines at a time with their tokens, in order.

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


def tokenize_blocks_by(
    tokenizer: Tokenizer, lines: Iterable[str]
) -> Iterator[tuple[list[str], TokenizedLines]]:
    """Does the same in this process, by a tokenizer that stays open."""
    waiting: collections.deque[list[str]] = collections.deque()
    for block in tokenizer.tokenize_blocks(_remember(_blocks(lines), waiting)):
        yield waiting.popleft(), block


def _tokenize_here(
    tokenizer_factory: Callable[[], Tokenizer], lines: Iterable[str]
) -> Iterator[tuple[list[str], TokenizedLines]]:
    tokenizer = tokenizer_factory()
    try:
        yield from tokenize_blocks_by(tokenizer, lines)
    finally:
        tokenizer.close()


def _tokenize_in_processes(
    tokenizer_factory: Callable[[], Tokenizer], lines: Iterable[str], num_workers: int
) -> Iterator[tuple[list[str], TokenizedLines]]:
    waiting: collections.deque[list[str]] = collections.deque()
    tokenized = map_in_processes(
        _tokenize_block, tokenizer_factory, _remember(_blocks(lines), waiting), num_workers
    )
    # Closed by name, so that the processes end at once with this generator.
    with contextlib.closing(tokenized):
        for block in tokenized:
            yield waiting.popleft(), block


def _tokenize_block(tokenizer: Tokenizer, lines: list[str]) -> TokenizedLines:
    (tokenized,) = tokenizer.tokenize_blocks([lines])
    return tokenized


def _remember(items: Iterable, memory: collections.deque) -> Iterator:
    for item in items:
        memory.append(item)
        yield item


def _blocks(lines: Iterable[str]) -> Iterator[list[str]]:
    block: list[str] = []
    characters = 0
    for line in lines:
        block.append(line)
        characters += len(line)
        if characters >= _BLOCK_CHARACTERS or len(block) == _BLOCK_LINES:
            yield block
            block, characters = [], 0
    if block:
        yield block
