"""inspect_records.py as a user runs it."""

import json
import pathlib
import shutil
import subprocess
import sys

import pytest
from record_shards import make_set

from deeq_bert.bert.records import read_records

SCRIPT = "bert/inspect_records.py"


@pytest.fixture
def inspect(run_script):
    def run(*flags: object) -> subprocess.CompletedProcess:
        return run_script(SCRIPT, *flags)

    return run


@pytest.fixture
def shards(sample_records, tmp_path) -> list[pathlib.Path]:
    """The sample in three shards, with what is known of them."""
    return make_set(sample_records, tmp_path, 3)


@pytest.fixture
def damaged(sample_records, tmp_path) -> pathlib.Path:
    """The sample with its last record damaged."""
    path = tmp_path / "damaged.tf"
    content = bytearray(sample_records.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    shutil.copy(f"{sample_records}.json", f"{path}.json")
    return path


def test_a_set_is_shown_checked_and_summed_up(inspect, shards, tmp_path, sample_records):
    completed = inspect(f"--input_file={tmp_path}/train*", "--num_workers=2")

    assert completed.returncode == 0, completed.stderr
    output = completed.stdout
    assert output.count(", record ") == 3
    assert "[CLS] " in output and "[MASK→" in output
    assert "B follows A" in output or "B is from a random place" in output
    count = len(list(read_records(str(sample_records))))
    assert f"{tmp_path}/train.tf-*-of-00003      3      {count}" in output
    assert "they show    [MASK] 8" in output
    assert "made with    num_shards 3, short_seq_prob 0.1, dupe_factor 10" in output
    assert "lengths\n" in output and "121 to  128" in output
    # No colours in a pipe.
    assert "\033" not in output


def test_json_has_the_summary_alone(inspect, shards, tmp_path, sample_records):
    completed = inspect(f"--input_file={tmp_path}/train*", "--json")

    assert completed.returncode == 0, completed.stderr
    summary = json.loads(completed.stdout)
    assert summary["records"] == len(list(read_records(str(sample_records))))
    assert (summary["files"], summary["problems"]) == (3, [])
    assert 0.7 < summary["mask_shares"]["[MASK]"] < 0.9
    assert sum(summary["mask_shares"].values()) == pytest.approx(1)
    assert sum(summary["length_counts"]) == summary["records"]
    assert summary["tokenizer"]["tokenizer"] == "wordpiece"
    assert (summary["random_seed"], summary["max_seq_length"]) == (12345, 128)


def test_the_result_does_not_depend_on_the_workers(inspect, shards, tmp_path):
    one, three = (
        inspect(f"--input_file={tmp_path}/train*", f"--num_workers={number}").stdout
        for number in (1, 3)
    )
    assert one == three


def test_a_damaged_record_is_told_and_the_exit_code_says_so(inspect, damaged, sample_records):
    completed = inspect(f"--input_file={damaged}", "--num_examples=1")

    count = len(list(read_records(str(sample_records))))
    assert completed.returncode == 1
    assert f"{damaged}, record {count}: the checksum of its data does not fit." in completed.stdout
    assert completed.stderr.count("ERROR: Something is wrong with --input_file=") == 1
    assert "Traceback" not in completed.stderr


def test_a_missing_shard_is_told(inspect, shards, tmp_path):
    shards[1].unlink()
    completed = inspect(f"--input_file={tmp_path}/train*", "--json")
    assert completed.returncode == 1
    (problem,) = json.loads(completed.stdout)["problems"]
    assert str(shards[1]) in problem


def test_what_a_stopped_run_left_is_told_and_is_no_problem(inspect, shards, tmp_path):
    left = tmp_path / ".train.tf-00001-of-00003.host-1.tmp"
    left.write_text("")
    completed = inspect(f"--input_file={tmp_path}/train*", "--num_examples=0")
    assert completed.returncode == 0
    assert f"{left} was left behind" in completed.stdout


def test_a_record_can_be_asked_for(inspect, sample_records):
    completed = inspect(f"--input_file={sample_records}", "--record=17", "--check=False")
    assert completed.returncode == 0, completed.stderr
    assert completed.stdout.count(", record ") == 1
    assert f"{sample_records}, record 17:" in completed.stdout
    assert "mean length" not in completed.stdout


def test_a_record_that_is_not_there_is_refused(inspect, sample_records):
    completed = inspect(f"--input_file={sample_records}", "--record=100000", "--check=False")
    assert completed.returncode == 1
    assert "ERROR: --record=100000" in completed.stderr


def test_the_first_records_are_shown_over_the_files(inspect, shards):
    files = ",".join(map(str, shards))
    completed = inspect(f"--input_file={files}", "--first", "--num_examples=2", "--check=False")
    assert f"{shards[0]}, record 1:" in completed.stdout
    assert f"{shards[0]}, record 2:" in completed.stdout


def test_without_a_vocabulary_ids_are_shown_and_that_is_said(inspect, sample_records, tmp_path):
    path = tmp_path / "copy.tf"
    path.write_bytes(sample_records.read_bytes())

    completed = inspect(f"--input_file={path}", "--num_examples=1")

    assert completed.returncode == 0, completed.stderr
    assert "shown as ids" in completed.stderr and "--vocab_file" in completed.stderr
    assert "[CLS] " not in completed.stdout
    assert "they show" not in completed.stdout


def test_a_vocabulary_may_be_given(inspect, sample_records, own, tmp_path):
    path = tmp_path / "copy.tf"
    path.write_bytes(sample_records.read_bytes())
    completed = inspect(
        f"--input_file={path}", "--num_examples=1", f"--vocab_file={own / 'vocab.txt'}"
    )
    assert completed.returncode == 0, completed.stderr
    assert "[CLS] " in completed.stdout


def test_another_vocabulary_is_told(inspect, sample_records, own, tmp_path):
    other = tmp_path / "vocab.txt"
    other.write_text((own / "vocab.txt").read_text(encoding="utf-8") + "more\n", encoding="utf-8")
    completed = inspect(f"--input_file={sample_records}", f"--vocab_file={other}", "--json")
    assert completed.returncode == 1
    (problem,) = json.loads(completed.stdout)["problems"]
    assert "is not the vocabulary the records were made with" in problem


@pytest.mark.parametrize(
    ("flags", "part"),
    [
        (["--input_file=nosuch*"], "No file matches --input_file=nosuch*"),
        (["--input_file=/dev/null"], "/dev/null is not a regular file"),
        (["--vocab_file=nosuch"], "nosuch"),
    ],
)
def test_flags_that_cannot_be_used_are_refused(inspect, sample_records, flags, part):
    completed = inspect(f"--input_file={sample_records}", *flags)
    assert completed.returncode == 1
    (message,) = [line for line in completed.stderr.splitlines() if line.startswith("ERROR: ")]
    assert part in message
    assert "Traceback" not in completed.stderr


def test_what_reads_the_output_may_have_enough(sample_records, repository):
    command = [sys.executable, str(repository / SCRIPT), f"--input_file={sample_records}"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()
