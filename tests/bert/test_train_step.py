import json
import socket
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tensorflow as tf

from deeq_bert.bert import heads, optimization, pretraining
from deeq_bert.bert.config import BertConfig
from deeq_bert.bert.input_pipeline import RecordBatches
from deeq_bert.bert.loss_scaling import LossScale
from deeq_bert.bert.records import RecordSet
from deeq_bert.bert.train_step import ReplicaLoss, make_train_step

BATCH = 12


def step_of(loss, variables, optimizer=None, rate=0.5, **keywords):
    """A train step over a loss of the batch, its denominators and its dropout key."""
    names = {variable.name.removesuffix(":0"): variable for variable in variables}
    return make_train_step(
        tf.distribute.get_strategy(),
        variables,
        optimizer or optimization.create_optimizer(names),
        lambda step: tf.constant(rate),
        ReplicaLoss(lambda batch: {}, lambda *args: (loss(*args), {})),
        seed=1,
        **keywords,
    )


def losses_and_weights(config, batches, dropout=0.0, **keywords):
    """Trains a model for some batches; returns what the steps report, and the weights."""
    config = BertConfig.from_json_file(config)
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = dropout
    model = heads.PretrainingModel(config, seed=1)
    train_step = make_train_step(
        tf.distribute.get_strategy(),
        list(model.variables.values()),
        optimization.create_optimizer(model.variables),
        lambda step: optimization.learning_rate_at_step(step, 1e-3, 100, 0),
        pretraining.make_replica_loss(model, BATCH),
        seed=1,
        **keywords,
    )
    metrics = [train_step(batch, step, 0.0) for step, batch in enumerate(batches)]
    weights = {name: variable.numpy() for name, variable in model.variables.items()}
    return {name: [float(each[name]) for each in metrics] for name in metrics[0]}, weights


@pytest.fixture(scope="module")
def batches(sample_records):
    batches = RecordBatches(RecordSet.scan([str(sample_records)]), 128, 20, 900)
    return [*batches.for_evaluation(BATCH, 6)]


def test_a_step_reports_the_loss_before_its_update():
    variable = tf.Variable([3.0], name="v")
    train_step = step_of(lambda batch, *_: tf.reduce_sum(variable * batch["x"]), [variable])

    first = train_step({"x": tf.constant([2.0])}, 0, 0.0)
    second = train_step({"x": tf.constant([2.0])}, 1, 0.0)

    assert float(first["loss"]) == 6.0
    assert float(first["gradient_norm"]) == 2.0
    assert float(first["learning_rate"]) == 0.5
    assert float(second["loss"]) < 6.0
    assert "applied" not in first and "loss_scale" not in first


# In which order a graph runs is decided anew for each graph, and may change from step to step.
@pytest.mark.parametrize("graph", range(20))
def test_no_step_reports_the_loss_after_its_update(graph):
    variable = tf.Variable([3.0], name="v")
    train_step = step_of(lambda batch, *_: tf.reduce_sum(variable * batch["x"]), [variable])

    for step in range(20):
        before = float(variable.numpy()[0])
        assert float(train_step({"x": tf.constant([2.0])}, step, 0.0)["loss"]) == 2.0 * before


def test_a_step_is_traced_once_whatever_numbers_it_is_given():
    variable, traced = tf.Variable([3.0], name="v"), []

    def loss(batch, totals, key):
        traced.append(1)
        return tf.reduce_sum(variable * batch["x"])

    train_step = step_of(loss, [variable])
    for step, vote in ((0, 0), (1, 1.0), (tf.constant(2, tf.int64), tf.constant(0.5)), (3, False)):
        metrics = train_step({"x": tf.constant([2.0])}, step, vote)
        assert float(metrics["stop_votes"]) == float(vote)

    assert len(traced) == 1


def test_tokens_are_counted_without_padding(tiny_config, batches):
    metrics, _ = losses_and_weights(tiny_config, batches)

    assert metrics["tokens"] == [batch["input_mask"].numpy().sum() for batch in batches]


@pytest.mark.parametrize("parts", [2, 12])
def test_an_accumulated_batch_is_the_large_batch(tiny_config, batches, parts):
    metrics, weights = losses_and_weights(tiny_config, batches)

    of_parts, weights_of_parts = losses_and_weights(tiny_config, batches, accumulation_steps=parts)

    for name, values in metrics.items():
        np.testing.assert_allclose(of_parts[name], values, rtol=1e-6, err_msg=name)
    for name, value in weights.items():
        np.testing.assert_allclose(weights_of_parts[name], value, rtol=0, atol=1e-6, err_msg=name)


def test_every_part_has_a_dropout_key_of_its_own():
    variable = tf.Variable([0.0], name="v")

    def loss(batch, totals, key):
        # The number of the part out of the 64-bit word of step, replica and site.
        part = tf.cast(key.at(0)[1] // 2**12, tf.float32)
        return tf.reduce_sum(variable + 10.0**part * batch["x"])

    train_step = step_of(loss, [variable], accumulation_steps=3)

    assert float(train_step({"x": tf.ones([3])}, 0, 0.0)["loss"]) == 111.0


@pytest.mark.parametrize("accumulation_steps", [1, 2])
def test_a_variable_that_has_no_part_in_the_loss_stays_as_it_is(accumulation_steps):
    used, unused = tf.Variable([3.0], name="a/kernel"), tf.Variable([2.0], name="b/kernel")
    train_step = step_of(
        lambda batch, *_: tf.reduce_sum(used * batch["x"]),
        [unused, used],
        accumulation_steps=accumulation_steps,
    )

    train_step({"x": tf.ones([2])}, 0, 0.0)

    assert used.numpy() < 3.0
    assert unused.numpy() == [2.0]


@pytest.mark.parametrize("accumulation_steps", [1, 2])
@pytest.mark.parametrize("scale", [None, 4.0])
def test_looking_rows_up_has_the_gradient_of_a_product(accumulation_steps, scale):
    updated = []
    for find in (
        lambda table, ids: tf.gather(table, ids),
        lambda table, ids: tf.matmul(tf.one_hot(ids, 4), table),
    ):
        table = tf.Variable(np.arange(8, dtype=np.float32).reshape(4, 2) / 8, name="table")
        train_step = step_of(
            lambda batch, *_, table=table, find=find: (
                tf.reduce_sum(find(table, batch["ids"]) ** 3) / 100.0
            ),
            [table],
            accumulation_steps=accumulation_steps,
            loss_scale=scale and LossScale(scale),
        )
        train_step({"ids": tf.constant([2, 3])}, 0, 0.0)
        updated.append(table.numpy())

    np.testing.assert_allclose(*updated, rtol=1e-6)


def test_parts_that_are_not_equal_are_refused(tiny_config, batches):
    with pytest.raises(ValueError, match="12 rows a replica.*5 parts of accumulation_steps"):
        losses_and_weights(tiny_config, batches, accumulation_steps=5)
    with pytest.raises(ValueError, match="accumulation_steps is 0"):
        losses_and_weights(tiny_config, batches, accumulation_steps=0)


@pytest.mark.parametrize("optimizer", ["adam", "lamb"])
def test_an_update_that_is_not_finite_is_left_out(optimizer):
    weight = tf.Variable([3.0], name="a/kernel")
    optimizer = optimization.create_optimizer({"a/kernel": weight}, optimizer)
    scale = LossScale(1024.0)
    train_step = step_of(
        lambda batch, *_: tf.reduce_sum(weight * batch["x"]),
        [weight],
        optimizer,
        loss_scale=scale,
    )

    good = train_step({"x": tf.constant([0.5])}, 0, 0.0)
    before = {name: x.numpy() for name, x in {**optimizer.slots, "w": weight}.items()}
    bad = train_step({"x": tf.constant([np.inf])}, 1, 0.0)
    after = {name: x.numpy() for name, x in {**optimizer.slots, "w": weight}.items()}
    train_step({"x": tf.constant([0.5])}, 2, 0.0)

    # The norm is that of the gradients without the scale.
    assert [float(good[name]) for name in ("applied", "loss_scale", "gradient_norm")] == [
        1.0,
        1024.0,
        0.5,
    ]
    assert [float(bad[name]) for name in ("applied", "loss_scale")] == [0.0, 1024.0]
    assert float(scale.value) == 512.0
    assert before == after
    assert weight.numpy() != before["w"]


def test_the_scale_alone_changes_nothing_in_float32(tiny_config, batches):
    plain, weights = losses_and_weights(tiny_config, batches)

    scaled, scaled_weights = losses_and_weights(tiny_config, batches, loss_scale=LossScale(2.0**10))

    assert scaled["applied"] == [1.0] * len(batches)
    for name, values in plain.items():
        np.testing.assert_allclose(scaled[name], values, rtol=1e-6, err_msg=name)
    for name, value in weights.items():
        np.testing.assert_allclose(scaled_weights[name], value, rtol=0, atol=1e-6, err_msg=name)


def test_compiled_steps_are_those_of_the_interpreter(tiny_config, batches):
    plain, weights = losses_and_weights(tiny_config, batches)

    compiled, compiled_weights = losses_and_weights(tiny_config, batches, jit_compile=True)

    for name, values in plain.items():
        np.testing.assert_allclose(compiled[name], values, rtol=1e-6, err_msg=name)
    for name, value in weights.items():
        np.testing.assert_allclose(compiled_weights[name], value, rtol=0, atol=1e-6, err_msg=name)


@pytest.mark.slow
def test_compiled_dropout_comes_out_the_same_again(tiny_config, batches):
    first, same = (
        losses_and_weights(tiny_config, batches[:2], dropout=0.5, jit_compile=True)
        for _ in range(2)
    )
    without, _ = losses_and_weights(tiny_config, batches[:2], jit_compile=True)

    assert first[0] == same[0]
    assert first[0]["loss"] != without["loss"]


@pytest.mark.slow
def test_two_replicas_take_the_steps_of_one_device(sample_records, tiny_config, tmp_path):
    results = []
    for devices in (1, 2):
        # A process each: several strategies in one break each other's collectives.
        path = tmp_path / f"{devices}.npz"
        program = [sys.executable, "-m", "replica_results", devices, tiny_config, sample_records]
        variants = ("plain", "accumulated", "compiled", "lamb", "float16")
        subprocess.run(
            [*map(str, program), path, *variants], check=True, cwd=__file__.rsplit("/", 1)[0]
        )
        results.append(np.load(path))

    one, two = results
    for name in one.files:
        variant, rest = name.split(".", 1)
        if rest == "step.stop_votes":
            # Every replica hands in the vote of its process.
            np.testing.assert_array_equal(two[name], 2 * one[name])
            continue
        if variant == "float16" and not rest.startswith("step."):
            # Sums are rounded to 11 bits where they leave a product, and a gradient that is
            # nothing but rounding moves a weight as far as any other.
            assert np.abs(two[name] - one[name]).mean() < 1e-5, name
            continue
        tolerance = 1e-4 if variant == "float16" else 1e-6
        np.testing.assert_allclose(two[name], one[name], tolerance, tolerance, err_msg=name)
        if variant in ("accumulated", "compiled"):
            plain = one[f"plain.{rest}"]
            np.testing.assert_allclose(two[name], plain, 1e-6, 1e-6, err_msg=name)
    # The scale was far too high, came down on both, and the updates began.
    applied = one["float16.step.applied"]
    assert applied[0] == 0 and applied[-1] == 1
    np.testing.assert_array_equal(two["float16.step.applied"], applied)


# One of two processes: it makes three steps with a vote of its own and prints what it is told.
WORKER = textwrap.dedent(
    """
    import json
    import sys
    import tensorflow as tf
    from deeq_bert.bert import optimization
    from deeq_bert.bert.train_step import ReplicaLoss, make_train_step

    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    with strategy.scope():
        variable = tf.Variable([3.0], name="v")
        optimizer = optimization.create_optimizer({"v": variable})
    train_step = make_train_step(
        strategy,
        [variable],
        optimizer,
        lambda step: tf.constant(0.5),
        ReplicaLoss(
            lambda batch: {"rows": tf.reduce_sum(tf.ones_like(batch["x"]))},
            lambda batch, totals, key: (
                tf.reduce_sum(variable * batch["x"]) / totals["rows"], {"rows": totals["rows"]}
            ),
        ),
        seed=1,
    )
    number = int(sys.argv[1])
    metrics = [
        train_step({"x": tf.constant([1.0 + number])}, step, float(number == 1 and step == 2))
        for step in range(3)
    ]
    print(json.dumps({name: [float(each[name]) for each in metrics] for name in metrics[0]}))
    """
)


@pytest.mark.slow
def test_a_vote_of_one_process_reaches_the_others():
    with socket.socket() as one, socket.socket() as two:
        one.bind(("localhost", 0))
        two.bind(("localhost", 0))
        workers = [f"localhost:{each.getsockname()[1]}" for each in (one, two)]
    processes = []
    for number in (0, 1):
        task = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": number}}
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", WORKER, str(number)],
                env={"TF_CONFIG": json.dumps(task), "CUDA_VISIBLE_DEVICES": ""},
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    try:
        one, two = (json.loads(each.communicate(timeout=120)[0]) for each in processes)
    finally:
        for process in processes:
            process.kill()

    assert one == two
    assert one["stop_votes"] == [0.0, 0.0, 1.0]
    assert one["rows"] == [4.0] * 3
    # Rows 1 and 2 times the variable 3, over 2 rows.
    assert one["loss"][0] == 4.5
    assert one["gradient_norm"][0] == 1.5
