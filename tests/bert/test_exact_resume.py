"""Kills real runs at random moments: every later loss must be that of a run nobody disturbed."""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

# 242 records in batches of 8: an epoch ends within step 31.
STEPS, BATCH, SAVE_STEPS = 64, 8, 4


def losses(folder: pathlib.Path) -> list[tuple[int, float]]:
    """Every step and loss that a run has written down, those it made again after a kill too."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines if line.endswith("}")]
    return [(line["step"], line["loss"]) for line in entries if line["kind"] == "train"]


class KilledRun:
    """A run that is killed with SIGKILL and started again with the same command."""

    def __init__(self, command: list[str], folder: pathlib.Path):
        self._command = command
        self._folder = folder

    def kill_at_step(self, step: int) -> None:
        """Starts the run, and kills it when it has written down this step or a later one."""
        self._kill_when(lambda: self._last_step() >= step)

    def kill_in_save(self, step: int) -> None:
        """Starts the run, and kills it while a checkpoint of this step or a later one is written.

        A save takes milliseconds; where the moment is missed the kill comes right after.
        """

        def in_save() -> bool:
            try:
                names = os.listdir(self._folder)
            except FileNotFoundError:
                return False
            return any(
                name.startswith(".model.ckpt-") and int(name.split("-")[1].split(".")[0]) >= step
                for name in names
            )

        self._kill_when(lambda: in_save() or self._last_step() >= step + SAVE_STEPS)

    def finish(self) -> None:
        completed = subprocess.run(self._command, capture_output=True, text=True)
        assert completed.returncode == 0, completed.stderr

    def _last_step(self) -> int:
        try:
            with open(self._folder / "metrics.jsonl", "rb") as file:
                file.seek(0, os.SEEK_END)
                file.seek(max(0, file.tell() - 2000))
                whole = [line for line in file.read().split(b"\n")[1:-1] if b'"train"' in line]
            return json.loads(whole[-1])["step"] if whole else 0
        except FileNotFoundError:
            return 0

    def _kill_when(self, reached) -> None:
        process = subprocess.Popen(self._command, stderr=subprocess.PIPE, text=True)
        try:
            while process.poll() is None and not reached():
                time.sleep(0.0005)
        finally:
            process.send_signal(signal.SIGKILL)
            process.communicate()


@pytest.fixture(scope="module")
def command(repository, sample_records, tmp_path_factory):
    """A function from an output folder to the command of a run of STEPS steps on the CPU."""
    config = tmp_path_factory.mktemp("config") / "bert_config.json"
    fields = {
        "vocab_size": 900,
        "hidden_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 384,
        "max_position_embeddings": 128,
        "type_vocab_size": 2,
    }
    config.write_text(json.dumps(fields))

    def make(output_dir: pathlib.Path) -> list[str]:
        flags = {
            "input_file": sample_records,
            "eval_input_file": sample_records,
            "bert_config_file": config,
            "output_dir": output_dir,
            "do_train": True,
            "train_batch_size": BATCH,
            "num_train_steps": STEPS,
            "num_warmup_steps": 4,
            "learning_rate": 1e-3,
            "save_checkpoints_steps": SAVE_STEPS,
            "eval_steps": 16,
            "max_eval_steps": 2,
            "log_steps": 1,
            "gpus": 0,
        }
        script = str(repository / "bert" / "run_pretraining.py")
        return [sys.executable, script, *(f"--{name}={value}" for name, value in flags.items())]

    return make


@pytest.fixture(scope="module")
def undisturbed(command, tmp_path_factory) -> pathlib.Path:
    """The output folder of the run that nobody disturbs."""
    folder = tmp_path_factory.mktemp("undisturbed") / "out"
    KilledRun(command(folder), folder).finish()
    return folder


def assert_same_run(folder: pathlib.Path, undisturbed: pathlib.Path) -> None:
    expected = dict(losses(undisturbed))
    assert sorted(expected) == list(range(1, STEPS + 1))
    found = losses(folder)
    assert [(step, loss) for step, loss in found if loss != expected[step]] == []
    assert {step for step, _ in found} == set(expected)
    # The weights themselves, and with them the moments and the place in the data.
    data = f"model.ckpt-{STEPS}.data-00000-of-00001"
    assert _without_seconds(folder) == _without_seconds(undisturbed)
    assert (folder / "best" / data).exists() == (undisturbed / "best" / data).exists()


def _without_seconds(folder: pathlib.Path) -> dict[str, bytes]:
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(folder / f"model.ckpt-{STEPS}"))
    values = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    state = json.loads(values.pop("global_step/resume_state"))
    del state["seconds"]
    return {name: value.tobytes() for name, value in values.items()} | {"state": repr(state)}


@pytest.mark.slow
def test_kills_change_no_loss(command, undisturbed, tmp_path):
    folder = tmp_path / "out"
    run = KilledRun(command(folder), folder)

    run.kill_in_save(8)
    run.kill_at_step(34)  # in the second epoch
    run.finish()

    assert_same_run(folder, undisturbed)


@pytest.mark.slow
def test_ten_kills_at_random_moments_change_no_loss(command, undisturbed, tmp_path):
    folder = tmp_path / "out"
    run = KilledRun(command(folder), folder)
    moments = random.Random(5)

    reached = 1
    for number in range(10):
        step = moments.randint(reached, min(reached + 9, STEPS - 2))
        if number % 2:
            run.kill_in_save(step)
        else:
            run.kill_at_step(step)
        reached = min(step + 1, STEPS - 3)
    run.finish()

    assert_same_run(folder, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, 143), (signal.SIGINT, 130)],
)
def test_a_signal_saves_and_the_run_goes_on_with_the_same_losses(
    command, undisturbed, tmp_path, number, code
):
    folder = tmp_path / "out"
    run = KilledRun(command(folder), folder)
    process = subprocess.Popen(command(folder), stderr=subprocess.PIPE, text=True)
    while process.poll() is None and run._last_step() < 10:
        time.sleep(0.0005)
    process.send_signal(number)
    _, log = process.communicate(timeout=60)

    assert process.returncode == code, log
    step = max(losses(folder))[0]
    assert f"Stopped. The same command goes on from {folder}/model.ckpt-{step}." in log
    run.finish()
    assert [step for step, _ in losses(folder)] == list(range(1, STEPS + 1))
    assert_same_run(folder, undisturbed)
