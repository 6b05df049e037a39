import contextlib
import math
import os
import signal

import pytest
import tensorflow as tf

from deeq_bert.bert.checkpoint import Checkpoint, CheckpointFolder
from deeq_bert.bert.meters import Throughput
from deeq_bert.bert.phases import Phase
from deeq_bert.bert.pretraining_loop import (
    DivergedError,
    Intervals,
    PretrainingLoop,
    StoppedError,
)
from deeq_bert.bert.progress import Progress
from deeq_bert.bert.run_checkpoints import RunCheckpoints
from deeq_bert.bert.run_log import read_run_log
from deeq_bert.bert.run_reporter import RunReporter
from deeq_bert.bert.saving import BackgroundSaver
from deeq_bert.bert.stopping import StopRequest
from deeq_bert.bert.watchdog import Watchdog

BATCH = 4


class CountingRun:
    """A run whose only weight is the sum of the positions its batches began at.

    Attributes:
      taken: The position of every batch, in the order they were used.
      bad: Positions whose batch has no finite loss.
    """

    def __init__(self, folder: str, steps: int, bad=(), max_rollbacks: int = 3, save: int = 5):
        self.folder = folder
        self.steps = steps
        self.bad = set(bad)
        self.taken: list[int] = []
        self.weight = tf.Variable(0.0, name="weight")
        self.progress = Progress()
        self._intervals = Intervals(report=2, save=save, evaluate=0)
        self._max_rollbacks = max_rollbacks

    def run(self, on_step=lambda step: None, held_out=None) -> None:
        folder = CheckpointFolder(self.folder, keep_max=10)
        best = CheckpointFolder(os.path.join(self.folder, "best"), keep_max=1)
        phase = Phase("", "", 128, 20, BATCH, 1, self.steps, 0, 1e-4)

        def train_step(batch, step, stop_vote):
            position = int(batch)
            self.taken.append(position)
            self.weight.assign_add(position)
            on_step(int(step) + 1)
            loss = math.nan if position in self.bad else 5.0
            metrics = {"loss": loss, "masked_lm_loss": loss, "next_sentence_loss": 0.0}
            metrics |= {"gradient_norm": 1.0, "learning_rate": 0.1, "tokens": 9.0}
            return {**metrics, "stop_votes": float(stop_vote)}

        @contextlib.contextmanager
        def batches_at(position):
            yield iter(range(position, 10**6, BATCH))

        with (
            folder.locked(),
            best.locked(),
            BackgroundSaver() as saver,
            StopRequest() as stop,
            Watchdog() as watchdog,
            contextlib.closing(
                RunReporter(self.folder, ["/cpu:0"], self.steps, self.progress.step, True)
            ) as reporter,
        ):
            variables = {"weight": self.weight}
            checkpoints = RunCheckpoints(
                folder, best, variables, variables, frozenset(), {}, saver, lambda: None
            )
            latest = folder.latest_readable()
            if latest:
                self.progress = Progress.from_state(*checkpoints.restore(latest), BATCH)
            else:
                checkpoints.save_first(self.progress)
            reporter.begin(Throughput(1.0, BATCH, 1, seconds_before=self.progress.seconds))
            loop = PretrainingLoop(
                self.progress,
                checkpoints,
                reporter,
                self._intervals,
                stop,
                watchdog,
                3.0,
                self._max_rollbacks,
            )
            loop.train_phase(phase, BATCH, train_step, batches_at, held_out, lambda: None)


def saved(folder: str, step: int) -> tuple[float, dict]:
    """The weight and the resume state of a checkpoint."""
    checkpoint = Checkpoint(os.path.join(folder, f"model.ckpt-{step}"))
    return float(checkpoint.read("weight")), checkpoint.resume_state()


@pytest.fixture
def folder(tmp_path) -> str:
    return str(tmp_path / "out")


def test_a_whole_run_takes_every_position_once_and_saves(folder):
    run = CountingRun(folder, steps=12)

    run.run()

    assert run.taken == list(range(0, 48, BATCH))
    assert saved(folder, 10) == (sum(range(0, 40, BATCH)), saved(folder, 10)[1])
    assert saved(folder, 12)[1]["examples"] == 48
    assert sorted(read_run_log(os.path.join(folder, "metrics.jsonl")).train) == [2, 4, 6, 8, 10, 12]


def test_a_bad_batch_is_passed_over_from_the_last_good_checkpoint(folder):
    bad = 8 * BATCH  # that of step 9

    run = CountingRun(folder, steps=12, bad=[bad])
    run.run()

    weight, state = saved(folder, 12)
    # Steps 1 to 5 as they were; what led from there to the bad batch is left out.
    good = [*range(0, 5 * BATCH, BATCH), *range(9 * BATCH, 16 * BATCH, BATCH)]
    assert weight == sum(good)
    assert state["rollbacks"] == 1
    assert state["examples"] == 16 * BATCH


def test_a_checkpoint_right_before_the_bad_step_may_be_ruined_and_is_not_used(folder):
    run = CountingRun(folder, steps=8, bad=[5 * BATCH])  # that of step 6, behind checkpoint 5
    run.run()

    assert saved(folder, 8)[0] == sum(range(6 * BATCH, 14 * BATCH, BATCH))


def test_a_run_that_diverges_again_and_again_ends_and_says_where_to_go_on(folder):
    run = CountingRun(folder, steps=40, bad=range(8 * BATCH, 10**6, BATCH), max_rollbacks=2)

    with pytest.raises(DivergedError, match="--max_rollbacks=2 is used up") as error:
        run.run()

    assert "model.ckpt-" in str(error.value)


def test_without_rollbacks_the_first_divergence_ends_the_run(folder):
    run = CountingRun(folder, steps=12, bad=[8 * BATCH], max_rollbacks=0)

    with pytest.raises(DivergedError, match=r"At step 9 the loss is not finite.*model.ckpt-5"):
        run.run()


def test_a_stop_saves_and_the_next_run_goes_on_there(folder):
    first = CountingRun(folder, steps=12)

    def stop_at_seven(step: int) -> None:
        if step == 7:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(StoppedError) as stopped:
        first.run(stop_at_seven)
    second = CountingRun(folder, steps=12)
    second.run()

    assert stopped.value.exit_code == 143
    assert first.taken + second.taken == list(range(0, 48, BATCH))
    assert saved(folder, 12)[0] == sum(range(0, 48, BATCH))


def test_the_time_a_run_takes_is_counted_over_its_processes(folder):
    CountingRun(folder, steps=5).run()
    before = saved(folder, 5)[1]["seconds"]

    CountingRun(folder, steps=10).run()

    assert saved(folder, 10)[1]["seconds"] >= before > 0


class HeldOut:
    """Held-out records whose loss is told beforehand."""

    def __init__(self, losses):
        self._losses = iter(losses)

    def evaluate(self):
        loss = next(self._losses)
        names = ("masked_lm_loss", "masked_lm_accuracy", "next_sentence_loss")
        return {"loss": loss, **dict.fromkeys([*names, "next_sentence_accuracy"], 0.5)}


def test_the_best_on_held_out_records_is_kept_apart(folder):
    run = CountingRun(folder, steps=12)
    run._intervals = Intervals(report=0, save=4, evaluate=4)

    run.run(held_out=HeldOut([3.0, 2.0, 2.5]))

    names = sorted(os.listdir(os.path.join(folder, "best")))
    assert [name for name in names if name.endswith(".index")] == ["model.ckpt-8.index"]
    assert run.progress.best_loss == 2.0
    assert list(read_run_log(os.path.join(folder, "metrics.jsonl")).evaluations) == [4, 8, 12]
