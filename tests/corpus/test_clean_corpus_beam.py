"""clean_corpus_beam.py as a user runs it: what clean_corpus.py makes, made by jobs on Beam."""

import importlib.util
import json
import os
import pathlib
import re
import subprocess

import pytest

from deeq_bert.corpus import pipeline
from deeq_bert.corpus.outputs import OutputName
from deeq_bert.corpus.run_settings import RunSettings
from deeq_bert.corpus.sources import make_source
from deeq_bert.tokenizers.errors import InputError

SCRIPT = "corpus/clean_corpus_beam.py"
FOG = "아침부터 안개가 짙게 끼어 앞이 보이지 않았다."
SUN = "점심 무렵이 되자 햇볕이 들면서 안개가 걷혔다."
BOOKS = ("--input_file=a.txt", "--source=books", "--output_file=out/train.txt")

needs_beam = pytest.mark.skipif(
    importlib.util.find_spec("apache_beam") is None,
    reason='Apache Beam is not installed: pip install "deeq-bert[beam]"',
)


@pytest.fixture
def clean(run_script, tmp_path):
    """A function that runs the script in a folder with the text a.txt."""
    (tmp_path / "a.txt").write_text(f"{FOG}\n\n{SUN}\n", encoding="utf-8")

    def run(*flags: str, script: str = SCRIPT, **keywords) -> subprocess.CompletedProcess:
        return run_script(script, *flags, cwd=tmp_path, **keywords)

    return run


def assert_refused(completed: subprocess.CompletedProcess, message: str) -> None:
    """The error is one line with the message; nothing else went wrong."""
    assert completed.returncode == 1, completed.stderr
    errors = [line for line in completed.stderr.splitlines() if line.startswith("ERROR: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in completed.stderr


def texts(folder: pathlib.Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def report_of(folder: pathlib.Path) -> dict:
    return json.loads((folder / "train-report/report.json").read_text(encoding="utf-8"))


def without_times(report: dict, folder: str) -> dict:
    """A report without what differs between two runs of one plan, or between their folders."""
    text = json.dumps({**report, "beam": None})
    varying = r'"((?:cpu_)?seconds|mb_per\w*second|num_workers)": [^,}]*'
    text = re.sub(varying, r'"\1": 0', text)
    return json.loads(text.replace(f"{folder}/", ""))


def settings_for(output: pathlib.Path, **changes) -> RunSettings:
    name = OutputName(str(output))
    values = {
        "output_file": str(output),
        "heldout_file": name.heldout_path,
        "report_dir": f"{name.stem}-report",
        "heldout_fraction": 0.0,
        "near_dedup": None,
        "repeated_lines": 20,
        "repeated_line_documents": 10,
        "decontaminate": (),
        "errors": "strict",
        "strict": False,
        "num_samples": 5,
        "shard_mb": 1.0,
        "seed": 12345,
        "dedup_memory_mb": 256,
        "num_workers": 1,
        "restart": False,
        "overwrite": False,
        **changes,
    }
    return RunSettings(**values)


# The same as from processes


@pytest.fixture(scope="module")
def sample_runs(run_script, repository, tmp_path_factory):
    """A folder with the cleaned sample twice: in `processes`, and in `beam`."""
    folder = tmp_path_factory.mktemp("sample")
    flags = (
        f"--manifest_file={repository}/corpus/sample/raw/sources.json",
        f"--decontaminate={repository}/corpus/sample/tasks/nsmc/ratings_test.txt",
        "--heldout_fraction=0.1",
        "--repeated_lines=2",
        "--repeated_line_documents=2",
        "--shard_mb=0.005",
    )
    for script, name in (("corpus/clean_corpus.py", "processes"), (SCRIPT, "beam")):
        output = f"--output_file={name}/train-@####.txt"
        completed = run_script(script, *flags, output, cwd=folder)
        assert completed.returncode == 0, completed.stderr
    return folder


@needs_beam
def test_the_sample_becomes_the_same_files(sample_runs):
    made = texts(sample_runs / "beam")
    assert {"heldout-train.txt", "train-0001.txt", "train-0002.txt"} <= set(made)
    assert made == texts(sample_runs / "processes")


@needs_beam
def test_nothing_but_text_and_report_is_left(sample_runs):
    assert sorted(os.listdir(sample_runs / "beam")) == sorted(os.listdir(sample_runs / "processes"))


@needs_beam
def test_the_report_is_the_same(sample_runs):
    ours = without_times(report_of(sample_runs / "beam"), "beam")
    assert ours == without_times(report_of(sample_runs / "processes"), "processes")


@needs_beam
def test_beam_counts_what_the_report_says(sample_runs):
    report = report_of(sample_runs / "beam")
    counters = report["beam"]["counters"]
    assert report["beam"]["runner"] == "DirectRunner"
    for name in ("documents_in", "lines_in", "documents_out", "lines_out", "heldout_lines"):
        assert counters[name] == report["total"][name]
    removed = {rule["name"]: rule["lines_removed"] for rule in report["total"]["rules"]}
    assert removed["short_lines"] == counters["short_lines.removed_lines"]
    assert counters["duplicate_documents"]


@pytest.mark.slow
@needs_beam
def test_the_number_of_workers_decides_nothing(sample_runs, run_script, repository):
    completed = run_script(
        SCRIPT,
        f"--manifest_file={repository}/corpus/sample/raw/sources.json",
        f"--decontaminate={repository}/corpus/sample/tasks/nsmc/ratings_test.txt",
        "--heldout_fraction=0.1",
        "--repeated_lines=2",
        "--repeated_line_documents=2",
        "--shard_mb=0.005",
        "--output_file=two/train-@####.txt",
        "--",
        "--direct_running_mode=multi_processing",
        "--direct_num_workers=2",
        cwd=sample_runs,
    )
    assert completed.returncode == 0, completed.stderr
    assert texts(sample_runs / "two") == texts(sample_runs / "beam")


@needs_beam
def test_real_comments_become_the_same_files_over_many_ranges(real_corpus, tmp_path, monkeypatch):
    from deeq_bert.corpus import beam_pipeline
    from deeq_bert.tokenizers import beam_jobs

    pattern = str(real_corpus / "comments" / "kocohub_unlabeled_txt" / "unlabeled" / "*.txt")
    monkeypatch.setattr(beam_pipeline, "_BYTES_OF_A_RANGE", 1 << 19)
    sources = [make_source(pattern, source="comments", weight=1.5)]
    made = []
    for name in ("processes", "beam"):
        settings = settings_for(tmp_path / name / "train-@####.txt", heldout_fraction=0.02)
        if name == "beam":
            jobs = beam_jobs.Jobs("DirectRunner", [])
            report = beam_pipeline.clean_corpus(sources, settings, jobs)
        else:
            report = pipeline.clean_corpus(sources, settings)
        assert report["repeated_lines"]
        made.append((texts(tmp_path / name), without_times(report, f"{tmp_path}/{name}")))
    assert made[0] == made[1]


# What is there already, and what is not


@pytest.fixture
def clean_on_beam(tmp_path, monkeypatch):
    """A function that cleans text in this process, into out/train.txt."""
    monkeypatch.chdir(tmp_path)

    def run(content: str, name: str = "a.txt", source: str = "books", **changes) -> dict:
        from deeq_bert.corpus import beam_pipeline
        from deeq_bert.tokenizers import beam_jobs

        if not os.path.exists(name):
            pathlib.Path(name).write_text(content, encoding="utf-8")
        jobs = beam_jobs.Jobs("DirectRunner", [])
        settings = settings_for(pathlib.Path("out/train.txt"), **changes)
        return beam_pipeline.clean_corpus([make_source(name, source=source)], settings, jobs)

    return run


@needs_beam
def test_a_broken_record_is_an_error_if_wanted_and_then_the_run_goes_on_without_it(clean_on_beam):
    records = f'{{"text": "{FOG}"}}\n{{"text": \n'
    with pytest.raises(InputError, match=r"a\.jsonl.*Mend the record"):
        clean_on_beam(records, "a.jsonl", "web", strict=True)
    assert not os.path.exists("out/train.txt")
    report = clean_on_beam(records, "a.jsonl", "web")
    assert report["total"]["broken_records"] == 1
    assert report["beam"]["counters"]["broken_records"] == 1
    assert pathlib.Path("out/train.txt").read_text("utf-8") == f"{FOG}\n"


@needs_beam
def test_where_nothing_is_left_an_earlier_file_stays(clean_on_beam):
    clean_on_beam(f"{FOG}\n")
    pathlib.Path("a.txt").write_text("안개\n", encoding="utf-8")
    with pytest.raises(InputError, match="No line of the text is left"):
        clean_on_beam("", overwrite=True)
    assert pathlib.Path("out/train.txt").read_text("utf-8") == f"{FOG}\n"


@needs_beam
def test_another_run_does_not_replace_what_is_there_unless_told_to(clean_on_beam):
    clean_on_beam(f"{FOG}\n\n{SUN}\n")
    with pytest.raises(InputError, match=r"out/train\.txt is there already"):
        clean_on_beam("", seed=2)
    assert sorted(os.listdir("out")) == ["train-report", "train.txt"]
    assert clean_on_beam("", seed=2, overwrite=True)["total"]["documents_out"] == 2


@needs_beam
def test_what_clean_corpus_did_is_not_done_again(clean_on_beam):
    clean_on_beam(f"{FOG}\n")
    source = make_source("a.txt", source="books")
    report = pipeline.clean_corpus([source], settings_for(pathlib.Path("out/train.txt")))
    assert report["beam"]["runner"] == "DirectRunner"


@needs_beam
def test_a_run_of_clean_corpus_that_stopped_goes_on_on_beam(clean_on_beam):
    records = f'{{"text": "{FOG}"}}\n{{"text": \n'
    pathlib.Path("a.jsonl").write_text(records, encoding="utf-8")
    source = make_source("a.jsonl", source="web")
    with pytest.raises(InputError):
        pipeline.clean_corpus([source], settings_for(pathlib.Path("out/train.txt"), strict=True))
    assert clean_on_beam("", "a.jsonl", "web")["total"]["documents_out"] == 1


# What cannot be


def test_without_beam_the_error_says_how_to_install_it(clean, tmp_path):
    # Shadows one that is installed.
    (tmp_path / "hidden" / "apache_beam").mkdir(parents=True)
    (tmp_path / "hidden" / "apache_beam" / "__init__.py").write_text(
        'raise ModuleNotFoundError("No module named apache_beam", name="apache_beam")\n'
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "hidden")}
    assert_refused(clean(*BOOKS, env=environment), 'pip install "deeq-bert[beam]"')


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--near_dedup=0.8", "clean_corpus.py only"),
        ("--num_workers=8", "stands after --"),
        ("--dry_run", "try the rules with clean_corpus.py"),
        ("--output_file=", "--output_file is missing"),
        ("--repeated_lines=1", "--repeated_lines is 1"),
    ],
)
def test_a_flag_that_cannot_be_is_refused(clean, flag, message):
    assert_refused(clean(*BOOKS, flag), message)


@needs_beam
def test_a_runner_that_beam_does_not_know_is_refused(clean):
    assert_refused(clean(*BOOKS, "--runner=WalkingRunner"), "--runner=WalkingRunner")


@needs_beam
def test_an_option_of_beam_with_a_value_it_cannot_have_is_refused(clean):
    assert_refused(clean(*BOOKS, "--", "--direct_num_workers=two"), "--direct_num_workers")


@needs_beam
def test_a_runner_that_cannot_do_the_job_is_an_error(clean, tmp_path):
    # Nobody listens there.
    options = (
        "--job_endpoint=localhost:9",
        "--environment_type=LOOPBACK",
        "--job_server_timeout=1",
    )
    completed = clean(*BOOKS, "--runner=PortableRunner", "--", *options)
    assert_refused(completed, "Cleaning failed on Beam's PortableRunner")
    assert not (tmp_path / "out/train.txt").exists()
