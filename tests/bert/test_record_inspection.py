"""Files of records read to the end: what is wrong with them, and what they sum up to."""

import hashlib
import json
import pathlib

import pytest
from example_bytes import MASKED, UNMASKED, encode
from record_shards import make_set, write_info

from deeq_bert.bert import record_blocks, record_inspection
from deeq_bert.bert.example_checks import KnownIds
from deeq_bert.bert.record_inspection import (
    InspectionRules,
    inspect_file,
    inspect_sets,
    length_counts,
)
from deeq_bert.bert.records import frame_record, read_records

RULES = InspectionRules(100, KnownIds(2, 3, 4))
DESCENDING = [4, 1, 0]


def example(**changes) -> bytes:
    return encode(MASKED | changes)


@pytest.fixture
def write(tmp_path):
    """Writes a file of records, and what stands beside it if that is given."""

    def run(examples: list[bytes], **info) -> pathlib.Path:
        path = tmp_path / "train.tf"
        path.write_bytes(b"".join(map(frame_record, examples)))
        if info:
            info = {"bytes": path.stat().st_size, "tokenizer": {}} | info
            pathlib.Path(f"{path}.json").write_text(json.dumps(info))
        return path

    return run


def problems(path: pathlib.Path, rules=RULES) -> list[str]:
    return [
        problem.replace(f"{path.parent}/", "")
        for problem in inspect_file(rules, str(path)).problems
    ]


def test_sound_records_are_summed_up(write):
    report = inspect_file(RULES, str(write([example(), example(next_sentence_labels=[0])])))
    assert report.problems == []
    assert report.features["input_ids"] == 8 and report.features["masked_lm_ids"] == 3
    sums = report.sums
    assert (sums.records, sums.instance_tokens, sums.random_next, sums.predictions) == (2, 12, 1, 4)


def test_records_of_the_script_have_no_problem_and_are_as_it_says(sample_records):
    report = inspect_file(RULES._replace(num_ids=900), str(sample_records))
    assert report.problems == []
    assert report.sums.records == len(list(read_records(str(sample_records))))


def test_unmasked_records_have_no_problem(write):
    report = inspect_file(RULES, str(write([encode(UNMASKED)] * 3)))
    assert report.problems == []
    assert "token_units" in report.features and report.sums.records == 3


def test_masked_records_among_unmasked_ones_are_named(write):
    (problem,) = problems(write([encode(UNMASKED), example()]))
    assert problem == "train.tf, record 2: token_units must be 8 integers; there is none."


@pytest.mark.parametrize("name", ["ko_wwm", "edge", "ko_seq16", "one_doc", "ko_512_wwm"])
def test_records_of_the_original_have_no_problem(golden, tmp_path, name):
    import gzip

    path = tmp_path / "original.tf"
    packed = golden / "pretraining_data" / f"{name}.tfrecord.gz"
    path.write_bytes(gzip.decompress(packed.read_bytes()))
    assert inspect_file(InspectionRules(None, None), str(path)).problems == []


def test_the_record_of_a_fault_is_named(write):
    path = write([example(), example(masked_lm_positions=DESCENDING), example()])
    assert problems(path) == [
        "train.tf, record 2: masked_lm_positions must ascend; they are [4, 1]."
    ]


def test_of_many_faults_the_first_are_told_and_the_others_counted(write):
    path = write([example()] + [example(masked_lm_positions=DESCENDING)] * 10)
    assert problems(path)[1:] == [
        "train.tf, record 3: masked_lm_positions must ascend; they are [4, 1].",
        "train.tf, record 4: masked_lm_positions must ascend; they are [4, 1].",
        "train.tf: 7 more such records: masked_lm_positions must ascend.",
    ]


def test_what_is_no_example_is_named_and_the_others_are_checked(write):
    path = write([b"text", example(), b"more text"])
    first, second = problems(path)
    assert first.startswith("train.tf, record 1: it must be a tf.train.Example; ")
    assert second.startswith("train.tf, record 3: it must be a tf.train.Example; ")
    report = inspect_file(RULES, str(path))
    assert (report.sums.records, report.problem_records) == (1, 2)


def test_records_of_another_length_or_without_a_feature_are_named(write):
    longer = example(input_ids=[2, 10, 3, 11, 4, 3, 0, 0, 0])
    renamed = example().replace(b"masked_lm_ids", b"masked_lm_idz")
    assert problems(write([example(), longer, renamed])) == [
        "train.tf, record 2: input_ids must be 8 integers; there are 9 values.",
        "train.tf, record 3: masked_lm_ids must be 3 integers; there is none.",
    ]


def test_records_that_are_sound_but_not_as_usual_are_checked_one_by_one(write):
    # A field that readers skip.
    unusual = example() + b"\x10\x01"
    path = write([example(), unusual, example(next_sentence_labels=[0])])
    report = inspect_file(RULES, str(path))
    assert report.problems == []
    assert (report.sums.records, report.sums.random_next) == (3, 2)


def test_damaged_records_are_named_and_the_numbers_after_them_are_right(write):
    wrong = example(masked_lm_positions=DESCENDING)
    path = write([example(), example(), example(), wrong, example()])
    content = bytearray(path.read_bytes())
    size = len(frame_record(example()))
    for number in (1, 3):
        content[(number - 1) * size + 50] ^= 1
    path.write_bytes(content)

    found = problems(path)

    assert found == [
        "train.tf, record 1: the checksum of its data does not fit.",
        "train.tf: 1 more damaged records: 3.",
        "train.tf, record 4: masked_lm_positions must ascend; they are [4, 1].",
    ]
    assert inspect_file(RULES, str(path)).sums.records == 2


def test_a_file_that_breaks_off_is_told_with_what_is_lost(write):
    path = write([example()] * 3)
    path.write_bytes(path.read_bytes()[:-20])
    first, second = problems(path)
    assert first.startswith("train.tf, record 3: the file breaks off after")
    assert second.startswith("train.tf: its last ")


@pytest.mark.parametrize("content", [b"", b"a sentence a line\n" * 100], ids=["empty", "text"])
def test_files_without_records_are_told(write, content):
    path = write([])
    path.write_bytes(content)
    assert problems(path)[0].startswith("train.tf")


def test_a_file_that_is_not_there_is_told(tmp_path):
    (problem,) = problems(tmp_path / "nosuch")
    assert "nosuch" in problem


def test_what_stands_beside_is_compared(write):
    true = {
        "records": 2,
        "max_seq_length": 8,
        "max_predictions_per_seq": 3,
        "dynamic_masking": False,
        "instance_tokens": 12,
        "random_next": 2,
        "predictions": 4,
        "length_counts": length_counts([0] * 6 + [2, 0, 0]),
    }
    path = write([example()] * 2, **true)
    assert problems(path) == []
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert problems(write([example()] * 2, sha256=digest)) == []

    for name, value in (true | {"sha256": digest}).items():
        wrong = value + 1 if isinstance(value, int) else value[:-1]
        (problem,) = problems(write([example()] * 2, **{name: wrong}))
        assert problem.startswith(f"train.tf.json gives {name} as {wrong}, but train.tf has ")


def test_what_stands_beside_may_be_about_another_file_or_damaged(write):
    assert problems(write([example()], bytes=7))[0].startswith(
        "train.tf.json is not about train.tf"
    )
    path = write([example()])
    pathlib.Path(f"{path}.json").write_text("{")
    assert problems(path)[0].startswith("train.tf.json does not say how train.tf was made")


def test_masks_are_limited_by_the_share_that_stands_beside(write):
    path = write([example()], masked_lm_prob=0.15, mask_unit="token")
    assert "no more masks than masked_lm_prob 0.15" in problems(path)[0]


def test_blocks_change_nothing(sample_records, monkeypatch):
    whole = inspect_file(RULES._replace(num_ids=900), str(sample_records))
    monkeypatch.setattr(record_blocks, "_BLOCK_BYTES", 1_500)
    assert inspect_file(RULES._replace(num_ids=900), str(sample_records)) == whole


def test_blocks_change_nothing_where_records_are_damaged(write, monkeypatch):
    path = write(
        [example(masked_lm_positions=[4 - 3 * (number % 2), 4, 0]) for number in range(20)]
    )
    content = bytearray(path.read_bytes())
    content[-10] ^= 1
    path.write_bytes(content)
    whole = inspect_file(RULES, str(path))
    monkeypatch.setattr(record_inspection, "_BLOCK_BYTES", 1_000)
    assert inspect_file(RULES, str(path)) == whole


@pytest.mark.parametrize("max_seq_length", [8, 16, 100, 128])
def test_length_counts_have_each_length_once(max_seq_length):
    counts = length_counts([0] + [1] * max_seq_length)
    assert len(counts) == 16 and sum(counts) == max_seq_length
    assert max(counts) - min(counts) <= 1


def inspect(paths) -> list[str]:
    reports = [inspect_file(RULES._replace(num_ids=900), str(path)) for path in paths]
    assert [report.problems for report in reports] == [[]] * len(paths)
    return list(inspect_sets(reports))


def test_a_set_is_compared_with_what_stands_beside_it(sample_records, tmp_path):
    shards = make_set(sample_records, tmp_path, 2)
    assert inspect(shards) == []
    info = json.loads((tmp_path / "train.tf.json").read_text())

    write_info(tmp_path / "train.tf", info | {"records": 7})

    (problem,) = inspect(shards)
    assert problem.startswith(
        f"{tmp_path}/train.tf.json gives records as 7, but {tmp_path}/train.tf"
    )
    # Of a part of the set nothing is known.
    assert inspect(shards[:1]) == []


def test_shards_of_other_lengths_are_told(write, tmp_path):
    names = [tmp_path / f"short.tf-0000{number}-of-00002" for number in range(2)]
    write([example()]).rename(names[0])
    longer = {name: MASKED[name] + [0] * 8 for name in ("input_ids", "input_mask", "segment_ids")}
    write([example(**longer)]).rename(names[1])
    (problem,) = inspect(names)
    assert "have 8, 8, 8, 3, 3, 3, 1 values and of the other 16, 16, 16, 3" in problem
