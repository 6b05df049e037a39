"""Random words in bulk: the numbers of `random.Random`, one for one, whatever is asked for."""

import math
import random
from array import array

import pytest

from deeq_bert.bert import random_words
from deeq_bert.bert.random_words import RandomWords

BOUNDS = (1, 2, 3, 4, 5, 127, 128, 255, 256, 257, 30_000, 65_535, 65_536, 2**31, 2**32 - 1)
CHANCES = (0.0, 1e-300, 2.0**-53, 0.1, 0.15, 0.5, 0.8, 1 - 2.0**-53, 1.0)
# Above and below where a byte of a word decides, and where 512 and 1,024 begin.
SIZES = (0, 1, 2, 3, 4, 63, 64, 65, 127, 128, 254, 255, 256, 257, 511, 512, 513, 1000, 1024, 5000)


@pytest.fixture(params=[3, 64, 1 << 16])
def words_at_once(request, monkeypatch) -> int:
    """How many words are taken at once: with few, they end in the midst of everything."""
    monkeypatch.setattr(random_words, "_WORDS_AT_ONCE", request.param)
    return request.param


@pytest.fixture
def words() -> RandomWords:
    return RandomWords(7, CHANCES)


@pytest.fixture
def rng() -> random.Random:
    """What `words` is to do."""
    return random.Random(7)


def test_numbers_below_a_bound(words_at_once, words, rng):
    for bound in BOUNDS * 20:
        assert words.below(bound) == rng.randrange(bound)


def test_chances(words_at_once, words, rng):
    for index, chance in list(enumerate(CHANCES)) * 30:
        assert words.happens(index) == (rng.random() < chance)


def test_a_chance_is_exact():
    for seed in range(50):
        drawn = random.Random(seed).random()
        words = RandomWords(seed, (drawn, math.nextafter(drawn, 1), math.nextafter(drawn, 0)))
        outcomes = []
        for index in range(3):
            words.position = 0
            outcomes.append(words.happens(index))
        assert outcomes == [False, True, False]


@pytest.mark.parametrize("size", SIZES)
def test_a_shuffle(words_at_once, words, rng, size):
    items, expected = list(range(size)), list(range(size))
    for _ in range(3):
        words.shuffle(items)
        rng.shuffle(expected)
        assert items == expected
    assert words.below(1000) == rng.randrange(1000)


@pytest.mark.parametrize("size", SIZES)
def test_of_a_shuffle_the_first_items_may_be_enough(words_at_once, words, rng, size):
    for kept in {0, 1, 2, 20, 255, 256, size // 2, size - 1, size, size + 1} - {-1}:
        items, expected = list(range(size)), list(range(size))
        words.shuffle(items, kept)
        rng.shuffle(expected)
        assert items[:kept] == expected[:kept]
        # As many words were taken.
        assert words.below(1000) == rng.randrange(1000)


def test_an_array_is_shuffled_as_a_list(words, rng):
    items, expected = array("q", range(3000)), list(range(3000))
    words.shuffle(items)
    rng.shuffle(expected)
    assert items.tolist() == expected


@pytest.mark.parametrize("seed", [0, 12345, 2**70, -3, "text", "가"])
def test_a_seed_is_that_of_the_standard_library(seed):
    words, rng = RandomWords(seed), random.Random(seed)
    assert [words.below(2**32 - 1) for _ in range(700)] == [
        rng.randrange(2**32 - 1) for _ in range(700)
    ]


def test_draws_of_all_kinds_in_any_order(words_at_once, words, rng):
    choices = random.Random(1)
    for _ in range(2000):
        kind = choices.randrange(3)
        if kind == 0:
            bound = choices.choice(BOUNDS)
            assert words.below(bound) == rng.randrange(bound)
        elif kind == 1:
            index = choices.randrange(len(CHANCES))
            assert words.happens(index) == (rng.random() < CHANCES[index])
        else:
            items = list(range(choices.randrange(40)))
            expected = list(items)
            words.shuffle(items)
            rng.shuffle(expected)
            assert items == expected


def test_words_that_are_reserved_are_at_hand_and_one_more(words_at_once, words, rng):
    choices = random.Random(2)
    for _ in range(300):
        count = choices.randrange(200)
        words.reserve(count)
        ahead = slice(words.position, words.position + count + 1)
        assert len(words.words[ahead]) == len(words.high_bytes[ahead]) == count + 1
        assert len(words.chance(0)[ahead]) >= count
        used = choices.randrange(count + 1)
        words.position += used
        for _ in range(used):
            rng.getrandbits(32)
    assert words.words[words.position] == rng.getrandbits(32)


def test_all_that_is_reserved_may_be_fresh(words_at_once, words):
    for count in (0, 1, 64, 100):
        words.position = len(words.words)
        words.reserve(count)
        assert len(words.words) - words.position > count


def test_what_is_known_of_a_word_is_known_of_each(words):
    words.reserve(1000)
    high, half = words.high_bytes, words.chance(CHANCES.index(0.5))
    for place, word in enumerate(words.words[:1000]):
        assert high[place] == word >> 24
        assert half[place] == (word < 1 << 31)


def test_reserving_what_is_there_changes_nothing(words):
    before = words.words
    words.reserve(1000)
    assert words.words is before
