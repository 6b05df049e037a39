"""Trains a tiny model on 1 or 2 logical CPU devices, for tests that compare the two.

Usage: python -m replica_results DEVICES CONFIG RECORDS OUTPUT [VARIANT...]. OUTPUT is written as
.npz: the weights, metrics and evaluation of a run in float32; with variants, of each of them the
weights and metrics, their names after "VARIANT.".
"""

import sys

import numpy as np
import tensorflow as tf

from deeq_bert.bert import distribution, heads, input_pipeline, optimization, pretraining
from deeq_bert.bert.config import BertConfig
from deeq_bert.bert.loss_scaling import LossScale
from deeq_bert.bert.records import RecordSet
from deeq_bert.bert.train_step import make_train_step

SEED, STEPS, BATCH, WARMUP, RATE = 1, 8, 6, 4, 2e-4

# What each variant does otherwise than the plain run.
VARIANTS = {
    "plain": {},
    "accumulated": {"accumulation_steps": 3},
    "compiled": {"accumulation_steps": 3, "jit_compile": True},
    "lamb": {"optimizer": "lamb"},
    # A scale that the first updates cannot bear.
    "float16": {"dtype": "float16", "first_scale": 2.0**26, "accumulation_steps": 3},
}


def train(strategy, config, records, optimizer="adam", dtype="float32", first_scale=None, **how):
    """Returns the model, and the weights and the metrics of the steps by name."""
    with strategy.scope():
        model = heads.PretrainingModel(config, SEED, tf.as_dtype(dtype))
        optimizer = optimization.create_optimizer(model.variables, optimizer)
        loss_scale = first_scale and LossScale(first_scale, growth_steps=2)
    train_step = make_train_step(
        strategy,
        list(model.variables.values()),
        optimizer,
        lambda step: optimization.learning_rate_at_step(step, RATE, 100, WARMUP),
        pretraining.make_replica_loss(model, BATCH),
        SEED,
        loss_scale=loss_scale,
        **how,
    )
    batches = distribution.distribute(strategy, records.for_training(BATCH, 0, SEED))
    steps = [train_step(batch, step, 0.5) for step, batch in zip(range(STEPS), batches)]
    results = {name.replace("/", "."): x.numpy() for name, x in model.variables.items()}
    return model, results | {
        f"step.{name}": [float(step[name]) for step in steps] for name in steps[0]
    }


def main(devices: int, config_file: str, records_file: str, output: str, *variants: str) -> None:
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    config = BertConfig.from_json_file(config_file)
    # Each replica draws its own dropout, so only without it are the results the same.
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
    strategy = distribution.make_strategy([f"/cpu:{number}" for number in range(devices)])
    records = input_pipeline.RecordBatches(RecordSet.scan([records_file]), 128, 20, 900)
    if variants:
        results = {}
        for variant in variants:
            _, of_variant = train(strategy, config, records, **VARIANTS[variant])
            results |= {f"{variant}.{name}": value for name, value in of_variant.items()}
    else:
        model, results = train(strategy, config, records)
        del results["step.stop_votes"]  # One a replica.
        # 242 records: the last batch is filled up from 2 to 40, all but one on the second replica.
        in_order = distribution.distribute(strategy, records.for_evaluation(40, 100))
        metrics = pretraining.evaluate(pretraining.make_eval_step(strategy, model), in_order)
        results |= {f"eval.{name}": value for name, value in metrics.items()}
    np.savez(output, **results)


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
