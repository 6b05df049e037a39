"""Counting words in text files: the same counts whatever the workers, ranges and memory."""

import collections
import functools
import os
import random

import pytest

from deeq_bert.tokenizers import counting, files
from deeq_bert.tokenizers.analyzers.base import Analysis, Analyzer, AnalyzerSettings
from deeq_bert.tokenizers.counting import (
    BasicWordCounter,
    MorphemeCounter,
    SortedCounts,
    count_files,
)
from deeq_bert.tokenizers.errors import InputError

TEXT = "봄이 왔다. 봄이!\n\n강가에 봄이 왔다.\n꽃이 핀다.\n"
WORDS = {"봄이": 3, "왔다": 2, ".": 3, "!": 1, "강가에": 1, "꽃이": 1, "핀다": 1}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def random_text(folder):
    """The name of a file of 2,000 lines with some 900 different words."""
    rng = random.Random(5)
    words = [
        chr(rng.randrange(0xAC00, 0xAC1E)) + chr(rng.randrange(0xB098, 0xB0B6)) for _ in "." * 5000
    ]
    lines = [" ".join(rng.choices(words, k=6)) for _ in range(2000)]
    (folder / "random.txt").write_text("".join(f"{line}\n" for line in lines))
    return "random.txt"


def count(*paths, num_workers=1, max_entries=1000, **keywords):
    """Returns the counts of the words in `paths` and what the text adds up to."""
    counts = SortedCounts(".", max_entries)
    make_counter = functools.partial(BasicWordCounter, False)
    totals = count_files(paths, make_counter, counts, num_workers, **keywords)
    return list(counts), totals


def test_words_and_punctuation_marks_are_counted(folder):
    (folder / "text").write_text(TEXT)
    counts, _ = count("text")
    assert dict(counts) == WORDS


def test_the_words_come_in_order(folder):
    (folder / "text").write_text(TEXT)
    counts, _ = count("text")
    assert [word for word, _ in counts] == sorted(WORDS)


def test_files_are_added_up(folder):
    (folder / "a").write_text(TEXT)
    (folder / "b").write_text("봄이 온다")
    counts, _ = count("a", "b", "a")
    assert dict(counts)["봄이"] == 7


def test_lines_that_are_not_blank_are_told(folder):
    (folder / "text").write_text(f"{TEXT}  \n")
    _, totals = count("text")
    assert (totals.lines, totals.heldout_lines, totals.size) == (3, 0, len(f"{TEXT}  \n".encode()))


def test_carriage_returns_vanish_as_in_later_stages(folder):
    (folder / "text").write_bytes("봄이\r\n봄\r이".encode())
    counts, _ = count("text")
    assert counts == [("봄이", 2)]


@pytest.mark.parametrize("range_bytes", [1, 7, 50, 1000])
def test_ranges_end_with_lines(folder, range_bytes):
    (folder / "text").write_text(TEXT)
    (folder / "empty").touch()
    counts, totals = count("text", "empty", "text", range_bytes=range_bytes)
    assert dict(counts) == {word: 2 * number for word, number in WORDS.items()}
    assert totals.size == 2 * len(TEXT.encode())


def test_the_number_of_workers_changes_nothing(random_text):
    expected = count(random_text, heldout_share=0.1)
    for num_workers in (2, 3):
        got = count(random_text, heldout_share=0.1, num_workers=num_workers, range_bytes=5000)
        assert got == expected


def test_the_counts_are_right(random_text, folder):
    counts, _ = count(random_text)
    assert dict(counts) == collections.Counter((folder / random_text).read_text().split())


@pytest.mark.parametrize("max_entries", [1, 10, 100])
def test_what_waits_on_the_disk_changes_nothing(random_text, max_entries):
    expected = count(random_text, range_bytes=5000)
    assert count(random_text, range_bytes=5000, max_entries=max_entries) == expected


def test_a_worker_may_give_counts_bit_by_bit(random_text, monkeypatch):
    expected = count(random_text)
    monkeypatch.setattr(counting, "_MAX_ENTRIES_IN_WORKER", 20)
    assert count(random_text) == expected


def test_long_words_count_for_the_memory(folder, monkeypatch):
    monkeypatch.setattr(counting, "_MAX_CHARACTERS", 10)
    counts = SortedCounts(".")
    counts.add(["가나다라마바사", "아자차카타파하", "가"], [1, 2, 3])
    assert len(counts._counts) == 1
    assert list(counts) == [("가", 3), ("가나다라마바사", 1), ("아자차카타파하", 2)]


def test_counts_can_be_gone_through_again_and_at_the_same_time(folder):
    counts = SortedCounts(".", max_entries=2)
    counts.add("라가다나마", [1, 2, 3, 4, 5])
    expected = [("가", 2), ("나", 4), ("다", 3), ("라", 1), ("마", 5)]
    assert list(zip(counts, counts)) == [(entry, entry) for entry in expected]


def test_more_can_be_counted_after_going_through(folder):
    counts = SortedCounts(".", max_entries=2)
    counts.add("가나다", [1, 2, 3])
    list(counts)
    counts.add("나", [5])
    assert list(counts) == [("가", 1), ("나", 7), ("다", 3)]


def test_counts_on_the_disk_have_no_names(folder):
    counts = SortedCounts(".", max_entries=2)
    counts.add("가나다라마", [1] * 5)
    assert counts._runs
    assert os.listdir() == []


def test_counts_are_kept_where_there_is_a_folder(folder):
    counts = SortedCounts("nowhere", max_entries=2)
    with pytest.raises(InputError, match="Cannot keep counts in the folder nowhere.*--temp_dir"):
        counts.add("가나다", [1] * 3)


def test_words_that_are_too_long_are_left_out(folder):
    (folder / "text").write_text(f"{'가' * 200} {'나' * 201} {'나' * 201} 다")
    counts, totals = count("text")
    assert counts == [("가" * 200, 1), ("다", 1)]
    assert totals.long_words == 2


def test_lines_held_out_are_not_counted(random_text, folder):
    counts, totals = count(random_text, heldout_share=0.1)
    lines = (folder / random_text).read_text().splitlines()
    heldout = {line for _, line in totals.heldout}
    kept = [line for line in lines if line not in heldout]
    assert dict(counts) == collections.Counter(" ".join(kept).split())
    assert totals.heldout_lines == len(lines) - len(kept)
    assert 100 < totals.heldout_lines < 300


def test_the_order_of_lines_does_not_change_which_are_held_out(random_text, folder):
    lines = (folder / random_text).read_text().splitlines(keepends=True)
    (folder / "reversed").write_text("".join(reversed(lines)))
    assert count(random_text, heldout_share=0.1) == count("reversed", heldout_share=0.1)


def test_lines_that_are_equal_are_held_out_alike(folder):
    (folder / "text").write_text("봄이 왔다\n" * 50)
    counts, totals = count("text", heldout_share=0.5)
    assert totals.heldout_lines in (0, 50)
    assert len(totals.heldout) == totals.heldout_lines / 50
    assert bool(counts) != bool(totals.heldout)


@pytest.mark.parametrize(
    "bound, value, kept", [("_MAX_SAMPLE_LINES", 7, 7), ("_MAX_SAMPLE_CHARACTERS", 100, 5)]
)
def test_few_of_many_lines_that_are_held_out_are_kept(random_text, monkeypatch, bound, value, kept):
    _, everything = count(random_text, heldout_share=0.1)
    monkeypatch.setattr(counting, bound, value)
    _, totals = count(random_text, heldout_share=0.1, range_bytes=1000)
    assert totals.heldout == everything.heldout[:kept]
    assert totals.heldout_lines == everything.heldout_lines


def test_a_very_long_line_is_not_held_out(folder):
    (folder / "text").write_text("".join(f"{'가 ' * 6000}{number}\n" for number in range(40)))
    _, totals = count("text", heldout_share=0.5)
    assert totals.heldout_lines == 0


@pytest.mark.parametrize("num_workers", [1, 2])
def test_a_line_that_is_not_utf_8_is_named_by_its_number(folder, num_workers):
    lines = ["봄이 왔다".encode()] * 100
    lines[70] = "봄이 왔다".encode("cp949")
    (folder / "text").write_bytes(b"\n".join(lines))
    with pytest.raises(InputError, match="text, line 71: not UTF-8"):
        count("text", num_workers=num_workers, range_bytes=100)


@pytest.mark.parametrize("range_bytes", [10, 1000])
def test_a_line_without_end_is_refused(folder, monkeypatch, range_bytes):
    monkeypatch.setattr(files, "MAX_LINE_BYTES", 100)
    (folder / "text").write_bytes(b"a\nb\n" + b"x" * 200 + b"\nc\n")
    with pytest.raises(InputError, match="text, line 3: longer than 100 bytes"):
        count("text", range_bytes=range_bytes)


@pytest.mark.parametrize("content", [b"PK\x03\x04\x00\x00", "봄이 왔다".encode("utf-16")])
def test_a_binary_file_is_refused(folder, content):
    (folder / "good").write_text(TEXT)
    (folder / "bad").write_bytes(content)
    with pytest.raises(InputError, match="bad is a binary file or UTF-16"):
        count("good", "bad")


def test_a_pipe_is_refused(folder):
    os.mkfifo("pipe")
    with pytest.raises(InputError, match="pipe is not a regular file"):
        count("pipe")


class SyllableAnalyzer(Analyzer):
    """Takes every character for a morpheme."""

    closed = False

    def identity(self):
        return {"name": "syllables"}

    def analyze(self, texts):
        for text in texts:
            forms = text.replace(" ", "")
            size = len(forms)
            yield Analysis(list(forms), ["NNG"] * size, [0] * size, [1] * size, bytes(size))

    def close(self):
        self.closed = True


@pytest.fixture
def syllable_analyzer(monkeypatch):
    """What stands in for the analyser that settings ask for."""
    analyzer = SyllableAnalyzer()
    monkeypatch.setattr(counting, "make_analyzer", lambda settings: analyzer)
    return analyzer


def test_morphemes_are_counted_and_special_tokens_are_not(folder, syllable_analyzer):
    (folder / "text").write_text("봄이 [MASK] 봄\n\n이[SEP]\n")
    counts = SortedCounts(".")
    count_files(["text"], functools.partial(MorphemeCounter, AnalyzerSettings()), counts, 1)
    assert dict(counts) == {"봄": 2, "이": 2}


def test_the_analyzer_is_closed(folder, syllable_analyzer):
    (folder / "text").write_text("봄이\n")
    make_counter = functools.partial(MorphemeCounter, AnalyzerSettings())
    count_files(["text"], make_counter, SortedCounts("."), 1)
    assert syllable_analyzer.closed
