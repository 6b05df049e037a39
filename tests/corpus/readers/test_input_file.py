"""Input files: decompressed, decoded, cut into lines, read by ranges, all in bounded memory."""

import bz2
import gzip
import lzma
import random

import pytest

from deeq_bert.corpus.readers import input_file
from deeq_bert.corpus.readers.input_file import InputFile, OverlongLine
from deeq_bert.tokenizers.errors import InputError


def write(tmp_path, data: bytes, name: str = "file") -> str:
    path = tmp_path / name
    path.write_bytes(data)
    return str(path)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(input_file, "BLOCK_BYTES", 16)


def random_lines(seed: int, size: int = 100) -> list[str]:
    choose = random.Random(seed)
    lines = [
        "".join(choose.choice("가나다abc 각") for _ in range(choose.randint(0, 30)))
        for _ in range(size)
    ]
    return [*lines, "끝"]


def lines_in_ranges(path: str, cuts: list[int], size: int, **keywords) -> list[str]:
    found = []
    for begin, end in zip([0, *cuts], [*cuts, size]):
        file = InputFile(path, begin=begin, end=end, **keywords)
        for line in file.lines():
            if file.past_end:
                break
            found.append(line)
    return found


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "cp949", "utf-16-le"])
def test_lines_come_without_their_ends(tmp_path, small_blocks, encoding, end):
    lines = random_lines(1)
    path = write(tmp_path, end.join(lines).encode(encoding))
    assert list(InputFile(path, encoding=encoding).lines()) == lines


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "cp949"])
def test_every_line_is_in_one_range_wherever_the_cuts_are(tmp_path, small_blocks, encoding, end):
    lines = random_lines(2)
    data = end.join(lines).encode(encoding)
    path = write(tmp_path, data)
    choose = random.Random(3)
    for _ in range(50):
        cuts = sorted(choose.sample(range(1, len(data)), 4))
        assert lines_in_ranges(path, cuts, len(data), encoding=encoding) == lines


def test_reading_goes_on_past_the_end_of_a_range(tmp_path):
    file = InputFile(write(tmp_path, b"a\nb\nc\n"), begin=0, end=3)
    assert [(line, file.past_end) for line in file.lines()] == [
        ("a", False),
        ("b", False),
        ("c", True),
    ]


def test_line_ends_of_unicode_stay_in_the_line(tmp_path):
    path = write(tmp_path, "a\u2028b\x0cc\rd\ne".encode())
    assert list(InputFile(path).lines()) == ["a\u2028b\x0cc\rd", "e"]


def test_an_empty_file_has_no_lines(tmp_path):
    assert list(InputFile(write(tmp_path, b"")).lines()) == []


def test_a_byte_order_mark_is_no_text(tmp_path):
    assert list(InputFile(write(tmp_path, b"\xef\xbb\xbfa\n")).lines()) == ["a"]


@pytest.mark.parametrize("encoding", ["auto", "utf-16", "UTF-16"])
@pytest.mark.parametrize("order", ["utf-16-le", "utf-16-be"])
def test_the_byte_order_of_utf_16_is_found(tmp_path, order, encoding):
    path = write(tmp_path, "\ufeff한글 글\n".encode(order))
    assert list(InputFile(path, encoding=encoding).lines()) == ["한글 글"]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-32-le", "iso2022_kr"])
def test_encodings_whose_line_ends_are_not_one_byte_have_no_ranges(tmp_path, encoding):
    path = write(tmp_path, "한글\n".encode(encoding))
    assert not InputFile(path, encoding=encoding).has_byte_lines


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_compressed_files_are_known_by_how_they_begin(tmp_path, compress):
    lines = random_lines(4)
    file = InputFile(write(tmp_path, compress("\n".join(lines).encode("cp949"))))
    assert list(file.lines()) == lines
    assert file.is_compressed and not file.has_byte_lines


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_a_compressed_file_that_is_cut_short_is_named(tmp_path, compress):
    data = compress("\n".join(random_lines(5)).encode())
    path = write(tmp_path, data[: len(data) // 2])
    for read in (lambda file: file.encoding, lambda file: list(file.byte_blocks())):
        with pytest.raises(InputError, match="file is damaged or cut short"):
            read(InputFile(path))


def test_zstd_files_of_several_frames_are_read(tmp_path):
    zstandard = pytest.importorskip("zstandard", reason="zstd is an extra")
    lines = random_lines(6)
    data = "\n".join(lines).encode()
    frames = map(zstandard.ZstdCompressor().compress, (data[:500], data[500:]))
    assert list(InputFile(write(tmp_path, b"".join(frames))).lines()) == lines


@pytest.mark.parametrize("change", ["cut", "damaged"])
def test_a_zstd_file_with_faults_is_named(tmp_path, change):
    zstandard = pytest.importorskip("zstandard", reason="zstd is an extra")
    data = zstandard.ZstdCompressor(write_checksum=True).compress(random.Random(7).randbytes(5000))
    data = data[:3000] if change == "cut" else data[:3000] + b"\xff\xff" + data[3002:]
    with pytest.raises(InputError, match="zst file is damaged or cut short"):
        list(InputFile(write(tmp_path, data)).byte_blocks())


def test_a_line_that_is_too_long_is_known_by_its_type(tmp_path, small_blocks, monkeypatch):
    monkeypatch.setattr(input_file, "MAX_LINE_BYTES", 100)
    path = write(tmp_path, b"a\n" + b"x" * 500 + b"\nb\n" + b"y" * 500)
    lines = list(InputFile(path).lines())
    assert [type(line) for line in lines] == [str, OverlongLine, str, OverlongLine]
    assert (lines[0], lines[2]) == ("a", "b")
    assert set(lines[1]) == {"x"} and set(lines[3]) == {"y"}


def test_a_line_that_is_too_long_is_in_one_range_too(tmp_path, small_blocks, monkeypatch):
    monkeypatch.setattr(input_file, "MAX_LINE_BYTES", 100)
    data = b"a\n" + b"x" * 500 + b"\nb\n" + b"y" * 500
    path = write(tmp_path, data)
    for cut in range(1, len(data), 7):
        assert [line[:1] for line in lines_in_ranges(path, [cut], len(data))] == [
            "a",
            "x",
            "b",
            "y",
        ]


def test_all_of_the_text_is_bounded(tmp_path, monkeypatch):
    path = write(tmp_path, b"x" * 200)
    assert InputFile(path).whole_text() == "x" * 200
    monkeypatch.setattr(input_file, "MAX_WHOLE_BYTES", 100)
    with pytest.raises(InputError, match="over 100 characters, too many"):
        InputFile(path).whole_text()


def test_text_comes_in_blocks(tmp_path, small_blocks):
    text = "\n".join(random_lines(8))
    blocks = list(InputFile(write(tmp_path, text.encode())).text_blocks())
    assert "".join(blocks) == text
    assert max(map(len, blocks)) <= 16


def test_faults_of_the_encoding_are_counted(tmp_path):
    path = write(tmp_path, "한글\n".encode() + b"\xff\xff\n")
    file = InputFile(path, errors="replace")
    assert list(file.lines()) == ["한글", "\ufffd\ufffd"]
    assert file.num_replaced == 2
    with pytest.raises(InputError, match=r"offset 7 \(0xff\) is not utf-8"):
        list(InputFile(path).lines())


def test_the_place_of_a_fault_in_a_range_counts_from_the_files_beginning(tmp_path):
    path = write(tmp_path, "한글\n".encode() * 100 + b"\xff\n")
    with pytest.raises(InputError, match="offset 700 "):
        list(InputFile(path, encoding="utf-8", begin=350, end=702).lines())


def test_places_are_told_from_the_range_on(tmp_path):
    path = write(tmp_path, b"a\n")
    assert InputFile(path).place(1234) == f"{path}, line 1,234"
    assert InputFile(path, begin=5000).place(2) == f"{path}, line 2 after byte 5,000"


@pytest.mark.parametrize("name", ["missing", "."])
def test_what_cannot_be_read_is_named(tmp_path, name):
    with pytest.raises(InputError, match="Cannot read"):
        InputFile(str(tmp_path / name))


def test_how_much_has_been_read_is_known(tmp_path):
    file = InputFile(write(tmp_path, gzip.compress(b"a\n" * 5000)))
    list(file.lines())
    assert file.position == (tmp_path / "file").stat().st_size
