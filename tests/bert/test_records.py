"""Records: framing as TensorFlow's, every damage found, every record in its place."""

import concurrent.futures
import pathlib
import random
import resource
import struct

import pytest
from instance_rows import TrainingInstance, encode_row

from deeq_bert.bert import records
from deeq_bert.bert.example_encoding import ExampleEncoder
from deeq_bert.bert.record_checks import check_records_match
from deeq_bert.bert.records import RecordSet, frame_record, read_records
from deeq_bert.tokenizers.errors import InputError

DATA = [b"first", b"", b"the third", b"4" * 300]


@pytest.fixture
def path(tmp_path) -> str:
    """A file that holds DATA."""
    return write(tmp_path / "some.tfrecord", DATA)


def write(path: pathlib.Path, data: list[bytes]) -> str:
    path.write_bytes(b"".join(map(frame_record, data)))
    return str(path)


def start_of(number: int) -> int:
    """Where record `number`, counted from 1, of a file that holds DATA starts."""
    return sum(len(data) + 16 for data in DATA[: number - 1])


def flip(path: str, place: int) -> None:
    content = bytearray(pathlib.Path(path).read_bytes())
    content[place] ^= 0x40
    pathlib.Path(path).write_bytes(content)


def test_frames_are_those_of_tensorflow():
    # What tf.io.TFRecordWriter makes of b"abc" and b"".
    assert frame_record(b"abc").hex() == "0300000000000000b099490e6162636e57f121"
    assert frame_record(b"").hex() == "000000000000000029039807d8ea82a2"


def test_records_are_read_in_order(path):
    assert list(read_records(path)) == DATA


def test_reading_in_order_stops_at_damage(path):
    flip(path, start_of(3) + 12)
    with pytest.raises(InputError, match=r"some\.tfrecord, record 3"):
        list(read_records(path))


def test_records_are_read_at_random(path, tmp_path):
    other = write(tmp_path / "other.tfrecord", [b"fifth", b"sixth"])
    with RecordSet.scan([path, other]) as record_set:
        assert len(record_set) == 6
        assert [record_set.read(index) for index in (5, 0, 4, 2)] == [
            b"sixth",
            b"first",
            b"fifth",
            b"the third",
        ]
        assert not record_set.skipped


@pytest.mark.parametrize("index", [-1, 4])
def test_there_is_nothing_beyond_the_ends(path, index):
    with RecordSet.scan([path]) as record_set, pytest.raises(IndexError):
        record_set.read(index)


def test_locations_are_counted_from_1_in_each_file(path, tmp_path):
    empty = write(tmp_path / "empty.tfrecord", [])
    other = write(tmp_path / "other.tfrecord", [b"fifth"])
    with RecordSet.scan([empty, path, empty, other, empty]) as record_set:
        assert record_set.location(0) == (path, 1)
        assert record_set.location(3) == (path, 4)
        assert record_set.location(4) == (other, 1)


def test_files_have_ranges_of_indexes(path, tmp_path):
    empty = write(tmp_path / "empty.tfrecord", [])
    with RecordSet.scan([path, empty, path]) as record_set:
        assert list(record_set.file_ranges()) == [
            (path, range(0, 4)),
            (empty, range(4, 4)),
            (path, range(4, 8)),
        ]


def test_an_empty_file_has_no_records(tmp_path):
    with RecordSet.scan([write(tmp_path / "empty.tfrecord", [])]) as record_set:
        assert len(record_set) == 0


def test_progress_adds_up_to_the_size_of_the_files(tmp_path):
    paths = [
        write(tmp_path / "large.tfrecord", [bytes(400_000)] * 8),
        write(tmp_path / "small.tfrecord", DATA),
    ]
    passed = []
    RecordSet.scan(paths, progress=passed.append).close()
    assert sum(passed) == sum(pathlib.Path(path).stat().st_size for path in paths)
    assert len(passed) > 2


def test_many_records_are_read_in_the_order_asked_for(path, tmp_path):
    empty = write(tmp_path / "empty.tfrecord", [])
    other = write(tmp_path / "other.tfrecord", [b"fifth", b"sixth"])
    indexes = [5, 0, 4, 0, 2, 3]
    with RecordSet.scan([empty, path, empty, other, empty]) as record_set:
        assert record_set.read_many(indexes) == list(map(record_set.read, indexes))
        assert record_set.read_many([]) == []


def test_many_records_are_read_where_the_system_takes_no_hints(path, monkeypatch):
    monkeypatch.setattr(records, "_WILL_NEED", None)
    with RecordSet.scan([path]) as record_set:
        assert record_set.read_many([3, 1]) == [DATA[3], DATA[1]]


@pytest.mark.parametrize("index", [-1, 4])
def test_of_many_records_none_is_beyond_the_ends(path, index):
    with RecordSet.scan([path]) as record_set, pytest.raises(IndexError):
        record_set.read_many([0, index])


def test_several_threads_read_at_once(tmp_path):
    rng = random.Random(0)
    data = [rng.randbytes(rng.randrange(2000)) for _ in range(500)]
    with (
        RecordSet.scan([write(tmp_path / "many.tfrecord", data)]) as record_set,
        concurrent.futures.ThreadPoolExecutor(8) as pool,
    ):
        assert list(pool.map(record_set.read, list(range(500)) * 4)) == data * 4
        parts = [range(start, 500, 8) for start in range(8)] * 4
        assert list(pool.map(record_set.read_many, parts)) == [
            data[part.start :: 8] for part in parts
        ]


def test_more_files_than_a_process_may_open_by_default_are_read(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    shards = [write(tmp_path / f"{shard}.tfrecord", [b"%d" % shard]) for shard in range(80)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, limits[1]))
    try:
        with RecordSet.scan(shards) as record_set:
            assert record_set.read(79) == b"79"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.tfrecord: No such file"):
        RecordSet.scan([str(tmp_path / "nowhere.tfrecord")])


def test_a_flip_of_any_bit_is_found(path):
    content = pathlib.Path(path).read_bytes()
    for place in range(len(content)):
        flip(path, place)
        with pytest.raises(InputError):
            RecordSet.scan([path])
        pathlib.Path(path).write_bytes(content)


def test_a_break_anywhere_inside_a_record_is_found(path):
    content = pathlib.Path(path).read_bytes()
    ends = {start_of(number) for number in range(1, 6)}
    for length in set(range(len(content))) - ends:
        pathlib.Path(path).write_bytes(content[:length])
        with pytest.raises(InputError, match="breaks off"):
            RecordSet.scan([path])


def test_damage_is_located_and_the_flag_that_passes_over_it_named(path):
    flip(path, start_of(3) + 15)
    with pytest.raises(InputError, match=r"some\.tfrecord, record 3: .*--skip_bad_records"):
        RecordSet.scan([path])


def test_a_file_of_another_kind_is_called_so(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("This is no TFRecord file.")
    with pytest.raises(InputError, match=r"record 1: .*expected an uncompressed TFRecord file"):
        RecordSet.scan([str(text)])


@pytest.mark.parametrize("length", [records.MAX_RECORD_BYTES + 1, 2**40, 2**64 - 1])
def test_an_absurd_length_is_refused_though_its_checksum_fits(path, length):
    header = struct.pack("<Q", length)
    # The checksum of a length is made as that of data.
    checksum = frame_record(header)[-4:]
    with open(path, "ab") as file:
        file.write(header + checksum + bytes(100))
    with pytest.raises(InputError, match="record 5: its length is"):
        RecordSet.scan([path])


def test_skipping_passes_over_damaged_data(path):
    flip(path, start_of(1) + 12)
    flip(path, start_of(3) + 12)
    with RecordSet.scan([path], skip_bad_records=True) as record_set:
        assert [record_set.read(index) for index in range(len(record_set))] == [DATA[1], DATA[3]]
        assert [record_set.location(index)[1] for index in range(2)] == [2, 4]
        skipped = record_set.skipped[path]
    assert (skipped.count, skipped.first_record, skipped.lost_bytes) == (2, 1, 0)
    assert "data" in skipped.reason


@pytest.mark.parametrize("place", [0, 9], ids=["length", "checksum of the length"])
def test_skipping_leaves_a_file_at_a_damaged_length(path, tmp_path, place):
    flip(path, start_of(3) + place)
    other = write(tmp_path / "other.tfrecord", [b"another file"])
    with RecordSet.scan([path, other], skip_bad_records=True) as record_set:
        assert [record_set.read(index) for index in range(len(record_set))] == [
            *DATA[:2],
            b"another file",
        ]
        skipped = record_set.skipped
    assert list(skipped) == [path]
    assert (skipped[path].count, skipped[path].first_record) == (1, 3)
    assert skipped[path].lost_bytes == start_of(5) - start_of(3)


def test_skipping_leaves_a_file_that_breaks_off(path):
    content = pathlib.Path(path).read_bytes()
    pathlib.Path(path).write_bytes(content[: start_of(4) + 20])
    with RecordSet.scan([path], skip_bad_records=True) as record_set:
        assert len(record_set) == 3
        assert record_set.skipped[path].first_record == 4
        assert "breaks off" in record_set.skipped[path].reason


def test_a_change_after_the_scan_is_found(path):
    with RecordSet.scan([path]) as record_set:
        flip(path, start_of(3) + 12)
        assert record_set.read(1) == DATA[1]
        for read in (record_set.read, lambda index: record_set.read_many([0, index])):
            with pytest.raises(InputError, match=r"some\.tfrecord, record 3: .*when the file was"):
                read(2)


INSTANCE = TrainingInstance([2, 5, 4, 3, 6, 3], 4, [2], [99], False)


def encode(max_seq_length=8, max_predictions_per_seq=2, instance=INSTANCE) -> bytes:
    return encode_row(ExampleEncoder(max_seq_length, max_predictions_per_seq, 200), instance)


def check(path: pathlib.Path, data: list[bytes], vocab_size: int = 100, **arguments) -> None:
    with RecordSet.scan([write(path, data)]) as record_set:
        check_records_match(record_set, 8, 2, vocab_size, **arguments)


def test_records_that_match_pass(tmp_path):
    check(tmp_path / "x", [encode()] * 3)


def test_no_records_match_anything(tmp_path):
    check(tmp_path / "x", [])


@pytest.mark.parametrize(
    "record, told",
    [
        (encode(max_seq_length=16), "16 values, but --max_seq_length is 8"),
        (encode(max_predictions_per_seq=5), "5 values, but --max_predictions_per_seq is 2"),
        (
            encode(instance=INSTANCE._replace(masked_lm_ids=[100])),
            "masked_lm_ids holds the id 100, but vocab_size is 100",
        ),
        (
            encode(instance=INSTANCE._replace(input_ids=[2, 5, 4, 3, 150, 3])),
            "input_ids holds the id 150, but vocab_size is 100",
        ),
        (
            encode(instance=INSTANCE._replace(masked_lm_positions=[9])),
            "masked_lm_positions holds 9, not under 8",
        ),
        (encode().replace(b"segment_ids", b"segment_xyz"), "feature segment_ids is missing"),
        (b"no example", "no tf.train.Example"),
    ],
    ids=["length", "predictions", "label", "id", "position", "missing", "no example"],
)
def test_a_record_that_does_not_match_is_named_with_both_values(tmp_path, record, told):
    with pytest.raises(InputError) as raised:
        check(tmp_path / "x", [record])
    assert told in str(raised.value)
    assert f"{tmp_path / 'x'}, record 1" in str(raised.value)


@pytest.mark.parametrize(
    "name, told", [("masked_lm_weights", "not floats"), ("input_ids", "not integers")]
)
def test_values_of_another_type_are_refused(tmp_path, name, told):
    tf = pytest.importorskip("tensorflow")
    example = tf.train.Example.FromString(encode())
    feature = example.features.feature[name]
    if name == "masked_lm_weights":
        feature.int64_list.value.extend([1, 0])
    else:
        feature.float_list.value.extend([1.0] * 8)
    with pytest.raises(InputError, match=told):
        check(tmp_path / "x", [example.SerializeToString()])


def test_the_first_record_of_each_file_is_looked_at(tmp_path):
    paths = [
        write(tmp_path / "good", [encode()] * 50),
        write(tmp_path / "bad", [encode(max_seq_length=16)] + [encode()] * 50),
    ]
    with RecordSet.scan(paths) as record_set, pytest.raises(InputError, match="bad, record 1"):
        check_records_match(record_set, 8, 2, 100, sample_size=1)


def test_records_all_over_a_file_are_looked_at(tmp_path):
    data = [encode()] * 150 + [encode(max_seq_length=16)] * 50
    with pytest.raises(InputError, match="record 1[56]"):
        check(tmp_path / "x", data, sample_size=20)
