"""Files: found by pattern, read line by line, written whole or not at all."""

import os
import socket
import subprocess
import sys

import pytest

from deeq_bert.tokenizers import files
from deeq_bert.tokenizers.errors import InputError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def touch(folder, *names):
    for name in names:
        (folder / name).write_text(name)


def test_patterns_match_in_sorted_order(folder):
    touch(folder, "b2", "b1", "b10", "a")
    assert files.expand_patterns("b*") == (["b1", "b10", "b2"], [])


def test_patterns_keep_their_order(folder):
    touch(folder, "a", "b", "c")
    assert files.expand_patterns("c, [ab] ,") == (["c", "a", "b"], [])


def test_a_file_that_two_patterns_match_comes_twice(folder):
    touch(folder, "a")
    assert files.expand_patterns("a,*") == (["a", "a"], [])


def test_patterns_without_a_match_are_told(folder):
    touch(folder, "a")
    assert files.expand_patterns("x*,a,y") == (["a"], ["x*", "y"])


def test_a_name_with_brackets_is_a_file_where_there_is_one(folder):
    touch(folder, "text[1].txt")
    assert files.expand_patterns("text[1].txt") == (["text[1].txt"], [])


def test_folders_do_not_match(folder):
    (folder / "sub").mkdir()
    touch(folder, "some")
    assert files.expand_patterns("s*,sub") == (["some"], ["sub"])


def read(folder, content: bytes) -> list[str]:
    (folder / "text").write_bytes(content)
    return list(files.read_lines("text"))


def test_lines_end_at_line_feeds_only(folder):
    text = "a\u2028b\x0cc\x85d\ne"
    assert read(folder, text.encode()) == ["a\u2028b\x0cc\x85d", "e"]


def test_carriage_returns_are_dropped(folder):
    assert read(folder, b"a\r\nb\rc\n\r\n") == ["a", "bc", ""]


def test_the_last_line_needs_no_end(folder):
    assert read(folder, "가\n나".encode()) == ["가", "나"]
    assert read(folder, b"") == []


def test_a_line_that_is_not_utf_8_is_named(folder):
    with pytest.raises(InputError, match=r"text, line 2: not UTF-8 \(byte 3 .*0xb0"):
        read(folder, b"good\nab" + "가".encode("cp949"))


def test_a_line_without_end_is_refused(folder, monkeypatch):
    monkeypatch.setattr(files, "MAX_LINE_BYTES", 100)
    assert read(folder, b"x" * 99 + b"\n") == ["x" * 99]
    with pytest.raises(InputError, match="text, line 2: longer than 100 bytes"):
        read(folder, b"a\n" + b"x" * 200)


@pytest.mark.parametrize("name", ["missing", "."])
def test_what_cannot_be_read_is_named(folder, name):
    with pytest.raises(InputError, match="Cannot read"):
        list(files.read_lines(name))


def test_outputs_appear_complete(folder):
    with files.atomic_outputs(["a", "b"]) as (first, second):
        first.write(b"one")
        second.write(b"two")
        assert not os.path.exists("a")
    assert sorted(os.listdir()) == ["a", "b"]
    assert (folder / "a").read_bytes() == b"one"


def test_outputs_replace_what_was_there(folder):
    touch(folder, "a")
    files.write_atomically("a", b"new")
    assert (folder / "a").read_bytes() == b"new"


def test_nothing_appears_after_an_error(folder):
    touch(folder, "a")
    with pytest.raises(KeyError), files.atomic_outputs(["a", "b"]) as (first, _):
        first.write(b"half")
        raise KeyError
    assert os.listdir() == ["a"]
    assert (folder / "a").read_text() == "a"


def test_a_folder_that_is_missing_is_told(folder):
    with pytest.raises(InputError, match="Cannot write nowhere/a"):
        files.write_atomically("nowhere/a", b"")


def test_temporary_files_hide_from_patterns(folder):
    with files.atomic_outputs(["train.txt"]):
        assert len(os.listdir()) == 1
        assert files.expand_patterns("*") == ([], ["*"])


def orphan(name: str, process: int, host: str | None = None) -> str:
    return f".{name}.{host or socket.gethostname()}-{process}.tmp"


@pytest.fixture
def ended_process() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_a_killed_run_left_is_removed(folder, ended_process):
    touch(folder, orphan("a", ended_process))
    files.write_atomically("a", b"")
    assert os.listdir() == ["a"]


def test_a_dead_process_that_nobody_has_asked_for_is_not_running():
    process = subprocess.Popen([sys.executable, "-c", ""])
    # Until it has ended, and without taking note of that.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not files.is_running(process.pid)
    process.wait()
    assert files.is_running(os.getpid())


def test_the_temporary_files_of_others_are_left_alone(folder, ended_process):
    others = [
        orphan("a", os.getppid()),
        orphan("a", ended_process, host="another-machine"),
        orphan("another", ended_process),
    ]
    touch(folder, *others)
    files.write_atomically("a", b"")
    assert sorted(os.listdir()) == sorted([*others, "a"])


def test_folders_are_made(folder):
    files.make_parent_folder("x/y/file")
    assert os.listdir("x/y") == []


def test_a_folder_is_no_output_file(folder):
    (folder / "x").mkdir()
    with pytest.raises(InputError, match="x is a folder"):
        files.make_parent_folder("x")


def test_a_folder_under_a_file_cannot_be_made(folder):
    touch(folder, "x")
    with pytest.raises(InputError, match="Cannot make the folder .*/x/y"):
        files.make_parent_folder("x/y/file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_not_writable_is_refused(folder):
    (folder / "x").mkdir(mode=0o500)
    with pytest.raises(InputError, match="not writable"):
        files.make_folder("x")


def test_an_output_that_is_no_regular_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(InputError, match="pipe is not a regular file"):
        files.make_parent_folder(str(tmp_path / "pipe"))


def test_an_output_behind_a_link_replaces_what_the_link_points_to(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)

    files.write_atomically(str(link), b"new")

    assert link.is_symlink()
    assert target.read_bytes() == b"new"
