"""The index of records: read once, opened at once from then on, never trusted blindly."""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from fabricated_records import data_of, fabricate

from deeq_bert.bert.record_index import open_records
from deeq_bert.bert.records import RecordSet, frame_record
from deeq_bert.bert.shuffling import shuffled_indexes
from deeq_bert.tokenizers.errors import InputError

COUNTS = {"a": 5, "empty": 0, "b": 7, "c": 3}


@pytest.fixture
def paths(tmp_path) -> list[str]:
    """Files of records, one of them without any."""
    rng = random.Random(0)
    return [
        write(tmp_path / f"{name}.tfrecord", [rng.randbytes(rng.randrange(90)) for _ in range(n)])
        for name, n in COUNTS.items()
    ]


@pytest.fixture
def folder(tmp_path) -> pathlib.Path:
    """Where the index goes; nothing is there yet."""
    return tmp_path / "made" / "index"


def write(path: pathlib.Path, data: list[bytes]) -> str:
    path.write_bytes(b"".join(map(frame_record, data)))
    return str(path)


def spoil(path: str, place: int = 20, like_new: bool = True) -> None:
    """Damages a byte; the time of change stays as it was unless `like_new` is false."""
    status = os.stat(path)
    content = bytearray(pathlib.Path(path).read_bytes())
    content[place] ^= 1
    pathlib.Path(path).write_bytes(content)
    if like_new:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def contents(records: RecordSet) -> list:
    """All that a set of records tells."""
    indexes = range(len(records))
    return [
        [records.read(index) for index in indexes],
        records.read_many(indexes),
        [records.location(index) for index in indexes],
        list(records.file_ranges()),
        records.skipped,
    ]


def opened(paths: list[str], folder, **arguments) -> list:
    with open_records(paths, folder and str(folder), **arguments) as records:
        return contents(records)


def scanned(paths: list[str], **arguments) -> list:
    with RecordSet.scan(paths, **arguments) as records:
        return contents(records)


def test_the_records_are_those_of_a_scan_the_first_time_and_the_next(paths, folder):
    assert opened(paths, folder) == scanned(paths)
    assert opened(paths, folder) == scanned(paths)


def test_the_index_is_three_files_that_numpy_and_json_read(paths, folder):
    opened(paths, folder)
    made = {path.name.partition(".")[2]: path for path in folder.iterdir()}
    assert set(made) == {"offsets.npy", "lengths.npy", "json"}
    with RecordSet.scan(paths) as records:
        lengths = [len(records.read(index)) for index in range(len(records))]
    assert np.load(made["lengths.npy"], allow_pickle=False).tolist() == lengths
    assert np.load(made["offsets.npy"], allow_pickle=False)[:2].tolist() == [12, 28 + lengths[0]]
    description = json.loads(made["json"].read_text())
    assert [file["records"] for file in description["files"]] == list(COUNTS.values())


def test_without_a_folder_nothing_is_written(paths, tmp_path):
    before = set(tmp_path.iterdir())
    assert opened(paths, None) == scanned(paths)
    assert set(tmp_path.iterdir()) == before


def test_progress_adds_up_to_the_size_of_the_files_each_time(paths, folder):
    size = sum(map(os.path.getsize, paths))
    for _ in range(2):
        passed = []
        open_records(paths, str(folder), progress=passed.append).close()
        assert sum(passed) == size
    (folder.parent.parent / "d.tfrecord").write_bytes(frame_record(b"more"))
    passed = []
    paths.append(str(folder.parent.parent / "d.tfrecord"))
    open_records(paths, str(folder), progress=passed.append).close()
    assert sum(passed) == size + 20


def test_opening_by_the_index_reads_no_record(paths, folder):
    opened(paths, folder)
    spoil(paths[0])
    with open_records(paths, str(folder)) as records:
        assert len(records) == sum(COUNTS.values())
        assert records.read(4)
        with pytest.raises(InputError, match=r"a\.tfrecord, record 1: .*, or remove the index"):
            records.read_many([4, 0])


def test_a_path_may_be_written_in_another_way(paths, folder, monkeypatch):
    opened(paths, folder)
    spoil(paths[0])
    monkeypatch.chdir(folder.parent)
    relative = [os.path.relpath(path) for path in paths]
    with open_records(relative, "index") as records:
        assert records.location(0) == (relative[0], 1)


def test_only_a_changed_file_is_read_again(paths, folder, tmp_path):
    opened(paths, folder)
    old = set(folder.iterdir())
    expected = scanned(paths)
    write(tmp_path / "b.tfrecord", [b"new", b"newer"])
    spoil(paths[0])
    with open_records(paths, str(folder)) as records:
        assert records.read_many([5, 6]) == [b"new", b"newer"]
        assert records.read_many([7, 8, 9]) == expected[1][12:]
        assert list(records.file_ranges())[2:] == [
            (paths[2], range(5, 7)),
            (paths[3], range(7, 10)),
        ]
    assert len(set(folder.iterdir())) == 3
    assert not old & set(folder.iterdir())


def test_a_file_written_again_is_read_again_though_its_size_is_the_same(paths, folder):
    opened(paths, folder)
    spoil(paths[2], like_new=False)
    with pytest.raises(InputError, match=r"b\.tfrecord, record 1"):
        opened(paths, folder)


def test_of_a_list_with_more_files_only_the_new_are_read(paths, folder, tmp_path):
    opened(paths, folder)
    spoil(paths[0])
    more = [write(tmp_path / "0.tfrecord", [b"x", b"y"]), *paths]
    with open_records(more, str(folder)) as records:
        assert records.read(1) == b"y"
        assert records.location(2) == (paths[0], 1)
        assert len(records) == 2 + sum(COUNTS.values())


def test_of_a_list_with_fewer_files_in_another_order_none_is_read(paths, folder):
    opened(paths, folder)
    expected = scanned([paths[3], paths[0]])
    spoil(paths[0])
    with open_records([paths[3], paths[0]], str(folder)) as records:
        assert records.read_many([0, 1, 2, 4]) == [expected[0][index] for index in (0, 1, 2, 4)]
        assert records.location(4) == (paths[0], 2)


def test_the_same_file_twice_counts_twice(paths, folder):
    for _ in range(2):
        assert opened([paths[0], paths[0]], folder) == scanned([paths[0], paths[0]])


@pytest.mark.parametrize("chosen", [[], ["empty"]], ids=["no file", "an empty file"])
def test_no_records_are_no_error(paths, folder, chosen):
    chosen = [path for path in paths if pathlib.Path(path).stem in chosen]
    for _ in range(2):
        assert opened(chosen, folder) == scanned(chosen)


def test_what_was_skipped_is_remembered(paths, folder):
    spoil(paths[2])
    spoil(paths[0], place=os.path.getsize(paths[0]) - 1)
    expected = scanned(paths, skip_bad_records=True)
    assert [skipped.count for skipped in expected[4].values()] == [1, 1]
    for _ in range(2):
        assert opened(paths, folder, skip_bad_records=True) == expected


def test_a_list_without_damage_has_one_index_whether_or_not_damage_may_be_skipped(paths, folder):
    opened(paths, folder, skip_bad_records=True)
    spoil(paths[0])
    open_records(paths, str(folder), skip_bad_records=False).close()
    assert len(list(folder.iterdir())) == 3


def test_damage_is_refused_though_an_index_without_the_damaged_record_is_there(paths, folder):
    spoil(paths[2])
    opened(paths, folder, skip_bad_records=True)
    with pytest.raises(InputError, match=r"b\.tfrecord, record 1: .*--skip_bad_records"):
        opened(paths, folder)


def test_after_refused_damage_nothing_is_left(paths, folder):
    spoil(paths[2])
    with pytest.raises(InputError):
        opened(paths, folder)
    assert list(folder.iterdir()) == []


def change_json(**changes):
    def change(folder: pathlib.Path) -> None:
        (path,) = folder.glob("*.json")
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


def change_file(**changes):
    def change(folder: pathlib.Path) -> None:
        (path,) = folder.glob("*.json")
        description = json.loads(path.read_text())
        description["files"][0].update(changes)
        path.write_text(json.dumps(description))

    return change


def rewrite(pattern: str, make):
    def change(folder: pathlib.Path) -> None:
        (path,) = folder.glob(pattern)
        path.write_bytes(make(path.read_bytes()))

    return change


def remove(pattern: str):
    return lambda folder: next(folder.glob(pattern)).unlink()


DAMAGE = {
    "no offsets": remove("*.offsets.npy"),
    "no lengths": remove("*.lengths.npy"),
    "an empty json": rewrite("*.json", lambda content: b""),
    "half a json": rewrite("*.json", lambda content: content[: len(content) // 2]),
    "no UTF-8": rewrite("*.json", lambda content: b"\xff" + content),
    "a deep json": rewrite("*.json", lambda content: b"[" * 100_000),
    "a list": rewrite("*.json", lambda content: b"[]"),
    "another format": change_json(format="something"),
    "another version": change_json(version=99),
    "another count": change_json(records=16),
    "no files": change_json(files=None),
    "a file of no kind": change_json(files=[7]),
    "another path": change_file(path="/elsewhere"),
    "another size": change_file(size=1),
    "a count that does not fit": change_file(records=6),
    "a negative count": change_file(records=-5),
    "a count that is none": change_file(records=True),
    "bad records of no kind": change_file(bad_records=["1"]),
    "offsets cut off": rewrite("*.offsets.npy", lambda content: content[:-1]),
    "only a header": rewrite("*.lengths.npy", lambda content: content[:128]),
    "less than a header": rewrite("*.lengths.npy", lambda content: content[:50]),
    "too many lengths": rewrite("*.lengths.npy", lambda content: content + bytes(4)),
    "another type": rewrite("*.lengths.npy", lambda content: content.replace(b"<u4", b"<f4")),
    "objects": rewrite("*.lengths.npy", lambda content: content.replace(b"'<u4'", b"'|O' ")),
    "a negative offset": rewrite(
        "*.offsets.npy", lambda content: content[:128] + b"\xff" * 8 + content[136:]
    ),
    "an end beyond the file": rewrite("*.lengths.npy", lambda content: content[:-1] + b"\x7f"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_index_is_told_and_made_anew(paths, folder, damage, caplog):
    opened(paths, folder)
    damage(folder)
    assert opened(paths, folder) == scanned(paths)
    assert "made anew" in caplog.text
    caplog.clear()
    assert opened(paths, folder) == scanned(paths)
    assert "made anew" not in caplog.text


@pytest.mark.parametrize(
    "pattern, row_bytes", [("*.offsets.npy", 8), ("*.lengths.npy", 4)], ids=["offset", "length"]
)
@pytest.mark.parametrize("value", [0, 1, 2**31 - 1, -1])
def test_a_wrong_row_is_found_when_its_record_is_read(paths, folder, pattern, row_bytes, value):
    opened(paths, folder)
    start = 128 + row_bytes
    row = value.to_bytes(row_bytes, "little", signed=True)
    rewrite(pattern, lambda old: old[:start] + row + old[start + row_bytes :])(folder)
    with open_records(paths, str(folder)) as records:
        assert records.read(0)
        for read in (records.read, lambda index: records.read_many([index])):
            with pytest.raises(InputError, match=r"a\.tfrecord, record 2"):
                read(1)


def test_a_folder_that_cannot_be_made_is_told_and_done_without(paths, tmp_path, caplog):
    (tmp_path / "file").touch()
    assert opened(paths, tmp_path / "file" / "index") == scanned(paths)
    assert "cannot be kept" in caplog.text


def test_an_index_that_cannot_be_written_to_is_used(paths, folder):
    opened(paths, folder)
    spoil(paths[0])
    folder.chmod(0o500)
    try:
        open_records(paths, str(folder)).close()
    finally:
        folder.chmod(0o700)


def test_a_missing_file_is_named(folder, tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.tfrecord: No such file"):
        open_records([str(tmp_path / "nowhere.tfrecord")], str(folder))


PROGRAM = """
import sys
from deeq_bert.bert.record_index import open_records
with open_records(sys.argv[2:], sys.argv[1]) as records:
    print(len(records), len(records.read_many(range(len(records)))))
"""


def start(folder, paths, program=PROGRAM, **keywords) -> subprocess.Popen:
    command = [sys.executable, "-c", program, str(folder), *paths]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **keywords)


def test_a_full_disk_is_told_and_done_without(paths, folder):
    # A limit on the size of files stands in for it; Python gets an error and no signal.
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))"
    process = start(folder, paths, limit + PROGRAM, stderr=subprocess.PIPE)
    stdout, stderr = process.communicate()
    assert stdout == "15 15\n"
    assert "cannot be kept" in stderr
    assert list(folder.iterdir()) == []


def test_a_scan_keeps_no_rows_in_memory(tmp_path, folder):
    count = 200_000
    path = write(tmp_path / "many.tfrecord", [b""] * count)
    tracemalloc.start()
    with open_records([path], str(folder)) as records:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(records) == count
    # What 65,536 rows take, and the buffer that the file is read through.
    assert peak < 12 * 65_536 * 1.2 + (1 << 20) < 12 * count


def test_several_processes_make_an_index_and_replace_it_at_once(paths, folder):
    for count in (15, 16):
        processes = [start(folder, paths, stderr=subprocess.PIPE) for _ in range(4)]
        results = [process.communicate() for process in processes]
        assert {stdout for stdout, _ in results} == {f"{count} {count}\n"}
        assert not any("cannot be kept" in stderr for _, stderr in results)
        assert len(list(folder.iterdir())) == 3
        write(pathlib.Path(paths[1]), [b"no longer empty"])


def test_an_index_that_appears_during_the_scan_is_left_in_its_place(paths, folder):
    made = []

    def another_process(_) -> None:
        if not made:
            made.append(True)
            opened(paths, folder)
            made.extend(path.stat().st_ino for path in sorted(folder.glob("records-*")))

    with open_records(paths, str(folder), progress=another_process) as records:
        assert contents(records) == scanned(paths)
    assert [path.stat().st_ino for path in sorted(folder.iterdir())] == made[1:]


def test_a_scan_that_was_killed_leaves_nothing_that_is_taken_for_an_index(paths, folder):
    program = """
import sys, time
from deeq_bert.bert.record_index import open_records
def progress(passed):
    print("halfway", flush=True)
    time.sleep(60)
open_records(sys.argv[2:], sys.argv[1], progress=progress)
"""
    process = start(folder, paths, program)
    assert process.stdout.readline() == "halfway\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert list(folder.iterdir())
    assert opened(paths, folder) == scanned(paths)
    assert len(list(folder.iterdir())) == 3


def test_a_resume_far_on_in_many_records_reads_those_of_its_position(tmp_path):
    step, batch, count = 1_000_000, 256, 20 * 50_000
    indexes = shuffled_indexes(step * batch, batch, count, seed=7)
    paths = fabricate(tmp_path, tmp_path / "index", 20, 50_000, indexes.tolist())
    with open_records(paths, str(tmp_path / "index")) as records:
        assert len(records) == count
        resumed = shuffled_indexes(step * batch, batch, len(records), seed=7)
        assert records.read_many(resumed.tolist()) == [data_of(index) for index in indexes]
        assert records.location(123_456) == (paths[2], 23_457)
        # The others are zeros, which a scan would have refused.
        with pytest.raises(InputError, match="record 23457"):
            records.read(123_456)
