"""Results of fine-tuning: written whole, read with care."""

import json

import pytest

from deeq_bert.bert.task_results import (
    TaskResult,
    mean_text,
    read_result,
    seed_folders,
    write_result,
)
from deeq_bert.tokenizers.errors import InputError

RESULT = TaskResult(
    task="nsmc",
    metric="accuracy",
    seed=5,
    step=100,
    dev={"accuracy": 0.75, "loss": 0.5},
    test={},
    examples={"train": 80, "dev": 20},
    settings={"learning_rate": 5e-5, "labels": ["0", "1"]},
    seconds=1.5,
)


def test_a_result_comes_back_as_it_was(tmp_path):
    write_result(str(tmp_path), RESULT)
    assert read_result(str(tmp_path)) == RESULT


def test_no_file_is_no_result(tmp_path):
    assert read_result(str(tmp_path)) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"task": "nsmc"',
        b"[]",
        b'{"task": "nsmc"}',
        json.dumps({**RESULT._asdict(), "step": "100"}).encode(),
        json.dumps({**RESULT._asdict(), "dev": {"accuracy": float("nan")}}).encode(),
        json.dumps({**RESULT._asdict(), "test": [1]}).encode(),
        b"[" * 100_000,
    ],
)
def test_what_is_no_result_is_said_so(tmp_path, content):
    (tmp_path / "result.json").write_bytes(content)
    with pytest.raises(InputError, match=r"result\.json is not the result of a fine-tuning run"):
        read_result(str(tmp_path))


def test_one_seed_has_the_folder_itself_and_several_have_their_own():
    assert seed_folders("out", 7, 1) == [(7, "out")]
    assert seed_folders("out", 7, 2) == [(7, "out/seed-7"), (8, "out/seed-8")]


@pytest.mark.parametrize(
    ("scores", "text"),
    [([0.87314], "87.31"), ([0.5, 0.6], "55.00 ± 7.07"), ([1.0, 1.0], "100.00 ± 0.00")],
)
def test_scores_are_shown_as_mean_and_deviation(scores, text):
    assert mean_text(scores) == text
