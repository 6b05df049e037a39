"""Fine-tuning: the original's numbers, resume, the choice of the best weights, prediction."""

import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from small_tuner import SETTINGS, Scores, assert_same, examples, make_tuner, values

from deeq_bert.bert import fine_tuning, task_heads
from deeq_bert.bert.checkpoint import CheckpointFolder
from deeq_bert.bert.config import BertConfig
from deeq_bert.bert.distribution import make_strategy
from deeq_bert.bert.fine_tuning import FineTuner, FineTuningSettings, StoppedError

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "data" / "finetune"


class Replay:
    """20 steps of the original with their batches, and the same steps made here."""

    def __init__(self, kind: str):
        folder = GOLDEN / kind
        config = BertConfig.from_json_file(folder / "bert_config.json")
        self.history = json.loads((folder / "history.json").read_text())
        self.outputs = np.load(folder / "outputs_step_0.npz")
        self.weights = np.load(folder / "weights_20.npz")
        batches = np.load(folder / "batches.npz")
        settings = FineTuningSettings(
            train_batch_size=8,
            learning_rate=self.history["init_lr"],
            num_train_steps=self.history["num_train_steps"],
            num_warmup_steps=self.history["num_warmup_steps"],
            seed=1,
        )
        models = {
            "classifier": lambda: task_heads.ClassifierModel(config, 3, 1, dropout_rate=0.0),
            "squad": lambda: task_heads.SpanModel(config, 1),
        }
        self.tuner = FineTuner(models[kind], make_strategy(["/cpu:0"]), settings)
        self.first_weights = np.load(folder / "weights_0.npz")
        for name, variable in self.tuner.variables.items():
            variable.assign(self.first_weights[name])
        self.first = self.tuner.predict({name: batches[name][0] for name in batches.files}, 8)
        train_step = self.tuner.train_step()
        self.steps = []
        for step in range(settings.num_train_steps):
            batch = {name: tf.constant(batches[name][step]) for name in batches.files}
            metrics = train_step({**batch, "example_weights": tf.ones(8)}, step)
            self.steps.append({name: float(value) for name, value in metrics.items()})


@pytest.fixture(scope="module", params=["classifier", "squad"])
def replay(request) -> Replay:
    return Replay(request.param)


def test_the_variables_are_the_originals(replay):
    assert list(replay.tuner.variables) == list(replay.first_weights.files)


def test_the_first_outputs_are_the_originals(replay):
    for name, output in replay.first.items():
        np.testing.assert_allclose(output, replay.outputs[name], atol=5e-5, err_msg=name)


@pytest.mark.parametrize(
    ("ours", "theirs", "tolerance"),
    [("loss", "loss", 2e-6), ("learning_rate", "learning_rate", 1e-11)]
    + [("gradient_norm", "global_norm", 5e-6)],
)
def test_twenty_steps_are_the_originals(replay, ours, theirs, tolerance):
    found = [step[ours] for step in replay.steps]
    expected = [step[theirs] for step in replay.history["steps"]]
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


def test_the_weights_after_twenty_steps_are_the_originals(replay):
    for name, value in values(replay.tuner).items():
        # Nothing depends on the bias of a span's logits: its gradient is what rounding leaves of a
        # sum that is 0, and Adam makes steps of it.
        tolerance = 2e-6 if name == "cls/squad/output_bias" else 1e-6
        np.testing.assert_allclose(
            value, replay.weights[name], rtol=0, atol=tolerance, err_msg=name
        )


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[FineTuner, pathlib.Path]:
    """A run of 20 steps in one go, and its folder."""
    tuner, folder = make_tuner(), tmp_path_factory.mktemp("whole")
    tuner.train(examples(), str(folder))
    return tuner, folder


def test_training_learns(trained):
    probabilities = trained[0].predict(examples(), 8)["probabilities"]
    assert (probabilities.argmax(axis=1) == examples()["label_ids"]).mean() > 0.9


def test_a_run_that_was_stopped_comes_to_the_same_weights(trained, tmp_path):
    folder = CheckpointFolder(str(trained[1]))
    path = folder.before(13)
    assert path.endswith("model.ckpt-12")
    for file in pathlib.Path(path).parent.glob("model.ckpt-12.*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    again = make_tuner()
    assert again.train(examples(), str(tmp_path)).step == 20
    assert_same(values(again), values(trained[0]))


def test_a_finished_run_is_not_trained_again(trained):
    again = make_tuner()
    assert again.train(examples(), str(trained[1])).step == 20
    assert_same(values(again), values(trained[0]))


def test_the_best_weights_are_taken(tmp_path):
    tuner = make_tuner(SETTINGS._replace(evaluations=4))
    result = tuner.train(examples(), str(tmp_path), Scores(0.5, 0.8, 0.8, 0.6), "accuracy")
    assert (result.step, result.best_step, result.best_metrics) == (20, 10, {"accuracy": 0.8})
    half = make_tuner()
    half.restore(str(tmp_path / "best" / "model.ckpt-10"))
    assert_same(values(tuner), values(half))


def test_training_ends_when_patience_does(tmp_path):
    scores = Scores(0.5, 0.4, 0.5, 0.9)
    tuner = make_tuner(SETTINGS._replace(evaluations=4, patience=2))
    result = tuner.train(examples(), str(tmp_path), scores, "accuracy")
    assert (result.step, result.best_step, scores.count) == (15, 5, 3)
    again = make_tuner(SETTINGS._replace(evaluations=4, patience=2))
    assert again.train(examples(), str(tmp_path), scores, "accuracy") == result


def test_a_stop_saves_and_the_rest_is_made_later(tmp_path):
    settings = SETTINGS._replace(evaluations=2)
    tuner = make_tuner(settings)

    def interrupt() -> dict[str, float]:
        import signal

        signal.raise_signal(signal.SIGTERM)
        return {"accuracy": 0.9}

    with pytest.raises(StoppedError, match=r"model\.ckpt-10") as stopped:
        tuner.train(examples(), str(tmp_path), interrupt, "accuracy")
    assert stopped.value.exit_code == 143
    result = make_tuner(settings).train(examples(), str(tmp_path), Scores(0.4), "accuracy")
    assert (result.step, result.best_step) == (20, 10)


def test_predictions_are_in_the_order_of_the_examples(trained):
    features = examples(11)
    together = trained[0].predict(features, 4)["logits"]
    for i in range(11):
        alone = trained[0].predict({name: rows[i : i + 1] for name, rows in features.items()}, 1)
        np.testing.assert_allclose(together[i], alone["logits"][0], atol=1e-6)


def test_cutting_padding_off_changes_nothing(trained, tmp_path):
    full = make_tuner(cut_padding=False)
    full.restore(str(trained[1] / "model.ckpt-20"))
    np.testing.assert_allclose(
        full.predict(examples(), 8)["logits"],
        trained[0].predict(examples(), 8)["logits"],
        atol=1e-6,
    )


def test_examples_of_weight_0_teach_nothing(tmp_path):
    features = examples()
    one, other = dict(features), dict(features)
    weights = np.where(np.arange(30) < 15, 2.0, 0.0).astype(np.float32)
    one["example_weights"] = other["example_weights"] = weights
    other["label_ids"] = np.where(weights > 0, features["label_ids"], 1).astype(np.int32)
    found = []
    for number, given in enumerate((one, other)):
        tuner = make_tuner(SETTINGS._replace(num_train_steps=5))
        tuner.train(given, str(tmp_path / str(number)))
        found.append(values(tuner))
    assert_same(*found)


@pytest.mark.parametrize(
    ("steps", "evaluations", "expected"),
    [(10, 0, ()), (10, 1, (10,)), (10, 3, (3, 7, 10)), (2, 5, (1, 2))],
)
def test_evaluations_are_at_equal_distances(steps, evaluations, expected):
    assert fine_tuning.evaluation_steps(steps, evaluations) == expected
