import contextlib
import itertools
import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tensorflow as tf

from deeq_bert.bert import pretraining
from deeq_bert.bert.config import BertConfig
from deeq_bert.bert.heads import PretrainingModel
from deeq_bert.bert.input_pipeline import RecordBatches
from deeq_bert.bert.length_buckets import (
    Bucket,
    make_buckets,
    smallest_bucket,
    sorted_batches,
    used_columns,
    window_at,
)
from deeq_bert.bert.meters import training_flops_per_sequence
from deeq_bert.bert.phases import Phase
from deeq_bert.bert.pretraining_records import PhaseRecords
from deeq_bert.bert.pretraining_run import PretrainingRun
from deeq_bert.bert.records import RecordSet

SEED, BATCH = 5, 8


@pytest.mark.parametrize(("length", "predictions"), [(512, 77), (128, 20), (100, 15), (5, 1)])
def test_there_are_few_buckets_and_the_last_cuts_nothing(length, predictions):
    buckets = make_buckets(length, predictions)

    assert len(buckets) <= 8 and buckets == sorted(buckets)
    assert buckets[-1] == (length, predictions)
    assert all(bucket.length % 16 == 0 for bucket in buckets[:-1])


def test_buckets_lie_closest_where_sequences_are_short():
    lengths = [bucket.length for bucket in make_buckets(512, 77)]
    assert lengths == [32, 64, 96, 128, 192, 256, 384, 512]


def test_usual_masks_fit_the_bucket_of_their_sequence():
    for longest, most in ((128, 20), (512, 77)):
        buckets = make_buckets(longest, most)
        for bucket in buckets:
            masked = min(round(bucket.length * 0.15), most)
            assert smallest_bucket(buckets, bucket.length, masked) == bucket


def test_a_bucket_holds_tokens_and_predictions():
    buckets = make_buckets(128, 20)
    assert smallest_bucket(buckets, 33, 1) == Bucket(48, 8)
    assert smallest_bucket(buckets, 33, 9) == Bucket(64, 10)
    assert smallest_bucket(buckets, 33, 20) == Bucket(128, 20)


def test_columns_are_in_use_up_to_the_last_that_is_not_zero():
    weights = np.array([[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1]])
    np.testing.assert_array_equal(used_columns(weights), [2, 3, 0, 4])


def test_every_position_lies_in_the_window_its_neighbours_lie_in():
    for start in (0, 3):  # a run whose batch has changed has come to any position
        windows = [window_at(start + number * 32, 32) for number in range(130)]
        assert {window.first for window in windows} == {start, start + 2048, start + 4096}
        for number, window in enumerate(windows):
            assert window.first + window.skip * 32 == start + number * 32


def test_windows_of_large_batches_are_of_fewer():
    batches = [window_at(0, size).batches for size in (8, 256, 1024, 4096, 2**16)]
    assert batches == [64, 64, 16, 8, 8]


@pytest.fixture
def lengths() -> np.ndarray:
    return np.random.default_rng(1).integers(5, 129, 64 * BATCH)


def test_batches_of_a_window_are_of_like_lengths_and_in_random_order(lengths):
    batches = sorted_batches(lengths, np.zeros_like(lengths), BATCH, 0, SEED)

    assert sorted(batches.ravel()) == list(range(len(lengths)))
    longest = lengths[batches].max(axis=1)
    # Each batch begins where another one ends.
    assert list(itertools.chain(*sorted(lengths[batches].tolist()))) == sorted(lengths)
    assert abs(np.corrcoef(longest, np.arange(64))[0, 1]) < 0.3


def test_the_order_of_batches_depends_on_seed_and_window(lengths):
    passes = np.zeros_like(lengths)
    orders = {
        sorted_batches(lengths, passes, BATCH, first, seed).tobytes()
        for first, seed in ((0, SEED), (0, SEED), (len(lengths), SEED), (0, SEED + 1))
    }
    assert len(orders) == 3


@pytest.mark.parametrize("end", [100, 96])
def test_a_pass_ends_before_the_next_begins(lengths, end):
    passes = (np.arange(len(lengths)) >= end).astype(np.int64)

    batches = sorted_batches(lengths, passes, BATCH, 0, SEED)

    of_batches = passes[batches]
    assert (np.diff(of_batches.ravel()) >= 0).all()
    assert (of_batches.min(axis=1) < of_batches.max(axis=1)).sum() == (end % BATCH > 0)


@pytest.fixture(scope="module")
def config(tiny_config) -> BertConfig:
    """The tiny model without dropout, whose masks depend on the shape of a batch."""
    fields = json.loads(tiny_config.read_text())
    return BertConfig.from_dict(
        fields | {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    )


def test_loss_and_gradients_are_those_of_the_padded_batch(config, sample_records):
    records = RecordBatches(RecordSet.scan([str(sample_records)]), 128, 20, 900)
    model = PretrainingModel(config, seed=1)
    # With the small weights that training starts from, the gradients would be small as well.
    for variable in model.variables.values():
        variable.assign(variable * 5.0)
    loss = pretraining.make_replica_loss(model, BATCH)

    def gradients(batch):
        with tf.GradientTape() as tape:
            value, metrics = loss.loss(batch, loss.count(batch), None)
        found = tape.gradient(value, list(model.variables.values()))
        return {"loss": value, **metrics} | {
            name: tf.convert_to_tensor(one) for name, one in zip(model.variables, found)
        }

    with contextlib.closing(records.for_training(BATCH, 0, SEED, length_buckets=True)) as batches:
        cut = next(batch for batch in batches if batch["input_ids"].shape[1] < 128)
    padded = dict(cut)
    for size, names in (
        (128, ("input_ids", "input_mask", "segment_ids")),
        (20, ("masked_lm_positions", "masked_lm_ids", "masked_lm_weights")),
    ):
        for name in names:
            padded[name] = tf.pad(cut[name], [[0, 0], [0, size - cut[name].shape[1]]])

    expected = gradients(padded)
    for name, value in gradients(cut).items():
        np.testing.assert_allclose(value, expected[name], rtol=0, atol=1e-6, err_msg=name)


TWO_REPLICAS = textwrap.dedent("""
    import sys
    import tensorflow as tf
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    from test_length_buckets import losses
    from deeq_bert.bert import distribution
    from deeq_bert.bert.config import BertConfig
    config = BertConfig.from_json_file(sys.argv[1])
    print(losses(distribution.make_strategy(["/cpu:0", "/cpu:1"]), config, sys.argv[2], parts=2))
""")


def losses(
    strategy: tf.distribute.Strategy, config: BertConfig, path: str, parts: int = 1
) -> list[float]:
    """The losses of two steps on batches of different lengths."""
    run, phase, records = training(strategy, config, path, parts)
    train_step = run.train_step(phase, BATCH)
    with run.batches(phase, records, BATCH, 0) as batches:
        by_length = {length_of(strategy, batch): batch for batch in itertools.islice(batches, 20)}
    lengths = sorted(by_length)
    return [
        float(train_step(by_length[length], step, 0.0)["loss"])
        for step, length in enumerate((lengths[0], lengths[-1]))
    ]


def training(
    strategy: tf.distribute.Strategy, config: BertConfig, path: str, parts: int = 1
) -> tuple[PretrainingRun, Phase, PhaseRecords]:
    """A run with length buckets, its only phase, and the records of that."""
    run = PretrainingRun(config, strategy, "float32", False, "adam", SEED, length_buckets=True)
    phase = Phase("", "", 128, 20, BATCH, parts, 100, 4, 2e-4)
    return run, phase, PhaseRecords(RecordSet.scan([path]), None, {}, None, None)


def length_of(strategy: tf.distribute.Strategy, batch: dict) -> int:
    return strategy.experimental_local_results(batch["input_ids"])[0].shape[1]


@pytest.mark.slow
def test_two_replicas_in_two_parts_each_train_as_one_device(config, sample_records, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(config.to_json_string())
    program = [sys.executable, "-c", TWO_REPLICAS, str(path), str(sample_records)]
    folder = __file__.rsplit("/", 1)[0]

    two = subprocess.run(program, capture_output=True, text=True, cwd=folder)
    one = losses(tf.distribute.OneDeviceStrategy("/cpu:0"), config, str(sample_records))

    assert two.returncode == 0, two.stderr
    np.testing.assert_allclose(json.loads(two.stdout.splitlines()[-1]), one, rtol=0, atol=1e-6)


def test_a_step_is_the_same_whatever_lengths_came_before(config, sample_records):
    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    run, phase, records = training(strategy, config, str(sample_records))
    with run.batches(phase, records, BATCH, 0) as batches:
        by_length = {length_of(strategy, batch): batch for batch in itertools.islice(batches, 20)}
    first, second, *_ = by_length.values()
    start = {name: variable.numpy() for name, variable in run.variables.items()}

    weights = []
    for before in ([first], []):
        train_step = run.train_step(phase, BATCH)
        for batch in before:
            train_step(batch, 0, 0.0)
        for name, variable in run.variables.items():
            variable.assign(start[name])
        train_step(second, 1, 0.0)
        weights.append({name: variable.numpy() for name, variable in run.variables.items()})

    for name, value in weights[0].items():
        np.testing.assert_array_equal(weights[1][name], value, err_msg=name)


def test_operations_are_those_of_the_sequences_that_are_left(config, sample_records):
    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    run, phase, records = training(strategy, config, str(sample_records))

    with run.batches(phase, records, BATCH, 0) as batches:
        operations = [
            training_flops_per_sequence(
                config, batch["input_ids"].shape[1], batch["masked_lm_ids"].shape[1]
            )
            for batch in itertools.islice(batches, 512)
        ]

    mean = run.flops_per_sequence(phase, records, BATCH)
    assert mean == pytest.approx(np.mean(operations))
    whole = training_flops_per_sequence(config, 128, 20)
    assert mean < 0.98 * whole
    assert run.flops_per_sequence(phase, records, BATCH, full_length=True) == whole
