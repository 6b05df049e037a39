"""The trial of rules on some documents."""

import json

import pytest

from deeq_bert.corpus import trial
from deeq_bert.corpus.readers.base import Document
from deeq_bert.corpus.sources import make_source
from deeq_bert.tokenizers.errors import InputError

FOG = "아침부터 안개가 짙게 끼어 앞이 보이지 않았다."


def source(path, *texts: str):
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return make_source(str(path), source="comments")


def tried(made, count: int = 5, seed: int = 1) -> list[trial.Trial]:
    return list(trial.try_source(made, count, seed, "strict"))


def test_it_has_the_document_before_and_after_and_what_each_rule_did(tmp_path):
    (result,) = tried(source(tmp_path / "a.txt", f"{FOG} 정말이다ㅋㅋㅋㅋㅋㅋ"))
    assert result.document.paragraphs == [f"{FOG} 정말이다ㅋㅋㅋㅋㅋㅋ"]
    assert result.lines == [FOG]
    names = [name for name, _, _ in result.changes]
    assert names == ["jamo_runs", "short_lines"]
    assert result.changes[1] == ("short_lines", "정말이다ㅋㅋ", None)


def test_documents_are_chosen_by_the_seed_and_come_in_their_order(tmp_path):
    made = source(tmp_path / "a.txt", *(f"{number}번 글이 여기에 있다." for number in range(500)))
    first, again, other = tried(made), tried(made), tried(made, seed=2)
    assert [result.lines for result in first] == [result.lines for result in again]
    assert [result.lines for result in first] != [result.lines for result in other]
    numbers = [int(result.lines[0].split("번")[0]) for result in first]
    assert len(set(numbers)) == 5
    assert numbers == sorted(numbers)


def test_fewer_documents_than_wanted_are_all_shown(tmp_path):
    assert len(tried(source(tmp_path / "a.txt", FOG, FOG), 1000)) == 2


def test_an_empty_file_gives_nothing(tmp_path):
    (tmp_path / "a.txt").touch()
    assert tried(make_source(str(tmp_path / "a.txt"), source="comments")) == []


def test_all_files_have_their_chance(tmp_path):
    for number in range(10):
        (tmp_path / f"{number}.txt").write_text(f"{number}번 글이 여기에 있다.", encoding="utf-8")
    made = make_source(f"{tmp_path}/*.txt", source="comments")
    seen = {result.lines[0] for seed in range(20) for result in tried(made, 2, seed)}
    assert len(seen) == 10


def test_no_file_is_read_far_beyond_what_is_looked_at(tmp_path):
    # The rubbish at the end of a file of this size would be an error.
    text = "".join(f"{number}번 글이 여기에 있다.\n" for number in range(200_000))
    (tmp_path / "a.txt").write_bytes(text.encode("utf-8") + b"\xff\xfe\xff\n")
    assert tried(make_source(str(tmp_path / "a.txt"), source="comments", encoding="utf-8"))


def test_a_byte_that_cannot_be_decoded_is_an_error(tmp_path):
    (tmp_path / "a.txt").write_bytes(FOG.encode("utf-8") + b"\xff\n")
    with pytest.raises(InputError, match="a.txt: the byte at offset"):
        tried(make_source(str(tmp_path / "a.txt"), source="comments"))


def test_broken_records_are_told_of(tmp_path, caplog):
    (tmp_path / "a.jsonl").write_text(
        json.dumps({"text": FOG}) + '\n{"text\nrubbish\n', encoding="utf-8"
    )
    made = make_source(str(tmp_path / "a.jsonl"), source="comments")
    with caplog.at_level("WARNING", logger="absl"):
        assert len(tried(made)) == 1
    assert "2 records cannot be read" in caplog.text
    assert "a.jsonl, line 2: not JSON" in caplog.text


def test_the_description_shows_what_a_terminal_would_hide():
    shown = trial.describe(
        trial.Trial(
            Document("a.txt, line 1", "제목\x1b[31m", ["글\u200b이 있다."]),
            [],
            [("zero_width", "글\u200b이 있다.", "글이 있다."), ("short_lines", "글이 있다.", None)],
        )
    )
    assert shown == (
        "== a.txt, line 1 · 제목⟨U+001B⟩[31m\n"
        "before:\n  글⟨U+200B⟩이 있다.\n"
        "zero_width:\n  - 글⟨U+200B⟩이 있다.\n  + 글이 있다.\n"
        "short_lines:\n  - 글이 있다.\n"
        "after: nothing, it is dropped\n"
    )
