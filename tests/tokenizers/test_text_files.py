"""Finding the text files that a flag names."""

import logging

import pytest

from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.text_files import find_text_files


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("b.txt", "a.txt"):
        (tmp_path / name).write_text("글\n")
    monkeypatch.chdir(tmp_path)


def test_files_are_in_order(folder):
    assert find_text_files("input_file", "*.txt") == ["a.txt", "b.txt"]


def test_no_match_is_an_error(folder):
    with pytest.raises(InputError, match=r"--input_file=\*\.md: no file matches"):
        find_text_files("input_file", "*.md")


def test_a_pattern_without_match_is_a_warning(folder, caplog):
    with caplog.at_level(logging.WARNING, logger="absl"):
        assert find_text_files("input_file", "a.txt,c.txt") == ["a.txt"]
    assert "nothing matches c.txt" in caplog.text


def test_a_file_named_twice_is_a_warning(folder, caplog):
    with caplog.at_level(logging.WARNING, logger="absl"):
        assert find_text_files("input_file", "a.txt,*.txt") == ["a.txt", "a.txt", "b.txt"]
    assert "more than once" in caplog.text
