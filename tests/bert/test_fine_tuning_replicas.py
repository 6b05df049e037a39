"""Fine-tuning on several devices."""

import pathlib
import subprocess
import sys

import numpy as np
import pytest

HERE = pathlib.Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> list:
    """The results of a run on one device, and of one on two."""
    # Processes of their own: the devices of one that has computed are fixed.
    found = []
    for devices in (1, 2):
        folder = tmp_path_factory.mktemp(f"devices-{devices}")
        program = [sys.executable, "-m", "replica_tuning", str(devices), str(folder)]
        subprocess.run(program, cwd=HERE, check=True)
        found.append(np.load(folder / "results.npz"))
    return found


@pytest.mark.slow
def test_two_replicas_train_to_the_weights_of_one_device(results):
    one, two = results
    weights = [name for name in one.files if name.startswith(("bert.", "output_"))]
    assert len(weights) == 25
    for name in weights:
        np.testing.assert_allclose(two[name], one[name], rtol=0, atol=1e-6, err_msg=name)
    assert one["best_step"] == two["best_step"]


@pytest.mark.slow
def test_two_replicas_predict_as_one_device_and_in_order(results):
    one, two = results
    assert one["probabilities"].shape == (29, 2)
    np.testing.assert_allclose(two["probabilities"], one["probabilities"], rtol=0, atol=1e-6)
    # So far apart that another order would show.
    assert np.ptp(one["probabilities"][:, 0]) > 0.01
