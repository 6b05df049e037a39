"""The cache of analyses: it gives what the analyser gives, whatever happens to its file."""

import contextlib
import itertools
import os
import pathlib
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile

import pytest
from absl import logging
from toy_analyzer import ToyAnalyzer, analysis_of, text_of

from deeq_bert.tokenizers.analyzers import cache as cache_module
from deeq_bert.tokenizers.analyzers import cache_entry
from deeq_bert.tokenizers.analyzers.base import Analysis, Analyzer
from deeq_bert.tokenizers.analyzers.cache import CachedAnalyzer
from deeq_bert.tokenizers.errors import InputError

TEXTS = ["오늘은 정말 추운 날이네요.", "가", "나 다", *map(text_of, range(50))]


class Silent(ToyAnalyzer):
    """Must not be asked."""

    def analyze(self, texts):
        raise AssertionError("everything is in the cache")


def columns(analysis: Analysis) -> list[list]:
    names = ("forms", "tags", "starts", "ends", "word_starts")
    return [list(getattr(analysis, name)) for name in names]


def run(folder, texts=TEXTS, analyzer=None, gigabytes=1.0, facts=()) -> CachedAnalyzer:
    """Analyses texts through a cache, and checks each against the analyser's own word."""
    cache = CachedAnalyzer(analyzer or ToyAnalyzer(), str(folder), gigabytes, dict(facts))
    texts = list(texts)
    analyses = list(cache.analyze(texts))
    cache.close()
    assert len(analyses) == len(texts)
    for text, analysis in zip(texts, analyses):
        assert columns(analysis) == columns(analysis_of(text))
    return cache


def file_of(folder) -> pathlib.Path:
    (path,) = pathlib.Path(folder).glob("*.sqlite")
    return path


def check_integrity(folder) -> int:
    """Checks the file, and returns the number of its entries."""
    with contextlib.closing(sqlite3.connect(file_of(folder))) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return connection.execute("SELECT count(*) FROM entries").fetchone()[0]


@pytest.fixture
def warnings(monkeypatch) -> list[str]:
    """The warnings that are logged."""
    logged = []
    monkeypatch.setattr(logging, "warning", lambda form, *values: logged.append(form % values))
    return logged


# What comes out of the cache.


def long_analysis(size: int) -> tuple[str, Analysis]:
    return "가" * size, analysis_of("가" * size)


@pytest.mark.parametrize(
    ("text", "analysis"),
    [
        ("했다", Analysis(["하", "았", "다"], ["VV", "EP", "EF"], [0, 0, 1], [1, 1, 2], b"\1\0\0")),
        ("추운", Analysis(["춥", "ㄴ"], ["VA", "ETM"], [0, 1], [2, 2], b"\1\0")),
        ("👍🏽 a", Analysis(["👍🏽", "a"], ["SW", "SL"], [0, 3], [2, 4], b"\1\1")),
        ("가나", Analysis(["가", "나"], ["NNG", "NEW-TAG"], [0, 1], [1, 2], b"\1\0")),
        ("\ud800", Analysis(["\ud800"], ["SW"], [0], [1], b"\1")),
        ("\u200b", Analysis([], [], [], [], b"")),
        long_analysis(255),
        long_analysis(256),
        long_analysis(65_535),
        long_analysis(65_536),
    ],
    ids=lambda value: f"{len(value)} characters" if isinstance(value, str) else "",
)
def test_an_analysis_comes_back_as_it_was(text, analysis):
    key = cache_entry.key_of(text)

    entry = cache_entry.pack(key, text, analysis)

    assert columns(cache_entry.unpack(key, text, entry)) == columns(analysis)


@pytest.mark.parametrize(
    "analysis",
    [
        Analysis(["a\nb", "c"], ["SL", "SL"], [0, 1], [1, 2], b"\1\0"),
        Analysis(["a", "b"], ["SL", "S\nL"], [0, 1], [1, 2], b"\1\0"),
        Analysis(["a", "b"], ["SL"], [0, 1], [1, 2], b"\1\0"),
        Analysis(["a", "b"], ["SL", "SL"], [0, 1], [1, 9], b"\1\0"),
        Analysis(["a", "b"], ["SL", "SL"], [0, 1], [1, 1], b"\1\0"),
        Analysis(["a", "b"], ["SL", "SL"], [-1, 1], [1, 2], b"\1\0"),
        Analysis(["a", "b"], ["SL", "SL"], [0, 1], [1, 2], b"\1\2"),
    ],
)
def test_what_would_not_come_back_is_not_stored(analysis):
    assert cache_entry.pack(bytes(16), "ab", analysis) is None


def test_an_entry_with_any_byte_changed_is_noticed():
    text = "오늘은 정말"
    key = cache_entry.key_of(text)
    entry = cache_entry.pack(key, text, analysis_of(text))
    for place in range(len(entry)):
        damaged = bytearray(entry)
        damaged[place] ^= 0x10
        with pytest.raises(cache_entry.DamagedEntry):
            cache_entry.unpack(key, text, bytes(damaged))


@pytest.mark.parametrize("change", [lambda entry: entry[:-1], lambda entry: b"", lambda entry: 7])
def test_an_entry_cut_short_or_of_another_type_is_noticed(change):
    key = cache_entry.key_of("가나")
    entry = change(cache_entry.pack(key, "가나", analysis_of("가나")))
    with pytest.raises(cache_entry.DamagedEntry):
        cache_entry.unpack(key, "가나", entry)


def test_the_entry_of_another_text_is_noticed():
    entry = cache_entry.pack(cache_entry.key_of("가나"), "가나", analysis_of("가나"))
    with pytest.raises(cache_entry.DamagedEntry, match="checksum"):
        cache_entry.unpack(cache_entry.key_of("다라"), "다라", entry)


# What reaches the analyser.


def test_a_second_run_asks_the_analyser_nothing(tmp_path):
    first = run(tmp_path)
    second = run(tmp_path, analyzer=Silent())

    assert (first.hits, first.misses) == (0, len(TEXTS))
    assert (second.hits, second.misses) == (len(TEXTS), 0)


def test_only_what_is_missing_is_analysed_and_in_one_stream(tmp_path):
    texts = [text_of(number) for number in range(3000)]
    run(tmp_path, texts[::3])

    analyzer = ToyAnalyzer()
    run(tmp_path, texts, analyzer)

    assert analyzer.texts == [text for number, text in enumerate(texts) if number % 3]
    assert analyzer.streams == 1


def test_a_text_that_comes_often_is_analysed_once(tmp_path):
    analyzer = ToyAnalyzer()

    cache = run(tmp_path, ["가", "나", "가", *map(text_of, range(600)), "가", "나"], analyzer)

    assert len(analyzer.texts) == len(set(analyzer.texts)) == cache.misses == 602
    assert cache.hits == 3


def test_one_text_at_a_time_is_stored_too(tmp_path):
    cache = CachedAnalyzer(ToyAnalyzer(), str(tmp_path), 1.0, {})
    next(cache.analyze(["가"]))
    cache.close()

    run(tmp_path, ["가"], Silent())


class ReadingAhead(ToyAnalyzer):
    """Reads twenty texts before it gives the first analysis."""

    def analyze(self, texts):
        texts = iter(texts)
        while batch := list(itertools.islice(texts, 20)):
            yield from super().analyze(batch)


def test_while_an_analysis_is_awaited_a_bounded_number_of_texts_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(cache_module, "_BATCH_LINES", 10)
    monkeypatch.setattr(cache_module, "_WAITING_LINES", 100)
    run(tmp_path, ["가"])
    read = itertools.count()

    def texts():
        yield "missing"
        while next(read) < 10_000:
            yield "가"

    cache = CachedAnalyzer(ReadingAhead(), str(tmp_path), 1.0, {})
    next(cache.analyze(texts()))
    cache.close()

    assert next(read) <= 120


def test_after_a_stream_was_ended_another_begins(tmp_path, monkeypatch):
    monkeypatch.setattr(cache_module, "_BATCH_LINES", 10)
    monkeypatch.setattr(cache_module, "_WAITING_LINES", 20)
    run(tmp_path, ["가"])
    texts = [text for number in range(5) for text in (text_of(number), *["가"] * 100)]

    analyzer = ReadingAhead()
    run(tmp_path, texts, analyzer)

    assert analyzer.texts == [text_of(number) for number in range(5)]


def test_no_texts_give_no_analyses(tmp_path):
    assert run(tmp_path, []).misses == 0


class Miscounting(Analyzer):
    """Gives another number of analyses than it got texts."""

    def __init__(self, count: int):
        self.count = count

    def identity(self):
        return {"name": "miscounting"}

    def analyze(self, texts):
        return itertools.islice(map(analysis_of, itertools.chain(texts, ["가"])), self.count)


@pytest.mark.parametrize(("count", "what"), [(0, "fewer"), (6, "more")])
def test_an_analyser_that_loses_count_is_told(tmp_path, count, what):
    cache = CachedAnalyzer(Miscounting(count), str(tmp_path), 1.0, {})
    with pytest.raises(InputError, match=f"miscounting gave {what} analyses"):
        list(cache.analyze(TEXTS[:5]))


class Failing(ToyAnalyzer):
    """Fails at one text."""

    def analyze(self, texts):
        for text in texts:
            if text == "bad":
                raise InputError("The server is gone.")
            yield from super().analyze([text])


def test_what_was_analysed_before_a_failure_is_kept(tmp_path):
    with pytest.raises(InputError, match="The server is gone"):
        run(tmp_path, [*TEXTS, "bad"], Failing())

    run(tmp_path, TEXTS, Silent())


# The file and the folder.


def test_every_set_of_facts_has_a_file_with_a_readable_name(tmp_path):
    run(tmp_path, analyzer=ToyAnalyzer("1", "toy/2"))
    for analyzer, facts in ((ToyAnalyzer("2"), {}), (ToyAnalyzer(), {"server": "a"})):
        assert run(tmp_path, analyzer=analyzer, facts=facts).hits == 0

    names = sorted(path.name.rpartition("-")[0] for path in tmp_path.glob("*.sqlite"))
    assert names == ["toy", "toy", "toy_2"]


def test_the_identity_is_that_of_the_analyser(tmp_path):
    cache = CachedAnalyzer(ToyAnalyzer(), str(tmp_path), 1.0, {"server": "a"})
    assert cache.identity() == {"name": "toy", "version": "1"}


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()
    for name in ("file", "file/folder"):
        with pytest.raises(InputError, match=f"--morpheme_cache=.*{name}: the folder cannot be"):
            CachedAnalyzer(ToyAnalyzer(), str(tmp_path / name), 1.0, {})


def test_a_name_with_marks_of_urls_is_a_folder(tmp_path):
    run(tmp_path / "100%?mode=ro#a")
    run(tmp_path / "100%?mode=ro#a", analyzer=Silent())


def test_the_file_stays_at_its_bound_and_keeps_the_latest(tmp_path):
    texts = [text_of(number) for number in range(6000)]
    size = 400_000

    run(tmp_path, texts, gigabytes=size / 1e9)
    assert size * 0.8 < file_of(tmp_path).stat().st_size <= size

    run(tmp_path, texts[-500:], Silent())
    assert run(tmp_path, texts[:100], gigabytes=size / 1e9).misses == 100
    check_integrity(tmp_path)


def test_the_file_shrinks_to_a_lower_bound(tmp_path):
    run(tmp_path, map(text_of, range(4000)))
    assert file_of(tmp_path).stat().st_size > 1_000_000

    run(tmp_path, map(text_of, range(10_000, 11_000)), gigabytes=200_000 / 1e9)

    assert file_of(tmp_path).stat().st_size <= 200_000
    check_integrity(tmp_path)


def test_a_bound_of_nothing_stores_nothing(tmp_path):
    run(tmp_path, gigabytes=0.0)
    assert run(tmp_path, gigabytes=0.0).misses == len(TEXTS)


def test_a_very_long_text_is_not_stored(tmp_path):
    texts = ["가", "나 " * 100_000 + "나"]
    run(tmp_path, texts)
    assert run(tmp_path, texts).misses == 1


# Damage.


def test_damaged_entries_are_made_anew_and_told_once(tmp_path, warnings):
    run(tmp_path)
    with contextlib.closing(sqlite3.connect(file_of(tmp_path))) as connection, connection:
        connection.execute("UPDATE entries SET value = zeroblob(50) WHERE id IN (3, 4)")
        connection.execute("UPDATE entries SET value = 'text' WHERE id = 5")

    cache = run(tmp_path)

    assert (cache.damaged, cache.misses) == (3, 3)
    assert len(warnings) == 1 and "damaged entry" in warnings[0]
    assert run(tmp_path, analyzer=Silent()).damaged == 0


def overwrite(path: pathlib.Path, start: int, content: bytes) -> None:
    with open(path, "r+b") as file:
        file.seek(start)
        file.write(content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"no database at all" * 1000),
        lambda path: overwrite(path, 0, bytes(100)),
        lambda path: overwrite(path, 3 * 4096, b"\xff" * 4096),
        lambda path: os.truncate(path, path.stat().st_size // 2),
    ],
    ids=["text", "header", "page", "truncated"],
)
def test_a_file_that_is_no_database_is_renamed_and_begun_anew(tmp_path, warnings, damage):
    texts = [text_of(number) for number in range(1000)]
    run(tmp_path, texts)
    damage(file_of(tmp_path))

    run(tmp_path, texts)

    assert len(warnings) == 1 and "is damaged" in warnings[0]
    assert len(list(tmp_path.glob("*.sqlite.damaged"))) == 1
    assert check_integrity(tmp_path) == 1000
    run(tmp_path, texts, Silent())


@pytest.mark.parametrize("page", range(1, 40, 3))
def test_damage_to_any_page_changes_no_analysis(tmp_path, page):
    texts = [text_of(number) for number in range(500)]
    run(tmp_path, texts)
    overwrite(file_of(tmp_path), page * 4096 + 100, b"damage" * 100)

    run(tmp_path, texts)
    run(tmp_path, texts)


def test_a_file_under_the_name_of_another_is_not_used(tmp_path, warnings):
    run(tmp_path, analyzer=ToyAnalyzer("1"))
    first = file_of(tmp_path)
    run(tmp_path, analyzer=ToyAnalyzer("2"))
    (second,) = set(tmp_path.glob("*.sqlite")) - {first}
    os.replace(first, second)

    assert run(tmp_path, analyzer=ToyAnalyzer("2")).hits == 0

    assert "another analyser" in warnings[0]


def test_one_process_begins_anew_while_another_has_the_damaged_file_open(tmp_path, warnings):
    texts = [text_of(number) for number in range(1000)]
    run(tmp_path, texts)
    other = CachedAnalyzer(ToyAnalyzer(), str(tmp_path), 1.0, {})
    analyses = other.analyze(texts)
    next(analyses)
    overwrite(file_of(tmp_path), 4096, b"\xff" * 200_000)

    run(tmp_path, texts)
    assert [columns(analysis) for analysis in analyses] == [
        columns(analysis_of(text)) for text in texts[1:]
    ]
    other.close()

    assert len(warnings) == 1
    assert check_integrity(tmp_path) == 1000
    run(tmp_path, texts, Silent())


def test_a_cache_that_was_deleted_is_begun_anew(tmp_path):
    cache = CachedAnalyzer(ToyAnalyzer(), str(tmp_path), 1.0, {})
    list(cache.analyze(TEXTS[:10]))
    for path in tmp_path.iterdir():
        path.unlink()
    list(cache.analyze(TEXTS[10:20]))
    cache.close()

    assert run(tmp_path, TEXTS[:20]).hits == 10


# Where the disk does not cooperate.


@pytest.fixture
def read_only_folder():
    """A function that takes a folder's write permission away, and root's power to write anyway."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = pathlib.Path(name)

        def protect() -> None:
            for path in folder.iterdir():
                path.chmod(0o444)
            folder.chmod(0o555)
            stack.callback(folder.chmod, 0o755)
            if os.geteuid() == 0:
                os.seteuid(65534)
                stack.callback(os.seteuid, 0)

        yield folder, protect


def test_a_cache_that_can_only_be_read_is_read(read_only_folder, warnings):
    folder, protect = read_only_folder
    run(folder, TEXTS[:20])
    protect()

    cache = run(folder)
    run(folder)

    assert cache.hits == 20
    assert len(warnings) == 2 and all("going on without storing" in text for text in warnings)


def test_a_folder_that_can_only_be_read_and_is_empty_stops_nothing(read_only_folder, warnings):
    folder, protect = read_only_folder
    protect()

    run(folder, map(text_of, range(1000)))

    assert len(warnings) == 1 and "going on without it" in warnings[0]


def test_a_damaged_file_in_a_read_only_folder_stops_nothing(read_only_folder, warnings):
    folder, protect = read_only_folder
    run(folder)
    file_of(folder).write_bytes(b"no database" * 100)
    protect()

    run(folder)

    assert len(warnings) == 1 and "going on without it" in warnings[0]


@pytest.fixture
def full_disk():
    """A function that lets no file grow over a size, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [0, 10_000, 300_000])
def test_a_full_disk_stops_the_storing_only(tmp_path, warnings, full_disk, size):
    full_disk(size)
    texts = [text_of(number) for number in range(2000)]
    run(tmp_path, texts)
    assert len(warnings) == 1 and "cache of analyses" in warnings[0]

    full_disk(resource.RLIM_INFINITY)
    run(tmp_path, texts)
    check_integrity(tmp_path)
    run(tmp_path, texts, Silent())


# Several processes.

TOY_ANALYZER = pathlib.Path(__file__).parent / "toy_analyzer.py"


def start_writer(folder, first: int, last: int) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, TOY_ANALYZER, folder, str(first), str(last)], stdout=subprocess.PIPE
    )


def test_several_processes_write_at_a_time_and_one_is_killed(tmp_path):
    victim = start_writer(tmp_path, 0, 1_000_000)
    writers = [start_writer(tmp_path, first, first + 3000) for first in (0, 1000, 2000)]
    for _ in range(20):
        victim.stdout.readline()
    victim.kill()
    victim.communicate()
    for writer in writers:
        writer.communicate()

    assert victim.returncode == -signal.SIGKILL
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert check_integrity(tmp_path) >= 5000
    run(tmp_path, map(text_of, range(5000)), Silent())


def test_a_forked_process_opens_the_file_itself(tmp_path):
    cache = CachedAnalyzer(ToyAnalyzer(), str(tmp_path), 1.0, {})
    list(cache.analyze(TEXTS[:10]))
    child = os.fork()
    if child == 0:
        # Nothing of pytest may run in the child.
        try:
            list(cache.analyze(TEXTS[10:20]))
            cache.close()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    list(cache.analyze(TEXTS[20:30]))
    cache.close()

    assert check_integrity(tmp_path) == 30
    run(tmp_path, TEXTS[:30], Silent())
