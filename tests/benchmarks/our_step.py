"""A peer of pretraining.py: this project's training step; its second argument is the dtype."""

import os
import sys

# Beside this file is one that bears the name of Hugging Face's package.
_FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [*(folder for folder in sys.path if folder != _FOLDER), _FOLDER]

import numpy as np  # noqa: E402
import step_server  # noqa: E402


def make_step() -> step_server.Step:
    import tensorflow as tf

    from deeq_bert.bert import heads, optimization, pretraining
    from deeq_bert.bert.config import BertConfig
    from deeq_bert.bert.train_step import make_train_step

    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    with strategy.scope():
        model = heads.PretrainingModel(
            BertConfig.from_dict(step_server.MODEL),
            seed=12345,
            compute_dtype=tf.dtypes.as_dtype(sys.argv[2]),
        )
        optimizer = optimization.create_optimizer(model.variables)
    train_step = make_train_step(
        strategy,
        list(model.variables.values()),
        optimizer,
        lambda step: optimization.learning_rate_at_step(
            step, step_server.LEARNING_RATE, step_server.TRAIN_STEPS, step_server.WARMUP_STEPS
        ),
        pretraining.make_replica_loss(model, step_server.BATCH_SIZE),
        seed=12345,
    )
    done = 0

    def step(batch: step_server.Batch) -> float:
        nonlocal done
        tensors = {name: tf.constant(values) for name, values in batch.items()}
        tensors["example_weights"] = tf.constant(np.ones(step_server.BATCH_SIZE, np.float32))
        metrics = train_step(tensors, done, 0.0)
        done += 1
        return float(metrics["loss"])

    return step


if __name__ == "__main__":
    step_server.serve(make_step)
