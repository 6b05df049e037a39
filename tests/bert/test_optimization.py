import json
import struct
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tensorflow as tf

from deeq_bert.bert import heads, modeling, optimization, pretraining
from deeq_bert.bert.config import BertConfig
from deeq_bert.bert.train_step import make_train_step

LOSS_TOLERANCE = 2e-6
WEIGHT_TOLERANCE = 1e-6


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_learning_rates_are_those_of_the_original_bit_for_bit(golden_optimization, compiled):
    cases = json.loads((golden_optimization / "learning_rates.json").read_text())["cases"]
    for case in cases:

        def rate(step, case=case):
            return optimization.learning_rate_at_step(
                step, case["init_lr"], case["num_train_steps"], case["num_warmup_steps"]
            )

        rate = tf.function(rate, autograph=False) if compiled else rate
        for step, _, bits in case["step_lr_float32hex"]:
            ours = struct.pack("<f", rate(tf.constant(step, tf.int64)).numpy()).hex()
            assert ours == bits, (case["init_lr"], case["num_train_steps"], step)


def test_60_steps_are_those_of_the_original(golden_optimization):
    history = json.loads((golden_optimization / "history.json").read_text())
    batches = np.load(golden_optimization / "batches.npz")
    config = BertConfig.from_json_file(golden_optimization / "bert_config.json")
    model = heads.PretrainingModel(config, seed=1)
    variables = model.variables
    assign(variables, golden_optimization / "weights_0.npz")
    optimizer = optimization.create_optimizer(variables)

    train_step = make_train_step(
        tf.distribute.get_strategy(),
        list(variables.values()),
        optimizer,
        lambda step: optimization.learning_rate_at_step(step, history["init_lr"], 60, 10),
        pretraining.make_replica_loss(model, len(batches["input_ids"][0])),
        seed=1,
    )

    for expected in history["steps"]:
        step = expected["step"]
        features = {name: tf.constant(batches[name][step]) for name in batches.files}
        values = train_step(features, step, 0.0)
        assert values["learning_rate"] == np.float32(expected["learning_rate"])
        assert float(values["gradient_norm"]) == pytest.approx(expected["global_norm"], rel=1e-5)
        expected["loss"] = expected["total_loss"]
        for loss in ("loss", "masked_lm_loss", "next_sentence_loss"):
            assert float(values[loss]) == pytest.approx(expected[loss], abs=LOSS_TOLERANCE), step
        if step + 1 in (2, 20, 60):
            stored = golden_optimization / f"weights_{step + 1}.npz"
            assert_equal_weights(variables | optimizer.slots, stored)


def test_20_steps_with_sparse_gradients_are_those_of_the_original(golden):
    # Fine-tuning on questions: no tied output, so the word embeddings have a sparse gradient, and
    # the pooler none at all.
    folder = golden / "finetune" / "squad"
    history = json.loads((folder / "history.json").read_text())
    batches = np.load(folder / "batches.npz")
    config = BertConfig.from_json_file(folder / "bert_config.json")
    model = modeling.BertModel(config, seed=1)
    variables = model.variables | {
        name: tf.Variable(tf.zeros(shape), name=name)
        for name, shape in (
            ("cls/squad/output_weights", [2, config.hidden_size]),
            ("cls/squad/output_bias", [2]),
        )
    }
    assign(variables, folder / "weights_0.npz")
    optimizer = optimization.create_optimizer(variables)

    @tf.function
    def train(ids, mask, segments, starts, ends, step):
        with tf.GradientTape() as tape:
            hidden = model(ids, mask, segments).sequence_output
            logits = tf.einsum("bsh,kh->kbs", hidden, variables["cls/squad/output_weights"])
            logits += variables["cls/squad/output_bias"][:, None, None]
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(tf.stack([starts, ends]), logits)
            )
        gradients = tape.gradient(loss, [*variables.values()])
        assert isinstance(gradients[0], tf.IndexedSlices)
        gradients, norm = optimization.clip_gradients(gradients)
        rate = optimization.learning_rate_at_step(step, history["init_lr"], 20, 4)
        optimizer.apply_gradients(zip(gradients, variables.values()), rate, step)
        return loss, norm

    names = ("input_ids", "input_mask", "segment_ids", "start_positions", "end_positions")
    for expected in history["steps"]:
        step = expected["step"]
        batch = [tf.constant(batches[name][step]) for name in names]
        loss, norm = train(*batch, tf.constant(step, tf.int64))
        assert float(loss) == pytest.approx(expected["loss"], abs=LOSS_TOLERANCE), step
        assert float(norm) == pytest.approx(expected["global_norm"], rel=1e-5), step
    # A bias common to all positions does not move their softmax: its gradient is rounding alone.
    del variables["cls/squad/output_bias"]
    assert_equal_weights(variables, folder / "weights_20.npz")


def test_moments_are_those_the_original_saves(golden_model):
    about = json.loads((golden_model / "about.json").read_text())
    config = BertConfig.from_json_file(golden_model / "bert_config.json")
    model = heads.PretrainingModel(config, seed=1)

    slots = optimization.create_optimizer(model.variables).slots

    assert {
        name: variable.shape.as_list() for name, variable in (model.variables | slots).items()
    } == {name: shape for name, shape in about["variables"] if name != "global_step"}
    assert not any(variable.trainable for variable in slots.values())


def test_moments_come_in_the_order_of_the_original(golden_model):
    listing = json.loads((golden_model / "variables_bert_base.json").read_text())
    stand_ins = {name: tf.Variable(0.0, name=name) for name in listing["trainable"]}

    slots = optimization.create_optimizer(stand_ins).slots

    created = [name for name, *_ in listing["global_variables_in_creation_order"]]
    assert created == [*stand_ins, "global_step", *slots]
    assert [variable.name for variable in slots.values()] == [f"{name}:0" for name in slots]


def test_weights_decay_where_those_of_the_original_do(golden_model):
    listing = json.loads((golden_model / "variables_bert_base.json").read_text())
    optimizer = optimization.create_optimizer({})

    decayed = [name for name in listing["trainable"] if optimizer.uses_weight_decay(name)]

    assert decayed == listing["decayed"]


def test_without_a_decay_rate_no_weight_decays():
    assert not optimization.AdamWeightDecayOptimizer({}).uses_weight_decay("a/kernel")


def test_the_first_update_is_that_of_adam_without_bias_correction():
    weight = tf.Variable([2.0], name="a/kernel")
    optimizer = optimization.AdamWeightDecayOptimizer({"a/kernel": weight}, weight_decay_rate=0.5)

    optimizer.apply_gradients([(tf.constant([3.0]), weight)], tf.constant(0.1), 0)

    step = 0.3 / (np.sqrt(0.001 * 9) + 1e-6) + 0.5 * 2.0
    assert weight.numpy() == pytest.approx([2.0 - 0.1 * step], rel=1e-5)


def test_a_variable_without_a_gradient_stays_as_it_is():
    weight = tf.Variable([2.0], name="a/kernel")
    optimizer = optimization.create_optimizer({"a/kernel": weight})

    optimizer.apply_gradients([(None, weight)], tf.constant(0.1), 0)

    assert weight.numpy() == [2.0]
    assert all(slot.numpy() == [0.0] for slot in optimizer.slots.values())


@pytest.mark.parametrize("jit_compile", [False, True])
def test_an_update_that_is_not_to_be_made_leaves_everything_as_it_is(jit_compile):
    weight = tf.Variable([2.0, 3.0], name="a/kernel")
    optimizer = optimization.create_optimizer({"a/kernel": weight})

    @tf.function
    def update(gradient, apply):
        optimizer.apply_gradients([(gradient, weight)], tf.constant(0.1), 0, apply, jit_compile)

    update(tf.constant([np.nan, 1.0]), tf.constant(False))
    assert weight.numpy().tolist() == [2.0, 3.0]
    assert all(slot.numpy().tolist() == [0.0, 0.0] for slot in optimizer.slots.values())

    update(tf.constant([0.0, 1.0]), tf.constant(True))
    assert weight.numpy()[1] < 3.0


def test_compiled_updates_are_those_of_the_interpreter():
    random, results = np.random.default_rng(1), []
    dense = random.normal(size=(4, 3, 2)).astype(np.float32)
    for jit_compile in (False, True):
        names = ("a/kernel", "a/table")
        variables = {name: tf.Variable(tf.ones([3, 2]), name=name) for name in names}
        optimizer = optimization.create_optimizer(variables)

        @tf.function
        def update(values, optimizer=optimizer, variables=variables, jit_compile=jit_compile):
            # A row twice, as when a word stands twice in a batch.
            rows = tf.IndexedSlices(values, tf.constant([2, 0, 2]), tf.constant([3, 2]))
            pairs = zip([values, rows], variables.values())
            optimizer.apply_gradients(pairs, tf.constant(0.1), 0, jit_compile=jit_compile)

        for values in dense:
            update(tf.constant(values))
        results.append([x.numpy() for x in [*variables.values(), *optimizer.slots.values()]])

    for compiled, plain in zip(*results):
        np.testing.assert_allclose(compiled, plain, rtol=1e-6, atol=1e-6)


def test_clipping_scales_all_gradients_to_a_joint_norm():
    clipped, norm = optimization.clip_gradients([tf.constant([3.0]), None, tf.constant([4.0])])

    assert float(norm) == pytest.approx(5.0)
    assert clipped[1] is None
    np.testing.assert_allclose([clipped[0][0], clipped[2][0]], [0.6, 0.8], rtol=1e-6)


def test_small_gradients_are_not_clipped():
    clipped, norm = optimization.clip_gradients([tf.constant([0.3, 0.4])], clip_norm=1.0)

    assert float(norm) == pytest.approx(0.5)
    np.testing.assert_allclose(clipped[0], [0.3, 0.4], rtol=1e-6)


# A process has one strategy, hence a program: it makes four updates with known gradients, one of
# them missing and one sparse with a repeated row, and prints every device's copy of everything.
UPDATES = textwrap.dedent(
    """
    import json
    import sys
    import numpy as np
    import tensorflow as tf
    from deeq_bert.bert import optimization

    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = {
        "default": tf.distribute.get_strategy,
        "one_device": lambda: tf.distribute.OneDeviceStrategy("/cpu:1"),
        "mirrored": lambda: tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"]),
    }[sys.argv[1]]()
    values = np.random.default_rng(0)
    shapes = {"a/kernel": (5, 3), "a/bias": (3,), "a/unused": (2,), "a/table": (6, 3)}
    with strategy.scope():
        variables = {
            name: tf.Variable(values.normal(size=shape), dtype=tf.float32, name=name)
            for name, shape in shapes.items()
        }
        optimizer = optimization.create_optimizer(variables)

    def gradients(kernel):
        rows = tf.IndexedSlices(kernel[:3], tf.constant([1, 4, 1]), tf.constant([6, 3]))
        return optimization.clip_gradients([kernel, kernel[0], None, rows])[0]

    @tf.function
    def update(kernel):
        summed = strategy.run(gradients, args=(kernel,))
        optimizer.apply_gradients(zip(summed, variables.values()), tf.constant(0.1), 0)

    for _ in range(4):
        update(tf.constant(values.normal(size=(5, 3)), tf.float32))
    everything = variables | optimizer.slots
    print(json.dumps({
        name: [copy.numpy().tolist() for copy in strategy.experimental_local_results(variable)]
        for name, variable in everything.items()
    }))
    """
)


@pytest.mark.slow
def test_every_device_of_every_strategy_makes_the_same_updates():
    results = {}
    for strategy in ("default", "one_device", "mirrored"):
        process = subprocess.run(
            [sys.executable, "-c", UPDATES, strategy], capture_output=True, text=True
        )
        assert process.returncode == 0, process.stderr
        results[strategy] = json.loads(process.stdout)

    assert results["default"] == results["one_device"]
    for name, copies in results["default"].items():
        np.testing.assert_allclose(results["mirrored"][name], copies * 2, rtol=0, atol=1e-7)


def assign(variables, path) -> None:
    weights = np.load(path)
    for name, variable in variables.items():
        variable.assign(weights[name])


def assert_equal_weights(variables, path) -> None:
    stored = np.load(path)
    for name in variables.keys() & set(stored.files):
        np.testing.assert_allclose(
            variables[name], stored[name], rtol=0, atol=WEIGHT_TOLERANCE, err_msg=name
        )
