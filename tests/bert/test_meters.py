import subprocess
import sys

import pytest

from deeq_bert.bert.config import BertConfig
from deeq_bert.bert.meters import StepTimes, Throughput, training_flops_per_sequence


class Clock:
    """A clock that is set by hand."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def make_steps(meter: Throughput, clock: Clock, steps: int, seconds: float, wait: float = 0.0):
    for _ in range(steps):
        clock.now += seconds
        meter.count_step(wait)


def test_flops_are_six_per_weight_and_token_and_those_of_attention():
    config = BertConfig(vocab_size=32000, hidden_size=768, type_vocab_size=2)
    layer_weights = 12 * (4 * 768**2 + 2 * 768 * 3072)
    # At 20 positions the transform and the tied embeddings; at one the pooler and two classes.
    masked_lm_weights, next_sentence_weights = 768**2 + 32000 * 768, 768**2 + 2 * 768
    attention = 12 * 12 * 768 * 128  # 12 x layers x hidden x length for each token.

    flops = training_flops_per_sequence(config, 128, 20)

    by_weights = 128 * layer_weights + 20 * masked_lm_weights + next_sentence_weights
    assert flops == 6 * by_weights + 128 * attention


def test_most_flops_of_bert_base_are_those_of_its_layers():
    config = BertConfig(vocab_size=32000, type_vocab_size=2)
    layer_weights = 12 * (4 * 768**2 + 2 * 768 * 3072)

    assert 1.0 < training_flops_per_sequence(config, 128, 20) / (6 * layer_weights * 128) < 1.08


def test_the_speed_is_that_of_the_steps_after_the_first(clock):
    meter = Throughput(1e9, global_batch=32, replicas=2, peak_tflops=0.16, clock=clock)
    make_steps(meter, clock, 1, 40.0)  # Compiled.
    make_steps(meter, clock, 10, 0.5, wait=0.05)

    figures = meter.report(steps_left=100, tokens_per_step=3000.0)

    assert figures == pytest.approx(
        {
            "steps_per_second": 2.0,
            "sequences_per_second": 64.0,
            "tokens_per_second": 6000.0,
            "tflops": 0.032,
            "mfu": 0.2,
            "data_wait_share": 0.1,
            "eta_seconds": 50.0,
            "seconds_spent": 45.0,
        }
    )


def test_each_report_is_of_the_steps_since_the_last(clock):
    meter = Throughput(1e9, global_batch=32, replicas=1, clock=clock)
    make_steps(meter, clock, 11, 0.5, wait=0.5)
    meter.report(100)
    make_steps(meter, clock, 10, 0.25)

    figures = meter.report(100)

    assert (figures["steps_per_second"], figures["data_wait_share"]) == (4.0, 0.0)


def test_what_is_not_training_counts_in_the_time_and_not_in_the_speed(clock):
    meter = Throughput(1e9, global_batch=32, replicas=1, clock=clock)
    make_steps(meter, clock, 6, 0.5)
    clock.now += 7.0
    meter.exclude(7.0)
    make_steps(meter, clock, 5, 0.5)

    figures = meter.report(steps_left=100)

    assert (figures["steps_per_second"], figures["seconds_spent"]) == (2.0, 12.5)


def test_the_time_left_has_the_saves_and_evaluations_to_come(clock):
    meter = Throughput(1e9, global_batch=32, replicas=1, clock=clock)
    make_steps(meter, clock, 11, 0.5)
    meter.exclude(3.0, every_steps=40, what="evaluation")
    meter.exclude(9.0, every_steps=40, what="save")
    meter.exclude(1.0, every_steps=40, what="save")  # Takes the place of the one before.
    clock.now += 13.0

    # 50 s of steps; after 40 and 80 of them and at the end 4 s of the two.
    assert meter.report(steps_left=100)["eta_seconds"] == 50.0 + 3 * 4.0


def test_the_time_left_has_the_phases_to_come(clock):
    meter = Throughput(1e9, global_batch=32, replicas=1, flops_of_later_phases=64e9, clock=clock)
    make_steps(meter, clock, 11, 0.5)

    # 64 thousand million operations are those of two steps.
    assert meter.report(steps_left=100)["eta_seconds"] == 51.0


def test_the_cost_has_all_devices_and_all_processes_of_the_run(clock):
    meter = Throughput(
        1e9, 32, replicas=4, price_per_gpu_hour=2.0, seconds_before=3600.0, clock=clock
    )
    make_steps(meter, clock, 1, 1700.0)
    make_steps(meter, clock, 100, 1.0)

    figures = meter.report(steps_left=1800)

    assert (figures["seconds_spent"], figures["cost"]) == (5400.0, 12.0)
    assert figures["cost_total"] == 16.0
    assert meter.seconds_spent == 5400.0


def test_before_the_second_step_only_the_time_is_known(clock):
    meter = Throughput(1e9, 32, replicas=1, price_per_gpu_hour=3.6, clock=clock)
    make_steps(meter, clock, 1, 40.0)

    assert meter.report(100) == pytest.approx({"seconds_spent": 40.0, "cost": 0.04})


def test_a_report_without_a_step_keeps_the_last_estimate(clock):
    meter = Throughput(1e9, 32, replicas=1, clock=clock)
    make_steps(meter, clock, 11, 0.5)
    meter.report(100)

    assert meter.report(100) == {"seconds_spent": 5.5, "eta_seconds": 50.0}


def test_a_step_of_five_times_the_median_is_slow():
    times = StepTimes()
    for _ in range(20):
        assert times.slow(0.5) is None

    assert times.slow(2.49) is None
    assert times.slow(2.5) == times.usual == 0.5


def test_nothing_is_slow_before_twenty_steps_are_known():
    times = StepTimes()
    for _ in range(19):
        times.slow(0.5)

    assert times.usual is None
    assert times.slow(100.0) is None


def test_steps_that_stay_slow_become_usual():
    times = StepTimes()
    for _ in range(100):
        times.slow(0.1)

    told = [times.slow(1.0) is not None for _ in range(100)]

    assert told[0]
    assert not any(told[52:])


def test_meters_do_without_tensorflow():
    program = "import sys, deeq_bert.bert.meters; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
