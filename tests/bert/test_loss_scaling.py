import numpy as np
import pytest
import tensorflow as tf

from deeq_bert.bert.loss_scaling import LossScale


def after(scale: LossScale, *finite: bool) -> float:
    """The scale behind these updates."""
    update = tf.function(scale.update)
    for each in finite:
        update(tf.constant(each))
    return float(scale.value)


def test_the_scale_starts_high():
    assert float(LossScale().value) == 2.0**15


def test_it_doubles_after_so_many_good_updates_in_a_row():
    scale = LossScale(8.0, growth_steps=3)

    assert after(scale, True, True) == 8.0
    assert after(scale, True) == 16.0
    assert after(scale, True, True) == 16.0
    assert after(scale, True) == 32.0


def test_it_halves_at_once_and_counts_anew():
    scale = LossScale(8.0, growth_steps=3)

    assert after(scale, True, True, False) == 4.0
    assert after(scale, True, True) == 4.0
    assert after(scale, True) == 8.0


def test_it_stays_between_1_and_2_to_the_24():
    assert after(LossScale(2.0), False, False, False) == 1.0
    assert after(LossScale(2.0**23, growth_steps=1), True, True, True) == 2.0**24


def test_2000_good_updates_are_what_it_takes():
    scale = LossScale()
    scale.variables["global_step/loss_scale_good_steps"].assign(1998)

    assert after(scale, True) == 2.0**15
    assert after(scale, True) == 2.0**16


def test_its_state_is_all_it_goes_on_from():
    one, other = LossScale(8.0, growth_steps=3), LossScale(64.0, growth_steps=3)
    after(one, True, True)
    for name, variable in other.variables.items():
        variable.assign(one.variables[name].numpy())

    assert after(other, True) == after(one, True) == 16.0


def test_no_variable_is_trainable_and_every_name_is_one_that_converters_skip():
    for name, variable in LossScale().variables.items():
        assert not variable.trainable
        assert "global_step" in name.split("/")


@pytest.mark.parametrize("updates", [50])
def test_dividing_by_it_is_exact(updates):
    scale = LossScale(growth_steps=2)
    for finite in np.random.default_rng(1).random(updates) < 0.8:
        value = after(scale, bool(finite))
        assert np.frexp(value)[0] == 0.5  # A power of two.
