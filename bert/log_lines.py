"""The lines in which a training run tells how it goes."""

from collections.abc import Mapping

# A share of the time below it is not worth a word.
_WORTH_TELLING = 0.01


def log_line(step: int, means: Mapping[str, float], figures: Mapping[str, float]) -> str:
    """Returns the line that a run logs: where it is, how it goes, how fast, how long yet.

    Args:
      step: Updates made.
      means: `loss`, `masked_lm_loss`, `next_sentence_loss`, `learning_rate`, and where there are
        such `gradient_norm` and `loss_scale`.
      figures: Of `meters.Throughput.report` and `devices.memory_figures`; what is not among them
        is not in the line either.
    """
    parts = [
        f"step {step}: loss {means['loss']:.4f} (mlm {means['masked_lm_loss']:.4f}, "
        f"nsp {means['next_sentence_loss']:.4f})",
        f"lr {means['learning_rate']:.3g}",
    ]
    if "gradient_norm" in means:
        parts.append(f"gradient {means['gradient_norm']:.3g}")
    if "loss_scale" in means:
        parts.append(f"loss scale {means['loss_scale']:.0f}")
    return ", ".join(parts + _speed(figures) + _what_it_takes(figures))


def slow_step_line(step: int, seconds: float, usual: float, wait_seconds: float) -> str:
    """Returns the line about a step that took far longer than usual.

    Args:
      step: Its number.
      seconds: How long it took.
      usual: How long steps take.
      wait_seconds: How long of that it waited for its records.
    """
    line = (
        f"step {step} took {_seconds(seconds)}, {seconds / usual:.1f} times the usual "
        f"{_seconds(usual)}"
    )
    if wait_seconds < seconds * _WORTH_TELLING:
        return line
    return f"{line} (waiting for records {_seconds(wait_seconds)})"


def duration(seconds: float) -> str:
    """Returns a time span as people say it: "45 s", "12 min", "3 h 20 min", "4 d 5 h"."""
    minutes, hours, days = seconds / 60, seconds / 3600, seconds / 86400
    if seconds < 90:
        return f"{seconds:.0f} s"
    if minutes < 90:
        return f"{minutes:.0f} min"
    if hours < 48:
        return f"{int(hours)} h {int(minutes % 60):02d} min"
    return f"{int(days)} d {int(hours % 24)} h"


def _speed(figures: Mapping[str, float]) -> list[str]:
    parts = []
    if "sequences_per_second" in figures:
        parts.append(f"{figures['sequences_per_second']:.1f} sequences/s")
    if "tokens_per_second" in figures:
        parts.append(f"{_thousands(figures['tokens_per_second'])} tokens/s")
    if "mfu" in figures:
        parts.append(f"mfu {figures['mfu']:.1%}")
    elif "tflops" in figures:
        parts.append(f"{figures['tflops']:.3g} TFLOP/s")
    if figures.get("data_wait_share", 0.0) > _WORTH_TELLING:
        parts.append(f"{figures['data_wait_share']:.1%} waiting for records")
    return parts


def _what_it_takes(figures: Mapping[str, float]) -> list[str]:
    parts = []
    memory = figures.get("gpu_memory_bytes", figures.get("process_memory_bytes"))
    if memory is not None:
        parts.append(f"{memory / 2**30:.1f} GiB")
    if "eta_seconds" in figures:
        parts.append(f"{duration(figures['eta_seconds'])} left")
    if "cost" in figures:
        cost = f"cost {figures['cost']:.2f}"
        if "cost_total" in figures:
            cost += f" of {figures['cost_total']:.2f}"
        parts.append(cost)
    return parts


def _seconds(seconds: float) -> str:
    """Returns a short time with two digits: "0.52 s", "3.2 s", "47 s"."""
    digits = 0 if seconds >= 10 else 1 if seconds >= 1 else 2 if seconds >= 0.1 else 4
    return f"{seconds:.{digits}f} s"


def _thousands(number: float) -> str:
    """Returns a large number with three digits or so: "870", "28.2k", "1.21M"."""
    if number < 999.5:
        return f"{number:.0f}"
    if number < 999_500:
        return f"{number / 1e3:.3g}k"
    return f"{number / 1e6:.3g}M"
