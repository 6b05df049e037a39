import numpy as np
import pytest

from deeq_bert.bert.shuffling import shuffled_indexes


def one_pass(number: int, record_count: int, seed: int = 1) -> np.ndarray:
    return shuffled_indexes(number * record_count, record_count, record_count, seed)


@pytest.mark.parametrize("count", [*range(1, 70), 1023, 1024, 1025, 4097, 65536, 65537, 262145])
def test_every_pass_is_a_permutation(count):
    for number in (0, 1, 1000):
        assert np.array_equal(np.sort(one_pass(number, count)), np.arange(count))


@pytest.mark.parametrize("count", [10_000, 65_537, 200_000, 1_000_000])
def test_passes_and_seeds_have_nothing_to_do_with_each_other(count):
    first = one_pass(0, count)
    for other in (one_pass(1, count), one_pass(256, count), one_pass(0, count, seed=257)):
        # Five standard deviations of the correlation of two random orders.
        assert abs(np.corrcoef(first, other)[0, 1]) < 5 / np.sqrt(count)


def test_neighbours_come_from_all_over(count=100_000):
    steps = np.abs(np.diff(one_pass(0, count)))

    # The mean distance of two random places is a third of the range.
    assert np.mean(steps) == pytest.approx(count / 3, rel=0.02)


def test_a_short_run_sees_many_orders():
    orders = {tuple(one_pass(number, 10)) for number in range(3000)}

    # Of 3,628,800 orders; about 1 in 3,000 comes twice by chance.
    assert len(orders) > 2980


def test_all_orders_of_three_are_as_frequent():
    orders = [tuple(one_pass(number, 3)) for number in range(6000)]

    counts = [orders.count(order) for order in set(orders)]
    assert len(counts) == 6
    assert min(counts) > 850 and max(counts) < 1150


def test_any_part_can_be_entered():
    whole = shuffled_indexes(0, 100, 7, seed=3)

    for start in (0, 1, 6, 7, 20, 93):
        assert np.array_equal(shuffled_indexes(start, 7, 7, seed=3), whole[start : start + 7])


@pytest.mark.parametrize("seed", [0, -1, 2**63, -(2**70)])
def test_any_seed_serves(seed):
    assert sorted(one_pass(0, 50, seed)) == list(range(50))


def test_positions_far_out_serve():
    assert sorted(shuffled_indexes(2**50 * 50, 50, 50, 1)) == list(range(50))
