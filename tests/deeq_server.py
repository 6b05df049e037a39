"""A deeq or bareun server for tests: real gRPC in a process of its own, with faults on demand.

`python tests/deeq_server.py --port=0` prints its port when it is up. Tests start it through the
fixture `start_deeq_server`, which a conftest imports.

A request fails where one of its lines holds the word `fault:fewer` (a sentence too few),
`fault:altered` (another text), `fault:garbage` (bytes that are no message), `fault:never` (no
answer) or `fault:CODE` (that status code of gRPC).
"""

import argparse
import json
import pathlib
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest

from deeq_bert.tokenizers.analyzers.base import Analysis
from deeq_bert.tokenizers.analyzers.deeq_messages import TAGS, messages_of

START_SECONDS = 60
_MAX_MESSAGE_BYTES = 100 * 1024 * 1024


class RunningServer:
    """A server process.

    Attributes:
      port: Where it listens, on this machine only.
      address: "host:port".
    """

    def __init__(self, *flags: str, port: int = 0):
        """Starts the server and waits until it is up."""
        command = [sys.executable, __file__, f"--port={port}", *flags]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        is_up, _, _ = select.select([self.process.stdout], [], [], START_SECONDS)
        line = self.process.stdout.readline() if is_up else ""
        if not line:
            self.stop()
            raise RuntimeError(f"{' '.join(command)}: not up within {START_SECONDS} seconds")
        self.port = int(line)
        self.address = f"localhost:{self.port}"

    def stop(self, number: int = signal.SIGKILL) -> None:
        """Ends the process, by default as a crash does."""
        self.process.send_signal(number)
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def start_deeq_server() -> Iterator[Callable[..., RunningServer]]:
    """A function that starts a server; it takes command-line flags and `port`."""
    started: list[RunningServer] = []

    def start(*flags: str, port: int = 0) -> RunningServer:
        started.append(RunningServer(*flags, port=port))
        return started[-1]

    yield start
    for server in started:
        if server.process.poll() is None:
            server.stop()


def free_port() -> int:
    """Returns a port where nobody listens."""
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        return listener.getsockname()[1]


def read_log(path: pathlib.Path) -> list[dict[str, Any]]:
    """Returns what a server with `--log` wrote about each request, so far."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def wait_for_log(path: pathlib.Path, *facts: dict[str, Any]) -> None:
    """Waits until a server with `--log` wrote each of the `facts`."""
    end = time.monotonic() + START_SECONDS
    while not all(fact in read_log(path) for fact in facts):
        assert time.monotonic() < end, f"not in the log: {facts}"
        time.sleep(0.01)


class Service:
    """Answers requests in one dialect, all other than the faults with what the analyser says."""

    def __init__(self, options: argparse.Namespace):
        self._options = options
        self._messages = messages_of(options.dialect)
        self._analyze = self._analyze_plainly if options.plain else _kiwi_analyze()
        self._failures_left = options.failures
        # Of failures and log; and the analyser serves one request at a time.
        self._lock = threading.Lock()

    def answer(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        """The remote procedure."""
        message = self._messages.request_class.FromString(request)
        if self._options.dialect == "deeq":
            lines, domain = message.document.content.split("\n"), message.custom_domain
        else:
            lines, domain = list(message.sentences), ",".join(message.custom_dict_names)
        self._log({"lines": lines, "domain": domain})
        key = dict(context.invocation_metadata()).get("api-key")
        if self._options.key and key != self._options.key:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, f"the key {key} is wrong")
        faults = re.findall(r"fault:(\w+)", " ".join(lines))
        with self._lock:
            if self._failures_left:
                self._failures_left -= 1
                faults = [self._options.failure]
        fault = faults[0] if faults else None
        if fault == "never":
            self._wait_for_end(context)
        if fault == "garbage":
            return b"\x0a\xff<html>"
        if fault in grpc.StatusCode.__members__:
            context.abort(grpc.StatusCode[fault], "the server's\n\x1b[31m own words")
        if fault == "fewer":
            lines.pop()
        if fault == "altered":
            lines[0] = lines[0].replace("fault", "vault")
        response = self._messages.response_class(language="ko_KR")
        offset = 0
        with self._lock:
            analyses = list(self._analyze(lines))
        for line, analysis in zip(lines, analyses):
            _add_sentence(response, line, analysis, offset)
            if self._options.dialect == "deeq":
                offset += len(line) + 1
        return response.SerializeToString()

    def _wait_for_end(self, context: grpc.ServicerContext) -> None:
        ended = threading.Event()
        if context.add_callback(ended.set):
            ended.wait()
        self._log({"ended": True})

    def _log(self, facts: dict[str, Any]) -> None:
        if self._options.log:
            with self._lock, open(self._options.log, "a", encoding="utf-8") as file:
                file.write(json.dumps(facts) + "\n")

    @staticmethod
    def _analyze_plainly(lines: Iterable[str]) -> Iterator[Analysis]:
        for line in lines:
            matches = list(re.finditer(r"\S+", line))
            yield Analysis(
                [match[0] for match in matches],
                ["NNG"] * len(matches),
                [match.start() for match in matches],
                [match.end() for match in matches],
                b"\1" * len(matches),
            )


def _kiwi_analyze() -> Callable[[Iterable[str]], Iterator[Analysis]]:
    from deeq_bert.tokenizers.analyzers.kiwi import KiwiAnalyzer

    return KiwiAnalyzer().analyze


def _add_sentence(response: Any, line: str, analysis: Analysis, offset: int) -> None:
    sentence = response.sentences.add()
    sentence.text.content, sentence.text.begin_offset = line, offset
    morphemes = list(zip(analysis.starts, analysis.forms, analysis.tags))
    for match in re.finditer(r"\S+", line):
        token = sentence.tokens.add()
        token.text.content, token.text.begin_offset = match[0], offset + match.start()
        inside = [morpheme for morpheme in morphemes if match.start() <= morpheme[0] < match.end()]
        for start, form, tag in inside:
            morpheme = token.morphemes.add(tag=TAGS.index(tag))
            morpheme.text.content, morpheme.text.begin_offset = form, offset + start
        token.tagged = "+".join(f"{form}/{tag}" for _, form, tag in inside)


def main() -> None:
    """Serves until it is told to stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--dialect", choices=["deeq", "bareun"], default="deeq")
    parser.add_argument("--plain", action="store_true", help="an eojeol is a morpheme; no Kiwi")
    parser.add_argument("--log", help="a file that gets a line for each request")
    parser.add_argument("--key", help="the key that clients must give")
    parser.add_argument("--max_bytes", type=int, default=_MAX_MESSAGE_BYTES)
    parser.add_argument("--failures", type=int, default=0, help="how many requests fail first")
    parser.add_argument("--failure", default="UNAVAILABLE", help="how they do, as after fault:")
    options = parser.parse_args()
    service = Service(options)
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=8),
        options=[
            ("grpc.max_receive_message_length", options.max_bytes),
            ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
            ("grpc.so_reuseport", 0),
        ],
    )
    path = messages_of(options.dialect).method
    service_name, _, procedure = path.strip("/").partition("/")
    # Bytes in and out, so that an answer may be garbage.
    handler = grpc.unary_unary_rpc_method_handler(service.answer)
    handlers = grpc.method_handlers_generic_handler(service_name, {procedure: handler})
    server.add_generic_rpc_handlers((handlers,))
    port = server.add_insecure_port(f"localhost:{options.port}")
    server.start()
    print(port, flush=True)
    signal.signal(signal.SIGTERM, lambda *_: server.stop(grace=0))
    server.wait_for_termination()


if __name__ == "__main__":
    main()
