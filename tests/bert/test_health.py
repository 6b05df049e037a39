import pytest

from deeq_bert.bert.health import DivergenceError, LossHealth


def check(health: LossHealth, step: int, loss: float, norm: float = 1.0, **more: float) -> None:
    health.check(step, {"loss": loss, "gradient_norm": norm, **more})


def learned(factor: float = 3.0, loss: float = 5.0) -> LossHealth:
    """One that has seen 50 steps of this loss."""
    health = LossHealth(factor)
    for step in range(1, 51):
        check(health, step, loss)
    return health


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_a_divergence(loss):
    with pytest.raises(DivergenceError, match="the loss is not finite") as error:
        check(LossHealth(3.0), 7, loss)

    assert error.value.step == 7


def test_a_gradient_that_is_not_finite_is_a_divergence():
    with pytest.raises(DivergenceError, match="the gradient is not finite"):
        check(LossHealth(3.0), 7, 5.0, float("inf"))


def test_a_gradient_that_a_lower_loss_scale_can_mend_is_none():
    check(LossHealth(3.0), 7, 5.0, float("inf"), loss_scale=1024.0)

    with pytest.raises(DivergenceError):
        check(LossHealth(3.0), 7, 5.0, float("inf"), loss_scale=1.0)


def test_a_loss_of_three_times_the_usual_is_an_explosion():
    health = learned()
    check(health, 51, 14.9)

    with pytest.raises(DivergenceError, match="the loss is 15.1 where 5 is usual"):
        check(health, 52, 15.1)


def test_nothing_is_usual_before_some_steps_are_known():
    health = LossHealth(3.0)

    for step, loss in enumerate([1.0, 100.0, 1.0, 100.0], start=1):
        check(health, step, loss)


def test_a_small_loss_may_jump():
    check(learned(loss=0.05), 51, 2.5)


def test_without_a_factor_nothing_is_an_explosion():
    check(learned(factor=0.0), 51, 1e6)
