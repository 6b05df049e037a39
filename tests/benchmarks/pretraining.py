"""How fast a CPU pre-trains a small BERT, against named peers in the same run.

    python -m venv hf && hf/bin/pip install torch transformers
    python tests/benchmarks/pretraining.py --hf_python=hf/bin/python

The peers are Hugging Face's BertForPreTraining (hugging_face_step.py beside this file) and the
original's way of computing in a TensorFlow 1 graph (original_step.py). All make steps on the same
batches, each in a process of its own on the same core, in turn; speed is in sequences a second of
CPU time. The input pipeline is measured on its own, likewise.
"""

import os
import sys

# Beside this file is one that bears the name of Hugging Face's package.
_FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [*(folder for folder in sys.path if folder != _FOLDER), _FOLDER]

import argparse  # noqa: E402
import json  # noqa: E402
import pathlib  # noqa: E402
import platform  # noqa: E402
import re  # noqa: E402
import shutil  # noqa: E402
import statistics  # noqa: E402
import subprocess  # noqa: E402
import tempfile  # noqa: E402
from typing import Any, NamedTuple  # noqa: E402

import generated_records  # noqa: E402
import numpy as np  # noqa: E402
import step_server  # noqa: E402

from deeq_bert.bert.examples import FEATURE_NAMES, decode_example  # noqa: E402
from deeq_bert.bert.records import read_records  # noqa: E402

OURS, BFLOAT16, HUGGING_FACE, ORIGINAL = (
    "ours, float32",
    "ours, bfloat16",
    "Hugging Face in torch",
    "the original's way",
)
INPUT = "input pipeline"
# Of the input pipeline; a step of it is many batches, since opening and closing it cost a few.
INPUT_RECORDS, INPUT_BATCH, INPUT_BATCHES = 20_000, 256, 300
INPUT_TARGET = 50_000


class Comparison(NamedTuple):
    """What is at least so many times as fast as what."""

    faster: str
    slower: str
    target: float


COMPARISONS = (
    Comparison(OURS, HUGGING_FACE, 2.4),
    Comparison(OURS, ORIGINAL, 1.0),
    Comparison(BFLOAT16, OURS, 1.5),
)


class PeerError(RuntimeError):
    """A peer's process has ended before its time."""


class Peer:
    """A process that makes steps when it is told to."""

    def __init__(self, name: str, command: list[str], sequences_per_step: int, log_path: str):
        """Starts it, and waits until it has made its first steps."""
        self.name = name
        self.speeds: list[float] = []
        self._sequences_per_step = sequences_per_step
        self._log_path = log_path
        with open(log_path, "wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        self.first_loss = self._answer()["first_loss"]

    def measure(self, steps: int) -> None:
        """Makes so many steps and notes their speed, in sequences a CPU second."""
        self._process.stdin.write(f"{steps}\n")
        self._process.stdin.flush()
        figures = self._answer()
        self.speeds.append(steps * self._sequences_per_step / figures["cpu_seconds"])

    def close(self) -> None:
        """Ends the process."""
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> dict[str, float]:
        # What a library prints is not meant for us.
        for line in self._process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        lines = pathlib.Path(self._log_path).read_text(errors="replace").strip().splitlines()
        raise PeerError(f"{self.name} does not run: {lines[-1] if lines else 'it says nothing'}")


def main() -> None:
    options = parse_arguments()
    # Before any process is started: each inherits it, and makes as many threads as it has cores.
    os.sched_setaffinity(0, options.cores)
    processor, features = describe_processor()
    print(f"{processor}, core(s) {','.join(map(str, options.cores))}")
    with tempfile.TemporaryDirectory() as folder:
        peers = start_peers(options, folder)
        for number in range(options.rounds):
            # Every other time the other way round, so that what changes slowly hits all alike.
            for peer in peers[:: -1 if number % 2 else 1]:
                peer.measure(1 if peer.name == INPUT else options.steps)
        for peer in peers:
            peer.close()
    ratios = compare(peers, features)
    print_table(peers, ratios)
    if options.output_file:
        results = {
            "processor": processor,
            "cores": options.cores,
            "features": features,
            "model": step_server.MODEL,
            "batch": [step_server.BATCH_SIZE, step_server.SEQ_LENGTH, step_server.PREDICTIONS],
            "python": platform.python_version(),
            "examples_per_cpu_second": {peer.name: peer.speeds for peer in peers},
            "ratios": ratios,
        }
        with open(options.output_file, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=2)
            file.write("\n")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hf_python", help="the Python of an environment with transformers")
    parser.add_argument("--rounds", type=int, default=7, help="how often each peer has its turn")
    parser.add_argument("--steps", type=int, default=4, help="steps a turn")
    parser.add_argument(
        "--cores",
        type=lambda text: sorted({int(part) for part in text.split(",")}),
        default=[max(os.sched_getaffinity(0))],
        help="cores to run on, as in 0,1; by default one",
    )
    parser.add_argument("--output_file", help="where all figures go, as JSON")
    options = parser.parse_args()
    if options.rounds < 1 or options.steps < 1:
        parser.error("--rounds and --steps are at least 1")
    if not set(options.cores) <= os.sched_getaffinity(0):
        parser.error(f"--cores: there are {sorted(os.sched_getaffinity(0))}")
    return options


def describe_processor() -> tuple[str, list[str]]:
    """Returns the name of the CPU, and what it has for bfloat16."""
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or "CPU", []
    name = re.search(r"^model name\s*:\s*(.*)", text, re.MULTILINE)
    features = [each for each in ("amx_bf16", "avx512_bf16") if re.search(rf"\b{each}\b", text)]
    return name[1] if name else platform.machine(), features


def start_peers(options: argparse.Namespace, folder: str) -> list[Peer]:
    """Starts those that can run here, and says which cannot."""
    records, batches = os.path.join(folder, "records.tfrecord"), os.path.join(folder, "batches.npz")
    sizes = step_server.SEQ_LENGTH, step_server.PREDICTIONS, step_server.MODEL["vocab_size"]
    generated_records.write_records(records, INPUT_RECORDS, *sizes)
    write_batches(records, batches, 8 * step_server.BATCH_SIZE)
    here = pathlib.Path(_FOLDER)
    commands = {
        OURS: [sys.executable, here / "our_step.py", batches, "float32"],
        HUGGING_FACE: [options.hf_python, here / "hugging_face_step.py", batches],
        ORIGINAL: [sys.executable, here / "original_step.py", batches],
        BFLOAT16: [sys.executable, here / "our_step.py", batches, "bfloat16"],
        INPUT: [sys.executable, here / "input_batches.py", records, INPUT_BATCH, INPUT_BATCHES],
    }
    if not options.hf_python or not shutil.which(options.hf_python):
        print(
            f"{HUGGING_FACE}: left out. Make an environment by `python -m venv hf && "
            "hf/bin/pip install torch transformers`, and give --hf_python=hf/bin/python."
        )
        del commands[HUGGING_FACE]
    peers = []
    for name, command in commands.items():
        a_step = INPUT_BATCH * INPUT_BATCHES if name == INPUT else step_server.BATCH_SIZE
        log_path = os.path.join(folder, f"{len(peers)}.log")
        try:
            peers.append(Peer(name, [str(part) for part in command], a_step, log_path))
        except (OSError, PeerError) as error:
            print(f"{name}: left out. {error}")
            continue
        if name != INPUT:
            print(f"{name}: the first loss is {peers[-1].first_loss:.3f}")
    return peers


def write_batches(records: str, path: str, count: int) -> None:
    """Writes the first records as arrays of all of them, for any peer to read."""
    examples = [decode_example(data) for data, _ in zip(read_records(records), range(count))]
    arrays = {}
    for name in FEATURE_NAMES:
        kind = np.float32 if name == "masked_lm_weights" else np.int32
        arrays[name] = np.array([example[name] for example in examples], kind)
    np.savez(path, **arrays)


def compare(peers: list[Peer], features: list[str]) -> list[dict[str, Any]]:
    """Returns how many times as fast one is as another, turn by turn."""
    speeds = {peer.name: peer.speeds for peer in peers}
    ratios = []
    for faster, slower, target in COMPARISONS:
        if not {faster, slower} <= speeds.keys():
            continue
        series = [a / b for a, b in zip(speeds[faster], speeds[slower])]
        # Without units for matrices in bfloat16 there is nothing to gain.
        applies = faster != BFLOAT16 or "amx_bf16" in features
        ratios.append(
            {
                "faster": faster,
                "slower": slower,
                "median": statistics.median(series),
                "lowest": min(series),
                "highest": max(series),
                "target": target if applies else None,
            }
        )
    return ratios


def print_table(peers: list[Peer], ratios: list[dict[str, Any]]) -> None:
    print(f"\n{'':<24}{'sequences a CPU second':>24}   lowest to highest of {len(peers[0].speeds)}")
    for peer in peers:
        median = statistics.median(peer.speeds)
        spread = f"{min(peer.speeds):,.1f} to {max(peer.speeds):,.1f}"
        print(f"{peer.name:<24}{median:>24,.1f}   {spread}")
    print()
    for each in ratios:
        met = "target: where the CPU has AMX only"
        if each["target"]:
            met = f"target {each['target']}: {verdict(each['median'] >= each['target'])}"
        print(
            f"{each['faster']} / {each['slower']}: {each['median']:.2f} times "
            f"({each['lowest']:.2f} to {each['highest']:.2f}); {met}"
        )
    for peer in peers:
        if peer.name == INPUT:
            met = verdict(statistics.median(peer.speeds) >= INPUT_TARGET)
            print(f"{INPUT}: target {INPUT_TARGET:,}: {met}")


def verdict(met: bool) -> str:
    return "met" if met else "MISSED"


if __name__ == "__main__":
    main()
