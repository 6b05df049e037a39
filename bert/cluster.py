"""Several machines that train together: who they are, as TF_CONFIG says. No TensorFlow here.

TF_CONFIG is TensorFlow's own environment variable for this; every worker is given the same list and
its own place in it:

  TF_CONFIG='{"cluster": {"worker": ["gpu1:12345", "gpu2:12345"]},
              "task": {"type": "worker", "index": 0}}'
"""

from __future__ import annotations

import contextlib
import errno
import json
import re
import socket
import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from absl import logging

from deeq_bert.tokenizers.errors import InputError

_EXAMPLE = (
    '{"cluster": {"worker": ["gpu1:12345", "gpu2:12345"]}, "task": {"type": "worker", "index": 0}}'
)
_LONGEST = 1 << 20
_ROLES = ("chief", "worker")
# A name or an IPv4 address, or an IPv6 address in brackets; then the port.
_ADDRESS = re.compile(r"([\w.-]+|\[[0-9A-Fa-f:.%\w]+\]):([0-9]{1,5})", re.ASCII)
# In seconds: how often the other workers are tried, how long one may take to answer, and how long
# an earlier run may still hold the port.
_INTERVAL, _ANSWER_PATIENCE, _PORT_PATIENCE = 0.5, 2.0, 60.0


class Cluster(NamedTuple):
    """The workers of a run, and which of them this process is.

    Attributes:
      workers: Their addresses, host:port, the chief's first; empty for a machine by itself.
      index: The place of this process among them.
      has_chief: Whether the first is called "chief" in TF_CONFIG rather than worker 0.
    """

    workers: tuple[str, ...] = ()
    index: int = 0
    has_chief: bool = False

    @property
    def is_chief(self) -> bool:
        """Whether this process writes what is written once for all."""
        return self.index == 0

    @property
    def is_several(self) -> bool:
        """Whether there is more than one worker."""
        return len(self.workers) > 1


class LostWorkerError(RuntimeError):
    """Another worker has ended or cannot be reached, so that nothing can go on."""


# A machine by itself.
ALONE = Cluster()


def read_cluster(environment: Mapping[str, str]) -> Cluster:
    """Reads TF_CONFIG from an environment.

    Returns:
      The cluster; one without workers where TF_CONFIG is not set or names only this process.

    Raises:
      InputError: TF_CONFIG cannot be used; says why, and shows one that can.
    """
    text = environment.get("TF_CONFIG", "").strip()
    if not text:
        return ALONE
    try:
        if len(text) > _LONGEST:
            raise ValueError("it is too long")
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _refusal(f"is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise _refusal("is not an object")
    jobs = config.get("cluster", {})
    if not jobs:
        return ALONE
    addresses = _addresses(jobs)
    workers = [address for role in _ROLES for address in addresses.get(role, [])]
    if len(set(workers)) < len(workers):
        twice = next(address for address in workers if workers.count(address) > 1)
        raise _refusal(f"names {twice} twice")
    index = _place(config.get("task"), addresses)
    if len(workers) == 1:
        return ALONE
    return Cluster(tuple(workers), index, has_chief="chief" in addresses)


def wait_for_workers(
    cluster: Cluster, patience: float = 1800.0, report_interval: float = 60.0
) -> None:
    """Waits until all other workers listen at their addresses, as this one does meanwhile.

    To be called by all of them before they leave the waiting to TensorFlow, whose own ends neither
    by itself nor by Ctrl-C, and does not say for whom it waits.

    Args:
      cluster: The workers.
      patience: How long to wait, in seconds.
      report_interval: How often to log who is missing, in seconds.

    Raises:
      InputError: This worker cannot listen at its port.
      LostWorkerError: The patience is at an end.
    """
    start = time.monotonic()
    own = cluster.workers[cluster.index]
    missing = {address: "" for address in cluster.workers if address != own}
    logging.info("This is worker %d of %d, %s.", cluster.index, len(cluster.workers), own)
    next_report = 0.0
    with _listen(own):
        while True:
            for address in list(missing):
                problem = _connection_problem(address)
                if problem is None:
                    del missing[address]
                else:
                    missing[address] = problem
            waited = time.monotonic() - start
            if not missing:
                return
            if waited >= patience:
                raise LostWorkerError(
                    f"After {waited:.0f} s there is no answer from {_enumerate(missing.items())}. "
                    "Start the same command on every machine, each with its own place in "
                    "TF_CONFIG, and see that no firewall stands between them."
                )
            if waited >= next_report:
                logging.info(
                    "Waiting for %d other worker%s: %s.",
                    len(missing),
                    "s" if len(missing) > 1 else "",
                    _enumerate(missing.items()),
                )
                next_report = waited + report_interval
            time.sleep(_INTERVAL)


def _listen(address: str) -> socket.socket:
    """Opens the port of this worker, so that the others see it is there."""
    port = int(_ADDRESS.fullmatch(address)[2])
    both = socket.has_dualstack_ipv6()
    end = time.monotonic() + _PORT_PATIENCE
    while True:
        try:
            return socket.create_server(
                ("", port), family=socket.AF_INET6 if both else socket.AF_INET, dualstack_ipv6=both
            )
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > end:
                raise InputError(
                    f"This machine cannot listen at port {port}, which TF_CONFIG gives this worker "
                    f"({address}): {error.strerror}. Choose another one for it, and if an earlier "
                    "run still holds it (see `ss -ltnp`), end that."
                ) from error
            logging.log_first_n(logging.WARNING, "Port %d is still in use.", 1, port)
        time.sleep(_INTERVAL)


def _connection_problem(address: str) -> str | None:
    """Returns why nobody answers at an address; None where somebody does."""
    host, port = _ADDRESS.fullmatch(address).groups()
    try:
        with contextlib.closing(
            socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_PATIENCE)
        ):
            return None
    except (OSError, UnicodeError) as error:
        return getattr(error, "strerror", None) or str(error) or "no answer"


def _enumerate(problems: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{address} ({problem.lower()})" for address, problem in problems)


def _addresses(jobs: Any) -> dict[str, list[str]]:
    if not isinstance(jobs, dict):
        raise _refusal('has a "cluster" that is not an object')
    if unknown := sorted(set(jobs) - set(_ROLES)):
        raise _refusal(f'has a job "{unknown[0]}" in its cluster, and only workers train here')
    for role, addresses in jobs.items():
        if not isinstance(addresses, list) or not addresses:
            raise _refusal(f'has no list of addresses for "{role}"')
        for address in addresses:
            match = _ADDRESS.fullmatch(address) if isinstance(address, str) else None
            if not match or not 0 < int(match[2]) < 65536:
                raise _refusal(f"has the address {json.dumps(address)}, which is not host:port")
    if len(jobs.get("chief", [])) > 1:
        raise _refusal("has more than one chief")
    return jobs


def _place(task: Any, addresses: Mapping[str, list[str]]) -> int:
    """Returns the place of this process among all workers, the chief being the first."""
    if not isinstance(task, dict):
        raise _refusal('does not say which of the workers this is: it has no "task"')
    role, index = task.get("type"), task.get("index")
    if role not in addresses:
        raise _refusal(
            f"says that this is a {json.dumps(role)}, and its cluster has {', '.join(addresses)}"
        )
    count = len(addresses[role])
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < count:
        raise _refusal(
            f"says that this is {role} {json.dumps(index)}, and there are {count} (from 0 on)"
        )
    return index + (len(addresses.get("chief", [])) if role == "worker" else 0)


def _refusal(problem: str) -> InputError:
    return InputError(
        f"The environment variable TF_CONFIG {problem}. Expected something like {_EXAMPLE}, or "
        "unset it to train on this machine alone."
    )
