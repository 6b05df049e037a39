"""Fine-tuning a model on a task whose examples are in memory: the loop, and prediction.

The updates are those of the original's run_classifier.py and run_squad.py. On top of it: several
GPUs, three precisions, a run that goes on exactly where it was stopped, and the choice of the best
weights by what is not trained on.
"""

import contextlib
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
import tensorflow as tf
from absl import logging

from deeq_bert.bert import distribution, initialization, optimization
from deeq_bert.bert.checkpoint import CheckpointFolder
from deeq_bert.bert.feature_batches import FeatureBatches
from deeq_bert.bert.fine_tuning_progress import Progress, check_folder
from deeq_bert.bert.fine_tuning_report import FineTuningReport
from deeq_bert.bert.health import LossHealth
from deeq_bert.bert.layers import DropoutKey
from deeq_bert.bert.loss_scaling import LossScale
from deeq_bert.bert.model_folder import BEST_FOLDER
from deeq_bert.bert.saving import BackgroundSaver
from deeq_bert.bert.steps import TrainingSteps
from deeq_bert.bert.stopping import StopRequest
from deeq_bert.bert.train_step import Batch, Metrics, ReplicaLoss, TrainStep, make_train_step
from deeq_bert.bert.watchdog import Watchdog

Features = Mapping[str, np.ndarray]

# How long a checkpoint that cannot be written is tried again, in seconds.
_PATIENCE_AT_END, _PATIENCE_AT_STOP = 600.0, 20.0
# Given to every example: how much it counts, and 0 for what fills up a batch.
_WEIGHTS = "example_weights"


class TaskModel(Protocol):
    """What is trained; see `task_heads`."""

    @property
    def variables(self) -> dict[str, tf.Variable]: ...

    def losses(self, batch: Batch, dropout: DropoutKey | None = None) -> tf.Tensor: ...

    def predict(self, batch: Batch) -> dict[str, tf.Tensor]: ...


class FineTuningSettings(NamedTuple):
    """How to train.

    Attributes:
      train_batch_size: Examples a step, over all replicas.
      learning_rate: At its highest, after the warm-up.
      num_train_steps: Updates in all.
      num_warmup_steps: Those over which the learning rate rises from 0.
      seed: Of the order of the examples and of the dropout.
      save_checkpoints_steps: A checkpoint is written every so many steps.
      keep_checkpoint_max: How many are kept.
      log_steps: Every how many steps there is a line in the log.
      evaluations: How often the model is evaluated in training, at equal distances, at the end
        last; 0 for never.
      patience: After how many evaluations without a better one training ends; 0 for never.
    """

    train_batch_size: int
    learning_rate: float
    num_train_steps: int
    num_warmup_steps: int
    seed: int
    save_checkpoints_steps: int = 1000
    keep_checkpoint_max: int = 5
    log_steps: int = 100
    evaluations: int = 0
    patience: int = 0


class TrainingResult(NamedTuple):
    """What a training run has come to.

    Attributes:
      step: Updates made.
      best_step: Updates behind the weights that the model has: those of the best evaluation, or
        the last ones where there was none.
      best_metrics: The metrics of that evaluation, empty where there was none.
    """

    step: int
    best_step: int
    best_metrics: Mapping[str, float]


class StoppedError(RuntimeError):
    """The run was asked to stop; its last checkpoint is written.

    Attributes:
      exit_code: 128 and the number of the signal.
    """

    def __init__(self, path: str, exit_code: int):
        super().__init__(f"Stopped. The same command goes on from {path}.")
        self.exit_code = exit_code


class FineTuner:
    """A model for a task, with its optimizer, on some devices."""

    def __init__(
        self,
        make_model: Callable[[], TaskModel],
        strategy: tf.distribute.Strategy,
        settings: FineTuningSettings,
        dtype: str = "float32",
        use_xla: bool = False,
        cut_padding: bool = True,
    ):
        """Creates all variables.

        Args:
          make_model: Makes the model, in that precision; called under the strategy's scope.
          strategy: Where the variables live.
          settings: How to train.
          dtype: "float16" has the loss scaled.
          use_xla: Whether XLA compiles the forward and backward pass.
          cut_padding: Whether batches are as short as their longest example allows. A model whose
            outputs have a position for every token must not have it.
        """
        self._strategy = strategy
        self._settings = settings
        self._use_xla = use_xla
        # XLA would compile anew for each length.
        self._cut_padding = cut_padding and not use_xla
        with strategy.scope():
            self._model = make_model()
            self._optimizer = optimization.create_optimizer(self._model.variables)
            self._loss_scale = LossScale() if dtype == "float16" else None
        self._predict = _make_predict(strategy, self._model)

    @property
    def variables(self) -> dict[str, tf.Variable]:
        """The model's variables by name."""
        return self._model.variables

    def check_folder(self, folder: str) -> None:
        """Checks that a folder has no checkpoints but those of such a model; changes nothing.

        Raises:
          InputError: There are others.
        """
        check_folder(folder, self._model.variables)

    def initialize(self, init_checkpoint: str) -> None:
        """Gives the model the weights of a checkpoint; a head that it lacks starts from nothing.

        Raises:
          InputError: The checkpoint does not fit; see `initialization.initialize`.
        """
        initialization.initialize(init_checkpoint, self._model.variables)

    def restore(self, path: str) -> int:
        """Gives the model the weights of one of its own checkpoints.

        Returns:
          The updates behind them.

        Raises:
          InputError: The checkpoint cannot be read, or is of another model.
        """
        step, _ = initialization.restore(path, self._model.variables)
        return step

    def train(
        self,
        features: Features,
        output_dir: str,
        evaluate: Callable[[], dict[str, float]] | None = None,
        metric: str = "",
        made_by: Mapping[str, Any] | None = None,
    ) -> TrainingResult:
        """Trains, from the last checkpoint in `output_dir` if there is one.

        Args:
          features: The examples to train on; see `FeatureBatches`. `example_weights` may be among
            them, with a mean of 1.
          output_dir: Where the checkpoints are, and those of the best weights in a folder `best`.
          evaluate: Scores the model as it is; needed where `settings.evaluations` is above 0.
          metric: Which score to select by, the higher the better.
          made_by: What decides the result, as JSON can hold it. Checkpoints keep it, and a run
            that was begun with other values does not go on.

        Returns:
          What it has come to. The model has the weights of `best_step`.

        Raises:
          StoppedError: It was asked to stop, and is saved.
          DivergenceError: The loss is not finite.
          InputError: A checkpoint cannot be read or written, or is of another run.
        """
        settings = self._settings
        folder = CheckpointFolder(output_dir, settings.keep_checkpoint_max)
        # Two, since a run that is killed before the checkpoint that tells of the new ones goes on
        # with those before.
        best_folder = CheckpointFolder(os.path.join(output_dir, BEST_FOLDER), 2)
        selects = evaluate is not None and settings.evaluations > 0
        with contextlib.ExitStack() as stack:
            stack.enter_context(folder.locked())
            if selects:
                stack.enter_context(best_folder.locked())
            progress = self._resume(folder, made_by)
            if selects:
                progress.check_best(best_folder, settings.num_train_steps)
            report = stack.enter_context(FineTuningReport(output_dir, settings, progress.step))
            if progress.step < settings.num_train_steps and not progress.is_finished:
                stop = stack.enter_context(StopRequest())
                saver = stack.enter_context(BackgroundSaver())
                watchdog = stack.enter_context(Watchdog())
                self._make_steps(
                    FeatureBatches(_with_weights(features), self._cut_padding),
                    progress,
                    folder,
                    best_folder if selects else None,
                    evaluate,
                    metric,
                    report,
                    (stop, saver, watchdog),
                )
            if selects and progress.best_metrics:
                path = progress.best_path(best_folder)
                if best_folder.last() != path:
                    best_folder.go_back_to(path)
                self.restore(path)
                return TrainingResult(progress.step, progress.best_step, progress.best_metrics)
        return TrainingResult(progress.step, progress.step, {})

    def train_step(self) -> TrainStep:
        """Returns what makes the steps; their batches have `example_weights`."""
        settings, model = self._settings, self._model

        def loss(
            batch: Batch, totals: Metrics, dropout: DropoutKey | None
        ) -> tuple[tf.Tensor, Metrics]:
            weighted = model.losses(batch, dropout) * batch[_WEIGHTS]
            return tf.reduce_sum(weighted) / settings.train_batch_size, {}

        return make_train_step(
            self._strategy,
            list(model.variables.values()),
            self._optimizer,
            lambda step: optimization.learning_rate_at_step(
                step, settings.learning_rate, settings.num_train_steps, settings.num_warmup_steps
            ),
            ReplicaLoss(lambda batch: {}, loss),
            settings.seed,
            loss_scale=self._loss_scale,
            jit_compile=self._use_xla,
        )

    def predict(self, features: Features, batch_size: int) -> dict[str, np.ndarray]:
        """Returns what the model says of all examples, in their order.

        Args:
          features: See `FeatureBatches`.
          batch_size: Examples a step, over all replicas.
        """
        batches = FeatureBatches(features, self._cut_padding)
        results: dict[str, np.ndarray] = {}
        for indexes, batch in batches.for_evaluation(batch_size):
            (distributed,) = distribution.distribute(self._strategy, [batch])
            for name, value in self._predict(distributed).items():
                rows = value.numpy()[: len(indexes)]
                if name not in results:
                    results[name] = np.empty((len(batches), *rows.shape[1:]), rows.dtype)
                results[name][indexes] = rows
        return results

    def _variables_to_save(self) -> dict[str, tf.Variable]:
        scale = self._loss_scale.variables if self._loss_scale else {}
        return {**self._model.variables, **self._optimizer.slots, **scale}

    def _resume(self, folder: CheckpointFolder, made_by: Mapping[str, Any] | None) -> Progress:
        latest = folder.latest_readable()
        if latest is None:
            return Progress(made_by=made_by)
        optional = self._loss_scale.variables if self._loss_scale else ()
        step, state = initialization.restore(latest, self._variables_to_save(), optional)
        progress = Progress.from_state(step, state)
        progress.check_made_by(latest, made_by)
        logging.info("Going on from %s.", latest)
        return progress

    def _make_steps(
        self,
        batches: FeatureBatches,
        progress: Progress,
        folder: CheckpointFolder,
        best_folder: CheckpointFolder | None,
        evaluate: Callable[[], dict[str, float]] | None,
        metric: str,
        report: FineTuningReport,
        helpers: tuple[StopRequest, BackgroundSaver, Watchdog],
    ) -> None:
        settings, (stop, saver, watchdog) = self._settings, helpers
        last_step = settings.num_train_steps
        evaluated_steps = evaluation_steps(last_step, settings.evaluations) if best_folder else ()
        health = LossHealth(0)

        def saves(step: int) -> bool:
            return step % settings.save_checkpoints_steps == 0 or step == last_step

        def save(patience: float | None = None) -> None:
            saver.save(
                folder,
                progress.step,
                self._variables_to_save(),
                progress.to_state(),
                lambda path: logging.info("Saved %s.", path),
            )
            if patience is not None:
                saver.finish(patience)

        steps = TrainingSteps(
            self.train_step(),
            distribution.distribute(
                self._strategy,
                batches.for_training(
                    settings.train_batch_size,
                    progress.step * settings.train_batch_size,
                    settings.seed,
                ),
            ),
            progress.step,
            last_step,
            lambda step: step in evaluated_steps or saves(step),
            stop.requested,
            watchdog,
        )
        for result in steps:
            health.check(result.step, result.metrics)
            progress.step = result.step
            report.count_step(result)
            is_best = False
            if result.step in evaluated_steps:
                metrics = evaluate()
                report.evaluated(result.step, metrics)
                is_best = self._note_evaluation(progress, metrics, metric, best_folder, saver)
                if settings.patience and progress.evaluations_since_best >= settings.patience:
                    logging.info(
                        "Step %d: no better %s in %d evaluations; training ends early.",
                        result.step,
                        metric,
                        settings.patience,
                    )
                    progress.is_finished = True
                    save()
                    break
            if stop.requested():
                steps.stop()
            elif saves(result.step) or is_best:
                save()
        if stop.requested():
            save(_PATIENCE_AT_STOP)
            raise StoppedError(folder.last(), stop.exit_code)
        saver.finish(_PATIENCE_AT_END)

    def _note_evaluation(
        self,
        progress: Progress,
        metrics: dict[str, float],
        metric: str,
        best_folder: CheckpointFolder,
        saver: BackgroundSaver,
    ) -> bool:
        """Keeps the weights if they are the best so far, and returns whether they are."""
        if progress.best_metrics and not metrics[metric] > progress.best_metrics[metric]:
            progress.evaluations_since_best += 1
            return False
        # The checkpoint that tells of the last ones is on the disk before there are others; that of
        # these comes after them, so that a run that is killed in between evaluates again.
        saver.finish(_PATIENCE_AT_END)
        best_folder.save(progress.step, self._model.variables, {"metrics": metrics})
        progress.best_step, progress.best_metrics = progress.step, dict(metrics)
        progress.evaluations_since_best = 0
        return True


def evaluation_steps(num_train_steps: int, evaluations: int) -> tuple[int, ...]:
    """Returns after which steps a model is evaluated: equal distances, the last step last."""
    steps = {round(num_train_steps * i / evaluations) for i in range(1, evaluations + 1)}
    return tuple(sorted(steps - {0}))


def _with_weights(features: Features) -> Features:
    count = len(features["input_ids"])
    return {_WEIGHTS: np.ones(count, np.float32), **features}


def _make_predict(
    strategy: tf.distribute.Strategy, model: TaskModel
) -> Callable[[Batch], dict[str, tf.Tensor]]:
    @tf.function(autograph=False, reduce_retracing=True)
    def predict(batch: Batch) -> dict[str, tf.Tensor]:
        outputs = strategy.run(model.predict, args=(batch,))
        return {
            name: tf.concat(strategy.experimental_local_results(value), axis=0)
            for name, value in outputs.items()
        }

    return predict
