"""Records that are masked when they are read: made, told apart from others, and checked."""

import json
import os
import pathlib
import subprocess

import pytest
from instance_rows import TrainingInstance, UnmaskedInstance, encode_row

from deeq_bert.bert.example_encoding import ExampleEncoder
from deeq_bert.bert.examples import UNMASKED_FEATURE_NAMES, decode_example
from deeq_bert.bert.records import RecordSet, frame_record, read_records
from deeq_bert.bert.unmasked_records import (
    check_record_kind,
    check_unmasked_record,
    check_unmasked_records_match,
)
from deeq_bert.tokenizers.errors import InputError

MASKED = encode_row(
    ExampleEncoder(8, 2, 100), TrainingInstance([2, 9, 3, 8, 3], 3, [1], [7], False)
)
UNMASKED = encode_row(
    ExampleEncoder(8, None, 100), UnmaskedInstance([2, 9, 3, 99, 3], b"\4\1\4\0\4", 3, False)
)
TEXT = "오늘은 날씨가 좋다.\n내일도 그럴까?\n\n책을 읽었다.\n참 재미있었다.\n"
INFO = {"mask_id": 4, "num_ids": 100, "mask_units": ["token", "word"]}


@pytest.fixture
def write(tmp_path):
    """Writes files of records and opens them."""

    def run(**files: list[bytes]) -> RecordSet:
        paths = []
        for name, records in files.items():
            path = tmp_path / f"{name}.tfrecord"
            path.write_bytes(b"".join(map(frame_record, records)))
            paths.append(str(path))
        return RecordSet.scan(paths)

    return run


def infos_of(record_set: RecordSet, *changes: dict) -> dict[str, dict]:
    changes = changes or ({},) * len(record_set.paths)
    return {path: INFO | change for path, change in zip(record_set.paths, changes)}


def test_records_of_the_kind_that_is_asked_for_pass(write):
    masked, unmasked = write(a=[MASKED], empty=[]), write(c=[UNMASKED, UNMASKED], empty=[])
    check_record_kind(masked, {}, dynamic=False)
    check_record_kind(unmasked, infos_of(unmasked), dynamic=True)


def test_unmasked_records_need_the_flag(write):
    record_set = write(a=[MASKED], b=[UNMASKED])
    with pytest.raises(InputError, match=r"b\.tfrecord are not masked.*Give --dynamic_masking"):
        check_record_kind(record_set, infos_of(record_set), dynamic=False)


def test_masked_records_do_not_go_with_the_flag(write):
    record_set = write(a=[UNMASKED], b=[MASKED])
    with pytest.raises(InputError, match=r"b\.tfrecord are masked already.*Leave it out"):
        check_record_kind(record_set, infos_of(record_set), dynamic=True)


def test_what_is_no_example_is_named(write):
    record_set = write(a=[b"text"])
    with pytest.raises(InputError, match=r"a\.tfrecord, record 1: no tf\.train\.Example"):
        check_record_kind(record_set, {}, dynamic=False)


def test_without_information_they_cannot_be_masked(write):
    record_set = write(a=[UNMASKED], b=[UNMASKED])
    infos = infos_of(record_set)
    del infos[record_set.paths[1]]
    with pytest.raises(InputError, match=r"b\.tfrecord\.json is missing"):
        check_record_kind(record_set, infos, dynamic=True)


@pytest.mark.parametrize(
    "change",
    [
        {"mask_id": None},
        {"mask_id": -1},
        {"mask_id": 100},
        {"mask_id": True},
        {"num_ids": "100"},
        {"num_ids": 2**31},
        {"mask_units": "word"},
    ],
    ids=str,
)
def test_information_that_does_not_say_how_is_named(write, change):
    record_set = write(a=[UNMASKED])
    with pytest.raises(InputError, match=r"a\.tfrecord\.json does not say how"):
        check_record_kind(record_set, infos_of(record_set, change), dynamic=True)


def test_files_of_two_vocabularies_are_named(write):
    record_set = write(a=[UNMASKED], b=[UNMASKED])
    with pytest.raises(InputError, match=r"b\.tfrecord\.json gives mask_id as 5, but .*a\.tf.* 4"):
        check_record_kind(record_set, infos_of(record_set, {}, {"mask_id": 5}), dynamic=True)


def test_sound_records_match(write):
    check_unmasked_records_match(write(a=[UNMASKED] * 3, empty=[]), 8, vocab_size=100)


def test_another_length_is_named_with_the_flag(write):
    with pytest.raises(InputError, match=r"record 1: input_ids has 8 .*Give --max_seq_length=8"):
        check_unmasked_records_match(write(a=[UNMASKED]), 16, vocab_size=100)


def test_an_id_beyond_the_vocabulary_is_named(write):
    with pytest.raises(InputError, match="input_ids holds the id 99, but vocab_size is 99"):
        check_unmasked_records_match(write(a=[UNMASKED]), 8, vocab_size=99)


def test_a_missing_feature_is_named(write):
    with pytest.raises(InputError, match="record 1: the feature token_units is missing"):
        check_unmasked_records_match(write(a=[MASKED]), 8, vocab_size=100)


def test_units_that_mean_nothing_are_named(write):
    spoiled = UNMASKED.replace(b"\4\1\4\0\4", b"\4\x09\4\0\4")
    with pytest.raises(InputError, match="record 2: token_units holds 9, not under 8"):
        check_unmasked_record(write(a=[UNMASKED, spoiled]), 1, 8, vocab_size=100)


@pytest.fixture
def make(run_script, own, tmp_path, monkeypatch):
    """Runs create_pretraining_data on a small text, with --NAME=VALUE for each keyword."""
    monkeypatch.chdir(tmp_path)
    pathlib.Path("text.txt").write_text(TEXT)

    def run(**flags) -> subprocess.CompletedProcess:
        given = {
            "input_file": "text.txt",
            "vocab_file": own / "vocab.txt",
            "output_file": "out.tfrecord",
            "do_lower_case": False,
            "dynamic_masking": True,
            **flags,
        }
        return run_script(
            "bert/create_pretraining_data.py",
            *(f"--{name}={value}" for name, value in given.items()),
        )

    return run


def test_what_the_script_makes_passes(make, own):
    make(input_file=own / "sample.txt")
    record_set = RecordSet.scan(["out.tfrecord"])
    infos = {"out.tfrecord": json.loads(pathlib.Path("out.tfrecord.json").read_text())}
    check_record_kind(record_set, infos, dynamic=True)
    check_unmasked_records_match(record_set, 128, vocab_size=900)


def test_records_to_be_masked_later_have_units_and_no_masks(make, own):
    assert make(max_seq_length=16).returncode == 0
    words = (own / "vocab.txt").read_text().splitlines()
    records = list(read_records("out.tfrecord"))
    assert records
    for record in records:
        example = decode_example(record)
        assert tuple(example) == UNMASKED_FEATURE_NAMES
        tokens = [words[id_] for id_ in example["input_ids"][: sum(example["input_mask"])]]
        assert "[MASK]" not in tokens
        units = [
            4 if token in ("[CLS]", "[SEP]") else int(not token.startswith("##"))
            for token in tokens
        ]
        assert example["token_units"] == units + [0] * (16 - len(tokens))


def test_the_information_says_how_records_are_to_be_masked(make, own):
    make(input_file=own / "sample.txt")
    info = json.loads(pathlib.Path("out.tfrecord.json").read_text())
    assert info["dynamic_masking"] is True
    assert (info["mask_id"], info["num_ids"], info["mask_units"]) == (4, 900, ["token", "word"])
    assert info["dupe_factor"] == 1
    assert not {"mask_unit", "masked_lm_prob", "max_predictions_per_seq"} & set(info)


@pytest.mark.parametrize("dynamic_masking", [True, False])
def test_the_information_says_how_much_text_there_was(make, dynamic_masking):
    done = make(dynamic_masking=dynamic_masking)
    info = json.loads(pathlib.Path("out.tfrecord.json").read_text())
    assert info["characters"] == sum(map(len, TEXT.split("\n")))
    assert f" {info['sentences']} sentences, {info['tokens']} tokens, " in done.stderr
    assert info["dynamic_masking"] is dynamic_masking


def test_documents_are_used_once_where_masks_come_later(make):
    once = make()
    assert "--dupe_factor is 1, since with --dynamic_masking" in once.stderr
    count = len(list(read_records("out.tfrecord")))
    five = make(dupe_factor=5)
    assert "--dupe_factor is 1" not in five.stderr
    assert len(list(read_records("out.tfrecord"))) >= 4 * count


@pytest.mark.parametrize(
    "flag, value",
    [
        ("mask_unit", "token"),
        ("masked_lm_prob", 0.15),
        ("max_predictions_per_seq", 20),
        ("do_whole_word_mask", True),
    ],
)
def test_how_to_mask_is_not_said_where_masks_come_later(make, flag, value):
    done = make(**{flag: value})
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"ERROR: --{flag} has no meaning here" in done.stderr
    assert "run_pretraining.py" in done.stderr
    assert not os.path.exists("out.tfrecord")
