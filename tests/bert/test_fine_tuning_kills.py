"""run_classifier killed where it hurts, and on a disk that is full, as its users meet it."""

import json
import os
import pathlib
import random
import resource
import signal
import subprocess
import sys
import time

import pytest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "bert" / "run_classifier.py"
# A killed run leaves what it was writing under such names.
LEFTOVERS = (".model.ckpt-*", "*.tmp")


@pytest.fixture(scope="module")
def command(own, tiny_config, tmp_path_factory):
    """A function that returns the command of a run for a folder: two labels, told by a word."""
    data = tmp_path_factory.mktemp("task")
    draw = random.Random(1)
    for split, count in (("train", 96), ("dev", 24), ("test", 24)):
        rows = ["text\tlabel"]
        for number in range(count):
            words = draw.choices(("그", "는", "이", "도", "다"), k=4) + ["밤책"[number % 2]]
            rows.append(f"{' '.join(words)}\t{number % 2}")
        (data / f"{split}.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")

    def command(output_dir: pathlib.Path) -> list[str]:
        return [
            *(sys.executable, str(SCRIPT), "--task_name=columns", f"--data_dir={data}"),
            *("--text_column=text", "--label_column=label", f"--bert_config_file={tiny_config}"),
            *(f"--vocab_file={own / 'vocab.txt'}", "--do_lower_case=False", "--gpus=0"),
            *("--max_seq_length=16", "--train_batch_size=8", "--num_train_epochs=6"),
            *("--learning_rate=1e-3", "--save_checkpoints_steps=8", "--evaluations=12"),
            *("--do_train", "--do_eval", "--do_predict", f"--output_dir={output_dir}"),
        ]

    return command


@pytest.fixture(scope="module")
def own(repository) -> pathlib.Path:
    return repository / "tests" / "data" / "own"


def kill_when(command: list[str], folder: pathlib.Path, pattern: str) -> bool:
    """Runs until there is a file of that name, and kills it then; returns whether it came to it."""
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        if any(folder.glob(pattern)):
            process.send_signal(signal.SIGKILL)
            process.wait()
            return True
        time.sleep(0.0005)
    return False


@pytest.mark.slow
def test_a_run_killed_at_any_place_comes_to_the_same_result(command, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    subprocess.run(command(whole), check=True)
    # In a save, between the best weights and the checkpoint that tells of them, in the last
    # checkpoint, and between the predictions and the result.
    for pattern in (
        *(".model.ckpt-*.tmp", "best/.model.ckpt-*.tmp", "best/model.ckpt-*.index"),
        *("model.ckpt-72.data-*", "eval_results.txt", "test_results.tsv", ".result.json.*"),
    ):
        kill_when(command(broken), broken, pattern)
    subprocess.run(command(broken), check=True)

    assert (broken / "test_results.tsv").read_bytes() == (whole / "test_results.tsv").read_bytes()
    results = [json.loads((folder / "result.json").read_text()) for folder in (whole, broken)]
    for result in results:
        del result["seconds"]
    assert results[0] == results[1]
    assert [path for pattern in LEFTOVERS for path in broken.rglob(pattern)] == []


@pytest.mark.slow
def test_a_disk_that_is_full_is_told_and_no_result_is_there(command, tmp_path):
    def small_files() -> None:
        # A limit on file size fails a write as a full disk does.
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    completed = subprocess.run(
        command(tmp_path / "out"), capture_output=True, text=True, preexec_fn=small_files
    )
    assert completed.returncode == 1, completed.stderr
    assert "Traceback" not in completed.stderr
    message = completed.stderr[completed.stderr.index("ERROR: ") :]
    assert "Cannot write the checkpoint" in message
    assert os.path.join("best", "model.ckpt-6") in message
    assert not (tmp_path / "out" / "result.json").exists()
