"""scripts/environment.sh and scripts/quickstart.sh: choosing a Python, making .venv, the run."""

import collections
import math
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from deeq_bert.bert.examples import decode_example
from deeq_bert.bert.records import read_records

# Stands in for a Python: "makes" environments by copying itself, and keeps a record of pip's calls.
FAKE_PYTHON = """#!/bin/bash
case "$*" in
  *"sys.exit"*) [[ $VERSION != old ]] ;;
  *ensurepip*) [[ $VERSION != bare ]] ;;
  *"%d.%d"*) echo 3.12 ;;
  *sys.version*) echo "3.12.1 ($VERSION) [GCC 12.2.0]" ;;
  *"-m venv"*) mkdir -p "${@: -1}/bin" && cp "$0" "${@: -1}/bin/python" ;;
  *"pip install"*) echo "${@: -1}" >>"$PIP_CALLS"; exit "${PIP_STATUS:-0}" ;;
esac
"""


class Checkout:
    """A folder with the set-up scripts and a fake Python, and what can be done in it."""

    def __init__(self, folder: pathlib.Path, repository: pathlib.Path):
        self.root = folder / "check out"
        (self.root / "scripts").mkdir(parents=True)
        for name in ("environment.sh", "quickstart.sh"):
            shutil.copy(repository / "scripts" / name, self.root / "scripts")
        (self.root / "bert").mkdir()
        for name in ("setup.py", "pyproject.toml", "bert/_instances.c"):
            shutil.copy(repository / name, self.root / name)
        self.programs = folder / "programs"
        self.programs.mkdir()
        self.pip_calls_file = folder / "pip_calls"

    def add_python(self, name: str, version: str = "good") -> pathlib.Path:
        path = self.programs / name
        path.write_text(FAKE_PYTHON.replace("$VERSION", version))
        path.chmod(0o755)
        return path

    def run(self, command: str, **variables: str) -> subprocess.CompletedProcess:
        """Runs a bash command after sourcing environment.sh, from another folder."""
        script = f'set -euo pipefail; source "{self.root}/scripts/environment.sh"; {command}'
        environment = {
            "PATH": f"{self.programs}:{os.defpath}",
            "PIP_CALLS": str(self.pip_calls_file),
            **variables,
        }
        return subprocess.run(
            ["bash", "-c", script], env=environment, cwd="/", capture_output=True, text=True
        )

    def pip_calls(self) -> list[str]:
        """What each call of pip was to install."""
        return self.pip_calls_file.read_text().split() if self.pip_calls_file.exists() else []


@pytest.fixture
def checkout(tmp_path, repository):
    return Checkout(tmp_path, repository)


def test_an_unsupported_python3_is_passed_over(checkout):
    checkout.add_python("python3", "old")
    checkout.add_python("python3.13", "old")
    checkout.add_python("python3.12")
    assert checkout.run("choose_python").stdout == "python3.12\n"


def test_a_python_that_cannot_make_environments_is_passed_over(checkout):
    checkout.add_python("python3", "bare")
    checkout.add_python("python3.13")
    assert checkout.run("choose_python").stdout == "python3.13\n"


def test_the_variable_python_decides(checkout):
    checkout.add_python("python3")
    mine = checkout.add_python("my-python")
    assert checkout.run("choose_python", PYTHON=str(mine)).stdout == f"{mine}\n"


def test_no_supported_python_is_an_error(checkout):
    for name in ("python3", "python3.13", "python3.12", "python3.11", "python3.10"):
        checkout.add_python(name, "old")
    completed = checkout.run("ensure_environment base")
    assert completed.returncode == 1
    assert "No Python 3.10 to 3.13 was found on PATH" in completed.stderr


def test_a_missing_venv_module_is_an_error_that_names_the_package(checkout):
    for name in ("python3", "python3.13", "python3.12", "python3.11", "python3.10"):
        checkout.add_python(name, "bare")
    completed = checkout.run("ensure_environment base")
    assert completed.returncode == 1
    assert "sudo apt install python3.12-venv" in completed.stderr


@pytest.mark.parametrize("value", ["old-python", "/nowhere/python"])
def test_an_unusable_variable_python_is_an_error(checkout, value):
    checkout.add_python("python3")
    checkout.add_python("old-python", "old")
    completed = checkout.run("ensure_environment base", PYTHON=value)
    assert completed.returncode == 1
    assert f"PYTHON={value} does not run, or is not Python 3.10 to 3.13" in completed.stderr


def test_a_second_run_installs_nothing(checkout):
    checkout.add_python("python3")
    for _ in range(2):
        assert checkout.run("ensure_environment base").returncode == 0
    assert checkout.pip_calls() == ["."]


def test_a_second_run_with_the_same_variable_python_installs_nothing(checkout):
    mine = checkout.add_python("my-python")
    for _ in range(2):
        assert checkout.run("ensure_environment base", PYTHON=str(mine)).returncode == 0
    assert checkout.pip_calls() == ["."]


def test_an_extra_is_added_once_and_brings_the_plain_installation(checkout):
    checkout.add_python("python3")
    for extra in ("test", "base", "test"):
        checkout.run(f"ensure_environment {extra}")
    assert checkout.pip_calls() == [".[test]"]


def test_the_tests_bring_what_the_quickstart_needs(checkout):
    checkout.add_python("python3")
    for extra in ("test", "deeq,vocab"):
        checkout.run(f"ensure_environment {extra}")
    assert checkout.pip_calls() == [".[test]"]


def test_a_changed_setup_file_installs_again_in_the_same_environment(checkout):
    checkout.add_python("python3")
    checkout.run("ensure_environment base")
    (checkout.root / ".venv" / "something").touch()
    with open(checkout.root / "setup.py", "a") as setup:
        setup.write("# changed\n")
    checkout.run("ensure_environment base")
    assert checkout.pip_calls() == [".", "."]
    assert (checkout.root / ".venv" / "something").exists()


def test_a_stopped_installation_is_made_anew(checkout):
    checkout.add_python("python3")
    failed = checkout.run("ensure_environment base", PIP_STATUS="1")
    assert failed.returncode == 1
    assert "The installation failed" in failed.stderr
    (checkout.root / ".venv" / "half-written").touch()
    assert checkout.run("ensure_environment base").returncode == 0
    assert not (checkout.root / ".venv" / "half-written").exists()
    assert checkout.pip_calls() == [".", "."]


def test_an_environment_without_its_python_is_made_anew(checkout):
    checkout.add_python("python3")
    checkout.run("ensure_environment base")
    (checkout.root / ".venv" / "bin" / "python").unlink()
    assert checkout.run("ensure_environment base").returncode == 0
    assert checkout.pip_calls() == [".", "."]


def test_another_python_makes_the_environment_anew(checkout):
    checkout.add_python("python3")
    checkout.run("ensure_environment base")
    other = checkout.add_python("other-python", "other")
    checkout.run("ensure_environment base", PYTHON=str(other))
    assert checkout.pip_calls() == [".", "."]


def test_a_moved_checkout_makes_the_environment_anew(checkout):
    checkout.add_python("python3")
    checkout.run("ensure_environment base")
    checkout.root = checkout.root.rename(checkout.root.parent / "moved")
    checkout.run("ensure_environment base")
    assert checkout.pip_calls() == [".", "."]


def test_an_environment_of_somebody_else_is_used(checkout):
    checkout.add_python("python3")
    (checkout.root / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(checkout.programs / "python3", checkout.root / ".venv" / "bin" / "python")
    (checkout.root / ".venv" / "mine").touch()
    assert checkout.run("ensure_environment base").returncode == 0
    assert (checkout.root / ".venv" / "mine").exists()


def test_a_folder_of_somebody_else_is_not_deleted(checkout):
    checkout.add_python("python3")
    (checkout.root / ".venv").mkdir()
    (checkout.root / ".venv" / "mine").touch()
    completed = checkout.run("ensure_environment base")
    assert completed.returncode == 1
    assert "was not made by this script" in completed.stderr
    assert (checkout.root / ".venv" / "mine").exists()


def test_quickstart_refuses_unknown_arguments_before_any_work(checkout):
    completed = subprocess.run(
        ["bash", checkout.root / "scripts" / "quickstart.sh", "--frsh"],
        capture_output=True,
        text=True,
    )
    assert completed.returncode == 1
    assert completed.stderr == "ERROR: Unknown argument --frsh. The only one is --fresh.\n"
    assert not (checkout.root / ".venv").exists()


def unigram_loss(folder: pathlib.Path) -> float:
    """The masked-LM loss of guessing each token as often as it is masked in training (add one)."""
    vocab_size = len((folder / "vocab.txt").read_text(encoding="utf-8").splitlines())
    labels = {
        name: [
            label
            for record in read_records(str(folder / f"{name}.tfrecord"))
            for label in decode_example(record)["masked_lm_ids"]
            if label
        ]
        for name in ("train", "heldout")
    }
    counts = collections.Counter(labels["train"])
    total = len(labels["train"]) + vocab_size
    losses = [-math.log((counts[label] + 1) / total) for label in labels["heldout"]]
    return sum(losses) / len(losses)


@pytest.mark.slow
def test_quickstart_from_nothing_and_a_second_time_without_network(repository, tmp_path):
    root = tmp_path / "check out"
    ignored = shutil.ignore_patterns(".git", ".venv", "out", "build", "*.egg-info", "tests")
    shutil.copytree(repository, root, ignore=ignored)
    command = ["bash", root / "scripts" / "quickstart.sh"]
    environment = {**os.environ, "HOME": str(tmp_path), "PYTHON": sys.executable}

    first = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True)
    assert first.returncode == 0, first.stderr
    made = root / "out" / "quickstart"
    assert "encyclopedia" in first.stdout
    texts = [(made / "corpus" / name).read_text() for name in ("train.txt", "heldout-train.txt")]
    assert not set(texts[0].splitlines()) & set(texts[1].splitlines()) - {""}
    for tokenizer in ("wordpiece", "deeq"):
        results = (made / tokenizer / "model" / "eval_results.txt").read_text()
        metrics = dict(line.split(" = ") for line in results.splitlines())
        assert float(metrics["masked_lm_loss"]) < unigram_loss(made / tokenizer) - 0.1
        assert f"{tokenizer}/model/model.ckpt-500.index" in first.stdout
        assert f"masked_lm_loss = {metrics['masked_lm_loss']}" in first.stdout
    scores = (made / "scores" / "scores.md").read_text()
    assert scores in first.stdout
    of_models = re.findall(r"^\| (\w+) \| 500 \| ([\d.]+) \|$", scores, re.MULTILINE)
    assert [name for name, _ in of_models] == ["wordpiece", "deeq"]
    # Half of the reviews are good.
    assert min(float(score) for _, score in of_models) > 60
    assert "오늘 날씨가 [MASK] 좋다.\n    1  " in first.stdout

    # No package can be fetched from there, so any call of pip would fail.
    offline = {**environment, "PIP_INDEX_URL": "http://127.0.0.1:9", "PIP_NO_CACHE_DIR": "1"}
    second = subprocess.run(command, env=offline, cwd="/", capture_output=True, text=True)
    assert second.returncode == 0, second.stderr
    assert "pip install" not in second.stdout
    assert second.stderr.count("Training is finished") == 2
    assert "2 cell(s), of which 2 are done already" in (made / "scores.log").read_text()
    assert scores in second.stdout
    assert "All of this is done already" in (made / "corpus.log").read_text()
