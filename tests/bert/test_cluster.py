import json
import socket
import threading
import time

import pytest

from deeq_bert.bert import cluster as cluster_module
from deeq_bert.bert.cluster import Cluster, LostWorkerError, read_cluster, wait_for_workers
from deeq_bert.tokenizers.errors import InputError


def config(cluster: object, role: object = "worker", index: object = 0) -> dict[str, str]:
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": role, "index": index}})}


TWO = {"worker": ["gpu1:12345", "gpu2:12345"]}


@pytest.mark.parametrize("environment", [{}, {"TF_CONFIG": ""}, {"TF_CONFIG": "{}"}])
def test_without_a_cluster_a_machine_is_by_itself_and_writes(environment):
    cluster = read_cluster(environment)

    assert cluster == Cluster() and cluster.is_chief and not cluster.is_several


def test_a_cluster_of_one_is_a_machine_by_itself():
    assert read_cluster(config({"worker": ["gpu1:12345"]})) == Cluster()


def test_the_first_worker_writes():
    first, second = (read_cluster(config(TWO, index=index)) for index in (0, 1))

    assert first == Cluster(("gpu1:12345", "gpu2:12345"), 0) and first.is_chief
    assert second.index == 1 and second.is_several and not second.is_chief


def test_a_chief_comes_before_the_workers():
    jobs = {"worker": ["gpu2:1", "gpu3:1"], "chief": ["gpu1:1"]}

    assert read_cluster(config(jobs, "chief")) == Cluster(("gpu1:1", "gpu2:1", "gpu3:1"), 0, True)
    assert read_cluster(config(jobs, "worker", 1)).index == 2


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"TF_CONFIG": "{"}, "is not JSON"),
        ({"TF_CONFIG": "[" * 100_000}, "is not JSON"),
        ({"TF_CONFIG": "1"}, "is not an object"),
        (config([]) | {"TF_CONFIG": '{"cluster": [1]}'}, '"cluster" that is not an object'),
        (config({**TWO, "ps": ["gpu3:1"]}), 'has a job "ps"'),
        (config({"worker": "gpu1:1"}), 'no list of addresses for "worker"'),
        (config({"worker": ["gpu1", "gpu2:1"]}), 'the address "gpu1", which is not host:port'),
        (config({"worker": ["gpu1:99999", "gpu2:1"]}), "which is not host:port"),
        (config({"worker": ["grpc://gpu1:1", "gpu2:1"]}), "which is not host:port"),
        (config({"worker": ["::1:1", "gpu2:1"]}), "which is not host:port"),
        (config({"worker": ["gpu1:1", "gpu1:1"]}), "names gpu1:1 twice"),
        (config({"chief": ["a:1", "b:1"]}, "chief"), "more than one chief"),
        (config(TWO, index=2), "says that this is worker 2, and there are 2"),
        (config(TWO, index=True), "says that this is worker true"),
        (config(TWO, role="chief"), 'says that this is a "chief"'),
        ({"TF_CONFIG": json.dumps({"cluster": TWO})}, 'it has no "task"'),
    ],
)
def test_what_cannot_be_used_is_told_with_one_that_can(environment, message):
    with pytest.raises(InputError, match=message) as error:
        read_cluster(environment)

    assert '"task": {"type": "worker", "index": 0}' in str(error.value)


def test_an_ipv6_address_stands_in_brackets():
    assert (
        read_cluster(config({"worker": ["[::1]:12345", "gpu2:12345"]})).workers[0] == "[::1]:12345"
    )


def two_addresses() -> tuple[str, str]:
    with socket.create_server(("", 0)) as first, socket.create_server(("", 0)) as second:
        return tuple(f"localhost:{each.getsockname()[1]}" for each in (first, second))


def test_workers_that_start_one_after_the_other_wait_for_each_other():
    addresses = two_addresses()
    first = threading.Thread(
        target=wait_for_workers, args=(Cluster(addresses, 0), 30.0), daemon=True
    )
    first.start()
    time.sleep(0.2)
    assert first.is_alive()

    # What follows in a worker, TensorFlow's server, listens at the same address.
    with socket.socket() as second:
        second.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        second.bind(("", int(addresses[1].split(":")[1])))
        second.listen()
        first.join(timeout=30)

    assert not first.is_alive()


def test_a_worker_that_does_not_come_is_named():
    own, other = two_addresses()

    with pytest.raises(LostWorkerError, match=rf"no answer from {other} \(connection refused\)"):
        wait_for_workers(Cluster((own, other), 0), patience=0.0)


def test_a_port_that_is_taken_is_named(monkeypatch):
    monkeypatch.setattr(cluster_module, "_PORT_PATIENCE", 0.0)
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"cannot listen at port {port}.*already in use"):
            wait_for_workers(Cluster((f"localhost:{port}", "localhost:1"), 0))
