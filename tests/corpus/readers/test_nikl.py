"""The corpora of the NIKL: one reader finds the text in each of them."""

import json

import pytest

from deeq_bert.corpus.readers.base import BrokenRecord, Document
from deeq_bert.corpus.readers.input_file import InputFile
from deeq_bert.corpus.readers.nikl import NiklReader
from deeq_bert.tokenizers.errors import InputError


@pytest.fixture
def read(tmp_path):
    """A function that reads a corpus file of some documents."""

    def read(document, name="file.json"):
        path = tmp_path / name
        path.write_text(
            json.dumps({"id": "X", "metadata": {"title": "말뭉치"}, "document": document})
        )
        return list(NiklReader().read(InputFile(str(path))))

    return read


def written(id, *forms, title="제목"):
    paragraphs = [{"id": f"{id}.{i}", "form": form} for i, form in enumerate(forms)]
    return {"id": id, "metadata": {"title": title}, "paragraph": paragraphs}


def spoken(id, *utterances):
    return {
        "id": id,
        "metadata": {"title": "일상 대화", "topic": "여행"},
        "utterance": [
            {"form": form, "original_form": f"어 {form}", "speaker_id": speaker}
            for speaker, form in utterances
        ],
    }


def test_written_text_has_its_paragraphs_and_title(read):
    assert read([written("WARW1900000001.1", "가", "나")]) == [
        Document("WARW1900000001.1", "제목", ["가", "나"])
    ]


def test_a_title_that_is_not_given_is_none(read):
    assert read([written("EBRW1900000001.1", "가", title="NA")])[0].title == ""


@pytest.mark.parametrize("prefix", ["NWRW", "NLRW", "NPRW", "NIRW", "NZRW"])
def test_the_first_paragraph_of_an_article_is_its_headline(read, prefix):
    article = written(f"{prefix}1900000001.1", "머리", "가", "나", title="신문 2018년 기사")

    assert read([article]) == [Document(f"{prefix}1900000001.1", "머리", ["가", "나"])]


def test_the_name_of_the_file_tells_a_newspaper_too(read):
    assert read([written("1", "머리", "가")], name="NWRW1900000001.json") == [
        Document("1", "머리", ["가"])
    ]


def test_tags_of_later_releases_are_taken_away(read):
    article = written("NWRW2400000001.1", "<p>머리</p>", "<p>가</p><p>나</p>", "<p>1 <p 2</p>")

    assert read([article]) == [Document("NWRW2400000001.1", "머리", ["가", "나", "1 <p 2"])]


def test_what_one_speaker_says_in_a_row_is_a_paragraph(read):
    dialogue = spoken("SDRW2000000001.1", ("1", "안녕"), ("1", "응"), ("2", "그래"), ("1", "자"))

    assert read([dialogue]) == [Document("SDRW2000000001.1", "", ["안녕 응", "그래", "자"])]


def test_a_record_of_parliament_is_one_document(read):
    assert read(spoken("SBRW2100000001.1", ("1", "개의합니다."))) == [
        Document("SBRW2100000001.1", "", ["개의합니다."])
    ]


def test_annotated_text_has_its_sentences(read):
    document = {"id": "NXMP1902008040.1", "sentence": [{"form": "가", "word": []}, {"form": "나"}]}

    assert read([document]) == [Document("NXMP1902008040.1", "", ["가", "나"])]


def test_a_document_of_another_kind_is_left_out(read):
    first, second = read([written("1", "가"), {"id": "2", "other": []}])

    assert first.paragraphs == ["가"]
    assert isinstance(second, BrokenRecord)


def test_a_file_of_another_kind_is_refused(read, tmp_path):
    with pytest.raises(InputError, match="has the keys id, other"):
        read([{"id": "2", "other": []}])
    (tmp_path / "other.json").write_text('{"data": []}')
    with pytest.raises(InputError, match=r"no `document\[\]`: the value has the keys data"):
        list(NiklReader().read(InputFile(str(tmp_path / "other.json"))))


def test_writing_that_was_not_published_is_xml(tmp_path):
    path = tmp_path / "WDRW1900000001.sjml"
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n<SJML><header><fileInfo><fileId>WDRW1</fileId>'
        "</fileInfo><sourceInfo><title>일기</title></sourceInfo></header>\n"
        '<text date="20090000"><p>가 &lt;나&gt;</p>\n<p>다</p></text></SJML>'
    )

    assert list(NiklReader().read(InputFile(str(path)))) == [
        Document("WDRW1", "일기", ["가 <나>", "다"])
    ]


def test_files_in_the_published_formats(real_formats):
    for path in sorted((real_formats / "nikl").glob("*/*.json")):
        value = json.loads(path.read_text())["document"]
        expected = []
        for document in value if isinstance(value, list) else [value]:
            if "paragraph" in document:
                is_news = path.parent.name == "NIKL_NEWSPAPER"
                expected.append((document["id"], len(document["paragraph"]) - is_news))
            else:
                speakers = [utterance["speaker_id"] for utterance in document["utterance"]]
                changes = sum(one != next for one, next in zip(speakers, speakers[1:]))
                expected.append((document["id"], 1 + changes))

        records = list(NiklReader().read(InputFile(str(path))))

        assert [(record.id, len(record.paragraphs)) for record in records] == expected


def test_diaries_in_the_published_format(real_formats):
    for path in sorted((real_formats / "nikl" / "NIKL_NP").glob("*.sjml")):
        (record,) = NiklReader().read(InputFile(str(path)))

        assert record.id == path.stem
        assert len(record.paragraphs) == path.read_text().count("<p>")
