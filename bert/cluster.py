"""Several machines that train together: who they are, as TF_CONFIG says. No TensorFlow here.

TF_CONFIG is TensorFlow's own environment variable for this; every worker is given the same list and
its own place in it:

  TF_CONFIG='{"cluster": {"worker": ["gpu1:12345", "gpu2:12345"]},
              "task": {"type": "worker", "index": 0}}'
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from deeq_bert.tokenizers.errors import InputError

_EXAMPLE = (
    '{"cluster": {"worker": ["gpu1:12345", "gpu2:12345"]}, "task": {"type": "worker", "index": 0}}'
)
_LONGEST = 1 << 20
_ROLES = ("chief", "worker")


class Cluster(NamedTuple):
    """The workers of a run, and which of them this process is.

    Attributes:
      workers: Their addresses, host:port, the chief's first; empty for a machine by itself.
      index: The place of this process among them.
    """

    workers: tuple[str, ...] = ()
    index: int = 0

    @property
    def is_chief(self) -> bool:
        """Whether this process writes what is written once for all."""
        return self.index == 0

    @property
    def is_several(self) -> bool:
        """Whether there is more than one worker."""
        return len(self.workers) > 1


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
    return Cluster(tuple(workers), index) if len(workers) > 1 else ALONE


def _addresses(jobs: Any) -> dict[str, list[str]]:
    if not isinstance(jobs, dict):
        raise _refusal('has a "cluster" that is not an object')
    if unknown := sorted(set(jobs) - set(_ROLES)):
        raise _refusal(f'has a job "{unknown[0]}" in its cluster, and only workers train here')
    for role, addresses in jobs.items():
        if not isinstance(addresses, list) or not addresses:
            raise _refusal(f'has no list of addresses for "{role}"')
        for address in addresses:
            host, _, port = address.rpartition(":") if isinstance(address, str) else ("", "", "")
            valid = host and port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536
            if not valid:
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
