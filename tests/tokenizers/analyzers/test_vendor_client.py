"""The vendor's own client, unmodified, against the test server: both speak the same protocol."""

import json
import pathlib
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow
pytest.importorskip("kiwipiepy")

LINES = [
    "오늘은 정말 추운 날이네요.",
    "햇빛이 선명하게 나뭇잎을 핥고 있었다.",
    "안녕하세요, 반가워요.",
]
# The versions that deeqnlpy 0.9.4 asks for know no current Python.
PACKAGES = ["deeqnlpy==0.9.4", "protobuf==3.20.3", "grpcio", "typing_extensions"]
PROGRAM = """
import json, sys
import deeqnlpy
tagger = deeqnlpy.Tagger(sys.argv[1], int(sys.argv[2]), domain="의학")
lines = sys.argv[3:]
print(json.dumps({
    "tag": [tagger.pos(line) for line in lines],
    "tags": tagger.tags(lines).pos(),
    "sentences": len(tagger.tags(lines).sentences()),
    "eojeols": tagger.tag(lines[0]).pos(flatten=False, join=True),
    "json": tagger.tag(lines[0]).as_json()["sentences"][0]["tokens"][0],
}))
"""


@pytest.fixture(scope="module")
def vendor_python(tmp_path_factory) -> pathlib.Path:
    """The Python of an environment that has the vendor's client."""
    folder = tmp_path_factory.mktemp("vendor")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    command = [python, "-m", "pip", "install", "--no-deps", "--only-binary=:all:", *PACKAGES]
    try:
        completed = subprocess.run(command, capture_output=True, text=True, timeout=300)
    except subprocess.TimeoutExpired:
        pytest.skip("deeqnlpy 0.9.4 cannot be installed: pip took over 300 seconds")
    if completed.returncode:
        pytest.skip(f"deeqnlpy 0.9.4 cannot be installed: {completed.stderr.strip()[-300:]}")
    return python


@pytest.fixture
def vendor_answers(vendor_python, start_deeq_server) -> dict:
    """What the vendor's client makes of the answers to LINES."""
    server = start_deeq_server()
    completed = subprocess.run(
        [vendor_python, "-W", "ignore", "-c", PROGRAM, "localhost", str(server.port), *LINES],
        capture_output=True,
        text=True,
    )
    assert completed.returncode == 0, completed.stderr
    return json.loads(completed.stdout)


def test_the_vendors_client_reads_what_the_embedded_analyser_says(vendor_answers):
    from deeq_bert.tokenizers.analyzers.kiwi import KiwiAnalyzer

    expected = [
        [[form, tag] for form, tag in zip(analysis.forms, analysis.tags)]
        for analysis in KiwiAnalyzer().analyze(LINES)
    ]
    assert vendor_answers["tag"] == expected
    assert vendor_answers["tags"] == sum(expected, [])
    assert vendor_answers["sentences"] == len(LINES)
    assert vendor_answers["eojeols"][-1] == ["날/NNG", "이/VCP", "네/EF", "요/JX", "./SF"]
    # Offsets and numbers that are 0 are left out.
    assert vendor_answers["json"]["tagged"] == "오늘/NNG+은/JX"
    assert vendor_answers["json"]["morphemes"][1] == {
        "text": {"content": "은", "beginOffset": 2},
        "tag": "JX",
    }
