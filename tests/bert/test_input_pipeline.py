import contextlib
import itertools
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator

import numpy as np
import pytest
import tensorflow as tf

from deeq_bert.bert.dynamic_masking import DynamicMasking
from deeq_bert.bert.examples import decode_example
from deeq_bert.bert.input_pipeline import Batch, RecordBatches
from deeq_bert.bert.records import RecordSet, frame_record
from deeq_bert.tokenizers.errors import InputError

SEED = 5


@pytest.fixture(scope="module")
def records(sample_records) -> RecordSet:
    return RecordSet.scan([str(sample_records)])


@pytest.fixture(scope="module")
def batches(records) -> RecordBatches:
    return RecordBatches(records, 128, 20, vocab_size=900)


@pytest.fixture(scope="module")
def rows(records) -> list[tuple]:
    """What tells the records apart: all their ids and masked positions."""
    examples = [decode_example(records.read(index)) for index in range(len(records))]
    return [(*e["input_ids"], *e["masked_lm_positions"]) for e in examples]


@pytest.fixture(scope="module")
def unmasked_records(run_script, repository, tmp_path_factory) -> RecordSet:
    """Some records of the sample that are to be masked when they are read."""
    own = repository / "tests" / "data" / "own"
    path = tmp_path_factory.mktemp("unmasked") / "sample.tfrecord"
    completed = run_script(
        "bert/create_pretraining_data.py",
        f"--input_file={own / 'sample.txt'}",
        f"--vocab_file={own / 'vocab.txt'}",
        "--do_lower_case=False",
        "--dynamic_masking",
        "--dupe_factor=2",
        f"--output_file={path}",
    )
    assert completed.returncode == 0, completed.stderr
    return RecordSet.scan([str(path)])


@pytest.fixture(scope="module")
def masked_here(unmasked_records) -> RecordBatches:
    masking = DynamicMasking(4, 900, "word", 0.15, 20, SEED)
    return RecordBatches(unmasked_records, 128, 20, 900, masking)


@pytest.fixture(scope="module", params=["masked before", "masked here"])
def either(request) -> RecordBatches:
    """Batches of records of either kind."""
    return request.getfixturevalue({"masked before": "batches"}.get(request.param, "masked_here"))


def values_of(batches: Iterator[Batch], batch_count: int) -> list[dict[str, np.ndarray]]:
    """The next batches, as arrays; there is no reading on."""
    with contextlib.closing(batches):
        return [
            {name: value.numpy() for name, value in batch.items()}
            for batch in itertools.islice(batches, batch_count)
        ]


def assert_same(batch: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert batch.keys() == other.keys()
    for name, values in batch.items():
        np.testing.assert_array_equal(values, other[name], err_msg=name)


def unmasked(batch: dict[str, np.ndarray]) -> np.ndarray:
    """The ids as they were before masking."""
    ids = batch["input_ids"].copy()
    rows, places = np.nonzero(batch["masked_lm_weights"])
    ids[rows, batch["masked_lm_positions"][rows, places]] = batch["masked_lm_ids"][rows, places]
    return ids


def rows_of(batches: Iterator[Batch], batch_count: int) -> list[tuple]:
    return [
        (*ids, *positions)
        for batch in itertools.islice(batches, batch_count)
        for ids, positions in zip(
            batch["input_ids"].numpy().tolist(), batch["masked_lm_positions"].numpy().tolist()
        )
    ]


def test_a_batch_holds_the_features_of_its_records(records, batches):
    (batch,) = batches.for_evaluation(3, 1)

    for index in range(3):
        for name, values in decode_example(records.read(index)).items():
            np.testing.assert_array_equal(batch[name][index], values)
    assert {name: value.dtype for name, value in batch.items() if value.dtype != tf.int32} == {
        "masked_lm_weights": tf.float32,
        "example_weights": tf.float32,
    }


def test_every_pass_is_another_order_of_all_records(batches, rows):
    assert len(rows) == 242
    seen = rows_of(batches.for_training(22, 0, SEED), 33)

    passes = [seen[start : start + 242] for start in (0, 242, 484)]
    assert all(sorted(one) == sorted(rows) for one in passes)
    assert passes[0] != passes[1] != passes[2] != rows


def test_passes_follow_each_other_within_a_batch(batches, rows):
    seen = rows_of(batches.for_training(100, 0, SEED), 5)

    assert sorted(seen[:242]) == sorted(rows)
    assert sorted(seen[242:484]) == sorted(rows)


@pytest.mark.parametrize("position", [16, 240, 16 * 31])
def test_a_run_that_starts_at_a_position_goes_on_as_one_that_passed_it(batches, position):
    whole = rows_of(batches.for_training(16, 0, SEED), 40)

    assert rows_of(batches.for_training(16, position, SEED), 5) == whole[position:][:80]


def test_the_order_depends_on_the_seed_and_not_on_the_batch(batches):
    order = rows_of(batches.for_training(16, 0, SEED), 3)

    assert rows_of(batches.for_training(8, 0, SEED), 6) == order
    assert rows_of(batches.for_training(16, 0, SEED + 1), 3) != order


def test_evaluation_reads_each_record_once_and_fills_up_the_last_batch(batches, rows):
    dataset = list(batches.for_evaluation(100, 100))

    weights = np.concatenate([batch["example_weights"] for batch in dataset])
    np.testing.assert_array_equal(weights, [1.0] * 242 + [0.0] * 58)
    assert not dataset[-1]["masked_lm_weights"].numpy()[42:].any()
    assert rows_of(batches.for_evaluation(100, 100), 3)[:242] == rows


def test_evaluation_stops_at_the_most_batches(batches):
    assert len(list(batches.for_evaluation(8, 4))) == 4


def test_an_id_beyond_the_vocabulary_names_record_and_sizes(records, sample_records):
    largest = max(decode_example(records.read(0))["input_ids"])
    batches = RecordBatches(records, 128, 20, vocab_size=largest)

    with pytest.raises(InputError, match=f"{sample_records}, record 1: .*vocab_size is {largest}"):
        next(batches.for_evaluation(4, 1))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("masked_lm_positions", 128),
        ("masked_lm_positions", -3),
        ("next_sentence_labels", 7),
        ("segment_ids", 5),
        ("input_mask", 9),
    ],
)
def test_a_value_out_of_range_names_its_record(records, tmp_path, name, value):
    example = tf.train.Example.FromString(records.read(0))
    example.features.feature[name].int64_list.value[0] = value
    path = tmp_path / "spoiled.tfrecord"
    path.write_bytes(frame_record(records.read(1)) + frame_record(example.SerializeToString()))
    batches = RecordBatches(RecordSet.scan([str(path)]), 128, 20, vocab_size=900)

    with pytest.raises(InputError, match=f"{path}, record 2: {name} holds {value}, "):
        next(batches.for_evaluation(2, 1))


def test_a_record_changed_after_the_scan_is_named(sample_records, tmp_path):
    path = tmp_path / "changing.tfrecord"
    path.write_bytes(sample_records.read_bytes())
    records = RecordSet.scan([str(path)])
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.write_bytes(content)

    with pytest.raises(InputError, match=f"{path}, record 1"):
        next(RecordBatches(records, 128, 20, vocab_size=900).for_evaluation(4, 1))


def test_a_record_of_another_length_is_named_with_the_flag(records, tmp_path):
    path = tmp_path / "other.tfrecord"
    path.write_bytes(frame_record(records.read(0)))
    batches = RecordBatches(RecordSet.scan([str(path)]), 64, 20, vocab_size=900)

    with pytest.raises(InputError, match=f"{path}, record 1: .*--max_seq_length"):
        next(batches.for_evaluation(1, 1))


def test_records_masked_here_make_batches_of_the_same_form(batches, masked_here):
    forms = [
        {name: (value.shape, value.dtype) for name, value in batch.items()}
        for made in (batches, masked_here)
        for batch in made.for_evaluation(4, 1)
    ]
    assert forms[0] == forms[1]


def test_masks_hide_what_the_record_holds(unmasked_records, masked_here):
    (batch,) = values_of(masked_here.for_evaluation(len(unmasked_records), 1), 1)
    records = [
        decode_example(unmasked_records.read(index)) for index in range(len(unmasked_records))
    ]
    np.testing.assert_array_equal(unmasked(batch), [record["input_ids"] for record in records])
    for name in ("input_mask", "segment_ids", "next_sentence_labels"):
        np.testing.assert_array_equal(batch[name], [record[name] for record in records])
    assert (batch["input_ids"] != unmasked(batch)).any(axis=1).mean() > 0.9


def test_every_pass_has_other_masks(unmasked_records, masked_here):
    count = len(unmasked_records)
    passes = [{}, {}]
    for number, batch in enumerate(values_of(masked_here.for_training(count, 0, SEED), 2)):
        for ids, positions in zip(unmasked(batch).tolist(), batch["masked_lm_positions"].tolist()):
            passes[number][tuple(ids)] = positions
    assert passes[0].keys() == passes[1].keys()
    same = [passes[0][ids] == passes[1][ids] for ids in passes[0]]
    assert np.mean(same) < 0.1


def test_evaluation_has_the_same_masks_every_time(masked_here):
    first, second = (values_of(masked_here.for_evaluation(16, 3), 3) for _ in range(2))
    for batch, other in zip(first, second):
        assert_same(batch, other)


def test_a_run_that_goes_on_has_the_masks_of_one_that_did_not_stop(unmasked_records, masked_here):
    # The epoch ends in the middle of a batch.
    position = len(unmasked_records) - len(unmasked_records) % 16
    whole = values_of(masked_here.for_training(16, 0, SEED), position // 16 + 3)
    for batch, other in zip(whole[-3:], values_of(masked_here.for_training(16, position, SEED), 3)):
        assert_same(batch, other)


def test_another_batch_size_has_the_same_masks(masked_here):
    large, *_ = values_of(masked_here.for_training(48, 96, SEED), 1)
    small = values_of(masked_here.for_training(16, 96, SEED), 3)
    together = {name: np.concatenate([batch[name] for batch in small]) for name in large}
    assert_same(large, together)


@pytest.mark.parametrize("part", [slice(0, 8), slice(8, 24), slice(23, 24)])
def test_a_part_of_the_batches_is_those_rows_of_them(either, part):
    whole = values_of(either.for_training(24, 216, SEED), 4)
    for batch, rows in zip(whole, values_of(either.for_training(24, 216, SEED, part), 4)):
        assert_same(rows, {name: values[part] for name, values in batch.items()})


def test_a_part_of_an_evaluation_is_filled_up_where_the_whole_is(records, batches):
    whole = values_of(batches.for_evaluation(40, 100), 7)
    for part in (slice(0, 20), slice(20, 40)):
        rows = values_of(batches.for_evaluation(40, 100, part), 7)
        for batch, row in zip(whole, rows, strict=True):
            np.testing.assert_array_equal(row["example_weights"], batch["example_weights"][part])
            real = row["example_weights"] == 1.0
            for name, values in row.items():
                np.testing.assert_array_equal(values[real], batch[name][part][real])
    # 242 records: the second part of the last batch has nothing but fillers.
    assert not rows[-1]["example_weights"].any() and not rows[-1]["masked_lm_weights"].any()


def test_a_part_reads_no_other_records(records, tmp_path):
    path = tmp_path / "damaged.tfrecord"
    path.write_bytes(b"".join(frame_record(records.read(index)) for index in range(4)))
    damaged = RecordSet.scan([str(path)])
    with open(path, "r+b") as file:
        file.seek(20)
        file.write(b"damage")
    batches = RecordBatches(damaged, 128, 20, vocab_size=900)

    assert len(values_of(batches.for_evaluation(4, 1, slice(1, 4)), 1)) == 1
    with pytest.raises(InputError, match=f"{path}, record 1"):
        next(batches.for_evaluation(4, 1, slice(0, 1)))


def test_batches_before_a_bad_record_come_before_the_error(records, tmp_path):
    path = tmp_path / "damaged.tfrecord"
    path.write_bytes(b"".join(frame_record(records.read(index)) for index in range(6)))
    damaged = RecordSet.scan([str(path)])
    os.truncate(path, path.stat().st_size - 8)
    batches = RecordBatches(damaged, 128, 20, vocab_size=900).for_evaluation(2, 10)

    assert len(list(itertools.islice(batches, 2))) == 2
    with pytest.raises(InputError, match=f"{path}, record 6"):
        next(batches)


def test_an_unmasked_value_out_of_range_names_its_record(unmasked_records, tmp_path):
    example = tf.train.Example.FromString(unmasked_records.read(0))
    example.features.feature["token_units"].int64_list.value[3] = 8
    path = tmp_path / "spoiled.tfrecord"
    path.write_bytes(
        frame_record(unmasked_records.read(1)) + frame_record(example.SerializeToString())
    )
    masking = DynamicMasking(4, 900, "token", 0.15, 20, SEED)
    batches = RecordBatches(RecordSet.scan([str(path)]), 128, 20, 900, masking)

    with pytest.raises(InputError, match=f"{path}, record 2: token_units holds 8, "):
        next(batches.for_evaluation(2, 1))


def test_masks_of_more_ids_than_the_model_has_are_refused(unmasked_records):
    masking = DynamicMasking(4, 900, "token", 0.15, 20, SEED)
    with pytest.raises(InputError, match="vocabulary of 900 tokens, .* vocab_size is 899"):
        RecordBatches(unmasked_records, 128, 20, 899, masking)


def test_batches_can_be_left_and_entered_elsewhere(batches, rows):
    before = threading.active_count()
    for position in (0, 160, 32, 242 * 1000):
        iterator = batches.for_training(16, position, SEED)
        next(iterator)
        iterator.close()
    assert threading.active_count() == before
    assert (
        rows_of(batches.for_training(16, 32, SEED), 1)
        == rows_of(batches.for_training(16, 0, SEED), 3)[32:]
    )


def test_closing_ends_the_reading_thread(batches):
    before = threading.active_count()
    iterator = batches.for_training(16, 0, SEED)
    next(iterator)
    assert threading.active_count() == before + 1

    iterator.close()

    assert threading.active_count() == before


def test_a_process_ends_though_batches_are_still_being_read(sample_records):
    program = textwrap.dedent(f"""
        from deeq_bert.bert.input_pipeline import Batch, RecordBatches
        from deeq_bert.bert.records import RecordSet
        records = RecordSet.scan([{str(sample_records)!r}])
        left_open = RecordBatches(records, 128, 20, 900).for_training(16, 0, 1)
        next(left_open)
    """)
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def parts_of(batches: Iterator[Batch], batch_count: int) -> list[list[tuple]]:
    """What the examples of each batch hold, without their padding."""
    return [
        [
            (
                *batch["input_ids"][row, : np.count_nonzero(batch["input_mask"][row])],
                *batch["masked_lm_positions"][row][batch["masked_lm_weights"][row] > 0],
                *batch["masked_lm_ids"][row][batch["masked_lm_weights"][row] > 0],
                batch["segment_ids"][row].sum(),
                *batch["next_sentence_labels"][row],
            )
            for row in range(len(batch["input_ids"]))
        ]
        for batch in values_of(batches, batch_count)
    ]


def test_batches_of_like_lengths_lose_nothing_but_padding(either):
    # As many passes as there are in a window; the records come in other batches.
    count = len(either._records)
    batch_count = 3 * count // 11
    usual = parts_of(either.for_training(11, 0, SEED), batch_count)
    bucketed = parts_of(either.for_training(11, 0, SEED, length_buckets=True), batch_count)

    assert usual != bucketed
    for start in range(0, 3 * count, count):
        examples = [
            sorted(list(itertools.chain(*batches))[start : start + count])
            for batches in (usual, bucketed)
        ]
        assert examples[0] == examples[1]


def test_batches_of_like_lengths_are_shorter(either):
    bucketed = values_of(either.for_training(11, 0, SEED, length_buckets=True), 22)

    sizes = {(batch["input_ids"].shape[1], batch["masked_lm_ids"].shape[1]) for batch in bucketed}
    assert len(sizes) > 1
    for batch in bucketed:
        for name in ("input_mask", "segment_ids"):
            assert batch[name].shape == batch["input_ids"].shape
        for name in ("masked_lm_positions", "masked_lm_weights"):
            assert batch[name].shape == batch["masked_lm_ids"].shape


@pytest.mark.parametrize("position", [8, 240, 8 * 63, 8 * 64, 8 * 65, 3 + 8 * 70])
def test_a_run_goes_on_in_the_middle_of_a_window(either, position):
    start = position % 8
    whole = values_of(either.for_training(8, start, SEED, length_buckets=True), 75)

    again = values_of(either.for_training(8, position, SEED, length_buckets=True), 3)

    for batch, other in zip(whole[position // 8 :], again):
        assert_same(batch, other)


@pytest.mark.parametrize("part", [slice(0, 8), slice(8, 24), slice(23, 24)])
def test_all_parts_of_a_batch_are_of_its_length(either, part):
    whole = values_of(either.for_training(24, 0, SEED, length_buckets=True), 8)
    rows = values_of(either.for_training(24, 0, SEED, part, length_buckets=True), 8)
    for batch, of_part in zip(whole, rows):
        assert_same(of_part, {name: values[part] for name, values in batch.items()})


def test_a_bad_record_in_a_window_is_named(records, tmp_path):
    path = tmp_path / "other.tfrecord"
    path.write_bytes(frame_record(records.read(0)))
    batches = RecordBatches(RecordSet.scan([str(path)]), 64, 20, vocab_size=900)

    with pytest.raises(InputError, match=f"{path}, record 1: .*--max_seq_length"):
        next(batches.for_training(1, 0, SEED, length_buckets=True))


def test_a_masked_position_that_would_be_cut_off_is_refused(records, tmp_path):
    example = tf.train.Example.FromString(
        min((records.read(index) for index in range(len(records))), key=length_of)
    )
    example.features.feature["masked_lm_positions"].int64_list.value[0] = 127
    path = tmp_path / "spoiled.tfrecord"
    path.write_bytes(frame_record(example.SerializeToString()))
    batches = RecordBatches(RecordSet.scan([str(path)]), 128, 20, vocab_size=900)

    with pytest.raises(InputError, match=f"{path}, record 1 .* Leave out --length_buckets"):
        next(batches.for_training(1, 0, SEED, length_buckets=True))


def length_of(record: bytes) -> int:
    return sum(decode_example(record)["input_mask"])
