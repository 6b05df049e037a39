"""clean_corpus.py as a user runs it: flags, messages, exit codes, kills, and the same output."""

import bz2
import gzip
import json
import lzma
import os
import pathlib
import random
import resource
import signal
import subprocess
import sys
import time

import pytest

SCRIPT = "corpus/clean_corpus.py"
FOG = "아침부터 안개가 짙게 끼어 앞이 보이지 않았다."
FORECAST = "기상청은 오후부터 기온이 오르겠다고 예보했다."
SUN = "점심 무렵이 되자 햇볕이 들면서 안개가 걷혔다."
NOTICE = "오늘도 찾아 주신 모든 분께 깊이 감사드리는 마음을 전합니다."
NUM_DOCUMENTS = 16_000


@pytest.fixture
def clean(run_script, tmp_path):
    """A function that runs the script in a folder with the text a.txt."""
    (tmp_path / "a.txt").write_text(f"{FOG}\n{FORECAST}\n\n{SUN}\n", encoding="utf-8")

    def run(*flags: str, **keywords) -> subprocess.CompletedProcess:
        return run_script(SCRIPT, *flags, cwd=tmp_path, **keywords)

    return run


BOOKS = ("--input_file=a.txt", "--source=books", "--output_file=out/train.txt")


def report_of(folder: pathlib.Path) -> dict:
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def assert_balanced(report: dict) -> None:
    for source in report["sources"].values():
        assert source["balance"]["documents"]["difference"] == 0
        assert source["balance"]["sentences"]["difference"] == 0


def assert_is_corpus(path: pathlib.Path) -> None:
    """One sentence a line, one blank line between documents, and nothing else."""
    content = path.read_bytes().decode("utf-8")
    assert content.endswith("\n") and not content.endswith("\n\n")
    assert not content.startswith("\n") and "\n\n\n" not in content
    lines = content.removesuffix("\n").split("\n")
    assert all(line == line.strip() and len(line.splitlines()) <= 1 for line in lines)


def assert_refused(completed: subprocess.CompletedProcess, message: str) -> None:
    """The error is one line with the message; nothing else went wrong."""
    assert completed.returncode == 1, completed.stderr
    errors = [line for line in completed.stderr.splitlines() if line.startswith("ERROR: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in completed.stderr


# The script as such


def test_text_comes_out_one_sentence_a_line(clean, tmp_path):
    completed = clean(*BOOKS)
    assert completed.returncode == 0, completed.stderr
    assert (tmp_path / "out/train.txt").read_text("utf-8") == f"{FOG}\n{FORECAST}\n\n{SUN}\n"
    assert sorted(os.listdir(tmp_path / "out")) == ["train-report", "train.txt"]
    names = ["report.html", "report.json", "report.md"]
    assert sorted(os.listdir(tmp_path / "out/train-report")) == names
    assert "books" in completed.stderr


def test_a_finished_run_does_nothing_when_run_again(clean, tmp_path):
    clean(*BOOKS)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    completed = clean(*BOOKS)
    assert completed.returncode == 0
    assert "done already" in completed.stderr
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}


def test_other_flags_do_not_replace_what_is_there_unless_told_to(clean, tmp_path):
    clean(*BOOKS)
    assert_refused(clean(*BOOKS, "--seed=2"), "out/train.txt is there already")
    assert sorted(os.listdir(tmp_path / "out")) == ["train-report", "train.txt"]
    completed = clean(*BOOKS, "--set=short_lines.words=6", "--overwrite")
    assert completed.returncode == 0, completed.stderr
    assert (tmp_path / "out/train.txt").read_text("utf-8") == f"{FOG}\n\n{SUN}\n"


def test_the_sample_manifest_goes_through(clean, repository, tmp_path):
    completed = clean(
        f"--manifest_file={repository}/corpus/sample/raw/sources.json",
        "--output_file=train-@##.txt",
        "--heldout_fraction=0.1",
    )
    assert completed.returncode == 0, completed.stderr
    report = report_of(tmp_path / "train-report")
    assert list(report["sources"]) == ["news", "comments", "encyclopedia", "books"]
    assert all(source["lines_out"] for source in report["sources"].values())
    assert_balanced(report)
    assert_is_corpus(tmp_path / "train-01.txt")
    assert_is_corpus(tmp_path / "heldout-train.txt")


@pytest.mark.parametrize(
    "name, compress",
    [("a.txt.gz", gzip.compress), ("a.txt.bz2", bz2.compress), ("a.txt.xz", lzma.compress)],
)
def test_compressed_files_give_the_same(clean, tmp_path, name, compress):
    (tmp_path / name).write_bytes(compress((tmp_path / "a.txt").read_bytes()))
    completed = clean(f"--input_file={name}", *BOOKS[1:])
    assert completed.returncode == 0, completed.stderr
    assert (tmp_path / "out/train.txt").read_text("utf-8") == f"{FOG}\n{FORECAST}\n\n{SUN}\n"


@pytest.mark.parametrize("encoding, name", [("cp949", "cp949"), ("utf-16", "utf-16-le")])
def test_other_encodings_are_found_and_said(clean, tmp_path, encoding, name):
    text = (tmp_path / "a.txt").read_text("utf-8")
    (tmp_path / "a.txt").write_bytes(text.encode(encoding))
    assert clean(*BOOKS).returncode == 0
    assert (tmp_path / "out/train.txt").read_text("utf-8") == f"{FOG}\n{FORECAST}\n\n{SUN}\n"
    assert report_of(tmp_path / "out/train-report")["total"]["encodings"] == {name: 1}


def test_bytes_that_cannot_be_decoded_stop_it_or_are_replaced_and_counted(clean, tmp_path):
    (tmp_path / "a.txt").write_bytes(f"{FOG}\n".encode() + b"\xff\xfe\n" + FORECAST.encode())
    offset = len(f"{FOG}\n".encode())
    assert_refused(clean(*BOOKS), f"a.txt: the byte at offset {offset} (0xff) is not utf-8.")
    completed = clean(*BOOKS, "--errors=replace")
    assert completed.returncode == 0, completed.stderr
    assert report_of(tmp_path / "out/train-report")["total"]["replaced_characters"] == 2


def test_broken_records_are_counted_or_with_strict_stop_it(clean, tmp_path):
    (tmp_path / "a.jsonl").write_text(f'{{"text": "{FOG}"}}\n{{"text\n', encoding="utf-8")
    flags = ("--input_file=a.jsonl", "--source=comments", "--output_file=out/train.txt")
    assert_refused(clean(*flags, "--strict"), "a.jsonl, line 2: not JSON")
    completed = clean(*flags)
    assert completed.returncode == 0, completed.stderr
    (broken,) = report_of(tmp_path / "out/train-report")["sources"]["comments"]["broken"]
    assert (broken["problem"], broken["count"]) == ("not JSON", 1)
    assert broken["samples"][0]["place"] == "a.jsonl, line 2"


def test_a_dry_run_shows_documents_and_writes_nothing(clean, tmp_path):
    completed = clean("--input_file=a.txt", "--source=books", "--dry_run")
    assert completed.returncode == 0, completed.stderr
    assert f"before:\n  {FOG}\n  {FORECAST}\nafter:\n  {FOG}\n  {FORECAST}\n" in completed.stdout
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_dry_run_ends_quietly_where_its_reader_has_enough(clean, tmp_path, repository):
    (tmp_path / "a.txt").write_text("".join(documents(3000)), encoding="utf-8")
    command = (
        f"{sys.executable} {repository / SCRIPT} --input_file=a.txt --source=books --dry_run "
        "--dry_run_documents=2000 | head -1"
    )
    completed = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True)
    assert completed.stdout == "#### books: 1 files\n"
    assert completed.stderr == ""


def test_a_dry_run_prints_what_the_terminal_has_no_character_for(clean):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    completed = clean("--input_file=a.txt", "--source=books", "--dry_run", env=environment)
    assert completed.returncode == 0, completed.stderr


# Mistakes


@pytest.mark.parametrize(
    "flags, message",
    [
        ([], "--output_file is missing"),
        (["--output_file=t.txt"], "--input_file is missing"),
        (["--input_file=a.txt", "--output_file=t.txt"], "give either --source"),
        ([*BOOKS, "--source=boks"], "--source=boks: no such source; did you mean books?"),
        (["--input_file=a.txt", "--config_file=a.txt", "--output_file=t"], "a.txt: not JSON"),
        (["--manifest_file=no.json", "--output_file=t.txt"], "Cannot read no.json"),
        ([*BOOKS, "--manifest_file=no.json"], "--input_file and --manifest_file"),
        ([*BOOKS, "--reader=csv"], "a.txt"),
        ([*BOOKS, "--reader=json"], "a.txt"),
        ([*BOOKS, "--set=emoji"], "--set=emoji: expected rule.option=value"),
        ([*BOOKS, "--encoding=utf-32"], "is not utf-32"),
        ([*BOOKS, "--decontaminate=no.txt"], "--decontaminate=no.txt: nothing matches no.txt"),
        ([*BOOKS, "--input_file=no.txt"], "--input_file=no.txt: no file matches"),
        ([*BOOKS, "--input_file=."], "--input_file=.: no file matches"),
        ([*BOOKS, "--output_file=a.txt"], "a.txt is an input, but is to be written"),
        ([*BOOKS, "--output_file=."], "is a folder; expected the name of a file"),
        ([*BOOKS, "--output_file=a.txt/train.txt"], "Cannot make the folder"),
        ([*BOOKS, "--output_file=/proc/x/train.txt"], "Cannot make the folder /proc/x"),
        ([*BOOKS, "--output_file=/dev/full"], "/dev/full is not a regular file"),
        ([*BOOKS, "--report_dir=a.txt"], "Cannot make the folder a.txt"),
        (
            [*BOOKS, "--heldout_fraction=0.1", "--heldout_file=out/train.txt"],
            "--heldout_file=out/train.txt is a name that --output_file writes, too",
        ),
        ([*BOOKS, "--heldout_fraction=nan"], "--heldout_fraction is nan"),
        ([*BOOKS, "--near_dedup=0.5"], "--near_dedup is 0.5; expected above 0.5"),
        ([*BOOKS, "--repeated_lines=1"], "--repeated_lines is 1"),
        ([*BOOKS, "--shard_mb=0"], "--shard_mb is 0.0; expected above 0"),
        ([*BOOKS, "--workers=0"], "--num_workers is 0; expected at least 1"),
        ([*BOOKS, "more"], "Unexpected word on the command line: more"),
        ([*BOOKS, "--set=short_lines.words=100"], "No line of the text is left"),
    ],
)
def test_a_mistake_is_answered_in_a_sentence(clean, flags, message):
    assert_refused(clean(*flags), message)


def test_a_mistake_does_not_stand_in_the_way_of_the_command_put_right(clean, tmp_path):
    assert_refused(clean(*BOOKS, "--encoding=utf-32"), "is not utf-32")
    completed = clean(*BOOKS)
    assert completed.returncode == 0, completed.stderr
    assert sorted(os.listdir(tmp_path / "out")) == ["train-report", "train.txt"]


@pytest.mark.parametrize(
    "name, content",
    [
        ("a.txt", bytes(random.Random(1).randbytes(5000))),
        ("a.txt", b"\x00" * 5000),
        ("a.gz", b"\x1f\x8b" + b"rubbish" * 100),
        ("a.txt.xz", lzma.compress(b"text" * 1000)[:50]),
        ("a.csv", b"\x00,\x01\n"),
        ("a.json", b"[" * 100_000),
        ("a.xml", b"<a>" * 100_000),
        ("a.html", b"<" * 100_000),
        ("a.txt", b""),
    ],
)
def test_rubbish_is_answered_in_a_sentence(clean, tmp_path, name, content):
    (tmp_path / "a.txt").unlink()
    (tmp_path / name).write_bytes(content)
    assert_refused(clean(f"--input_file={name}", "--source=web", "--output_file=t.txt"), "")


@pytest.mark.parametrize("limit", [0, 100_000, 600_000])
def test_a_full_disk_is_answered_in_a_sentence_and_the_run_goes_on_later(clean, tmp_path, limit):
    (tmp_path / "a.txt").write_text("".join(documents(6000)), encoding="utf-8")
    flags = (*BOOKS, "--num_workers=1")

    def set_limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    assert_refused(clean(*flags, preexec_fn=set_limit), "File too large")
    assert not (tmp_path / "out/train.txt").exists()
    assert clean(*flags).returncode == 0
    assert sorted(os.listdir(tmp_path / "out")) == ["train-report", "train.txt"]


# The same output, whatever happens


def documents(count: int) -> list[str]:
    """Documents with a line in many of them, equal lines and documents, and near-copies."""
    texts = []
    for number in range(count):
        text = (
            f"{number}번째 아침에는 안개가 끼어 {number * 7}미터 앞이 보이지 않았다. "
            f"제{number % 5000}호 예보는 오후부터 기온이 오르겠다고 했다ㅋㅋㅋㅋㅋㅋ!!!\n"
            f"공원에는 {number * 3}명의 가족들이 산책을 나와 하나둘 모여들었다.\n"
        )
        if number % 40 == 0:
            text += NOTICE + "\n"
        if number % 50 == 49:
            text = texts[number // 2].rstrip("\n") + "\n"
        if number % 70 == 69:
            text = texts[number // 3].replace("안개가", "먼지가").rstrip("\n") + "\n"
        texts.append(text + "\n")
    return texts


@pytest.fixture(scope="module")
def big(tmp_path_factory) -> pathlib.Path:
    """A folder with some megabytes of text in two files, which make four parts."""
    folder = tmp_path_factory.mktemp("big")
    texts = documents(NUM_DOCUMENTS)
    (folder / "one.txt").write_text("".join(texts[:12_000]), encoding="utf-8")
    (folder / "two.txt").write_text("".join(texts[12_000:]), encoding="utf-8")
    return folder


def big_flags(big: pathlib.Path, output: pathlib.Path) -> list[str]:
    return [
        f"--input_file={big}/*.txt",
        "--source=books",
        f"--output_file={output}/train-@##.txt",
        "--near_dedup=0.8",
        "--heldout_fraction=0.1",
        "--shard_mb=1",
    ]


def contents(folder: pathlib.Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("train*.txt")}


def figures(folder: pathlib.Path) -> dict:
    """The report without the time it took."""
    report = report_of(folder / "train-report")
    for part in (report["total"], *report["sources"].values()):
        del part["mb_per_cpu_second"], part["cpu_seconds"]
    return {"sources": report["sources"], "repeated": report["repeated_lines"]}


@pytest.fixture(scope="module")
def whole(run_script, big, tmp_path_factory) -> pathlib.Path:
    """The output of a run that nothing disturbed, by one process."""
    folder = tmp_path_factory.mktemp("whole")
    completed = run_script(SCRIPT, *big_flags(big, folder), "--num_workers=1")
    assert completed.returncode == 0, completed.stderr
    return folder


def test_an_undisturbed_run_leaves_a_corpus_and_accounts_that_balance(whole):
    names = ["heldout-train.txt", "train-01.txt", "train-02.txt", "train-report"]
    assert sorted(os.listdir(whole)) == names
    for path in whole.glob("*.txt"):
        assert_is_corpus(path)
    report = report_of(whole / "train-report")
    assert_balanced(report)
    fired = {rule["name"] for rule in report["total"]["rules"]}
    assert fired >= {
        "duplicate_documents",
        "duplicate_lines",
        "near_duplicate_documents",
        "repeated_lines",
        "jamo_runs",
    }


@pytest.mark.parametrize("flags", [["--num_workers=2"], ["--workers=3", "--dedup_memory_mb=16"]])
def test_the_output_does_not_depend_on_processes_and_memory(
    run_script, big, whole, tmp_path, flags
):
    completed = run_script(SCRIPT, *big_flags(big, tmp_path), *flags)
    assert completed.returncode == 0, completed.stderr
    assert contents(tmp_path) == contents(whole)
    assert figures_without_place(tmp_path) == figures_without_place(whole)


def figures_without_place(folder: pathlib.Path) -> str:
    return json.dumps(figures(folder), ensure_ascii=False).replace(str(folder), "")


def start(repository: pathlib.Path, *flags: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, repository / SCRIPT, *flags], stderr=subprocess.PIPE, text=True
    )


def wait_for(path: pathlib.Path, process: subprocess.Popen) -> None:
    while not path.exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.005)


def stop(process: subprocess.Popen, number: int) -> int:
    process.send_signal(number)
    process.stderr.read()
    return process.wait()


def test_a_run_goes_on_after_sigkill_and_sigterm_and_redoes_no_finished_part(
    run_script, repository, big, whole, tmp_path
):
    flags = [*big_flags(big, tmp_path), "--num_workers=1"]
    work = tmp_path / "train.cleaning"

    process = start(repository, *flags)
    wait_for(work / "part-00000.json", process)
    assert stop(process, signal.SIGKILL) == -signal.SIGKILL
    assert set(os.listdir(tmp_path)) == {"train.cleaning", "train-report"}
    first = {path: path.stat().st_mtime_ns for path in work.glob("part-00000.*")}

    process = start(repository, *flags)
    wait_for(work / "part-00001.json", process)
    assert stop(process, signal.SIGTERM) == 143
    assert set(os.listdir(tmp_path)) == {"train.cleaning", "train-report"}
    assert first == {path: path.stat().st_mtime_ns for path in work.glob("part-00000.*")}

    other = run_script(SCRIPT, *flags, "--seed=2")
    assert_refused(other, "seed was 12345, is 2). Give --restart to throw it away")

    # Other processes and memory are no other run.
    more = ["--num_workers=2", "--dedup_memory_mb=16"]
    completed = run_script(SCRIPT, *flags[:-1], *more)
    assert completed.returncode == 0, completed.stderr
    assert "Going on with an unfinished run" in completed.stderr
    assert contents(tmp_path) == contents(whole)
    assert figures_without_place(tmp_path) == figures_without_place(whole)
    assert sorted(os.listdir(tmp_path)) == sorted(os.listdir(whole))


def test_restart_throws_away_what_other_flags_left(run_script, repository, big, whole, tmp_path):
    process = start(repository, *big_flags(big, tmp_path), "--num_workers=1", "--seed=2")
    wait_for(tmp_path / "train.cleaning" / "part-00000.json", process)
    stop(process, signal.SIGKILL)
    completed = run_script(SCRIPT, *big_flags(big, tmp_path), "--restart")
    assert completed.returncode == 0, completed.stderr
    assert contents(tmp_path) == contents(whole)


def test_two_runs_do_not_write_the_same_corpus(run_script, repository, big, tmp_path):
    flags = [*big_flags(big, tmp_path), "--num_workers=1"]
    process = start(repository, *flags)
    wait_for(tmp_path / "train.cleaning" / "plan.json", process)
    process.send_signal(signal.SIGSTOP)
    try:
        assert_refused(run_script(SCRIPT, *flags), "Another process is writing this corpus")
    finally:
        stop(process, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_a_run_that_is_killed_again_and_again_gives_the_same(
    run_script, repository, big, whole, tmp_path, seed
):
    generator = random.Random(seed)
    flags = [*big_flags(big, tmp_path), "--num_workers=2"]
    for _ in range(6):
        process = start(repository, *flags)
        time.sleep(generator.uniform(0.4, 2.0))
        if stop(process, generator.choice([signal.SIGKILL, signal.SIGTERM])) == 0:
            break
    completed = run_script(SCRIPT, *flags)
    assert completed.returncode == 0, completed.stderr
    assert contents(tmp_path) == contents(whole)
    assert figures_without_place(tmp_path) == figures_without_place(whole)
    assert sorted(os.listdir(tmp_path)) == sorted(os.listdir(whole))
