"""The division of files into parts: each document in one of them, whoever works them off."""

import gzip

import pytest

from deeq_bert.corpus import planning
from deeq_bert.corpus.planning import FilePart, plan_parts, read_part
from deeq_bert.corpus.readers.base import Document
from deeq_bert.corpus.sources import make_source
from deeq_bert.tokenizers.errors import InputError

TEXTS = [
    f"{number}번째 아침에는 안개가 끼어 {number * 7}미터 앞이 안 보였다." for number in range(3000)
]


@pytest.fixture
def small_parts(monkeypatch):
    """Parts of some kilobytes, so that little text makes many."""
    monkeypatch.setattr(planning, "MAX_PART_BYTES", 20_000)
    monkeypatch.setattr(planning, "MIN_PART_BYTES", 20_000)
    monkeypatch.setattr(planning, "_BYTES_OF_A_SHARE", 10_000)


def texts_of(source) -> list[str]:
    return [
        text
        for part in plan_parts([source])
        for file_part in part.files
        for record in read_part(source, file_part, "strict")
        if isinstance(record, Document)
        for text in record.paragraphs
    ]


def write(path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


def test_ranges_cover_each_document_once_in_order(tmp_path, small_parts):
    path = write(tmp_path / "a.txt", "\n\n".join(TEXTS).encode())
    source = make_source(path, source="books")
    assert len(plan_parts([source])) > 5
    assert texts_of(source) == TEXTS


@pytest.mark.parametrize("encoding", ["cp949", "utf-8-sig"])
def test_so_they_do_in_other_encodings(tmp_path, small_parts, encoding):
    path = write(tmp_path / "a.txt", "\r\n\r\n".join(TEXTS).encode(encoding))
    source = make_source(path, source="books")
    assert len(plan_parts([source])) > 5
    assert texts_of(source) == TEXTS


def test_ranges_of_a_document_longer_than_a_part_are_empty_but_for_one(tmp_path, small_parts):
    path = write(tmp_path / "a.txt", "\n".join(TEXTS).encode() + b"\n\nlast\n")
    source = make_source(path, source="books")
    assert texts_of(source) == [*TEXTS, "last"]


def test_shares_cover_each_document_of_a_compressed_file_once(tmp_path, small_parts):
    path = write(tmp_path / "a.txt.gz", gzip.compress("\n\n".join(TEXTS).encode(), 0))
    source = make_source(path, source="books")
    parts = plan_parts([source])
    assert max(file.num_shares for part in parts for file in part.files) > 1
    assert sorted(texts_of(source)) == sorted(TEXTS)


def test_utf16_is_not_cut_into_ranges(tmp_path, small_parts):
    path = write(tmp_path / "a.txt", "\n\n".join(TEXTS).encode("utf-16"))
    source = make_source(path, source="books")
    files = [file for part in plan_parts([source]) for file in part.files]
    assert all(file.begin == 0 and file.end is None for file in files)
    assert sorted(texts_of(source)) == sorted(TEXTS)


def test_small_files_share_a_part_and_keep_their_order(tmp_path):
    for number in range(30):
        write(tmp_path / f"{number:02d}.txt", TEXTS[number].encode())
    source = make_source(f"{tmp_path}/*.txt", source="books")
    (part,) = plan_parts([source])
    assert len(part.files) == 30
    assert texts_of(source) == TEXTS[:30]


def test_sources_have_parts_of_their_own_numbered_through(tmp_path):
    one = make_source(write(tmp_path / "a.txt", b"one"), source="books")
    other = make_source(write(tmp_path / "b.txt", b"other"), source="news")
    parts = plan_parts([one, other])
    assert [(part.index, part.source) for part in parts] == [(0, 0), (1, 1)]


def test_the_bytes_of_parts_are_those_of_the_files(tmp_path, small_parts):
    content = "\n\n".join(TEXTS).encode()
    source = make_source(write(tmp_path / "a.txt", content), source="books")
    parts = plan_parts([source])
    assert sum(part.num_bytes for part in parts) == len(content)
    assert max(part.num_bytes for part in parts) <= 20_000


def test_a_file_that_is_gone_is_named(tmp_path):
    path = write(tmp_path / "a.txt", b"text")
    source = make_source(path, source="books")
    (tmp_path / "a.txt").unlink()
    with pytest.raises(InputError, match="Cannot read .*a.txt: No such file"):
        plan_parts([source])


def test_the_file_itself_comes_last_with_its_figures(tmp_path):
    path = write(tmp_path / "a.txt", b"one\n\nbad \xff\xfe byte\n")
    source = make_source(path, source="books", encoding="utf-8")
    *documents, file = read_part(source, FilePart(path), "replace")
    assert len(documents) == 2
    assert (file.num_replaced, file.encoding) == (2, "utf-8")
