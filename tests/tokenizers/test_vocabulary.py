"""Vocabulary files: their ids, and what is wrong with some."""

import pytest

from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.vocabulary import check_no_duplicates, check_special_tokens, load_vocab

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


@pytest.fixture
def write(tmp_path):
    """Writes bytes as a vocabulary and returns its path."""

    def write_vocabulary(content: bytes) -> str:
        path = tmp_path / "vocab.txt"
        path.write_bytes(content)
        return str(path)

    return write_vocabulary


def test_ids_are_line_numbers_in_the_order_of_the_file(write):
    vocab = load_vocab(write("[UNK]\n나\n##가\n".encode()))
    assert list(vocab.items()) == [("[UNK]", 0), ("나", 1), ("##가", 2)]


def test_the_last_line_needs_no_end(write):
    assert load_vocab(write(b"a\nb")) == {"a": 0, "b": 1}


def test_whitespace_of_every_kind_around_a_token_goes(write):
    vocab = load_vocab(write("\ta \n\u3000b\u2028\n\u00a0c\r\n".encode()))
    assert vocab == {"a": 0, "b": 1, "c": 2}


def test_only_a_newline_ends_a_line(write):
    vocab = load_vocab(write("a\x0bb\nc\u2028d\ne\x85f\n".encode()))
    assert vocab == {"a\x0bb": 0, "c\u2028d": 1, "e\x85f": 2}


def test_a_blank_line_uses_up_an_id_and_is_a_token(write):
    assert load_vocab(write(b"a\n\nb\n")) == {"a": 0, "": 1, "b": 2}


def test_a_repeated_token_keeps_its_place_and_gets_the_last_id(write):
    vocab = load_vocab(write(b"a\nb\na\nc\n"))
    assert list(vocab.items()) == [("a", 2), ("b", 1), ("c", 3)]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"absent\.txt: No such file"):
        load_vocab(str(tmp_path / "absent.txt"))


@pytest.mark.parametrize("content", [b"", b"\n \n\n"])
def test_an_empty_file_is_refused(write, content):
    with pytest.raises(InputError, match=r"vocab\.txt is empty"):
        load_vocab(write(content))


def test_the_line_that_is_not_utf8_is_named(write):
    with pytest.raises(InputError, match=r"vocab\.txt, line 2: not UTF-8"):
        load_vocab(write(b"a\n" + "가\n".encode("cp949")))


def test_a_byte_order_mark_is_refused(write):
    with pytest.raises(InputError, match="byte-order mark"):
        load_vocab(write("\ufeff[PAD]\n".encode()))


def test_a_corpus_given_as_vocabulary_is_refused(write, monkeypatch):
    monkeypatch.setattr("deeq_bert.tokenizers.vocabulary.MAX_LINES", 3)
    with pytest.raises(InputError, match="over 3 lines"):
        load_vocab(write(b"a\nb\nc\nd\n"))


def test_duplicates_are_named_with_their_lines_and_the_cure(write):
    path = write("\n".join([*SPECIAL, "가", "나", "가", "다", "나"]).encode())
    with pytest.raises(InputError) as error:
        check_no_duplicates(path)
    message = str(error.value)
    assert "가 on lines 6 and 8; 나 on lines 7 and 10" in message
    assert "replace all but the last" in message
    assert "[unused0]" in message


def test_every_line_of_a_duplicate_is_named(write):
    with pytest.raises(InputError, match="a blank line on lines 2 and 4 and 5"):
        check_no_duplicates(write(b"a\n\nb\n\n\nc\n"))


def test_of_many_lines_of_a_duplicate_a_few_are_named(write):
    with pytest.raises(InputError, match="a on lines 1 and 2 and 3 and 4 and 5 and 7 more[.]"):
        check_no_duplicates(write(b"a\n" * 12))


def test_of_many_duplicates_a_few_are_named(write):
    with pytest.raises(InputError, match="t4 on lines 5 and 25; 15 more"):
        check_no_duplicates(write("\n".join([f"t{n}" for n in range(20)] * 2).encode()))


def test_following_the_advice_about_duplicates_keeps_the_ids(write):
    before = load_vocab(write(b"[UNK]\na\nb\na\n"))
    mended = write(b"[UNK]\n[unused0]\nb\na\n")
    check_no_duplicates(mended)
    after = load_vocab(mended)
    assert {token: after[token] for token in before} == before


def test_a_vocabulary_without_duplicates_passes(write):
    check_no_duplicates(write(b"a\n\nb\n"))


def test_missing_special_tokens_are_all_named():
    with pytest.raises(InputError, match=r"v\.txt has no \[PAD\], \[CLS\], \[MASK\]"):
        check_special_tokens({"[UNK]": 0, "[SEP]": 1}, "v.txt")


def test_padding_needs_no_token():
    check_special_tokens({token: index for index, token in enumerate(SPECIAL[1:])}, "v.txt")
