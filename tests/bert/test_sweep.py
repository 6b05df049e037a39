"""Which cells a sweep has, which are done, and how they are run."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest
from sweep_stand_ins import (
    delete_checkpoint,
    end_run,
    make_sweep,
    write_checkpoint,
    write_run,
    write_scripts,
    write_task,
)

from deeq_bert.bert import sweep_models, sweep_tasks, sweep_workers
from deeq_bert.bert.sweep import undone
from deeq_bert.bert.sweep_workers import SweepRunner
from deeq_bert.tokenizers.errors import InputError

HERE = pathlib.Path(__file__).parent


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "wordpiece")


def do(sweep, devices=("0",), **settings) -> SweepRunner:
    runner = SweepRunner(sweep, devices)
    runner.run(**settings)
    return runner


def names(cells) -> list[str]:
    return [cell.name for cell in cells]


def test_the_newest_checkpoint_comes_first_with_all_its_tasks(tmp_path, run):
    other = write_run(tmp_path / "deeq", steps=(50,))
    sweep = make_sweep(tmp_path, [run, other], ["one", "two"], random_floor=True)

    assert names(sweep.cells()) == [
        "wordpiece 200 one",
        "wordpiece 200 two",
        "deeq 50 one",
        "deeq 50 two",
        "wordpiece random one",
        "wordpiece random two",
        "deeq random one",
        "deeq random two",
        "wordpiece 100 one",
        "wordpiece 100 two",
    ]


@pytest.mark.parametrize(
    ("steps", "expected"), [("every", [200, 100]), ("last", [200]), ("100,7", [100])]
)
def test_steps_choose_checkpoints(tmp_path, run, steps, expected):
    sweep = make_sweep(tmp_path, [run], steps=steps)
    assert [cell.checkpoint.step for cell in sweep.cells()] == expected


def test_steps_that_a_run_lacks_are_known(run):
    (model,) = sweep_models.parse_models([str(run)], None)
    assert sweep_models.missing_steps(model, "100,7") == [7]
    assert sweep_models.missing_steps(model, "every") == []


def test_the_prefix_of_a_checkpoint_is_one_model(tmp_path, run):
    sweep = make_sweep(tmp_path, [f"early={run}/model.ckpt-100"])
    assert names(sweep.cells()) == ["early 100 one"]


def test_finished_cells_are_not_done_again(tmp_path, run):
    do(make_sweep(tmp_path, [run]))
    sweep = make_sweep(tmp_path, [run])
    assert undone(sweep.cells()) == []
    assert [result.seed for result in sweep.cells()[0].results()] == [12345, 12346]

    write_checkpoint(run, 300)
    assert names(undone(sweep.cells())) == ["wordpiece 300 one"]


def test_more_seeds_take_over_those_that_are_done(tmp_path, run):
    do(make_sweep(tmp_path, [run], steps="last", num_seeds=1))
    (cell,) = make_sweep(tmp_path, [run], steps="last", num_seeds=3).cells()
    assert cell.results() is None
    first = os.path.join(cell.folder, "seed-12345", "result.json")
    written = os.stat(first).st_mtime_ns

    do(make_sweep(tmp_path, [run], steps="last", num_seeds=3))
    assert len(cell.results()) == 3
    assert os.stat(first).st_mtime_ns == written


def test_a_cell_with_one_of_two_seeds_is_not_done(tmp_path, run):
    sweep = make_sweep(tmp_path, [run], steps="last")
    do(sweep)
    (cell,) = sweep.cells()
    os.remove(os.path.join(cell.folder, "seed-12346", "result.json"))
    assert undone(sweep.cells()) == [cell]


def test_a_result_that_is_torn_does_not_count(tmp_path, run):
    sweep = make_sweep(tmp_path, [run], steps="last")
    do(sweep)
    (cell,) = sweep.cells()
    pathlib.Path(cell.folder, "seed-12346", "result.json").write_text('{"task": "on')
    assert undone(sweep.cells()) == [cell]


@pytest.mark.parametrize("changed", ["flag", "data", "weights", "vocabulary", "dtype"])
def test_what_decides_a_result_makes_another_cell(tmp_path, run, changed):
    settings = {"run_flags": {"dtype": "float32"}, "steps": "last"}
    before = make_sweep(tmp_path, [run], **settings).cells()[0].folder
    if changed == "flag":
        settings["changes"] = ["learning_rate=1e-4"]
    elif changed == "data":
        (tmp_path / "data" / "one" / "dev.tsv").write_text("rows")
    elif changed == "weights":
        write_checkpoint(run, 200, "trained again")
    elif changed == "vocabulary":
        with open(run / "vocab.txt", "a") as file:
            file.write("word\n")
    else:
        settings["run_flags"] = {"dtype": "bfloat16"}
    assert make_sweep(tmp_path, [run], **settings).cells()[0].folder != before


def test_how_a_number_is_written_makes_no_other_cell(tmp_path, run):
    folders = {
        make_sweep(tmp_path, [run], changes=[f"learning_rate={value}"]).cells()[0].folder
        for value in ("5e-5", "0.00005")
    }
    assert len(folders) == 1


def test_a_copy_of_the_run_has_the_same_cells(tmp_path, run):
    write_run(tmp_path / "copy")
    folders = {
        make_sweep(tmp_path, [f"same={path}"], steps="last").cells()[0].folder
        for path in (run, tmp_path / "copy")
    }
    assert len(folders) == 1


def test_a_checkpoint_that_is_deleted_keeps_its_row(tmp_path, run):
    do(make_sweep(tmp_path, [run]))
    delete_checkpoint(run, 100)
    sweep = make_sweep(tmp_path, [run])

    assert [row.checkpoint.step for row in sweep.rows()] == [100, 200]
    assert names(sweep.cells()) == ["wordpiece 200 one"]
    other_settings = make_sweep(tmp_path, [run], changes=["learning_rate=1e-4"])
    assert [row.checkpoint.step for row in other_settings.rows()] == [200]


def test_a_checkpoint_may_be_deleted_while_its_cell_is_done(tmp_path, run):
    sweep = make_sweep(tmp_path, [run], steps="last")
    (cell,) = sweep.cells()
    command = sweep.command(cell)
    delete_checkpoint(run, 200)

    subprocess.run([sys.executable, *command], check=True)
    assert len(cell.results()) == 2
    sweep.finish(cell)
    assert not os.path.exists(os.path.join(cell.folder, "checkpoint"))


def test_a_checkpoint_deleted_before_its_turn_is_a_failure_of_its_own(tmp_path, run, monkeypatch):
    sweep = make_sweep(tmp_path, [run])
    cells = sweep.cells()
    monkeypatch.setattr(sweep, "cells", lambda: cells)
    delete_checkpoint(run, 100)

    runner = do(sweep)
    assert [failure.cell.name for failure in runner.failures] == ["wordpiece 100 one"]
    assert "is not there any more" in runner.failures[0].reason
    assert cells[0].results() is not None


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ("in error", "exit code 1. The file is wrong. Mend it."),
        ("without result", "it ended without a result for each seed. working on 0"),
        ("killed", "it was killed, probably for want of memory"),
    ],
)
def test_a_cell_that_fails_says_why_and_the_others_go_on(tmp_path, run, end, reason):
    sweep = make_sweep(tmp_path, [run], ["one", "two"], [f"one.end={end}"], steps="last")
    runner = do(sweep)

    (failure,) = runner.failures
    assert failure.cell.name == "wordpiece 200 one"
    assert reason in failure.reason
    assert failure.cell.log_file in failure.reason
    assert names(undone(sweep.cells())) == ["wordpiece 200 one"]


def test_each_device_has_one_process_at_a_time(tmp_path, run):
    sweep = make_sweep(tmp_path, [run], ["one", "two", "three"], num_seeds=1)
    do(sweep, ["0,", "1,"])

    used = [
        pathlib.Path(cell.log_file).read_text().splitlines()[1].split()[-1]
        for cell in sweep.cells()
    ]
    assert set(used) == {"0,", "1,"}


@pytest.mark.parametrize(
    ("gpus", "available", "devices"),
    [
        ("all", 2, ["0,", "1,"]),
        ("1", 2, ["0,"]),
        ("1,", 2, ["1,"]),
        ("0", 2, ["0", "0", "0"]),
        ("all", 0, ["0", "0", "0"]),
    ],
)
def test_devices_are_those_that_gpus_names_or_jobs_on_the_cpu(gpus, available, devices):
    assert sweep_workers.devices_of(gpus, available, 3) == devices


@pytest.mark.parametrize(
    ("visible", "count"), [(None, 3), ("0,2", 2), ("", 0), ("-1", 0), ("1,-1,2", 1)]
)
def test_gpus_are_counted_by_the_driver_and_what_is_visible(tmp_path, visible, count):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\nfor n in 0 1 2; do echo GPU $n: H100; echo ' MIG x'; done\n")
    program.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    if visible is not None:
        environment["CUDA_VISIBLE_DEVICES"] = visible
    assert sweep_workers.count_gpus(environment) == count


def test_without_the_driver_there_is_no_gpu(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert sweep_workers.count_gpus() == 0


def test_two_sweeps_in_one_folder_are_refused(tmp_path):
    with (
        sweep_workers.locked(str(tmp_path / "scores")),
        pytest.raises(InputError, match="Another sweep"),
        sweep_workers.locked(str(tmp_path / "scores")),
    ):
        pass
    with sweep_workers.locked(str(tmp_path / "scores")):
        pass


def test_watching_scores_what_comes_until_the_run_has_ended(tmp_path, run):
    sweep = make_sweep(tmp_path, [run], num_seeds=1)
    refreshed = []

    def train() -> None:
        while not refreshed:
            time.sleep(0.05)
        write_checkpoint(run, 300)
        delete_checkpoint(run, 100)
        end_run(run, 300)

    training = threading.Thread(target=train)
    training.start()
    runner = SweepRunner(sweep, ["0"], refresh=lambda: refreshed.append(len(sweep.rows())))
    runner.run(watch_seconds=0.1)
    training.join()

    assert [row.checkpoint.step for row in sweep.rows()][-1] == 300
    assert not undone(sweep.cells())
    assert not runner.failures


def test_a_run_that_begins_again_has_not_ended(run):
    (model,) = sweep_models.parse_models([str(run)], None)
    assert not model.has_ended()
    end_run(run, 200)
    assert model.has_ended()
    with open(run / "metrics.jsonl", "a") as file:
        file.write('{"kind": "start", "step": 200}\n')
    assert not model.has_ended()


STOPPED = """
import pathlib, sys
sys.path[:0] = [{here!r}]
from sweep_stand_ins import make_sweep
from deeq_bert.bert import sweep_workers
from deeq_bert.tokenizers import command_line

def main():
    folder = pathlib.Path({folder!r})
    with sweep_workers.locked(str(folder / "scores")) as lock:
        sweep = make_sweep(folder, [folder / "wordpiece"], changes=["seconds=60"])
        sweep_workers.SweepRunner(sweep, ["0"], lock).run()

command_line.run(main)
"""


def test_a_signal_stops_the_processes_and_leaves_what_is_done(tmp_path, run):
    sweep = make_sweep(tmp_path, [run], changes=["seconds=60"])
    first = sweep.cells()[0]
    program = STOPPED.format(here=str(HERE), folder=str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE) as process:
        while not os.path.exists(first.log_file) or "working" not in read(first.log_file):
            assert process.poll() is None
            time.sleep(0.05)
        with pytest.raises(InputError, match="Another sweep"):
            sweep_workers.locked(sweep.output_dir).__enter__()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 143
    # The lock is free only when no process of the sweep is left.
    with sweep_workers.locked(sweep.output_dir):
        pass
    assert not os.path.exists(os.path.join(first.folder, "checkpoint"))
    assert first.results() is None


def read(path: str) -> str:
    return pathlib.Path(path).read_text()


def test_a_task_says_its_script_its_data_and_its_flags(tmp_path):
    path = write_task(
        tmp_path, "one", data="klue/one", script="run_squad", description="…", num_seeds=5
    )
    scripts = write_scripts(tmp_path / "scripts")
    (task,) = sweep_tasks.read_tasks(
        [path],
        str(tmp_path / "data"),
        ["max_train_examples=3", "one.max_train_examples=10"],
        2,
        str(scripts),
    )
    assert task.script == str(scripts / "run_squad.py")
    assert task.data == str(tmp_path / "data" / "klue" / "one")
    assert task.flags["max_train_examples"] == "10"
    assert task.flags["task_name"] == "one"
    assert task.num_seeds == 5
    assert task.sampled() == {"train": 10}


@pytest.mark.parametrize(
    ("settings", "changes", "message"),
    [
        ({"lerning_rate": 1}, [], "no flag lerning_rate; did you mean learning_rate"),
        ({"learning_rate": "fast"}, [], "learning_rate is 'fast'; expected a number"),
        ({"max_train_examples": 1.5}, [], "expected a whole number"),
        ({"end": "badly"}, [], "expected one of well, in error"),
        ({"gpus": "0"}, [], "gpus is not for a task to say"),
        ({"learning_rate": [1]}, [], "expected a string, a number"),
        ({"script": "run_pretraining"}, [], "expected run_classifier"),
        ({"num_seeds": 0}, [], "expected at least 1"),
        ({}, ["two.learning_rate=1"], "two is none of the tasks"),
        ({}, ["learning_rate"], "expected flag=value"),
        ({}, ["epochs=1"], "no flag epochs"),
        ({}, ["do_lower_case=False"], "do_lower_case is not for a task to say"),
    ],
)
def test_what_is_wrong_with_a_task_is_said_before_work(tmp_path, settings, changes, message):
    path = write_task(tmp_path, "one", **settings)
    scripts = write_scripts(tmp_path / "scripts")
    with pytest.raises(InputError, match=message):
        sweep_tasks.read_tasks([path], str(tmp_path / "data"), changes, 2, str(scripts))


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("nsmcc", "no such task as nsmcc; did you mean nsmc"),
        ("nowhere.json", "there is no nowhere.json"),
        ("nsmc", "There is no folder .*nsmc"),
    ],
)
def test_a_task_that_is_not_there_is_named(tmp_path, task, message):
    scripts = write_scripts(tmp_path / "scripts")
    script = (scripts / "run_classifier.py").read_text()
    # Flags that the configuration of nsmc has.
    more = "".join(
        f'flags.DEFINE_string("{name}", "", "")\n'
        for name in json.loads(pathlib.Path(sweep_tasks.CONFIGS_FOLDER, "nsmc.json").read_text())
        if name not in ("description", "learning_rate")
    )
    (scripts / "run_classifier.py").write_text(
        script.replace("\n\ndef main", f"\n{more}\ndef main")
    )
    with pytest.raises(InputError, match=message):
        sweep_tasks.read_tasks([task], str(tmp_path), [], 1, str(scripts))


def test_the_configurations_suit_the_scripts(tmp_path):
    for name in sweep_tasks.task_names():
        config = json.loads(pathlib.Path(sweep_tasks.CONFIGS_FOLDER, f"{name}.json").read_text())
        (tmp_path / name).mkdir()
        for file in ("train", *(value for key, value in config.items() if key.endswith("_file"))):
            (tmp_path / name / file).write_text("")
    tasks = sweep_tasks.read_tasks(sweep_tasks.task_names(), str(tmp_path), [], 3)
    assert {"nsmc", "korsts", "kornli", "hate_speech", "question_pair", "korquad"} <= {
        task.name for task in tasks
    }


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("nowhere", "There is no model at"),
        ("a/b=nowhere", "There is no model at a/b=nowhere"),
        ("=out", "cannot be the name"),
        ("..=out", "cannot be the name"),
    ],
)
def test_a_model_that_is_not_there_is_named(value, message):
    with pytest.raises(InputError, match=message):
        sweep_models.parse_models([value], None)


def test_models_of_one_name_are_refused(tmp_path, run):
    other = write_run(tmp_path / "elsewhere" / "wordpiece")
    with pytest.raises(InputError, match="another model called wordpiece"):
        sweep_models.parse_models([str(run), str(other)], None)


def test_a_model_that_does_not_tell_of_lower_case_needs_the_flag(tmp_path):
    run = write_run(tmp_path / "foreign", contract=False)
    with pytest.raises(InputError, match="--do_lower_case=True or False"):
        sweep_models.parse_models([str(run)], None)
    (model,) = sweep_models.parse_models([str(run)], False)
    assert model.tokenizer_flags()["do_lower_case"] == "False"


def test_a_hugging_face_folder_is_used_where_it_is(tmp_path):
    folder = write_run(tmp_path / "foreign", steps=(), contract=False)
    (folder / "bert_config.json").rename(folder / "config.json")
    (folder / "model.safetensors").write_text("weights")
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": true}')
    sweep = make_sweep(tmp_path, [folder])

    (cell,) = sweep.cells()
    assert cell.name == "foreign given one"
    command = sweep.command(cell)
    assert f"--init_checkpoint={folder}" in command
    assert "--do_lower_case=True" in command
    (config,) = [word for word in command if word.startswith("--bert_config_file=")]
    assert json.loads(read(config.partition("=")[2]))["hidden_size"] == 4


def test_what_a_killed_sweep_was_holding_is_let_go(tmp_path, run):
    sweep = make_sweep(tmp_path, [run], steps="last")
    (cell,) = sweep.cells()
    subprocess.run([sys.executable, *sweep.command(cell)], check=True)
    assert os.path.exists(os.path.join(cell.folder, "checkpoint"))

    do(make_sweep(tmp_path, [run], steps="last"))
    assert not os.path.exists(os.path.join(cell.folder, "checkpoint"))


@pytest.mark.parametrize("name", ["deeq", "deeq-wordpiece"])
def test_a_morpheme_model_brings_its_tokenizer_and_the_flags_of_its_analyzer(tmp_path, run, name):
    contract = {"contract_version": 1, "tokenizer": name, "vocab_file": "vocab.txt"}
    (run / "tokenizer_config.json").write_text(json.dumps(contract))
    other = write_run(tmp_path / "other")
    sweep = make_sweep(tmp_path, [run, other], analyzer_flags={"dtype": "stands for one"})

    commands = {cell.model.name: sweep.command(cell) for cell in sweep.cells()}
    assert f"--tokenizer={name}" in commands["wordpiece"]
    assert "--dtype=stands for one" in commands["wordpiece"]
    assert not [word for word in commands["wordpiece"] if "lower_case" in word]
    assert "--dtype=stands for one" not in commands["other"]
    assert "--do_lower_case=False" in commands["other"]


@pytest.mark.parametrize("steps", ["", "first", "5,", "-1"])
def test_steps_of_another_form_are_refused(steps):
    with pytest.raises(InputError, match="is not understood"):
        sweep_models.check_steps(steps)
