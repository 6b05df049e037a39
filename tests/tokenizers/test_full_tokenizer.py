"""Offsets and units of WordPiece; its tokens and ids are tested in tests/bert/test_tokenization."""

import gzip
import json
import random

import pytest

from deeq_bert.tokenizers.base import WORD_START
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.full_tokenizer import FullTokenizer

LOWER_CASE = [False, True]


@pytest.fixture(params=LOWER_CASE, ids=["cased", "lower"])
def tokenizer(own, request) -> FullTokenizer:
    return FullTokenizer(str(own / "vocab.txt"), request.param)


@pytest.fixture
def texts(own) -> list[str]:
    """What Google's script was given, edge cases among them."""
    with gzip.open(own / "tokens.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line)["text"] for line in file]


def test_encode_gives_the_ids_of_text_to_ids(tokenizer, texts):
    for text in texts:
        encoding = tokenizer.encode(text)
        assert encoding.ids == tokenizer.text_to_ids(text)
        assert encoding.tokens == tokenizer.tokenize(text)


def random_texts() -> list[str]:
    rng = random.Random(1)
    characters = "가각힣ㄱㅏ᾿ᾳΑΣςİıẞÅA\u0301\u0327\u302e漢字.,-$~^`'😀👨a1"
    characters += " \t\n\u00a0\u3000\u0000\u200d\ufeff"
    return ["".join(rng.choices(characters, k=rng.randrange(1, 20))) for _ in range(3000)]


def test_offsets_are_in_order_within_the_text(tokenizer, texts):
    for text in [*texts, *random_texts()]:
        encoding = tokenizer.encode(text)
        assert encoding.ids == tokenizer.text_to_ids(text)
        assert all(0 <= s < e <= len(text) for s, e in zip(encoding.starts, encoding.ends))
        assert encoding.starts == sorted(encoding.starts)


def test_cased_tokens_are_the_text_at_their_offsets(own, texts):
    tokenizer = FullTokenizer(str(own / "vocab.txt"), do_lower_case=False)
    for text in texts:
        encoding = tokenizer.encode(text)
        for token, start, end in zip(encoding.tokens, encoding.starts, encoding.ends):
            piece = "".join(char for char in text[start:end] if char.isprintable())
            assert token in ("[UNK]", piece, f"##{piece}")


@pytest.mark.parametrize(
    "text, spans",
    [
        ("Ärger", ["Ä", "r", "g", "e", "r"]),
        ("A\u0301b", ["A", "b"]),
        ("İx", ["İ", "x"]),
        ("각", ["각", "각", "각"]),
    ],
)
def test_a_character_that_becomes_several_or_fewer_keeps_its_place(tmp_path, text, spans):
    pieces = ["[UNK]", *"abegirx", *(f"##{char}" for char in "abegirx")]
    pieces += ["\u1100", "##\u1161", "##\u11a8"]
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(pieces), encoding="utf-8")
    encoding = FullTokenizer(str(path), do_lower_case=True).encode(text)
    assert "[UNK]" not in encoding.tokens
    assert [text[s:e] for s, e in zip(encoding.starts, encoding.ends)] == spans


def test_words_start_where_no_mark_continues_them(tokenizer, texts):
    for text in texts:
        encoding = tokenizer.encode(text)
        for index, unit in zip(encoding.ids, encoding.units):
            assert bool(unit & WORD_START) == (index not in tokenizer.continuation_ids)


def test_an_unknown_word_has_all_of_its_characters(tokenizer):
    encoding = tokenizer.encode("a \u0914\u0914\u0914!")
    assert encoding.tokens == ["a", "[UNK]", "!"]
    assert (encoding.starts[1], encoding.ends[1]) == (2, 5)


def test_lines_need_no_units(tokenizer):
    (line,) = tokenizer.tokenize_lines(["오늘은 날"])
    assert list(line.ids) == tokenizer.text_to_ids("오늘은 날")
    assert line.units == b""


def test_blocks_of_lines_have_the_ids_of_the_lines(tokenizer, texts):
    lines = [text.replace("\n", " ") for text in [*texts, *random_texts()[:300]]]
    blocks = [lines[:5], lines[5:6], [""], ["", ""], lines[6:]]
    made = list(tokenizer.tokenize_blocks(iter(blocks)))
    assert len(made) == len(blocks)
    for block, (ids, counts, units) in zip(blocks, made):
        of_lines = list(map(tokenizer.text_to_ids, block))
        assert ids.tolist() == [index for of_line in of_lines for index in of_line]
        assert counts.tolist() == list(map(len, of_lines))
        assert units == b""


def test_blocks_are_tokenized_one_at_a_time(tokenizer):
    read = []

    def blocks():
        for number in range(3):
            read.append(number)
            yield ["오늘은", "날"]

    made = tokenizer.tokenize_blocks(blocks())
    next(made)
    assert read == [0]


def test_an_unknown_word_needs_its_token(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("가\n나", encoding="utf-8")
    tokenizer = FullTokenizer(str(path), do_lower_case=False)
    (block,) = tokenizer.tokenize_blocks([["가 나", "", "나"]])
    assert (block.ids.tolist(), block.counts.tolist()) == ([0, 1, 1], [2, 0, 1])
    with pytest.raises(InputError, match=r"vocab\.txt has no \[UNK\]"):
        list(tokenizer.tokenize_blocks([["가 나", "다"]]))


def test_decode_joins_pieces(own):
    tokenizer = FullTokenizer(str(own / "vocab.txt"), do_lower_case=False)
    ids = tokenizer.text_to_ids("오늘은 날이다.")
    assert tokenizer.decode(ids).replace(" ", "") == "오늘은날이다."
