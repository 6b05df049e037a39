"""Deeq and bareun servers that are away, slow, refuse, or answer something else."""

import itertools
import logging
import signal
import threading

import pytest
from deeq_server import free_port, read_log, wait_for_log

from deeq_bert.tokenizers.analyzers import deeq_client
from deeq_bert.tokenizers.errors import InputError


def forms(analyses) -> list[str]:
    """The analyses of a plain server, as the lines they are of."""
    return [" ".join(analysis.forms) for analysis in analyses]


def numbered_lines(count: int) -> list[str]:
    return [f"줄 {number}" for number in range(count)]


# Servers that are away or slow


def test_a_server_that_is_down_at_the_start_ends_the_run(connect, monkeypatch):
    monkeypatch.setattr(deeq_client, "START_SECONDS", 0.5)
    address = f"localhost:{free_port()}"

    with pytest.raises(InputError) as raised:
        list(connect(address).analyze(["가 나"]))

    message = str(raised.value)
    assert f"--deeq_server={address}: the deeq server failed with UNAVAILABLE" in message
    assert "onnection refused" in message
    assert "Is it running" in message and "Leave --deeq_server out" in message


def test_a_run_goes_on_when_the_server_was_killed_and_is_back(
    start_deeq_server, connect, monkeypatch
):
    monkeypatch.setattr(deeq_client, "BATCH_LINES", 10)
    server = start_deeq_server("--plain")
    lines = numbered_lines(100)
    analyses = connect(server.address).analyze(lines)
    first = forms(itertools.islice(analyses, 15))

    server.stop()
    restart = threading.Timer(0.5, start_deeq_server, ["--plain"], {"port": server.port})
    restart.start()
    try:
        rest = forms(analyses)
    finally:
        restart.join()

    assert first + rest == lines


def test_a_run_ends_when_the_server_does_not_come_back(start_deeq_server, connect, monkeypatch):
    monkeypatch.setattr(deeq_client, "BATCH_LINES", 1)
    monkeypatch.setattr(deeq_client, "RETRY_SECONDS", 0.5)
    server = start_deeq_server("--plain")
    analyses = connect(server.address).analyze(numbered_lines(9))
    next(analyses)

    server.stop()

    with pytest.raises(InputError, match="UNAVAILABLE .* It did not come back within 0.5 seconds"):
        list(analyses)


def test_a_server_that_stops_in_the_midst_of_a_request_is_asked_again(
    start_deeq_server, connect, log
):
    server = start_deeq_server("--plain", f"--log={log}", "--failures=1", "--failure=never")
    results = []
    analyzer = connect(server.address)
    client = threading.Thread(target=lambda: results.extend(analyzer.analyze(["가 나"])))
    client.start()
    wait_for_log(log, {"lines": ["가 나"], "domain": ""})

    server.stop(signal.SIGTERM)
    start_deeq_server("--plain", port=server.port)
    client.join()

    assert forms(results) == ["가 나"]


def test_an_error_that_passes_is_waited_out(start_deeq_server, connect, log, caplog):
    server = start_deeq_server("--plain", f"--log={log}", "--failures=2")

    with caplog.at_level(logging.INFO, logger="absl"):
        assert forms(connect(server.address).analyze(["가"])) == ["가"]

    assert len(read_log(log)) == 3
    assert caplog.text.count("it is asked again") == 1
    assert "answers again" in caplog.text


def test_what_takes_too_long_is_sent_again_in_halves(start_deeq_server, connect, log):
    server = start_deeq_server("--plain", f"--log={log}", "--failures=1", "--failure=never")
    lines = numbered_lines(4)

    assert forms(connect(server.address, timeout=0.5).analyze(lines)) == lines

    requests = [request["lines"] for request in read_log(log) if "lines" in request]
    assert requests[0] == lines
    assert sorted(requests[1:]) == [lines[:2], lines[2:]]


def test_a_server_that_never_answers_ends_the_run(start_deeq_server, connect, log):
    server = start_deeq_server("--plain", f"--log={log}")

    with pytest.raises(InputError, match="DEADLINE_EXCEEDED .*0.2 seconds, 3 times.*deeq_timeout"):
        list(connect(server.address, timeout=0.2).analyze(["fault:never"]))

    assert len([request for request in read_log(log) if "lines" in request]) == 3


# Servers that refuse


@pytest.mark.parametrize(
    "code, remedy",
    [
        ("INVALID_ARGUMENT", "the server's log"),
        ("INTERNAL", "the server's log"),
        ("RESOURCE_EXHAUSTED", "Split the line"),
        ("UNAUTHENTICATED", "--api_key_file"),
        ("PERMISSION_DENIED", "--api_key_file"),
        ("UNIMPLEMENTED", "--analyzer=bareun"),
    ],
)
def test_a_refused_request_is_not_sent_again(start_deeq_server, connect, log, code, remedy):
    server = start_deeq_server("--plain", f"--log={log}")

    with pytest.raises(InputError) as raised:
        list(connect(server.address).analyze([f"첫 줄 fault:{code}"]))

    message = str(raised.value)
    assert f'failed with {code} ("the server\'s [31m own words")' in message
    assert f'(1 line: "첫 줄 fault:{code}")' in message
    assert remedy in message
    assert len(read_log(log)) == 1


def test_the_message_tells_the_batch(start_deeq_server, connect):
    server = start_deeq_server("--plain")

    with pytest.raises(InputError, match='a batch of 45 bytes .3 lines, the first: "첫째 줄"'):
        list(connect(server.address).analyze(["첫째 줄", "둘째 줄", "fault:INVALID_ARGUMENT"]))


def test_a_batch_too_large_for_the_server_is_halved(start_deeq_server, connect, log):
    server = start_deeq_server("--plain", "--max_bytes=2000", f"--log={log}")
    lines = numbered_lines(1000)

    assert forms(connect(server.address).analyze(lines)) == lines
    assert sorted(itertools.chain(*(request["lines"] for request in read_log(log)))) == sorted(
        lines
    )


def test_later_batches_have_the_size_that_the_server_takes(
    start_deeq_server, connect, log, monkeypatch
):
    monkeypatch.setattr(deeq_client, "IN_FLIGHT", 1)
    server = start_deeq_server("--plain", "--max_bytes=120000", f"--log={log}")
    line = "가" * 3333

    assert len(list(connect(server.address).analyze([line] * 60))) == 60
    assert {len(request["lines"]) for request in read_log(log)} == {10}


def test_a_line_too_long_for_the_server_is_told(start_deeq_server, connect):
    server = start_deeq_server("--plain", "--max_bytes=2000")

    with pytest.raises(InputError, match='RESOURCE_EXHAUSTED .*1 line: "긴 줄 가+.*Split the line'):
        list(connect(server.address).analyze(["가", "긴 줄 " + "가" * 1000, "나"]))


def test_a_long_line_goes_alone(start_deeq_server, connect, log):
    server = start_deeq_server("--plain", f"--log={log}")
    lines = ["가", "나" * 300_000, "다"]

    assert forms(connect(server.address).analyze(lines)) == lines
    assert sorted(len(request["lines"]) for request in read_log(log)) == [1, 1, 1]


def test_an_over_long_line_is_not_sent(connect):
    line = "가" * (deeq_client.MAX_LINE_BYTES // 3 + 1)
    with pytest.raises(InputError, match='begins "가{40}..." has 10,000,0.*Split the line'):
        list(connect("localhost").analyze([line]))


# Servers that answer something else


@pytest.mark.parametrize(
    "fault, reason",
    [
        ("fewer", "1 sentences for 2 lines"),
        ("altered", '"vault:altered" where a line has "fault:altered"'),
        ("garbage", "8 bytes that are no such message"),
    ],
)
@pytest.mark.parametrize("dialect", ["deeq", "bareun"])
def test_an_answer_about_other_text_ends_the_run(
    start_deeq_server, connect, log, dialect, fault, reason
):
    server = start_deeq_server("--plain", f"--dialect={dialect}", f"--log={log}")

    with pytest.raises(InputError) as raised:
        list(connect(server.address, dialect).analyze([f"fault:{fault}", "둘째 줄"]))

    assert f"gave an unusable answer, {reason}" in str(raised.value)
    assert f'2 lines, the first: "fault:{fault}"' in str(raised.value)
    assert len(read_log(log)) == 1


def test_a_server_of_the_other_dialect_is_told(start_deeq_server, connect):
    server = start_deeq_server("--plain", "--dialect=bareun")
    with pytest.raises(InputError, match="UNIMPLEMENTED .* give --analyzer=bareun"):
        list(connect(server.address).analyze(["가"]))
