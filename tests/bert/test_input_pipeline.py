import itertools
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator

import numpy as np
import pytest
import tensorflow as tf

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
