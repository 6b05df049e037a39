import functools
import json
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from deeq_bert.bert.records import RecordSet

SCRIPT = "bert/run_pretraining.py"


@pytest.fixture(scope="module")
def pretrain_into(run_script, sample_records, tiny_config):
    """A function that runs the script on the sample; flags given replace the usual ones."""

    def run(
        output_dir: object, keywords: dict | None = None, **flags
    ) -> subprocess.CompletedProcess:
        usual = {
            "input_file": sample_records,
            "bert_config_file": tiny_config,
            "output_dir": output_dir,
            "train_batch_size": 8,
            "num_train_steps": 12,
            "num_warmup_steps": 4,
            "save_checkpoints_steps": 4,
            "max_eval_steps": 5,
            "log_steps": 4,
        }
        given = [f"--{name}={value}" for name, value in (usual | flags).items()]
        return run_script(SCRIPT, *given, **(keywords or {}))

    return run


@pytest.fixture
def pretrain(pretrain_into, tmp_path):
    """The same, with tmp_path/out as the output folder."""

    def run(output_dir: object = tmp_path / "out", **flags) -> subprocess.CompletedProcess:
        return pretrain_into(output_dir, **flags)

    return run


@pytest.fixture(scope="module")
def finished_run(pretrain_into, tmp_path_factory) -> tuple[pathlib.Path, str]:
    """The output folder and the log of a whole run of 12 steps; not to be written to."""
    folder = tmp_path_factory.mktemp("finished") / "out"
    completed = pretrain_into(folder, do_train=True, do_eval=True)
    assert completed.returncode == 0, completed.stderr
    return folder, completed.stderr


@pytest.fixture
def trained(finished_run, tmp_path) -> pathlib.Path:
    """tmp_path/out as that run has left it."""
    return pathlib.Path(shutil.copytree(finished_run[0], tmp_path / "out"))


def assert_refused(completed: subprocess.CompletedProcess, *parts: str, code: int = 1) -> None:
    """Checks that a run ended with one error of one or two sentences that names `parts`."""
    assert completed.returncode == code, completed.stderr
    assert "Traceback" not in completed.stderr
    (message,) = [line for line in completed.stderr.splitlines() if line.startswith("ERROR: ")]
    for part in parts:
        assert part in message


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
    steps = sorted(int(path.stem.split("-")[1]) for path in out.glob("model.ckpt-*.index"))
    assert steps == [0, 4, 8, 12]
    assert list(out.glob("events.out.tfevents.*")) and list(out.glob("eval/events.out.tfevents.*"))
    lines = (out / "eval_results.txt").read_text().splitlines()
    assert lines[0] == "global_step = 12"
    assert [line.split(" = ")[0] for line in lines] == [
        "global_step",
        "loss",
        "masked_lm_accuracy",
        "masked_lm_loss",
        "next_sentence_accuracy",
        "next_sentence_loss",
    ]


def test_a_finished_run_says_so_and_evaluates_again(pretrain, trained):
    results = (trained / "eval_results.txt").read_text()
    (trained / "eval_results.txt").unlink()

    completed = pretrain(do_train=True, do_eval=True)

    assert completed.returncode == 0, completed.stderr
    assert "Training is finished: 12 steps are done" in completed.stderr
    assert (trained / "eval_results.txt").read_text() == results


def test_a_stopped_run_goes_on_to_the_same_weights(pretrain, trained, finished_run):
    # The learning rate depends on the number of steps, so the run is cut short by taking back its
    # last checkpoints.
    for path in [*trained.glob("model.ckpt-8*"), *trained.glob("model.ckpt-12*")]:
        path.unlink()
    (trained / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-4"\n')

    completed = pretrain(do_train=True)

    assert completed.returncode == 0, completed.stderr
    assert "Going on from" in completed.stderr and "model.ckpt-4." in completed.stderr
    whole = tf.train.load_checkpoint(str(finished_run[0] / "model.ckpt-12"))
    resumed = tf.train.load_checkpoint(str(trained / "model.ckpt-12"))
    # The resume state also has the time the run has taken.
    for name in set(whole.get_variable_to_shape_map()) - {"global_step/resume_state"}:
        np.testing.assert_array_equal(whole.get_tensor(name), resumed.get_tensor(name))


@pytest.fixture
def stop_a_run(repository, sample_records, tiny_config, tmp_path):
    """A function that starts a long run into tmp_path/out and stops it with a signal.

    It returns the exit code, once `model.ckpt-20` was there when the signal was sent.
    """

    def stop(number: signal.Signals) -> int:
        command = [
            sys.executable,
            repository / SCRIPT,
            f"--input_file={sample_records}",
            f"--bert_config_file={tiny_config}",
            f"--output_dir={tmp_path / 'out'}",
            "--do_train=True",
            "--train_batch_size=8",
            "--num_train_steps=100000",
            "--save_checkpoints_steps=5",
        ]
        with open(tmp_path / "log", "wb") as log:
            # A test run in the background ignores SIGINT, and its children would inherit that.
            default = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
            process = subprocess.Popen(command, stderr=log, preexec_fn=default)
            deadline = time.monotonic() + 60
            while not (tmp_path / "out" / "model.ckpt-20.index").exists():
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.01)
            process.send_signal(number)
            return process.wait(timeout=60)

    return stop


def test_a_killed_run_goes_on_from_its_last_checkpoint(stop_a_run, pretrain, tmp_path):
    assert stop_a_run(signal.SIGKILL) == -signal.SIGKILL
    last = tf.train.latest_checkpoint(str(tmp_path / "out"))
    step = int(last.rsplit("-", 1)[1])

    completed = pretrain(do_train=True, num_train_steps=step + 1)

    assert completed.returncode == 0, completed.stderr
    assert f"Going on from {last}." in completed.stderr
    assert not list((tmp_path / "out").glob(".model.ckpt-*.tmp"))
    assert tf.train.latest_checkpoint(str(tmp_path / "out")).endswith(f"model.ckpt-{step + 1}")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_a_run_that_is_stopped_says_where_it_goes_on(stop_a_run, tmp_path, number, code):
    assert stop_a_run(number) == code

    message = (tmp_path / "log").read_text().splitlines()[-1]
    last = tf.train.latest_checkpoint(str(tmp_path / "out"))
    assert message == f"ERROR: Stopped. The same command goes on from {last}."
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.endswith(".tmp")]


def test_an_init_checkpoint_that_is_not_used_is_said(pretrain, trained):
    completed = pretrain(do_eval=True, init_checkpoint="nosuch")

    assert completed.returncode == 0, completed.stderr
    assert "Evaluating" in completed.stderr and "model.ckpt-12." in completed.stderr
    assert "--init_checkpoint is not used" in completed.stderr


def test_sequences_longer_than_the_positions_are_refused(pretrain, golden_model):
    completed = pretrain(do_train=True, bert_config_file=golden_model / "bert_config.json")

    assert_refused(completed, "--max_seq_length=128", "max_position_embeddings 64")


def test_evaluation_alone_reads_the_held_out_records_alone(pretrain, trained, sample_records):
    completed = pretrain(do_eval=True, input_file="nosuch", eval_input_file=sample_records)

    assert completed.returncode == 0, completed.stderr
    assert "Examples = 40 of 242" in completed.stderr


def test_evaluation_alone_needs_a_checkpoint(pretrain, tmp_path):
    assert_refused(pretrain(do_eval=True), "no checkpoint to evaluate", str(tmp_path / "out"))


def test_starts_from_the_weights_of_init_checkpoint(pretrain, finished_run, tmp_path):
    path = finished_run[0] / "model.ckpt-12"

    trained = pretrain(do_train=True, init_checkpoint=path, num_train_steps=1)
    evaluated = pretrain(do_eval=True, init_checkpoint=path, output_dir=tmp_path / "eval")

    assert trained.returncode == 0, trained.stderr
    assert "**** Trainable Variables ****" in trained.stderr
    assert "bert/pooler/dense/bias, shape = (16,), *INIT_FROM_CKPT*" in trained.stderr
    # The first step has the learning rate 0, and the optimizer's state is not taken over.
    before = tf.train.load_checkpoint(str(path))
    after = tf.train.load_checkpoint(str(tmp_path / "out" / "model.ckpt-0"))
    name = "bert/embeddings/word_embeddings"
    np.testing.assert_array_equal(before.get_tensor(name), after.get_tensor(name))
    assert not after.get_tensor(f"{name}/adam_m").any()
    assert evaluated.returncode == 0, evaluated.stderr
    results = (tmp_path / "eval" / "eval_results.txt").read_text()
    assert results.startswith("global_step = 0\n")


def test_going_on_with_other_flags_is_said(pretrain, trained):
    completed = pretrain(do_train=True, num_train_steps=13, learning_rate=1e-3)

    assert completed.returncode == 0
    assert "Going on with learning_rate = 0.001; it was 5e-05 before." in completed.stderr
    assert "Going on with num_train_steps = 13; it was 12 before." in completed.stderr


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


def test_a_loss_that_is_not_finite_ends_the_run_with_code_3(pretrain, tmp_path):
    completed = pretrain(
        do_train=True, learning_rate=1e30, num_warmup_steps=0, save_checkpoints_steps=1
    )

    # The first update ruins the weights that model.ckpt-1 holds, with any records.
    told = ("At step 2 the loss is not finite", "--max_rollbacks=3 is used up", "model.ckpt-0 is")
    assert_refused(completed, *told, code=3)
    assert completed.stderr.count("Back to ") == 3
    assert not (tmp_path / "out" / "model.ckpt-2.index").exists()

    again = pretrain(do_train=True, learning_rate=1e-5, num_warmup_steps=0)

    assert again.returncode == 0, again.stderr
    assert "model.ckpt-0." in again.stderr


def test_weights_that_are_not_finite_are_not_saved(pretrain, tmp_path):
    completed = pretrain(
        do_train=True,
        learning_rate=2e38,
        num_warmup_steps=0,
        save_checkpoints_steps=1,
        max_rollbacks=0,
    )

    assert_refused(completed, "a weight is not finite", "model.ckpt-0 is the last good", code=3)
    assert not (tmp_path / "out" / "model.ckpt-1.index").exists()


def fill_disk() -> None:
    # A limit on file size fails a write as a full disk does.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))


@pytest.fixture
def run_on_full_disk(repository, sample_records, tiny_config, trained):
    """A run that goes on behind model.ckpt-12 and has been told that the disk is full."""
    command = [
        sys.executable,
        repository / SCRIPT,
        f"--input_file={sample_records}",
        f"--bert_config_file={tiny_config}",
        f"--output_dir={trained}",
        "--do_train=True",
        "--train_batch_size=8",
        "--num_train_steps=1000000",
        "--save_checkpoints_steps=20",
        "--log_steps=1000",
    ]
    log = trained / "log"
    with open(log, "wb") as file:
        process = subprocess.Popen(command, stderr=file, preexec_fn=fill_disk)
    deadline = time.monotonic() + 90
    while b"Cannot write the checkpoint" not in log.read_bytes():
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    yield process, log
    process.kill()
    process.wait()


def test_a_full_disk_does_not_end_a_run_which_saves_when_there_is_room(run_on_full_disk, trained):
    process, log = run_on_full_disk
    assert tf.train.latest_checkpoint(str(trained)).endswith("model.ckpt-12")

    unlimited = resource.RLIM_INFINITY
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))
    process.send_signal(signal.SIGTERM)

    assert process.wait(timeout=60) == 143, log.read_text()
    last = tf.train.latest_checkpoint(str(trained))
    assert int(last.rsplit("-", 1)[1]) > 12
    assert f"goes on from {last}." in log.read_text()


@pytest.mark.slow
def test_a_disk_that_stays_full_keeps_the_last_good_checkpoint(run_on_full_disk, trained):
    process, log = run_on_full_disk

    process.send_signal(signal.SIGTERM)

    assert process.wait(timeout=90) == 1
    (message,) = [line for line in log.read_text().splitlines() if line.startswith("ERROR: ")]
    assert "model.ckpt-12 is the last good one" in message
    assert tf.train.latest_checkpoint(str(trained)).endswith("model.ckpt-12")
    assert not list(trained.glob(".model.ckpt-*"))


def test_bad_records_can_be_left_out(pretrain, sample_records, tmp_path):
    path = tmp_path / "damaged.tfrecord"
    content = bytearray(sample_records.read_bytes())
    content[100] ^= 1
    path.write_bytes(content[:-50])

    refused = pretrain(do_eval=True, input_file=path)
    skipped = pretrain(do_train=True, input_file=path, skip_bad_records=True, num_train_steps=1)

    assert_refused(refused, f"{path}, record 1", "--skip_bad_records")
    assert skipped.returncode == 0, skipped.stderr
    assert "Examples found = 240" in skipped.stderr
    assert f"{path}: left out 2 damaged record(s), the first being record 1" in skipped.stderr
    assert "bytes from the last of them on could not be read" in skipped.stderr


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        ({"do_train": False}, ["--do_train=True"]),
        ({"use_tpu": True}, ["--use_tpu", "GPUs and CPUs"]),
        ({"tpu_name": "node-1"}, ["--tpu_name", "GPUs and CPUs"]),
        ({"learning_rate": "nan"}, ["--learning_rate=nan"]),
        ({"learning_rate": "1e39"}, ["--learning_rate=1e+39"]),
        ({"input_file": "/dev/zero"}, ["/dev/zero is not a regular file"]),
        ({"gpus": "two"}, ["--gpus=two"]),
        ({"input_file": "nosuch*.tf"}, ["No file matches --input_file=nosuch*.tf"]),
        (
            {"do_eval": True, "eval_input_file": "nosuch.tf"},
            ["No file matches --eval_input_file=nosuch.tf"],
        ),
        ({"bert_config_file": "nosuch.json"}, ["nosuch.json"]),
        ({"max_seq_length": 64}, ["--max_seq_length", "64", "128"]),
        ({"max_predictions_per_seq": 19}, ["--max_predictions_per_seq", "19", "20"]),
        ({"output_dir": "/dev/null/out"}, ["/dev/null/out"]),
        ({"output_dir": ""}, ["--output_dir"]),
    ],
)
def test_flags_that_cannot_be_used_are_refused_before_any_work(pretrain, tmp_path, flags, parts):
    completed = pretrain(**({"do_train": True} | flags))

    assert_refused(completed, *parts)
    assert not list(tmp_path.glob("out/model*"))


def test_a_config_with_fewer_words_than_the_records_is_refused(pretrain, tiny_config, tmp_path):
    fields = json.loads(tiny_config.read_text())
    small = tmp_path / "small.json"
    small.write_text(json.dumps(fields | {"vocab_size": 850}))

    completed = pretrain(do_train=True, bert_config_file=small)

    assert_refused(completed, "850", "--bert_config_file", "record")


def test_a_blank_after_input_file_is_explained_with_the_command_mended(
    run_script, sample_records, tiny_config, tmp_path
):
    completed = run_script(
        SCRIPT,
        "--input_file=",
        str(sample_records),
        f"--bert_config_file={tiny_config}",
        f"--output_dir={tmp_path / 'out'}",
        "--do_train=True",
    )

    assert_refused(completed, f"Write --input_file={sample_records} instead")


def test_an_output_folder_that_cannot_be_written_is_refused(pretrain, tmp_path):
    file = tmp_path / "file"
    file.write_text("")

    assert_refused(pretrain(do_train=True, output_dir=file), str(file))


def test_records_without_content_are_refused(pretrain, tmp_path):
    empty = tmp_path / "empty.tfrecord"
    empty.write_bytes(b"")

    assert_refused(pretrain(do_train=True, input_file=empty), "not one record", str(empty))


def test_help_answers_without_tensorflow(repository):
    program = (
        "import sys, runpy; sys.modules['tensorflow'] = None; "
        f"sys.argv = ['{SCRIPT}', '--help']; runpy.run_path('{SCRIPT}', run_name='__main__')"
    )
    completed = subprocess.run(
        [sys.executable, "-c", program], cwd=repository, capture_output=True, check=False
    )

    assert completed.returncode == 0, completed.stderr
    assert b"--bert_config_file" in completed.stdout


def test_warmup_longer_than_the_run_is_said(pretrain):
    completed = pretrain(do_train=True, num_warmup_steps=12, input_file="nosuch")

    assert "never reaches 5e-05" in completed.stderr


def test_the_records_of_several_patterns_are_all_read(sample_records, pretrain):
    completed = pretrain(
        do_train=True, input_file=f"{sample_records},{sample_records.parent}/*.tfrecord,nosuch*"
    )

    assert f"Examples found = {2 * len(RecordSet.scan([str(sample_records)]))}" in completed.stderr
    assert "No file matches nosuch* in --input_file." in completed.stderr
