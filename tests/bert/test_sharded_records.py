"""Records in shards as they are made from the shell: the same by any number of processes."""

import hashlib
import json
import os
import pathlib
import re
import resource
import signal
import subprocess
import sys
import time

import pytest

from deeq_bert.bert.records import read_records

# So that a shard is worked at for some time.
MANY = 400


@pytest.fixture
def command(repository, tmp_path, monkeypatch):
    """A function that returns a command for the sample text, in an empty current folder."""
    monkeypatch.chdir(tmp_path)
    sample = repository / "corpus" / "sample" / "sample.txt"
    # Shards of it are of many documents, so that there is little to warn of.
    pathlib.Path("text.txt").write_text(sample.read_text(encoding="utf-8"), encoding="utf-8")

    def command(**flags) -> list[str]:
        given = {
            "input_file": "text.txt",
            "vocab_file": repository / "tests" / "data" / "own" / "vocab.txt",
            "do_lower_case": False,
            "max_seq_length": 32,
            "max_predictions_per_seq": 5,
            "dupe_factor": 1,
            "num_workers": 1,
            "output_file": "out/train.tf",
            **flags,
        }
        script = repository / "bert" / "create_pretraining_data.py"
        words = [f"--{name}={value}" for name, value in given.items() if value is not None]
        return [sys.executable, str(script), *words]

    return command


@pytest.fixture
def make(command):
    """A function that runs the script to its end."""

    def run(options=None, **flags) -> subprocess.CompletedProcess:
        return subprocess.run(
            command(**flags), capture_output=True, text=True, timeout=300, **(options or {})
        )

    return run


def assert_made(done: subprocess.CompletedProcess) -> None:
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def assert_refused(done: subprocess.CompletedProcess, *told: str) -> None:
    """One error in a line that tells all of `told`, and exit code 1."""
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
    for part in told:
        assert part in error


def digests(folder: str = "out") -> dict[str, str]:
    """Returns what is in a folder, by name."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in pathlib.Path(folder).iterdir()
    }


def test_any_number_of_processes_makes_the_same_files(make):
    for workers in (1, 2, 3):
        assert_made(make(num_shards=4, num_workers=workers, output_file=f"{workers}/train.tf"))
    assert digests("1") == digests("2") == digests("3")
    shards = [f"train.tf-{number:05d}-of-00004" for number in range(4)]
    assert sorted(digests("1")) == sorted(
        [*shards, *(f"{n}.json" for n in shards), "train.tf.json"]
    )


def test_a_second_run_makes_what_is_missing(make, tmp_path):
    assert_made(make(num_shards=4))
    before = digests()
    times = {name: os.stat(tmp_path / "out" / name).st_mtime_ns for name in before}
    os.remove("out/train.tf-00002-of-00004")
    # From another folder, by full names, and with more processes.
    os.mkdir("elsewhere")
    again = make(
        {"cwd": tmp_path / "elsewhere"},
        num_shards=4,
        num_workers=2,
        input_file=tmp_path / "text.txt",
        output_file=tmp_path / "out" / "train.tf",
    )
    assert_made(again)
    assert "3 of them are done already" in again.stderr
    assert digests() == before
    written = {
        name for name in before if os.stat(tmp_path / "out" / name).st_mtime_ns != times[name]
    }
    assert written == {
        *("train.tf-00002-of-00004", "train.tf-00002-of-00004.json", "train.tf.json"),
    }


def test_all_of_the_text_is_in_the_shards(make):
    sharded = make(num_shards=5)
    whole = make(output_file="whole/train.tf")
    (read,) = {
        re.search(r"Read \d+ documents, \d+ sentences, \d+ tokens", done.stderr)[0]
        for done in (sharded, whole)
    }
    assert read in sharded.stderr


def test_a_single_shard_is_a_set_too(make):
    assert_made(make(num_shards=1))
    assert json.loads(pathlib.Path("out/train.tf.json").read_text())["num_shards"] == 1
    assert len(digests()) == 3


@pytest.mark.parametrize("num_shards, ends", [(None, [""]), (1, ["-00000-of-00001"])])
def test_two_lengths_are_those_of_two_runs(make, num_shards, ends):
    output = {"output_file": "{length}/train.tf", "num_shards": num_shards}
    assert_made(make(**output, max_seq_length="32,64", max_predictions_per_seq="5,10"))
    both = {length: digests(str(length)) for length in (32, 64)}
    os.rename("32", "moved")
    os.rename("64", "moved too")
    for length, predictions in ((32, 5), (64, 10)):
        assert_made(make(**output, max_seq_length=length, max_predictions_per_seq=predictions))
        for end in ends:
            name = f"train.tf{end}"
            assert digests(str(length))[name] == both[length][name]


def test_memory_alone_decides_how_many_shards_there_are(make):
    done = make(max_memory_mb=256, dynamic_masking=True, max_predictions_per_seq=None)
    assert_made(done)
    assert "1 shards" in done.stderr
    info = json.loads(pathlib.Path("out/train.tf.json").read_text())
    assert info["dynamic_masking"] and "predictions" in info


@pytest.mark.parametrize(
    "flags, told",
    [
        ({"num_shards": 0}, "--num_shards=0: must be 1 or more"),
        ({"num_shards": 100_000_000}, "--num_shards=100000000: must be 99999 or less"),
        ({"num_shards": 9999}, "the text divides into 84 parts only"),
        ({"num_shards": 2, "num_workers": -1}, "--num_workers=-1: must be 0 or more"),
        ({"num_shards": 2, "output_file": "a,b"}, "Give one name"),
        ({"num_shards": 2, "output_file": "text.txt"}, "would overwrite what --input_file names"),
        ({"num_shards": 2, "output_file": "text.txt/a"}, "Cannot make the folder"),
        ({"max_memory_mb": 100}, "--max_memory_mb=100: must be 256 or more"),
        ({"max_memory_mb": 256, "dupe_factor": 200}, "Give 452 or more"),
        ({"num_shards": 2, "max_seq_length": "64,1e9"}, "1e9 is not a whole number"),
        ({"num_shards": 2, "max_seq_length": "64,32"}, "it must have {length}"),
        ({"num_shards": 2, "input_file": "no*.txt"}, "no file matches"),
        ({"num_shards": 2, "input_file": "/dev/null"}, "input files are empty"),
    ],
    ids=str,
)
def test_what_cannot_be_is_told_before_any_work(make, flags, told):
    assert_refused(make(**flags), told)
    assert not os.path.isdir("out") or os.listdir("out") == []


def test_output_beside_which_its_information_would_overwrite_the_input(make):
    os.rename("text.txt", "text.json")
    before = digests(".")
    assert_refused(make(input_file="text.json", output_file="text"), "text.json would overwrite")
    assert digests(".") == before


def test_shards_and_a_single_file_of_one_name_do_not_mix(make):
    assert_made(make(num_shards=2))
    before = digests()
    assert_refused(make(), "there are shards of that name already")
    assert digests() == before


def test_text_without_a_sentence_leaves_nothing(make):
    pathlib.Path("blank.txt").write_text("\n" * 3000)
    assert_refused(make(input_file="blank.txt", num_shards=2), "there is no text in it")
    assert os.listdir("out") == []


def test_files_without_a_line_among_others_change_nothing(make):
    for name in ("0.txt", "z.txt"):
        pathlib.Path(name).write_text("")
    assert_made(make(num_shards=2, output_file="one/train.tf"))
    assert_made(make(num_shards=2, output_file="all/train.tf", input_file="*.txt"))
    names = [f"train.tf-0000{number}-of-00002" for number in range(2)]
    assert [digests("one")[name] for name in names] == [digests("all")[name] for name in names]


def test_text_without_a_blank_line_is_one_document(make):
    text = pathlib.Path("text.txt").read_text()
    pathlib.Path("text.txt").write_text(re.sub("\n+", "\n", text))
    assert_refused(make(num_shards=2), "the text divides into 1 parts only")
    done = make(num_shards=1, max_memory_mb=256)
    assert_made(done)
    assert "is a single document" in done.stderr


def test_a_line_that_is_not_utf_8_stops_the_run_and_leaves_what_is_done(make):
    # Beyond the part of the text that is tried at first.
    content = pathlib.Path("text.txt").read_bytes() * 8
    place = content.index(b"\n", 300_000) + 1
    pathlib.Path("text.txt").write_bytes(content[:place] + b"\xb0\xa1\n" + content[place:])
    done = make(num_shards=4)
    assert_refused(done, f"text.txt, the line at byte offset {place}: not UTF-8")
    # Those that came before it, whole, and nothing else.
    made = digests()
    assert made
    assert all(re.fullmatch(r"train\.tf-0000\d-of-00004(\.json)?", name) for name in made)
    assert all(f"{name}.json" in made for name in made if not name.endswith(".json"))


def test_a_line_without_end_is_named(make):
    content = pathlib.Path("text.txt").read_bytes() * 2
    pathlib.Path("text.txt").write_bytes(content + "가".encode() * 6_000_000)
    assert_refused(
        make(num_shards=2), "text.txt, the line at byte offset", "longer than 16,777,216"
    )


def test_a_full_disk_is_told_and_the_next_run_goes_on(make):
    limit = 40_000

    def small_files() -> None:
        # A limit on the size of files fails a write as a full disk does.
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = make({"preexec_fn": small_files}, num_shards=2, num_workers=2)
    assert_refused(done, "Cannot write out/train.tf-0000", "free some space")
    assert os.listdir("out") == []
    assert_made(make(num_shards=2, num_workers=2))
    assert_made(make(num_shards=2, output_file="undisturbed/train.tf"))
    assert digests() == digests("undisturbed")


def wait_for(process: subprocess.Popen, pattern: str) -> None:
    """Waits until there is a file of that name."""
    while not list(pathlib.Path().glob(pattern)):
        assert process.poll() is None, "ended early"
        time.sleep(0.001)


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_is_stopped_leaves_whole_shards_only(command, number, code):
    process = subprocess.Popen(
        command(num_shards=12, num_workers=2, dupe_factor=MANY // 8),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_for(process, "out/train.tf-*.json")
    # Ctrl-C goes to the workers as well, which leave it to this process.
    os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
    _, log = process.communicate()
    assert process.returncode == code
    assert log.splitlines()[-1] == "ERROR: Stopped."
    assert "Traceback" not in log
    made = digests()
    assert 0 < len(made) < 24
    assert all(re.fullmatch(r"train\.tf-000\d\d-of-00012(\.json)?", name) for name in made)


def test_text_in_another_order_is_another_run(make):
    pathlib.Path("more.txt").write_text("오늘은 간다.\n내일도 간다.\n\n")
    assert_made(make(num_shards=2, input_file="text.txt,more.txt"))
    done = make(num_shards=2, input_file="more.txt,text.txt")
    assert_refused(done, "is there already", "another order", "--overwrite")
    assert_made(make(num_shards=2, input_file="more.txt,text.txt", overwrite=True))


def test_a_changed_vocabulary_is_another_run(make, repository):
    own = repository / "tests" / "data" / "own" / "vocab.txt"
    vocabulary = own.read_text(encoding="utf-8")
    pathlib.Path("vocab.txt").write_text(vocabulary, encoding="utf-8")
    assert_made(make(num_shards=2, vocab_file="vocab.txt"))
    assert_made(make(num_shards=2, vocab_file=own))
    pathlib.Path("vocab.txt").write_text(vocabulary + "새말\n", encoding="utf-8")
    assert_refused(make(num_shards=2, vocab_file="vocab.txt"), "made of other text or with other")


@pytest.mark.slow
@pytest.mark.parametrize("flags", [{"mask_unit": "word"}, {"dynamic_masking": True}], ids=str)
def test_morphemes_and_their_cache_change_nothing(make, run_script, flags):
    pytest.importorskip("kiwipiepy", reason="needs pip install -e '.[deeq]'")
    done = run_script(
        "tokenizers/build_vocab.py",
        *("--tokenizer=deeq", "--input_file=text.txt", "--output_file=vocab/vocab.txt"),
        *("--vocab_size=1500", "--min_char_frequency=2"),
    )
    assert done.returncode == 0, done.stderr
    usual = {"tokenizer": "deeq", "vocab_file": "vocab/vocab.txt", "num_shards": 4, **flags}
    if "dynamic_masking" in flags:
        usual["max_predictions_per_seq"] = None
    assert_made(make(**usual, output_file="plain/train.tf"))
    for name in ("first", "second"):
        done = make(**usual, num_workers=2, morpheme_cache="cache", output_file=f"{name}/train.tf")
        assert_made(done)
    assert digests("plain") == digests("first") == digests("second")
    assert len(list(read_records("plain/train.tf-00000-of-00004"))) > 5
