"""A model that fine-tunes in moments, and examples that it learns."""

import numpy as np
import tensorflow as tf

from deeq_bert.bert import task_heads
from deeq_bert.bert.config import BertConfig
from deeq_bert.bert.distribution import make_strategy
from deeq_bert.bert.fine_tuning import FineTuner, FineTuningSettings

CONFIG = BertConfig(
    vocab_size=50,
    hidden_size=16,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=32,
    max_position_embeddings=16,
    type_vocab_size=2,
)
SETTINGS = FineTuningSettings(
    train_batch_size=4,
    learning_rate=1e-2,
    num_train_steps=20,
    num_warmup_steps=2,
    seed=3,
    save_checkpoints_steps=6,
)


def examples(count: int = 30, length: int = 16) -> dict[str, np.ndarray]:
    """Texts of 3 to 14 tokens whose class is whether they are token 7 and nothing else."""
    random = np.random.default_rng(0)
    lengths = random.integers(3, length - 1, count)
    mask = (np.arange(length) < lengths[:, np.newaxis]).astype(np.int32)
    ids = random.integers(10, 50, (count, length)).astype(np.int32) * mask
    labels = np.arange(count) % 2
    ids[labels == 1] = 7 * mask[labels == 1]
    return {
        "input_ids": ids,
        "input_mask": mask,
        "segment_ids": np.zeros_like(ids),
        "label_ids": labels.astype(np.int32),
    }


def make_tuner(
    settings: FineTuningSettings = SETTINGS,
    strategy: tf.distribute.Strategy | None = None,
    **keywords,
) -> FineTuner:
    """A classifier on the CPU, or with another strategy."""
    return FineTuner(
        lambda: task_heads.ClassifierModel(CONFIG, 2, seed=5),
        strategy or make_strategy(["/cpu:0"]),
        settings,
        **keywords,
    )


def values(tuner: FineTuner) -> dict[str, np.ndarray]:
    """The weights by name."""
    return {name: variable.numpy() for name, variable in tuner.variables.items()}


def assert_same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    """Checks that weights are the same bit for bit."""
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


class Scores:
    """Evaluations with given results."""

    def __init__(self, *scores: float):
        self.scores = list(scores)
        self.count = 0

    def __call__(self) -> dict[str, float]:
        self.count += 1
        return {"accuracy": self.scores[self.count - 1]}
