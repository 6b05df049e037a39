import re
import subprocess
import sys

import pytest

from deeq_bert.bert import devices


@pytest.mark.parametrize(
    ("name", "bfloat16"),
    [
        ("NVIDIA A10", 125),
        ("NVIDIA A10G", 70),
        ("NVIDIA A100-SXM4-80GB", 312),
        ("A100-PCIE-40GB", 312),
        ("NVIDIA L4", 121),
        ("NVIDIA L40", 181),
        ("NVIDIA L40S", 362),
        ("NVIDIA GeForce RTX 3090", 71),
        ("NVIDIA GeForce RTX 3090 Ti", 80),
        ("NVIDIA RTX A6000", 154.8),
        ("NVIDIA RTX 6000 Ada Generation", 364.2),
        ("NVIDIA H100 80GB HBM3", 989.4),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA H100 NVL", 835.5),
        ("NVIDIA H200", 989.4),
        ("NVIDIA GH200 480GB", 989.4),
        ("NVIDIA B200", 2250),
        ("nvidia h200", 989.4),
    ],
)
def test_the_dense_peak_is_that_of_the_very_card(name, bfloat16):
    assert devices.peak_tflops(name, "bfloat16") == bfloat16


def test_the_peak_depends_on_the_precision():
    def peaks(name: str) -> list[float | None]:
        float32 = [devices.peak_tflops(name, "float32", allow_tf32=tf32) for tf32 in (False, True)]
        return [*float32, *(devices.peak_tflops(name, x) for x in ("float16", "bfloat16"))]

    assert peaks("NVIDIA A100-SXM4-40GB") == [19.5, 156, 312, 312]
    # Neither knows TF32 nor bfloat16.
    assert peaks("Tesla V100-SXM2-16GB") == [15.7, 15.7, 125, None]
    assert peaks("Tesla T4") == [8.1, 8.1, 65, None]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "NVIDIA GeForce GTX 1080",
        "AMD Instinct MI300X",
        "NVIDIA GeForce RTX 4090 Laptop GPU",
        "NVIDIA GeForce RTX 4090 D",
        "NVIDIA A100-SXM4-40GB MIG 1g.5gb",
        "GRID T4-16Q",
        "NVIDIA A40-8Q",
        "NVIDIA A100X",
    ],
)
def test_a_card_that_only_resembles_a_known_one_has_no_peak(name):
    assert devices.peak_tflops(name, "float32") is None


def test_a_precision_that_is_not_known_has_no_peak():
    assert devices.peak_tflops("NVIDIA H200", "float8") is None


@pytest.mark.parametrize("peak", devices._PEAKS.items(), ids=lambda item: item[0])
def test_no_precision_is_slower_than_one_of_more_bits(peak):
    known = [value for value in peak[1] if value is not None]
    assert known == sorted(known)


@pytest.mark.parametrize("name", devices._PEAKS)
def test_every_card_of_the_table_is_found_by_its_own_name(name):
    assert devices.peak_tflops(name, "float32") == devices._PEAKS[name].float32


def test_several_cards_are_as_fast_as_the_slowest():
    assert devices.slowest_peak_tflops(["NVIDIA H200", "NVIDIA L4"], "bfloat16") == 121
    assert devices.slowest_peak_tflops(["NVIDIA H200", "an unknown one"], "bfloat16") is None
    assert devices.slowest_peak_tflops([], "bfloat16") is None


def test_on_a_cpu_the_memory_is_that_of_the_process():
    devices.reset_memory_peak(["/cpu:0"])
    assert devices.memory_peak(["/cpu:0"]) is None

    (name, peak) = devices.memory_figures(["/cpu:0"]).popitem()

    assert name == "process_memory_bytes"
    # TensorFlow alone takes more than the one, and this machine has less than the other.
    assert 50e6 < peak < 1e13


@pytest.mark.parametrize(
    "name", ["/gpu:0", "/GPU:0", "/device:GPU:0", "/job:worker/replica:0/task:1/device:GPU:0"]
)
def test_gpus_are_asked_by_the_name_within_the_machine(name):
    assert devices._local_gpus([name, "/cpu:0"]) == ["GPU:0"]


def test_peaks_are_looked_up_without_tensorflow():
    program = "import deeq_bert.bert.devices"
    completed = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", program], capture_output=True, text=True
    )
    assert completed.returncode == 0
    assert not re.search(r"\| +(tensorflow|numpy)$", completed.stderr, re.MULTILINE)
