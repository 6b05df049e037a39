"""The client of deeq and bareun servers: batches, addresses, keys, and the analyses it gives."""

import itertools
import logging
import os
import pathlib
import socket
import subprocess
import sys
import threading

import pytest
from deeq_server import free_port, read_log, wait_for_log

from deeq_bert.tokenizers.analyzers import deeq_client
from deeq_bert.tokenizers.analyzers.deeq_client import ServerAnalyzer
from deeq_bert.tokenizers.errors import InputError

KEY = "koba-S3CR3T-0123456789"


@pytest.fixture
def key_file(tmp_path) -> pathlib.Path:
    path = tmp_path / "key"
    path.write_text(KEY + "\n")
    path.chmod(0o600)
    return path


def forms(analyses) -> list[str]:
    """The analyses of a plain server, as the lines they are of."""
    return [" ".join(analysis.forms) for analysis in analyses]


def columns(analysis) -> tuple:
    names = ("forms", "tags", "starts", "ends", "word_starts")
    return tuple(list(getattr(analysis, name)) for name in names)


def numbered_lines(count: int) -> list[str]:
    return [f"줄 {number}" for number in range(count)]


def test_an_analysis_says_where_eojeols_stand(start_deeq_server, connect):
    analyzer = connect(start_deeq_server("--plain").address)

    (analysis,) = analyzer.analyze(["가나  다"])

    assert analysis.forms == ["가나", "다"]
    assert analysis.tags == ["NNG", "NNG"]
    assert (analysis.starts, analysis.ends) == ([0, 4], [2, 5])
    assert analysis.word_starts == b"\1\1"


@pytest.mark.parametrize("dialect", ["deeq", "bareun"])
def test_lines_go_in_batches_and_come_back_in_order(
    start_deeq_server, connect, log, monkeypatch, dialect
):
    monkeypatch.setattr(deeq_client, "BATCH_BYTES", 1000)
    server = start_deeq_server("--plain", f"--dialect={dialect}", f"--log={log}")
    lines = numbered_lines(1000)

    assert forms(connect(server.address, dialect).analyze(lines)) == lines

    requests = [request["lines"] for request in read_log(log)]
    assert sorted(itertools.chain(*requests)) == sorted(lines)
    sizes = [sum(len(line.encode()) + 1 for line in request) for request in requests]
    assert 900 < sizes[0] <= max(sizes) <= 1000


def test_a_batch_has_a_number_of_lines_at_most(start_deeq_server, connect, log, monkeypatch):
    monkeypatch.setattr(deeq_client, "BATCH_LINES", 3)
    server = start_deeq_server("--plain", f"--log={log}")

    assert len(list(connect(server.address).analyze(numbered_lines(7)))) == 7
    assert sorted(len(request["lines"]) for request in read_log(log)) == [1, 3, 3]


def test_no_more_is_read_ahead_than_a_few_batches(start_deeq_server, connect, monkeypatch):
    monkeypatch.setattr(deeq_client, "BATCH_LINES", 10)
    read = itertools.count()
    analyses = connect(start_deeq_server("--plain").address).analyze(f"줄 {n}" for n in read)

    assert forms(itertools.islice(analyses, 15)) == numbered_lines(15)
    analyses.close()
    assert next(read) <= 10 * (deeq_client.IN_FLIGHT + 2)


def test_no_texts_need_no_server(connect):
    assert list(connect(f"localhost:{free_port()}").analyze([])) == []


def test_closing_early_cancels_what_is_in_flight(start_deeq_server, connect, log, monkeypatch):
    monkeypatch.setattr(deeq_client, "BATCH_LINES", 1)
    server = start_deeq_server("--plain", f"--log={log}")
    analyses = connect(server.address).analyze(["가", "fault:never", "나"])

    next(analyses)
    wait_for_log(log, {"lines": ["fault:never"], "domain": ""})
    analyses.close()

    wait_for_log(log, {"ended": True})


@pytest.mark.parametrize("dialect", ["deeq", "bareun"])
def test_the_custom_dictionary_is_named(start_deeq_server, connect, log, dialect):
    server = start_deeq_server("--plain", f"--dialect={dialect}", f"--log={log}")
    analyzer = connect(server.address, dialect, domain="의학")

    list(analyzer.analyze(["가"]))

    assert read_log(log)[0]["domain"] == "의학"
    assert analyzer.identity() == {"name": dialect, "domain": "의학"}


def test_the_identity_has_no_address(connect):
    assert connect("localhost").identity() == {"name": "deeq"}


def test_a_forked_process_makes_a_channel_of_its_own(start_deeq_server, connect):
    analyzer = connect(start_deeq_server("--plain").address)
    assert forms(analyzer.analyze(["가 나"])) == ["가 나"]

    child = os.fork()
    if not child:
        os._exit(forms(analyzer.analyze(["다 라"])) != ["다 라"])

    assert os.waitpid(child, 0)[1] == 0
    assert forms(analyzer.analyze(["마"])) == ["마"]


def test_a_proxy_for_the_web_is_not_asked(start_deeq_server, connect, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://localhost:{free_port()}")
    analyzer = connect(start_deeq_server("--plain").address)
    assert forms(analyzer.analyze(["가"])) == ["가"]


# The key


def test_the_key_is_sent(start_deeq_server, connect, key_file, caplog):
    server = start_deeq_server("--plain", "--dialect=bareun", f"--key={KEY}")

    with caplog.at_level(logging.DEBUG, logger="absl"):
        assert forms(connect(server.address, "bareun", str(key_file)).analyze(["가"])) == ["가"]

    assert KEY not in caplog.text


def test_a_wrong_key_is_told_but_not_shown(start_deeq_server, connect, key_file):
    server = start_deeq_server("--plain", "--dialect=bareun", "--key=another")

    with pytest.raises(InputError) as raised:
        list(connect(server.address, "bareun", str(key_file)).analyze(["가"]))

    assert 'UNAUTHENTICATED ("the key (the key) is wrong")' in str(raised.value)
    assert "--api_key_file" in str(raised.value)
    assert KEY not in str(raised.value)


@pytest.mark.parametrize(
    "content", ["", "\n", f"{KEY}\n{KEY}", f"key: {KEY}", f"{KEY}가", "k" * 5000]
)
def test_a_file_that_is_not_a_key_is_refused_unseen(key_file, content):
    key_file.write_text(content)

    with pytest.raises(InputError, match="expected the key alone, on one line") as raised:
        ServerAnalyzer("localhost", "bareun", str(key_file))

    assert "S3CR3T" not in str(raised.value)


def test_a_key_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(InputError, match="--api_key_file=.*missing: cannot be read: No such file"):
        ServerAnalyzer("localhost", "bareun", str(tmp_path / "missing"))


def test_a_key_file_that_others_can_read_is_warned_of(key_file, caplog):
    ServerAnalyzer("localhost", "bareun", str(key_file))
    assert not caplog.records

    key_file.chmod(0o644)
    ServerAnalyzer("localhost", "bareun", str(key_file))
    assert "chmod 600" in caplog.text and KEY not in caplog.text


def test_a_deeq_server_takes_no_key(key_file):
    with pytest.raises(InputError, match="a deeq server asks for no key"):
        ServerAnalyzer("localhost", "deeq", str(key_file))


# The address and the connection


@pytest.mark.parametrize(
    "server, host, port",
    [
        ("localhost", "localhost", 5656),
        ("gpu-box_1.lan:80", "gpu-box_1.lan", 80),
        ("10.0.0.1:65535", "10.0.0.1", 65535),
        ("[::1]:5656", "[::1]", 5656),
        ("[fe80::1]", "[fe80::1]", 5656),
    ],
)
def test_addresses(server, host, port):
    assert deeq_client._parse_address(server) == (host, port)


@pytest.mark.parametrize(
    "server",
    [
        "",
        ":5656",
        "host:",
        "host:0",
        "host:65536",
        "host:five",
        "::1",
        "[::1",
        "[12345::]:1",
        "http://host:5656",
        "host:5656/path",
        "unix:/tmp/socket",
        "a host",
        "host:1\n",
    ],
)
def test_what_is_no_address_is_refused(server):
    with pytest.raises(InputError, match="--deeq_server=.*expected host:port.*no scheme"):
        ServerAnalyzer(server)


@pytest.mark.parametrize(
    "dialect, has_tls_port, first_bytes",
    [
        ("bareun", True, b"\x16\x03"),
        ("bareun", False, b"PR"),
        ("deeq", True, b"PR"),
    ],
)
def test_only_bareun_at_its_port_is_spoken_to_in_tls(
    connect, monkeypatch, dialect, has_tls_port, first_bytes
):
    with socket.create_server(("localhost", 0)) as listener:
        port = listener.getsockname()[1]
        monkeypatch.setattr(deeq_client, "TLS_PORT", port if has_tls_port else 443)
        analyses = connect(f"localhost:{port}", dialect, timeout=0.3).analyze(["가"])
        client = threading.Thread(target=pytest.raises, args=(InputError, list, analyses))
        client.start()
        connection, _ = listener.accept()
        with connection:
            assert connection.recv(2) == first_bytes
    monkeypatch.setattr(deeq_client, "START_SECONDS", 0)
    client.join()


def test_without_grpc_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(InputError, match="pip install grpcio protobuf"):
        ServerAnalyzer("localhost")


def run_program(program: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)


def test_grpc_is_imported_only_where_a_server_is_used():
    completed = run_program(
        "import sys, deeq_bert.tokenizers.analyzers.deeq_client\n"
        "sys.exit(bool({'grpc', 'google.protobuf'} & set(sys.modules)))"
    )
    assert completed.returncode == 0, completed.stderr


def test_grpc_writes_nothing_of_its_own_to_stderr():
    completed = run_program(
        "from absl import logging\n"
        "from deeq_bert.tokenizers.analyzers import deeq_client\n"
        "logging.set_verbosity(logging.FATAL)\n"
        "deeq_client.START_SECONDS = 0.5\n"
        "try:\n"
        f"    list(deeq_client.ServerAnalyzer('localhost:{free_port()}').analyze(['a']))\n"
        "except ValueError as error:\n"
        "    print(error)\n"
    )
    assert completed.stdout.startswith("--deeq_server=")
    assert completed.stderr == ""


# The embedded analyser as a server


ODD_LINES = [
    "했다",
    "가",
    "띄어쓰기가  두   칸",
    "전각\u3000공백과 줄바꿈\u2028같은 것",
    "1,000원짜리 3.5개, 50%... 10-20㎏!!!",
    "ㅋㅋㅋㅋ 진짜 ㅠㅠ 대박 ㄹㅇ",
    "😀👍🏽 가족👨\u200d👩\u200d👧 이모지는 𝒳 넓다😀은",
    "https://example.com/a?b=c&d 그리고 me@example.org #해시태그 @아이디",
    "漢字와 カタカナ, Ελληνικά, кириллица, العربية, ไทย",
    "아버지가방에들어가신다안녕하세요반가워요그렇지않습니까",
    "ᄒᆞᆫ글 옛한글과 첫가끝 자모 ᄀᆞ",
    "뷁쉙 뙓홿 먉",
    "「괄호」와 『낫표』, “따옴표” ‘홑따옴표’ … — ·",
    "e\u0301 i\u0307 결합 문자",
    "추운 날 도와 주셔서 고마워요. 예뻐졌더라고요?",
    "그러니깐요... 이렇게 명확히 따뜻하게 해줬잖아요",
    "가" * 300,
    "!" * 200,
]


@pytest.fixture(scope="module")
def varied_lines() -> list[str]:
    root = pathlib.Path(__file__).resolve().parents[3]
    sample = (root / "corpus" / "sample" / "sample.txt").read_text(encoding="utf-8")
    lines = list(filter(None, sample.splitlines()))[:300]
    spaceless = ["".join(line.split()) for line in lines[:60]]
    return [*ODD_LINES, *lines, *spaceless]


@pytest.mark.parametrize("dialect", ["deeq", "bareun"])
def test_the_embedded_analyser_says_the_same_as_a_server(
    start_deeq_server, connect, monkeypatch, varied_lines, dialect
):
    pytest.importorskip("kiwipiepy")
    from deeq_bert.tokenizers.analyzers.kiwi import KiwiAnalyzer

    monkeypatch.setattr(deeq_client, "BATCH_BYTES", 5000)
    server = start_deeq_server(f"--dialect={dialect}")
    expected = list(KiwiAnalyzer().analyze(varied_lines))

    analyses = list(connect(server.address, dialect).analyze(varied_lines))

    assert len(analyses) == len(varied_lines) > 300
    for line, here, there in zip(varied_lines, expected, analyses):
        assert columns(there) == columns(here), line
