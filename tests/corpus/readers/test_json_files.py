"""JSON and JSON lines: documents, dialogues, faults, and files of any size."""

import json
import pickle

import pytest

from deeq_bert.corpus.readers import input_file, json_files
from deeq_bert.corpus.readers.base import BrokenRecord, Document
from deeq_bert.corpus.readers.input_file import InputFile
from deeq_bert.corpus.readers.json_files import JsonLinesReader, JsonReader
from deeq_bert.tokenizers.errors import InputError


def paragraphs(records):
    return [record.paragraphs for record in records if isinstance(record, Document)]


def problems(records):
    return [record.problem for record in records if isinstance(record, BrokenRecord)]


DATA = (
    '{"version": 1, "data": [{"id": 7, "title": "제목", "rows": [{"text": "가"}, {"text": "나"}]}]}'
)
ROWS = JsonReader(document="data[]", text="rows[].text", title="title", id="id")
TEXTS = JsonReader(document="[]")


def test_a_document_has_its_texts_title_and_id(read):
    assert read(ROWS, DATA) == [Document("7", "제목", ["가", "나"])]


def test_a_whole_file_can_be_a_document(read):
    (document,) = read(JsonReader(text="sentences", title="title"), '{"sentences": ["가", "나"]}')

    assert document.paragraphs == ["가", "나"]
    assert document.id.endswith("file.json, document 1")


def test_documents_can_be_the_values_of_an_object(read):
    text = '{"1": {"text": "가"}, "2": {"text": "나"}}'

    assert paragraphs(read(JsonReader(document="*"), text)) == [["가"], ["나"]]


def test_lists_in_lists_hold_documents(read):
    text = '{"data": [{"paragraphs": [{"context": "가"}]}, {"paragraphs": [{"context": "나"}]}]}'
    reader = JsonReader(document="data[].paragraphs[]", text="context")

    assert paragraphs(read(reader, text)) == [["가"], ["나"]]


def test_blank_and_null_texts_are_no_paragraphs(read):
    text = '[{"text": [" ", null, "", " 가 \\n"]}, {"text": null}]'

    assert paragraphs(read(TEXTS, text)) == [["가"], []]


def test_a_line_break_in_a_text_stays_in_the_paragraph(read):
    assert paragraphs(read(TEXTS, '[{"text": "가\\r\\n나\\n다"}]')) == [["가\n나\n다"]]


def test_a_byte_order_mark_is_skipped(read):
    assert paragraphs(read(TEXTS, b'\xef\xbb\xbf[{"text": "a"}]')) == [["a"]]


def test_numbers_stay_as_they_are_written(read):
    huge = "9" * 5_000
    text = f'[{{"id": {huge}, "text": "가", "x": NaN}}, {{"id": 1.50, "text": "나"}}]'

    records = read(JsonReader(document="[]", id="id"), text)

    assert [record.id for record in records] == [huge, "1.50"]


def test_of_keys_that_come_twice_the_last_counts(read):
    assert paragraphs(read(TEXTS, '[{"text": "가", "text": "나"}]')) == [["나"]]


def test_escaped_characters_are_read(read):
    text = r'[{"text": "\uac00\ud83d\ude00\n\"나\""}]'

    assert paragraphs(read(TEXTS, text)) == [['가😀\n"나"']]


def test_half_of_an_escaped_character_is_replaced(read):
    text = r'[{"text": "가\ud83d나", "title": "\ude00"}]'

    (document,) = read(JsonReader(document="[]", title="title"), text)

    assert (document.paragraphs, document.title) == (["가\ufffd나"], "\ufffd")


def test_html_is_taken_apart(read):
    reader = JsonReader(document="[]", content="html")

    assert paragraphs(read(reader, '[{"text": "<p>가</p><p>나 &amp; 다</p>"}]')) == [
        ["가", "나 & 다"]
    ]


DIALOGUE = [
    {"who": "1", "form": "안녕"},
    {"who": "1", "form": "반가워"},
    {"who": "2", "form": "응"},
    {"who": "1", "form": "그래"},
]


def test_what_one_speaker_says_in_a_row_is_a_paragraph(read):
    reader = JsonReader(text="utterance[].form", speaker="who")

    records = read(reader, json.dumps({"utterance": DIALOGUE}))

    assert paragraphs(records) == [["안녕 반가워", "응", "그래"]]


def test_utterances_of_nobody_are_not_joined(read):
    reader = JsonReader(text="[].form", speaker="who")

    assert paragraphs(read(reader, '[{"form": "가"}, {"form": "나"}]')) == [["가", "나"]]


@pytest.mark.parametrize(
    "keywords",
    [{"content": "word"}, {"text": "a..b"}, {"text": "a,b", "speaker": "c"}, {"speaker": "c[0]"}],
)
@pytest.mark.parametrize("reader", [JsonReader, JsonLinesReader])
def test_options_are_checked_at_once(reader, keywords):
    with pytest.raises(InputError):
        reader(**keywords)


@pytest.mark.parametrize("reader", [ROWS, JsonLinesReader(group="id", speaker="who")])
def test_readers_go_to_other_processes(reader):
    assert type(pickle.loads(pickle.dumps(reader))) is type(reader)


# JSON lines.


def test_every_line_is_a_document(read):
    text = '{"text": "가", "id": 3}\r\n\n{"text": ["나", "다"], "id": 4}'

    records = read(JsonLinesReader(id="id"), text)

    assert records == [Document("3", "", ["가"]), Document("4", "", ["나", "다"])]


def test_a_document_without_a_name_is_named_by_its_line(read):
    assert read(JsonLinesReader(), '\n{"text": "가"}')[0].id.endswith("file.json, line 2")


def test_a_broken_line_is_left_out(read):
    text = '{"text": "가"}\n{"text": \n' + "[" * 100_000 + '\n{"text": "나"}\n'

    records = read(JsonLinesReader(), text)

    assert paragraphs(records) == [["가"], ["나"]]
    assert problems(records) == ["not JSON", "nested too deeply"]
    assert records[1].place.endswith("file.json, line 2")


def test_an_overlong_line_is_left_out(read, monkeypatch):
    monkeypatch.setattr(input_file, "MAX_LINE_BYTES", 2_000)
    monkeypatch.setattr(input_file, "BLOCK_BYTES", 1_000)
    text = '{"text": "가"}\n{"text": "' + "a" * 10_000 + '"}\n{"text": "나"}\n'

    records = read(JsonLinesReader(), text)

    assert paragraphs(records) == [["가"], ["나"]]
    assert problems(records) == ["an overlong line"]


def test_one_value_over_several_lines_is_for_the_other_reader(read):
    with pytest.raises(InputError, match=r"over several lines.*reader json\."):
        read(JsonLinesReader(), json.dumps([{"text": "가"}], indent=1))


def test_a_file_of_plain_lines_is_refused(read):
    with pytest.raises(InputError, match="its first 100 lines are not JSON"):
        read(JsonLinesReader(), "안녕하세요.\n" * 200)


def test_lines_without_text_name_the_keys_that_are_there(read):
    with pytest.raises(InputError, match="the value has the keys content"):
        read(JsonLinesReader(), '{"content": "가"}\n' * 3)


GROUPED = "".join(
    json.dumps({"talk": talk, "who": who, "text": text}) + "\n"
    for talk, who, text in [
        ("1", "a", "하나"),
        ("1", "a", "둘"),
        ("1", "b", "셋"),
        ("2", "a", "넷"),
        (None, "a", "다섯"),
        (None, "a", "여섯"),
        ("1", "b", "일곱"),
    ]
)
GROUPS = JsonLinesReader(group="talk", speaker="who", id="talk")


def test_lines_in_a_row_with_the_same_value_are_a_document(read):
    assert paragraphs(read(GROUPS, GROUPED)) == [
        ["하나 둘", "셋"],
        ["넷"],
        ["다섯"],
        ["여섯"],
        ["일곱"],
    ]


def test_a_group_is_bounded(read, monkeypatch):
    monkeypatch.setattr(json_files, "_MAX_GROUP_CHARACTERS", 10)

    with pytest.raises(InputError, match="the same `talk`"):
        read(JsonLinesReader(group="talk"), '{"talk": "1", "text": "가나다라"}\n' * 5)


@pytest.mark.parametrize("reader", [JsonLinesReader(), GROUPS])
def test_ranges_of_a_file_have_every_document_once(read, reader):
    lines = GROUPED.splitlines(keepends=True)
    text = "".join([*lines[:2], "{broken\n", *lines[2:], "\n"]).encode()
    whole = [record.paragraphs or 0 for record in map(_plain, read(reader, text))]
    for first in range(0, len(text), 3):
        for second in range(first, len(text), 29):
            cuts = [0, first, second, len(text)]
            parts = [
                _plain(record)
                for begin, end in zip(cuts, cuts[1:])
                for record in read(reader, text, begin=begin, end=end)
                if begin < end
            ]
            assert sorted(map(str, (part.paragraphs or 0 for part in parts))) == sorted(
                map(str, whole)
            )


def _plain(record):
    return record if isinstance(record, Document) else Document("", "", ["broken"])


# Real files, counted in another way.


def count(records):
    documents = [record for record in records if isinstance(record, Document)]
    assert len(documents) == len(records)
    return len(documents), sum(len(document.paragraphs) for document in documents)


def is_text(text):
    return bool(text and text.strip())


def test_a_bible(real_corpus):
    reader = JsonReader(document="chapters[]", text="verses[].text")
    for path in sorted((real_corpus / "books" / "bible_krv_json").glob("*.json")):
        value = json.loads(path.read_text("utf-8-sig"))
        verses = [verse["text"] for chapter in value["chapters"] for verse in chapter["verses"]]

        records = list(reader.read(InputFile(str(path))))

        assert count(records) == (len(value["chapters"]), sum(map(is_text, verses)))


def test_reading_comprehension(real_corpus):
    (path,) = (real_corpus / "wiki" / "korquad1_dev_json").rglob("*.json")
    value = json.loads(path.read_text())

    reader = JsonReader(document="data[]", text="paragraphs[].context", title="title")
    records = list(reader.read(InputFile(str(path))))

    contexts = [
        [paragraph["context"] for paragraph in data["paragraphs"]] for data in value["data"]
    ]
    assert [record.title for record in records] == [data["title"] for data in value["data"]]
    assert [[" ".join(text.split()) for text in record.paragraphs] for record in records] == [
        [" ".join(text.split()) for text in texts] for texts in contexts
    ]


def test_petitions(real_corpus):
    for path in sorted((real_corpus / "web" / "petitions_jsonl").glob("*.jsonl")):
        rows = [json.loads(line) for line in path.read_text().split("\n") if line]
        expected = sum(is_text(row[key]) for row in rows for key in ("title", "content"))

        records = list(JsonLinesReader(text="title,content").read(InputFile(str(path))))

        assert count(records) == (len(rows), expected)
