"""run_classifier as its users run it: whole runs, runs that go on, and what it refuses."""

import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

# Words of the sample vocabulary; texts of the one group mean "good", those of the other "bad".
GOOD, BAD, OTHER = ("책", "물", "산"), ("밤", "눈", "길"), ("그", "는", "이", "도", "다")


def write_task(folder: pathlib.Path, rows: int = 96) -> None:
    """A task in CSV with a header: the words decide the label."""
    draw = random.Random(1)
    for split, count in (("train", rows), ("dev", 24), ("test", 24)):
        lines = ["text,label"]
        for number in range(count):
            words = GOOD if number % 2 else BAD
            text = " ".join(draw.choices(words, k=3) + draw.choices(OTHER, k=3))
            lines.append(f"{text},{'good' if number % 2 else 'bad'}")
        (folder / f"{split}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def task(tmp_path_factory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("task")
    write_task(folder)
    return folder


@pytest.fixture(scope="module")
def flags_for(task, tiny_config, repository):
    """A function that returns the flags of a run, for a folder, with others added."""

    def flags(output_dir, *more: str) -> list[str]:
        return [
            "--task_name=columns",
            f"--data_dir={task}",
            "--text_column=text",
            "--label_column=label",
            f"--bert_config_file={tiny_config}",
            f"--vocab_file={repository / 'tests' / 'data' / 'own' / 'vocab.txt'}",
            "--do_lower_case=False",
            "--max_seq_length=16",
            "--train_batch_size=8",
            "--num_train_epochs=4",
            "--learning_rate=3e-3",
            "--gpus=0",
            f"--output_dir={output_dir}",
            *more,
        ]

    return flags


WHOLE = ["--do_train", "--do_eval", "--do_predict", "--evaluations=2"]


SEEDS = ["--num_seeds=2", "--random_seed=5", "--num_train_epochs=8"]


@pytest.fixture(scope="module")
def trained(run_script, flags_for, tmp_path_factory) -> tuple[pathlib.Path, str]:
    """The folder of a whole run with two seeds, and what it told."""
    folder = tmp_path_factory.mktemp("trained")
    completed = run_script("bert/run_classifier.py", *flags_for(folder, *WHOLE, *SEEDS))
    assert completed.returncode == 0, completed.stderr
    return folder, completed.stderr


def test_a_run_trains_scores_and_predicts_with_every_seed(trained):
    whole, told = trained
    assert "columns, accuracy of test:" in told
    for seed in (5, 6):
        folder = whole / f"seed-{seed}"
        result = json.loads((folder / "result.json").read_text())
        assert result["examples"] == {"train": 96, "dev": 24, "test": 24}
        assert result["seed"] == seed
        assert result["dev"]["accuracy"] > 0.9
        lines = dict(
            line.split(" = ") for line in (folder / "eval_results.txt").read_text().splitlines()
        )
        assert list(lines) == sorted(lines)
        assert float(lines["eval_accuracy"]) == pytest.approx(result["dev"]["accuracy"])
        assert int(lines["global_step"]) == result["step"]
        shares = np.loadtxt(folder / "test_results.tsv")
        assert shares.shape == (24, 2)
        np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-5)
        accuracy = np.mean(shares.argmax(axis=1) == np.arange(24) % 2)
        assert accuracy == pytest.approx(result["test"]["accuracy"])


def test_what_is_done_is_not_done_again(run_script, flags_for, trained):
    flags = flags_for(trained[0], *WHOLE, *SEEDS)
    again = run_script("bert/run_classifier.py", *flags)
    assert again.returncode == 0
    assert "Seed 5 is done" in again.stderr
    assert "Running training" not in again.stderr

    changed = run_script("bert/run_classifier.py", *flags, "--learning_rate=1e-3")
    assert changed.returncode == 1
    assert "learning_rate is 0.003 there and 0.001 here" in changed.stderr


def test_a_trained_model_can_be_evaluated_later_and_used(run_script, flags_for, trained, tmp_path):
    out = shutil.copytree(trained[0], tmp_path / "out")
    made = ["eval_results.txt", "test_results.tsv"]
    before = [(out / f"seed-{seed}" / name).read_bytes() for seed in (5, 6) for name in made]
    for seed in (5, 6):
        for name in made:
            (out / f"seed-{seed}" / name).unlink()
    later = run_script(
        "bert/run_classifier.py", *flags_for(out, "--do_eval", "--do_predict", *SEEDS)
    )
    assert later.returncode == 0, later.stderr
    assert "best/model.ckpt-" in later.stderr
    after = [(out / f"seed-{seed}" / name).read_bytes() for seed in (5, 6) for name in made]
    assert after == before


def test_weights_that_a_killed_run_has_left_go_when_they_are_not_to_be_kept(
    run_script, flags_for, trained, tmp_path
):
    out = shutil.copytree(trained[0], tmp_path / "out")
    flags = flags_for(out, *WHOLE, *SEEDS, "--keep_model=False")
    assert run_script("bert/run_classifier.py", *flags).returncode == 0
    assert (out / "seed-5" / "result.json").exists()
    assert not [path for path in out.rglob("*") if path.name.startswith(("model.ckpt", "best"))]


@pytest.mark.slow
def test_a_killed_run_comes_to_the_same_predictions(flags_for, run_script, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    more = [*WHOLE, "--save_checkpoints_steps=5", "--log_steps=1", "--num_train_epochs=10"]
    assert run_script("bert/run_classifier.py", *flags_for(whole, *more)).returncode == 0
    script = pathlib.Path(__file__).resolve().parents[2] / "bert" / "run_classifier.py"
    for number in (signal.SIGKILL, signal.SIGTERM):
        process = subprocess.Popen(
            [sys.executable, script, *flags_for(broken, *more)], stderr=subprocess.PIPE, text=True
        )
        seen = 0
        for line in process.stderr:
            seen += "Saved " in line
            if seen == 3:
                process.send_signal(number)
                break
        process.stderr.read()
        assert process.wait() == (-9 if number == signal.SIGKILL else 143)
        assert not (broken / "result.json").exists()
    assert run_script("bert/run_classifier.py", *flags_for(broken, *more)).returncode == 0
    assert (broken / "test_results.tsv").read_bytes() == (whole / "test_results.tsv").read_bytes()


def test_keep_model_false_leaves_results_and_no_weights(run_script, flags_for, tmp_path):
    flags = flags_for(tmp_path, *WHOLE, "--keep_model=False", "--class_weights=balanced")
    completed = run_script("bert/run_classifier.py", *flags, "--dtype=bfloat16")
    assert completed.returncode == 0, completed.stderr
    assert (tmp_path / "result.json").exists()
    assert not [name for name in os.listdir(tmp_path) if name.startswith(("model", "best", "chec"))]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--do_eval"], "There is no checkpoint in --output_dir="),
        ([], "There is nothing to do"),
        (["--do_train", "--patience=2"], "give --evaluations too"),
        (["--do_train", "--task_name=nsmc"], "--text_column is for --task_name=columns"),
        (["--do_train", "--max_seq_length=200"], "max_position_embeddings 128"),
        (["--do_train", "--text_column=review"], "no column review"),
        (["--do_train", "--labels=good,neutral"], "unknown label 'bad'"),
        (["--do_train", "--use_tpu"], "not on TPUs"),
        (["--do_train", "--data_dir=/nowhere"], "/nowhere"),
        (["--do_train", "--init_checkpoint=/nowhere/model.ckpt-1"], "--init_checkpoint=/nowhere"),
        (["--do_train", "--train_batch_size=500", "--num_train_epochs=1"], "make 0 steps"),
    ],
)
def test_what_cannot_be_is_refused_before_tensorflow(
    run_script, flags_for, tmp_path, flags, message
):
    completed = run_script(
        "bert/run_classifier.py",
        *flags_for(tmp_path / "out", *flags),
        env={**os.environ, "PYTHONPATH": str(_without_tensorflow(tmp_path))},
    )
    assert completed.returncode == 1
    assert message in completed.stderr
    assert "Traceback" not in completed.stderr
    assert not (tmp_path / "out").exists()


def _without_tensorflow(folder: pathlib.Path) -> pathlib.Path:
    """A folder whose TensorFlow cannot be imported, so that an error after it would be another."""
    (folder / "tensorflow.py").write_text("raise SystemExit('TensorFlow was imported')\n")
    return folder


def test_a_regression_has_no_classes_to_weigh(run_script, flags_for, tmp_path):
    rows = "genre\tfilename\tyear\tid\tscore\tsentence1\tsentence2\na\tb\tc\t1\t2.5\t책\t물\n"
    for split in ("train", "dev"):
        (tmp_path / f"sts-{split}.tsv").write_text(rows, encoding="utf-8")
    flags = [f for f in flags_for(tmp_path / "out", "--do_train") if "_column=" not in f]
    flags += ["--task_name=korsts", f"--data_dir={tmp_path}", "--class_weights=balanced"]
    completed = run_script("bert/run_classifier.py", *flags)
    assert completed.returncode == 1
    assert completed.stderr.endswith("about classes, and a regression has none.\n")


def test_a_model_of_another_vocabulary_is_refused(run_script, flags_for, tmp_path, repository):
    model = tmp_path / "model"
    shutil.copytree(repository / "tests" / "data" / "model", model)
    (model / "bert_config.json").unlink()
    contract = {"contract_version": 1, "tokenizer": "deeq", "vocab_file": "vocab.txt"}
    (model / "tokenizer_config.json").write_text(json.dumps(contract))
    flags = flags_for(tmp_path / "out", "--do_train", f"--init_checkpoint={model}")
    completed = run_script("bert/run_classifier.py", *flags)
    assert completed.returncode == 1
    assert "tokenizer is deeq for" in completed.stderr
    assert "wordpiece for this run" in completed.stderr
