"""Sources: from flags and from manifests, with every wrong field named."""

import json
import os

import pytest

from deeq_bert.corpus.sources import make_source, read_manifest
from deeq_bert.tokenizers.errors import InputError


@pytest.fixture
def text(tmp_path) -> str:
    path = tmp_path / "a.txt"
    path.write_text("글이 있다.\n", encoding="utf-8")
    return str(path)


def manifest(tmp_path, *entries, **more) -> str:
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({"sources": entries, **more}), encoding="utf-8")
    return str(path)


def test_the_files_of_a_manifest_are_found_from_its_folder_on(tmp_path, text):
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "mine.json").write_text('{"reader": "text"}')
    path = manifest(tmp_path / "lists", {"input_file": "../a.txt", "config_file": "mine.json"})
    (source,) = read_manifest(path)
    assert [os.path.realpath(file) for file in source.files] == [text]
    assert source.name == "mine"


def test_an_entry_may_have_its_own_changes_and_the_flags_come_after(tmp_path, text):
    entry = {
        "input_file": "a.txt",
        "source": "books",
        "set": {"urls": False, "emoji.action": "keep"},
    }
    (source,) = read_manifest(manifest(tmp_path, entry), ["emoji.action=drop"])
    assert source.settings.rules["urls"]["on"] is False
    assert source.settings.rules["emoji"]["action"] == "drop"


def test_sources_of_one_name_are_told_apart(tmp_path, text):
    book = {"input_file": "a.txt", "source": "books"}
    path = manifest(tmp_path, book, book, {**book, "name": "books-2"}, book)
    names = [source.name for source in read_manifest(path)]
    assert len(set(names)) == 4
    assert names[0] == "books"
    assert names[2] == "books-2"


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"wieght": 2}, "source 1: unknown field 'wieght'; did you mean weight"),
        ({"weight": "2"}, "weight is '2'; expected a number"),
        ({"weight": True}, "weight is True; expected a number"),
        ({"weight": 0}, "the weight is 0; expected a number above 0"),
        ({"weight": -1}, "the weight is -1"),
        ({"weight": float("nan")}, "the weight is nan"),
        ({"weight": 1e9}, "up to 100"),
        ({"cap_mb": 0}, "cap_mb is 0; expected a number above 0"),
        ({"cap_mb": None}, "cap_mb is None; expected a number"),
        ({"cap_mb": float("nan")}, "cap_mb is nan"),
        ({"cap_mb": 10**400}, "cap_mb is 1000.*up to"),
        ({"name": 3}, "name is 3; expected a string"),
        ({"source": "boks"}, "source 1: .*did you mean books"),
        ({"source": ["books"]}, "source is .*expected a string"),
        ({"config_file": "mine.json"}, "either --source.*or --config_file"),
        ({"reader": "txt"}, "--reader=txt: no such reader"),
        ({"encoding": "utf-9"}, "--encoding=utf-9: not an encoding"),
        ({"set": 3}, "set is 3; expected"),
        ({"set": ["emoji"]}, "--set=emoji: expected rule.option=value"),
        ({"set": {"emojis.action": "drop"}}, "Unknown rule 'emojis'; did you mean emoji"),
        ({"set": {"emoji.act": "drop"}}, "unknown option 'act'"),
        ({"set": {"reader.column": "text"}}, "reader text has no option 'column'"),
        ({"set": {"short_lines.words": "many"}}, "words is 'many'; expected a whole number"),
        ({"input_file": "nothing.txt"}, "no file matches"),
        ({"input_file": 3}, "expected an object with input_file"),
        ({"exclude": "*"}, "leaves none of the files"),
    ],
)
def test_what_is_wrong_in_an_entry_is_named(tmp_path, text, fields, message):
    path = manifest(tmp_path, {"input_file": "a.txt", "source": "books", **fields})
    with pytest.raises(InputError, match=message) as raised:
        read_manifest(path)
    assert "source 1" in str(raised.value)


@pytest.mark.parametrize("content", ["[]", "{}", '{"sources": []}', '{"sources": {}}', "{", "\xff"])
def test_what_is_no_manifest_is_refused(tmp_path, content):
    path = tmp_path / "manifest.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match="manifest.json"):
        read_manifest(str(path))


def test_an_entry_that_is_no_object_is_named(tmp_path):
    with pytest.raises(InputError, match="source 1: expected an object"):
        read_manifest(manifest(tmp_path, "a.txt"))


@pytest.mark.parametrize("given", [{}, {"source": "books", "config_file": "mine.json"}])
def test_there_is_one_configuration(text, given):
    with pytest.raises(InputError, match="either --source"):
        make_source(text, **given)


def test_files_are_left_out_by_path_and_by_name(tmp_path, text):
    (tmp_path / "old").mkdir()
    for name in ("b.txt", "SOURCE.txt", "old/c.txt"):
        (tmp_path / name).write_text("글이 있다.")
    source = make_source(f"{tmp_path}/**", exclude="SOURCE.txt, */old/*", source="books")
    assert [os.path.basename(path) for path in source.files] == ["a.txt", "b.txt"]


def test_a_file_that_two_patterns_match_is_read_once(tmp_path, text):
    assert make_source(f"{text},{tmp_path}/*.txt", source="books").files == (text,)


def test_a_name_without_a_known_ending_wants_a_reader(tmp_path):
    (tmp_path / "a.dat").write_text("글")
    with pytest.raises(InputError, match="Give --reader"):
        make_source(str(tmp_path / "a.dat"), source="books")
    assert make_source(str(tmp_path / "a.dat"), source="books", reader="text").files


def test_a_pipe_is_refused_since_files_are_read_more_than_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(InputError, match="not a regular file"):
        make_source(str(tmp_path / "pipe.txt"), source="books")


def test_a_folder_is_no_file(tmp_path, text):
    with pytest.raises(InputError, match="no file matches"):
        make_source(str(tmp_path), source="books")
