"""The flags of run_classifier.py, and what they say of the task."""

import os
from typing import Any

from absl import flags

from deeq_bert.bert import fine_tuning_flags, tasks
from deeq_bert.bert.column_tasks import ColumnSettings
from deeq_bert.bert.task_examples import Task
from deeq_bert.bert.task_files import SPLITS
from deeq_bert.tokenizers import command_line
from deeq_bert.tokenizers.errors import InputError

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
for _split in SPLITS:
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
CHOICE_SEED = 12345


def check_flags() -> None:
    """Refuses what cannot be, as far as the flags themselves tell.

    Raises:
      InputError: A value is out of its range, or flags contradict each other.
    """
    fine_tuning_flags.check_flags()
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


def needed_splits() -> list[str]:
    """Returns which of train, dev and test the run reads."""
    needed = {
        "train": FLAGS.do_train,
        "dev": FLAGS.do_eval or (FLAGS.do_train and FLAGS.evaluations > 0),
        "test": FLAGS.do_predict,
    }
    return [split for split, is_needed in needed.items() if is_needed]


def make_task() -> Task:
    """Returns the task that the flags name; its files are there.

    Raises:
      InputError: They are not, or there is no such task.
    """
    files = {split: FLAGS[f"{split}_file"].value for split in SPLITS}
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
        CHOICE_SEED,
        needed_splits(),
        FLAGS.with_title,
        columns,
    )


def result_settings(task: Task) -> dict[str, Any]:
    """Returns what decides a result besides the seed."""
    values = {name: FLAGS[name].value for name in _RESULT_FLAGS}
    files = {
        split: [os.path.basename(path) for path in task.files(split)] for split in needed_splits()
    }
    return {**values, "labels": list(task.labels), "files": files, "remark": task.remark}
