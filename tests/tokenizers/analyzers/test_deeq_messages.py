"""Requests to the byte, and analyses read from answers of servers that count in their own ways."""

import subprocess
import sys

import pytest

from deeq_bert.tokenizers.analyzers.deeq_messages import (
    DIALECTS,
    TAGS,
    UnusableAnswer,
    messages_of,
)

# An eojeol: its text, where it begins, and form, tag and begin of each morpheme.
TODAY = ("오늘은", 0, [("오늘", "NNG", 0), ("은", "JX", 2)])
COLD = ("추웠다", 4, [("춥", "VA", 4), ("었", "EP", 5), ("다", "EF", 6)])


def answer_of(*sentences, dialect="deeq", ends="") -> bytes:
    """Returns what a server answers that finds those sentences, each a list of eojeols."""
    response = messages_of(dialect).response_class()
    for eojeols in sentences:
        sentence = response.sentences.add()
        for text, begin, morphemes in eojeols:
            token = sentence.tokens.add()
            token.text.content, token.text.begin_offset = text, begin
            for form, tag, morpheme_begin in morphemes:
                morpheme = token.morphemes.add()
                morpheme.tag = TAGS.index(tag) if isinstance(tag, str) else tag
                morpheme.text.content, morpheme.text.begin_offset = form, morpheme_begin
    return response.SerializeToString()


def read(line, *eojeols):
    """Returns the analysis of one line."""
    (analysis,) = messages_of("deeq").analyses([line], answer_of(eojeols))
    return analysis


def surfaces(line, *eojeols) -> list[str]:
    """Returns what each morpheme stands for in the line."""
    analysis = read(line, *eojeols)
    return [line[start:end] for start, end in zip(analysis.starts, analysis.ends)]


def test_a_request_has_the_bytes_that_the_vendors_client_sends():
    assert messages_of("deeq").request(["가"]).hex() == "0a0c1203eab08022056b6f5f4b521003"


def test_lines_are_one_document_in_deeq():
    request = messages_of("deeq").request_class.FromString(
        messages_of("deeq").request(["가", "나 다"], domain="의학")
    )
    assert request.document.content == "가\n나 다"
    assert request.custom_domain == "의학"
    assert not request.auto_split_sentence


def test_lines_are_a_list_in_bareun():
    # 1: "가", 1: "나", 2: "ko_KR", 3: 3, and neither 5 nor 6, which would alter the text.
    assert messages_of("bareun").request(["가", "나"]).hex() == (
        "0a03eab080" + "0a03eb8298" + "12056b6f5f4b52" + "1803"
    )
    request = messages_of("bareun").request(["가"], domain="med")
    assert request.endswith(b"\x5a\x03med")


def test_tags_have_the_numbers_of_the_protocol():
    numbers = {"UNK": 0, "EC": 1, "JX": 15, "NNG": 24, "SF": 30, "VA": 38, "VX": 42, "XSV": 47}
    assert {tag: TAGS.index(tag) for tag in numbers} == numbers
    assert len(TAGS) == 48


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_answer_becomes_columns(dialect):
    answer = answer_of([TODAY, COLD], [("네", 0, [("네", "IC", 0)])], dialect=dialect)

    first, second = messages_of(dialect).analyses(["오늘은 추웠다", "네"], answer)

    assert first.forms == ["오늘", "은", "춥", "었", "다"]
    assert first.tags == ["NNG", "JX", "VA", "EP", "EF"]
    assert first.starts == [0, 2, 4, 5, 6]
    assert first.ends == [2, 3, 5, 6, 7]
    assert first.word_starts == b"\1\0\1\0\0"
    assert second.forms == ["네"]


def test_offsets_may_count_from_the_beginning_of_the_document():
    shifted = ("추웠다", 104, [("춥", "VA", 104), ("었", "EP", 105), ("다", "EF", 106)])
    assert surfaces("추웠다", shifted) == ["추", "웠", "다"]


def test_morphemes_contracted_into_a_syllable_all_have_it():
    eojeol = ("했다", 0, [("하", "VV", 0), ("았", "EP", 0), ("다", "EF", 1)])
    assert surfaces("했다", eojeol) == ["했", "했", "다"]


def test_morphemes_share_out_the_eojeol():
    eojeol = ("(가나다)", 0, [("가", "NNG", 1), ("다", "JX", 3)])
    assert surfaces("(가나다)", eojeol) == ["(가나", "다)"]


@pytest.mark.parametrize(
    "begins",
    [
        pytest.param([(0, [0, 6]), (10, [10, 13, 16])], id="bytes of UTF-8"),
        pytest.param([(0, [0, 0]), (0, [0, 0, 0])], id="none"),
        pytest.param([(0, [0, 2]), (4, [0, 1, 2])], id="from the beginning of the eojeol"),
        pytest.param([(0, [0, 2]), (4, [4, 6, 5])], id="out of order"),
        pytest.param([(0, [0, 2]), (4, [4, 5, 99])], id="too large"),
        pytest.param([(0, [0, 2]), (4, [-(2**31), 5, 6])], id="negative"),
    ],
)
def test_offsets_that_cannot_be_are_made_from_the_forms(begins):
    eojeols = [
        (text, begin, [(form, tag, place) for (form, tag, _), place in zip(morphemes, places)])
        for (text, _, morphemes), (begin, places) in zip([TODAY, COLD], begins)
    ]
    assert surfaces("오늘은 추웠다", *eojeols) == ["오늘", "은", "추", "웠", "다"]


@pytest.mark.parametrize(
    "word, forms, expected",
    [
        ("했다", ["하", "았", "다"], ["했", "했", "다"]),
        ("공부한", ["공부", "하", "ㄴ"], ["공부", "한", "한"]),
        ("예쁘네요", ["예쁘", "네", "요"], ["예쁘", "네", "요"]),
        ("가", ["가", "아"], ["가", "가"]),
        ("봐", ["보", "아"], ["봐", "봐"]),
    ],
)
def test_forms_are_found_in_the_eojeol(word, forms, expected):
    morphemes = [(form, "NNG", 77) for form in forms]
    assert surfaces(word, (word, 0, morphemes)) == expected


def test_characters_beyond_the_basic_plane_count_once():
    smile = ("😀은", 0, [("😀", "SW", 0), ("은", "JX", 1)])
    fine = ("좋다", 3, [("좋", "VA", 3), ("다", "EF", 4)])
    assert surfaces("😀은 좋다", smile, fine) == ["😀", "은", "좋", "다"]


def test_words_are_those_of_the_line_even_where_the_server_splits_otherwise():
    parts = [("가", 0, [("가", "NNG", 0)]), ("나 다", 1, [("나", "NNG", 1), ("다", "NNG", 3)])]

    analysis = read("가나 다", *parts)

    assert analysis.word_starts == b"\1\0\1"
    assert (analysis.starts, analysis.ends) == ([0, 1, 3], [1, 2, 4])


def test_the_space_of_ideographs_separates_words():
    analysis = read("가\u3000나", ("가\u3000나", 0, [("가", "NNG", 0), ("나", "NNG", 1)]))
    assert (analysis.starts, analysis.ends) == ([0, 2], [1, 3])
    assert analysis.word_starts == b"\1\1"


def test_empty_forms_are_dropped():
    eojeol = ("가다", 0, [("", "VV", 0), ("가", "VV", 0), (" ", "SW", 1), ("다", "EF", 1)])
    analysis = read("가다", eojeol)
    assert (analysis.forms, analysis.tags) == (["가", "다"], ["VV", "EF"])
    assert (analysis.starts, analysis.ends) == ([0, 1], [1, 2])


def test_whitespace_in_forms_is_removed():
    assert read("가 나", ("가 나", 0, [("가 나", "NNP", 0)])).forms == ["가나"]


def test_an_eojeol_without_morphemes_is_a_morpheme():
    analysis = read("가 뷁", ("가", 0, [("가", "NNG", 0)]), ("뷁", 2, []))
    assert (analysis.forms, analysis.tags) == (["가", "뷁"], ["NNG", "UNK"])
    assert (analysis.starts, analysis.ends) == ([0, 2], [1, 3])


@pytest.mark.parametrize("number", [48, 2**31 - 1, -1])
def test_a_tag_that_later_servers_know_is_unknown(number):
    assert read("가", ("가", 0, [("가", number, 0)])).tags == ["UNK"]


def test_fields_that_later_servers_know_are_skipped():
    answer = answer_of([TODAY]) + b"\xa0\x06\x07"  # 100: 7
    (analysis,) = messages_of("bareun").analyses(["오늘은"], answer)
    assert analysis.forms == ["오늘", "은"]


@pytest.mark.parametrize(
    "sentences, reason",
    [
        ([], "0 sentences for 1 lines"),
        ([[TODAY, COLD]] * 2, "2 sentences for 1 lines"),
        ([[]], '"" where a line has "오늘은추웠다"'),
        ([[TODAY]], '"" where a line has "추웠다"'),
        ([[TODAY, COLD, COLD]], '"추웠다" where a line has ""'),
        ([[COLD, TODAY]], '"추웠다오늘은" where a line has "오늘은추웠다"'),
        ([[TODAY, ("", 4, []), COLD]], "an eojeol without text"),
    ],
)
def test_an_answer_about_other_text_is_refused(sentences, reason):
    with pytest.raises(UnusableAnswer) as raised:
        messages_of("deeq").analyses(["오늘은 추웠다"], answer_of(*sentences))
    assert str(raised.value) == reason


@pytest.mark.parametrize(
    "answer", [b"<html>", b"\x0a\xff", answer_of([TODAY])[:-1], b"\x0a\x05\x0a\x03\x0a\x01\xff"]
)
def test_an_answer_that_is_no_message_is_refused(answer):
    with pytest.raises(UnusableAnswer, match="bytes that are no such message"):
        messages_of("deeq").analyses(["오늘은"], answer)


SAME_NAMES = """
from google.protobuf import descriptor_pb2, descriptor_pool
for package in ("baikal.language", "bareun"):
    file = descriptor_pb2.FileDescriptorProto(name=package + ".proto", package=package)
    file.message_type.add(name="TextSpan").field.add(name="other", number=1, type=9, label=1)
    file.message_type.add(name="Sentence")
    descriptor_pool.Default().AddSerializedFile(file.SerializeToString())
"""
OURS = """
from deeq_bert.tokenizers.analyzers.deeq_messages import messages_of
for dialect in ("deeq", "bareun"):
    messages_of(dialect).request(["a"])
"""


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(SAME_NAMES + OURS, id="theirs first"),
        pytest.param(OURS + SAME_NAMES, id="ours first"),
        pytest.param("import tensorflow" + OURS, id="tensorflow", marks=pytest.mark.slow),
    ],
)
def test_definitions_of_the_same_names_do_not_clash(program):
    completed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert completed.returncode == 0, completed.stderr
