import itertools

import pytest
import tensorflow as tf

from deeq_bert.bert.steps import TrainingSteps
from deeq_bert.bert.watchdog import Watchdog


class Recorder:
    """A train step that notes what it is called with, and batches that note being taken."""

    def __init__(self):
        self.events = []

    def batches(self):
        for number in itertools.count(1):
            self.events.append(f"batch {number}")
            yield number

    def train_step(self, batch, step, stop_vote):
        self.events.append(f"step {int(step) + 1} of batch {batch}")
        return {"loss": tf.constant(float(batch)), "stop_votes": stop_vote}

    def steps(self, first=0, last=4, is_boundary=lambda step: False, stop=lambda: False):
        return TrainingSteps(
            self.train_step, self.batches(), first, last, is_boundary, stop, Watchdog()
        )


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def test_results_come_in_order_each_with_its_own_metrics(recorder):
    results = list(recorder.steps(first=2, last=6))

    assert [result.step for result in results] == [3, 4, 5, 6]
    assert [result.metrics["loss"] for result in results] == [1.0, 2.0, 3.0, 4.0]


def test_a_step_is_on_the_way_while_the_one_before_is_looked_at(recorder):
    steps = iter(recorder.steps())

    next(steps)

    assert recorder.events[-1] == "step 2 of batch 2"


def test_at_a_boundary_no_further_step_has_begun(recorder):
    steps = iter(recorder.steps(is_boundary=lambda step: step == 2))

    assert [next(steps).step, next(steps).step] == [1, 2]

    assert recorder.events[-1] == "step 2 of batch 2"
    assert [result.step for result in steps] == [3, 4]


def test_a_stop_ends_with_the_step_on_the_way(recorder):
    steps = recorder.steps(last=100)
    seen = []

    for result in steps:
        seen.append(result.step)
        if result.step == 5:
            steps.stop()

    assert seen == [1, 2, 3, 4, 5, 6]
    assert recorder.events[-1] == "step 6 of batch 6"


def test_a_stop_at_a_boundary_begins_nothing(recorder):
    steps = recorder.steps(last=100, is_boundary=lambda step: step == 5)
    seen = []

    for result in steps:
        seen.append(result.step)
        if result.step == 5:
            steps.stop()

    assert seen == [1, 2, 3, 4, 5]
    assert recorder.events[-1] == "step 5 of batch 5"


def test_a_request_to_stop_goes_with_the_next_step(recorder):
    asked = []

    votes = [
        result.metrics["stop_votes"]
        for result in recorder.steps(stop=lambda: bool(asked))
        if asked.append(result.step) is None
    ]

    assert votes == [0.0, 0.0, 1.0, 1.0]


def test_only_the_first_step_is_told_to_be_a_compilation(recorder):
    assert [result.compiled for result in recorder.steps()] == [True, False, False, False]
