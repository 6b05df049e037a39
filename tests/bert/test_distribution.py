import subprocess
import sys

import numpy as np
import pytest

from deeq_bert.bert.distribution import check_global_batch, check_gpus, choose_gpus
from deeq_bert.tokenizers.errors import InputError


@pytest.mark.parametrize(
    ("gpus", "available", "expected"),
    [
        ("1", 1, [0]),
        ("1", 8, [0]),
        ("2", 8, [0, 1]),
        ("0,2", 4, [0, 2]),
        ("3,", 4, [3]),
        ("2, 0", 4, [2, 0]),
        ("all", 3, [0, 1, 2]),
        ("0", 4, []),
        ("1", 0, []),
        ("4", 0, []),
        ("all", 0, []),
    ],
)
def test_gpus_says_how_many_or_which(gpus, available, expected):
    assert choose_gpus(gpus, available) == expected


@pytest.mark.parametrize(
    "gpus", ["", "two", "-1", "1.5", ",", "0,,1", "1;2", "²", "0,0", "99999999"]
)
def test_what_is_no_choice_of_gpus_is_refused(gpus):
    with pytest.raises(InputError, match="--gpus="):
        check_gpus(gpus)


@pytest.mark.parametrize("gpus", ["3", "0,2"])
def test_more_gpus_than_there_are_names_how_many_there_are(gpus):
    with pytest.raises(InputError, match=r"this machine has 2 \(numbered 0 to 1\)"):
        choose_gpus(gpus, 2)


@pytest.mark.parametrize(
    ("batch_size", "replicas", "nearest"),
    [(124, 3, "123 or 126"), (2, 8, "8"), (9, 8, "8 or 16")],
)
def test_a_batch_that_does_not_divide_names_the_nearest_that_do(batch_size, replicas, nearest):
    with pytest.raises(InputError, match=f"The nearest that does is {nearest}"):
        check_global_batch("train_batch_size", batch_size, replicas)


def test_a_batch_that_divides_passes():
    check_global_batch("train_batch_size", 124, 4)


def test_reading_the_flag_needs_no_tensorflow():
    program = (
        "import sys; from deeq_bert.bert import distribution; distribution.choose_gpus('0,1', 2);"
        "sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_two_replicas_train_and_evaluate_as_one_device(sample_records, tiny_config, tmp_path):
    results = []
    for devices in (1, 2):
        # A process each: several strategies in one break each other's collectives.
        path = tmp_path / f"{devices}.npz"
        program = [sys.executable, "-m", "replica_results", devices, tiny_config, sample_records]
        subprocess.run([*map(str, program), path], check=True, cwd=__file__.rsplit("/", 1)[0])
        results.append(np.load(path))

    one, two = results
    assert sorted(one.files) == sorted(two.files)
    for name in one.files:
        np.testing.assert_allclose(two[name], one[name], rtol=0, atol=1e-6, err_msg=name)
