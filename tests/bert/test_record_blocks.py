"""Whole files of records read in blocks: the same data, and no damage passes."""

import pytest

from deeq_bert.bert import record_blocks
from deeq_bert.bert.record_blocks import read_blocks
from deeq_bert.bert.records import RecordError, frame_record

RECORDS = [b"", b"a", b"b" * 300, b"a", b"c" * 5_000, bytes(range(256))]


def read(path) -> list[bytes]:
    return [
        block.data[start:end]
        for block in read_blocks(str(path))
        for start, end in zip(block.starts, block.ends)
    ]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "records"
    path.write_bytes(b"".join(map(frame_record, RECORDS)))
    return path


@pytest.mark.parametrize("block_bytes", [1, 7, 100, 1_000_000])
def test_all_records_come_whatever_the_blocks(file, monkeypatch, block_bytes):
    monkeypatch.setattr(record_blocks, "_BLOCK_BYTES", block_bytes)
    assert read(file) == RECORDS


def test_an_empty_file_has_none(tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    assert read(tmp_path / "empty") == []


def test_no_byte_can_be_changed_unseen(tmp_path):
    content = b"".join(map(frame_record, RECORDS[:3]))
    path = tmp_path / "records"
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(RecordError):
            read(path)


@pytest.mark.parametrize("left_out", [1, 4, 100, 271])
def test_a_file_that_breaks_off_is_damaged(file, left_out):
    file.write_bytes(file.read_bytes()[:-left_out])
    with pytest.raises(RecordError):
        read(file)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(RecordError, match="nosuch"):
        read(tmp_path / "nosuch")
