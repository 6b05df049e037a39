import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
import tensorflow as tf

from deeq_bert.bert.checkpoint import Checkpoint, CheckpointFolder, CheckpointWriteError
from deeq_bert.bert.saving import BackgroundSaver


class GatedFolder(CheckpointFolder):
    """A folder whose writes wait until the gate is opened, as on a slow disk."""

    def __init__(self, folder: str):
        super().__init__(folder)
        self.gate = threading.Event()
        self.tried: list[int] = []

    def save(self, step, variables, resume_state):
        self.tried.append(step)
        self.gate.wait(60)
        return super().save(step, variables, resume_state)


@pytest.fixture
def variables() -> dict[str, tf.Variable]:
    return {"w": tf.Variable([1.0, 2.0]), "w/adam_m": tf.Variable([3.0, 4.0])}


@pytest.fixture
def output(tmp_path) -> pathlib.Path:
    return tmp_path / "output"


def ignore(path: str) -> None:
    pass


def steps_in(folder: pathlib.Path) -> list[int]:
    return sorted(int(path.stem.split("-")[1]) for path in folder.glob("model.ckpt-*.index"))


def wait_until(condition) -> None:
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("waited in vain")


def test_what_is_written_is_what_the_values_were(output, variables):
    folder, state = GatedFolder(str(output)), {"examples": 32}
    with folder.locked(), BackgroundSaver() as saver:
        saver.save(folder, 10, variables, state, ignore)
        state["examples"] = 64
        variables["w"].assign_sub([5.0, 5.0])
        tf.raw_ops.ResourceApplyAdam(
            var=variables["w"].handle,
            m=variables["w/adam_m"].handle,
            v=tf.Variable([0.0, 0.0]).handle,
            beta1_power=0.0,
            beta2_power=0.0,
            lr=0.1,
            beta1=0.9,
            beta2=0.999,
            epsilon=1e-6,
            grad=[1.0, 1.0],
        )
        tf.raw_ops.ResourceScatterAdd(resource=variables["w"].handle, indices=[0], updates=[9.0])
        folder.gate.set()
        saver.finish(60)

    saved = Checkpoint(str(output / "model.ckpt-10"))
    np.testing.assert_array_equal(saved.read("w"), [1.0, 2.0])
    np.testing.assert_array_equal(saved.read("w/adam_m"), [3.0, 4.0])
    assert saved.resume_state() == {"examples": 32}


def test_the_files_are_those_of_a_save_that_waits(output, tmp_path, variables):
    plain, folder = CheckpointFolder(str(tmp_path / "plain")), CheckpointFolder(str(output))
    with plain.locked():
        plain.save(10, variables, {"examples": 1})
    with folder.locked(), BackgroundSaver() as saver:
        saver.save(folder, 10, variables, {"examples": 1}, ignore)
        saver.finish(60)

    for path in (tmp_path / "plain").glob("[!.]*"):
        assert (output / path.name).read_bytes() == path.read_bytes()


def test_the_loop_goes_on_while_a_save_is_being_written(output, variables):
    folder, saved = GatedFolder(str(output)), []
    with folder.locked(), BackgroundSaver() as saver:
        saver.save(folder, 10, variables, {}, saved.append)
        assert not saved and not steps_in(output)
        folder.gate.set()
        saver.finish(60)
        assert saved == [str(output / "model.ckpt-10")]


def test_a_save_waits_for_the_one_before_it(output, variables):
    folder = GatedFolder(str(output))
    with folder.locked(), BackgroundSaver() as saver:
        saver.save(folder, 10, variables, {}, ignore)
        threading.Timer(0.2, folder.gate.set).start()
        stalled = saver.save(folder, 20, variables, {}, ignore)
        assert 10 in steps_in(output)
        saver.finish(60)

    assert steps_in(output) == [10, 20]
    assert 0 < stalled <= saver.stalled_seconds


def test_two_folders_are_written_in_turn(output, variables):
    folder, best = GatedFolder(str(output)), CheckpointFolder(str(output / "best"), keep_max=1)
    saved = []
    with folder.locked(), best.locked(), BackgroundSaver() as saver:
        saver.save(folder, 10, variables, {}, saved.append)
        saver.save(best, 10, {"w": variables["w"]}, {"masked_lm_accuracy": 0.5}, saved.append)
        folder.gate.set()
        saver.save(best, 20, {"w": variables["w"]}, {"masked_lm_accuracy": 0.6}, saved.append)
        saver.finish(60)

    assert [os.path.relpath(path, output) for path in saved] == [
        "model.ckpt-10",
        "best/model.ckpt-10",
        "best/model.ckpt-20",
    ]
    assert steps_in(output / "best") == [20]
    assert Checkpoint(best.last()).resume_state() == {"masked_lm_accuracy": 0.6}
    assert steps_in(output) == [10]


def test_a_save_that_fails_is_tried_again_and_said(output, tmp_path, variables, caplog):
    folder = CheckpointFolder(str(output))
    with folder.locked(), BackgroundSaver(retry_seconds=0.05) as saver:
        folder.save(10, variables, {})
        output.rename(tmp_path / "gone")
        saver.save(folder, 20, variables, {}, ignore)
        wait_until(lambda: "TRAINING GOES ON" in caplog.text)
        (tmp_path / "gone").rename(output)
        wait_until(lambda: 20 in steps_in(output))

    assert "Cannot write the checkpoint" in caplog.text
    assert "model.ckpt-10 is the last good one" in caplog.text
    assert caplog.text.count("TRAINING GOES ON") == 1


def test_a_newer_save_replaces_one_that_failed(output, tmp_path, variables, caplog):
    folder = CheckpointFolder(str(output))
    with folder.locked(), BackgroundSaver() as saver:
        output.rename(tmp_path / "gone")
        saver.save(folder, 10, variables, {}, ignore)
        wait_until(lambda: "TRAINING GOES ON" in caplog.text)
        saver.save(folder, 20, variables, {}, ignore)
        wait_until(lambda: caplog.text.count("TRAINING GOES ON") == 2)
        (tmp_path / "gone").rename(output)
        saver.finish(60)

    assert steps_in(output) == [20]
    assert "step 10, which could not be written" in caplog.text


def test_the_end_of_a_run_gives_up_with_what_is_needed(output, tmp_path, variables):
    folder = CheckpointFolder(str(output))
    with folder.locked(), BackgroundSaver(retry_seconds=0.05) as saver:
        folder.save(10, variables, {})
        output.rename(tmp_path / "gone")
        saver.save(folder, 20, variables, {}, ignore)
        with pytest.raises(CheckpointWriteError, match=r"model\.ckpt-20: No such file.*same comm"):
            saver.finish(0.2)

    assert steps_in(tmp_path / "gone") == [10]


def test_leaving_the_block_completes_a_write_and_tries_nothing_again(output, tmp_path, variables):
    folder, best = GatedFolder(str(output)), GatedFolder(str(tmp_path / "best"))
    with folder.locked(), best.locked():
        with BackgroundSaver(retry_seconds=0.01) as saver:
            saver.save(folder, 10, variables, {}, ignore)
            wait_until(lambda: folder.tried == [10])
            saver.save(best, 10, variables, {}, ignore)
            folder.gate.set()
            best.gate.set()
        assert steps_in(output) == [10]
        (tmp_path / "best").rename(tmp_path / "gone")
        with BackgroundSaver(retry_seconds=0.01) as saver:
            saver.save(best, 20, variables, {}, ignore)
            wait_until(lambda: best.tried.count(20) > 1)
        tries = len(best.tried)
        time.sleep(0.05)
        assert len(best.tried) == tries


def test_what_has_been_given_up_is_not_written_later(output, tmp_path, variables, caplog):
    folder = CheckpointFolder(str(output))
    with folder.locked(), BackgroundSaver(retry_seconds=0.05) as saver:
        folder.save(10, variables, {})
        output.rename(tmp_path / "gone")
        saver.save(folder, 20, variables, {}, ignore)
        wait_until(lambda: "TRAINING GOES ON" in caplog.text)
        with pytest.raises(CheckpointWriteError):
            saver.finish(0.1)
        (tmp_path / "gone").rename(output)
        saver.finish(60)

    assert steps_in(output) == [10]


def test_an_error_of_on_saved_comes_with_the_next_call(output, variables):
    def fail(path: str) -> None:
        raise KeyError(path)

    folder = CheckpointFolder(str(output))
    with folder.locked(), BackgroundSaver() as saver:
        saver.save(folder, 10, variables, {}, fail)
        with pytest.raises(KeyError):
            saver.finish(60)
        saver.save(folder, 20, variables, {}, ignore)
        saver.finish(60)

    assert steps_in(output) == [10, 20]


def test_a_mirrored_variable_is_written_once(output):
    program = textwrap.dedent(f"""
        import tensorflow as tf
        from deeq_bert.bert.checkpoint import Checkpoint, CheckpointFolder
        from deeq_bert.bert.saving import BackgroundSaver

        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * 2
        )
        strategy = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
        folder = CheckpointFolder({str(output)!r})
        with strategy.scope(), folder.locked(), BackgroundSaver() as saver:
            variable = tf.Variable([1.0, 2.0])
            saver.save(folder, 10, {{"w": variable}}, {{}}, print)
            for _ in range(9):
                strategy.run(tf.function(lambda: variable.assign_add([1.0, 1.0])))
            saver.finish(60)
        assert Checkpoint(folder.last()).read("w").tolist() == [1.0, 2.0]
        assert Checkpoint(folder.last()).shapes["w"] == [2]
    """)
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.slow
def test_a_run_killed_at_any_moment_goes_on_from_a_whole_checkpoint(output):
    program = textwrap.dedent(f"""
        import tensorflow as tf
        from deeq_bert.bert.checkpoint import Checkpoint, CheckpointFolder
        from deeq_bert.bert.saving import BackgroundSaver

        folder = CheckpointFolder({str(output)!r}, keep_max=2)
        variables = {{f"w_{{i}}": tf.Variable(tf.zeros([300, 300])) for i in range(9)}}
        step = 0
        with folder.locked(), BackgroundSaver() as saver:
            if (latest := folder.latest()) is not None:
                Checkpoint(latest).restore(variables)
                step = Checkpoint(latest).global_step()
                for variable in variables.values():
                    assert variable.numpy().min() == variable.numpy().max() == step
            while True:
                step += 1
                for variable in variables.values():
                    variable.assign_add(tf.ones([300, 300]))
                saver.save(folder, step, variables, {{}}, lambda path: print(path, flush=True))
    """)
    generator = np.random.default_rng(0)
    for _ in range(4):
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
            assert process.stdout.readline(), "it did not go on"
            time.sleep(generator.uniform(0.0, 0.3))
            process.send_signal(signal.SIGKILL)

    folder = CheckpointFolder(str(output))
    with folder.locked():
        saved = Checkpoint(folder.latest())
        values = [saved.read(name) for name in saved.shapes if name.startswith("w_")]
        assert len(values) == 9
        for value in values:
            np.testing.assert_array_equal(value, np.full([300, 300], saved.global_step()))
