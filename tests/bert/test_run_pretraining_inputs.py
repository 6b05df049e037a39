"""What a user gets wrong on the command line or in a file, as run_pretraining.py takes it.

All of it is found before TensorFlow is imported, which takes seconds and, with GPUs, their memory.
"""

import json
import os
import pathlib
import subprocess

import pytest
from pretraining_runs import SCRIPT, assert_refused, run_without_tensorflow
from record_shards import make_set, write_info

from deeq_bert.bert.records import read_records

SIZES = {"vocab_size": 900, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}


@pytest.fixture
def pretrain(sample_records, tiny_config, tmp_path):
    """A function that runs the script on the sample, without TensorFlow, into tmp_path/out."""

    def run(**flags) -> subprocess.CompletedProcess:
        usual = {
            "input_file": sample_records,
            "bert_config_file": tiny_config,
            "output_dir": tmp_path / "out",
            "do_train": True,
            "train_batch_size": 8,
            "num_train_steps": 12,
            "num_warmup_steps": 4,
            "gpus": 0,
        }
        (tmp_path / "modules").mkdir()
        return run_without_tensorflow(usual | flags, tmp_path / "modules")

    return run


@pytest.fixture
def file(tmp_path):
    """A function that writes a file and returns its path."""

    def write(name: str, content: object) -> pathlib.Path:
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def test_a_command_without_mistakes_goes_on_to_tensorflow(pretrain):
    assert "not before the flags are checked" in pretrain().stderr


def test_help_answers_without_tensorflow(tmp_path):
    completed = run_without_tensorflow({}, tmp_path, "--help")

    assert completed.returncode == 0, completed.stderr
    for flag in ("--bert_config_file", "--dtype", "--schedule_file", "--max_rollbacks"):
        assert flag in completed.stdout


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        ({"do_train": False}, ["--do_train=True"]),
        ({"use_tpu": True}, ["--use_tpu", "GPUs and CPUs"]),
        ({"tpu_name": "node-1"}, ["--tpu_name", "GPUs and CPUs"]),
        ({"learning_rate": "nan"}, ["--learning_rate=nan"]),
        ({"learning_rate": "1e39"}, ["--learning_rate=1e+39"]),
        ({"price_per_gpu_hour": "inf"}, ["--price_per_gpu_hour=inf"]),
        ({"explosion_factor": "0.5"}, ["--explosion_factor=0.5", "above 1, or 0"]),
        ({"train_batch_size": "many"}, ["--train_batch_size=many", "auto"]),
        ({"train_batch_size": 0}, ["--train_batch_size=0", "from 1 to"]),
        (
            {"train_batch_size": 8, "gradient_accumulation_steps": 3},
            ["does not divide by --gradient_accumulation_steps=3", "6 or 9"],
        ),
        (
            {"train_batch_size": 8, "gradient_accumulation_steps": 16},
            ["does not divide by --gradient_accumulation_steps=16", "is 16."],
        ),
        ({"eval_steps": 5}, ["--eval_steps=5", "--eval_input_file"]),
        ({"masked_lm_prob": 0.2}, ["--masked_lm_prob", "only with --dynamic_masking"]),
        (
            {"dynamic_masking": True, "masked_lm_prob": "nan"},
            ["--masked_lm_prob=nan", "from 0 to 1"],
        ),
        ({"dynamic_masking": True}, ["are masked already", "Leave it out"]),
        ({"gpus": "two"}, ["--gpus=two"]),
        ({"input_file": None}, ["--input_file is empty"]),
        ({"input_file": "/dev/zero"}, ["/dev/zero is not a regular file"]),
        ({"input_file": "nosuch*.tf"}, ["No file matches --input_file=nosuch*.tf"]),
        ({"eval_input_file": "nosuch.tf"}, ["No file matches --eval_input_file=nosuch.tf"]),
        ({"bert_config_file": "nosuch.json"}, ["nosuch.json"]),
        ({"max_seq_length": 64}, ["--max_seq_length", "64", "128"]),
        ({"max_seq_length": 256}, ["--max_seq_length=256", "max_position_embeddings 128"]),
        ({"max_predictions_per_seq": 19}, ["--max_predictions_per_seq", "19", "20"]),
        ({"output_dir": "/dev/null/out"}, ["/dev/null/out"]),
        ({"output_dir": ""}, ["--output_dir"]),
        ({"do_train": False, "do_eval": True}, ["no checkpoint to evaluate in --output_dir"]),
        ({"init_checkpoint": "nosuch"}, ["--init_checkpoint=nosuch", "nosuch.index"]),
        ({"schedule_file": "nosuch"}, ["Cannot read --schedule_file=nosuch"]),
        ({"schedule_file": "/dev/zero"}, ["--schedule_file=/dev/zero has over"]),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_flags_that_cannot_be_used_are_refused_and_leave_nothing(pretrain, tmp_path, flags, parts):
    assert_refused(pretrain(**flags), *parts)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("num_train_steps=0", "positive integer"),
        ("num_train_steps=many", "invalid literal"),
        ("dtype=fp16", "float32|bfloat16|float16"),
        ("nosuch=1", "Unknown command line flag 'nosuch'"),
    ],
)
def test_values_that_absl_refuses_name_the_flag_and_leave_nothing(
    pretrain, tmp_path, flag, message
):
    name, value = flag.split("=")
    completed = pretrain(**{name: value})

    assert completed.returncode == 1
    assert name in completed.stderr and message in completed.stderr
    assert "Traceback" not in completed.stderr
    assert not (tmp_path / "out").exists()


def test_tf_config_that_is_no_json_is_refused(pretrain, tmp_path, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "gpu1:12345")

    assert_refused(pretrain(), "TF_CONFIG is not JSON")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("fields", "parts"),
    [
        ({"vocab_size": 850}, ["900 tokens", "vocab_size is 850"]),
        ({"hidden_size": 17}, ["hidden_size 17", "num_attention_heads 2"]),
        ({"max_position_embeddings": 64}, ["--max_seq_length=128", "64"]),
        ({"type_vocab_size": 1}, ["type_vocab_size is 1"]),
    ],
)
def test_a_config_that_does_not_fit_is_refused(pretrain, file, tmp_path, fields, parts):
    config = file("config.json", {**SIZES, "max_position_embeddings": 128} | fields)

    assert_refused(pretrain(bert_config_file=config), *parts)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("phases", "parts"),
    [
        ([{"steps": 5}], ["phase 1: steps is not known", "num_train_steps"]),
        ([{}, {"num_train_steps": 0}], ["phase 2: num_train_steps is 0"]),
        ([{"input_file": "nosuch"}], ["No file matches --input_file=nosuch"]),
        ([{"max_seq_length": 512}], ["--max_seq_length=512"]),
        ([{"max_seq_length": 64}], ["input_ids has 128 values", "--max_seq_length is 64"]),
        ([{}, {"gradient_accumulation_steps": 3}], ["--gradient_accumulation_steps=3", "6 or 9"]),
    ],
)
def test_a_schedule_that_cannot_be_followed_is_refused(pretrain, file, tmp_path, phases, parts):
    schedule = file("schedule.json", {"phases": phases})

    assert_refused(pretrain(schedule_file=schedule), *parts)
    assert not (tmp_path / "out").exists()


def test_a_phase_may_find_its_batch(pretrain, file):
    schedule = file("schedule.json", {"phases": [{"train_batch_size": "auto"}]})

    assert "not before the flags are checked" in pretrain(schedule_file=schedule).stderr


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"", ["not one record"]),
        (b"a sentence a line\n" * 100, ["record 1", "expected an uncompressed TFRecord file"]),
    ],
    ids=["empty", "text"],
)
def test_files_that_hold_no_records_are_refused(pretrain, file, content, parts):
    path = file("records.tfrecord", content)

    assert_refused(pretrain(input_file=path), *parts, str(path))


def test_damaged_records_are_refused_with_the_way_to_leave_them_out(
    pretrain, sample_records, file, tmp_path
):
    content = bytearray(sample_records.read_bytes())
    content[-100] ^= 1
    count = len(list(read_records(str(sample_records))))

    refused = pretrain(input_file=file("damaged.tfrecord", bytes(content)))

    assert_refused(refused, f"damaged.tfrecord, record {count}", "--skip_bad_records")
    assert not list(tmp_path.glob("out/model*"))


def test_what_stands_beside_records_and_cannot_be_read_is_refused(pretrain, sample_records, file):
    path = file("records.tfrecord", sample_records.read_bytes())
    file("records.tfrecord.json", "[" * 100_000)

    assert_refused(pretrain(input_file=path), "records.tfrecord.json does not say how")


def test_a_blank_after_input_file_is_explained_with_the_command_mended(
    run_script, sample_records, tiny_config, tmp_path
):
    completed = run_script(
        str(SCRIPT),
        "--input_file=",
        str(sample_records),
        f"--bert_config_file={tiny_config}",
        f"--output_dir={tmp_path / 'out'}",
        "--do_train=True",
    )

    assert_refused(completed, f"Write --input_file={sample_records} instead")


def test_a_folder_that_cannot_be_made_is_refused(pretrain, file):
    path = file("file", "")

    assert_refused(pretrain(output_dir=path), f"Cannot make the folder {path}")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_refused(pretrain, tmp_path):
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o555)

    assert_refused(pretrain(output_dir=folder), f"{folder} is not writable")


def test_warmup_longer_than_the_run_is_said(pretrain):
    assert "never reaches 5e-05" in pretrain(num_warmup_steps=12).stderr


def test_tpu_flags_without_effect_are_said(pretrain):
    assert "--num_tpu_cores is about TPUs and has no effect" in pretrain(num_tpu_cores=8).stderr


GOES_ON = "not before the flags are checked"


def test_a_whole_set_of_shards_goes_on(pretrain, sample_records, tmp_path):
    make_set(sample_records, tmp_path, 3)

    completed = pretrain(input_file=f"{tmp_path}/train*")

    assert GOES_ON in completed.stderr
    assert "are not there" not in completed.stderr


def test_a_shard_that_was_never_made_is_refused(pretrain, sample_records, tmp_path):
    shards = make_set(sample_records, tmp_path, 3)
    shards[1].unlink()
    (tmp_path / "train.tf.json").unlink()

    assert_refused(pretrain(input_file=f"{tmp_path}/train*"), str(shards[1]), "are not there")
    assert not (tmp_path / "out").exists()


def test_a_shard_that_was_taken_away_is_said(pretrain, sample_records, tmp_path):
    shards = make_set(sample_records, tmp_path, 3)
    shards[1].unlink()

    completed = pretrain(input_file=f"{tmp_path}/train*")

    assert GOES_ON in completed.stderr
    assert f"1 are not there: {shards[1]}" in completed.stderr


def test_shards_that_are_not_named_are_not_missed(pretrain, sample_records, tmp_path):
    shards = make_set(sample_records, tmp_path, 3)

    completed = pretrain(input_file=f"{shards[0]},{shards[1]}", eval_input_file=shards[2])

    assert GOES_ON in completed.stderr
    assert "are not there" not in completed.stderr


def test_shards_of_two_runs_are_refused(pretrain, sample_records, tmp_path):
    make_set(sample_records, tmp_path, 3)
    make_set(sample_records, tmp_path, 2)

    assert_refused(pretrain(input_file=f"{tmp_path}/train*"), "of a set of 3 shards", "-*-of-00002")


@pytest.mark.parametrize(
    ("name", "value", "parts"),
    [
        ("max_seq_length", 64, ["--max_seq_length=64, but --max_seq_length is 128"]),
        ("max_predictions_per_seq", 9, ["--max_predictions_per_seq=9"]),
        ("dynamic_masking", True, ["was made with --dynamic_masking"]),
    ],
)
def test_what_stands_beside_any_file_must_fit(
    pretrain, sample_records, tmp_path, name, value, parts
):
    """Also beside those into which nobody looks before all are read."""
    names = [tmp_path / f"{number:02d}.tf" for number in range(10)]
    for path in names:
        path.write_bytes(sample_records.read_bytes())
    info = json.loads(pathlib.Path(f"{sample_records}.json").read_text())
    write_info(names[-1], info | {name: value})

    assert_refused(pretrain(input_file=f"{tmp_path}/*.tf"), f"{names[-1]}.json", *parts)
