"""Fine-tunes a small model on 1 or 2 logical CPU devices, for a test that compares the two.

Usage: python -m replica_tuning DEVICES FOLDER. FOLDER takes the run, and results.npz with the
weights after it and the predictions.
"""

import pathlib
import sys

import numpy as np
import tensorflow as tf
from small_tuner import CONFIG, SETTINGS, examples, make_tuner

from deeq_bert.bert import distribution, task_heads
from deeq_bert.bert.fine_tuning import FineTuner

# 29 examples: an odd number, of which the last batch of predictions is filled up.
COUNT, PREDICTED_AT_ONCE = 29, 4


def main(devices: int, folder: pathlib.Path) -> None:
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    # Each replica draws its own dropout, so only without it are the results the same.
    CONFIG.hidden_dropout_prob = CONFIG.attention_probs_dropout_prob = 0.0
    strategy = distribution.make_strategy([f"/cpu:{number}" for number in range(devices)])
    features = examples(COUNT)
    weights = np.linspace(0.5, 1.5, COUNT, dtype=np.float32)
    tuner = FineTuner(
        lambda: task_heads.ClassifierModel(CONFIG, 2, seed=5, dropout_rate=0.0),
        strategy,
        # With larger steps what differs is what rounding makes of 0, for which Adam makes steps.
        SETTINGS._replace(evaluations=2, learning_rate=1e-3),
    )

    def evaluate() -> dict[str, float]:
        predicted = tuner.predict(features, PREDICTED_AT_ONCE)["probabilities"].argmax(axis=1)
        return {"accuracy": float(np.mean(predicted == features["label_ids"]))}

    weighted = {**features, "example_weights": weights}
    result = tuner.train(weighted, str(folder), evaluate, "accuracy")
    again = make_tuner(strategy=strategy)
    again.restore(str(folder / f"model.ckpt-{SETTINGS.num_train_steps}"))
    np.savez(
        folder / "results.npz",
        **{name.replace("/", "."): x.numpy() for name, x in again.variables.items()},
        **tuner.predict(features, PREDICTED_AT_ONCE),
        best_step=result.best_step,
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), pathlib.Path(sys.argv[2]))
