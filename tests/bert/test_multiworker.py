"""Several workers, each a process on this machine, train as one device does."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

HERE = os.path.dirname(__file__)


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("localhost", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def environments(count: int) -> list[dict[str, str]]:
    """The environment of each of `count` workers."""
    workers = [f"localhost:{port}" for port in free_ports(count)]
    return [
        os.environ
        | {
            "TF_CONFIG": json.dumps(
                {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
            )
        }
        for index in range(count)
    ]


def start(command: list, count: int) -> list[subprocess.Popen]:
    return [
        subprocess.Popen(
            [sys.executable, *map(str, command)],
            env=environment,
            cwd=HERE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for environment in environments(count)
    ]


@pytest.fixture(scope="module")
def one_device(tiny_config, sample_records, tmp_path_factory) -> np.lib.npyio.NpzFile:
    output = tmp_path_factory.mktemp("one") / "one.npz"
    program = [sys.executable, "-m", "worker_results", tiny_config, sample_records, output, "1"]
    subprocess.run(list(map(str, program)), check=True, cwd=HERE, capture_output=True)
    return np.load(output)


@pytest.mark.parametrize("accumulation_steps", [1, 2])
def test_two_workers_train_as_one_device(
    tiny_config, sample_records, tmp_path, one_device, accumulation_steps
):
    output = tmp_path / "two.npz"
    program = ["-m", "worker_results", tiny_config, sample_records, output, accumulation_steps]
    workers = start(program, 2)
    logs = [worker.communicate(timeout=120)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], logs

    two = np.load(output)
    assert sorted(two.files) == sorted(one_device.files)
    for name in sorted(set(two.files) - {"step.stop_votes"}):
        np.testing.assert_allclose(two[name], one_device[name], rtol=0, atol=1e-6, err_msg=name)
    assert (two["step.stop_votes"] == 1).all()


@pytest.fixture
def pretraining(repository, tiny_config, sample_records, tmp_path):
    """A function that starts two workers of a run of so many steps into tmp_path/out."""
    started = []

    def run(steps: int) -> list[subprocess.Popen]:
        flags = {
            "bert_config_file": tiny_config,
            "input_file": sample_records,
            "output_dir": tmp_path / "out",
            "do_train": True,
            "train_batch_size": 8,
            "num_train_steps": steps,
            "num_warmup_steps": 2,
            "save_checkpoints_steps": 10,
            "log_steps": 5,
            "gpus": 0,
        }
        script = repository / "bert" / "run_pretraining.py"
        started.extend(start([script, *(f"--{k}={v}" for k, v in flags.items())], 2))
        return started[-2:]

    yield run
    for worker in started:
        worker.kill()
        worker.communicate()


def wait_for_step(out, step: int, workers: list[subprocess.Popen]) -> None:
    end = time.monotonic() + 90
    while time.monotonic() < end and all(worker.poll() is None for worker in workers):
        log = out / "metrics.jsonl"
        lines = log.read_text().splitlines() if log.exists() else []
        if any(f'"step": {number}' in line for line in lines for number in range(step, step + 200)):
            return
        time.sleep(0.05)
    pytest.fail("\n".join(worker.communicate()[1] for worker in workers if worker.poll()))


def test_a_signal_to_one_worker_stops_all_at_the_same_step(pretraining, tmp_path):
    workers = pretraining(100_000)
    wait_for_step(tmp_path / "out", 10, workers)

    workers[1].send_signal(signal.SIGTERM)
    logs = [worker.communicate(timeout=60)[1] for worker in workers]

    assert [worker.returncode for worker in workers] == [143, 143], logs
    (said,) = {
        line.split("goes on from ")[1]
        for log in logs
        for line in log.splitlines()
        if "goes on from " in line and line.startswith("ERROR")
    }
    assert "model.ckpt-" in said


@pytest.mark.slow
def test_a_killed_worker_ends_the_other_and_restarting_all_resumes(pretraining, tmp_path):
    workers = pretraining(100_000)
    wait_for_step(tmp_path / "out", 20, workers)

    workers[1].kill()
    killed = time.monotonic()
    _, log = workers[0].communicate(timeout=90)

    assert time.monotonic() - killed < 60
    assert workers[0].returncode == 4, log
    assert "ERROR: Another worker is gone" in log and "Start all of them again" in log
    again = pretraining(100_000)
    wait_for_step(tmp_path / "out", 40, again)
    again[0].send_signal(signal.SIGTERM)
    assert "Going on from" in again[0].communicate(timeout=60)[1]
