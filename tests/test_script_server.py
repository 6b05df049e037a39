"""What a run by the server says and returns is what a process of its own does."""

import subprocess
import sys

import pytest
from script_server import ScriptServer

OUTPUTS_AND_CODE = """
import pathlib, sys
assert __name__ == "__main__" and sys.path[0] == str(pathlib.Path(__file__).parent)
print("said", *sys.argv[1:], "in", pathlib.Path.cwd())
print("warned", sys.stdin.read(), file=sys.stderr)
sys.exit({code})
"""


@pytest.fixture(scope="module")
def server() -> ScriptServer:
    return ScriptServer()


@pytest.mark.parametrize("code", ["None", "0", "3", "'a reason'"])
def test_output_and_exit_code_are_those_of_a_process(server, code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    script = tmp_path / "script.py"
    script.write_text(OUTPUTS_AND_CODE.format(code=code))

    run = server.run(script, "--text=한글 둘", tmp_path)

    expected = subprocess.run(
        [sys.executable, script, "--text=한글 둘", tmp_path],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert (run.returncode, run.stdout, run.stderr) == (
        expected.returncode,
        expected.stdout,
        expected.stderr,
    )


def test_an_error_and_a_signal_end_one_run_and_not_the_next(server, tmp_path):
    script = tmp_path / "script.py"
    script.write_text("raise ValueError('no such thing')")
    failed = server.run(script)
    assert failed.returncode == 1
    assert failed.stderr.endswith("ValueError: no such thing\n")

    script.write_text("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert server.run(script).returncode == -9

    script.write_text("import sys; print('tensorflow' in sys.modules)")
    assert server.run(script).stdout == "True\n"


def test_a_run_leaves_nothing_to_the_next(server, tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import os, sys; os.environ['LEFT'] = 'here'; sys.modules['left'] = sys")
    assert server.run(script).returncode == 0

    script.write_text("import os, sys; print(os.environ.get('LEFT'), 'left' in sys.modules)")
    assert server.run(script).stdout == "None False\n"
