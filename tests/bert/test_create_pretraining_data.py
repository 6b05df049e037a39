"""The script that makes records: the original's values, and a sentence for every bad input."""

import hashlib
import json
import os
import pathlib
import resource
import signal
import subprocess
import sys

import numpy as np
import pytest

from deeq_bert.bert.examples import FEATURE_NAMES, decode_example
from deeq_bert.bert.record_checks import check_records_match
from deeq_bert.bert.records import RecordSet, read_records

OWN_RUNS = ("default", "dupe1", "lower", "seed7_short", "seq32_wwm", "seq512", "wwm")

GOLDEN_RUNS = (
    "sample_default",
    "sample_lower_false",
    "ko_default",
    "ko_dupe1",
    "ko_dupe1_lower",
    "ko_wwm",
    "ko_two_outputs",
    "ko_512",
    "ko_512_wwm",
    "ko_no_short",
    "ko_all_short",
    "ko_seed",
    "ko_seq16",
    "ko_maskprob",
    "two_inputs",
    "two_inputs_two_outputs",
    "edge",
    "edge_lower_wwm",
    "one_doc",
    "glob_missing",
    "ko_default_dupe10",
)

TEXT = "오늘은 날씨가 좋다.\n내일도 그럴까?\n\n책을 읽었다.\n참 재미있었다.\n"


@pytest.fixture
def script(repository, tmp_path, monkeypatch):
    """Runs the script with the given words, in an empty folder that becomes the current one."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str, **options) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, repository / "bert" / "create_pretraining_data.py", *words],
            capture_output=True,
            text=True,
            timeout=120,
            **options,
        )

    return run


@pytest.fixture
def make(script, own):
    """Runs the script on a small text, with --NAME=VALUE for each keyword argument."""
    pathlib.Path("text.txt").write_text(TEXT)

    def run(**flags) -> subprocess.CompletedProcess:
        given = {
            "input_file": "text.txt",
            "vocab_file": own / "vocab.txt",
            "output_file": "out.tfrecord",
            "do_lower_case": False,
            **flags,
        }
        return script(*(f"--{name}={value}" for name, value in given.items()))

    return run


def features_of(path) -> dict[str, np.ndarray]:
    """The features of all records of a file, [records, values] each."""
    examples = [decode_example(record) for record in read_records(str(path))]
    return {name: np.array([example[name] for example in examples]) for name in FEATURE_NAMES}


def digest_of(path) -> str:
    """What the manifests of the golden data hold for a file of records."""
    digest = hashlib.sha256()
    for record in read_records(str(path)):
        example = decode_example(record)
        for name in FEATURE_NAMES:
            kind = "<f4" if name == "masked_lm_weights" else "<i4"
            digest.update(np.array(example[name], kind).tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize("name", OWN_RUNS)
def test_records_of_the_own_sample_are_the_originals(script, own, name):
    arguments = json.loads((own / "manifest.json").read_text())["runs"][name]["args"]
    done = script(
        f"--input_file={own / 'sample.txt'}",
        f"--vocab_file={own / 'vocab.txt'}",
        "--output_file=out.tfrecord",
        *arguments,
    )
    assert done.returncode == 0, done.stderr
    expected = np.load(own / f"records_{name}.npz")
    features = features_of("out.tfrecord")
    for feature in FEATURE_NAMES:
        np.testing.assert_array_equal(features[feature], expected[feature], err_msg=feature)


@pytest.mark.parametrize("name", GOLDEN_RUNS)
def test_records_of_the_golden_text_are_the_originals(script, golden, tmp_path, name):
    folder = golden / "pretraining_data"
    runs = json.loads((folder / "manifest.json").read_text())["runs"]
    (run,) = [run for run in runs if run["name"] == name]
    arguments = []
    for argument in run["args"]:
        flag, value = argument.split("=")
        if flag == "--output_file":
            output_files = [tmp_path / part for part in value.split(",")]
            value = ",".join(map(str, output_files))
        arguments.append(f"{flag}={value}")
    done = script(*arguments, cwd=folder)
    assert done.returncode == 0, done.stderr
    digests = [digest_of(path) for path in output_files]
    assert digests == [output["features_sha256"] for output in run["outputs"]]


def test_all_golden_runs_are_covered(golden, own):
    manifest = json.loads((golden / "pretraining_data" / "manifest.json").read_text())
    assert {run["name"] for run in manifest["runs"]} == set(GOLDEN_RUNS)
    assert set(json.loads((own / "manifest.json").read_text())["runs"]) == set(OWN_RUNS)


def test_records_pass_the_checks_of_pre_training(make):
    assert make(max_seq_length=16, max_predictions_per_seq=3).returncode == 0
    with RecordSet.scan(["out.tfrecord"]) as record_set:
        check_records_match(record_set, 16, 3, vocab_size=1000)


def test_several_outputs_get_the_records_in_turn(make):
    make()
    make(output_file="0.tfrecord, 1.tfrecord,2.tfrecord")
    records = list(read_records("out.tfrecord"))
    for part in range(3):
        assert list(read_records(f"{part}.tfrecord")) == records[part::3]


def test_files_of_a_pattern_are_read_in_sorted_order(make):
    for number, line in enumerate(["책을 읽었다.", "참 좋다.", "", "오늘은 간다.", "내일도 간다."]):
        pathlib.Path(f"part-{number}.txt").write_text(line + "\n")
    # Nor does a file's end make a document end.
    pathlib.Path("whole.txt").write_text("책을 읽었다.\n참 좋다.\n\n오늘은 간다.\n내일도 간다.\n")
    make(input_file="part-*.txt", output_file="parts.tfrecord")
    make(input_file="whole.txt", output_file="whole.tfrecord")
    parts, whole = pathlib.Path("parts.tfrecord"), pathlib.Path("whole.tfrecord")
    assert parts.read_bytes() == whole.read_bytes()


def test_the_folder_of_the_output_is_made(make):
    assert make(output_file="new/folder/out.tfrecord").returncode == 0
    assert sorted(os.listdir("new/folder")) == ["out.tfrecord", "out.tfrecord.json"]


def test_the_first_examples_are_logged_as_in_the_original(make):
    log = make().stderr
    lines = [line.split("] ", 1)[-1] for line in log.splitlines()]
    start = lines.index("*** Example ***")
    example = decode_example(next(read_records("out.tfrecord")))
    assert lines[start + 1].startswith("tokens: [CLS] ")
    assert lines[start + 2 : start + 9] == [
        f"{name}: {' '.join(map(str, example[name]))}" for name in FEATURE_NAMES
    ]
    assert log.count("*** Example ***") == 20


def test_the_summary_adds_up(make):
    log = make(max_seq_length=32).stderr
    features = features_of("out.tfrecord")
    padding = 100 * (1 - features["input_mask"].mean())
    random_next = 100 * features["next_sentence_labels"].mean()
    assert "Read 2 documents, 4 sentences, " in log
    assert (
        f"Wrote {len(features['input_ids'])} total instances to out.tfrecord: "
        f"{padding:.1f}% padding, {random_next:.1f}% random next." in log
    )


def test_there_are_no_progress_bars_in_a_file(make):
    assert "Reading text:" not in make().stderr


def test_help_answers_without_tensorflow(script):
    code = (
        "import runpy, sys\n"
        "sys.argv = [sys.argv[1], '--help']\n"
        "try:\n"
        "    runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit as leaving:\n"
        "    assert leaving.code == 0\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    done = script("--help")
    assert done.returncode == 0
    assert "--max_predictions_per_seq" in done.stdout
    again = subprocess.run([sys.executable, "-c", code, done.args[1]], capture_output=True)
    assert again.returncode == 0, again.stderr


def assert_refused(done: subprocess.CompletedProcess, *told: str) -> None:
    """One error line that tells all of `told`, exit code 1, and nothing left."""
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
    assert len(errors) == 1
    for part in told:
        assert part in errors[0]
    assert not [name for name in os.listdir() if "tfrecord" in name]


@pytest.mark.parametrize("pattern", ["nowhere.txt", "no*.txt,none*.txt", ",", ""])
def test_input_that_no_file_matches(make, pattern):
    assert_refused(make(input_file=pattern), f"--input_file={pattern}:", "no file matches")


def test_a_pattern_without_a_match_beside_one_with_is_only_a_warning(make):
    done = make(input_file="nowhere*.txt,text.txt")
    assert done.returncode == 0
    assert "nothing matches nowhere*.txt" in done.stderr


def test_a_missing_flag_is_named(script):
    done = script("--input_file=x", "--output_file=y")
    assert done.returncode == 1
    assert "--vocab_file" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "content, told",
    [
        pytest.param(b"", "empty", id="empty"),
        pytest.param("[UNK]\n가\n".encode("cp949"), "line 2: not UTF-8", id="not UTF-8"),
        pytest.param(b"[PAD]\n[UNK]\n[CLS]\na\n", "[SEP], [MASK]", id="special tokens missing"),
        pytest.param(
            b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\na\n", "a on lines 6 and 8", id="duplicate"
        ),
    ],
)
def test_a_vocabulary_that_cannot_be_used(make, content, told):
    pathlib.Path("vocab.txt").write_bytes(content)
    assert_refused(make(vocab_file="vocab.txt"), "vocab.txt", told)


def test_a_vocabulary_that_is_missing(make):
    assert_refused(make(vocab_file="nowhere.txt"), "nowhere.txt", "No such file")


def test_text_that_is_not_utf_8(make):
    pathlib.Path("cp949.txt").write_bytes(b"first\n" + TEXT.encode("cp949"))
    assert_refused(make(input_file="text.txt,cp949.txt"), "cp949.txt, line 2: not UTF-8")


def test_text_without_a_word(make):
    pathlib.Path("blank.txt").write_text("\n \n\n")
    assert_refused(make(input_file="blank.txt"), "--input_file=blank.txt", "no text")


@pytest.mark.parametrize(
    "flag, value, range_",
    [
        ("max_seq_length", 4, "5 or more"),
        ("max_predictions_per_seq", 0, "1 or more"),
        ("dupe_factor", 0, "1 or more"),
        ("masked_lm_prob", 1.5, "from 0 to 1"),
        ("masked_lm_prob", "nan", "from 0 to 1"),
        ("short_seq_prob", -0.1, "from 0 to 1"),
    ],
)
def test_a_value_out_of_range(make, flag, value, range_):
    assert_refused(make(**{flag: value}), f"--{flag}={value}", range_)


@pytest.mark.parametrize("value", [5, 6])
def test_the_shortest_sequences_are_made(make, value):
    assert make(max_seq_length=value, short_seq_prob=1).returncode == 0


def test_too_few_predictions_are_a_warning_with_the_number_it_takes(make):
    done = make(max_seq_length=128, masked_lm_prob=0.3)
    assert done.returncode == 0
    assert "--max_predictions_per_seq=20 is too small for --masked_lm_prob=0.3" in done.stderr
    assert "caps nothing is 38" in done.stderr
    assert "too small" not in make(masked_lm_prob=0.3, max_predictions_per_seq=38).stderr


def test_a_tokenizer_that_is_not_there(make):
    assert_refused(make(tokenizer="dee"), "--tokenizer=dee", "deeq-wordpiece")


def test_a_mask_unit_that_the_tokenizer_does_not_know(make):
    assert_refused(make(mask_unit="morpheme"), "--mask_unit=morpheme", "token and word")


def test_mask_units_that_contradict_each_other(make):
    done = make(mask_unit="token", do_whole_word_mask=True)
    assert_refused(done, "--do_whole_word_mask", "--mask_unit=token")


def test_the_mask_unit_word_is_whole_word_masking(make):
    make(mask_unit="word")
    records = list(read_records("out.tfrecord"))
    make(do_whole_word_mask=True)
    assert list(read_records("out.tfrecord")) == records


def test_an_output_that_would_overwrite_the_input(make):
    os.symlink("text.txt", "link.txt")
    assert_refused(make(output_file="out.tfrecord,link.txt"), "link.txt", "--input_file")
    assert pathlib.Path("text.txt").read_text() == TEXT


def test_an_output_that_would_overwrite_the_vocabulary(make, own):
    pathlib.Path("vocab.txt").write_bytes((own / "vocab.txt").read_bytes())
    done = make(vocab_file="vocab.txt", output_file="./vocab.txt")
    assert_refused(done, "./vocab.txt", "--vocab_file")


def test_an_output_named_twice(make):
    assert_refused(make(output_file="out.tfrecord,./out.tfrecord"), "names a file twice")


@pytest.mark.parametrize("value", ["", " , "])
def test_no_output_at_all(make, value):
    assert_refused(make(output_file=value), f"--output_file={value}", "names no file")


def test_an_output_folder_that_cannot_be_made(make):
    assert_refused(make(output_file="text.txt/out"), "Cannot make the folder", "text.txt")


def test_a_blank_after_the_equals_sign_is_mended(script, own):
    done = script(
        "--input_file=", "text.txt", f"--vocab_file={own / 'vocab.txt'}", "--output_file=x.tfrecord"
    )
    assert_refused(done, "Write --input_file=text.txt instead")


def test_many_unknown_tokens_point_at_the_case_flag(make):
    done = make(do_lower_case=True, input_file=make_long_text(200))
    assert "tokens are [UNK]" in done.stderr
    assert "--do_lower_case=False" in done.stderr


def test_many_unknown_tokens_without_hangul_point_at_the_vocabulary(make):
    pathlib.Path("other.txt").write_text("Ђђ Љљ Њњ\nЋћ Џџ\n")
    done = make(do_lower_case=True, input_file="other.txt")
    assert "--vocab_file was made from text like this" in done.stderr


def test_few_unknown_tokens_are_no_warning(make):
    pathlib.Path("known.txt").write_text("책을 읽었다.\n책을 읽었다.\n")
    assert "tokens are [UNK]" not in make(input_file="known.txt").stderr


def test_a_single_document_is_a_warning(make):
    pathlib.Path("single.txt").write_text(TEXT.replace("\n\n", "\n"))
    assert "is a single document" in make(input_file="single.txt").stderr
    assert "is a single document" not in make().stderr


def test_random_next_sentences_only_are_a_warning(make):
    pathlib.Path("spread.txt").write_text(TEXT.replace("\n", "\n\n"))
    assert "Every instance has a random next sentence" in make(input_file="spread.txt").stderr
    assert "has a random next sentence" not in make().stderr


def make_long_text(document_count: int) -> str:
    """Writes a text of many documents and returns its name."""
    pathlib.Path("long.txt").write_text((TEXT + "\n") * document_count)
    return "long.txt"


def test_a_full_disk_leaves_nothing(script, own):
    limit = 100_000
    done = script(
        f"--input_file={make_long_text(200)}",
        f"--vocab_file={own / 'vocab.txt'}",
        "--output_file=out.tfrecord",
        # A file may not grow over the limit: what writing then reports is what a full disk does.
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert_refused(done, "Cannot write out.tfrecord", "free some space")


# The script, but the process is killed while it writes the hundredth record.
KILLED_SCRIPT = """
import itertools, os, runpy, signal, sys
from deeq_bert.bert import records
frame_record, count = records.frame_record, itertools.count(1)
def frame_or_die(data):
    if next(count) == 100:
        os.kill(os.getpid(), signal.SIGKILL)
    return frame_record(data)
records.frame_record = frame_or_die
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_a_killed_run_leaves_no_records_and_the_next_one_cleans_up(make):
    done = make(input_file=make_long_text(200))
    os.remove("out.tfrecord")
    os.remove("out.tfrecord.json")
    killed = subprocess.run([sys.executable, "-c", KILLED_SCRIPT, *done.args[1:]])
    assert killed.returncode == -signal.SIGKILL
    left = [name for name in os.listdir() if "tfrecord" in name]
    assert left
    assert all(name.startswith(".out.tfrecord.") for name in left)
    assert make().returncode == 0
    names = sorted(name for name in os.listdir() if "tfrecord" in name)
    assert names == ["out.tfrecord", "out.tfrecord.json"]
