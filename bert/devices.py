"""What the devices can do at most, and how much of their memory was taken.

The peaks are looked up by name, which needs no TensorFlow; what asks the devices imports it.
"""

from __future__ import annotations

import re
import resource
import sys
from collections.abc import Sequence
from typing import NamedTuple

# Chips that share a name with a larger one, or a part of one: none of its figures is theirs.
_OTHER_CHIPS = {"ti", "super", "d", "laptop", "mobile", "max", "maxq", "mig", "grid", "nvl", "nvl4"}
_SHARED_BY_VIRTUAL_MACHINES = re.compile(r"\d+[abcq]")


class Peak(NamedTuple):
    """What a GPU can do at most, in 10^12 operations a second; None: it has no units for that.

    Of dense matrices, at the boost clock, without the doubling that data sheets add for sparse
    ones; of half precision the figure with sums in float32, which is how TensorFlow computes.

    Attributes:
      float32: Outside the tensor cores.
      tf32: In them, for float32 with --allow_tf32.
      float16: With sums in float32.
      bfloat16: Likewise.
    """

    float32: float
    tf32: float | None
    float16: float | None
    bfloat16: float | None


# By words of the device's name, the more words the surer. From NVIDIA's data sheets and, for
# GeForce and Quadro cards, its white papers of the architectures.
_PEAKS = {
    # Pascal and Volta. Pascal has no tensor cores.
    "P100": Peak(10.6, None, 21.2, None),
    "P100 PCIE": Peak(9.3, None, 18.7, None),
    "V100": Peak(15.7, None, 125, None),
    "V100 PCIE": Peak(14.0, None, 112, None),
    "V100S PCIE": Peak(16.4, None, 130, None),
    "TITAN V": Peak(14.9, None, 119, None),
    # Turing.
    "T4": Peak(8.1, None, 65, None),
    "TITAN RTX": Peak(16.3, None, 130.5, None),
    "Quadro RTX 6000": Peak(16.3, None, 130.5, None),
    "Quadro RTX 8000": Peak(16.3, None, 130.5, None),
    "RTX 2080 Ti": Peak(13.4, None, 53.8, None),
    # Ampere.
    "A2": Peak(4.5, 9, 18, 18),
    "A10": Peak(31.2, 62.5, 125, 125),
    "A10G": Peak(35, 35, 70, 70),
    "A30": Peak(10.3, 82, 165, 165),
    "A40": Peak(37.4, 74.8, 149.7, 149.7),
    "A100": Peak(19.5, 156, 312, 312),
    "A800": Peak(19.5, 156, 312, 312),
    "RTX 3080": Peak(29.8, 29.8, 59.5, 59.5),
    "RTX 3090": Peak(35.6, 35.6, 71, 71),
    "RTX 3090 Ti": Peak(40, 40, 80, 80),
    "RTX A4000": Peak(19.2, 38.3, 76.7, 76.7),
    "RTX A5000": Peak(27.8, 55.6, 111.1, 111.1),
    "RTX A6000": Peak(38.7, 77.4, 154.8, 154.8),
    # Ada.
    "L4": Peak(30.3, 60, 121, 121),
    "L40": Peak(90.5, 90.5, 181, 181),
    "L40S": Peak(91.6, 183, 362, 362),
    "RTX 4080": Peak(48.7, 48.7, 97.5, 97.5),
    "RTX 4080 SUPER": Peak(52.2, 52.2, 104.4, 104.4),
    "RTX 4090": Peak(82.6, 82.6, 165.2, 165.2),
    "RTX 6000 Ada": Peak(91.1, 182.1, 364.2, 364.2),
    # Hopper.
    "H100": Peak(66.9, 494.7, 989.4, 989.4),
    "H100 HBM2e": Peak(51.2, 378, 756, 756),
    "H100 PCIe": Peak(51.2, 378, 756, 756),
    "H100 NVL": Peak(60, 417.5, 835.5, 835.5),
    "H800": Peak(66.9, 494.7, 989.4, 989.4),
    "H800 PCIe": Peak(51.2, 378, 756, 756),
    "H20": Peak(44, 74, 148, 148),
    "H200": Peak(66.9, 494.7, 989.4, 989.4),
    "H200 NVL": Peak(60, 417.5, 835.5, 835.5),
    "GH200": Peak(66.9, 494.7, 989.4, 989.4),
    # Blackwell.
    "B200": Peak(75, 1125, 2250, 2250),
    "GB200": Peak(80, 1250, 2500, 2500),
    "RTX 5090": Peak(104.8, 104.8, 209.5, 209.5),
}


def _words(name: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z0-9]+", name.lower()))


_PEAKS_BY_WORDS = {_words(name): peak for name, peak in _PEAKS.items()}


def peak_tflops(device_name: str, dtype: str, allow_tf32: bool = False) -> float | None:
    """Returns the dense peak of a GPU, in 10^12 operations a second, where it is known.

    Args:
      device_name: As the driver gives it, such as "NVIDIA H100 80GB HBM3".
      dtype: Of the matrix products: "float32", "float16" or "bfloat16".
      allow_tf32: Whether float32 products may be rounded to TF32; where there are no units for it
        they are not.
    """
    peak = _find_peak(device_name)
    if peak is None or dtype not in ("float32", "float16", "bfloat16"):
        return None
    if dtype == "float32" and allow_tf32 and peak.tf32:
        return peak.tf32
    return getattr(peak, dtype)


def _find_peak(device_name: str) -> Peak | None:
    words = _words(device_name)
    if any(map(_SHARED_BY_VIRTUAL_MACHINES.fullmatch, words)):
        return None
    known = max((key for key in _PEAKS_BY_WORDS if key <= words), key=len, default=None)
    # With no word left that makes it another chip.
    return None if known is None or (words - known) & _OTHER_CHIPS else _PEAKS_BY_WORDS[known]


def gpu_names() -> list[str]:
    """Returns the names of the GPUs that TensorFlow sees, in order; empty on a CPU."""
    import tensorflow as tf

    return [
        tf.config.experimental.get_device_details(gpu).get("device_name", "")
        for gpu in tf.config.get_visible_devices("GPU")
    ]


def slowest_peak_tflops(
    device_names: Sequence[str], dtype: str, allow_tf32: bool = False
) -> float | None:
    """Returns the peak of the slowest of several GPUs, for which the others wait at every step.

    Args:
      device_names: See `gpu_names`.
      dtype: See `peak_tflops`.
      allow_tf32: Likewise.

    Returns:
      None where one is not known, or where there is none.
    """
    peaks = [peak_tflops(name, dtype, allow_tf32) for name in device_names]
    return None if None in peaks else min(peaks, default=None)


def memory_peak(devices: Sequence[str]) -> int | None:
    """Returns the most bytes that one of the devices had in use since `reset_memory_peak`.

    It is what the run needed; TensorFlow reserves more from the start, which is what `nvidia-smi`
    shows.

    Args:
      devices: TensorFlow's names, such as "/gpu:0".

    Returns:
      None where it is not counted, as on a CPU.
    """
    import tensorflow as tf

    gpus = _local_gpus(devices)
    try:
        peaks = [tf.config.experimental.get_memory_info(gpu)["peak"] for gpu in gpus]
    except (ValueError, tf.errors.OpError):
        # Some kinds of device do not count it, and a meter must not end a run.
        return None
    return max(peaks, default=None)


def reset_memory_peak(devices: Sequence[str]) -> None:
    """Lets `memory_peak` start anew from what is in use at present."""
    import tensorflow as tf

    for gpu in _local_gpus(devices):
        try:
            tf.config.experimental.reset_memory_stats(gpu)
        except (ValueError, tf.errors.OpError):
            return


def process_memory_peak() -> int:
    """Returns the most bytes of memory this process has had since it began (resident set)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Kilobytes on Linux.
    return peak if sys.platform == "darwin" else peak * 1024


def memory_figures(devices: Sequence[str]) -> dict[str, float]:
    """Returns the memory of the devices since the last call, for the log.

    Returns:
      `gpu_memory_bytes`, of the fullest GPU; without a GPU `process_memory_bytes`, which is the
      peak of the whole process since it began.
    """
    peak = memory_peak(devices)
    if peak is None:
        return {"process_memory_bytes": process_memory_peak()}
    reset_memory_peak(devices)
    return {"gpu_memory_bytes": peak}


def _local_gpus(devices: Sequence[str]) -> list[str]:
    """Returns the names, such as "GPU:0", of those of the devices that are GPUs."""
    matches = [re.search(r"gpu:\d+$", device, re.IGNORECASE) for device in devices]
    return [match[0].upper() for match in matches if match]
