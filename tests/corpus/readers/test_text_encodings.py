"""Encodings: found by how a file begins, decoded with the place of every fault."""

import pytest

from deeq_bert.corpus.readers import text_encodings
from deeq_bert.tokenizers.errors import InputError

KOREAN = "오래된 글은 완성형으로 적혀 있다.\n뷁과 펲은 확장 완성형에만 있다.\n"


@pytest.mark.parametrize("encoding", ["utf-8", "cp949", "utf-16-le", "utf-16-be"])
def test_korean_text_is_found(encoding):
    assert text_encodings.detect(KOREAN.encode(encoding)) == encoding


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_a_byte_order_mark_decides(encoding):
    assert text_encodings.detect("\ufeff가".encode(encoding)) == encoding


def test_ascii_and_nothing_count_as_utf_8():
    assert text_encodings.detect(b"plain words\n") == text_encodings.detect(b"") == "utf-8"


def test_a_sample_may_end_inside_a_character():
    assert text_encodings.detect(KOREAN.encode()[:-3] + "가".encode()[:2]) == "utf-8"


def test_one_bad_byte_does_not_make_utf_8_another_encoding():
    assert text_encodings.detect(KOREAN.encode() * 3 + b"\xff\n" + KOREAN.encode()) == "utf-8"


def test_what_is_korean_in_no_encoding_is_not_taken_for_cp949():
    assert text_encodings.detect("Größe und Maß, déjà vu".encode("latin-1")) == "utf-8"


@pytest.mark.parametrize("name", ["euc-kr", "EUC_KR", "cp949", "ms949", "uhc"])
def test_euc_kr_is_read_as_cp949_which_has_all_of_it(name):
    assert text_encodings.check(name) == "cp949"


@pytest.mark.parametrize("name", ["kor", "base64", "", "a\0b"])
def test_a_name_that_is_no_encoding_of_text_is_refused(name):
    with pytest.raises(InputError, match="not an encoding. Give utf-8"):
        text_encodings.check(name)


def decode(blocks: list[bytes], encoding="utf-8", errors="strict", offset=0):
    decoder = text_encodings.Decoder("some.txt", encoding, errors, offset)
    text = "".join(map(decoder.decode, blocks)) + decoder.finish()
    return text, decoder.num_replaced


@pytest.mark.parametrize("encoding", ["utf-8", "cp949", "utf-16-le"])
def test_blocks_may_cut_characters(encoding):
    data = KOREAN.encode(encoding)
    assert decode([bytes([byte]) for byte in data], encoding) == (KOREAN, 0)


def test_the_place_of_a_fault_is_its_byte_in_the_file():
    with pytest.raises(InputError, match=r"some.txt: the byte at offset 1,003 \(0xff\)"):
        decode(["가".encode()[:2], "가".encode()[2:] + b"\xffab"], offset=1000)


def test_a_file_that_ends_inside_a_character_is_faulty():
    with pytest.raises(InputError, match=r"offset 1 \(0xea\) is not utf-8.*--errors=replace"):
        decode([b"a", "가".encode()[:2]])


def test_faults_are_replaced_and_counted():
    assert decode([b"a\xff\xfeb\n", b"c\xff"], errors="replace") == ("a\ufffd\ufffdb\nc\ufffd", 3)


def test_replacement_characters_of_the_text_itself_are_not_counted():
    data = "가\ufffd나".encode()
    assert decode([data[:4], data[4:]], errors="replace") == ("가\ufffd나", 0)


def test_only_a_mark_at_the_very_beginning_is_dropped():
    assert decode(["\ufeffa".encode(), "\ufeffb".encode()]) == ("a\ufeffb", 0)
    assert decode(["\ufeffa".encode()], offset=10) == ("\ufeffa", 0)
