"""Runs of run_pretraining.py as a user starts them, and what they leave in their folder."""

import json
import os
import pathlib
import subprocess
import sys
from typing import Any

from script_server import SERVER

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "bert" / "run_pretraining.py"
# What a checkpoint tells besides values: the time that a run has taken is in it.
RESUME_STATE = "global_step/resume_state"


def _words(flags: dict[str, object]) -> list[str]:
    return [f"--{name}={value}" for name, value in flags.items() if value is not None]


def command(**flags: object) -> list[str]:
    """The command with these flags; those that are None are left out."""
    return [sys.executable, str(SCRIPT), *_words(flags)]


def run(flags: dict[str, object], **keywords: Any) -> subprocess.CompletedProcess:
    """Runs the script and waits for its end."""
    if not keywords:
        return SERVER.run(SCRIPT, *_words(flags))
    return subprocess.run(command(**flags), capture_output=True, text=True, **keywords)


def run_without_tensorflow(
    flags: dict[str, object], folder: pathlib.Path, *words: str
) -> subprocess.CompletedProcess:
    """Runs the script where TensorFlow cannot be imported; `folder` takes what sees to that."""
    (folder / "tensorflow.py").write_text("raise ImportError('not before the flags are checked')")
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(
        [*command(**flags), *words], capture_output=True, text=True, env=environment
    )


def assert_refused(completed: subprocess.CompletedProcess, *parts: str, code: int = 1) -> None:
    """Checks that a run ended with one error of one or two sentences that names `parts`."""
    assert completed.returncode == code, completed.stderr
    assert "Traceback" not in completed.stderr, completed.stderr
    (message,) = [line for line in completed.stderr.splitlines() if line.startswith("ERROR: ")]
    for part in parts:
        assert part in message


def lines(folder: pathlib.Path, kind: str) -> list[dict]:
    """The lines of a kind in metrics.jsonl, as they stand."""
    every = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [line for line in every if line["kind"] == kind]


def steps_of(folder: pathlib.Path) -> list[int]:
    """The steps of the checkpoints in a folder."""
    return sorted(int(path.stem.split("-")[1]) for path in folder.glob("model.ckpt-*.index"))


def values(folder: pathlib.Path, step: int) -> dict[str, Any]:
    """All variables of a checkpoint by name."""
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(folder / f"model.ckpt-{step}"))
    names = set(reader.get_variable_to_shape_map()) - {RESUME_STATE}
    return {name: reader.get_tensor(name) for name in names}


def resume_state(folder: pathlib.Path, step: int) -> dict[str, Any]:
    """What a checkpoint tells besides its variables."""
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(folder / f"model.ckpt-{step}"))
    return json.loads(reader.get_tensor(RESUME_STATE))


def take_back_to(folder: pathlib.Path, step: int) -> None:
    """Leaves a run as if it had been killed behind the checkpoint of `step`."""
    for path in folder.glob("model.ckpt-*"):
        if int(path.name.split("-")[1].split(".")[0]) > step:
            path.unlink()
    (folder / "checkpoint").write_text(f'model_checkpoint_path: "model.ckpt-{step}"\n')


def assert_same_weights(folder: pathlib.Path, other: pathlib.Path, step: int) -> None:
    """Checks that two checkpoints of a step are the same bit for bit."""
    expected, found = values(other, step), values(folder, step)
    assert set(found) == set(expected)
    assert [name for name in expected if expected[name].tobytes() != found[name].tobytes()] == []
