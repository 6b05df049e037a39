"""JSON of any size: what is broken, and what blocks cut."""

import json
import time
import tracemalloc

import pytest

from deeq_bert.corpus.readers import input_file, json_documents, json_stream, json_window
from deeq_bert.corpus.readers.base import BrokenRecord, Document
from deeq_bert.corpus.readers.input_file import InputFile
from deeq_bert.corpus.readers.json_files import JsonReader
from deeq_bert.corpus.readers.json_paths import Path
from deeq_bert.corpus.readers.json_stream import JsonElements
from deeq_bert.corpus.readers.json_window import make_decoder
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


def test_a_broken_document_is_left_out_and_the_next_is_read(read):
    text = '[{"text": "가"}, {"text": wrong}, {"text": "나"}]'

    first, broken, last = read(TEXTS, text)

    assert (first.paragraphs, last.paragraphs) == (["가"], ["나"])
    assert broken.problem == "not JSON"
    assert broken.place.endswith("file.json, document 2")
    assert broken.sample.startswith('{"text": wrong}')


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_document_with_a_quotation_mark_too_many_does_not_take_others_along(read, end):
    wrong = '{"id": "2", "text": "그가 "아니 라고 했다"}'
    documents = ['{"id": "1", "text": "가"}', wrong, '{"id": "3", "text": "다"}', wrong]
    documents.append('{"id": "5", "text": "마"}')

    records = read(TEXTS, f"[{(',' + end).join(documents)}]")

    assert paragraphs(records) == [["가"], ["다"], ["마"]]
    assert problems(records) == ["not JSON", "not JSON"]


@pytest.mark.parametrize(
    "wrong", ['{"text": "나"', '{"text": "나}', '{"text": ["나"}', '{text": "나"}']
)
def test_a_mark_too_few_does_not_take_others_along(read, wrong):
    good = '{"text": "가", "rows": [{"no": 1}, {"no": 2}]}'

    records = read(TEXTS, f"[{good}, {wrong}, {good}, {good}]")

    assert paragraphs(records) == [["가"]] * 3
    assert problems(records) == ["not JSON"]


def test_every_broken_document_is_counted(read):
    wrong = '{"text": "가" "나", "more": [{"text": 1}]}'

    records = read(TEXTS, f'[{{"text": "가"}}, {wrong}, {wrong}, {wrong}, {{"text": "나"}}]')

    assert paragraphs(records) == [["가"], ["나"]]
    assert len(problems(records)) == 3


def test_a_file_that_is_broken_throughout_is_left(read, monkeypatch):
    monkeypatch.setattr(json_stream, "_MAX_BROKEN_IN_A_ROW", 3)

    records = read(TEXTS, '[{"text": "가"}' + ', {"text": x}' * 10 + "]")

    assert problems(records) == [*["not JSON"] * 3, "not JSON; the rest of the file is lost"]


def test_what_is_inside_a_broken_document_is_no_document(read):
    good = '{"title": "가", "rows": [{"text": "가"}]}'
    wrong = '{"title": "나"나", "rows": [{"text": "1"}, {"text": "2"}, {"text": "3"}]}'

    records = read(ROWS, f'{{"data": [{good}, {wrong}, {good}]}}')

    assert paragraphs(records) == [["가"], ["가"]]
    assert problems(records) == ["not JSON"]


def test_a_file_that_is_cut_short_says_so(read):
    records = read(TEXTS, '[{"text": "가"}, {"text": "나')

    assert paragraphs(records) == [["가"]]
    assert problems(records) == ["cut short; the rest of the file is lost"]


def test_a_bracket_too_many_is_told(read):
    assert problems(read(TEXTS, '[{"text": "가"}]]')) == [
        "not JSON: text after its end; the rest of the file is lost"
    ]


def test_a_comma_too_many_loses_nothing(read):
    assert paragraphs(read(TEXTS, '[{"text": "가"}, {"text": "나"},]')) == [["가"], ["나"]]


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_deep_nesting_is_a_broken_document(read, opening):
    closing = "]" if opening == "[" else "}"
    deep = opening * 200_000 + '"x"' + closing * 200_000

    records = read(TEXTS, f'[{{"text": "가"}}, {deep}, {{"text": "나"}}]')

    assert paragraphs(records) == [["가"], ["나"]]
    assert problems(records) == ["nested too deeply"]


def test_deep_nesting_without_end_is_told(read):
    assert problems(read(JsonReader(document="data[]"), '{"data": ' + "[" * 200_000)) == [
        "nested too deeply; the rest of the file is lost"
    ]


def test_a_document_that_is_too_long_is_left_out(read, monkeypatch):
    monkeypatch.setattr(json_window, "MAX_CHARACTERS", 10_000)
    monkeypatch.setattr(input_file, "BLOCK_BYTES", 1_000)
    long = json.dumps({"text": '가"' * 50_000})

    records = read(TEXTS, f'[{{"text": "가"}}, {long}, {{"text": "나"}}]')

    assert paragraphs(records) == [["가"], ["나"]]
    assert problems(records) == ["a value of over 10,000 characters"]


def test_a_file_that_is_too_long_for_a_document_needs_a_path(read, monkeypatch):
    monkeypatch.setattr(json_window, "MAX_CHARACTERS", 10_000)
    monkeypatch.setattr(input_file, "BLOCK_BYTES", 1_000)

    with pytest.raises(InputError, match=r"over 10,000 characters\. Name the list"):
        read(JsonReader(), json.dumps({"text": "a" * 50_000}))


def test_a_path_that_is_not_there_names_the_keys_that_are(read):
    with pytest.raises(InputError, match=r"no `docs\[\]`: the value has the keys version, data\."):
        read(JsonReader(document="docs[]"), DATA)
    with pytest.raises(InputError, match=r"no `data\.rows\[\]`: `data` is a list"):
        read(JsonReader(document="data.rows[]"), DATA)


def test_a_list_without_elements_has_no_documents(read):
    assert read(ROWS, '{"data": []}') == []


def test_texts_that_are_nowhere_name_the_keys_that_are(read):
    with pytest.raises(InputError, match=r"no text at `row\[\]` .*has the keys id, title, rows"):
        read(JsonReader(document="data[]", text="row[]"), DATA)
    with pytest.raises(InputError, match=r"`rows\[\]` has the keys text"):
        read(JsonReader(document="data[]", text="rows[]"), DATA)


def test_a_wrong_path_is_told_before_a_large_file_is_read(read, monkeypatch):
    monkeypatch.setattr(json_documents, "_MAX_MISSING_AT_START", 3)

    with pytest.raises(InputError, match="no text at"):
        read(TEXTS, '[{"a": 1}, {"a": 1}, {"a": 1}, {"text": "가"}]')


def test_a_document_without_text_is_counted_where_others_have_one(read):
    records = read(TEXTS, '[{"text": "가"}, {"review": "나"}]')

    assert problems(records) == ["no text at `text`"]
    assert records[1].sample == "has the keys review"


@pytest.mark.parametrize(
    "text", ['{"text": "가"}\n{"text": "나"}\n', '{"text": "가"}{"text": "나"}']
)
@pytest.mark.parametrize("document", ["", "data[]"])
def test_values_one_after_the_other_are_for_the_other_reader(read, text, document):
    with pytest.raises(InputError, match=r"several JSON values.*reader jsonl"):
        read(JsonReader(document=document), text)


@pytest.mark.parametrize("text", ["<html></html>", "안녕하세요.", "not json"])
def test_a_file_that_is_no_json_is_refused(read, text):
    with pytest.raises(InputError, match="file.json: not JSON, since it begins with"):
        read(JsonReader(), text)


def test_an_empty_file_is_told(read):
    assert problems(read(JsonReader(), "")) == ["an empty file"]


@pytest.mark.parametrize("block_bytes", [1, 2, 3, 7, 50])
def test_what_blocks_cut_is_put_together(tmp_path, monkeypatch, block_bytes):
    monkeypatch.setattr(input_file, "BLOCK_BYTES", block_bytes)
    skipped = {"a": ['가"\\', -1.5e-10, None, [{}, []], "}],{"], "b": True}
    documents = [{"id": i, "text": ["\U0001f600", '"\\' * i, "나\n"]} for i in range(5)]
    path = tmp_path / "file.json"
    value = {"x": skipped, "data": [*documents, -1.5e-10, 12345678, True], "y": skipped}
    for ascii_only in (True, False):
        text = json.dumps(value, ensure_ascii=ascii_only, indent=2)
        path.write_text(text)

        found = list(JsonElements(InputFile(str(path)), Path("data[]")))

        assert found == make_decoder().decode(text)["data"]


def test_a_large_file_is_read_in_little_memory(tmp_path):
    document = json.dumps({"id": "1", "paragraph": [{"form": "가나다라 " * 50}] * 20})
    path = tmp_path / "large.json"
    with open(path, "w") as file:
        file.write('{"before": [' + ", ".join([document] * 500) + '], "document": [')
        file.writelines([document + ",\n"] * 1_000)
        file.write(document + "]}")
    reader = JsonReader(document="document[]", text="paragraph[].form")

    tracemalloc.start()
    try:
        number = sum(len(document.paragraphs) for document in reader.read(InputFile(str(path))))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert number == 1_001 * 20
    assert path.stat().st_size > 35e6
    assert peak < 10e6


@pytest.mark.parametrize(
    "text",
    [
        '[{"text":"a"},{"text":' + "[" * 1_000_000,
        '[{"text":"a"},{"text":"b"x"},' + '{"b":[1]},' * 100_000,
        '[{"text":"a"},{"text":x},' + '{"a":[{},' * 100_000,
        '[{"text":"a"},{"text":x},' + '{"text":[{},' * 80_000,
        '[{"text":"a"},{"text":x},' + ('{"text":[{},' * 900 + "x") * 100,
        '[{"text":"a"},{"text":x},' + '{"' * 500_000,
        '[{"text":"a"},{"text":x' + "}, " * 300_000,
        '[{"text":"a"},"' + "\\" * 1_000_001 + '"',
        '[{"text":"a"},"' + '\\"' * 500_000,
        '[{"text":"a"},' + '"' * 1_000_000,
        '[{"text":"a"},x' + " " * 1_000_000,
    ],
)
def test_no_fault_takes_long(read, text):
    begin = time.monotonic()
    records = read(TEXTS, text)

    assert paragraphs(records)[0] == ["a"]
    assert problems(records)
    assert time.monotonic() - begin < 10
