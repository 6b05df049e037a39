"""Training and evaluation with run_pretraining.py, and what it leaves in its folder."""

import json
import pathlib
import re
import shutil
import subprocess
import time

import pytest
from pretraining_runs import (
    assert_refused,
    assert_same_weights,
    command,
    lines,
    run,
    steps_of,
    take_back_to,
    values,
)

from deeq_bert.bert.records import RecordSet


@pytest.fixture(scope="module")
def usual(sample_records, tiny_config) -> dict[str, object]:
    """Flags of a run on the sample."""
    return {
        "input_file": sample_records,
        "bert_config_file": tiny_config,
        "train_batch_size": 8,
        "num_train_steps": 12,
        "num_warmup_steps": 4,
        "save_checkpoints_steps": 4,
        "max_eval_steps": 5,
        "log_steps": 4,
        "gpus": 0,
    }


@pytest.fixture
def pretrain(usual, tmp_path):
    """A function that runs the script; flags given replace the usual ones."""

    def pretrain(**flags) -> subprocess.CompletedProcess:
        return run(usual | {"output_dir": tmp_path / "out"} | flags)

    return pretrain


@pytest.fixture(scope="module")
def finished_run(usual, sample_records, tmp_path_factory) -> tuple[pathlib.Path, str]:
    """The output folder and the log of a whole run of 12 steps; not to be written to."""
    folder = tmp_path_factory.mktemp("finished") / "out"
    flags = {"output_dir": folder, "do_train": True, "do_eval": True}
    held_out = {"eval_input_file": sample_records, "eval_steps": 6, "price_per_gpu_hour": 3600}
    completed = run(usual | flags | held_out)
    assert completed.returncode == 0, completed.stderr
    return folder, completed.stderr


@pytest.fixture
def trained(finished_run, tmp_path) -> pathlib.Path:
    """tmp_path/out as that run has left it."""
    return pathlib.Path(shutil.copytree(finished_run[0], tmp_path / "out"))


def test_the_tokenizer_of_the_records_is_handed_on(finished_run, own):
    out, _ = finished_run
    agreed = json.loads((out / "tokenizer_config.json").read_text())
    assert agreed["tokenizer"] == "wordpiece"
    assert agreed["do_lower_case"] is False
    assert (out / "vocab.txt").read_bytes() == (own / "vocab.txt").read_bytes()


def test_records_of_another_tokenizer_are_refused(pretrain, trained):
    path = trained / "tokenizer_config.json"
    path.write_text(path.read_text().replace('"do_lower_case": false', '"do_lower_case": true'))
    differs = ("do_lower_case is true for", "tokenizer_config.json and false for")
    assert_refused(pretrain(do_train=True), str(trained), *differs)
    allowed = pretrain(do_train=True, allow_tokenizer_mismatch=True)
    assert allowed.returncode == 0
    assert "Allowed by --allow_tokenizer_mismatch" in allowed.stderr


def test_a_run_logs_saves_and_evaluates(finished_run):
    out, log = finished_run

    assert "Examples found = 242" in log
    assert "Steps = 12, hence 0.3967 epochs" in log
    for step in (4, 8, 12):
        assert f"step {step}: loss " in log
    assert "sequences/s" in log and " left" in log
    assert steps_of(out) == [0, 4, 8, 12]
    assert list(out.glob("events.out.tfevents.*")) and list(out.glob("eval/events.out.tfevents.*"))
    results = (out / "eval_results.txt").read_text().splitlines()
    assert results[0] == "global_step = 12"
    assert [line.split(" = ")[0] for line in results] == [
        "global_step",
        "loss",
        "masked_lm_accuracy",
        "masked_lm_loss",
        "next_sentence_accuracy",
        "next_sentence_loss",
    ]


def test_a_run_writes_down_its_figures(finished_run):
    out, _ = finished_run

    (start,) = lines(out, "start")
    assert (start["step"], start["examples"], start["train_batch_size"]) == (0, 0, 8)
    assert 0 < start["baseline_masked_lm_accuracy"] < 1
    assert [line["step"] for line in lines(out, "train")] == [4, 8, 12]
    for line in lines(out, "train"):
        for name in ("loss", "masked_lm_loss", "next_sentence_loss", "gradient_norm", "tokens"):
            assert line[name] > 0
        for name in ("sequences_per_second", "tokens_per_second", "eta_seconds", "seconds_spent"):
            assert line[name] >= 0
        assert 0 <= line["data_wait_share"] <= 1
        # At 3,600 an hour, money is seconds.
        assert line["cost"] == pytest.approx(line["seconds_spent"])
    assert [line["step"] for line in lines(out, "save")] == [4, 8, 12]
    assert [line["step"] for line in lines(out, "end")] == [12]


def test_held_out_records_are_evaluated_between_steps_and_the_best_is_kept(finished_run):
    out, log = finished_run

    evaluations = lines(out, "eval")
    assert [line["step"] for line in evaluations] == [6, 12]
    assert all(0 <= line["masked_lm_accuracy"] <= 1 for line in evaluations)
    best = min(evaluations, key=lambda line: line["loss"])["step"]
    assert steps_of(out / "best") == [best]
    assert "adam_m" not in " ".join(values(out / "best", best))
    # The evaluation at the end sees the same records and the same weights.
    (loss,) = re.findall(r"  loss = (\S+)", log)
    assert evaluations[-1]["loss"] == pytest.approx(float(loss))


def test_a_finished_run_says_so_and_evaluates_again(pretrain, trained, sample_records):
    results = (trained / "eval_results.txt").read_text()
    (trained / "eval_results.txt").unlink()

    completed = pretrain(do_train=True, do_eval=True)

    assert completed.returncode == 0, completed.stderr
    assert "Training is finished: 12 steps are done" in completed.stderr
    assert (trained / "eval_results.txt").read_text() == results


def test_going_on_with_other_flags_is_said(pretrain, trained):
    completed = pretrain(do_train=True, num_train_steps=13, learning_rate=1e-3, train_batch_size=16)

    assert completed.returncode == 0
    assert "Going on with learning_rate = 0.001; it was 5e-05 before." in completed.stderr
    assert "Going on with num_train_steps = 13; it was 12 before." in completed.stderr
    assert "The global batch is 16 and was 8." in completed.stderr
    # Eight records of each step so far; the batch of later ones does not change that.
    assert lines(trained, "start")[-1]["examples"] == 12 * 8


def test_a_checkpoint_of_another_model_is_refused(pretrain, trained, tiny_config, tmp_path):
    fields = json.loads(tiny_config.read_text())
    other = tmp_path / "other.json"
    other.write_text(json.dumps(fields | {"intermediate_size": 48}))

    completed = pretrain(do_train=True, bert_config_file=other)

    assert_refused(
        completed,
        "does not fit the model",
        "bert/encoder/layer_0/intermediate/dense/kernel is [16, 32] there and [16, 48] here",
    )


def test_evaluation_alone_reads_the_held_out_records_alone(pretrain, trained, sample_records):
    completed = pretrain(do_eval=True, input_file="nosuch", eval_input_file=sample_records)

    assert completed.returncode == 0, completed.stderr
    assert "Examples = 40 of 242" in completed.stderr


@pytest.fixture
def long_run(usual, trained, tmp_path):
    """A run into tmp_path/out that goes on behind step 12 for as long as it is let."""
    flags = {"output_dir": trained, "do_train": True, "num_train_steps": 1_000_000}
    # What is looked at is not deleted meanwhile.
    more = {"save_checkpoints_steps": 100, "keep_checkpoint_max": 0, "log_steps": 1000}
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen(command(**usual | flags | more), stderr=log)
        deadline = time.monotonic() + 90
        while not any(step > 12 for step in steps_of(trained)):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        yield process
        process.kill()
        process.wait()


@pytest.mark.slow
def test_an_evaluation_may_look_in_on_a_run_but_no_second_one_may_train(
    pretrain, long_run, trained, sample_records
):
    looked = pretrain(do_eval=True, eval_input_file=sample_records)
    second = pretrain(do_train=True)

    assert looked.returncode == 0, looked.stderr
    assert "Evaluating" in looked.stderr and "global_step = " in looked.stderr
    assert_refused(second, "Another run is writing to", str(trained))
    assert long_run.poll() is None


def test_bad_records_can_be_left_out(pretrain, sample_records, tmp_path):
    path = tmp_path / "damaged.tfrecord"
    content = bytearray(sample_records.read_bytes())
    content[100] ^= 1
    path.write_bytes(content[:-50])

    skipped = pretrain(do_train=True, input_file=path, skip_bad_records=True, num_train_steps=1)

    assert skipped.returncode == 0, skipped.stderr
    assert "Examples found = 240" in skipped.stderr
    assert f"{path}: left out 2 damaged record(s), the first being record 1" in skipped.stderr
    assert "bytes from the last of them on could not be read" in skipped.stderr


def test_the_records_of_several_patterns_are_all_read(sample_records, pretrain):
    completed = pretrain(
        do_train=True, input_file=f"{sample_records},{sample_records.parent}/*.tfrecord,nosuch*"
    )

    assert f"Examples found = {2 * len(RecordSet.scan([str(sample_records)]))}" in completed.stderr
    assert "No file matches nosuch* in --input_file." in completed.stderr


@pytest.mark.slow
def test_a_plan_times_steps_and_writes_nothing(pretrain, tmp_path):
    completed = pretrain(plan=True, train_batch_size=1, price_per_gpu_hour=2, length_buckets=True)

    assert completed.returncode == 0, completed.stderr
    assert "Phase 1: 12 steps of 1 sequences of 128 tokens; 242 records" in completed.stdout
    assert [line.split()[0] for line in completed.stdout.splitlines()[2:5]] == ["1*", "2", "4"]
    assert "at 2 an hour and device" in completed.stdout
    *_, total, note = completed.stdout.splitlines()
    assert total.endswith("Nothing was written.")
    assert note.startswith("These are steps of full sequences; --length_buckets")
    assert not list(tmp_path.iterdir())


def test_what_stands_where_the_run_writes_is_said(pretrain, trained):
    shutil.rmtree(trained / "best")
    (trained / "best").write_text("")

    assert_refused(pretrain(do_train=True, num_train_steps=13), f"{trained / 'best'}: File exists")


@pytest.mark.slow
def test_batches_of_like_lengths_go_on_where_the_run_stopped(pretrain, finished_run, tmp_path):
    flags = {"do_train": True, "length_buckets": True, "peak_tflops": 1, "log_steps": 1}
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"

    completed = pretrain(**flags, output_dir=whole)
    shutil.copytree(whole, stopped)
    take_back_to(stopped, 4)
    again = pretrain(**flags, output_dir=stopped)

    assert completed.returncode == 0, completed.stderr
    assert again.returncode == 0, again.stderr
    assert "retracing" not in completed.stderr
    assert_same_weights(stopped, whole, 12)
    # The operations counted are those of shorter sequences.
    mean = {
        folder: sum(
            line["tflops"] / line["sequences_per_second"]
            for line in lines(folder, "train")
            if "tflops" in line
        )
        / sum("tflops" in line for line in lines(folder, "train"))
        for folder in (whole, finished_run[0])
    }
    assert mean[whole] < 0.98 * mean[finished_run[0]]


def test_going_on_with_or_without_batches_of_like_lengths_is_said(pretrain, trained):
    completed = pretrain(do_train=True, num_train_steps=13, length_buckets=True)

    assert completed.returncode == 0, completed.stderr
    assert "Going on with length_buckets = True; it was False before. Of the next records" in (
        completed.stderr
    )
