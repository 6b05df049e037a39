"""From counts to a vocabulary: which tokens, and in which order."""

import hashlib
import os
import random
import subprocess
import sys

import pytest

from deeq_bert.tokenizers import recipes
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.recipes import (
    Recipe,
    check_trainer,
    make_morpheme_vocabulary,
    make_wordpiece_vocabulary,
    read_user_words,
    survey_characters,
    whole_words,
)
from deeq_bert.tokenizers.vocabulary import SPECIAL_TOKENS
from deeq_bert.tokenizers.wordpiece import BasicTokenizer

MORPHEMES = sorted(
    {"가": 9, "나다": 7, "다나": 7, "이": 8, "었": 6, "다나라": 3, "습니다": 1}.items()
)
WORDS = sorted({"가나다": 10, "가나": 20, "다나": 5, "나": 3}.items())


def morphemes(counts=MORPHEMES, **recipe) -> list[str]:
    """Returns what comes after the special tokens in a vocabulary of characters and morphemes."""
    recipe = Recipe(**{"vocab_size": 100, "min_char_frequency": 1, **recipe})
    tokens = make_morpheme_vocabulary(counts, survey_characters(counts), recipe).tokens
    assert tokens[:5] == list(SPECIAL_TOKENS)
    return tokens[5:]


def wordpieces(counts=WORDS, **recipe) -> list[str]:
    """Returns what comes after the special tokens in a vocabulary of pieces."""
    recipe = Recipe(**{"vocab_size": 100, "min_char_frequency": 1, **recipe})
    tokens = make_wordpiece_vocabulary(counts, survey_characters(counts), recipe).tokens
    assert tokens[:5] == list(SPECIAL_TOKENS)
    return tokens[5:]


def test_characters_come_as_they_first_appear_among_morphemes_by_frequency():
    # 가 9, 이 8, 나다 7, 다나 7, 었 6, 다나라 3, 습니다 1
    characters = list("가이나다었라습니")
    assert morphemes(min_frequency=1) == [*characters, "나다", "다나", "다나라", "습니다"]


def test_rare_morphemes_are_left_out():
    assert "습니다" not in morphemes(min_frequency=2)


def test_rare_characters_are_left_out_and_all_their_occurrences_count():
    # 나 comes 7 + 7 + 3 times, 라 only 3 times.
    assert morphemes(min_char_frequency=4)[:6] == ["가", "이", "나", "다", "었", "나다"]


def test_the_most_frequent_morphemes_fill_the_vocabulary():
    assert morphemes(vocab_size=5 + 8 + 2)[8:] == ["나다", "다나"]


def test_places_are_kept_free():
    assert morphemes(num_unused=2)[:3] == ["[unused0]", "[unused1]", "가"]


def test_user_words_come_after_the_characters_and_only_once():
    tokens = morphemes(user_words=("한국", "가", "다나", "[MASK]"))
    assert tokens[8:] == ["한국", "다나", "나다", "다나라"]


def test_a_vocabulary_too_small_for_the_characters_is_refused():
    with pytest.raises(InputError, match=r"--vocab_size=14 is too small: 15 tokens .*8 characters"):
        morphemes(vocab_size=14, num_unused=1, user_words=("한국",))


def test_the_composition_is_told():
    recipe = Recipe(vocab_size=20, min_char_frequency=1, num_unused=3, user_words=("한국",))
    made = make_morpheme_vocabulary(MORPHEMES, survey_characters(MORPHEMES), recipe)
    expected = {"special": 5, "unused": 3, "characters": 8, "user_words": 1, "morphemes": 3}
    assert made.composition == expected
    assert len(made.tokens) == 20


def test_a_vocabulary_that_stays_small_is_warned_of(caplog):
    assert len(morphemes()) == 11
    assert "The vocabulary has 16 tokens, not the 100 of --vocab_size" in caplog.text


def test_no_frequent_character_is_an_error():
    with pytest.raises(InputError, match="No character comes 1000 times"):
        morphemes(min_char_frequency=1000)


def test_no_word_is_an_error():
    with pytest.raises(InputError, match="no text"):
        survey_characters([])


def test_rare_characters_are_told_the_most_frequent_first():
    characters = survey_characters(MORPHEMES)
    assert characters.left_out(7) == [("었", 6), ("라", 3), ("니", 1), ("습", 1)]
    assert (characters.words, characters.distinct_words) == (41, 7)


def test_pieces_come_after_the_characters_that_make_them():
    # 나 comes 38 times, 가 30, 다 15; within words 나 35 times, 다 10.
    assert wordpieces() == ["나", "가", "다", "##나", "##다", "가나", "가나다", "다나"]


def test_characters_that_never_continue_a_word_do_so_in_no_piece():
    assert "##가" not in wordpieces()


def test_the_pieces_found_first_fill_the_vocabulary():
    assert wordpieces(vocab_size=5 + 5 + 1)[5:] == ["가나"]


def test_characters_may_fill_the_vocabulary():
    assert wordpieces(vocab_size=5 + 5) == ["나", "가", "다", "##나", "##다"]


def test_pieces_whose_parts_rarely_meet_are_not_made():
    assert "다나" in wordpieces(min_frequency=5)
    assert "다나" not in wordpieces(min_frequency=6)


def test_words_with_rare_characters_take_no_part():
    counts = sorted([*WORDS, ("나힣", 2)])
    assert wordpieces(counts, min_char_frequency=3) == wordpieces()


def test_words_that_look_like_continuations_take_no_part():
    counts = sorted([*WORDS, ("##가", 50)])
    assert "##가" not in wordpieces(counts)


def test_user_words_come_before_the_pieces_and_only_once():
    tokens = wordpieces(user_words=("다나", "한국"), vocab_size=5 + 5 + 4)
    assert tokens[5:] == ["다나", "한국", "가나", "가나다"]


@pytest.fixture
def many_words() -> list[tuple[str, int]]:
    """A thousand words with counts of which many are equal, so that there are many ties."""
    rng = random.Random(3)
    syllables = "가나다라마바사아자차"
    words = {"".join(rng.choices(syllables, k=rng.randrange(1, 6))) for _ in range(1500)}
    return [(word, rng.randrange(1, 4)) for word in sorted(words)]


# Trains on a thousand words with many ties; prints a hash of the vocabulary.
PROGRAM = """
import ast, hashlib, sys
from deeq_bert.tokenizers.recipes import *
counts = ast.literal_eval(sys.stdin.read())
made = make_wordpiece_vocabulary(counts, survey_characters(counts), Recipe(600))
print(hashlib.sha256(" ".join(made.tokens).encode()).hexdigest())
"""


def test_training_is_the_same_in_every_process(many_words):
    hashes = set()
    for number in ("1", "2", "3"):
        completed = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            input=repr(many_words),
            env={**os.environ, "RAYON_NUM_THREADS": number, "PYTHONHASHSEED": number},
            capture_output=True,
            text=True,
        )
        assert completed.returncode == 0, completed.stderr
        hashes.add(completed.stdout.strip())
    here = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *wordpieces(many_words, vocab_size=600)]
    assert hashes == {hashlib.sha256(" ".join(here).encode()).hexdigest()}


def thinned(many_words) -> list[tuple[str, int]]:
    """Returns what the trainer gets of the words."""
    words = recipes._WordsOf(many_words, set("가나다라마바사아자차"))
    _, frequencies = words.survey()
    return list(words.thinned(recipes._thinning_factor(frequencies)))


def test_the_trainer_gets_all_words_where_it_can(many_words):
    assert thinned(many_words) == many_words


def test_occurrences_are_thinned_where_they_are_too_many(many_words, monkeypatch):
    monkeypatch.setattr(recipes, "_MAX_OCCURRENCES", 500)
    assert sum(count for _, count in thinned(many_words)) == pytest.approx(500, rel=0.1)


def test_words_are_thinned_where_too_many_are_different(many_words, monkeypatch):
    monkeypatch.setattr(recipes, "_MAX_TRAINING_WORDS", 300)
    assert 200 < len(thinned(many_words)) < 330


def test_a_vocabulary_of_thinned_words_is_as_large_and_always_the_same(many_words, monkeypatch):
    monkeypatch.setattr(recipes, "_MAX_OCCURRENCES", 500)
    tokens = wordpieces(many_words, vocab_size=100)
    assert len(tokens) == 95
    assert tokens == wordpieces(many_words, vocab_size=100)


def test_a_trainer_that_is_missing_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(InputError, match=r"pip install -e '.\[vocab\]'"):
        check_trainer()


def user_words(tmp_path, content: bytes) -> tuple[str, ...]:
    (tmp_path / "words").write_bytes(content)
    return read_user_words(str(tmp_path / "words"))


def test_user_words_stand_one_a_line(tmp_path):
    content = "한국은행\n\n 카카오톡 \r\n한국은행\n딥러닝"
    assert user_words(tmp_path, content.encode()) == ("한국은행", "카카오톡", "딥러닝")


@pytest.mark.parametrize(
    "content, message",
    [
        ("한국\n한국 은행\n", r"words, line 2: '한국 은행' has a blank .* \(U\+0020\)"),
        ("한국\u200b은행\n", r"words, line 1: .* invisible character \(U\+200B\)"),
        ("가" * 101, "words, line 1: longer than 100 characters"),
        ("\n \n", "words has no words"),
    ],
)
def test_user_words_that_cannot_be_used_are_told(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        user_words(tmp_path, content.encode())


def test_user_words_in_another_encoding_are_told(tmp_path):
    with pytest.raises(InputError, match="words, line 1: not UTF-8"):
        user_words(tmp_path, "한국".encode("cp949"))


def test_too_many_user_words_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(recipes, "_MAX_USER_WORDS", 2)
    with pytest.raises(InputError, match="words has over 2 words"):
        user_words(tmp_path, b"a\nb\na\nc")


def test_user_words_that_wordpiece_splits_are_left_out_and_told(caplog):
    words = ("한국은행", "A/S", "中國")
    assert whole_words(words, BasicTokenizer(do_lower_case=False)) == ("한국은행",)
    assert "2 user words are left out" in caplog.text
    assert "A/S, 中國" in caplog.text
