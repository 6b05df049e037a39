"""Steps made to learn what they cost: the largest batch that fits, and the time one takes."""

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import tensorflow as tf

from deeq_bert.bert import devices
from deeq_bert.bert.train_step import Batch, Metrics

# A batch a device that no memory of today holds, even of a tiny model.
_LARGEST_PART = 8192
# A CPU gains nothing from a larger batch, and would swap before it refuses one.
_LARGEST_CPU_PART = 64
# What is given away for the parts of memory that lie in pieces after a million steps.
_MARGIN = 0.94
_FEWEST_STEPS, _MOST_STEPS = 3, 50


class Probe(NamedTuple):
    """What some steps have cost.

    Attributes:
      global_batch: Sequences a step.
      seconds: Of a step, the median.
      first_seconds: Of the first one, compilation included.
      wait_share: The share of the time in which a batch was waited for.
      tokens: Tokens a step that are not padding.
      memory_bytes: The most that was in use on a device; None where that is not known.
    """

    global_batch: int
    seconds: float
    first_seconds: float
    wait_share: float
    tokens: float
    memory_bytes: int | None


def is_out_of_memory(error: tf.errors.OpError) -> bool:
    """Whether an error says that a device has not enough memory."""
    # XLA and CUDA say it in errors of other kinds.
    told = str(error.message).lower()
    return isinstance(error, tf.errors.ResourceExhaustedError) or any(
        words in told for words in ("out of memory", "resource_exhausted", "resource exhausted")
    )


def time_steps(
    train_step: Callable[[Batch, tf.Tensor, tf.Tensor], Metrics],
    batches: Iterator[Batch],
    global_batch: int,
    device_names: list[str],
    seconds: float,
) -> Probe | None:
    """Makes some steps; the variables are others afterwards.

    Args:
      train_step: See `train_step.make_train_step`.
      batches: Yields distributed batches.
      global_batch: Sequences in each.
      device_names: What they are computed on.
      seconds: How long to go on, after the first step.

    Returns:
      What they cost, or None where the memory is not enough.
    """
    devices.reset_memory_peak(device_names)

    def step() -> tuple[float, float, float]:
        start = time.perf_counter()
        batch = next(batches)
        waited = time.perf_counter() - start
        metrics = train_step(batch, tf.constant(0, tf.int64), tf.constant(0.0))
        tokens = float(metrics["tokens"])
        return time.perf_counter() - start, waited, tokens

    try:
        first_seconds, _, _ = step()
        # The first one after the compilation still fills caches.
        step()
        taken = [step()]
        end = time.perf_counter() + seconds
        while len(taken) < _FEWEST_STEPS or (
            len(taken) < _MOST_STEPS and time.perf_counter() < end
        ):
            taken.append(step())
    except tf.errors.OpError as error:
        if is_out_of_memory(error):
            return None
        raise
    times, waits, tokens = zip(*taken)
    return Probe(
        global_batch=global_batch,
        seconds=sorted(times)[len(times) // 2],
        first_seconds=first_seconds,
        wait_share=sum(waits) / sum(times),
        tokens=sum(tokens) / len(tokens),
        memory_bytes=devices.memory_peak(device_names),
    )


def largest_part(fits: Callable[[int], bool], on_cpu: bool, multiple: int = 8) -> int:
    """Finds the most sequences a device takes at once.

    Args:
      fits: Whether a device takes so many; of several sizes asked about none is asked about twice.
      on_cpu: Whether the device is the CPU.
      multiple: The result is one of it, as the units for matrices of GPUs like it, unless even
        that many are too many.

    Returns:
      The number, a little under the largest that fits; 0 where not even one fits.
    """
    ceiling = _LARGEST_CPU_PART if on_cpu else _LARGEST_PART
    good, bad = 0, None
    size = multiple
    while bad is None and size <= ceiling:
        good, bad = (size, None) if fits(size) else (good, size)
        size *= 2
    if bad is None:
        return good
    if not good:
        return next((size for size in (multiple // 2, multiple // 4, 1) if fits(size)), 0)
    while bad - good > max(multiple, good // 16):
        middle = (good + bad) // 2 // multiple * multiple
        if fits(middle):
            good = middle
        else:
            bad = middle
    return max(multiple, int(good * _MARGIN) // multiple * multiple)
