"""The analyser that is a server: deeq, or its successor bareun, over gRPC."""

import collections
import dataclasses
import ipaddress
import os
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from absl import logging

from deeq_bert.tokenizers.analyzers.base import Analysis, Analyzer
from deeq_bert.tokenizers.errors import InputError

DEFAULT_PORT = 5656
# Bareun's cloud has TLS there; servers elsewhere speak plaintext.
TLS_PORT = 443

# How much goes into one request. An answer has about 8 times the bytes.
BATCH_BYTES = 200_000
BATCH_LINES = 2_000
_MIN_BATCH_BYTES = 10_000
MAX_LINE_BYTES = 10_000_000
MAX_MESSAGE_BYTES = 100 * 1024 * 1024
# How many requests are on their way at a time.
IN_FLIGHT = 3

# How long a server that is away is tried again: one that never answered, and one that did.
START_SECONDS = 6.0
RETRY_SECONDS = 60.0
FIRST_PAUSE, LAST_PAUSE = 0.25, 2.0
# How often a batch is sent, or the parts of it, where no answer comes in time.
MAX_TIMEOUTS = 3

_MAX_KEY_BYTES = 4096
_MAX_QUOTED = 300


class ServerAnalyzer(Analyzer):
    """Sends text to a deeq or bareun server, many lines at a time and several times at once.

    The channel is made by the process that first asks for an analysis, and only then, so nothing
    of it is shared with processes forked before or after.
    """

    def __init__(
        self,
        server: str,
        dialect: str = "deeq",
        api_key_file: str | None = None,
        domain: str | None = None,
        timeout: float = 60.0,
    ):
        """Reads the key; the server is asked for nothing yet.

        Args:
          server: "host:port" or "host".
          dialect: "deeq" or "bareun".
          api_key_file: The file with the key for a bareun server.
          domain: The name of the custom dictionary that the server shall use.
          timeout: The seconds it has to answer a request.

        Raises:
          InputError: The address or the key cannot be used, or grpcio or protobuf is missing.
        """
        self._host, self._port = _parse_address(server)
        self._dialect = dialect
        self._domain = domain
        self._timeout = timeout
        self._key = ""
        if api_key_file:
            if dialect != "bareun":
                raise InputError(
                    f"--api_key_file={api_key_file}: a {dialect} server asks for no key. Leave it "
                    "out, or give --analyzer=bareun."
                )
            self._key = _read_key(api_key_file)
        # What gRPC writes to stderr by itself would bury the error of a script.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        try:
            import grpc

            from deeq_bert.tokenizers.analyzers.deeq_messages import UnusableAnswer, messages_of
        except ImportError as error:
            raise InputError(
                f"--deeq_server needs grpcio and protobuf ({error}). `pip install grpcio protobuf` "
                "mends it."
            ) from error
        self._grpc = grpc
        self._unusable_answer = UnusableAnswer
        self._messages = messages_of(dialect)
        self._channel: Any = None
        self._channel_process = 0
        # Destroying another process's channel would shut its connections down.
        self._inherited_channels: list[Any] = []
        self._batch_bytes = BATCH_BYTES
        self._in_flight = IN_FLIGHT
        self._has_answered = False
        self._is_away = False

    def identity(self) -> dict[str, Any]:
        """Returns the dialect and the custom dictionary; the protocol tells no version."""
        domain = {"domain": self._domain} if self._domain else {}
        return {"name": self._dialect, **domain}

    def analyze(self, texts: Iterable[str]) -> Iterator[Analysis]:
        """Yields the analysis of each text, in order (see `Analyzer.analyze`).

        A server that is away or too slow is asked again for a while. Whatever else fails, fails at
        once.

        Raises:
          InputError: No server answers, it refuses a request, or its answer cannot be used; or a
            text is over MAX_LINE_BYTES long.
        """
        sent: collections.deque[_Batch] = collections.deque()
        batches = self._batches(texts)
        try:
            while True:
                while len(sent) < self._in_flight and (batch := next(batches, None)):
                    sent.append(self._send(batch))
                if not sent:
                    return
                answer = self._answer(sent[0])
                batch = sent.popleft()
                if answer is None:
                    halves = [self._send(half) for half in batch.halves()]
                    sent.extendleft(reversed(halves))
                else:
                    yield from self._read(batch, answer)
        finally:
            for batch in sent:
                batch.call.cancel()

    def close(self) -> None:
        """Closes the channel; the analyser cannot be used after."""
        if self._channel is not None and self._channel_process == os.getpid():
            self._channel.close()
            self._channel = None

    def _batches(self, texts: Iterable[str]) -> Iterator["_Batch"]:
        lines: list[str] = []
        total = 0
        for text in texts:
            size = len(text.encode()) + 1
            if size > MAX_LINE_BYTES:
                raise InputError(
                    f"The line that begins {_quoted(text, 40)} has {size:,} bytes; a server is "
                    f"sent {MAX_LINE_BYTES:,} at most. Split the line, or leave it out."
                )
            if lines and (total + size > self._batch_bytes or len(lines) == BATCH_LINES):
                yield _Batch(lines, total)
                lines, total = [], 0
            lines.append(text)
            total += size
        if lines:
            yield _Batch(lines, total)

    def _send(self, batch: "_Batch") -> "_Batch":
        if self._channel is not None and self._channel_process != os.getpid():
            self._inherited_channels.append(self._channel)
            self._channel = None
        if self._channel is None:
            self._channel = self._make_channel()
            self._channel_process = os.getpid()
        # Bytes in and out: a damaged answer then is an error of its own, not one of the call.
        procedure = self._channel.unary_unary(self._messages.method)
        request = self._messages.request(batch.lines, self._domain)
        metadata = [("api-key", self._key)] if self._key else []
        batch.call = procedure.future(request, timeout=self._timeout, metadata=metadata)
        return batch

    def _make_channel(self) -> Any:
        is_secure = self._dialect == "bareun" and self._port == TLS_PORT
        options = [
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            # Pauses between attempts to find it and to connect, by default up to two minutes.
            ("grpc.dns_min_time_between_resolutions_ms", int(1000 * FIRST_PAUSE)),
            ("grpc.initial_reconnect_backoff_ms", int(1000 * FIRST_PAUSE)),
            ("grpc.max_reconnect_backoff_ms", int(1000 * LAST_PAUSE)),
            # Plaintext is for servers near by, which a proxy for the web does not know.
            ("grpc.enable_http_proxy", int(is_secure)),
        ]
        # With the scheme, a host called "unix" is a host.
        target = f"dns:///{self._host}:{self._port}"
        if is_secure:
            credentials = self._grpc.ssl_channel_credentials()
            return self._grpc.secure_channel(target, credentials, options)
        return self._grpc.insecure_channel(target, options)

    def _answer(self, batch: "_Batch") -> bytes | None:
        """Waits for the answer to a batch that was sent, and sends it again where that may help.

        Returns:
          The answer, or None where the batch shall be halved.
        """
        codes = self._grpc.StatusCode
        while True:
            try:
                answer = batch.call.result()
            except self._grpc.RpcError as error:
                code, details = error.code(), self._words(error.details() or "")
            else:
                if self._is_away:
                    logging.info("The %s server answers again.", self._dialect)
                self._has_answered, self._is_away = True, False
                return answer
            may_halve = len(batch.lines) > 1
            if code == codes.RESOURCE_EXHAUSTED and may_halve:
                self._learn_size(batch)
                return None
            if not self._may_send_again(batch, code):
                raise InputError(self._failure(batch, code, details))
            if not self._is_away:
                logging.warning(
                    "The %s server does not answer (%s: %s); it is asked again.",
                    self._dialect,
                    code.name,
                    details,
                )
                self._is_away = True
            if code == codes.DEADLINE_EXCEEDED:
                # Others may be asking it too, and what is sent ahead only waits there.
                self._in_flight = 1
                if may_halve:
                    self._learn_size(batch)
                    return None
            else:
                time.sleep(batch.pause)
                batch.pause = min(2 * batch.pause, LAST_PAUSE)
            self._send(batch)

    def _may_send_again(self, batch: "_Batch", code: Any) -> bool:
        if code == self._grpc.StatusCode.DEADLINE_EXCEEDED:
            batch.timeouts += 1
            return batch.timeouts < MAX_TIMEOUTS
        if code != self._grpc.StatusCode.UNAVAILABLE:
            return False
        now = time.monotonic()
        if batch.give_up_at is None:
            batch.give_up_at = now + (RETRY_SECONDS if self._has_answered else START_SECONDS)
        return now < batch.give_up_at

    def _learn_size(self, batch: "_Batch") -> None:
        self._batch_bytes = min(self._batch_bytes, max(batch.size // 2, _MIN_BATCH_BYTES))

    def _read(self, batch: "_Batch", answer: bytes) -> list[Analysis]:
        try:
            return self._messages.analyses(batch.lines, answer)
        except self._unusable_answer as error:
            raise InputError(
                f"{self._server_words()} gave an unusable answer, {self._words(str(error))}, to "
                f"{batch}. Is it a {self._dialect} server? Otherwise leave out or mend what it "
                "stumbles over, or analyse without --deeq_server."
            ) from None

    def _failure(self, batch: "_Batch", code: Any, details: str) -> str:
        said = f' ("{details}")' if details else ""
        return f"{self._server_words()} failed with {code.name}{said} on {batch}. " + self._remedy(
            code
        )

    def _remedy(self, code: Any) -> str:
        codes = self._grpc.StatusCode
        if code == codes.UNAVAILABLE:
            if not self._has_answered:
                return (
                    "Is it running, and is --deeq_server its address? Leave --deeq_server out to "
                    "use the embedded analyser."
                )
            return f"It did not come back within {RETRY_SECONDS:g} seconds; start it and run again."
        if code == codes.DEADLINE_EXCEEDED:
            return (
                f"It did not answer within {self._timeout:g} seconds, {MAX_TIMEOUTS} times over; "
                "raise --deeq_timeout, or lower --num_workers."
            )
        if code == codes.RESOURCE_EXHAUSTED:
            return "Split the line, or raise the server's limit on the size or number of requests."
        if code in (codes.UNAUTHENTICATED, codes.PERMISSION_DENIED):
            if self._dialect == "bareun":
                return "Give the file with a valid key as --api_key_file."
            return "A server that asks for a key needs --analyzer=bareun and --api_key_file."
        if code == codes.UNIMPLEMENTED:
            other = "deeq" if self._dialect == "bareun" else "bareun"
            return f"If it is a {other} server, give --analyzer={other}."
        return (
            "It is not asked again after such an error: look into the server's log, and leave out "
            "or mend what it stumbles over."
        )

    def _server_words(self) -> str:
        return f"--deeq_server={self._host}:{self._port}: the {self._dialect} server"

    def _words(self, text: str) -> str:
        """Returns what a server said, short and harmless; it may quote the key."""
        if self._key:
            text = text.replace(self._key, "(the key)")
        return _harmless(text, _MAX_QUOTED)


@dataclasses.dataclass
class _Batch:
    """Lines that make one request; `size` is that of the lines in bytes.

    Attributes:
      call: The future of the answer, once the batch is sent.
      timeouts: How often no answer came in time, to it or to the batch it is part of.
      give_up_at: Until when the server is asked again, by the monotonic clock; None so far.
      pause: The seconds before it is asked again.
    """

    lines: Sequence[str]
    size: int
    call: Any = None
    timeouts: int = 0
    give_up_at: float | None = None
    pause: float = FIRST_PAUSE

    def __str__(self) -> str:
        lines = "1 line" if len(self.lines) == 1 else f"{len(self.lines):,} lines, the first"
        return f"a batch of {self.size:,} bytes ({lines}: {_quoted(self.lines[0], 40)})"

    def halves(self) -> Iterator["_Batch"]:
        """Yields two batches that together are this one."""
        middle = len(self.lines) // 2
        for lines in (self.lines[:middle], self.lines[middle:]):
            size = sum(len(line.encode()) + 1 for line in lines)
            yield _Batch(lines, size, timeouts=self.timeouts, give_up_at=self.give_up_at)


def _quoted(text: str, length: int) -> str:
    return f'"{_harmless(text, length)}"'


def _harmless(text: str, length: int) -> str:
    """Returns the beginning of `text`, on one line and without control characters."""
    text = " ".join(text[: 2 * length].split())
    text = "".join(character for character in text if character.isprintable())
    return text if len(text) <= length else text[:length] + "..."


def _parse_address(server: str) -> tuple[str, int]:
    """Returns host and port of "host:port", "host" or "[IPv6 address]:port"."""
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?", server)
    host, digits = match.groups() if match else ("", None)
    port = int(digits) if digits else DEFAULT_PORT
    is_valid = bool(match) and 0 < port < 65536
    if host.startswith("["):
        try:
            ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            is_valid = False
    if not is_valid:
        raise InputError(
            f"--deeq_server={_harmless(server, 100)}: expected host:port, as in localhost:5656 or "
            f"[::1]:5656, with a port from 1 to 65535 ({DEFAULT_PORT} if left out) and no scheme "
            "such as http://."
        )
    return host, port


def _read_key(path: str) -> str:
    """Returns the key in a file of one line. No message has any of what is in the file."""
    try:
        with open(path, "rb") as file:
            content = file.read(_MAX_KEY_BYTES + 1)
            mode = os.fstat(file.fileno()).st_mode
    except OSError as error:
        raise InputError(f"--api_key_file={path}: cannot be read: {error.strerror}.") from error
    key = content.strip()
    if not re.fullmatch(rb"[!-~]+", key) or len(content) > _MAX_KEY_BYTES:
        raise InputError(
            f"--api_key_file={path}: expected the key alone, on one line, without blanks and in "
            "ASCII. Write it there as the server's owner gave it to you."
        )
    # No error: the files of container secrets are readable by all inside.
    if mode & 0o077:
        logging.warning(
            "--api_key_file=%s: others than its owner may read it; `chmod 600` keeps them out.",
            path,
        )
    return key.decode("ascii")
