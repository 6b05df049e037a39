"""Records that are masked when they are read: told apart from others, and checked."""

import json
import pathlib

import pytest

from deeq_bert.bert.examples import ExampleEncoder, UnmaskedExampleEncoder
from deeq_bert.bert.instances import TrainingInstance, UnmaskedInstance
from deeq_bert.bert.records import RecordSet, frame_record
from deeq_bert.bert.unmasked_records import (
    check_record_kind,
    check_unmasked_record,
    check_unmasked_records_match,
)
from deeq_bert.tokenizers.errors import InputError

MASKED = ExampleEncoder(8, 2, 100).encode(TrainingInstance([2, 9, 3, 8, 3], 3, [1], [7], False))
UNMASKED = UnmaskedExampleEncoder(8, 100).encode(
    UnmaskedInstance([2, 9, 3, 99, 3], b"\4\1\4\0\4", 3, False)
)
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


def test_what_the_script_makes_passes(run_script, own, tmp_path: pathlib.Path):
    path = tmp_path / "out.tfrecord"
    done = run_script(
        "bert/create_pretraining_data.py",
        f"--input_file={own / 'sample.txt'}",
        f"--vocab_file={own / 'vocab.txt'}",
        "--do_lower_case=False",
        "--dynamic_masking",
        f"--output_file={path}",
    )
    assert done.returncode == 0, done.stderr
    record_set = RecordSet.scan([str(path)])
    infos = {str(path): json.loads(pathlib.Path(f"{path}.json").read_text())}
    check_record_kind(record_set, infos, dynamic=True)
    check_unmasked_records_match(record_set, 128, vocab_size=900)
