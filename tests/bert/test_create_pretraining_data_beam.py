"""create_pretraining_data_beam.py: the shards of create_pretraining_data.py, by jobs on Beam."""

import dataclasses
import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from deeq_bert.bert import record_shards
from deeq_bert.bert.record_making import RecordSettings, SequenceLength
from deeq_bert.tokenizers.base import TokenizerSettings
from deeq_bert.tokenizers.errors import InputError

SCRIPT = "bert/create_pretraining_data_beam.py"
BY_PROCESSES = "bert/create_pretraining_data.py"
SHARDS = [f"train.tf-0000{number}-of-00003" for number in range(3)]
TWO_PROCESSES = ("--", "--direct_running_mode=multi_processing", "--direct_num_workers=2")

needs_beam = pytest.mark.skipif(
    importlib.util.find_spec("apache_beam") is None,
    reason='Apache Beam is not installed: pip install "deeq-bert[beam]"',
)


@pytest.fixture(scope="session")
def run_in(run_script, repository):
    """A function that runs one of the scripts on the sample, with paths that are relative."""

    def run(
        folder: pathlib.Path, script: str, *words: str, environment=None, **changes
    ) -> subprocess.CompletedProcess:
        for name in ("sample.txt", "vocab.txt"):
            if not (folder / name).exists():
                shutil.copy2(repository / "tests" / "data" / "own" / name, folder)
        flags = {
            "input_file": "sample.txt",
            "vocab_file": "vocab.txt",
            "do_lower_case": False,
            "num_shards": 3,
            "output_file": "out/train.tf",
            **changes,
        }
        given = [f"--{name}={value}" for name, value in flags.items()]
        return run_script(script, *given, *words, cwd=folder, env=environment)

    return run


@pytest.fixture(scope="module")
def made(run_in, tmp_path_factory):
    """A folder with the records of both scripts, and what the one with Beam said."""
    folder = tmp_path_factory.mktemp("made")
    assert_made(run_in(folder, BY_PROCESSES, output_file="processes/train.tf"))
    completed = run_in(folder, SCRIPT, output_file="beam/train.tf")
    assert_made(completed)
    return folder, completed.stderr


@pytest.fixture
def text(tmp_path) -> pathlib.Path:
    """Forty documents in a file."""
    path = tmp_path / "text.txt"
    path.write_text("비가 오다가 그쳤다.\n책을 읽었다.\n\n" * 40, encoding="utf-8")
    return path


@pytest.fixture
def planned(own, text, tmp_path):
    """A run of three shards over the text, and their plans."""
    settings = RecordSettings(
        tokenizer=TokenizerSettings("wordpiece", str(own / "vocab.txt"), False),
        contract={},
        lengths=(SequenceLength(32, 5),),
        mask_unit="token",
        masked_lm_prob=0.15,
        short_seq_prob=0.1,
        dupe_factor=1,
        random_seed=1,
    )
    shards = record_shards.plan_shards([str(text)], settings, 3, None, False)
    run = record_shards.shard_run([str(text)], settings, str(tmp_path / "train.tf"), 3)
    return run, shards


def assert_made(completed: subprocess.CompletedProcess) -> None:
    assert completed.returncode == 0, completed.stderr


def assert_refused(completed: subprocess.CompletedProcess, message: str) -> None:
    """The error is one line with the message; nothing else went wrong."""
    assert completed.returncode == 1, completed.stderr
    errors = [line for line in completed.stderr.splitlines() if line.startswith("ERROR: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in completed.stderr


def contents(folder: pathlib.Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# The same as by processes


@needs_beam
def test_shards_and_what_stands_beside_them_are_those_of_processes(made):
    folder, _ = made
    by_beam = contents(folder / "beam")
    beside = [f"{name}.json" for name in [*SHARDS, "train.tf"]]
    assert sorted(by_beam) == sorted([*SHARDS, *beside])
    assert by_beam == contents(folder / "processes")


@needs_beam
def test_beam_counts_what_stands_beside_the_set(made):
    folder, log = made
    (line,) = re.findall(r"Counted by Beam's DirectRunner: (.*)\.", log)
    counted = {name: int(number) for name, number in map(str.split, line.split(", "))}
    info = json.loads((folder / "beam" / "train.tf.json").read_text())
    assert counted.pop("shards") == 3
    assert counted == {name: info[name] for name in counted}
    assert {"records", "documents", "sentences", "tokens", "unknown_tokens"} < set(counted)
    assert {"predictions", "random_next", "bytes"} < set(counted)


@needs_beam
def test_the_summary_is_that_of_the_other_script(made):
    folder, log = made
    info = json.loads((folder / "beam" / "train.tf.json").read_text())
    assert f"Wrote {info['records']} total instances to {folder}/beam/train.tf-*" in log


@needs_beam
def test_records_of_several_lengths(run_in, tmp_path):
    flags = {"max_seq_length": "32,64", "max_predictions_per_seq": "5,10", "dupe_factor": 2}
    for name, script in (("processes", BY_PROCESSES), ("beam", SCRIPT)):
        output = f"{name}/train-{{length}}.tf"
        assert_made(run_in(tmp_path, script, output_file=output, **flags))
    by_beam = contents(tmp_path / "beam")
    assert {"train-32.tf.json", "train-64.tf-00002-of-00003"} < set(by_beam)
    assert by_beam == contents(tmp_path / "processes")


@pytest.mark.slow
@needs_beam
def test_the_number_of_workers_decides_nothing(made, run_in):
    folder, _ = made
    assert_made(run_in(folder, SCRIPT, *TWO_PROCESSES, output_file="two/train.tf"))
    assert contents(folder / "two") == contents(folder / "beam")


@pytest.mark.slow
@needs_beam
def test_records_of_morphemes(run_in, run_script, own, tmp_path):
    pytest.importorskip("kiwipiepy", reason="needs pip install -e '.[deeq]'")
    completed = run_script(
        "tokenizers/build_vocab.py",
        "--tokenizer=deeq",
        f"--input_file={own / 'sample.txt'}",
        "--output_file=morphemes/vocab.txt",
        "--vocab_size=600",
        "--min_char_frequency=1",
        cwd=tmp_path,
    )
    assert_made(completed)
    flags = {"tokenizer": "deeq", "vocab_file": "morphemes/vocab.txt", "mask_unit": "morpheme"}
    flags["max_seq_length"] = 64
    for name, script in (("processes", BY_PROCESSES), ("beam", SCRIPT)):
        assert_made(run_in(tmp_path, script, output_file=f"{name}/train.tf", **flags))
    assert contents(tmp_path / "beam") == contents(tmp_path / "processes")


# Going on


@needs_beam
def test_only_what_is_missing_is_made(made, run_in):
    folder, _ = made
    shutil.copytree(folder / "processes", folder / "begun")
    for name in ("train.tf.json", f"{SHARDS[1]}.json"):
        os.remove(folder / "begun" / name)
    before = {name: os.stat(folder / "begun" / name).st_mtime_ns for name in SHARDS}
    completed = run_in(folder, SCRIPT, output_file="begun/train.tf")
    assert_made(completed)
    assert "2 of them are done already" in completed.stderr
    assert "shards 1," in completed.stderr
    after = {name: os.stat(folder / "begun" / name).st_mtime_ns for name in SHARDS}
    assert [name for name in SHARDS if after[name] != before[name]] == [SHARDS[1]]
    assert contents(folder / "begun") == contents(folder / "beam")


@needs_beam
def test_where_all_is_done_no_job_is_started(made, run_in):
    folder, _ = made
    completed = run_in(folder, SCRIPT, output_file="beam/train.tf")
    assert_made(completed)
    assert "Making records on Beam" not in completed.stderr


@needs_beam
def test_shards_of_another_run_stay_unless_told(made, run_in):
    folder, _ = made
    shutil.copytree(folder / "beam", folder / "other")
    flags = {"output_file": "other/train.tf", "random_seed": 2}
    assert_refused(run_in(folder, SCRIPT, **flags), "give --overwrite")
    assert contents(folder / "other") == contents(folder / "beam")
    assert_made(run_in(folder, SCRIPT, overwrite=True, **flags))


@needs_beam
def test_a_shard_that_a_runner_tries_again_is_made_once(planned, tmp_path):
    from deeq_bert.bert.beam_records import MakeShard

    run, shards = planned
    step = MakeShard(run, str(tmp_path))
    step.setup()
    step.process(shards[0])
    before = os.stat(run.outputs[0].shard_path(shards[0])).st_ino
    step.process(shards[0])
    step.teardown()
    assert os.stat(run.outputs[0].shard_path(shards[0])).st_ino == before


# Errors


@pytest.fixture
def direct_jobs():
    from deeq_bert.tokenizers.beam_jobs import Jobs

    return Jobs("DirectRunner", [])


@needs_beam
def test_an_error_in_a_worker_is_told_as_it_is(run_in, tmp_path):
    # Behind what is read to try the text before the work.
    lines = ["비가 왔다.", "책을 읽었다.", ""] * 10_000
    content = "\n".join(lines).encode() + "한글\n".encode("cp949")
    (tmp_path / "long.txt").write_bytes(content)
    completed = run_in(tmp_path, SCRIPT, input_file="long.txt")
    assert_refused(completed, f"{tmp_path}/long.txt, the line at byte offset")
    assert not [name for name in os.listdir(tmp_path / "out") if not name.startswith("train.tf-")]


@needs_beam
def test_a_vocabulary_that_workers_do_not_see(planned, direct_jobs, tmp_path):
    from deeq_bert.bert import beam_records

    run, shards = planned
    vocabulary = tmp_path / "vocab.txt"
    tokenizer = TokenizerSettings("wordpiece", str(vocabulary), False)
    settings = dataclasses.replace(run.settings, tokenizer=tokenizer)
    run = dataclasses.replace(run, settings=settings)
    with pytest.raises(InputError, match=re.escape(str(vocabulary))):
        beam_records.make_shards(direct_jobs, run, shards)


@needs_beam
def test_text_that_changes_meanwhile(planned, direct_jobs, text):
    from deeq_bert.bert import beam_records

    run, shards = planned
    text.write_text("짧다.\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"text\.txt has changed since the run began"):
        beam_records.make_shards(direct_jobs, run, shards)


class ElsewhereJobs:
    """Stands for a runner whose workers write to their own disks."""

    runner = "FlinkRunner"
    counters: dict[str, int] = {}

    def run(self, name, build, folder) -> None:
        """Does nothing that this machine sees."""


@needs_beam
def test_workers_that_write_where_nobody_sees_it(planned, monkeypatch):
    from deeq_bert.bert import beam_records

    monkeypatch.setattr(beam_records, "_WAIT_SECONDS", 0.0)
    with pytest.raises(InputError, match="train.tf-00000-of-00003 is not there, though.*same path"):
        beam_records.make_shards(ElsewhereJobs(), *planned)


def test_without_beam_the_error_says_how_to_install_it(run_in, tmp_path):
    # Shadows one that is installed.
    (tmp_path / "hidden" / "apache_beam").mkdir(parents=True)
    (tmp_path / "hidden" / "apache_beam" / "__init__.py").write_text(
        'raise ModuleNotFoundError("No module named apache_beam", name="apache_beam")\n'
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "hidden")}
    completed = run_in(tmp_path, SCRIPT, environment=environment)
    assert_refused(completed, 'pip install "deeq-bert[beam]"')
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"num_shards": 0}, "--num_shards=0: must be 1 or more"),
        ({"num_workers": 8}, "stands after --"),
        ({"input_file": "gs://bucket/*.txt"}, "--input_file=gs://bucket/*.txt: gs:// is not read"),
        ({"vocab_file": "hdfs://host/vocab.txt"}, "hdfs:// is not read"),
        ({"output_file": "s3://bucket/train.tf"}, "s3:// is not read or written. Mount"),
        ({"output_file": "a.tf,b.tf"}, "Give one name"),
        ({"dupe_factor": 0}, "--dupe_factor=0"),
    ],
)
def test_a_flag_that_cannot_be_is_refused(run_in, tmp_path, flags, message):
    assert_refused(run_in(tmp_path, SCRIPT, **flags), message)


def test_without_shards_there_is_nothing_to_divide_the_work_by(run_script, own):
    completed = run_script(
        SCRIPT, "--input_file=a.txt", f"--vocab_file={own / 'vocab.txt'}", "--output_file=b.tf"
    )
    assert_refused(completed, "--num_shards is missing")


@needs_beam
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--runner=WalkingRunner"], "--runner=WalkingRunner"),
        (["--", "--direct_num_workers=two"], "--direct_num_workers"),
    ],
)
def test_what_beam_does_not_know_is_refused_before_any_work(run_in, tmp_path, words, message):
    assert_refused(run_in(tmp_path, SCRIPT, *words), message)
    assert not (tmp_path / "out").exists()


def test_help_does_not_wait_for_beam(repository):
    script = repository / SCRIPT
    completed = subprocess.run(
        [sys.executable, "-X", "importtime", script, "--help"], capture_output=True, text=True
    )
    assert completed.returncode == 0
    assert {"--runner", "--num_shards", "--vocab_file"} <= set(
        re.findall(r"--(?:\[no\])?\w+", completed.stdout)
    )
    assert "apache_beam" not in completed.stderr
