import pytest

from deeq_bert.bert.probing import largest_part


@pytest.mark.parametrize("most", [1, 3, 5, 8, 24, 100, 999, 5000])
def test_the_largest_part_fits_and_is_near_the_limit(most):
    asked = []

    found = largest_part(lambda size: asked.append(size) or size <= most, on_cpu=False)

    assert 0 < found <= most
    assert found >= 0.8 * most or most - found <= 16
    assert found % 8 == 0 or most < 8
    assert len(asked) == len(set(asked)) <= 20


def test_nothing_fits():
    assert largest_part(lambda size: False, on_cpu=False) == 0


def test_a_cpu_is_not_filled_up():
    assert largest_part(lambda size: True, on_cpu=True) == 64
