"""Runs scripts as a user does, without waiting each time until TensorFlow is imported.

Most of what a short run takes is that import. A server imports it once, and makes of itself a copy
for each run, which then loads the script like any other process. What a script does before
TensorFlow is there cannot be tested this way, nor what it does with another environment.
"""

import atexit
import json
import os
import pathlib
import runpy
import subprocess
import sys
import tempfile


class ScriptServer:
    """Starts with the first run, and ends with the process that asked."""

    def __init__(self):
        self._process: subprocess.Popen | None = None

    def run(self, script: pathlib.Path, *flags: object) -> subprocess.CompletedProcess:
        """Runs a script, given by its path, and waits for its end."""
        command = [str(script), *map(str, flags)]
        with tempfile.TemporaryDirectory() as folder:
            outputs = [os.path.join(folder, name) for name in ("stdout", "stderr")]
            request = {"command": command, "folder": os.getcwd(), "outputs": outputs}
            server = self._started()
            print(json.dumps(request), file=server.stdin, flush=True)
            code = server.stdout.readline()
            if not code:
                raise RuntimeError(f"the server of scripts ended during {script}")
            texts = [pathlib.Path(path).read_text("utf-8") for path in outputs]
        return subprocess.CompletedProcess([sys.executable, *command], int(code), *texts)

    def _started(self) -> subprocess.Popen:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            atexit.register(self._process.stdin.close)
        return self._process


def _become(request: dict) -> None:
    """Makes this process one that runs a script, and runs it."""
    standard = [os.open(os.devnull, os.O_RDONLY)]
    standard += [os.open(path, os.O_WRONLY | os.O_CREAT, 0o600) for path in request["outputs"]]
    for number, descriptor in enumerate(standard):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(request["folder"])
    sys.argv = request["command"]
    sys.path[0] = os.path.dirname(sys.argv[0])
    runpy.run_path(sys.argv[0], run_name="__main__")
    sys.exit()


def _serve() -> None:
    import tensorflow  # noqa: F401  what every copy has from the start

    requests = os.fdopen(os.dup(0), encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    for line in requests:
        child = os.fork()
        if child == 0:
            requests.close()
            answers.close()
            _become(json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)


SERVER = ScriptServer()

if __name__ == "__main__":
    _serve()
