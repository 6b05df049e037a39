import pytest

from deeq_bert.bert.phases import Phase
from deeq_bert.bert.plan import (
    PhasePlan,
    candidate_batches,
    describe_phase,
    total_line,
    try_batches,
)
from deeq_bert.bert.probing import Probe

PHASE = Phase("train*.tf", "", 128, 20, 256, 1, 1_000_000, 10_000, 1e-4)


def probe(size: int, seconds: float) -> Probe:
    return Probe(size, seconds, 60.0, 0.01, 100.0 * size, 8 * 2**30)


def plan(*probes: tuple[int, Probe | None]) -> PhasePlan:
    return PhasePlan(PHASE, 1_280_000, 256, probes, 1e11)


def test_candidates_lie_around_the_batch_and_divide_by_the_devices():
    assert candidate_batches(256, 4, 1) == [64, 128, 256, 512, 1024]
    assert candidate_batches(256, 4, 2) == [64, 128, 256, 512, 1024]
    assert candidate_batches(4, 4, 1) == [4, 8, 16]


def test_nothing_larger_is_tried_than_the_first_that_does_not_fit():
    tried = try_batches([8, 32, 16, 64], lambda size: probe(size, 1.0) if size < 32 else None)

    assert [(size, found is not None) for size, found in tried] == [
        (8, True),
        (16, True),
        (32, False),
    ]


def test_days_and_cost_follow_from_the_step_of_the_batch_as_given():
    lines = describe_phase(plan((256, probe(256, 0.0864))), 1, 2, None, 2.5)

    # 10^6 steps of 0.0864 s and a first one of 60 s are one day; 24 h x 2 devices x 2.50.
    assert lines[-1].startswith("As given (*): 200 epochs in 24 h 01 min, which costs 120.08")


@pytest.mark.parametrize(("seconds", "share"), [(0.5, "25.6%"), (0.25, "51.2%")])
def test_utilisation_is_held_against_the_peak_of_a_device(seconds, share):
    lines = describe_phase(plan((256, probe(256, seconds))), 1, 2, 100.0, None)

    # 256 sequences of 10^11 operations in so many seconds, over two devices of 100 TFLOP/s.
    assert share in lines[2] and "8.00 GiB" in lines[2]


def test_a_batch_that_is_faster_is_named():
    lines = describe_phase(plan((256, probe(256, 0.1)), (512, probe(512, 0.15))), 1, 1, None, None)

    assert lines[-1] == ("A batch of 512 goes through 1.33 times as many sequences a second.")


def test_a_batch_that_does_not_fit_is_said_and_has_no_price():
    plans = [plan((64, probe(64, 0.1)), (256, None))]

    lines = describe_phase(plans[0], 1, 1, None, None)

    assert "does not fit" in lines[3]
    assert lines[-1].startswith("As given it does not fit")
    assert total_line(plans, 1, 1.0) == "The command as given does not fit on these devices."
