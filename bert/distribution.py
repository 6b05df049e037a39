"""From --gpus and TF_CONFIG to a tf.distribute strategy, and what a global batch must satisfy.

The reading of --gpus needs no TensorFlow, so that a wrong one is refused before its import.
"""

from __future__ import annotations

import contextlib
import re
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from absl import logging

from deeq_bert.bert.cluster import ALONE, Cluster, LostWorkerError, wait_for_workers
from deeq_bert.tokenizers.errors import InputError

if TYPE_CHECKING:
    import tensorflow as tf

# How long TensorFlow may take to connect workers that are all there, in seconds.
_CONNECTION_PATIENCE = 120.0
# The key of the workers' own sums, far from those that strategies count up from 1.
_GROUP_KEY, _INSTANCE_KEY = 2**30, 1


def check_gpus(gpus: str) -> None:
    """Checks the form of a --gpus value.

    Raises:
      InputError: It is neither "all", a number, nor a comma-separated list of device numbers.
    """
    _parse_gpus(gpus)


def choose_gpus(gpus: str, available: int) -> list[int]:
    """Returns the numbers of the GPUs that `gpus` asks for, in order; none means the CPU.

    Args:
      gpus: "2" is how many, "0,2" or "3," names devices, "all" is every GPU, "0" is the CPU.
      available: How many GPUs this machine has. With none the CPU serves, whatever was asked.

    Raises:
      InputError: The form is wrong, or fewer GPUs are there than asked for.
    """
    devices = _parse_gpus(gpus)
    if not available:
        return []
    if devices is None:
        return list(range(available))
    missing = [device for device in devices if device >= available]
    if missing:
        raise InputError(
            f"--gpus={gpus} needs GPU {missing[0]}, but this machine has {available} "
            f"(numbered 0 to {available - 1}). Give --gpus={available} or --gpus=all."
        )
    return devices


def check_global_batch(
    flag: str, batch_size: int, replicas: int, accumulation_steps: int = 1
) -> None:
    """Checks that a global batch can be cut into equal parts, one a replica and step in it.

    Raises:
      InputError: It cannot; the message names the nearest sizes that can.
    """
    unit = replicas * accumulation_steps
    if batch_size % unit == 0:
        return
    below = batch_size - batch_size % unit
    nearest = f"{below} or {below + unit}" if below else f"{unit}"
    divisors = [f"the {replicas} in use"] if replicas > 1 else []
    if accumulation_steps > 1:
        divisors.append(f"--gradient_accumulation_steps={accumulation_steps}")
    raise InputError(
        f"--{flag}={batch_size} is the batch over all devices and does not divide by "
        f"{' times '.join(divisors)}. The nearest that does is {nearest}."
    )


def make_strategy(device_names: Sequence[str], cluster: Cluster = ALONE) -> tf.distribute.Strategy:
    """Returns the strategy for these devices: one device plain, several mirrored.

    With several workers it waits for the others. Call it in the main thread, before TensorFlow has
    computed anything. TensorFlow reads the addresses from TF_CONFIG itself.

    Args:
      device_names: TensorFlow's names, such as "/gpu:0" or "/cpu:0"; those of this machine.
      cluster: The workers.

    Raises:
      InputError: The workers do not have the same number of devices, or this one cannot listen at
        its port.
      LostWorkerError: The other workers cannot be reached.
    """
    import tensorflow as tf

    if not cluster.is_several:
        if len(device_names) == 1:
            return tf.distribute.OneDeviceStrategy(device_names[0])
        return tf.distribute.MirroredStrategy(list(device_names))

    wait_for_workers(cluster)
    communication = tf.distribute.experimental.CommunicationImplementation
    on_gpus = device_names[0].lower().startswith("/gpu")
    with report_lost_workers(cluster):
        with _killed_after(_CONNECTION_PATIENCE):
            strategy = tf.distribute.MultiWorkerMirroredStrategy(
                communication_options=tf.distribute.experimental.CommunicationOptions(
                    implementation=communication.NCCL if on_gpus else communication.RING
                )
            )
        counts = _values_of_workers(strategy, len(strategy.extended.worker_devices))
    if len(set(counts)) > 1:
        # Sums over all devices would wait for ever.
        raise InputError(
            "All workers must have the same number of devices, and they have "
            f"{_by_worker(cluster.workers, counts)}. Give --gpus a number that all of them have."
        )
    logging.info("All %d workers are there, with %d devices each.", len(cluster.workers), counts[0])
    return strategy


@contextlib.contextmanager
def _killed_after(seconds: float) -> Iterator[None]:
    """Lets Ctrl-C end the process at once, and SIGALRM after so many seconds.

    While TensorFlow connects workers it keeps Python from running anything: no handler, no thread.
    It also puts a handler of its own in the place of that for SIGTERM, which only takes note of the
    signal; the one from before is put back at the end.
    """
    logging.info(
        "Connecting the workers. Should one end meanwhile, SIGALRM ends this one after %.0f s.",
        seconds,
    )
    logging.flush()
    numbers = (signal.SIGALRM, signal.SIGINT, signal.SIGTERM)
    usual = {number: signal.signal(number, signal.SIG_DFL) for number in numbers}
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in usual.items():
            signal.signal(number, handler)


def local_rows(strategy: tf.distribute.Strategy, global_batch: int) -> slice | None:
    """Returns which rows of every global batch this process computes; None for all of them."""
    replicas = strategy.num_replicas_in_sync
    local, first = _local_replicas(strategy)
    if local == replicas:
        return None
    part = global_batch // replicas
    return slice(first * part, (first + local) * part)


def distribute(
    strategy: tf.distribute.Strategy, batches: Iterable[Mapping[str, tf.Tensor]]
) -> Iterator[Mapping[str, tf.Tensor]]:
    """Yields `batches`, each cut into the parts of the replicas of this process.

    Args:
      strategy: Where the batches will be used.
      batches: The rows of each global batch that `local_rows` names.
    """
    if strategy.num_replicas_in_sync == 1:
        yield from batches
        return
    local, first = _local_replicas(strategy)
    for batch in batches:

        def part(
            context: tf.distribute.ValueContext, batch: Mapping[str, tf.Tensor] = batch
        ) -> dict[str, tf.Tensor]:
            number = context.replica_id_in_sync_group - first
            return {name: part_of(value, number) for name, value in batch.items()}

        def part_of(value: tf.Tensor, number: int) -> tf.Tensor:
            size = value.shape[0] // local
            return value[number * size : (number + 1) * size]

        yield strategy.experimental_distribute_values_from_function(part)


def _local_replicas(strategy: tf.distribute.Strategy) -> tuple[int, int]:
    """Returns how many replicas this process has, and the number of the first of them."""
    local = len(strategy.extended.worker_devices)
    _, index = _place(strategy)
    return local, index * local


def _place(strategy: tf.distribute.Strategy) -> tuple[list[str], int]:
    """Returns the addresses of the workers, and the place of this one; none for one alone."""
    resolver = strategy.cluster_resolver
    if len(strategy.extended.worker_devices) == strategy.num_replicas_in_sync or resolver is None:
        return [], 0
    jobs = resolver.cluster_spec().as_dict()
    chiefs = jobs.get("chief", [])
    index = resolver.task_id + (len(chiefs) if resolver.task_type == "worker" else 0)
    return [*chiefs, *jobs.get("worker", [])], index


def agree(strategy: tf.distribute.Strategy, what: str, value: int) -> None:
    """Waits until all workers have come here, and checks that they have the same value.

    Args:
      strategy: The strategy of all of them.
      what: What the value says, for the message.
      value: A whole number within 64 bits.

    Raises:
      InputError: They differ; it is raised on every worker.
    """
    workers, _ = _place(strategy)
    if not workers:
        return
    values = _values_of_workers(strategy, value)
    if len(set(values)) > 1:
        raise InputError(
            f"The workers do not agree on {what}: {_by_worker(workers, values)}. --output_dir must "
            "be one folder that all machines share, and all flags must be the same."
        )


def _values_of_workers(strategy: tf.distribute.Strategy, value: int) -> list[int]:
    """Returns the value that each worker calls this with, in their order.

    The sum runs over the workers and not over the replicas, so that it also tells when their
    numbers of devices differ.
    """
    import tensorflow as tf

    workers, own = _place(strategy)
    with tf.device("/cpu:0"):
        return (
            tf.raw_ops.CollectiveReduceV2(
                input=tf.constant(
                    [value if i == own else 0 for i in range(len(workers))], tf.int64
                ),
                group_size=len(workers),
                group_key=_GROUP_KEY,
                instance_key=_INSTANCE_KEY,
                ordering_token=[],
                merge_op="Add",
                final_op="Id",
                communication_hint="ring",
            )
            .numpy()
            .tolist()
        )


def _by_worker(workers: Sequence[str], values: Sequence[int]) -> str:
    return ", ".join(f"{value} on {worker}" for worker, value in zip(workers, values))


@contextlib.contextmanager
def report_lost_workers(cluster: Cluster = ALONE) -> Iterator[None]:
    """Turns the errors that a lost worker shows by into LostWorkerError.

    A worker that ends, cleanly or not, or does not answer for 10 seconds, makes every sum over the
    workers fail from then on; nothing but a new start of all of them mends that.

    Args:
      cluster: The workers; the errors of a machine by itself stay as they are.
    """
    import tensorflow as tf

    try:
        yield
    except tf.errors.OpError as error:
        if not cluster.is_several or not _tells_of_lost_worker(error):
            raise
        raise LostWorkerError(_lost_worker_message(cluster, error.message)) from error


def _tells_of_lost_worker(error: tf.errors.OpError) -> bool:
    import tensorflow as tf

    always = (
        tf.errors.AbortedError,
        tf.errors.CancelledError,
        tf.errors.DeadlineExceededError,
        tf.errors.UnavailableError,
    )
    sometimes = (tf.errors.FailedPreconditionError, tf.errors.InternalError, tf.errors.UnknownError)
    return isinstance(error, always) or (
        isinstance(error, sometimes)
        and re.search(r"collective|nccl|coordination|heartbeat", error.message, re.IGNORECASE)
        is not None
    )


def _lost_worker_message(cluster: Cluster, told: str) -> str:
    """Returns the sentence for what TensorFlow told of it."""
    places = {
        int(number) + (cluster.has_chief and job == "worker")
        for job, number in re.findall(r"/job:(chief|worker)/(?:replica:0/)?task:(\d+)", told)
    }
    others = sorted(places & set(range(len(cluster.workers))) - {cluster.index})
    _, found, reason = told.partition("Collective ops is aborted by:")
    lines = (reason if found else told).strip().splitlines()
    parts = [cluster.workers[place] for place in others] + [
        line.rstrip(" :.") for line in lines[:1]
    ]
    return (
        f"Another worker is gone ({', '.join(parts)[:400]}). Start all of them again with the same "
        "commands; they go on from the last checkpoint."
    )


def use_gpus(gpus: str) -> list[str]:
    """Chooses the devices for `gpus` and hides the other GPUs from TensorFlow.

    Call it before anything else runs on a device: a GPU left visible has its memory taken.

    Returns:
      The names of the devices to use, "/cpu:0" alone where there is no GPU to use.

    Raises:
      InputError: See `choose_gpus`.
    """
    import tensorflow as tf

    found = tf.config.list_physical_devices("GPU")
    chosen = choose_gpus(gpus, len(found))
    tf.config.set_visible_devices([found[number] for number in chosen], "GPU")
    return [f"/gpu:{number}" for number in range(len(chosen))] or ["/cpu:0"]


def report_devices(device_names: Sequence[str], gpus: str) -> None:
    """Logs what a run is computed on, and warns where that is the CPU though a GPU was asked for.

    Args:
      device_names: What `use_gpus` has returned.
      gpus: The --gpus value.
    """
    if device_names != ["/cpu:0"]:
        logging.info("Devices: %s, for --gpus=%s.", ", ".join(device_names), gpus)
    elif gpus == "0":
        logging.info("Devices: the CPU, as --gpus=0 asks.")
    else:
        logging.warning(
            "NO GPU WAS FOUND: THE CPU SERVES, AND IS FAR SLOWER. If this machine has a GPU, see "
            "whether `nvidia-smi` lists it, and install CUDA with: pip install -e '.[gpu]'."
        )


def _parse_gpus(gpus: str) -> list[int] | None:
    """Returns the device numbers asked for, None for all."""
    words = [word.strip() for word in gpus.split(",")]
    if gpus.strip() == "all":
        return None
    if len(words) > 1 and not words[-1]:
        words = words[:-1]
    if not all(word.isascii() and word.isdigit() and len(word) < 5 for word in words):
        raise InputError(
            f'--gpus={gpus} is not understood. Expected how many ("2"), which ("0,2", or "3," for '
            'one), "all", or "0" for the CPU.'
        )
    numbers = [int(word) for word in words]
    if "," not in gpus:
        return list(range(numbers[0]))
    if len(set(numbers)) < len(numbers):
        raise InputError(f"--gpus={gpus} names a device twice; name each once.")
    return numbers
