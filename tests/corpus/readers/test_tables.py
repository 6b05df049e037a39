"""Tables: quoting, columns, rows that belong together, and files in disorder."""

import random
import time

import pytest

from deeq_bert.corpus.readers import input_file, table_rows
from deeq_bert.corpus.readers.base import BrokenRecord
from deeq_bert.corpus.readers.input_file import InputFile
from deeq_bert.corpus.readers.tables import TableReader
from deeq_bert.tokenizers.errors import InputError


def read(tmp_path, table: str, **options) -> list:
    path = tmp_path / "table.csv"
    path.write_bytes(table.encode())
    return list(TableReader(**options).read(InputFile(str(path))))


def texts(tmp_path, table: str, **options) -> list:
    """The paragraphs of each document, and the problem of each broken record."""
    return [
        record.problem if isinstance(record, BrokenRecord) else record.paragraphs
        for record in read(tmp_path, table, **options)
    ]


def test_each_row_is_a_document(tmp_path):
    table = "id,title,content\n7,제목,본문이다.\n8,,둘째.\n"
    first, second = read(tmp_path, table, title="title", id="id")
    assert (first.id, first.title, first.paragraphs) == ("7", "제목", ["본문이다."])
    assert (second.id, second.title, second.paragraphs) == ("8", "", ["둘째."])


def test_rows_without_id_are_called_by_their_place(tmp_path):
    documents = read(tmp_path, 'content\n"두\n줄"\n다음\n')
    assert [document.id.rpartition(", ")[2] for document in documents] == ["line 2", "line 4"]


def test_a_byte_order_mark_and_carriage_returns_are_no_text(tmp_path):
    assert texts(tmp_path, "\ufeffcontent,label\r\n글이다.,1\r\n") == [["글이다."]]


def test_cells_in_quotes_hold_commas_quotes_and_lines(tmp_path):
    table = 'n,content\n1,"쉼표, 그리고 ""따옴표""\n\n둘째 문단"\n2,다음\n'
    assert texts(tmp_path, table) == [['쉼표, 그리고 "따옴표"', "둘째 문단"], ["다음"]]


def test_without_quoting_a_quote_is_a_character(tmp_path):
    table = 'id\tdocument\tlabel\n1\t"최고의 영화\t1\n2\t별로" 였다\t0\n'
    options = {"delimiter": "\\t", "quoting": "none", "text": "document"}
    assert texts(tmp_path, table, **options) == [['"최고의 영화'], ['별로" 였다']]


def test_quotes_inside_a_cell_without_quotes_are_text(tmp_path):
    assert texts(tmp_path, 'n,content\n1,그는 "그래" 했다\n') == [['그는 "그래" 했다']]


def test_text_after_a_closing_quote_is_kept(tmp_path):
    assert texts(tmp_path, 'n,content\n1,"그래"라고 했다\n') == [["그래라고 했다"]]


def test_several_columns_are_paragraphs(tmp_path):
    assert texts(tmp_path, "Q,A,label\n안녕?,반가워.,0\n", text="Q, A") == [["안녕?", "반가워."]]


def test_columns_are_numbers_where_there_is_no_header(tmp_path):
    options = {"header": False, "delimiter": "|", "text": "3"}
    assert texts(tmp_path, "0|1|가\n0|2|나\n", **options) == [["가"], ["나"]]
    assert texts(tmp_path, "가|1\n", **{**options, "text": 1}) == [["가"]]


def test_rows_with_the_same_value_are_one_document(tmp_path):
    table = "talk,content\n1,가\n1,나\n2,다\n1,라\n"
    documents = read(tmp_path, table, group="talk", id="talk")
    assert [(document.id, document.paragraphs) for document in documents] == [
        ("1", ["가", "나"]),
        ("2", ["다"]),
        ("1", ["라"]),
    ]


def test_cells_may_hold_html(tmp_path):
    table = 'content\n"<p>첫 문단</p><script>x</script><p>a &amp; b</p>"\n'
    assert texts(tmp_path, table, content="html") == [["첫 문단", "a & b"]]


def test_empty_cells_and_lines_are_no_documents(tmp_path):
    assert texts(tmp_path, 'n,content\n1,\n\n2,""\n3,글\n') == [["글"]]


def test_rows_with_the_wrong_number_of_cells_are_broken(tmp_path):
    table = "n,content,label\n1\n2,쉼표, 가 든 글,0\n3,글,1,,\n"
    assert texts(tmp_path, table) == ["too few cells", "too many cells", ["글"]]


def test_a_broken_row_is_told_with_place_and_sample(tmp_path):
    (broken,) = read(tmp_path, "n,content\n하나뿐\n")
    assert broken.place.endswith("table.csv, line 2")
    assert broken.sample == "하나뿐"


def test_a_missing_column_is_told_with_those_there_are(tmp_path):
    with pytest.raises(InputError, match="no column 'content' .*there are 'id', 'text'"):
        read(tmp_path, "id,text\n1,가\n")
    with pytest.raises(InputError, match="no column 4 .*the first row has 2 cells"):
        read(tmp_path, "1,가\n", header=False, text="4")


def test_an_empty_file_has_no_documents(tmp_path):
    assert read(tmp_path, "") == []


def test_a_quote_that_is_not_closed_costs_its_row_only(tmp_path):
    table = 'n,content,label\n1,"열린 글,0\n2,가,0\n3,"나, 다",0\n4,라,0\n'
    assert texts(tmp_path, table) == ["quote not closed", ["가"], ["나, 다"], ["라"]]


def test_a_quote_that_is_never_closed_costs_its_row_only(tmp_path):
    table = 'n,content\n1,"열린 글\n' + "2,가\n" * 100
    assert texts(tmp_path, table) == ["quote not closed", *[["가"]] * 100]


def test_a_row_that_swallows_others_is_known_by_its_cells(tmp_path):
    table = 'n,content,label\n1,"열린 글,0\n2,가,"0"\n'
    assert texts(tmp_path, table) == ["quote not closed", ["가"]]


def test_a_row_of_too_many_lines_is_broken(tmp_path, monkeypatch):
    monkeypatch.setattr(table_rows, "MAX_ROW_CHARACTERS", 50)
    table = 'n,content\n1,"' + "가,나\n" * 30 + '"\n'
    assert texts(tmp_path, table)[:2] == ["quote not closed", ["나"]]


def test_a_large_cell_is_read(tmp_path):
    large = "큰 칸이다. " * 50_000
    assert texts(tmp_path, f'content\n"{large}"\n') == [[large.strip()]]


def test_a_file_full_of_open_quotes_is_read_in_time(tmp_path, monkeypatch):
    monkeypatch.setattr(table_rows, "MAX_ROW_CHARACTERS", 1 << 20)
    start = time.monotonic()
    texts(tmp_path, "n,content,c\n" + 'x",y,"z\n' * 150_000)
    assert time.monotonic() - start < 20


def test_a_line_that_is_too_long_is_a_broken_record(tmp_path, monkeypatch):
    monkeypatch.setattr(input_file, "MAX_LINE_BYTES", 100)
    monkeypatch.setattr(input_file, "BLOCK_BYTES", 16)
    for quoting in ("csv", "none"):
        table = "content\n가\n" + "x" * 500 + "\n나\n"
        assert texts(tmp_path, table, quoting=quoting) == [["가"], "line too long", ["나"]]


def test_every_row_is_in_one_range_wherever_the_cuts_are(tmp_path):
    choose = random.Random(1)
    rows = [f"{number}\t{'가나 ' * choose.randint(0, 5)}글\t0" for number in range(50)]
    data = "\n".join(["id\tdocument\tlabel", *rows]).encode()
    path = tmp_path / "table.tsv"
    path.write_bytes(data)
    reader = TableReader("\t", "none", text="document", id="id")
    assert reader.splits
    for _ in range(50):
        cuts = sorted(choose.sample(range(1, len(data)), 4))
        ids = [
            document.id
            for begin, end in zip([0, *cuts], [*cuts, len(data)])
            for document in reader.read(InputFile(str(path), begin=begin, end=end))
        ]
        assert ids == list(map(str, range(50)))


def test_the_first_row_of_the_file_tells_the_columns_of_every_range(tmp_path):
    path = tmp_path / "table.tsv"
    path.write_bytes(b"a\tb\nc\nd\te\n")
    reader = TableReader("\t", "none", text="1", header=False)
    (broken, document) = reader.read(InputFile(str(path), begin=4, end=10))
    assert (broken.problem, document.paragraphs) == ("too few cells", ["d"])


def test_only_what_can_be_read_in_ranges_says_so():
    assert not TableReader().splits
    assert not TableReader("\t", "none", group="id").splits


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quoting": "all"}, "reader.quoting is 'all'; expected csv or none"),
        ({"content": "xml"}, "reader.content is 'xml'; expected text or html"),
        ({"delimiter": ""}, "reader.delimiter is ''"),
        ({"delimiter": "::"}, "more than one character goes only with reader.quoting=none"),
        ({"text": " ,"}, "reader.text is empty"),
        ({"text": "0", "header": False}, "'0' is no number"),
        ({"text": "글", "header": False}, "'글' is no number"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(InputError, match=message):
        TableReader(**options)


def test_press_releases_are_read_whole(real_corpus):
    (path,) = (real_corpus / "news" / "press_release_csv").rglob("*.csv")
    records = list(TableReader(title="title", id="id").read(InputFile(str(path))))
    assert not [record for record in records if isinstance(record, BrokenRecord)]
    assert len(records) == 1043
    assert all(len(record.id) == 36 for record in records)


def test_translations_are_read_by_their_korean_column(real_formats):
    path = real_formats / "aihub" / "86_translation" / "3_news_200226.csv"
    records = list(TableReader(text="원문", id="ID").read(InputFile(str(path))))
    assert [record.id for record in records] == [str(number) for number in range(1, 201)]
