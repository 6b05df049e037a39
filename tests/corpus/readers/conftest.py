"""Fixtures: a reader at work on some text."""

import pytest

from deeq_bert.corpus.readers.input_file import InputFile


@pytest.fixture
def read(tmp_path):
    """A function that reads some text with a reader; test files of one format have their own."""

    def read(reader, text, name="file.json", **keywords):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return list(reader.read(InputFile(str(path), **keywords)))

    return read
