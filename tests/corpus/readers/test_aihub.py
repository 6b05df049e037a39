"""AI-Hub: a data set is known by the keys of its files."""

import json

import pytest

from deeq_bert.corpus.readers.aihub import AiHubReader
from deeq_bert.corpus.readers.input_file import InputFile
from deeq_bert.tokenizers.errors import InputError

SENTENCES = [{"sentence": "가"}, {"sentence": "나"}]
FILES = {
    "624 source": {"SJML": {"header": {}, "text": [{"title": "제목", "content": "가"}]}},
    "624 labels": {"named_entity": [{"title": [{"sentence": "제목"}], "content": SENTENCES}]},
    "653": {"metadata": {"title": "책"}, "paragraphs": [{"sentences": [{"text": "가"}]}]},
    "97": {"documents": [{"id": "1", "title": "제목", "text": [SENTENCES, [], SENTENCES]}]},
    "89": {
        "version": "1",
        "data": [{"title": "제목", "paragraphs": [{"context": "가", "qas": []}]}],
    },
    "90": {"data": [{"doc_id": "1", "summary_entire": [{"original_text": "가"}]}]},
    "93": {"passage": "가", "summary": "나", "chapter": "1", "metadata": {"doc_name": "책"}},
    "110": {
        "data": [{"title": "제목", "rows": [{"no": 0, "text": "가"}, {"no": 1, "text": "나"}]}]
    },
    "86": [{"talk": {"id": {"talk-id": "1"}, "content": {"HS01": "가", "SS01": "나", "HS02": ""}}}],
    "119": {"id": "1", "utterance": [{"standard_form": "가", "form": "ㄱ", "speaker_id": "1"}] * 2},
    "463": {"utterance": [{"original_form": "가", "speaker_id": str(i)} for i in range(2)]},
    "71343": {"body": [{"participantID": "P01", "utterance": "가"}] * 2},
    "94": {"전사정보": {"LabelText": "가"}},
    "19": {"facts": {"bsisFacts": ["가", "나"]}, "clauseArticle": ["다"]},
}
FOUND = {
    "624 source": [["가"]],
    "624 labels": [["가", "나"]],
    "653": [["가"]],
    "97": [["가", "나", "가", "나"]],
    "89": [["가"]],
    "90": [["가"]],
    "93": [["가"]],
    "110": [["가", "나"]],
    "86": [["가", "나"]],
    "119": [["가 가"]],
    "463": [["가", "가"]],
    "71343": [["가 가"]],
    "94": [["가"]],
    "19": [["가", "나", "다"]],
}


@pytest.fixture
def read(tmp_path):
    """A function that reads a file of some value."""

    def read(value, dataset="auto", indent=None):
        path = tmp_path / "file.json"
        path.write_text(json.dumps(value, indent=indent), encoding="utf-8-sig")
        return list(AiHubReader(dataset=dataset).read(InputFile(str(path))))

    return read


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("indent", [None, 2])
def test_a_data_set_is_known_by_its_keys(read, name, indent):
    assert [record.paragraphs for record in read(FILES[name], indent=indent)] == FOUND[name]


@pytest.mark.parametrize("name", FILES)
def test_a_data_set_can_be_named(read, name):
    records = read(FILES[name], dataset=name.split()[0])

    assert [record.paragraphs for record in records] == FOUND[name]


def test_titles_and_names_are_found(read):
    (document,) = read(FILES["97"])

    assert (document.id, document.title) == ("1", "제목")


def test_the_keys_may_come_late(read):
    assert len(read({"about": "글" * 30_000, **FILES["110"]})) == 1


def test_a_data_set_may_have_a_number_with_zeros_or_as_a_number():
    AiHubReader(dataset="019")
    AiHubReader(dataset=110)


def test_a_number_that_is_not_known_is_refused():
    with pytest.raises(InputError, match="data set 5 is not known"):
        AiHubReader(dataset="5")


def test_a_file_that_is_not_known_is_refused(read):
    with pytest.raises(InputError, match=r"no AI-Hub data set .* it has `rows`, `rows\[\]`"):
        read({"rows": [{"text": "가"}]})


def test_a_file_of_another_data_set_is_refused(read):
    with pytest.raises(InputError, match="not the data set"):
        read(FILES["110"], dataset="624")
    with pytest.raises(InputError, match=r"no `documents\[\]`"):
        read(FILES["110"], dataset="97")


@pytest.mark.parametrize("text", ["[" * 300_000, '{"a\\' * 100_000, '"\\"' * 100_000, "글"])
def test_what_is_no_json_is_refused_soon(tmp_path, text):
    path = tmp_path / "file.json"
    path.write_text(text)

    with pytest.raises(InputError):
        list(AiHubReader().read(InputFile(str(path))))


def test_files_in_the_published_formats(real_formats):
    counts = {
        "110_domain": (100, 500),
        "119_dialect": (1, 60),
        "624_web_label": (200, 1_000),
        "624_web_source": (200, 200),
        "653_books_label": (1, 400),
        "71343_sns": (1, 60),
        "89_mrc": (100, 100),
        "97_summary": (100, 600),
    }
    for name, expected in counts.items():
        (path,) = (real_formats / "aihub" / name).glob("*.json")

        records = list(AiHubReader().read(InputFile(str(path))))

        assert (len(records), sum(len(record.paragraphs) for record in records)) == expected
