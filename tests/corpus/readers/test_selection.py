"""Which reader a file wants, and what options it takes."""

import pytest

from deeq_bert.corpus.readers.plain_text import PlainTextReader
from deeq_bert.corpus.readers.selection import READERS, ending_of, make_reader, reader_name
from deeq_bert.tokenizers.errors import InputError


@pytest.mark.parametrize(
    "path, name",
    [
        ("a.txt", "text"),
        ("A.TXT", "text"),
        ("news.csv.gz", "csv"),
        ("dump.xml.bz2", "xml"),
        ("posts.jsonl.zst", "jsonl"),
        ("my.json/posts.md", "markdown"),
        ("a.tar.txt", "text"),
    ],
)
def test_the_name_tells_the_reader(path, name):
    assert reader_name("auto", path) == name


@pytest.mark.parametrize("path", ["a", "a.gz", "a.dat", ".txt", "folder.txt/a"])
def test_a_name_that_says_nothing_wants_a_reader(path):
    with pytest.raises(InputError, match="Give --reader, one of text, csv"):
        reader_name("auto", path)


def test_a_reader_that_is_named_is_taken_whatever_the_file():
    assert reader_name("csv", "a.txt") == "csv"


def test_an_unknown_reader_is_refused():
    with pytest.raises(InputError, match="--reader=excel: no such reader. There are auto, text"):
        reader_name("excel", "a.txt")


def test_the_ending_of_a_compressed_file_is_that_of_its_content():
    assert ending_of("data/Task.CSV.gz") == ".csv"
    assert ending_of("data.csv/task") == ""


@pytest.mark.parametrize("name", READERS)
def test_every_reader_can_be_made_without_options(name):
    assert make_reader(name, {})


def test_options_for_whichever_reader_come_over_its_own():
    options = {"text": {"documents": "line"}, "*": {"documents": "file"}, "csv": {"text": "body"}}
    reader = make_reader("text", options)
    assert isinstance(reader, PlainTextReader)
    assert not reader.splits


@pytest.mark.parametrize(
    "option, value, message",
    [
        ("document", "line", "has no option 'document'; it has documents, join_lines"),
        ("documents", True, "reader.documents=True: expected a value such as 'blank_line'"),
        ("documents", 3, "reader.documents is '3'; expected one of"),
        ("join_lines", "yes", "reader.join_lines='yes': expected a value such as False"),
        ("join_lines", 1, "reader.join_lines=1: expected a value such as False"),
    ],
)
def test_a_wrong_option_is_named(option, value, message):
    with pytest.raises(InputError, match=message):
        make_reader("text", {"*": {option: value}})


def test_a_column_may_have_a_number_for_a_name():
    assert make_reader("csv", {"*": {"text": 3}})
