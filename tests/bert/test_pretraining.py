import gzip

import numpy as np
import pytest
import tensorflow as tf

from deeq_bert.bert import heads, initialization, pretraining
from deeq_bert.bert.config import BertConfig
from deeq_bert.bert.input_pipeline import RecordBatches
from deeq_bert.bert.records import RecordSet


@pytest.fixture
def model(tiny_config) -> heads.PretrainingModel:
    return heads.PretrainingModel(BertConfig.from_json_file(tiny_config), 1)


@pytest.fixture
def batches(sample_records) -> RecordBatches:
    return RecordBatches(RecordSet.scan([str(sample_records)]), 128, 20, 900)


def test_evaluation_gives_the_metrics_of_the_original(golden, tmp_path):
    path = tmp_path / "ko.tfrecord"
    packed = golden / "pretraining_data" / "ko_default.tfrecord.gz"
    path.write_bytes(gzip.decompress(packed.read_bytes()))
    config = BertConfig.from_json_file(golden / "e2e" / "bert_config.json")
    model = heads.PretrainingModel(config, 1)
    step, _ = initialization.restore(str(golden / "e2e" / "model.ckpt-200"), model.variables)
    batches = RecordBatches(RecordSet.scan([str(path)]), 128, 20, config.vocab_size)

    strategy = tf.distribute.get_strategy()
    metrics = pretraining.evaluate(
        pretraining.make_eval_step(strategy, model), batches.for_evaluation(8, 50)
    )

    lines = (golden / "e2e" / "eval_results.txt").read_text().splitlines()
    expected = dict(line.split(" = ") for line in lines)
    assert step == int(expected.pop("global_step"))
    assert metrics.keys() == expected.keys()
    for name, value in expected.items():
        assert metrics[name] == pytest.approx(float(value), abs=1e-5), name


def test_the_evaluated_loss_is_the_training_loss(model, batches):
    replica_loss = pretraining.make_replica_loss(model, 50)
    (batch,) = batches.for_evaluation(50, 1)

    loss, parts = replica_loss.loss(batch, replica_loss.count(batch), None)
    metrics = pretraining.evaluate(
        pretraining.make_eval_step(tf.distribute.get_strategy(), model), [batch]
    )

    assert float(loss) == pytest.approx(float(metrics["loss"]), abs=1e-5)
    assert float(loss) == pytest.approx(
        float(parts["masked_lm_loss"] + parts["next_sentence_loss"]), abs=1e-6
    )


def test_filling_examples_change_nothing(model, batches):
    eval_step = pretraining.make_eval_step(tf.distribute.get_strategy(), model)

    even = pretraining.evaluate(eval_step, batches.for_evaluation(121, 2))
    uneven = pretraining.evaluate(eval_step, batches.for_evaluation(100, 3))

    for name in ("masked_lm_loss", "masked_lm_accuracy", "next_sentence_loss"):
        np.testing.assert_allclose(uneven[name], even[name], rtol=1e-5)


def test_a_batch_without_any_masked_word_has_a_finite_loss(model, batches):
    (batch,) = batches.for_evaluation(4, 1)
    batch["masked_lm_weights"] = tf.zeros_like(batch["masked_lm_weights"])

    replica_loss = pretraining.make_replica_loss(model, 4)
    _, parts = replica_loss.loss(batch, replica_loss.count(batch), None)

    assert float(parts["masked_lm_loss"]) == 0.0
