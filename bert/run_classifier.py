"""Fine-tunes a pre-trained BERT on a task of texts, or pairs of texts, with labels or scores.

python bert/run_classifier.py --task_name=nsmc --data_dir=/data/tasks/nsmc \
  --bert_config_file=out/bert/bert_config.json --vocab_file=out/bert/vocab.txt \
  --init_checkpoint=out/bert --do_lower_case=False --do_train=True --do_eval=True \
  --do_predict=True --evaluations=6 --num_seeds=3 --output_dir=out/nsmc

A task of any other table needs no code: --task_name=columns --text_column=... --label_column=...

With --evaluations the best weights are chosen by the dev examples; the test examples choose
nothing. The same command goes on where a stopped run left off. Exit codes: 0 done; 1 a flag or a
file cannot be used; 3 the loss diverges; 130 or 143 stopped, with a checkpoint.
"""

from __future__ import annotations

import dataclasses
import glob
import os
import shutil
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from absl import flags, logging

from deeq_bert.bert import (
    classifier_features,
    distribution,
    fine_tuning_flags,
    record_info,
    task_examples,
    task_results,
    tasks,
)
from deeq_bert.bert.column_tasks import ColumnSettings
from deeq_bert.bert.config import BertConfig
from deeq_bert.tokenizers import command_line, tokenizer_flags
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import make_folder, write_atomically

if TYPE_CHECKING:
    import tensorflow as tf

    from deeq_bert.bert.classification import Split
    from deeq_bert.bert.fine_tuning import FineTuner

FLAGS = flags.FLAGS

fine_tuning_flags.define_fine_tuning_flags(max_seq_length=128)
flags.DEFINE_string(
    "data_dir",
    None,
    "The folder with the files of the task, under their official names.",
    required=True,
)
flags.DEFINE_string(
    "task_name",
    None,
    f"The task: one of {', '.join(tasks.task_names())}. The last is any table, by the flags "
    "--text_column and --label_column.",
    required=True,
)
flags.DEFINE_bool("do_eval", False, "Whether to score the model on the dev examples.")
flags.DEFINE_bool(
    "do_predict", False, "Whether to predict the test examples, and to score them if they can be."
)
flags.DEFINE_integer(
    "eval_batch_size",
    8,
    "Examples a step of scoring, over all devices. Must divide by their number.",
    lower_bound=1,
    upper_bound=2**20,
)
flags.DEFINE_integer(
    "predict_batch_size",
    8,
    "Examples a step of prediction, over all devices. Must divide by their number.",
    lower_bound=1,
    upper_bound=2**20,
)
for _split in ("train", "dev", "test"):
    flags.DEFINE_string(
        f"{_split}_file",
        None,
        f"The {_split} examples, instead of the task's file of that name in --data_dir: paths or "
        "patterns, separated by commas.",
    )
    flags.DEFINE_integer(
        f"max_{_split}_examples",
        0,
        f"How many of the {_split} examples to take, by a seeded choice; 0 is all.",
        lower_bound=0,
    )
flags.DEFINE_float(
    "dev_fraction",
    0.1,
    "The share of the training examples that is taken out for dev where the task has no file for "
    "it. Above 0 and below 1.",
)
flags.DEFINE_bool(
    "drop_repeated",
    False,
    "Whether training examples whose texts are those of a dev or test example are left out.",
)
flags.DEFINE_bool(
    "with_title", False, "Whether the title of the article goes with a comment. For hate_speech."
)
flags.DEFINE_string(
    "class_weights",
    None,
    'How much each label counts in the loss: "balanced", or numbers above 0 in the order of the '
    "labels, separated by commas.",
)
flags.DEFINE_string(
    "text_column",
    None,
    "Where the text, or the first of two, is: a name of the header, a key of JSON lines, or a "
    "number from 0 where there is no header. For --task_name=columns.",
)
flags.DEFINE_string("pair_column", None, "Where the second text is. For --task_name=columns.")
flags.DEFINE_string("label_column", None, "Where the label or score is. For --task_name=columns.")
flags.DEFINE_list(
    "labels",
    None,
    "The labels in the order of their ids; without it those of the training examples, sorted. For "
    "--task_name=columns.",
)
flags.DEFINE_bool("is_regression", False, "Whether the labels are scores. For --task_name=columns.")
flags.DEFINE_string(
    "metric",
    None,
    "What to select by: accuracy, macro_f1, f1 or matthews; of a regression pearson, spearman or "
    "f1. For --task_name=columns.",
)

_COLUMN_FLAGS = (
    *("text_column", "pair_column", "label_column", "labels", "is_regression", "metric"),
)
# Results made with another value of one of these are others.
_RESULT_FLAGS = (
    *("task_name", "max_seq_length", "train_batch_size", "learning_rate", "num_train_epochs"),
    *("warmup_proportion", "evaluations", "patience", "dtype", "dev_fraction", "drop_repeated"),
    *("max_train_examples", "max_dev_examples", "max_test_examples", "class_weights"),
    *("with_title", "init_checkpoint"),
)
# Examples are chosen alike for every --random_seed, so that seeds compare.
_CHOICE_SEED = 12345

Examples = Mapping[str, list[task_examples.InputExample]]


def main() -> None:
    fine_tuning_flags.check_flags()
    _check_flags()
    task = _make_task()
    settings = tokenizer_flags.tokenizer_settings()
    tokenizer, contract = tokenizer_flags.load_tokenizer(settings)
    config = fine_tuning_flags.read_config(max(tokenizer.vocab.values()) + 1)
    fine_tuning_flags.check_model(config, contract)
    folders = [
        folder
        for _, folder in task_results.seed_folders(
            FLAGS.output_dir, FLAGS.random_seed, FLAGS.num_seeds
        )
    ]
    for folder in folders:
        fine_tuning_flags.check_can_use_model(_has_checkpoint(folder))
    waiting = fine_tuning_flags.open_seeds(_settings(task))
    if waiting:
        examples = _read_examples(task)
        if FLAGS.do_train:
            fine_tuning_flags.num_train_steps(len(examples["train"]))
        splits = {}
        for name, of_split in examples.items():
            logging.info("Tokenizing %d examples of %s.", len(of_split), name)
            splits[name] = (
                classifier_features.convert_examples(
                    of_split, task.labels, FLAGS.max_seq_length, tokenizer
                ),
                all(example.label is not None for example in of_split),
            )
        tokenizer.close()
        _run(config, task, contract, splits, waiting)
    if FLAGS.do_train:
        _report(task, folders)


def _check_flags() -> None:
    if not (FLAGS.do_train or FLAGS.do_eval or FLAGS.do_predict):
        raise InputError(
            "There is nothing to do: give --do_train=True, --do_eval=True or --do_predict=True."
        )
    if not 0 < FLAGS.dev_fraction < 1:
        raise InputError(f"--dev_fraction={FLAGS.dev_fraction:g} must be above 0 and below 1.")
    is_columns = FLAGS.task_name.lower() == "columns"
    for name in _COLUMN_FLAGS:
        if not is_columns and command_line.explicitly_given(name):
            raise InputError(
                f"--{name} is for --task_name=columns; {FLAGS.task_name} knows its own. Leave it "
                "out, or change the task."
            )
    if is_columns and not (FLAGS.text_column and FLAGS.label_column):
        raise InputError("--task_name=columns needs --text_column and --label_column.")
    if FLAGS.class_weights and FLAGS.is_regression:
        raise InputError("--class_weights is about classes, and a regression has none.")


def _make_task() -> task_examples.Task:
    needed = {
        "train": FLAGS.do_train,
        "dev": FLAGS.do_eval or (FLAGS.do_train and FLAGS.evaluations > 0),
        "test": FLAGS.do_predict,
    }
    files = {split: FLAGS[f"{split}_file"].value for split in needed}
    columns = None
    if FLAGS.task_name.lower() == "columns":
        columns = ColumnSettings(
            FLAGS.text_column,
            FLAGS.label_column,
            FLAGS.pair_column,
            tuple(FLAGS.labels) if FLAGS.labels else None,
            FLAGS.is_regression,
            FLAGS.metric,
        )
    return tasks.make_task(
        FLAGS.task_name,
        FLAGS.data_dir,
        {split: path for split, path in files.items() if path},
        FLAGS.dev_fraction,
        _CHOICE_SEED,
        [split for split, is_needed in needed.items() if is_needed],
        FLAGS.with_title,
        columns,
    )


def _settings(task: task_examples.Task) -> dict[str, Any]:
    """Returns what decides a result besides the seed."""
    values = {name: FLAGS[name].value for name in _RESULT_FLAGS}
    return {**values, "labels": list(task.labels)}


def _read_examples(task: task_examples.Task) -> Examples:
    """Reads the examples of the splits that are needed, in the numbers the flags ask for."""
    needed = ["train"] if FLAGS.do_train else []
    if FLAGS.do_eval or (FLAGS.do_train and FLAGS.evaluations):
        needed.append("dev")
    if FLAGS.do_predict:
        needed.append("test")
    examples = {split: task.examples(split) for split in needed}
    for split in needed:
        if split != "test":
            task_examples.check_labelled(examples[split], task.name, split)
    if FLAGS.do_train:
        others = [example for split in needed[1:] for example in examples[split]]
        repeated = set(task_examples.repeated_in(examples["train"], others))
        if repeated and FLAGS.drop_repeated:
            logging.info(
                "%d training examples, whose texts are those of a dev or test example, are left "
                "out.",
                len(repeated),
            )
            examples["train"] = [
                example for i, example in enumerate(examples["train"]) if i not in repeated
            ]
        elif repeated:
            logging.warning(
                "%d of %d training examples have the texts of a dev or test example, which makes "
                "their scores look better. --drop_repeated leaves them out.",
                len(repeated),
                len(examples["train"]),
            )
    chosen = {}
    for split in needed:
        count = FLAGS[f"max_{split}_examples"].value or len(examples[split])
        chosen[split] = task_examples.subsample(examples[split], count, _CHOICE_SEED)
    return chosen


def _run(
    config: BertConfig,
    task: task_examples.Task,
    contract: Mapping[str, Any],
    converted: Mapping[str, tuple],
    waiting: list[tuple[int, str]],
) -> None:
    """Trains, scores and predicts with every seed, on the devices the flags name."""
    import tensorflow as tf

    from deeq_bert.bert import classification, fine_tuning, health, probing

    splits = {name: classification.Split(*split) for name, split in converted.items()}
    if FLAGS.class_weights:
        _weigh_classes(task, splits)
    devices = distribution.use_gpus(FLAGS.gpus)
    fine_tuning_flags.report_devices(devices)
    strategy = distribution.make_strategy(devices)
    for name in ("train_batch_size", "eval_batch_size", "predict_batch_size"):
        distribution.check_global_batch(name, FLAGS[name].value, strategy.num_replicas_in_sync)
    try:
        for seed, folder in waiting:
            _run_seed(config, task, contract, splits, strategy, seed, folder)
    except fine_tuning.StoppedError as stop:
        command_line.fail(str(stop), stop.exit_code)
    except health.DivergenceError as error:
        command_line.fail(
            f"At step {error.step} {error.reason}. Lower --learning_rate, or raise "
            "--warmup_proportion.",
            3,
        )
    except tf.errors.OpError as error:
        if not probing.is_out_of_memory(error):
            raise
        raise InputError(
            f"A device has not enough memory: {error.message.splitlines()[0]} Lower "
            "--train_batch_size, --eval_batch_size or --max_seq_length."
        ) from error


def _weigh_classes(task: task_examples.Task, splits: dict[str, Split]) -> None:
    from deeq_bert.bert import classification

    if "train" not in splits:
        return
    features = splits["train"].features
    try:
        weights = classification.class_weights(
            FLAGS.class_weights, features["label_ids"], task.labels
        )
    except (ValueError, KeyError) as error:
        raise InputError(
            f"--class_weights={FLAGS.class_weights}: {error}. Expected balanced, or a number above "
            f"0 for each of {', '.join(task.labels) or 'the labels, of which there are none'}."
        ) from None
    splits["train"] = dataclasses.replace(
        splits["train"], features={**features, "example_weights": weights}
    )


def _run_seed(
    config: BertConfig,
    task: task_examples.Task,
    contract: Mapping[str, Any],
    splits: Mapping[str, Split],
    strategy: tf.distribute.Strategy,
    seed: int,
    folder: str,
) -> None:
    """Trains, scores and predicts with one seed; the file result.json comes last."""
    from deeq_bert.bert import classification

    start = time.monotonic()
    train_count = len(splits["train"]) if FLAGS.do_train else 0
    settings = fine_tuning_flags.settings_of_flags(train_count, seed)
    tuner = classification.make_tuner(config, task, strategy, settings, FLAGS.dtype, FLAGS.use_xla)
    make_folder(folder)
    dev: Mapping[str, float] = {}
    test: Mapping[str, float] = {}
    if FLAGS.do_train:
        logging.info(
            "***** Running training *****\n  Task = %s, seed = %d\n  Num examples = %d\n  Batch "
            "size = %d\n  Num steps = %d",
            task.name,
            seed,
            train_count,
            settings.train_batch_size,
            settings.num_train_steps,
        )
        if FLAGS.init_checkpoint and not _has_checkpoint(folder):
            tuner.initialize(FLAGS.init_checkpoint)
        write_atomically(os.path.join(folder, "bert_config.json"), config.to_json_string().encode())
        record_info.hand_on_tokenizer(
            {"tokenizer": contract, "vocab_file": FLAGS.vocab_file}, folder
        )
        evaluate = None
        if FLAGS.evaluations:
            evaluate = classification.scorer(tuner, task, splits["dev"], FLAGS.eval_batch_size)
        trained = tuner.train(splits["train"].features, folder, evaluate, task.metric)
        step, dev = trained.best_step, trained.best_metrics
    else:
        step = _restore(tuner, folder)
    if FLAGS.do_eval:
        if not dev:
            outputs = classification.predict(tuner, task, splits["dev"], FLAGS.eval_batch_size)
            dev = classification.score(task, splits["dev"], outputs)
        logging.info("***** Eval results *****")
        for line in classification.result_lines(step, dev):
            logging.info("  %s", line)
        classification.write_eval_results(folder, step, dev)
    if FLAGS.do_predict:
        outputs = classification.predict(tuner, task, splits["test"], FLAGS.predict_batch_size)
        classification.write_test_results(folder, outputs)
        if splits["test"].is_labelled:
            test = classification.score(task, splits["test"], outputs)
            logging.info("***** Test results *****")
            for name, value in test.items():
                logging.info("  %s = %.6f", name, value)
    if FLAGS.do_train:
        task_results.write_result(
            folder,
            task_results.TaskResult(
                task.name,
                task.metric,
                seed,
                step,
                dict(dev),
                dict(test),
                {name: len(split) for name, split in splits.items()},
                _settings(task),
                time.monotonic() - start,
            ),
        )
        if not FLAGS.keep_model:
            _remove_model(folder)


def _restore(tuner: FineTuner, folder: str) -> int:
    """Gives the model the best weights of its folder, the last ones, or --init_checkpoint's."""
    from deeq_bert.bert import fine_tuning
    from deeq_bert.bert.checkpoint import CheckpointFolder

    for candidate in (os.path.join(folder, fine_tuning.BEST_FOLDER), folder):
        path = CheckpointFolder(candidate).latest()
        if path:
            logging.info("The model is %s.", path)
            return tuner.restore(path)
    tuner.initialize(FLAGS.init_checkpoint)
    return 0


def _has_checkpoint(folder: str) -> bool:
    return bool(glob.glob(os.path.join(glob.escape(folder), "model.ckpt-*.index")))


def _remove_model(folder: str) -> None:
    from deeq_bert.bert.fine_tuning import BEST_FOLDER

    for path in glob.glob(os.path.join(glob.escape(folder), "model.ckpt-*")):
        os.remove(path)
    if os.path.exists(os.path.join(folder, "checkpoint")):
        os.remove(os.path.join(folder, "checkpoint"))
    shutil.rmtree(os.path.join(folder, BEST_FOLDER), ignore_errors=True)


def _report(task: task_examples.Task, folders: list[str]) -> None:
    """Logs the scores over all seeds."""
    results = [result for result in map(task_results.read_result, folders) if result]
    for split in ("dev", "test"):
        scores = [
            getattr(result, split)[task.metric]
            for result in results
            if task.metric in getattr(result, split)
        ]
        if scores:
            logging.info(
                "%s, %s of %s: %s", task.name, task.metric, split, task_results.mean_text(scores)
            )


if __name__ == "__main__":
    command_line.run(main)
