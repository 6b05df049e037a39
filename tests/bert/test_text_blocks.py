"""Text divided by documents into blocks that are read on their own."""

import io
import itertools
import os
import pickle
import random

import pytest

from deeq_bert.bert import text_blocks
from deeq_bert.bert.text_blocks import FileRange, TextBlock
from deeq_bert.tokenizers import files as text_files
from deeq_bert.tokenizers.errors import InputError

LIMIT = 1 << 20


@pytest.fixture
def write(tmp_path):
    """A function that writes texts into files and returns their paths."""

    def write_files(*contents: bytes | str) -> list[str]:
        paths = []
        for number, content in enumerate(contents):
            path = tmp_path / f"{number}.txt"
            path.write_bytes(content.encode() if isinstance(content, str) else content)
            paths.append(str(path))
        return paths

    return write_files


def plan(paths: list[str], block_bytes: int, max_block_bytes: int = LIMIT) -> list[TextBlock]:
    return text_blocks.plan_blocks(paths, block_bytes, max_block_bytes)


def texts(blocks: list[TextBlock]) -> list[list[str]]:
    return [list(text_blocks.read_block(block)) for block in blocks]


def documents(lines) -> list[list[str]]:
    """The lines that are not blank, divided where blank ones stand."""
    groups = itertools.groupby(lines, key=lambda line: bool(line.strip()))
    return [list(group) for is_text, group in groups if is_text]


def ranges(blocks: list[TextBlock]) -> list[FileRange]:
    return [text_range for block in blocks for text_range in block.ranges]


def random_file(rng: random.Random) -> str:
    lines = ("가", "나다 라마바사", "a", "bc\rd", "\u3000e", "", "", " ", "\t", "\u3000 ", "\r")
    ends = ("\n", "\n", "\r\n")
    text = "".join(rng.choice(lines) + rng.choice(ends) for _ in range(rng.randrange(12)))
    return text + rng.choice(("", "", "끝", " ", "\u3000"))


@pytest.mark.parametrize("seed", range(20))
def test_documents_read_by_blocks_are_those_of_the_whole_text(write, seed):
    rng = random.Random(seed)
    paths = write(*(random_file(rng) for _ in range(4)))
    expected = documents(line for path in paths for line in text_files.read_lines(path))
    for block_bytes in range(1, 61):
        blocks = plan(paths, block_bytes)
        read = [document for lines in texts(blocks) for document in documents(lines)]
        assert read == expected, block_bytes


@pytest.mark.parametrize("seed", range(20))
def test_every_byte_is_in_one_block(write, seed):
    rng = random.Random(seed)
    contents = [random_file(rng).encode() for _ in range(4)]
    paths = write(*contents)
    for block_bytes in range(1, 61):
        pieces = {path: b"" for path in paths}
        for path, start, end in ranges(plan(paths, block_bytes)):
            assert start == len(pieces[path]) < end
            pieces[path] += contents[paths.index(path)][start:end]
        assert list(pieces.values()) == contents, block_bytes


def test_a_block_ends_at_the_first_blank_line_after_its_length(write):
    paths = write("a\n\nb\n\nc\n\nd\n\n")
    assert texts(plan(paths, 6)) == [["a", "", "b", "", "c", ""], ["d", ""]]


def test_a_longer_document_makes_a_longer_block(write):
    paths = write("a\nb\nc\nd\ne\nf\n\ng\n")
    assert texts(plan(paths, 3)) == [["a", "b", "c", "d", "e", "f", ""], ["g"]]


def test_a_document_goes_on_in_the_next_file(write):
    paths = write("a\n\nb\n", "", "c\n\nd\n")
    first, second, third = paths
    assert plan(paths, 1) == [
        TextBlock((FileRange(first, 0, 3),)),
        TextBlock((FileRange(first, 3, 5), FileRange(third, 0, 3))),
        TextBlock((FileRange(third, 3, 5),)),
    ]


def test_the_end_of_a_file_ends_its_last_line(write):
    assert texts(plan(write("a", "b\n\nc"), 1)) == [["a", "b", ""], ["c"]]


@pytest.mark.parametrize("blank", ["", " ", "\t", "\u3000", "\r", "\x1c", "\u2028"])
def test_a_line_of_blanks_ends_a_document(write, blank):
    assert len(plan(write(f"a\n{blank}\nb\n"), 1)) == 2


def test_a_last_line_of_blanks_ends_a_document_without_its_end(write):
    assert texts(plan(write("a\n ", "b"), 1)) == [["a", " "], ["b"]]


def test_many_blank_lines_are_no_document(write):
    blocks = plan(write("a\n" + "\n" * 100 + "b\n"), 10)
    assert [documents(lines) for lines in texts(blocks) if documents(lines)] == [[["a"]], [["b"]]]


def test_a_block_may_begin_to_end_within_a_character(write):
    paths = write("가나다\n\n라\n")
    for block_bytes in range(1, 10):
        assert texts(plan(paths, block_bytes)) == [["가나다", ""], ["라"]]


def test_a_text_shorter_than_a_block_is_one(write):
    assert texts(plan(write("a\n\nb\n\n"), 100)) == [["a", "", "b", ""]]


def test_an_empty_text_has_no_blocks(write):
    assert plan(write("", ""), 10) == []


def test_only_places_near_the_ends_of_blocks_are_read(write, monkeypatch):
    class CountingFile:
        num_bytes = 0

        def __init__(self, path, mode):
            self._file = open(path, mode)  # noqa: SIM115
            self.seek, self.seekable = self._file.seek, self._file.seekable

        def readline(self, size):
            line = self._file.readline(size)
            CountingFile.num_bytes += len(line)
            return line

        def close(self):
            self._file.close()

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.close()

    paths = write("a sentence\n" * 9 + "\n" + ("a sentence\n" * 9 + "\n") * 999)
    monkeypatch.setattr(text_blocks, "open", CountingFile, raising=False)
    blocks = text_blocks.plan_blocks(paths, 10_000, LIMIT)
    assert len(blocks) == 10
    assert 0 < CountingFile.num_bytes < 10 * 200


def test_blocks_end_early_rather_than_be_too_long(write):
    paths = write("a\n\n" + "b\n" * 8 + "\nc\n\n")
    assert [block.num_bytes for block in plan(paths, 5, 17)] == [3, 17, 3]


@pytest.mark.parametrize("seed", range(20))
def test_blocks_may_be_no_longer_than_the_longest_document(write, seed):
    rng = random.Random(seed)
    contents = [random_file(rng) for _ in range(4)]
    paths = write(*contents)
    # A document with the blank line after it.
    longest = size = 0
    for line in itertools.chain.from_iterable(map(io.StringIO, contents)):
        size += len(line.encode())
        longest = max(longest, size)
        size = size if line.strip() else 0
    for block_bytes in range(1, longest):
        blocks = plan(paths, block_bytes, longest)
        assert max(block.num_bytes for block in blocks) == longest
        with pytest.raises(InputError, match=f"is longer than {longest - 1} bytes"):
            plan(paths, block_bytes, longest - 1)


def test_a_document_that_is_too_long_is_named(write):
    paths = write("a\n\n", "b\n\n\n" + "c\n" * 10)
    with pytest.raises(InputError, match=r"1.txt: .* at byte offset 4 is longer than 12 bytes.*Go"):
        text_blocks.plan_blocks(paths, 5, 12, remedy="Go home.")


def test_a_document_of_the_greatest_length_is_none_too_long(write):
    paths = write("a\n\n" + "b\n" * 10)
    assert [block.num_bytes for block in plan(paths, 5, 20)] == [3, 20]
    with pytest.raises(InputError, match="offset 3 is longer than 19 bytes"):
        plan(paths, 5, 19)


@pytest.mark.parametrize("before", [b"", b"a\n\n", b"a\n" * 40 + b"\n"])
def test_a_line_without_end_is_refused(write, monkeypatch, before):
    monkeypatch.setattr(text_files, "MAX_LINE_BYTES", 100)
    paths = write(before + b"x" * 300)
    with pytest.raises(InputError, match=r"0.txt, the line at byte offset \d+: longer than 100"):
        plan(paths, 50)


def test_a_line_that_is_not_utf_8_is_named_when_it_is_read(write):
    blocks = plan(write(b"a\n\nb\n" + "가".encode("cp949") + b"\n\nc\n"), 1)
    assert len(blocks) == 3
    with pytest.raises(InputError, match=r"0.txt, the line at byte offset 5: not UTF-8 \(byte 1"):
        texts(blocks)


def test_a_missing_file_is_named(write):
    with pytest.raises(InputError, match="Cannot read .*missing: No such file"):
        plan([*write("a\n"), "missing"], 1)


def test_a_file_that_vanishes_is_named(write, tmp_path):
    blocks = plan(write("a\n\nb\n"), 1)
    (tmp_path / "0.txt").unlink()
    with pytest.raises(InputError, match="Cannot read .*0.txt: No such file"):
        texts(blocks)


@pytest.mark.parametrize("now", ["", "a\n\n", "a\n\nb", "a\n\nbcd\n", "a\n\nb and c\n"])
def test_a_file_that_changes_is_named(write, now):
    blocks = plan(write("a\n\nb\n"), 1)
    write(now)
    with pytest.raises(InputError, match="0.txt has changed since the run began"):
        texts(blocks)


def test_a_pipe_is_refused():
    read_end, write_end = os.pipe()
    with open(read_end, "rb"), open(write_end, "wb"):
        path = f"/dev/fd/{read_end}"
        with pytest.raises(InputError, match=f"{path} is no regular file"):
            plan([path], 1)


def test_blocks_travel_to_other_processes(write):
    blocks = plan(write("a\n\nb\n"), 1)
    assert pickle.loads(pickle.dumps(blocks)) == blocks


def sized_blocks(*sizes: int) -> list[TextBlock]:
    ends = list(itertools.accumulate(sizes))
    return [TextBlock((FileRange("text", end - size, end),)) for size, end in zip(sizes, ends)]


def lengths(shards: list[list[TextBlock]]) -> list[int]:
    return [sum(block.num_bytes for block in shard) for shard in shards]


def test_every_block_is_in_one_shard():
    blocks = sized_blocks(*range(1, 101))
    shards = text_blocks.assign_blocks(blocks, 7, seed=1)
    assert sorted(itertools.chain.from_iterable(shards)) == blocks


def test_shards_are_nearly_equally_long():
    rng = random.Random(1)
    blocks = sized_blocks(*(rng.randrange(1000, 2000) for _ in range(160)), 12_000)
    shards = lengths(text_blocks.assign_blocks(blocks, 10, seed=1))
    assert max(shards) < 1.05 * min(shards)


def test_the_order_is_random_and_fixed_by_the_seed():
    blocks = sized_blocks(*[10] * 100)
    shards = text_blocks.assign_blocks(blocks, 3, seed=1)
    assert shards == text_blocks.assign_blocks(blocks, 3, seed=1)
    assert shards != text_blocks.assign_blocks(blocks, 3, seed=2)
    assert all(shard != sorted(shard) for shard in shards)


def test_blocks_of_all_lengths_are_anywhere_in_a_shard():
    blocks = sized_blocks(*range(100, 200))
    (shard,) = text_blocks.assign_blocks(blocks, 1, seed=1)
    sizes = [block.num_bytes for block in shard]
    assert sizes not in (sorted(sizes), sorted(sizes, reverse=True))


def test_every_shard_has_a_block_if_there_are_enough():
    shards = text_blocks.assign_blocks(sized_blocks(1000, 1, 1, 1), 4, seed=1)
    assert [len(shard) for shard in shards] == [1, 1, 1, 1]


def test_too_few_blocks_for_the_shards_are_told():
    with pytest.raises(InputError, match="--num_shards=4: .* 3 parts only.*--num_shards=3 or less"):
        text_blocks.assign_blocks(sized_blocks(1, 1, 1), 4, seed=1)


def test_no_text_is_told():
    with pytest.raises(InputError, match="input files are empty"):
        text_blocks.assign_blocks([], 1, seed=1)


@pytest.mark.parametrize(
    "num_bytes, num_shards, expected",
    [(100 << 30, 100, 4 << 20), (16_000, 10, 100), (3, 100, 1), (0, 1, 1)],
)
def test_a_shard_is_made_of_many_blocks(num_bytes, num_shards, expected):
    assert text_blocks.block_size(num_bytes, num_shards) == expected


def test_bytes_of_files_are_counted(write):
    assert text_blocks.count_bytes(write("가\n", "", "abc")) == 7
