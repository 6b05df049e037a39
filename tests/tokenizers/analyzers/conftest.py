"""Fixtures: servers that analyse text, and their clients."""

import pathlib

import pytest
from deeq_server import start_deeq_server  # noqa: F401  pytest finds it here

from deeq_bert.tokenizers.analyzers.deeq_client import ServerAnalyzer


@pytest.fixture
def log(tmp_path) -> pathlib.Path:
    """Where a server writes about its requests."""
    return tmp_path / "requests"


@pytest.fixture
def connect():
    """A function that makes analysers, which are closed after the test."""
    analyzers = []

    def make(*arguments, **keywords) -> ServerAnalyzer:
        analyzers.append(ServerAnalyzer(*arguments, **keywords))
        return analyzers[-1]

    yield make
    for analyzer in analyzers:
        analyzer.close()
