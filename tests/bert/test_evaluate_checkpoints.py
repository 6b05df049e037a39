"""The script that makes the table: what it refuses, and a sweep with real fine-tuning."""

import json
import shutil

import pytest
from sweep_stand_ins import end_run, write_run

SCRIPT = "bert/evaluate_checkpoints.py"


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "wordpiece")


@pytest.fixture
def task(tmp_path):
    """A task of 24 texts with two labels, in a table of its own."""
    data = tmp_path / "data" / "mood"
    data.mkdir(parents=True)
    rows = [f"{'좋은' if n % 2 else '나쁜'} 영화 {n}\t{n % 2}" for n in range(24)]
    for split in ("train", "dev", "test"):
        (data / f"{split}.tsv").write_text("\n".join(["text\tlabel", *rows]) + "\n", "utf-8")
    path = tmp_path / "mood.json"
    path.write_text(
        json.dumps(
            {
                "task_name": "columns",
                "text_column": "text",
                "label_column": "label",
                "max_seq_length": 16,
                "train_batch_size": 8,
                "num_train_epochs": 1,
                "evaluations": 1,
            }
        )
    )
    return path


@pytest.fixture
def evaluate(run_script, tmp_path, task):
    """A function that runs the script over the task, with more flags."""

    def evaluate(*flags):
        return run_script(
            SCRIPT,
            f"--data_dir={tmp_path / 'data'}",
            f"--tasks={task}",
            f"--output_dir={tmp_path / 'scores'}",
            "--gpus=0",
            *flags,
        )

    return evaluate


def assert_one_sentence(completed) -> str:
    assert completed.returncode == 1, completed.stderr
    assert "Traceback" not in completed.stderr
    return completed.stderr.split("ERROR: ")[1]


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--steps=first", "--steps=first is not understood"),
        ("--gpus=many", "--gpus=many is not understood"),
        ("--num_seeds=0", "--num_seeds=0; expected at least 1"),
        ("--jobs=0", "--jobs=0; expected at least 1"),
        ("--random_seed=-1", "--random_seed=-1; expected from 0"),
        ("--watch_seconds=0", "--watch_seconds=0.0; expected above 0"),
        ("--tasks=", "--tasks is empty"),
        ("--tasks=nsmcc", "did you mean nsmc"),
        ("--data_dir=nowhere", "--data_dir=nowhere: there is no such folder"),
        ("--set=epochs=3", "no flag epochs"),
        ("--model=nowhere", "There is no model at nowhere"),
        ("--steps=7", "There is no checkpoint to score: --steps=7"),
    ],
)
def test_what_cannot_be_is_said_before_work(evaluate, run, tmp_path, flag, message):
    assert message in assert_one_sentence(evaluate(f"--model={run}", flag))
    assert not (tmp_path / "scores" / "cells").exists()


def test_a_cell_that_fails_is_told_and_the_table_is_there(evaluate, run, tmp_path):
    # Its files are no checkpoint.
    completed = evaluate(f"--model={run}", "--steps=last", "--num_seeds=1")

    message = assert_one_sentence(completed)
    assert "1 cell(s) came to nothing" in message
    assert "wordpiece 200 mood: exit code 1. " in message
    assert "| wordpiece | 200 | - |" in (tmp_path / "scores" / "scores.md").read_text()


@pytest.fixture
def small_run(golden_model, own, tmp_path):
    """What a run has left: a small model, the first 200 tokens of a vocabulary, and its end."""
    folder = write_run(tmp_path / "out", steps=(), contract=False)
    for path in golden_model.glob("model.ckpt-7.*"):
        shutil.copy(path, folder)
    shutil.copy(golden_model / "bert_config.json", folder)
    tokens = (own / "vocab.txt").read_text("utf-8").splitlines()[:200]
    (folder / "vocab.txt").write_text("\n".join(tokens) + "\n", "utf-8")
    end_run(folder, 7)
    return folder


@pytest.mark.slow
def test_real_fine_tuning_makes_the_table_and_is_not_done_again(evaluate, small_run, tmp_path):
    flags = (f"--model=tiny={small_run}", "--do_lower_case=False", "--num_seeds=2", "--watch")

    completed = evaluate(*flags)
    assert completed.returncode == 0, completed.stderr
    assert "tiny: step 7, mood, 2 seed(s), dev accuracy" in completed.stderr
    table = json.loads((tmp_path / "scores" / "scores.json").read_text("utf-8"))
    (row,) = table["rows"]
    assert len(row["cells"]["mood"]["test"]["values"]) == 2
    assert row["cells"]["mood"]["examples"] == {"train": 24, "dev": 24, "test": 24}
    assert (tmp_path / "scores" / "scores.png").read_bytes().startswith(b"\x89PNG")
    assert not list((tmp_path / "scores" / "cells").rglob("*.ckpt*"))

    again = evaluate(*flags, "--plot=False")
    assert again.returncode == 0, again.stderr
    assert "1 cell(s), of which 1 are done already" in again.stderr
    assert "begins on" not in again.stderr
