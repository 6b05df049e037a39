"""From --gpus and TF_CONFIG to a tf.distribute strategy, and what a global batch must satisfy.

The reading of --gpus needs no TensorFlow, so that a wrong one is refused before its import.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from absl import logging

from deeq_bert.bert.cluster import ALONE, Cluster
from deeq_bert.tokenizers.errors import InputError

if TYPE_CHECKING:
    import tensorflow as tf


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


class LostWorkerError(RuntimeError):
    """Another worker has ended or cannot be reached, so that nothing can go on."""


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
    times = f" times --gradient_accumulation_steps={accumulation_steps}"
    raise InputError(
        f"--{flag}={batch_size} is the batch over all devices and does not divide by the "
        f"{replicas} in use{times if accumulation_steps > 1 else ''}. The nearest that does is "
        f"{nearest}."
    )


def make_strategy(device_names: Sequence[str], cluster: Cluster = ALONE) -> tf.distribute.Strategy:
    """Returns the strategy for these devices: one device plain, several mirrored.

    With several workers it waits for the others, and TensorFlow must not have computed anything
    before. TensorFlow reads their addresses from TF_CONFIG itself.

    Args:
      device_names: TensorFlow's names, such as "/gpu:0" or "/cpu:0"; those of this machine.
      cluster: The workers.

    Raises:
      LostWorkerError: The other workers cannot be reached.
    """
    import tensorflow as tf

    if cluster.is_several:
        others = [name for place, name in enumerate(cluster.workers) if place != cluster.index]
        logging.info("Worker %d of %d: waiting for %s.", cluster.index, len(others) + 1, others)
        communication = tf.distribute.experimental.CommunicationImplementation
        on_gpus = device_names[0].startswith("/gpu")
        with report_lost_workers(cluster):
            strategy = tf.distribute.MultiWorkerMirroredStrategy(
                communication_options=tf.distribute.experimental.CommunicationOptions(
                    implementation=communication.NCCL if on_gpus else communication.RING
                )
            )
        logging.info("All workers are there, with %d devices.", strategy.num_replicas_in_sync)
        return strategy
    if len(device_names) == 1:
        return tf.distribute.OneDeviceStrategy(device_names[0])
    return tf.distribute.MirroredStrategy(list(device_names))


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
    resolver = strategy.cluster_resolver
    if local == strategy.num_replicas_in_sync or resolver is None:
        return local, 0
    jobs = resolver.cluster_spec().as_dict()
    index = resolver.task_id
    if resolver.task_type == "worker":
        index += len(jobs.get("chief", []))
    return local, index * local


def agree(strategy: tf.distribute.Strategy, what: str, value: int) -> None:
    """Waits until all workers have come here, and checks that they have the same value.

    Args:
      strategy: The strategy of all of them.
      what: What the value says, for the message.
      value: A whole number from 0 to 50 million.

    Raises:
      InputError: They differ; it is raised on every worker.
    """
    import tensorflow as tf

    if len(strategy.extended.worker_devices) == strategy.num_replicas_in_sync:
        return

    @tf.function
    def sums(own: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        def values(own: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            # The value itself may differ between workers, and each replica has its worker's.
            return own, tf.square(own)

        first, second = strategy.run(values, args=(own,))
        return strategy.reduce("SUM", first, axis=None), strategy.reduce("SUM", second, axis=None)

    count = strategy.num_replicas_in_sync
    total, squares = (float(number) for number in sums(tf.constant(value, tf.float64)))
    # The mean of the squares is the square of the mean only where all are equal.
    if total != count * float(value) or squares != count * float(value) ** 2:
        raise InputError(
            f"The workers do not agree on {what}: it is {value} here, and {total / count:g} on "
            "average. --output_dir must be one folder that all machines share, and all flags the "
            "same."
        )


@contextlib.contextmanager
def report_lost_workers(cluster: Cluster = ALONE) -> Iterator[None]:
    """Turns the errors that a lost worker shows by into LostWorkerError."""
    import tensorflow as tf

    lost = (
        tf.errors.UnavailableError,
        tf.errors.AbortedError,
        tf.errors.DeadlineExceededError,
        tf.errors.CancelledError,
    )
    try:
        yield
    except (*lost, tf.errors.InternalError, RuntimeError) as error:
        if not cluster.is_several or isinstance(error, LostWorkerError):
            raise
        # Names of collective operations stand in the errors of NCCL and of RING.
        told = str(error)
        if not isinstance(error, lost) and not any(
            word in told for word in ("ollective", "NCCL", "peer", "barrier")
        ):
            raise
        raise LostWorkerError(
            f"Another worker is gone ({told.strip().splitlines()[0][:300]}). Start all of them "
            "again with the same commands; they go on from the last checkpoint."
        ) from error


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
