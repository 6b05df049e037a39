"""The sample tasks: read as the official files are, with what their README says of them."""

import collections

import pytest

from deeq_bert.bert.tasks import make_task

COUNTS = {
    "nsmc": {"train": 216, "dev": 24, "test": 60},
    "question_pair": {"train": 200, "dev": 30, "test": 40},
}


@pytest.fixture(params=COUNTS)
def task(request, repository):
    folder = repository / "corpus" / "sample" / "tasks" / request.param
    return make_task(request.param, str(folder))


def test_every_split_is_as_large_as_the_readme_says(task):
    counts = {split: len(list(task.examples(split))) for split in ("train", "dev", "test")}
    assert counts == COUNTS[task.name]


def test_labels_are_balanced(task):
    for splits in (("train", "dev"), ("test",)):
        labels = collections.Counter(
            example.label for split in splits for example in task.examples(split)
        )
        assert labels["0"] == labels["1"]


def test_no_example_stands_twice(task):
    texts = [
        (example.text_a, example.text_b)
        for split in ("train", "dev", "test")
        for example in task.examples(split)
    ]
    assert len(texts) == len(set(texts))
