"""The Sejong corpora: text marked up nearly like XML, in UTF-16."""

import time

import pytest

from deeq_bert.corpus.readers import document_parts
from deeq_bert.corpus.readers.base import BrokenRecord, Document
from deeq_bert.corpus.readers.input_file import InputFile
from deeq_bert.corpus.readers.sejong import SejongReader
from deeq_bert.tokenizers.errors import InputError

HEADER = """<!DOCTYPE tei.2 SYSTEM "c:\\sgml\\dtd\\tei2.dtd" [
\t<!ENTITY % TEI.corpus "INCLUDE">
]>
<tei.2>
<teiHeader>
<fileDesc><titleStmt><title>책, 전자파일</title></titleStmt><idno>BRAA0001, 원본:X</idno></fileDesc>
<encodingDesc><p>머리말</p></encodingDesc>
</teiHeader>
<text>
"""
END = "</text>\n</tei.2>\n"


@pytest.fixture
def read(tmp_path):
    """A function that reads a text as the corpora are written."""

    def read(body, header=HEADER):
        path = tmp_path / "BRAA0001.txt"
        text = f"{header}{body}\n{END}".replace("\n", "\r\n")
        path.write_bytes(b"\xff\xfe" + text.encode("utf-16-le"))
        return list(SejongReader().read(InputFile(str(path))))

    return read


def test_headings_and_paragraphs_of_the_body_are_read(read):
    body = "<body>\n<head>제목</head>\n<p>가 나.</p>\n\n<P>다.</P>\n</body>"

    assert read(body) == [Document("BRAA0001", "책", ["제목", "가 나.", "다."])]


def test_a_paragraph_may_go_over_several_lines(read):
    assert read("<body><p>\n가\n나 <hi rend=bold>다</hi>라\n</p></body>")[0].paragraphs == [
        "가 나 다라"
    ]


def test_the_end_of_a_paragraph_may_be_left_out(read):
    assert read("<body><p>가\n<p>나\n<div1 n=2><head>다\n<p>라</body>")[0].paragraphs == [
        "가",
        "나",
        "다",
        "라",
    ]


def test_entities_are_decoded_and_bare_marks_kept(read):
    body = "<body><p>1 < 2 & 3 &lt;가&gt; R&D &amp; &#44032; <1></p></body>"

    assert read(body)[0].paragraphs == ["1 < 2 & 3 <가> R&D & 가 <1>"]


def test_of_analysed_text_the_words_are_taken(read):
    body = (
        "<body>\n<p>\nBTAA0001-00000012\t프랑스의\t프랑스/NNP + 의/JKG\n"
        "BTAA0001-00000013\t<르몽드>\t</SS + 르몽드/NNP + >/SS\n</p>\n<head>\n"
        "BTAA0001-00000014\t끝.\t끝/NNG + ./SF\n</head></body>"
    )

    assert read(body)[0].paragraphs == ["프랑스의 <르몽드>", "끝."]


def test_utterances_are_paragraphs(read):
    body = "<body><u who=P1><s n=1>안녕.</s> <s n=2>응.</s></u>\n<u who=P2>그래.</u></body>"

    assert read(body)[0].paragraphs == ["안녕. 응.", "그래."]


def test_every_body_is_a_document(read):
    body = "<body><p>가</p></body></text>\n<text><body><p>나</p></body>"

    assert [record.paragraphs for record in read(body)] == [["가"], ["나"]]


def test_a_long_text_comes_in_parts(read, monkeypatch):
    monkeypatch.setattr(document_parts, "MAX_DOCUMENT_CHARACTERS", 10)

    records = read("<body>" + "<p>가나다라마바</p>\n" * 5 + "</body>")

    assert [len(record.paragraphs) for record in records] == [2, 2, 1]


def test_a_text_without_paragraphs_is_told(read):
    (broken,) = read("<body>가나다</body>")

    assert isinstance(broken, BrokenRecord)
    assert broken.problem == "no <head> or <p> with text in its <body>"


def test_a_text_without_a_body_is_refused(read):
    with pytest.raises(InputError, match="no <body> in it"):
        read("가나다", header="")


@pytest.mark.parametrize("text", ["<", "<a ", "&", "&a", "<p>", "BTAA-", "<a\t", "\t"])
def test_a_long_line_takes_no_longer_than_its_length(read, text):
    begin = time.monotonic()
    read("<body><p>가 " + text * (1_000_000 // len(text)) + "</body>")

    assert time.monotonic() - begin < 5


def test_a_file_in_the_published_format(real_formats):
    path = real_formats / "sejong" / "BRAA0001.txt"
    body = path.read_text("utf-16").partition("<body>")[2]

    (record,) = SejongReader().read(InputFile(str(path)))

    assert (record.id, record.title) == ("BRAA0001", "구성 표본")
    assert len(record.paragraphs) == body.count("<p>") + body.count("<head>")
    assert record.paragraphs[1].startswith("나라의 책에 얽힌 속담과")
