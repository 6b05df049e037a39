"""Reading rows of tables and JSON."""

import pytest

from deeq_bert.bert.task_tables import read_columns, read_fields
from deeq_bert.tokenizers.errors import InputError


@pytest.fixture
def write(tmp_path):
    def write(name: str, content: str | bytes) -> str:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def values(path, *columns, optional=()):
    return [(row.number, row.values) for row in read_columns(path, columns, optional)]


def test_columns_are_found_by_the_names_in_the_first_line(write):
    path = write("a.tsv", "id\ttext\tlabel\n7\t좋다\t1\n8\t나쁘다\t0\n")
    assert values(path, "label", "text") == [(2, ["1", "좋다"]), (3, ["0", "나쁘다"])]


def test_a_column_that_is_there_twice_is_refused(write):
    path = write("a.csv", "text,note,text\na,b,c\n")
    assert values(path, "note") == [(2, ["b"])]
    with pytest.raises(InputError, match="line 1: two columns are called text"):
        values(path, "note", "text")


def test_columns_without_a_header_are_numbered(write):
    assert values(write("a.tsv", "좋다\t1\n"), 1, 0) == [(1, ["1", "좋다"])]


def test_quotes_in_a_tsv_are_text(write):
    path = write("a.txt", 'text\tlabel\n"열린\t1\n"""셋"""\t0\n')
    assert values(path, "text") == [(2, ['"열린']), (3, ['"""셋"""'])]


def test_quotes_in_a_csv_hold_commas_and_line_breaks(write):
    path = write("a.csv", 'text,label\n"첫째, ""둘째""",1\n"두\n줄",0\n끝,1\n')
    assert values(path, "text") == [(2, ['첫째, "둘째"']), (3, ["두\n줄"]), (5, ["끝"])]


def test_a_byte_order_mark_and_carriage_returns_are_no_text(write):
    path = write("a.csv", b"\xef\xbb\xbfid,text,\r\n1,a,\r\n2,b,1\r\n")
    assert values(path, "id", "text") == [(2, ["1", "a"]), (3, ["2", "b"])]


def test_blank_lines_at_the_end_are_no_rows(write):
    assert values(write("a.tsv", "text\tlabel\na\t1\n\n\n"), "text") == [(2, ["a"])]


def test_a_blank_line_between_rows_is_a_wrong_row(write):
    with pytest.raises(InputError, match="line 2: 1 column, where the first line has 2"):
        values(write("a.tsv", "text\tlabel\n\na\t1\n"), "text")


def test_one_column_may_be_blank(write):
    assert values(write("a.tsv", "text\na\n\nb\n"), "text") == [(2, ["a"]), (3, [""]), (4, ["b"])]


def test_only_line_feeds_end_a_line(write):
    assert list(read_fields(write("a.tsv", "a\u2028b\tc\n"))) == [(1, ["a\u2028b", "c"])]


@pytest.mark.parametrize("name", ["a.tsv", "a.jsonl", "a.json"])
def test_an_optional_column_may_be_missing(write, name):
    content = {"a.tsv": "text\na\n", "a.jsonl": '{"text": "a"}\n', "a.json": '[{"text": "a"}]'}
    rows = values(write(name, content[name]), "text", "label", optional=("label",))
    assert rows[0][1] == ["a", None]


def test_jsonl_is_an_object_a_line(write):
    path = write("a.jsonl", '{"text": "a", "label": 1}\n\n{"label": true, "text": "b\\nc"}\n')
    assert values(path, "text", "label") == [(1, ["a", "1"]), (3, ["b\nc", "true"])]


def test_json_is_a_list_of_objects_whose_keys_may_be_nested(write):
    path = write("a.json", '[{"s": "a", "labels": {"label": 3.7, "real-label": 3.714}}]')
    assert values(path, "s", "labels.label") == [(1, ["a", "3.7"])]


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("a.tsv", "", "a.tsv has no rows; expected the columns text"),
        ("a.tsv", "text\tlabel\n", "a.tsv has no rows"),
        ("a.tsv", "id\tlabel\n1\t1\n", "a.tsv, line 1: no column text; found id, label"),
        ("a.tsv", "text\tlabel\na\t1\nb\n", "a.tsv, line 3: 1 column, where .* 2"),
        ("a.tsv", "text\tlabel\na\tb\t1\n", "a.tsv, line 2: 3 columns, where .* no tab"),
        ("a.csv", "text,label\na,b,1\n", "a.csv, line 2: 3 columns, where .* comma"),
        ("a.csv", 'text,label\na,1\n"b,1\n', "a.csv, line 3: not a row of comma"),
        ("a.tsv", b"text\tlabel\n\xc1\xc1\t1\n", "line 2: not UTF-8"),
        ("a.json", b'[{"text": "\xc1"}]', "a.json: not UTF-8"),
        ("a.jsonl", '{"text": "a"}\n{"text": \n', "a.jsonl, line 2: not JSON"),
        ("a.jsonl", "[" * 100_000, "a.jsonl, line 1: not JSON"),
        ("a.jsonl", '["a"]\n', "line 1: expected a JSON object"),
        ("a.jsonl", '{"text": ["a"]}\n', "line 1: text is .*; expected a text or a number"),
        ("a.jsonl", '{"body": "a"}\n', "line 1: no key text; found body"),
        ("a.json", '{"text": "a"}', "expected a list of JSON objects"),
        ("a.json", '[{"text": "a"}, {}]', "a.json, item 2: no key text"),
        ("a.xlsx", "text", "a.xlsx: the ending of the name"),
    ],
)
def test_what_cannot_be_read_is_named(write, name, content, message):
    with pytest.raises(InputError, match=message):
        values(write(name, content), "text")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="Cannot read .*none.tsv: No such file"):
        values(str(tmp_path / "none.tsv"), "text")


def test_an_absurdly_long_line_is_not_read_whole(tmp_path):
    path = tmp_path / "long.tsv"
    with open(path, "wb") as file:
        file.write(b"text\n")
        file.truncate(64 * 1024 * 1024)
    with pytest.raises(InputError, match="line 2: longer than"):
        values(str(path), "text")
