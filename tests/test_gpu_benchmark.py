import json
import os
import pathlib
import subprocess
import sys
import venv

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
BENCHMARKS = str(ROOT / "tests" / "benchmarks")
sys.path.append(BENCHMARKS)

import gpu_pretraining  # noqa: E402
from gpu_pretraining import Cell, first_batch, measure_cell  # noqa: E402

# One of the files there bears the name of a package that other tests may look for.
sys.path.remove(BENCHMARKS)

CELL = Cell("base-128", "bert_config.json", 128, 20, 256)


class Gpu:
    """Takes batches up to a size, the faster the larger up to another, and some time for each."""

    def __init__(self, fits: int, gains_up_to: int, seconds: float = 10.0, broken: int = 0):
        self.seconds = 0.0
        self.tried: list[int] = []
        self.limits: list[float] = []
        self._fits = fits
        self._gains_up_to = gains_up_to
        self._seconds = seconds
        self._broken = broken

    def trial(self, cell: Cell, batch: int, limit: float) -> dict:
        self.tried.append(batch)
        self.limits.append(limit)
        self.seconds += self._seconds
        if batch == self._broken:
            return {"failed": "a wire is loose"}
        if batch > self._fits:
            return {"out_of_memory": True}
        return {"sequences_per_second": 10.0 * min(batch, self._gains_up_to)}

    def measure(self, share: float = 1000.0, first_limit: float = 1000.0) -> dict:
        return measure_cell(CELL, 256, self.trial, share, first_limit, lambda: self.seconds)


def run_gpu_sh(python: pathlib.Path, folder: pathlib.Path, *arguments: str):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        ["bash", ROOT / "tests" / "benchmarks" / "gpu.sh", *arguments],
        cwd=folder,
        env={**environment, "PYTHON": str(python)},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def bare_python(tmp_path) -> pathlib.Path:
    """A Python that has no packages at all."""
    venv.create(tmp_path / "environment", symlinks=True)
    return tmp_path / "environment" / "bin" / "python"


def test_the_batch_doubles_until_it_does_not_fit():
    gpu = Gpu(fits=1100, gains_up_to=5000)
    result = gpu.measure()
    assert gpu.tried == [256, 512, 1024, 2048]
    assert result["sequences_per_second"] == 10240
    assert result["ended"] == "batch 2048 does not fit"


def test_the_batch_doubles_until_that_brings_nothing():
    gpu = Gpu(fits=5000, gains_up_to=512)
    assert gpu.measure()["sequences_per_second"] == 5120
    assert gpu.tried == [256, 512, 1024]


def test_a_start_that_does_not_fit_is_halved():
    gpu = Gpu(fits=70, gains_up_to=5000)
    result = gpu.measure()
    assert gpu.tried == [256, 128, 64]
    assert result["sequences_per_second"] == 640
    assert result["ended"] == "batch 128 does not fit"


def test_a_model_that_does_not_fit_at_all_is_a_failure():
    assert Gpu(fits=0, gains_up_to=1).measure()["failed"] == "batch 1 does not fit"


def test_no_trial_begins_that_would_outlast_its_share():
    gpu = Gpu(fits=5000, gains_up_to=5000, seconds=10.0)
    result = gpu.measure(share=25.0)
    assert gpu.tried == [256, 512]
    assert result["ended"] == "the time is up"


def test_a_cell_gets_more_than_its_share_for_its_first_result():
    gpu = Gpu(fits=5000, gains_up_to=5000, seconds=60.0)
    assert gpu.measure(share=25.0, first_limit=100.0)["sequences_per_second"] == 2560
    assert gpu.limits == [100.0]


def test_a_failure_is_recorded_with_its_reason():
    result = Gpu(fits=5000, gains_up_to=5000, broken=256).measure()
    assert result["failed"] == "batch 256: a wire is loose"


def test_a_failure_leaves_what_was_measured_before():
    result = Gpu(fits=5000, gains_up_to=5000, broken=1024).measure()
    assert result["sequences_per_second"] == 5120
    assert "failed" not in result
    assert [trial["batch"] for trial in result["trials"]] == [256, 512, 1024]


@pytest.mark.parametrize(
    "memory_mebibytes, batch", [(143771, 256), (81559, 256), (40960, 128), (15360, 32), (None, 256)]
)
def test_the_start_follows_the_memory_of_the_gpu(memory_mebibytes, batch):
    assert first_batch(CELL, memory_mebibytes) == batch


@pytest.mark.parametrize("cell", gpu_pretraining.CELLS, ids=lambda cell: cell.name)
def test_the_models_are_those_of_the_paper(cell):
    hidden, layers = {"base": (768, 12), "large": (1024, 24)}[cell.name.split("-")[0]]
    assert (cell.config.hidden_size, cell.config.num_hidden_layers) == (hidden, layers)


def test_what_is_missing_is_said_at_once(bare_python, tmp_path):
    completed = run_gpu_sh(bare_python, tmp_path)
    assert completed.returncode == 1
    assert "lacks tensorflow[and-cuda], numpy, absl-py, google-crc32c, tqdm" in completed.stderr


@pytest.mark.slow
def test_a_plain_checkout_is_measured_without_installing_it(bare_python, tmp_path):
    # With the packages of this environment, of which this project itself is only linked there.
    (site_packages,) = (tmp_path / "environment" / "lib").glob("python*/site-packages")
    packages = pathlib.Path(pytest.__file__).parent.parent
    (site_packages / "packages.pth").write_text(f"{packages}\n")
    completed = run_gpu_sh(bare_python, tmp_path, "--smoke", "--peak_tflops=1")
    assert completed.returncode == 0, completed.stderr
    table = json.loads((tmp_path / "gpu_pretraining.json").read_text())["cells"]
    assert list(table) == ["tiny-16", "tiny-32"]
    for result in table.values():
        assert result["device"] == "CPU"
        assert result["batch"] >= 1
        assert 0 < result["mfu"] < 1
        assert 0 <= result["data_wait_share"] < 1
        assert result["tokens_per_second"] > result["sequences_per_second"] > 0
        assert result["compile_seconds"] > result["step_seconds"] > 0
        assert result["memory_peak_bytes"] > 0
        assert result["tensorflow"]
