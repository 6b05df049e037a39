"""Rules on runs of letters, syllables and marks: what each folds, and what it leaves as it is."""

import time

import pytest

from deeq_bert.corpus.rules import repetition
from deeq_bert.corpus.rules.base import uncommon_characters
from deeq_bert.tokenizers.errors import InputError


def apply(rule, text: str) -> str:
    return rule(text, uncommon_characters(text))


@pytest.mark.parametrize(
    "text, expected",
    [
        ("안녕하세요ㅋㅋㅋㅋ", "안녕하세요ㅋㅋ"),
        ("하하핳ㅎㅎㅎ", "하하핳ㅎㅎ"),
        ("슬퍼ㅠㅠㅠㅠㅜㅜㅜ", "슬퍼ㅠㅠㅜㅜ"),
        ("ㅋㅎㅋㅎㅋㅎㅋㅎ", "ㅋㅎ"),
        ("앜ㅋㅋㅋ\nㅋㅋㅋ", "앜ㅋㅋ\nㅋㅋ"),
    ],
)
def test_runs_of_letters_are_folded(text, expected):
    assert apply(repetition.jamo_runs(), text) == expected


@pytest.mark.parametrize(
    "text",
    ["ㅋㅋ", "ㅠㅜㅠ", "ㅇㅋㅇㅋ", "ㅋ\nㅋㅋ", "ㅇㅇㅇ 의원", "ㅁㅁㅁ씨", "ㆍㆍㆍ", "하하하하"],
)
def test_other_letters_stay(text):
    assert apply(repetition.jamo_runs(), text) == text


def test_as_many_letters_are_left_as_asked():
    assert apply(repetition.jamo_runs(keep=1), "ㅋㅋㅋ ㅎㅎ") == "ㅋ ㅎ"
    assert apply(repetition.jamo_runs(keep=3), "ㅋㅋㅋㅋㅋ ㅎㅎㅎ") == "ㅋㅋㅋ ㅎㅎㅎ"


@pytest.mark.parametrize(
    "text, expected",
    [
        ("와아아아아아 진짜", "와아아아 진짜"),
        ("하하하하", "하하하"),
        ("넘넘넘넘넘\n넘넘넘넘", "넘넘넘\n넘넘넘"),
    ],
)
def test_runs_of_syllables_are_folded(text, expected):
    assert apply(repetition.syllable_runs(), text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "공공공시설",
        "레이디 가가가",
        "10000원",
        "2000년",
        "www",
        "aaaaaa",
        "11111111",
        "ㅋㅋㅋㅋ",
        "가가\n가가",
        "大大大大",
    ],
)
def test_other_runs_stay(text):
    assert apply(repetition.syllable_runs(), text) == text


def test_fewer_syllables_are_left_where_asked():
    assert apply(repetition.syllable_runs(keep=2), "하하하하 가가가") == "하하 가가가"


@pytest.mark.parametrize(
    "text, expected",
    [
        ("최고!!!!!", "최고!!"),
        ("뭐???", "뭐??"),
        ("음.....", "음..."),
        ("음····", "음···"),
        ("그래~~~~ ;;;; ^^^^", "그래~~ ;; ^^"),
        ("뭐?!?!?!", "뭐?!"),
        ("정말!?!?", "정말!?"),
        ("와!!!???", "와!!??"),
        ("----- ===== ─────", "-- == ──"),
        ("………… 그랬다,,,,", "…… 그랬다,,"),
        ("사랑♥♥♥♥", "사랑♥♥"),
    ],
)
def test_runs_of_marks_are_folded(text, expected):
    assert apply(repetition.punctuation_runs(), text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "음... 그래..",
        "와!! 뭐?? ^^ ~~ --",
        "1,000,000.00",
        "★★★★☆",
        "((()))",
        "김*** ____",
        "file:///a",
        "10000",
        "?!",
    ]
    + ['C++ #### """', "……", "!!\n!!"],
)
def test_other_marks_stay(text):
    assert apply(repetition.punctuation_runs(), text) == text


def test_as_many_marks_are_left_as_asked():
    assert apply(repetition.punctuation_runs(keep=1), "와!! 음...") == "와! 음..."


@pytest.mark.parametrize("listed", repetition.RULES)
@pytest.mark.parametrize("keep", [0, "2", True, 1.5])
def test_a_useless_number_is_told(listed, keep):
    with pytest.raises(InputError, match="keep is .*; it must be a whole number of at least 1"):
        listed.make(keep=keep)


@pytest.mark.parametrize("listed", repetition.RULES)
def test_plain_text_is_the_same_object(listed):
    text = "공공공시설에 10000원, www... ㅋㅋ!\n“다음” 줄 (2000년)."
    assert listed.make()(text, uncommon_characters(text)) is text


@pytest.mark.parametrize("listed", repetition.RULES)
@pytest.mark.parametrize(
    "piece", ["ㅋ", "ㅋㅎ", "ㅋㅎㅠ", "가", "가나", "!", "?!", ".", ".,", "a", " ", "1"]
)
def test_a_long_line_takes_linear_time(listed, piece):
    text = piece * (300_000 // len(piece))
    started = time.perf_counter()
    apply(listed.make(), text)
    assert time.perf_counter() - started < 5
