"""The conventions of deeq, rule by rule, on Kiwi's morphemes as written here."""

from typing import NamedTuple

import pytest

from deeq_bert.tokenizers.analyzers.conventions import deeq_tag, entry_of


class Morpheme(NamedTuple):
    """One of Kiwi's, as far as the conventions look at it."""

    form: str
    tag: str
    start: int
    len: int


def convert(text: str) -> str:
    """Converts form/tag pairs, each of which takes as many characters as its form has."""
    pairs = [pair.rsplit("/", 1) for pair in text.split()]
    lengths = [len(form) for form, _ in pairs]
    morphemes = [
        Morpheme(form, tag, sum(lengths[:index]), len(form))
        for index, (form, tag) in enumerate(pairs)
    ]
    entries = [entry_of(form, tag) for form, tag in pairs]
    converted = [f"{entry.form}/{entry.tag}" for entry in entries]
    edits = [entry.rule(morphemes, index) for index, entry in enumerate(entries) if entry.rule]
    for edit in reversed([edit for edit in edits if edit]):
        converted[edit.first : edit.last + 1] = [
            f"{piece.form}/{piece.tag}" for piece in edit.pieces
        ]
    return " ".join(converted)


@pytest.mark.parametrize(
    "kiwi, deeq",
    [
        ("하/VV 여서/EC", "하/VV 아서/EC"),
        ("하/XSV 였/EP 다/EF", "하/XSV 았/EP 다/EF"),
        ("보이/VV 어/EC", "보이/VV 어/EC"),
        ("춥/VA-I 은/ETM", "춥/VA ㄴ/ETM"),
        ("춥/VA-I 을지/EC", "춥/VA ㄹ지/EC"),
        ("춥/VA-I 으면/EC", "춥/VA 면/EC"),
        ("줍/VV-I 읍시다/EF", "줍/VV ㅂ시다/EF"),
        ("뽑/VV-R 은/ETM", "뽑/VV 은/ETM"),
        ("짓/VV-I 은/ETM", "짓/VV 은/ETM"),
        ("책/NNG 은/JX", "책/NNG 은/JX"),
        ("고맙/VA-I 아요/EF", "고맙/VA 어요/EF"),
        ("돕/VV-I 아요/EF", "돕/VV 아요/EF"),
        ("하/VV 여요/EF", "하/VV 아요/EF"),
        ("가/VV 아요/EF", "가/VV 아요/EF"),
        ("은/ETM", "은/ETM"),
    ],
)
def test_endings_after_stems(kiwi, deeq):
    assert convert(kiwi) == deeq


@pytest.mark.parametrize(
    "kiwi, deeq",
    [
        ("하/VV 세요/EF", "하/VV 시/EP 어요/EF"),
        ("읽/VV 으세요/EF", "읽/VV 으시/EP 어요/EF"),
        ("줍/VV-I 으세요/EF", "줍/VV 시/EP 어요/EF"),
        ("하/VV 는데요/EF", "하/VV 는데/EF 요/JX"),
        ("춥/VA-I 은데요/EF", "춥/VA ㄴ데/EF 요/JX"),
        ("먹/VV 잖아요/EF", "먹/VV 잖아요/EF"),
        ("이/VCP 예요/EF", "이/VCP 에요/EF"),
        ("왜/MAG 요/JX", "왜/MAG 요/JX"),
        ("요/EF", "요/EF"),
    ],
)
def test_polite_endings(kiwi, deeq):
    assert convert(kiwi) == deeq


@pytest.mark.parametrize(
    "kiwi, deeq",
    [
        ("따뜻/XR 하/XSA 게/EC", "따뜻하/VA 게/EC"),
        ("따뜻/XR 하/XSA 였/EP", "따뜻하/VA 았/EP"),
        ("갑작/XR 스럽/XSA-I 은/ETM", "갑작스럽/VA ㄴ/ETM"),
        ("선명/NNG 하/XSA 게/EC", "선명/NNG 하/XSA 게/EC"),
        ("따뜻/XR", "따뜻/XR"),
        ("명확/XR 히/XSM", "명확히/MAG"),
        ("어떻게/MAG", "어떻/VA 게/EC"),
    ],
)
def test_roots_and_adverbs(kiwi, deeq):
    assert convert(kiwi) == deeq


@pytest.mark.parametrize(
    "kiwi, deeq",
    [
        ("1,234.5/SN", "1/SN ,/SP 234/SN ./SF 5/SN"),
        ("2018-03/SN", "2018/SN -/SO 03/SN"),
        ("12/SN", "12/SN"),
        ("!?/SF", "!/SF ?/SF"),
        (".../SF", ".../SF"),
        ("../SF", "./SF ./SF"),
        ("……/SE", "……/SE"),
        ("://SP", ":/SP //SP"),
        ("++/SW", "+/SW +/SW"),
        ("ㅋㅋ/SW", "ㅋㅋ/SW"),
        ("👨\u200d👩/W_EMOJI", "👨\u200d👩/SW"),
    ],
)
def test_numbers_and_punctuation(kiwi, deeq):
    assert convert(kiwi) == deeq


@pytest.mark.parametrize(
    "form, kiwi, deeq",
    [
        ("새", "MM", "MMA"),
        ("그런", "MM", "MMD"),
        ("세", "MM", "MMN"),
        ("(", "SSO", "SS"),
        ("★", "SB", "SW"),
        ("뷁", "UN", "NA"),
        ("a@b.c", "W_EMAIL", "SL"),
        ("듣", "VV-I", "VV"),
    ],
)
def test_tags(form, kiwi, deeq):
    assert deeq_tag(form, kiwi) == deeq


def test_whitespace_inside_a_form_goes():
    assert entry_of("대한 민국", "NNP").form == "대한민국"


def test_an_empty_form_goes():
    entry = entry_of("", "VCP")
    assert entry.rule([Morpheme("", "VCP", 0, 0)], 0).pieces == []
