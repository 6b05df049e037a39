"""The compiled form of the draws; its instances are tested in test_instance_blocks.py."""

import random
import shutil
from array import array

import numpy as np
import pytest
from instance_rows import documents_of

from deeq_bert.bert import compiled_draws
from deeq_bert.bert.compiled_draws import CompiledDraws, is_compiled

needs_compiled = pytest.mark.skipif(
    not is_compiled(), reason="not compiled: pip install -e . with a C compiler does that"
)


@pytest.mark.skipif(
    shutil.which("cc") is None and shutil.which("gcc") is None, reason="there is no C compiler"
)
def test_it_is_compiled_where_there_is_a_compiler():
    assert is_compiled(), "pip install -e . compiles it"


def test_one_of_another_version_is_not_used(monkeypatch):
    monkeypatch.setattr(compiled_draws, "_VERSION", 0)
    assert not is_compiled()


@pytest.fixture
def draws() -> CompiledDraws:
    return CompiledDraws(documents_of([[5, 6], [7]] * 30, 10), 13, 0.1, None, "a seed")


@needs_compiled
@pytest.mark.parametrize("count", [0, 1, 2, 3, 64, 1000, 70_000])
def test_the_shuffle_is_the_standard_one(draws, count):
    items, expected = array("q", range(count)), list(range(count))
    rng = random.Random("a seed")
    for _ in range(2):
        draws.shuffle(items)
        rng.shuffle(expected)
    assert items.tolist() == expected


@needs_compiled
def test_documents_in_parts_are_as_all_at_once():
    sentences = [[5] * (number % 9 + 1) for number in range(50)]
    documents = documents_of(sentences, 10)
    order = array("q", [0])
    at_once = CompiledDraws(documents, 13, 0.1, None, 1)
    first, second = (at_once.make(order, 0, 1) for _ in range(2))
    again = CompiledDraws(documents, 13, 0.1, None, 1)
    assert again.make(order, 0, 0).segments.shape == (0, 4)
    assert np.array_equal(again.make(order, 0, 1).segments, first.segments)
    assert np.array_equal(again.make(order, 0, 1).segments, second.segments)


@needs_compiled
def test_a_state_of_another_size_is_refused():
    with pytest.raises(ValueError, match="625"):
        compiled_draws._instances.shuffle(array("I", [1, 2]), array("q", [1, 2]))
