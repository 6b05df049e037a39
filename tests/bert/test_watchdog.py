import subprocess
import sys
import threading
import time

import pytest

from deeq_bert.bert.watchdog import Watchdog


def reports(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def wait_for_reports(caplog, count: int) -> None:
    end = time.monotonic() + 20
    while len(caplog.records) < count and time.monotonic() < end:
        time.sleep(0.005)


@pytest.fixture
def watchdog():
    """One that looks a hundred times a second."""
    with Watchdog(interval=0.01, next_report=0.05) as watchdog:
        yield watchdog


def test_what_takes_too_long_is_reported_with_what_to_look_at(watchdog, caplog):
    with watchdog.expecting("the next batch of records", 0.05, "Look at the disk."):
        wait_for_reports(caplog, 1)

    report = reports(caplog)[0]
    assert report.startswith("Nothing has moved for 0 s: the run waits for the next batch of ")
    assert report.endswith(". Look at the disk.")


def test_a_report_says_where_the_program_waits(watchdog, caplog):
    gate = threading.Event()
    with watchdog.expecting("a gate", 0.05):
        threading.Timer(0.3, gate.set).start()
        gate.wait()

    assert "a gate (in threading.py, line " in reports(caplog)[0]


def test_reports_come_again_and_at_the_end_that_it_goes_on(watchdog, caplog):
    with watchdog.expecting("a step", 0.05):
        wait_for_reports(caplog, 3)

    *again, last = reports(caplog)
    assert len(again) >= 3
    assert last.startswith("The run goes on: a step took ")


def test_reports_come_ever_more_seldom(watchdog, caplog):
    with watchdog.expecting("a step", 0.05):
        wait_for_reports(caplog, 4)

    moments = [record.created for record in caplog.records[:4]]
    pauses = [later - earlier for earlier, later in zip(moments, moments[1:])]
    # 0.05, 0.1 and 0.2 s; none can come early, whatever else the machine does.
    assert pauses[2] > 0.15


def test_what_comes_in_time_is_not_reported(watchdog, caplog):
    for _ in range(1000):
        with watchdog.expecting("a step", 60.0):
            pass
    time.sleep(0.05)

    assert not caplog.records


def test_the_inner_of_two_counts_and_then_the_outer_again(watchdog, caplog):
    with watchdog.expecting("an evaluation", 0.2):
        with watchdog.expecting("a batch", 60.0):
            time.sleep(0.3)
        assert not caplog.records
        wait_for_reports(caplog, 1)

    assert "the run waits for an evaluation" in reports(caplog)[0]


def test_outside_of_any_nothing_is_reported(watchdog, caplog):
    with watchdog.expecting("a step", 0.05):
        pass
    time.sleep(0.2)

    assert not caplog.records


def test_an_error_ends_the_wait_without_saying_that_the_run_goes_on(watchdog, caplog):
    with pytest.raises(OSError), watchdog.expecting("a step", 0.05):
        wait_for_reports(caplog, 1)
        raise OSError

    assert not [report for report in reports(caplog) if "goes on" in report]


def test_its_thread_ends_with_it():
    before = threading.active_count()
    with Watchdog():
        assert threading.active_count() == before + 1

    assert threading.active_count() == before


STOPPED = """
import os, signal, subprocess, sys, time
from deeq_bert.bert.watchdog import Watchdog
with Watchdog(interval=0.01) as watchdog:
    with watchdog.expecting("a step", 1.0):
        # Another process wakes this one up again.
        subprocess.Popen(["sh", "-c", f"sleep 1.5; kill -CONT {os.getpid()}"])
        os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(0.1)
"""


def test_a_process_that_was_itself_stopped_does_not_count_that():
    completed = subprocess.run(
        [sys.executable, "-c", STOPPED], capture_output=True, text=True, timeout=30
    )

    assert (completed.returncode, completed.stderr) == (0, "")
