"""Sentences of tasks, found again in whatever writing."""

import gzip
import json

import pytest

from deeq_bert.corpus.decontamination import (
    Decontamination,
    normalize,
    task_hashes,
    write_task_hashes,
)
from deeq_bert.tokenizers.errors import InputError

SENTENCE = "주인공의 연기가 끝까지 마음을 붙들었다."
OTHER = "음악은 좋았지만 이야기가 너무 길었다."
SHORT = "재미있게 봤다"


def knows(path, line: str) -> bool:
    return Decontamination(task_hashes([str(path)])).drops(line, frozenset())


@pytest.mark.parametrize(
    "line",
    [
        SENTENCE,
        "주인공의 연기가 끝까지 마음을 붙들었다",
        "주인공의연기가 끝까지  마음을 붙들었다!!!",
        "“주인공의 연기가… 끝까지, 마음을 붙들었다”",
        "주인공의\t연기가\u3000끝까지 마음을 붙들었다.",
    ],
)
def test_punctuation_and_blanks_make_no_difference(tmp_path, line):
    (tmp_path / "task.txt").write_text(f"id\tdocument\tlabel\n1\t{SENTENCE}\t1\n", encoding="utf-8")
    assert knows(tmp_path / "task.txt", line)


def test_case_and_the_length_of_runs_make_no_difference():
    assert normalize("정말 Good이다 ㅋㅋㅋㅋㅋ!!") == normalize("정말 good 이다ㅋㅋ")


def test_another_sentence_is_left_alone(tmp_path):
    (tmp_path / "task.txt").write_text(SENTENCE, encoding="utf-8")
    assert not knows(tmp_path / "task.txt", OTHER)
    assert not knows(tmp_path / "task.txt", SENTENCE + " 정말로 그랬다.")


def test_what_anybody_says_is_left_alone(tmp_path):
    (tmp_path / "task.txt").write_text(f"{SHORT}\n{SENTENCE}\n", encoding="utf-8")
    assert not knows(tmp_path / "task.txt", SHORT)


def test_each_sentence_of_a_field_counts_and_the_field_whole(tmp_path):
    (tmp_path / "task.tsv").write_text(f"1\t{SENTENCE} {OTHER}\t0\n", encoding="utf-8")
    for line in (SENTENCE, OTHER, f"{SENTENCE} {OTHER}"):
        assert knows(tmp_path / "task.tsv", line)


def contents(ending: str) -> str:
    if ending == "csv":
        return f'id,text\n1,"{SENTENCE}, ""{OTHER}"""\n2,{OTHER}\n3,"{SENTENCE}"\n'
    if ending == "json":
        return json.dumps({"data": [{"q": {"text": SENTENCE}}, [OTHER]]})
    if ending in ("jsonl", "ndjson"):
        return json.dumps({"text": SENTENCE}) + "\n\n" + json.dumps([1, None, OTHER]) + "\n"
    return f"1\t{SENTENCE}\n2\t{OTHER}\n"


@pytest.mark.parametrize("ending", ["csv", "json", "jsonl", "ndjson", "tsv", "txt"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_files_of_every_kind_are_read(tmp_path, ending, encoding):
    path = tmp_path / f"task.{ending}"
    path.write_bytes(contents(ending).encode(encoding))
    assert knows(path, SENTENCE)
    assert knows(path, OTHER)


@pytest.mark.parametrize("ending", ["csv", "json", "jsonl"])
def test_compressed_files_are_read_as_what_they_hold(tmp_path, ending):
    path = tmp_path / f"task.{ending}.gz"
    path.write_bytes(gzip.compress(contents(ending).encode()))
    assert knows(path, SENTENCE)


def test_the_hashes_come_back_from_their_file(tmp_path):
    (tmp_path / "task.txt").write_text(SENTENCE, encoding="utf-8")
    write_task_hashes(str(tmp_path / "hashes.npy"), task_hashes([str(tmp_path / "task.txt")]))
    assert Decontamination.read(str(tmp_path / "hashes.npy")).drops(SENTENCE, frozenset())


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("a.txt", "짧다\n", "a.txt has no text of 12 characters or more"),
        ("a.txt", "", "a.txt has no text of 12"),
        ("a.json", '{"text": ', "a.json is not JSON"),
        ("a.json", "[" * 100_000, "a.json is not JSON"),
        ("a.jsonl", f'{{"text": "{SENTENCE}"}}\nrubbish\n', "a.jsonl is not JSON"),
    ],
)
def test_a_file_that_is_none_of_a_task_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        task_hashes([str(tmp_path / name)])


def test_a_file_that_adds_nothing_new_is_no_error(tmp_path):
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(SENTENCE, encoding="utf-8")
    assert len(task_hashes([str(tmp_path / "a.txt"), str(tmp_path / "b.txt")])) == 1


def test_a_missing_file_is_named():
    with pytest.raises(InputError, match="Cannot read nowhere.txt"):
        task_hashes(["nowhere.txt"])


def test_a_sentence_is_found_that_the_rules_change_in_the_corpus(tmp_path):
    task = tmp_path / "test.tsv"
    task.write_text("1\t대한민국(大韓民國)의 수도는 서울특별시라고 한다\t0\n", encoding="utf-8")
    hashes = task_hashes([str(task)])
    drops = Decontamination(hashes).drops
    assert drops("대한민국의 수도는 서울특별시라고 한다.", frozenset())
