"""Whenever the power goes during a save, a whole checkpoint is there: the old or the new."""

import pathlib
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
from power_loss import PowerLoss

from deeq_bert.bert.checkpoint import Checkpoint, CheckpointFolder


def save(folder: CheckpointFolder, step: int, value: float) -> None:
    """Saves a checkpoint whose every value is `value`."""
    variables = {f"layer_{number}": tf.Variable(tf.fill([50], value)) for number in range(3)}
    folder.save(step, variables, {"value": value})


def saved_in(folder: CheckpointFolder) -> tuple[int, float] | None:
    """Returns the step and the value of the checkpoint a resume would go on from."""
    latest = folder.latest()
    if latest is None:
        return None
    checkpoint = Checkpoint(latest)
    checkpoint.verify()
    value = checkpoint.resume_state()["value"]
    for number in range(3):
        np.testing.assert_array_equal(checkpoint.read(f"layer_{number}"), np.full([50], value))
    return checkpoint.global_step(), value


def names_in(folder: pathlib.Path) -> set[str]:
    """Returns the names in a folder, without the lock and the temporary names of the list."""
    names = {path.name for path in folder.iterdir()}
    return {name for name in names if name != ".lock" and not name.startswith(".checkpoint.")}


def outcomes(
    tmp_path: pathlib.Path, keep_max: int, before: list[tuple[int, float]], change: Callable
) -> set[tuple[int, float] | None]:
    """Returns what a resume finds, over all states that a power loss during `change` leaves.

    Asserts in each that nothing but whole checkpoints is left, and that a save works.
    """
    folder = CheckpointFolder(str(tmp_path / "output"), keep_max)
    with folder.locked():
        for step, value in before:
            save(folder, step, value)
        power = PowerLoss(tmp_path / "output", tmp_path)
        with power.recording():
            change(folder)
    assert len(power.states) > 20
    found = set()
    for state in power.states:
        again = CheckpointFolder(str(state), keep_max)
        with again.locked():
            found.add(saved_in(again))
            indexes = {path.name for path in state.glob("*.index")}
            data = {name.replace(".index", ".data-00000-of-00001") for name in indexes}
            assert names_in(state) - {"checkpoint"} == indexes | data
            save(again, 99, 99.0)
            assert saved_in(again) == (99, 99.0)
    return found


@pytest.mark.parametrize("keep_max", [1, 2, 5])
def test_during_a_save(tmp_path, keep_max):
    found = outcomes(
        tmp_path, keep_max, [(10, 1.0), (20, 2.0)], lambda folder: save(folder, 30, 3.0)
    )
    assert found == {(20, 2.0), (30, 3.0)}


def test_during_the_first_save(tmp_path):
    found = outcomes(tmp_path, 5, [], lambda folder: save(folder, 0, 1.0))
    assert found == {None, (0, 1.0)}


def test_during_a_save_over_the_only_checkpoint(tmp_path):
    found = outcomes(tmp_path, 1, [(10, 1.0)], lambda folder: save(folder, 10, 2.0))
    assert found == {(10, 1.0), (10, 2.0)}


def test_during_a_save_over_the_last_of_several(tmp_path):
    found = outcomes(tmp_path, 5, [(10, 1.0), (20, 2.0)], lambda folder: save(folder, 20, 3.0))
    assert found == {(20, 2.0), (20, 3.0)}


def test_while_a_run_goes_back(tmp_path):
    def go_back(folder: CheckpointFolder) -> None:
        folder.go_back_to(folder.before(15))
        save(folder, 20, 4.0)

    found = outcomes(tmp_path, 3, [(10, 1.0), (20, 2.0), (30, 3.0)], go_back)
    assert found == {(30, 3.0), (10, 1.0), (20, 4.0)}
