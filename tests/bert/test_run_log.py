import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from deeq_bert.bert import run_log
from deeq_bert.bert.run_log import RunLog, places_of_steps, read_run_log, series
from deeq_bert.tokenizers.errors import InputError


@pytest.fixture
def path(tmp_path) -> str:
    return str(tmp_path / "metrics.jsonl")


def write(path: str, *lines: tuple) -> None:
    with RunLog(path) as log:
        for line in lines:
            log.write(*line)


def read_lines(path: str) -> list[dict]:
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def test_a_line_has_its_kind_its_step_the_time_and_the_figures(path):
    write(path, ("train", 100, {"loss": 7.5, "name": "말뭉치"}))

    (line,) = read_lines(path)
    assert line.pop("time").endswith("+00:00")
    assert line == {"kind": "train", "step": 100, "loss": 7.5, "name": "말뭉치"}


def test_each_line_is_on_the_disk_when_it_is_written(path):
    with RunLog(path) as log:
        log.write("train", 100, {"loss": 7.5})
        assert len(read_lines(path)) == 1


def test_numbers_that_are_not_finite_are_null(path):
    write(path, ("train", 1, {"a": float("nan"), "b": [float("inf"), 1.5], "c": np.float32("nan")}))

    (line,) = read_lines(path)
    assert (line["a"], line["b"], line["c"]) == (None, [None, 1.5], None)


def test_scalars_of_numpy_are_numbers(path):
    write(
        path, ("eval", np.int64(3), {"a": np.float32(0.5), "b": np.int64(7), "c": np.bool_(True)})
    )

    (line,) = read_lines(path)
    assert (line["step"], line["a"], line["b"], line["c"]) == (3, 0.5, 7, True)


def test_a_file_name_that_is_not_utf8_is_written_and_read(path):
    name = os.fsdecode(b"records-\xff.tf")

    write(path, ("start", 0, {"file": name}))

    assert read_run_log(path).starts[0]["file"] == name


def test_figures_cannot_take_the_place_of_the_step(path):
    write(path, ("train", 100, {"step": 5.0, "kind": "eval"}))

    (line,) = read_lines(path)
    assert (line["step"], line["kind"]) == (100, "train")


def test_another_kind_is_refused(path):
    with RunLog(path) as log, pytest.raises(ValueError, match="trian"):
        log.write("trian", 1)


@pytest.mark.parametrize(
    "torn", [b'{"kind": "train", "step": 200, "lo', b"\0" * 5000, b"\xff", b'"half a wo']
)
def test_a_torn_last_line_is_cut_off(path, torn):
    write(path, ("train", 100, {"loss": 7.5}))
    with open(path, "ab") as file:
        file.write(torn)

    write(path, ("train", 200, {"loss": 7.0}))

    assert [line["step"] for line in read_lines(path)] == [100, 200]


def test_a_last_line_that_lacks_only_its_end_stays(path):
    with open(path, "wb") as file:
        file.write(b'{"kind": "train", "step": 100}')

    write(path, ("train", 200))

    assert [line["step"] for line in read_lines(path)] == [100, 200]


def test_a_log_that_is_all_one_torn_line_begins_anew(path):
    with open(path, "wb") as file:
        file.write(b'{"kind": "st')

    write(path, ("start", 0))

    assert [line["step"] for line in read_lines(path)] == [0]


def test_a_process_killed_while_it_writes_leaves_a_log_that_goes_on(path):
    program = (
        "import sys; from deeq_bert.bert.run_log import RunLog\n"
        "log, step = RunLog(sys.argv[1]), 0\n"
        "while True: log.write('train', step, {'loss': 1 / 3}); step += 1"
    )
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-c", program, path])
        size = os.path.getsize(path) if os.path.exists(path) else 0
        while not os.path.exists(path) or os.path.getsize(path) < size + 50_000:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()

    history = read_run_log(path)
    assert history.broken_lines == 0
    assert list(history.train) == list(range(len(history.train)))


def test_a_full_disk_loses_lines_and_not_the_run(path):
    program = (
        "import resource, signal, sys; from deeq_bert.bert.run_log import RunLog\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "log = RunLog(sys.argv[1])\n"
        "log.write('train', 1, {'loss': 7.5})\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (120, resource.RLIM_INFINITY))\n"
        "log.write('train', 2, {'loss': 7.5}); log.write('train', 3, {'loss': 7.5})\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)\n"
        "log.write('train', 4, {'loss': 7.5})"
    )
    completed = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, check=True
    )

    assert completed.stderr.count("The run goes on") == 1
    assert [line["step"] for line in read_lines(path)] == [1, 4]


def test_a_log_that_cannot_be_written_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="Cannot write .*--output_dir"):
        RunLog(str(tmp_path / "not there" / "metrics.jsonl"))


def test_what_was_lost_before_a_resume_is_not_in_the_history(path):
    write(
        path,
        ("start", 0),
        ("train", 100, {"loss": 7.5, "seconds_spent": 10.0}),
        ("eval", 100, {"loss": 7.4}),
        ("train", 200, {"loss": 7.3, "seconds_spent": 20.0}),
        ("train", 300, {"loss": 7.2, "seconds_spent": 30.0}),
        ("eval", 300, {"loss": 7.1}),
        ("start", 150),
        ("train", 200, {"loss": 7.25, "seconds_spent": 25.0}),
    )

    history = read_run_log(path)

    assert series(history.train, "loss") == ([100, 200], [7.5, 7.25])
    assert series(history.evaluations, "loss") == ([100], [7.4])
    assert [line["step"] for line in history.starts] == [0, 150]
    assert (history.lines, history.seconds_spent) == (8, 30.0)


def test_what_was_rolled_back_is_not_in_the_history(path):
    write(
        path,
        ("train", 100, {"loss": 7.5}),
        ("train", 200, {"loss": 90.0}),
        ("rollback", 100, {"from_step": 200}),
        ("train", 300, {"loss": 7.2}),
    )

    history = read_run_log(path)

    assert list(history.train) == [100, 300]
    assert history.rollbacks[0]["from_step"] == 200


def test_a_step_told_twice_has_its_last_value(path):
    write(path, ("eval", 100, {"loss": 7.5}), ("eval", 100, {"loss": 7.0}))

    assert series(read_run_log(path).evaluations, "loss") == ([100], [7.0])


def test_broken_lines_are_passed_over_and_counted(path):
    lines = [
        b'{"kind": "train", "step": 1, "loss": 7.5}',
        b"not JSON",
        b"[1, 2]",
        b"\xff\xfe",
        b"",
        b'{"kind": "train"}',
        b'{"kind": "train", "step": -1}',
        b'{"kind": "train", "step": true}',
        b'{"kind": ["train"], "step": 1}',
        b'{"kind": "else", "step": 1}',
        b"[" * 100_000,
        b'{"kind": "train", "step": ' + b"1" * 10_000 + b"}",
        b'{"a": "' + b"x" * (3 * run_log.MAX_LINE_BYTES) + b'"}',
        b'{"kind": "train", "step": 2, "loss": 7.0}',
        b'{"kind": "train", "st',
    ]
    with open(path, "wb") as file:
        file.write(b"\n".join(lines))

    history = read_run_log(path)

    assert series(history.train, "loss") == ([1, 2], [7.5, 7.0])
    assert (history.lines, history.broken_lines) == (2, 13)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999", '"7"', "null", "true", "[1]", "{}"])
def test_a_value_that_is_no_finite_number_is_not_in_a_series(path, value):
    with open(path, "w") as file:
        file.write(f'{{"kind": "train", "step": 1, "loss": {value}}}\n')

    assert series(read_run_log(path).train, "loss") == ([], [])


def test_integers_of_any_length_are_numbers(path):
    with open(path, "w") as file:
        file.write(f'{{"kind": "train", "step": 1, "loss": 1{"0" * 30}}}\n')

    assert series(read_run_log(path).train, "loss") == ([1], [1e30])


@pytest.fixture
def history(path):
    """Of two reports of 100 steps and one of 50, and an evaluation 6 minutes later."""
    write(
        path,
        ("train", 100, {"tokens": 1000.0, "seconds_spent": 3600.0}),
        ("train", 200, {"tokens": 1200.0, "seconds_spent": 5400.0}),
        ("train", 250, {"tokens": 1100.0, "seconds_spent": 7200.0}),
        ("eval", 250, {"seconds_spent": 7560.0}),
    )
    return read_run_log(path)


def test_steps_can_be_placed_by_the_tokens_trained_on(history):
    assert places_of_steps(history, "tokens") == (
        [0, 100, 200, 250],
        [0.0, 100_000.0, 220_000.0, 275_000.0],
    )


def test_steps_can_be_placed_by_hours(history):
    assert places_of_steps(history, "hours") == ([0, 100, 200, 250], [0.0, 1.0, 1.5, 2.1])


def test_an_axis_that_the_log_does_not_tell_is_one_sentence(path):
    write(path, ("train", 100, {"loss": 7.5}))

    with pytest.raises(InputError, match="--x=tokens: .* have no tokens. Choose --x=step"):
        places_of_steps(read_run_log(path), "tokens")


def test_a_log_that_is_not_there_is_one_sentence(path):
    with pytest.raises(InputError, match="Cannot read .*metrics.jsonl: No such file"):
        read_run_log(path)


def test_a_file_far_too_large_is_refused_unread(path):
    with open(path, "wb") as file:
        file.truncate(run_log.MAX_FILE_BYTES + 1)

    with pytest.raises(InputError, match="larger than"):
        read_run_log(path)


def test_the_log_is_read_without_tensorflow():
    program = "import sys, deeq_bert.bert.run_log; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
