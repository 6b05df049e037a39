import numpy as np
import pytest
import tensorflow as tf

from deeq_bert.bert import optimization
from deeq_bert.bert.training import NonFiniteLossError, make_train_step, run_steps


def steps_with_losses(losses, **overrides):
    """Runs the loop over steps with these losses; returns what it reported and saved."""
    reports, saves, seen_steps, taken = [], [], [], []

    def train_step(batch, step):
        seen_steps.append(int(step))
        values = {"loss": losses[batch], "gradient_norm": 1.0, "learning_rate": 0.1 * batch}
        return {name: tf.constant(value, tf.float32) for name, value in values.items()}

    arguments = {"first_step": 0, "last_step": len(losses), "log_steps": 2, "save_steps": 3}
    arguments.update(overrides)
    run_steps(
        train_step,
        iter(range(arguments["first_step"], 10**9)),
        report=lambda step, means: reports.append((step, means)),
        save=saves.append,
        progress=lambda: taken.append(1),
        **arguments,
    )
    return reports, saves, seen_steps, len(taken)


def test_logs_and_saves_come_at_their_steps_and_at_the_end():
    reports, saves, seen_steps, taken = steps_with_losses([8.0, 6.0, 4.0, 2.0, 1.0, 1.0, 3.0])

    assert seen_steps == list(range(7)) and taken == 7
    assert [(step, means["loss"]) for step, means in reports] == [(2, 7), (4, 3), (6, 1), (7, 3)]
    assert saves == [3, 6, 7]


def test_the_learning_rate_reported_is_that_of_the_last_step():
    reports, *_ = steps_with_losses([1.0, 1.0])

    assert reports[0][1]["learning_rate"] == pytest.approx(0.1)


def test_a_run_that_goes_on_keeps_its_count():
    _, saves, seen_steps, _ = steps_with_losses([1.0] * 7, first_step=4)

    assert seen_steps == [4, 5, 6]
    assert saves == [6, 7]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_names_its_step_and_saves_nothing(value):
    saves = []

    with pytest.raises(NonFiniteLossError) as error:
        run_steps(
            lambda batch, step: {
                "loss": tf.constant(value if batch == 4 else 1.0),
                "gradient_norm": tf.constant(1.0),
                "learning_rate": tf.constant(1.0),
            },
            iter(range(100)),
            first_step=0,
            last_step=100,
            log_steps=50,
            save_steps=3,
            report=lambda step, means: None,
            save=saves.append,
            progress=lambda: None,
        )

    assert (error.value.step, error.value.quantity) == (5, "loss")
    assert saves == [3]


def test_a_gradient_that_is_not_finite_is_noticed_before_it_is_saved():
    def train_step(batch, step):
        return {
            "loss": tf.constant(1.0),
            "gradient_norm": tf.constant(np.inf),
            "learning_rate": tf.constant(1.0),
        }

    with pytest.raises(NonFiniteLossError, match="gradient_norm is not finite at step 1"):
        run_steps(
            train_step,
            iter(range(9)),
            first_step=0,
            last_step=1,
            log_steps=1,
            save_steps=1,
            report=lambda step, means: None,
            save=lambda step: pytest.fail("saved"),
            progress=lambda: None,
        )


def test_a_step_reports_the_loss_before_its_update():
    variable = tf.Variable([3.0], name="v")
    optimizer = optimization.create_optimizer({"v": variable})
    train_step = make_train_step(
        tf.distribute.get_strategy(),
        [variable],
        optimizer,
        lambda step: 0.5 + 0.0 * tf.cast(step, tf.float32),
        lambda batch, dropout: (tf.reduce_sum(variable * batch["x"]), {}),
        seed=1,
    )

    first = train_step({"x": tf.constant([2.0])}, tf.constant(0, tf.int64))
    second = train_step({"x": tf.constant([2.0])}, tf.constant(1, tf.int64))

    assert float(first["loss"]) == 6.0
    assert float(first["gradient_norm"]) == 2.0
    assert float(first["learning_rate"]) == 0.5
    assert float(second["loss"]) < 6.0
