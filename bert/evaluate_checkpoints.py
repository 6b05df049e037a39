"""Fine-tunes every checkpoint on every task, and makes one table of the scores.

python bert/evaluate_checkpoints.py --model=wordpiece=out/wordpiece --model=deeq=out/deeq \\
  --data_dir=/data/tasks --output_dir=out/scores \\
  --tasks=nsmc,korsts,kornli,hate_speech,question_pair --num_seeds=3 --random_floor --gpus=all

The table is in --output_dir, as scores.md, scores.json and scores.png. What is done is not done
again: the same command goes on, and does what has come. With --watch it goes on while the runs do.
Exit codes: 0 done; 1 a flag or a file cannot be used, or some cells came to nothing; 130 or 143
stopped.
"""

import functools
import json
import os
from collections.abc import Mapping, Sequence

from absl import flags, logging

from deeq_bert.bert import (
    distribution,
    plot_style,
    score_plot,
    score_table,
    sweep_models,
    sweep_tasks,
    sweep_workers,
)
from deeq_bert.bert.sweep import Sweep, undone
from deeq_bert.bert.sweep_models import SweptModel
from deeq_bert.tokenizers import command_line, tokenizer_flags
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import write_atomically

FLAGS = flags.FLAGS

flags.DEFINE_multi_string(
    "model",
    None,
    "A model, as NAME=PATH or PATH: the --output_dir of run_pretraining.py, of which all "
    "checkpoints count; or the prefix of a checkpoint, a folder of Google's release, or one of "
    "Hugging Face. Give the flag once for each model; names must differ.",
    required=True,
)
flags.DEFINE_list(
    "tasks",
    None,
    "The tasks, separated by commas: names of configurations in configs/tasks, which are "
    f"{', '.join(sweep_tasks.task_names())}; or paths of your own that end in .json.",
    required=True,
)
flags.DEFINE_string(
    "data_dir",
    None,
    "The folder with the files of the tasks. Must hold a folder for each, of the task's name or as "
    "its configuration says.",
    required=True,
)
flags.DEFINE_string(
    "output_dir",
    None,
    "The folder for the table and all results. One sweep at a time works in it.",
    required=True,
)
flags.DEFINE_string(
    "steps",
    "every",
    "Which checkpoints of a run count: every, last, or steps with commas, as in 5000,10000.",
)
flags.DEFINE_integer(
    "num_seeds",
    3,
    "How many seeds each cell has, for its mean and deviation. A task may have another number, "
    "with --set=TASK.num_seeds=N. At least 1.",
)
flags.DEFINE_integer(
    "random_seed", 12345, "The first seed; the others follow it. From 0 to 2000000000."
)
flags.DEFINE_bool(
    "random_floor",
    False,
    "Whether each model is also scored with random weights in the place of pre-trained ones: what "
    "pre-training is worth is what lies above.",
)
flags.DEFINE_multi_string(
    "set",
    [],
    "A change of a setting, as flag=value for all tasks whose script has the flag, or "
    "task.flag=value for one, as in nsmc.max_train_examples=10000. May be given several times.",
)
flags.DEFINE_bool(
    "do_lower_case",
    None,
    "Whether text is lower-cased for models that come without a word on it. Others have what they "
    "were trained with.",
)
flags.DEFINE_string(
    "gpus",
    "all",
    'The GPUs to use, a cell on each at a time: how many ("2"), which ("0,2", or "3," for one), '
    '"all", or "0" for the CPU.',
)
flags.DEFINE_integer(
    "jobs", 1, "How many cells are done at a time where the CPU serves. At least 1."
)
flags.DEFINE_enum(
    "dtype",
    "float32",
    ["float32", "float16", "bfloat16"],
    "What matrix products are computed in. Must be one of these three.",
)
flags.DEFINE_bool("use_xla", False, "Whether XLA compiles the steps of fine-tuning.")
flags.DEFINE_bool(
    "watch",
    False,
    "Whether to look for new checkpoints until all runs have ended, by their metrics.jsonl, and "
    "all is scored. The newest are scored first.",
)
flags.DEFINE_float("watch_seconds", 60.0, "How often --watch looks. Above 0.")
flags.DEFINE_bool(
    "plot",
    True,
    "Whether to draw scores.png, for which matplotlib must be installed.",
)
tokenizer_flags.define_analyzer_flags()
tokenizer_flags.define_mismatch_flag()

_ANALYZER_FLAGS = ("analyzer", "deeq_server", "api_key_file", "deeq_domain", "deeq_timeout")
_ANALYZER_FLAGS += ("morpheme_cache", "morpheme_cache_gb", "num_workers")
_HIGHEST_SEED = 2_000_000_000


def main() -> None:
    """Makes the table that the flags ask for."""
    _check_flags()
    models = sweep_models.parse_models(FLAGS.model, FLAGS.do_lower_case)
    tasks = sweep_tasks.read_tasks(FLAGS.tasks, FLAGS.data_dir, FLAGS.set, FLAGS.num_seeds)
    available = sweep_workers.count_gpus()
    devices = sweep_workers.devices_of(FLAGS.gpus, available, FLAGS.jobs)
    if devices[0] == sweep_workers.CPU:
        logging.warning("There is no GPU to use: the CPU serves, %d cell(s) at a time.", FLAGS.jobs)
    elif FLAGS.jobs > 1:
        logging.warning("--jobs has no effect: there is a cell at a time on each GPU.")
    _warn_of_missing(models)
    with sweep_workers.locked(FLAGS.output_dir) as lock:
        sweep = Sweep(
            FLAGS.output_dir,
            models,
            tasks,
            steps=FLAGS.steps,
            random_floor=FLAGS.random_floor,
            first_seed=FLAGS.random_seed,
            run_flags={
                "dtype": FLAGS.dtype,
                "use_xla": str(FLAGS.use_xla),
                "keep_model": "False",
                "allow_tokenizer_mismatch": str(FLAGS.allow_tokenizer_mismatch),
            },
            analyzer_flags=_analyzer_flags(),
        )
        cells = sweep.cells()
        if not cells and not FLAGS.watch:
            raise InputError(
                f"There is no checkpoint to score: --steps={FLAGS.steps} of "
                f"{', '.join(model.path for model in models)}. Choose other steps, or give --watch "
                "to wait for checkpoints."
            )
        logging.info(
            "%d cell(s), of which %d are done already; %d at a time.",
            len(cells),
            len(cells) - len(undone(cells)),
            len(devices),
        )
        runner = sweep_workers.SweepRunner(
            sweep, devices, lock, functools.partial(_write_table, sweep)
        )
        try:
            runner.run(FLAGS.watch_seconds if FLAGS.watch else None)
        finally:
            table = _write_table(sweep)
        _report(table, runner.failures)


def _analyzer_flags() -> dict[str, str]:
    given = {
        name: str(FLAGS[name].value)
        for name in _ANALYZER_FLAGS
        if command_line.explicitly_given(name)
    }
    # The same texts come with every checkpoint and seed.
    return {"morpheme_cache": os.path.join(FLAGS.output_dir, "morphemes"), **given}


def _warn_of_missing(models: Sequence[SweptModel]) -> None:
    for model in models:
        missing = sweep_models.missing_steps(model, FLAGS.steps)
        if missing:
            logging.warning(
                "%s has no checkpoint of step %s%s.",
                model.path,
                ", ".join(f"{step:,}" for step in missing),
                " yet" if FLAGS.watch else "",
            )


def _write_table(sweep: Sweep) -> dict:
    """Writes the table in all its forms, each whole; returns it."""
    table = score_table.make_table(sweep)
    text = json.dumps(table, ensure_ascii=False, indent=2)
    contents = {
        "scores.json": f"{text}\n".encode(),
        "scores.md": score_table.to_markdown(table).encode(),
    }
    if FLAGS.plot:
        contents["scores.png"] = score_plot.to_png(table)
    for name, content in contents.items():
        write_atomically(os.path.join(FLAGS.output_dir, name), content)
    return table


def _report(table: Mapping, failures: Sequence[sweep_workers.Failure]) -> None:
    for line in score_table.to_markdown(table).splitlines():
        if line:
            logging.info("%s", line)
    logging.info("The table is in %s, as scores.md and scores.json.", FLAGS.output_dir)
    if failures:
        shown = [f"{failure.cell.name}: {failure.reason}" for failure in failures]
        raise InputError(
            f"{len(failures)} cell(s) came to nothing; all others are in the table. Mend what is "
            "wrong and run the same command again.\n" + "\n".join(shown)
        )


def _check_flags() -> None:
    sweep_models.check_steps(FLAGS.steps)
    distribution.check_gpus(FLAGS.gpus)
    for name in ("num_seeds", "jobs"):
        if FLAGS[name].value < 1:
            raise InputError(f"--{name}={FLAGS[name].value}; expected at least 1.")
    if not 0 <= FLAGS.random_seed <= _HIGHEST_SEED:
        raise InputError(f"--random_seed={FLAGS.random_seed}; expected from 0 to {_HIGHEST_SEED}.")
    if not 0 < FLAGS.watch_seconds < float("inf"):
        raise InputError(f"--watch_seconds={FLAGS.watch_seconds}; expected above 0.")
    if not FLAGS.tasks:
        raise InputError("--tasks is empty; name a task, as in --tasks=nsmc.")
    if not os.path.isdir(FLAGS.data_dir):
        raise InputError(
            f"--data_dir={FLAGS.data_dir}: there is no such folder. Give the one with a folder for "
            "each task."
        )
    if FLAGS.plot:
        try:
            plot_style.prepare_matplotlib()
        except InputError as error:
            raise InputError(f"{error} Or give --plot=False for a table alone.") from None


if __name__ == "__main__":
    command_line.run(main)
