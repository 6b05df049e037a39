"""The scripts that run one stage each, on the sample text."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest


@pytest.fixture
def run_stage(repository):
    """Runs a script of scripts/ with the Python of the tests and the given variables."""

    def run(name, *flags, **variables) -> subprocess.CompletedProcess:
        programs = f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"
        return subprocess.run(
            ["bash", repository / "scripts" / name, *flags],
            env={**os.environ, "PATH": programs, **variables},
            capture_output=True,
            text=True,
        )

    return run


@pytest.fixture
def corpus(repository, tmp_path):
    """A corpus of two files, and the folder for its records."""
    folder = tmp_path / "my corpus"
    folder.mkdir()
    sample = repository / "corpus" / "sample"
    shutil.copy(sample / "sample.txt", folder / "train-00001.txt")
    shutil.copy(sample / "heldout.txt", folder / "train-00002.txt")
    return {
        "CORPUS": str(folder),
        "VOCAB_FILE": str(sample / "vocab.txt"),
        "RECORDS": str(tmp_path / "my records"),
    }


def test_raw_files_then_text_then_records(run_stage, repository, tmp_path):
    variables = {
        "SOURCES": str(repository / "corpus" / "sample" / "raw" / "sources.json"),
        "CORPUS": str(tmp_path / "my text"),
        "VOCAB_FILE": str(repository / "corpus" / "sample" / "vocab.txt"),
        "RECORDS": str(tmp_path / "records"),
    }
    cleaned = run_stage("clean_corpus.sh", "--heldout_fraction=0.2", **variables)
    assert cleaned.returncode == 0, cleaned.stderr
    assert "\n\n" in (tmp_path / "my text" / "heldout.txt").read_text("utf-8")
    again = run_stage("clean_corpus.sh", "--heldout_fraction=0.2", **variables)
    assert "All of this is done already" in again.stderr

    made = run_stage("make_records.sh", **variables)
    assert made.returncode == 0, made.stderr
    # What is held out is no text to train on.
    assert [path.name for path in (tmp_path / "records").glob("*.tf")] == ["train-0001.tf"]


def test_records_then_pretraining_then_scores(run_stage, corpus, repository, tmp_path):
    made = run_stage("make_records.sh", **corpus)
    assert made.returncode == 0, made.stderr
    records = pathlib.Path(corpus["RECORDS"])
    made_files = sorted(path.name for path in records.iterdir())
    assert made_files == [
        f"train-0000{number}.tf{ending}" for number in (1, 2) for ending in ("", ".json")
    ]

    trained = run_stage(
        "pretrain.sh",
        "--num_train_steps=2",
        "--train_batch_size=4",
        "--max_eval_steps=1",
        RECORDS=corpus["RECORDS"],
        OUTPUT_DIR=str(tmp_path / "out"),
        BERT_CONFIG=str(repository / "configs" / "bert_config_tiny.json"),
    )
    assert trained.returncode == 0, trained.stderr
    assert (tmp_path / "out" / "model.ckpt-2.index").exists()
    assert "global_step = 2" in (tmp_path / "out" / "eval_results.txt").read_text()

    scored = run_stage(
        "evaluate_checkpoints.sh",
        "--steps=last",
        "--num_seeds=1",
        "--random_floor=False",
        "--set=max_train_examples=32",
        "--set=num_train_epochs=1",
        MODELS=f"mine={tmp_path / 'out'}",
        TASK_DATA=str(repository / "corpus" / "sample" / "tasks"),
        OUTPUT_DIR=str(tmp_path / "scores"),
        TASKS="nsmc",
    )
    assert scored.returncode == 0, scored.stderr
    assert "| mine | 2 |" in (tmp_path / "scores" / "scores.md").read_text("utf-8")


@pytest.mark.parametrize("tokenizer", ["wordpiece", "deeq"])
def test_a_vocabulary_then_records(run_stage, corpus, tmp_path, tokenizer):
    if tokenizer == "deeq":
        pytest.importorskip("kiwipiepy", reason="needs pip install -e '.[deeq]'")
    variables = {**corpus, "TOKENIZER": tokenizer, "VOCAB_FILE": str(tmp_path / "vocab.txt")}
    built = run_stage("build_vocab.sh", "--vocab_size=1500", "--min_char_frequency=2", **variables)
    assert built.returncode == 0, built.stderr
    made = run_stage("make_records.sh", "--dupe_factor=1", **variables)
    assert made.returncode == 0, made.stderr
    assert (pathlib.Path(corpus["RECORDS"]) / "train-00002.tf").exists()


def test_records_that_exist_are_kept(run_stage, corpus):
    records = pathlib.Path(corpus["RECORDS"])
    records.mkdir()
    (records / "train-00001.tf").write_bytes(b"made before")
    made = run_stage("make_records.sh", **corpus)
    assert f"{records}/train-00001.tf exists, skipped." in made.stdout
    assert (records / "train-00001.tf").read_bytes() == b"made before"
    assert (records / "train-00002.tf").exists()


def test_flags_on_the_command_line_win(run_stage, corpus):
    sizes = []
    for dupe_factor in (1, 3):
        made = run_stage("make_records.sh", f"--dupe_factor={dupe_factor}", **corpus)
        assert made.returncode == 0, made.stderr
        records = pathlib.Path(corpus["RECORDS"])
        sizes.append((records / "train-00001.tf").stat().st_size)
        shutil.rmtree(records)
    assert sizes[1] > 2 * sizes[0]


def test_an_empty_corpus_is_an_error(run_stage, tmp_path):
    made = run_stage("make_records.sh", CORPUS=str(tmp_path))
    assert made.returncode == 1
    assert f"There is no {tmp_path}/train-*.txt" in made.stderr


def test_a_file_that_cannot_be_used_stops_the_stage(run_stage, corpus):
    (pathlib.Path(corpus["CORPUS"]) / "train-00001.txt").write_bytes("한글".encode("cp949"))
    made = run_stage("make_records.sh", **corpus)
    assert made.returncode == 1
    assert "not UTF-8" in made.stderr
    assert list(pathlib.Path(corpus["RECORDS"]).iterdir()) == []
