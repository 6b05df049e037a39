"""Words and pieces, compared with the plainest implementation on the nastiest text."""

import random
import sys
from array import array

import pytest
from plain_wordpiece import PlainTokenizer

from deeq_bert.tokenizers import characters
from deeq_bert.tokenizers.wordpiece import (
    NO_ID,
    BasicTokenizer,
    RecentResults,
    WordpieceTokenizer,
    split_at_whitespace,
)
from deeq_bert.tokenizers.wordpiece_encoder import WordpieceEncoder

PIECES = (
    *("[UNK]", "강", "강아지", "강아지가", "가", "고양이", "an", ".", "#", "##"),
    *("##가", "##아", "##지", "##양이", "##이", "##a", "##an", "##na"),
)
VOCAB = {piece: index for index, piece in enumerate(PIECES)}

# Strings a tokenizer can go wrong on: whitespace of all kinds and what only str.split takes for it,
# control and format characters, cases that depend on neighbours, accents that change places,
# characters that fall apart into punctuation, ideographs, syllables and their letters.
NASTY = [
    *" \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2003\u2028\u2029\u202f\u3000",
    *"\0\x01\x7f\xad\u200b\u200d\u2060\ufeff\ufffd\U000e0001",
    *"aAbBσΣςİıßſKÅ",
    *"\u0300\u0301\u0307\u0323\u034f\u0338\u302e\u1b44\u20dd\u093e",
    *"=≠\u037e\u1fef;`'.·!$^_~[]#",
    *"中\u3400\uf900\ufa0e\U00020000\U0002f800",
    *"가각힣\u1100\u1161\u11a8ㄱㅏ고양이강아지",
    *"0٣½①あアｱＡ\U0001f600\U0001d400\ud800\udc00\ue000\u0378",
    "##",
    "[UNK]",
    "##가",
]


def nasty_texts(count: int) -> list[str]:
    chance = random.Random(2018)
    texts = ["".join(chance.choices(NASTY, k=chance.randrange(40))) for _ in range(count)]
    for _ in range(count // 10):
        points = (chance.randrange(sys.maxunicode + 1) for _ in range(chance.randrange(40)))
        texts.append("".join(map(chr, points)))
    return texts


def nasty_vocabulary(texts: list[str], do_lower_case: bool) -> dict[str, int]:
    """Pieces cut at random from the words of the texts, with gaps, so that some words fail."""
    chance = random.Random(1810)
    pieces = ["[UNK]"]
    for text in texts:
        for word in BasicTokenizer(do_lower_case).tokenize(text):
            start = chance.randrange(len(word))
            end = start + 1 + min(chance.randrange(4), chance.randrange(len(word)))
            pieces.append(word[start:end] if start == 0 else "##" + word[start:end])
    return {piece: index for index, piece in enumerate(dict.fromkeys(pieces))}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("고양이가 (아주) 운다.", ["고양이가", "(", "아주", ")", "운다", "."]),
        ("값은 3.5$^2", ["값은", "3", ".", "5", "$", "^", "2"]),
        ("漢字와 한글", ["漢", "字", "와", "한글"]),
        ("한\x0b글\x85 \u200b한\ufffd\0글", ["한글", "한글"]),
        ("Ärger Σ", ["Ärger", "Σ"]),
        (" \t\n", []),
        ("", []),
    ],
)
def test_basic_tokenizer_splits_words_and_punctuation(text, words):
    assert BasicTokenizer(do_lower_case=False).tokenize(text) == words


def test_lower_casing_strips_accents_and_takes_syllables_apart():
    words = BasicTokenizer().tokenize("ÄRGER ΟΔΟΣ 한≠")
    assert words == ["arger", "οδος", "\u1112\u1161\u11ab", "="]


def test_basic_tokenizer_reads_bytes():
    assert BasicTokenizer(do_lower_case=False).tokenize("한글!".encode() + b"\xff") == ["한글", "!"]


@pytest.mark.parametrize(
    ("word", "pieces"),
    [
        ("강아지가", ["강아지가"]),
        ("강아지아", ["강아지", "##아"]),
        ("강지", ["강", "##지"]),
        ("고양이이가", ["고양이", "##이", "##가"]),
        ("고양", ["[UNK]"]),
        ("강돌", ["[UNK]"]),
        ("banana", ["[UNK]"]),
        ("anana", ["an", "##an", "##a"]),
        ("#", ["#"]),
        ("##", ["##"]),
        ("강#", ["[UNK]"]),
        ("", []),
    ],
)
def test_pieces_are_the_longest_that_fit_from_the_left(word, pieces):
    assert WordpieceTokenizer(VOCAB).tokenize(word) == pieces


def test_wordpiece_tokenizer_splits_at_whitespace_and_reads_bytes():
    tokens = WordpieceTokenizer(VOCAB).tokenize(" 강지\u2028돌 an".encode())
    assert tokens == ["강", "##지", "[UNK]", "an"]


def test_a_word_over_the_limit_is_unknown():
    tokenizer = WordpieceTokenizer(VOCAB, max_input_chars_per_word=3)
    assert tokenizer.tokenize("강아지 강아지가") == ["강아지", "[UNK]"]


def test_the_limit_is_200_characters():
    word = "가" * 200
    assert WordpieceTokenizer(VOCAB).tokenize(word) == ["가"] + ["##가"] * 199
    assert WordpieceTokenizer(VOCAB).tokenize(word + "가") == ["[UNK]"]


def test_the_unknown_token_may_have_another_name_and_no_id():
    tokenizer = WordpieceTokenizer({"가": 0}, unk_token="<unk>")
    assert tokenizer.tokenize("가 나") == ["가", "<unk>"]
    assert tokenizer.ids_of("나") == (NO_ID,)


def test_only_whitespace_that_bert_drops_joins_words():
    spaces = [char for char in map(chr, range(sys.maxunicode + 1)) if char.isspace()]
    for char in spaces:
        joined = split_at_whitespace(f"가{char}나") == ["가나"]
        assert joined == characters.is_control(char), f"U+{ord(char):04X}"


@pytest.mark.parametrize("do_lower_case", [False, True])
def test_equal_to_the_plain_form_on_nasty_text(do_lower_case):
    texts = nasty_texts(5000)
    vocab = nasty_vocabulary(texts[::2], do_lower_case)
    plain = PlainTokenizer(vocab, do_lower_case)
    basic = BasicTokenizer(do_lower_case)
    wordpiece = WordpieceTokenizer(vocab)
    encoder = WordpieceEncoder(basic, wordpiece)
    unknown = 0
    for text in texts:
        words = plain.words(text)
        pieces = [piece for word in words for piece in plain.pieces(word)]
        unknown += pieces.count("[UNK]")
        assert basic.tokenize(text) == words, ascii(text)
        assert [piece for word in words for piece in wordpiece.tokenize(word)] == pieces
        assert [wordpiece.pieces[index] for index in encoder.encode(text)] == pieces, ascii(text)
    assert unknown, "the vocabulary should not spell everything"


@pytest.mark.parametrize("do_lower_case", [False, True])
def test_forgetting_changes_nothing(do_lower_case):
    texts = nasty_texts(500)
    basic = BasicTokenizer(do_lower_case)
    wordpiece = WordpieceTokenizer(nasty_vocabulary(texts, do_lower_case))
    roomy = WordpieceEncoder(basic, wordpiece)
    tiny = WordpieceEncoder(basic, wordpiece, max_words=3)
    for text in texts * 2:
        assert list(tiny.encode(text)) == list(roomy.encode(text))


def one_by_one(encoder: WordpieceEncoder, lines: list[str]) -> tuple[array, array]:
    """What `encode_lines` gives, by `encode`."""
    encoded = [list(encoder.encode(line)) for line in lines]
    ids = array("i", [index for of_line in encoded for index in of_line])
    return ids, array("i", map(len, encoded))


# Lines that differ from others in what stands at their ends, in the middle, or in nothing.
LINES = [
    *("", " ", "\0", "\0\0 \0", "\x0b\x1c\x85", "\u3000", "\u2028", "\r"),
    *(
        "가\0나",
        "\0가",
        "가\0",
        "가 \0 나",
        "가\x0b",
        "\x1c가",
        "가\x85나",
        "가\u2028나",
        "가\u3000나",
    ),
    *("강아지가", "강아지가", "모르는 말", "강아지가 모르는", "가" * 201, "가" * 33 + "." * 33),
]


@pytest.mark.parametrize("do_lower_case", [False, True])
@pytest.mark.parametrize("has_unknown", [True, False], ids=["[UNK]", "no [UNK]"])
def test_lines_together_are_the_lines_one_by_one(do_lower_case, has_unknown):
    texts = [text.replace("\n", " ") for text in nasty_texts(2000)] + LINES * 3
    vocab = nasty_vocabulary(texts[::2], do_lower_case)
    if not has_unknown:
        del vocab["[UNK]"]
    wordpiece = WordpieceTokenizer(vocab)
    encoder = WordpieceEncoder(BasicTokenizer(do_lower_case), wordpiece)
    ids, counts = encoder.encode_lines(texts)
    assert (ids, counts) == one_by_one(encoder, texts)
    assert ids.typecode == counts.typecode == "i"
    assert vocab.get("[UNK]", NO_ID) in ids
    # Whatever stands before and after.
    chance = random.Random(3)
    for size in range(1, 60):
        lines = chance.choices(texts, k=size)
        assert encoder.encode_lines(lines) == one_by_one(encoder, lines)


@pytest.mark.parametrize("line", LINES, ids=ascii)
def test_a_single_line_is_a_line(line):
    encoder = WordpieceEncoder(BasicTokenizer(False), WordpieceTokenizer(VOCAB))
    assert encoder.encode_lines([line]) == one_by_one(encoder, [line])


@pytest.mark.parametrize("do_lower_case", [False, True])
def test_a_line_break_within_a_line_is_whitespace(do_lower_case):
    # Texts of tasks have them, if not those of records.
    encoder = WordpieceEncoder(BasicTokenizer(do_lower_case), WordpieceTokenizer(VOCAB))
    lines = ["강아지\n가", "\n", "an\x0b\nan", "", "가\n", "가"]
    assert encoder.encode_lines(lines) == one_by_one(encoder, lines)


@pytest.mark.parametrize("do_lower_case", [False, True])
def test_forgetting_changes_nothing_in_lines(do_lower_case):
    texts = [text.replace("\n", " ") for text in nasty_texts(300)]
    basic = BasicTokenizer(do_lower_case)
    wordpiece = WordpieceTokenizer(nasty_vocabulary(texts, do_lower_case))
    roomy = WordpieceEncoder(basic, wordpiece)
    for max_table_words in (0, 10, 1000):
        tiny = WordpieceEncoder(basic, wordpiece, max_words=3, max_table_words=max_table_words)
        for start in (0, 30, 60, 0, 30, 200):
            some = texts[start : start + 100]
            assert tiny.encode_lines(some) == roomy.encode_lines(some)


def test_tens_of_thousands_of_words_are_told_apart():
    words = [f"{'가' * (number % 7)}{number}" for number in range(30_000)]
    chance = random.Random(5)
    vocab = {piece: index for index, piece in enumerate(["[UNK]", *words])}
    encoder = WordpieceEncoder(BasicTokenizer(False), WordpieceTokenizer(vocab))
    for _ in range(3):
        chance.shuffle(words)
        lines = [" ".join(words[start : start + 20]) for start in range(0, len(words), 20)]
        ids, counts = encoder.encode_lines(lines)
        assert ids.tolist() == [vocab[word] for word in words]
        assert set(counts) == {20}


@pytest.mark.parametrize("do_lower_case", [False, True])
def test_words_with_marks_are_equal_to_the_plain_form(do_lower_case):
    chance = random.Random(4)
    marks = [char for char in map(chr, range(33, 127)) if not char.isalnum()]
    words = ["강아지가", "강아지", "고양이", "an", "AN", "3", "가a3", "ban", "가" * 40, "漢", "é"]
    texts = []
    for _ in range(500):
        before, after = (chance.choices(marks, k=chance.choice((0, 0, 1, 2, 5))) for _ in "12")
        texts.append("".join([*before, chance.choice(words), *after, chance.choice(words)]))
        texts.append("".join([chance.choice(words), *after]))
    vocab = {piece: index for index, piece in enumerate([*PIECES, *marks[::2]])}
    plain = PlainTokenizer(vocab, do_lower_case)
    encoder = WordpieceEncoder(BasicTokenizer(do_lower_case), WordpieceTokenizer(vocab))
    for text in texts:
        assert list(encoder.encode(text)) == plain.text_to_ids(text), text


def test_marks_that_change_places_the_second_time_are_told_apart():
    # The character between the two marks is dropped after they were put in order; when the word
    # that comes out is read as text, they change places.
    text, word, other_word = "a\u302e\u034f\u1b44", "a\u302e\u1b44", "a\u1b44\u302e"
    basic = BasicTokenizer()
    assert basic.tokenize(text) == [word]
    assert basic.tokenize(word) == [other_word]
    wordpiece = WordpieceTokenizer({word: 0, other_word: 1, ".": 2})
    encoder = WordpieceEncoder(basic, wordpiece)
    assert list(encoder.encode(f"{text}. {word} {word}. {text}")) == [0, 2, 1, 1, 2, 0]


def test_results_are_worked_out_once_while_they_are_remembered():
    asked = []
    results = RecentResults(lambda key: asked.append(key) or (len(key),), max_entries=2)
    for key in ["a", "bb", "a", "ccc", "a", "bb"]:
        assert results[key] == (len(key),)
    assert asked == ["a", "bb", "ccc"]


def test_what_was_not_asked_for_lately_is_forgotten():
    asked = []
    results = RecentResults(lambda key: asked.append(key) or (), max_entries=2)
    for key in ["a", "b", "c", "d", "e", "a"]:
        results[key]
    assert asked == ["a", "b", "c", "d", "e", "a"]


def test_a_bounded_number_of_results_is_remembered():
    asked = []
    results = RecentResults(lambda key: asked.append(key) or (), max_entries=10)
    keys = [str(number) for number in range(1000)]
    for key in keys:
        results[key]
        assert len(results) <= 10
    latest, forgotten = keys[-10:], keys[:-20]
    asked.clear()
    for key in latest + forgotten:
        results[key]
    assert asked == forgotten


def test_long_strings_are_not_remembered():
    results = RecentResults(lambda key: (len(key),), max_entries=10)
    long = "가" * (RecentResults.MAX_LENGTH + 1)
    assert [results[long], results[long[:-1]]] == [(len(long),), (len(long) - 1,)]
    assert list(results) == [long[:-1]]
