"""Several workers, each a process on this machine, train as one device does."""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from deeq_bert.bert.cluster import ALONE, Cluster, LostWorkerError
from deeq_bert.bert.distribution import report_lost_workers

HERE = os.path.dirname(__file__)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens at, from below those that connections are given by chance."""
    ports = []
    while len(ports) < count:
        port = random.randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server(("", port)):
            ports.append(port)
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


@pytest.mark.parametrize("accumulation_steps", [pytest.param(1, marks=pytest.mark.slow), 2])
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


# Each worker comes with the step in its own folder.
AGREEMENT = """
import os, sys
from deeq_bert.bert import cluster, distribution
strategy = distribution.make_strategy(["/cpu:0"], cluster.read_cluster(os.environ))
own = cluster.read_cluster(os.environ).index
distribution.agree(strategy, "the seed", 2**62 + 1)
try:
    distribution.agree(strategy, "the step", 2**53 + own)
except ValueError as error:
    print(error, file=sys.stderr)
"""


@pytest.mark.slow
def test_workers_with_different_values_all_learn_who_has_which():
    workers = start(["-c", AGREEMENT], 2)
    logs = [worker.communicate(timeout=120)[1] for worker in workers]

    assert [worker.returncode for worker in workers] == [0, 0], logs
    (told,) = {log.strip().splitlines()[-1] for log in logs}
    assert told.startswith(f"The workers do not agree on the step: {2**53} on localhost:")
    assert f", {2**53 + 1} on localhost:" in told and "--output_dir must be one folder" in told


CLUSTER = Cluster(("gpu1:1", "gpu2:1", "gpu3:1"), 0, has_chief=True)
LOSSES = {
    "UnavailableError": (
        "Collective ops is aborted by: Error reported from /job:worker/task:1: The following tasks "
        "are unhealthy (stopped sending heartbeats):\n/job:worker/replica:0/task:1\n",
        "(gpu3:1, Error reported from /job:worker/task:1: The following tasks are unhealthy",
    ),
    "DeadlineExceededError": (
        "Collective ops is aborted by: Deadline Exceeded\n\nRPC: /tensorflow.CoordinationService",
        "(Deadline Exceeded)",
    ),
    "InternalError": (
        "NCCL: unhandled system error. Set NCCL_DEBUG=WARN for detail.",
        "(NCCL: unhandled system error. Set NCCL_DEBUG=WARN for detail)",
    ),
}


@pytest.mark.parametrize("name", LOSSES)
def test_the_errors_of_a_lost_worker_become_one_that_names_it(name):
    import tensorflow as tf

    message, told = LOSSES[name]
    with pytest.raises(LostWorkerError) as lost, report_lost_workers(CLUSTER):
        raise getattr(tf.errors, name)(None, None, message)

    assert str(lost.value).startswith(f"Another worker is gone {told}")
    assert "Start all of them again" in str(lost.value)


@pytest.mark.parametrize(
    ("cluster", "name", "message"),
    [
        (ALONE, "UnavailableError", "Collective ops is aborted by: Socket closed"),
        (CLUSTER, "InternalError", "failed to launch a kernel"),
        (CLUSTER, "ResourceExhaustedError", "OOM when allocating a tensor"),
        (CLUSTER, "InvalidArgumentError", "Shape mismatch in the collective instance 1"),
    ],
)
def test_other_errors_stay_as_they_are(cluster, name, message):
    import tensorflow as tf

    with pytest.raises(getattr(tf.errors, name)), report_lost_workers(cluster):
        raise getattr(tf.errors, name)(None, None, message)


@pytest.fixture
def pretraining(repository, tiny_config, sample_records, tmp_path):
    """A function that starts workers of a run of so many steps, into tmp_path/out by default."""
    started = []

    def run(steps: int, count: int = 2, **given) -> list[subprocess.Popen]:
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
            **given,
        }
        script = repository / "bert" / "run_pretraining.py"
        started.extend(start([script, *(f"--{k}={v}" for k, v in flags.items())], count))
        return started[-count:]

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


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_run_of_two_workers_goes_on_with_one_at_the_same_place(
    pretraining, tiny_config, tmp_path
):
    # Without dropout, which each replica draws for itself, the losses are those of one device.
    config = tmp_path / "bert_config.json"
    fields = json.loads(tiny_config.read_text())
    fields |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    config.write_text(json.dumps(fields))
    flags = {"bert_config_file": config, "log_steps": 1, "save_checkpoints_steps": 4}

    def losses(name: str) -> dict[int, float]:
        lines = map(json.loads, (tmp_path / name / "metrics.jsonl").read_text().splitlines())
        return {line["step"]: line["loss"] for line in lines if line["kind"] == "train"}

    two = pretraining(8, **flags)
    logs = [worker.communicate(timeout=120)[1] for worker in two]
    assert [worker.returncode for worker in two] == [0, 0], logs
    for folder in ("out", "alone"):
        steps = 16 if folder == "out" else 8
        (worker,) = pretraining(steps, 1, **flags, output_dir=tmp_path / folder)
        assert worker.wait(timeout=120) == 0
    (worker,) = pretraining(16, 1, **flags, output_dir=tmp_path / "alone")
    assert worker.wait(timeout=120) == 0

    mixed, alone = losses("out"), losses("alone")
    assert list(mixed) == list(alone) == list(range(1, 17))
    for step in alone:
        assert mixed[step] == pytest.approx(alone[step], abs=1e-5), step
