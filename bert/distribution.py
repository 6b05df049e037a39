"""From --gpus to a tf.distribute strategy, and what a global batch must satisfy.

The reading of --gpus needs no TensorFlow, so that a wrong one is refused before its import.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

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


def check_global_batch(flag: str, batch_size: int, replicas: int) -> None:
    """Checks that a global batch can be cut into equal parts, one a replica.

    Raises:
      InputError: It cannot; the message names the nearest sizes that can.
    """
    if batch_size % replicas == 0:
        return
    below = batch_size - batch_size % replicas
    nearest = f"{below} or {below + replicas}" if below else f"{replicas}"
    raise InputError(
        f"--{flag}={batch_size} is the batch over all devices and does not divide by the "
        f"{replicas} in use. The nearest that does is {nearest}."
    )


def make_strategy(device_names: Sequence[str]) -> tf.distribute.Strategy:
    """Returns the strategy for these devices: one device plain, several mirrored.

    Args:
      device_names: TensorFlow's names, such as "/gpu:0" or "/cpu:0".
    """
    import tensorflow as tf

    if len(device_names) == 1:
        return tf.distribute.OneDeviceStrategy(device_names[0])
    return tf.distribute.MirroredStrategy(list(device_names))


def distribute(
    strategy: tf.distribute.Strategy, batches: Iterable[Mapping[str, tf.Tensor]]
) -> Iterator[Mapping[str, tf.Tensor]]:
    """Yields `batches`, each global batch cut into the replicas' parts.

    Args:
      strategy: Where the batches will be used.
      batches: Global batches, whose sizes divide by the number of replicas.
    """
    replicas = strategy.num_replicas_in_sync
    if replicas == 1:
        yield from batches
        return
    for batch in batches:

        def part(
            context: tf.distribute.ValueContext, batch: Mapping[str, tf.Tensor] = batch
        ) -> dict[str, tf.Tensor]:
            number = context.replica_id_in_sync_group
            return {name: part_of(value, number) for name, value in batch.items()}

        def part_of(value: tf.Tensor, number: int) -> tf.Tensor:
            size = value.shape[0] // replicas
            return value[number * size : (number + 1) * size]

        yield strategy.experimental_distribute_values_from_function(part)


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
