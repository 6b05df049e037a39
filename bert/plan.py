"""What a command will take: real steps at several batch sizes, and the days and money that follow.

Nothing is written.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from deeq_bert.bert.log_lines import duration
from deeq_bert.bert.phases import Phase
from deeq_bert.bert.probing import Probe

# Sizes of a device's part of the batch that are tried, as shares of the one given.
_FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)


class PhasePlan(NamedTuple):
    """What has been found out about a phase.

    Attributes:
      phase: The phase.
      records: How many there are to train on.
      global_batch: The batch as given.
      probes: The sizes that were tried, with None for one that does not fit.
      flops_per_sequence: See `meters.training_flops_per_sequence`.
    """

    phase: Phase
    records: int
    global_batch: int
    probes: Sequence[tuple[int, Probe | None]]
    flops_per_sequence: float


def candidate_batches(global_batch: int, replicas: int, accumulation_steps: int) -> list[int]:
    """Returns the global batches to try: the one given, and some smaller and larger ones."""
    unit = replicas * accumulation_steps
    parts = {max(1, round(global_batch / unit * factor)) for factor in _FACTORS}
    return [part * unit for part in sorted(parts)]


def try_batches(
    sizes: Sequence[int], probe: Callable[[int], Probe | None]
) -> list[tuple[int, Probe | None]]:
    """Times the sizes in ascending order, up to the first that does not fit."""
    tried: list[tuple[int, Probe | None]] = []
    for size in sorted(sizes):
        tried.append((size, probe(size)))
        if tried[-1][1] is None:
            break
    return tried


def describe_phase(
    plan: PhasePlan,
    number: int,
    replicas: int,
    peak_tflops: float | None,
    price_per_gpu_hour: float | None,
) -> list[str]:
    """Returns the lines that tell what a phase will take.

    Args:
      plan: What has been found out.
      number: Of the phase, from 1 on.
      replicas: How many devices share a batch.
      peak_tflops: What one device can do at most, in 10^12 operations a second; None: unknown.
      price_per_gpu_hour: What a device costs; None: not told.
    """
    phase = plan.phase
    lines = [
        f"Phase {number}: {phase.num_train_steps:,} steps of {plan.global_batch} sequences of "
        f"{phase.max_seq_length} tokens; {plan.records:,} records",
        f"{'batch':>10} {'sequences/s':>12} {'tokens/s':>12} {'TFLOP/s':>9} {'MFU':>7} "
        f"{'memory':>9} {'data wait':>9} {'first step':>10}",
    ]
    for size, probe in plan.probes:
        mark = "*" if size == plan.global_batch else " "
        if probe is None:
            lines.append(f"{size:>9}{mark} does not fit into the memory of a device")
            continue
        rate = size / probe.seconds
        tflops = rate * plan.flops_per_sequence / replicas / 1e12
        mfu = f"{tflops / peak_tflops:.1%}" if peak_tflops else "-"
        memory = f"{probe.memory_bytes / 2**30:.2f} GiB" if probe.memory_bytes else "-"
        lines.append(
            f"{size:>9}{mark} {rate:>12,.1f} {probe.tokens / probe.seconds:>12,.0f} "
            f"{tflops:>9.3g} {mfu:>7} {memory:>9} {probe.wait_share:>9.1%} "
            f"{probe.first_seconds:>8.1f} s"
        )
    seconds = phase_seconds(plan)
    if seconds is None:
        lines.append("As given it does not fit; choose one of the batches above.")
        return lines
    epochs = phase.num_train_steps * plan.global_batch / plan.records
    lines.append(
        f"As given (*): {epochs:.3g} epochs in {duration(seconds)}"
        f"{cost_text(seconds, replicas, price_per_gpu_hour)}, saves and evaluations not counted."
    )
    best = max(
        (probe for _, probe in plan.probes if probe), key=lambda p: p.global_batch / p.seconds
    )
    given = dict(plan.probes)[plan.global_batch]
    gain = best.global_batch / best.seconds / (plan.global_batch / given.seconds)
    if gain > 1.05:
        lines.append(
            f"A batch of {best.global_batch} goes through {gain:.2f} times as many sequences a "
            "second."
        )
    return lines


def phase_seconds(plan: PhasePlan) -> float | None:
    """Returns how long a phase takes as given; None where it does not fit."""
    probe = dict(plan.probes).get(plan.global_batch)
    return probe.first_seconds + plan.phase.num_train_steps * probe.seconds if probe else None


def cost_text(seconds: float, replicas: int, price_per_gpu_hour: float | None) -> str:
    """Returns the part of a sentence that says what so much time costs, if a price is given."""
    if not price_per_gpu_hour:
        return ""
    cost = seconds / 3600 * replicas * price_per_gpu_hour
    return f", which costs {cost:,.2f} at {price_per_gpu_hour:g} an hour and device"


def total_line(plans: Sequence[PhasePlan], replicas: int, price_per_gpu_hour: float | None) -> str:
    """Returns the line that tells what all phases take together."""
    seconds = [phase_seconds(plan) for plan in plans]
    if None in seconds:
        return "The command as given does not fit on these devices."
    total = sum(seconds)
    return (
        f"The command as given: {sum(plan.phase.num_train_steps for plan in plans):,} steps in "
        f"{duration(total)}{cost_text(total, replicas, price_per_gpu_hour)}. Nothing was written."
    )
