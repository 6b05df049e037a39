"""Lines tokenized by several processes: the same as by one."""

import contextlib
import functools
import itertools
import multiprocessing
from array import array

import pytest

from deeq_bert.tokenizers import parallel
from deeq_bert.tokenizers.base import MORPHEME_START, WORD_START, Encoding, TokenizedLine, Tokenizer
from deeq_bert.tokenizers.errors import InputError

CHARACTERS = "가나다라마"


class CharacterTokenizer(Tokenizer):
    """A token a character; it reads a few lines ahead."""

    read_ahead = 2

    def encode(self, text: str) -> Encoding:
        tokens = [character for character in text if character != " "]
        starts = [place for place, character in enumerate(text) if character != " "]
        units = bytes(
            MORPHEME_START | (WORD_START if place == 0 or text[place - 1] == " " else 0)
            for place in starts
        )
        ids = self.convert_tokens_to_ids(tokens)
        return Encoding(tokens, ids, starts, [place + 1 for place in starts], units)

    def tokenize_lines(self, lines):
        lines = iter(lines)
        while ahead := list(itertools.islice(lines, self.read_ahead)):
            yield from super().tokenize_lines(ahead)

    def close(self) -> None:
        self.vocab.clear()


class UnitlessTokenizer(CharacterTokenizer):
    """Gives no units, as one whose tokens say what continues a word."""

    def tokenize_lines(self, lines):
        for tokenized in super().tokenize_lines(lines):
            yield TokenizedLine(tokenized.ids, b"")


class ForgetfulTokenizer(CharacterTokenizer):
    """Gives one result too few."""

    def tokenize_lines(self, lines):
        return itertools.islice(super().tokenize_lines(lines), 3)


class EarlyTokenizer(CharacterTokenizer):
    """Gives a result for each line it reads, but does not read them all."""

    def tokenize_lines(self, lines):
        return super().tokenize_lines(itertools.islice(lines, 2))


class RefusingTokenizer(CharacterTokenizer):
    """Refuses one character."""

    def encode(self, text: str) -> Encoding:
        if "마" in text:
            raise InputError("There is a 마.")
        return super().encode(text)


@pytest.fixture
def vocab_file(tmp_path) -> str:
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(["[PAD]", *CHARACTERS]), encoding="utf-8")
    return str(path)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(parallel, "_BLOCK_LINES", 4)
    monkeypatch.setattr(parallel, "_BLOCK_CHARACTERS", 20)


LINES = ["가나 다", "", "라", "가 " * 30 + "가", *("다라" * length for length in range(15))]


def test_a_line_comes_with_its_ids_and_units(vocab_file):
    make = functools.partial(CharacterTokenizer, vocab_file)

    (line, tokenized), *_ = parallel.tokenize_lines(make, LINES, 1)

    assert line == "가나 다"
    assert tokenized.ids == array("i", [1, 2, 3])
    assert tokenized.units == bytes(
        [MORPHEME_START | WORD_START, MORPHEME_START, MORPHEME_START | WORD_START]
    )


@pytest.mark.parametrize("kind", [CharacterTokenizer, UnitlessTokenizer])
def test_the_number_of_workers_changes_nothing(vocab_file, kind):
    make = functools.partial(kind, vocab_file)

    by_one, by_two, by_three = (list(parallel.tokenize_lines(make, LINES, n)) for n in (1, 2, 3))

    assert [line for line, _ in by_one] == LINES
    assert by_one == by_two == by_three


@pytest.mark.parametrize("num_workers", [1, 2])
def test_no_lines_give_nothing(vocab_file, num_workers):
    make = functools.partial(CharacterTokenizer, vocab_file)
    assert list(parallel.tokenize_lines(make, [], num_workers)) == []


def read_for_the_first(tokenize, lines) -> int:
    """Returns how many of endless lines are read until the first result is there."""
    read = 0

    def counted():
        nonlocal read
        for line in itertools.cycle(lines):
            read += 1
            yield line

    with contextlib.closing(tokenize(counted())) as results:
        next(results)
    return read


@pytest.mark.parametrize("tokenize", [parallel.tokenize_lines, parallel.tokenize_blocks])
def test_one_process_reads_no_further_ahead_than_a_block_and_the_tokenizer(vocab_file, tokenize):
    make = functools.partial(CharacterTokenizer, vocab_file)
    read = read_for_the_first(lambda lines: tokenize(make, lines, 1), ["가", "나"])
    assert read <= parallel._BLOCK_LINES + CharacterTokenizer.read_ahead


def test_of_long_lines_fewer_are_read_ahead(vocab_file):
    make = functools.partial(CharacterTokenizer, vocab_file)
    read = read_for_the_first(lambda lines: parallel.tokenize_blocks(make, lines, 1), ["가" * 30])
    assert read <= 1 + CharacterTokenizer.read_ahead


def test_several_processes_read_endless_lines(vocab_file):
    make = functools.partial(CharacterTokenizer, vocab_file)

    tokenized = parallel.tokenize_lines(make, itertools.cycle(["가", "나"]), 2)
    some = [line for line, _ in itertools.islice(tokenized, 101)]
    tokenized.close()

    assert some == ["가", "나"] * 50 + ["가"]
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("num_workers", [1, 2])
@pytest.mark.parametrize("kind", [CharacterTokenizer, UnitlessTokenizer])
def test_blocks_are_lines_and_their_tokens_end_to_end(vocab_file, kind, num_workers):
    make = functools.partial(kind, vocab_file)
    blocks = list(parallel.tokenize_blocks(make, LINES, num_workers))
    by_lines = list(parallel.tokenize_lines(make, LINES, 1))

    assert [line for lines, _ in blocks for line in lines] == LINES
    for lines, (ids, counts, units) in blocks:
        own, by_lines = by_lines[: len(lines)], by_lines[len(lines) :]
        assert counts.tolist() == [len(tokenized.ids) for _, tokenized in own]
        assert ids == array("i", [index for _, tokenized in own for index in tokenized.ids])
        assert units == b"".join(tokenized.units for _, tokenized in own)


def test_blocks_end_with_few_lines_or_characters(vocab_file):
    make = functools.partial(CharacterTokenizer, vocab_file)
    lines = ["가"] * 6 + ["나" * 18] * 3 + ["다" * 50, "라"]
    blocks = [lines for lines, _ in parallel.tokenize_blocks(make, lines, 1)]
    assert list(map(len, blocks)) == [4, 3, 2, 1, 1]


def test_a_tokenizer_at_hand_does_the_same_and_stays_open(vocab_file):
    make = functools.partial(CharacterTokenizer, vocab_file)
    tokenizer = make()
    expected = list(parallel.tokenize_blocks(make, LINES, 1))
    assert list(parallel.tokenize_blocks_by(tokenizer, LINES)) == expected
    assert list(parallel.tokenize_blocks_by(tokenizer, LINES)) == expected
    assert tokenizer.vocab


@pytest.mark.parametrize("num_workers", [1, 2])
def test_what_the_tokenizer_refuses_is_told(vocab_file, num_workers):
    make = functools.partial(RefusingTokenizer, vocab_file)
    with pytest.raises(InputError, match="There is a 마."):
        list(parallel.tokenize_lines(make, [*LINES, "라마"], num_workers))


@pytest.mark.parametrize("num_workers", [1, 2])
@pytest.mark.parametrize("kind", [ForgetfulTokenizer, EarlyTokenizer])
def test_a_tokenizer_that_loses_a_line_is_told(vocab_file, kind, num_workers):
    make = functools.partial(kind, vocab_file)
    with pytest.raises(InputError, match=f"{kind.__name__} did not give one result for each"):
        list(parallel.tokenize_lines(make, ["가"] * 8, num_workers))


@pytest.mark.parametrize("num_workers", [1, 2])
def test_a_vocabulary_that_is_missing_is_told(num_workers):
    make = functools.partial(CharacterTokenizer, "nowhere/vocab.txt")
    with pytest.raises(InputError, match="nowhere/vocab.txt"):
        list(parallel.tokenize_lines(make, LINES, num_workers))
