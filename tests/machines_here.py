"""Stand-ins for several machines, for test_pretrain_multinode.py: each of them is this one.

Programs to be first on PATH run here what ssh and srun would run elsewhere, and a stand-in for
run_pretraining.py does in moments what a test asks of a worker.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

# As sshd does it: a shell, elsewhere, with hardly any variables, is given all words as one line.
SSH = """#!/bin/bash
while [[ $1 == -* ]]; do [[ $1 == -o ]] && shift; shift; done
[[ ! -e $UNREACHABLE/$1 ]] || { echo "ssh: no route to $1" >&2; exit 255; }
shift
cd / && exec env -i PATH="$PATH" HOME="$HOME" bash -c "$*"
"""
# Knows "nodes:3" as the first three nodes.
SCONTROL = """#!/bin/bash
[[ "$1 $2" == "show hostnames" ]] || exit 1
printf '%s\\n' node-07 node-08 node-11 | head -n "${3##*:}"
"""
# srun --nodelist=NAME runs one task here.
SRUN = """#!/bin/bash
while [[ $1 == -* ]]; do shift; done
exec "$@"
"""
# Does what plan.json says for this worker and attempt: leaves with a number, dies by a signal, or
# trains until it is stopped ("train"), even if that takes a SIGKILL ("hang").
WORKER = """
import json, os, pathlib, signal, sys, time
here = pathlib.Path(__file__).parent
worker = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
plan = json.loads((here / "plan.json").read_text())
signals = []
signal.signal(signal.SIGTERM, lambda number, frame: signals.append(number))

def calls(number):
    path = here / f"calls-{number}.jsonl"
    return len(path.read_text().splitlines()) if path.exists() else 0

with open(here / f"calls-{worker}.jsonl", "a") as file:
    line = {
        "flags": sys.argv[1:],
        "folder": os.getcwd(),
        "TF_CONFIG": os.environ["TF_CONFIG"],
        "NCCL_SOCKET_IFNAME": os.environ.get("NCCL_SOCKET_IFNAME"),
    }
    file.write(json.dumps(line) + "\\n")
attempt = calls(worker)
todo = plan[worker][min(attempt, len(plan[worker])) - 1]
# A loss is one to the others only when they are there.
while todo not in (0, "train", "hang") and any(
    calls(number) < attempt for number in range(len(plan))
):
    time.sleep(0.02)
if isinstance(todo, str) and todo.startswith("SIG"):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), getattr(signal, todo))
while todo == "hang" or (todo == "train" and not signals):
    time.sleep(0.02)
if todo == "train":
    time.sleep(0.3)
    (here / f"saved-{worker}").write_text(str(len(signals)))
print("the last words of the log", flush=True)
# Python puts the signals back on its way out, and a SIGTERM would then take the place of the code.
os._exit(143 if todo == "train" else todo)
"""


def write_programs(folder: pathlib.Path) -> None:
    """Writes the stand-ins for ssh, scontrol and srun."""
    folder.mkdir()
    for name, text in {"ssh": SSH, "scontrol": SCONTROL, "srun": SRUN}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)


def variables(programs: pathlib.Path, given: dict[str, object]) -> dict[str, str]:
    """The environment of the script: nothing of Slurm but what is given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    python = pathlib.Path(sys.executable).parent
    return {
        **kept,
        "PATH": f"{programs}:{python}:{os.environ['PATH']}",
        "UNREACHABLE": str(programs),
        **{name: str(value) for name, value in given.items()},
    }


class Checkout:
    """A folder with the script, and a stand-in for run_pretraining.py."""

    def __init__(self, root: pathlib.Path, programs: pathlib.Path, repository: pathlib.Path):
        self.root, self.programs = root, programs
        self.started: list[subprocess.Popen] = []
        (root / "scripts").mkdir(parents=True)
        (root / "bert").mkdir()
        for name in ("environment.sh", "pretrain_multinode.sh"):
            shutil.copy(repository / "scripts" / name, root / "scripts")
        (root / "bert" / "run_pretraining.py").write_text(WORKER)

    def start(self, *flags: str, plan=((0,), (0,)), **given) -> subprocess.Popen:
        """Starts the script; `plan` has what each worker does, attempt by attempt."""
        (self.root / "bert" / "plan.json").write_text(json.dumps(plan))
        out = {"OUTPUT_DIR": self.root / "out put"}
        if "SLURM_JOB_NODELIST" not in given:
            out["HOSTS"] = " ".join(f"gpu{number}" for number, _ in enumerate(plan, start=1))
        self.started.append(
            subprocess.Popen(
                ["bash", self.root / "scripts" / "pretrain_multinode.sh", *flags],
                env=variables(self.programs, out | given),
                cwd=self.root,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return self.started[-1]

    def run(self, *flags: str, **given) -> subprocess.CompletedProcess:
        process = self.start(*flags, **given)
        stdout, stderr = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    def calls(self, worker: int) -> list[dict]:
        """How this worker was called, each time."""
        path = self.root / "bert" / f"calls-{worker}.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def saved(self, worker: int) -> int:
        """How many signals it had got when it saved; 0 where it did not save."""
        path = self.root / "bert" / f"saved-{worker}"
        return int(path.read_text()) if path.exists() else 0

    def wait_for_training(self, *workers: int) -> None:
        wait_until(lambda: all(self.calls(worker) for worker in workers))


def wait_until(happened, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
