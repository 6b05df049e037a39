"""Shards of records: what they depend on, which are made again, and which are left alone."""

import collections
import dataclasses
import json
import os
import pathlib
import socket
import subprocess
import sys

import pytest

from deeq_bert.bert import record_shards
from deeq_bert.bert.examples import decode_example
from deeq_bert.bert.record_making import RecordSettings, SequenceLength
from deeq_bert.bert.record_shards import Shard, ShardMaker, ShardRun
from deeq_bert.bert.records import read_records
from deeq_bert.tokenizers.base import TokenizerSettings
from deeq_bert.tokenizers.errors import InputError

COUNT = 3
SHORT, LONG = SequenceLength(32, 5), SequenceLength(64, 10)


@pytest.fixture
def settings(own) -> RecordSettings:
    return RecordSettings(
        TokenizerSettings("wordpiece", str(own / "vocab.txt"), do_lower_case=False),
        {"contract_version": 1},
        (SHORT,),
        mask_unit="token",
        masked_lm_prob=0.15,
        short_seq_prob=0.1,
        dupe_factor=2,
        random_seed=1,
    )


@pytest.fixture
def text(own, tmp_path, monkeypatch) -> list[str]:
    """The sample text in two files, in an empty folder that becomes the current one."""
    monkeypatch.chdir(tmp_path)
    lines = (own / "sample.txt").read_text(encoding="utf-8").splitlines(keepends=True)
    names = ["first.txt", "second.txt"]
    for name, part in zip(names, (lines[:40], lines[40:])):
        pathlib.Path(name).write_text("".join(part) + "\n", encoding="utf-8")
    os.mkdir("out")
    return names


def plan(
    text: list[str], settings: RecordSettings, count: int = COUNT, output: str = "out/{length}.tf"
) -> tuple[ShardRun, list[Shard]]:
    shards = record_shards.plan_shards(text, settings, count, None, False)
    return record_shards.shard_run(text, settings, output, count), shards


def make(run: ShardRun, shards: list[Shard]) -> list[list[dict]]:
    """Makes the shards and what stands beside the sets."""
    maker = ShardMaker(run)
    infos = [maker.make(shard) for shard in shards]
    maker.close()
    record_shards.finish_sets(run, infos)
    return infos


def contents(folder: str = "out") -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in pathlib.Path(folder).iterdir()}


def records_in(folder: str = "out") -> dict[str, bytes]:
    return {name: data for name, data in contents(folder).items() if not name.endswith(".json")}


def test_the_order_in_which_shards_are_made_changes_nothing(text, settings):
    run, shards = plan(text, settings)
    make(run, shards)
    in_order = records_in()
    maker = ShardMaker(run)
    for shard in reversed(shards):
        maker.make(shard)
    assert records_in() == in_order
    assert sorted(in_order) == [f"32.tf-0000{number}-of-00003" for number in range(3)]


def test_every_document_is_used_dupe_factor_times(settings, own, tmp_path):
    # Each document begins with a pair of tokens of its own, and fits into an instance, so that
    # segment A is the whole document, or the part before a random next sentence.
    vocabulary = (own / "vocab.txt").read_text(encoding="utf-8").split("\n")
    whole_words = [word for word in vocabulary if len(word) == 1 and word.isalpha()][:20]
    pairs = [(first, second) for first in whole_words for second in whole_words]
    path = tmp_path / "text.txt"
    path.write_text("".join(f"{a} {b} .\n{a} ,\n\n" for a, b in pairs), encoding="utf-8")
    unmasked = dataclasses.replace(
        settings, mask_unit=None, dupe_factor=3, lengths=(SequenceLength(128, 20),)
    )
    run, shards = plan([str(path)], unmasked, 5, str(tmp_path / "out.tf"))
    make(run, shards)
    ids = {word: number for number, word in enumerate(vocabulary)}
    begins = collections.Counter()
    for shard in shards:
        for record in read_records(run.outputs[0].shard_path(shard)):
            begins[tuple(decode_example(record)["input_ids"][1:4])] += 1
    counts = {(a, b): begins[ids[a], ids[b], ids["."]] for a, b in pairs}
    assert set(counts.values()) == {3}


def test_several_lengths_are_as_if_each_were_made_by_itself(text, settings):
    both = dataclasses.replace(settings, lengths=(SHORT, LONG))
    make(*plan(text, both))
    os.mkdir("single")
    for length in (SHORT, LONG):
        alone = dataclasses.replace(settings, lengths=(length,))
        make(*plan(text, alone, output="single/{length}.tf"))
    assert records_in() == records_in("single")
    assert len(records_in()) == 2 * COUNT


def test_shards_of_blank_lines_are_empty(settings, tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("\n" * 1000 + "오늘은 간다.\n내일도 간다.\n")
    run, shards = plan([str(path)], settings, 4, str(tmp_path / "out.tf"))
    infos = make(run, shards)
    assert sorted(info["records"] > 0 for (info,) in infos) == [False, False, False, True]


def test_a_set_tells_what_its_shards_add_up_to(text, settings):
    infos = [info for (info,) in make(*plan(text, settings))]
    total = json.loads(pathlib.Path("out/32.tf.json").read_text())
    for name in ("records", "bytes", "documents", "sentences", "tokens", "predictions"):
        assert total[name] == sum(info[name] for info in infos), name
    assert [entry["sha256"] for entry in total["shards"]] == [info["sha256"] for info in infos]
    assert not {"sha256", "shard", "text"} & set(total)


CHANGES = {
    "random_seed": 2,
    "dupe_factor": 3,
    "masked_lm_prob": 0.2,
    "short_seq_prob": 0.2,
    "mask_unit": "word",
    "lengths": (SequenceLength(32, 6),),
    "contract": {"contract_version": 1, "vocab_sha256": "another"},
}


@pytest.mark.parametrize("name", CHANGES)
def test_shards_made_with_other_settings_are_refused(text, settings, name):
    make(*plan(text, settings))
    before = contents()
    run, _ = plan(text, dataclasses.replace(settings, **{name: CHANGES[name]}))
    with pytest.raises(InputError, match="32.tf-00000-of-00003 is there already.*--overwrite"):
        record_shards.prepare_outputs(run, COUNT, overwrite=False)
    assert contents() == before


def touch(text: list[str]) -> list[str]:
    os.utime(text[0], ns=(1, 1))
    return text


@pytest.mark.parametrize(
    "change", [touch, lambda text: text[::-1], lambda text: text[:1], lambda text: text * 2]
)
def test_shards_made_of_other_text_are_refused(text, settings, change):
    make(*plan(text, settings))
    run, _ = plan(change(text), settings)
    with pytest.raises(InputError, match="is there already"):
        record_shards.prepare_outputs(run, COUNT, overwrite=False)


def test_shards_of_a_set_of_another_size_are_refused_or_removed(text, settings):
    make(*plan(text, settings))
    run, shards = plan(text, settings, 2)
    with pytest.raises(InputError, match="is there already"):
        record_shards.prepare_outputs(run, 2, overwrite=False)
    record_shards.prepare_outputs(run, 2, overwrite=True)
    assert contents() == {}
    make(run, shards)
    assert len(contents()) == 5


def test_only_files_of_the_set_are_removed(text, settings):
    others = [
        *("32.tf2-00000-of-00002", "x32.tf-00000-of-00002", "32.tf-00003-of-00002", "32.tf-1"),
        *("32.tf-00000-of-00002.txt", "32.tf-0-of-2", "32_tf-00000-of-00002"),
    ]
    for name in others:
        pathlib.Path("out", name).write_text("mine")
    make(*plan(text, settings))
    run, _ = plan(text, dataclasses.replace(settings, random_seed=2))
    record_shards.prepare_outputs(run, COUNT, overwrite=True)
    assert sorted(contents()) == sorted(others)


def test_finished_shards_are_told_and_left(text, settings):
    infos = make(*plan(text, settings))
    run, shards = plan([os.path.abspath(path) for path in text], settings)
    before = contents()
    record_shards.prepare_outputs(run, COUNT, overwrite=False)
    assert [record_shards.finished_shard(run, shard) for shard in shards] == infos
    assert contents() == before


DAMAGES = {
    "shard missing": lambda path: path.unlink(),
    "shard cut off": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "shard empty": lambda path: path.write_bytes(b""),
    "note missing": lambda path: beside(path).unlink(),
    "note empty": lambda path: beside(path).write_bytes(b""),
    "note cut off": lambda path: beside(path).write_bytes(beside(path).read_bytes()[:-9]),
    "note of something else": lambda path: beside(path).write_text("[1, 2]"),
}


def beside(path: pathlib.Path) -> pathlib.Path:
    return pathlib.Path(f"{path}.json")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_shard_is_made_again(text, settings, damage):
    run, shards = plan(text, dataclasses.replace(settings, lengths=(SHORT, LONG)))
    make(run, shards)
    before = contents()
    DAMAGES[damage](pathlib.Path("out/64.tf-00001-of-00003"))
    record_shards.prepare_outputs(run, COUNT, overwrite=False)
    waiting = [shard for shard in shards if record_shards.finished_shard(run, shard) is None]
    assert [shard.number for shard in waiting] == [1]
    ShardMaker(run).make(waiting[0])
    assert contents() == before


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"tokenizer": {}, "run": "another"}'])
def test_what_stands_beside_a_set_is_written_again(text, settings, content):
    run, shards = plan(text, settings)
    infos = make(run, shards)
    before = contents()
    pathlib.Path("out/32.tf.json").write_bytes(content)
    record_shards.prepare_outputs(run, COUNT, overwrite=False)
    assert "32.tf.json" not in contents()
    record_shards.finish_sets(run, infos)
    assert contents() == before


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", ["32.tf-00000-of-00003", "32.tf-00001-of-00009", "32.tf.json"])
def test_text_that_is_named_like_a_file_of_the_set_is_never_touched(
    text, settings, name, overwrite
):
    path = os.path.join("out", name)
    os.rename(text[0], path)
    before = contents()
    run, _ = plan([path], settings)
    with pytest.raises(InputError, match=f"would overwrite {path}, which is read"):
        record_shards.prepare_outputs(run, COUNT, overwrite)
    assert contents() == before


def test_text_behind_a_link_is_never_touched(text, settings):
    os.rename(text[0], "out/32.tf-00000-of-00003")
    os.symlink("out/32.tf-00000-of-00003", "link.txt")
    os.symlink("out", "folder")
    run, _ = plan(["link.txt"], settings, output="folder/{length}.tf")
    with pytest.raises(InputError, match="would overwrite link.txt"):
        record_shards.prepare_outputs(run, COUNT, overwrite=True)


def test_a_single_file_of_the_name_of_the_set_is_refused_or_removed(text, settings):
    pathlib.Path("out/32.tf").write_text("records")
    pathlib.Path("out/32.tf.json").write_text('{"tokenizer": {}}')
    run, _ = plan(text, settings)
    with pytest.raises(InputError, match="out/32.tf is there already, and is no shard"):
        record_shards.prepare_outputs(run, COUNT, overwrite=False)
    assert len(contents()) == 2
    record_shards.prepare_outputs(run, COUNT, overwrite=True)
    assert contents() == {}


def test_what_cannot_be_removed_is_told(text, settings):
    os.mkdir("out/32.tf-00000-of-00002")
    run, _ = plan(text, settings)
    with pytest.raises(InputError, match="Cannot remove .*32.tf-00000-of-00002: Is a directory"):
        record_shards.prepare_outputs(run, COUNT, overwrite=True)


@pytest.mark.parametrize("now", ["오늘은 간다.\n", None])
def test_text_that_changes_during_the_run_makes_no_shard(text, settings, now):
    run, shards = plan(text, settings)
    content = pathlib.Path(text[0]).read_text()
    # As long as before, and with lines as long.
    pathlib.Path(text[0]).write_text(now or content.replace("은", "는"))
    maker = ShardMaker(run)
    with pytest.raises(InputError, match="first.txt has changed since the run began"):
        for shard in shards:
            maker.make(shard)
    assert contents() == {}


def test_another_plan_of_the_same_text_is_not_mixed_with_the_first(text, settings):
    run, shards = plan(text, settings)
    make(run, shards)
    first, second, third = shards
    other = first._replace(blocks=first.blocks[:-1])
    assert record_shards.finished_shard(run, other) is None
    assert record_shards.finished_shard(run, second._replace(blocks=third.blocks)) is None


# What processes take is so little that the text may be 1000 bytes.
SMALL = {"_PROCESS_BYTES": 256_000_000 - 5000, "_LEAST_BYTES": 1000}


@pytest.fixture
def small_memory(monkeypatch):
    for name, value in SMALL.items():
        monkeypatch.setattr(record_shards, name, value)


def write_documents(*sizes: int) -> list[str]:
    """Writes documents of so many bytes each, a line of ten bytes after the other."""
    pathlib.Path("long.txt").write_text(
        "".join("a little.\n" * (size // 10 - 1) + "another..\n\n" for size in sizes)
    )
    return ["long.txt"]


def test_memory_decides_how_many_shards_there_are(text, settings, small_memory):
    path = write_documents(*[60] * 200)
    shards = record_shards.plan_shards(path, settings, None, 256, False)
    assert len(shards) == 13
    assert max(shard.num_bytes for shard in shards) <= 1050


def test_long_documents_do_not_make_a_shard_too_long(text, settings, small_memory):
    path = write_documents(*[600] * 9)
    shards = record_shards.plan_shards(path, settings, None, 256, False)
    assert [shard.num_bytes for shard in shards] == [601] * 9
    with pytest.raises(InputError, match="--num_shards=6: the text has long documents"):
        record_shards.plan_shards(path, settings, 6, 256, False)


def test_a_document_too_long_for_the_memory_is_named(text, settings, small_memory):
    path = write_documents(100, 1500, 100)
    with pytest.raises(InputError, match="long.txt: .* byte offset 101 .*raise --max_memory_mb"):
        record_shards.plan_shards(path, settings, None, 256, False)


def test_too_few_shards_for_the_memory_are_told_with_the_number_it_takes(
    text, settings, small_memory
):
    path = write_documents(*[60] * 200)
    with pytest.raises(InputError, match="--num_shards=12: .*Give --num_shards=13 or more"):
        record_shards.plan_shards(path, settings, 12, 256, False)
    assert len(record_shards.plan_shards(path, settings, 13, 256, False)) == 13


@pytest.mark.parametrize("dupe_factor", [100, 1000])
@pytest.mark.parametrize("has_analyzer", [False, True])
def test_too_little_memory_is_told_with_what_it_takes(text, settings, dupe_factor, has_analyzer):
    used_often = dataclasses.replace(settings, dupe_factor=dupe_factor)

    def plan_for(megabytes: int) -> list[Shard]:
        return record_shards.plan_shards(text, used_often, None, megabytes, has_analyzer)

    with pytest.raises(InputError, match="--max_memory_mb=256: too little") as caught:
        plan_for(256)
    lowest = int(str(caught.value).split("Give ")[1].split()[0])
    assert len(plan_for(lowest)) == 1
    with pytest.raises(InputError, match="too little"):
        plan_for(lowest - 1)


def test_only_what_ended_processes_were_writing_is_removed(text, settings):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    host = socket.gethostname()
    gone = [
        f".32.tf-00000-of-00003.{host}-{ended.pid}.tmp",
        f".32.tf-00007-of-00009.json.{host}-{ended.pid}.tmp",
        f".32.tf.json.{host}-{ended.pid}.tmp",
    ]
    left = [
        f".32.tf-00000-of-00003.{host}-{os.getpid()}.tmp",
        f".32.tf-00000-of-00003.elsewhere-{ended.pid}.tmp",
        f".32.tfx-00000-of-00003.{host}-{ended.pid}.tmp",
        f".32xtf-00000-of-00003.{host}-{ended.pid}.tmp",
    ]
    for name in gone + left:
        pathlib.Path("out", name).write_text("")
    run, _ = plan(text, settings)
    record_shards.remove_leftovers(run)
    assert sorted(contents()) == sorted(left)
