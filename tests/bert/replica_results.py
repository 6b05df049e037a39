"""Trains and evaluates a tiny model on 1 or 2 logical CPU devices, for test_distribution.py.

Usage: python -m replica_results DEVICES CONFIG RECORDS OUTPUT, which is written as .npz.
"""

import sys

import numpy as np
import tensorflow as tf

from deeq_bert.bert import distribution, heads, input_pipeline, optimization, pretraining, training
from deeq_bert.bert.config import BertConfig
from deeq_bert.bert.records import RecordSet

SEED, STEPS, BATCH, WARMUP, RATE = 1, 8, 6, 4, 2e-4


def main(devices: int, config_file: str, records_file: str, output: str) -> None:
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    config = BertConfig.from_json_file(config_file)
    # Each replica draws its own dropout, so only without it are the results the same.
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
    strategy = distribution.make_strategy([f"/cpu:{number}" for number in range(devices)])
    with strategy.scope():
        model = heads.PretrainingModel(config, SEED)
        optimizer = optimization.create_optimizer(model.variables)
    train_step = training.make_train_step(
        strategy,
        list(model.variables.values()),
        optimizer,
        lambda step: optimization.learning_rate_at_step(step, RATE, 100, WARMUP),
        pretraining.make_replica_loss(model, BATCH),
        SEED,
    )
    batches = input_pipeline.RecordBatches(RecordSet.scan([records_file]), 128, 20, 900)
    shuffled = distribution.distribute(strategy, batches.for_training(BATCH, 0, SEED))
    steps = [
        train_step(batch, tf.constant(step, tf.int64))
        for step, batch in zip(range(STEPS), shuffled)
    ]
    # 242 records: the last batch is filled up from 2 to 40, all but one on the second replica.
    in_order = distribution.distribute(strategy, batches.for_evaluation(40, 100))
    metrics = pretraining.evaluate(pretraining.make_eval_step(strategy, model), in_order)
    np.savez(
        output,
        **{name.replace("/", "."): value.numpy() for name, value in model.variables.items()},
        **{f"step.{name}": [float(step[name]) for step in steps] for name in steps[0]},
        **{f"eval.{name}": value for name, value in metrics.items()},
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
