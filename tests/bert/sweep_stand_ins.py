"""Models without weights and a script without training, to test sweeps by."""

import json
import pathlib

from deeq_bert.bert.run_log import RunLog
from deeq_bert.bert.sweep import Sweep
from deeq_bert.bert.sweep_models import parse_models
from deeq_bert.bert.sweep_tasks import read_tasks

# A score rises with the step, and a little with the seed; random weights have 0.4.
SCRIPT = """
import os, re, sys, time
from absl import app, flags
from deeq_bert.bert.task_results import TaskResult, read_result, seed_folders, write_result

FLAGS = flags.FLAGS
for name in ("task_name", "data_dir", "bert_config_file", "vocab_file", "init_checkpoint",
             "output_dir", "gpus", "tokenizer", "dtype"):
    flags.DEFINE_string(name, "", name)
for name in ("num_seeds", "random_seed", "max_train_examples"):
    flags.DEFINE_integer(name, 0, name)
flags.DEFINE_bool("do_lower_case", True, "")
flags.DEFINE_float("learning_rate", 5e-5, "")
flags.DEFINE_float("seconds", 0, "How long each seed takes.")
flags.DEFINE_enum("end", "well", ["well", "in error", "without result", "killed"], "")


def main(argv):
    step = 0
    if FLAGS.init_checkpoint:
        assert os.path.isfile(FLAGS.init_checkpoint + ".index")
        step = int(re.search(r"model.ckpt-(\\d+)$", FLAGS.init_checkpoint)[1])
    print("working on", FLAGS.gpus, flush=True)
    if FLAGS.end == "in error":
        sys.exit("some lines\\nERROR: The file is wrong. Mend it.")
    if FLAGS.end == "killed":
        os.kill(os.getpid(), 9)
    score = 0.5 + step / 10000 if step else 0.4
    for seed, folder in seed_folders(FLAGS.output_dir, FLAGS.random_seed, FLAGS.num_seeds):
        if read_result(folder):
            continue
        time.sleep(FLAGS.seconds)
        os.makedirs(folder, exist_ok=True)
        value = score + (seed - 12345) / 100
        if FLAGS.end != "without result":
            write_result(folder, TaskResult(
                task=FLAGS.task_name, metric="accuracy", seed=seed, step=3,
                dev={"accuracy": value - 0.1}, test={"accuracy": value, "other": 0.5},
                examples={"train": FLAGS.max_train_examples or 100, "dev": 10, "test": 20},
                settings={}, seconds=1.0))


app.run(main)
"""


def write_scripts(folder: pathlib.Path) -> pathlib.Path:
    """Writes the stand-ins for run_classifier.py and run_squad.py."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("run_classifier.py", "run_squad.py"):
        (folder / name).write_text(SCRIPT)
    return folder


def write_run(folder: pathlib.Path, steps=(100, 200), contract: bool = True) -> pathlib.Path:
    """Writes what a run of pre-training leaves, with files in the place of weights."""
    folder.mkdir(parents=True, exist_ok=True)
    fields = {"vocab_size": 5, "hidden_size": 4, "num_attention_heads": 1}
    (folder / "bert_config.json").write_text(json.dumps(fields))
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n")
    if contract:
        known = {"contract_version": 1, "tokenizer": "wordpiece", "do_lower_case": False}
        (folder / "tokenizer_config.json").write_text(
            json.dumps({**known, "vocab_file": "vocab.txt"})
        )
    for step in steps:
        write_checkpoint(folder, step)
    return folder


def write_checkpoint(folder: pathlib.Path, step: int, values: str = "") -> None:
    """Writes a checkpoint without weights."""
    (folder / f"model.ckpt-{step}.data-00000-of-00001").write_text(f"data {step} {values}")
    (folder / f"model.ckpt-{step}.index").write_text(f"index {step} {values}")


def delete_checkpoint(folder: pathlib.Path, step: int) -> None:
    for path in folder.glob(f"model.ckpt-{step}.*"):
        path.unlink()


def end_run(folder: pathlib.Path, step: int) -> None:
    """Writes that a run has made all its steps."""
    with RunLog(str(folder / "metrics.jsonl")) as log:
        log.write("start", 0)
        log.write("end", step)


def write_task(folder: pathlib.Path, name: str, **settings) -> str:
    """Writes the configuration of a task and its data; returns the path of the first."""
    data = folder / "data" / settings.get("data", name)
    data.mkdir(parents=True, exist_ok=True)
    (data / "train.tsv").write_text("some rows\n")
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"learning_rate": 5e-5, **settings}))
    return str(path)


def make_sweep(
    folder: pathlib.Path, models, tasks=("one",), changes=(), num_seeds=2, **settings
) -> Sweep:
    """Returns a sweep over `models` with stand-ins for all else."""
    paths = [task if task.endswith(".json") else write_task(folder, task) for task in tasks]
    return Sweep(
        str(folder / "scores"),
        parse_models([str(model) for model in models], None),
        read_tasks(
            paths, str(folder / "data"), changes, num_seeds, str(write_scripts(folder / "scripts"))
        ),
        **settings,
    )
