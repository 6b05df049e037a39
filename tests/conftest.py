"""Fixtures: where the golden data stands."""

import json
import pathlib
import subprocess
import sys

import pytest
from script_server import SERVER

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATA = ROOT / "tests" / "data"
# Most of what their short runs take is the import of it.
WITH_TENSORFLOW = (
    *("run_pretraining", "run_classifier", "run_squad", "extract_features"),
    *("fill_mask", "export"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the file that takes longest first: at the end, other processes would wait for it."""
    items.sort(key=lambda item: item.path.name != "test_readme.py")


@pytest.fixture(scope="session")
def repository() -> pathlib.Path:
    """The root of the checkout."""
    return ROOT


@pytest.fixture
def own() -> pathlib.Path:
    """Tokens and records Google's scripts made of the project's own sample text."""
    return DATA / "own"


@pytest.fixture
def golden() -> pathlib.Path:
    """All outputs of Google's scripts, among them those over third-party text (not in git)."""
    folder = ROOT.parent / "shared" / "golden"
    if not folder.is_dir():
        pytest.skip(f"no golden data at {folder}: it holds third-party text and is not in git")
    return folder


def _unpack(archive: str, folder: pathlib.Path) -> pathlib.Path:
    source = ROOT.parent / "shared" / "data" / archive
    if not source.is_file():
        pytest.skip(f"no {source}: it holds third-party text and is not in git")
    subprocess.run(["tar", "-xJf", source, "-C", folder], check=True)
    return folder


@pytest.fixture(scope="session")
def real_corpus(tmp_path_factory) -> pathlib.Path:
    """Real Korean text in the formats it was published in, a folder a source (not in git)."""
    return _unpack("corpus.tar.xz", tmp_path_factory.mktemp("real"))


@pytest.fixture(scope="session")
def real_formats(tmp_path_factory) -> pathlib.Path:
    """Files in the formats of NIKL, Sejong, AI-Hub and MediaWiki (third-party text, not in git)."""
    return _unpack("fixtures.tar.xz", tmp_path_factory.mktemp("formats")) / "fixtures"


@pytest.fixture
def golden_model() -> pathlib.Path:
    """A tiny random model as a checkpoint, its outputs and its gradients."""
    return DATA / "model"


@pytest.fixture
def golden_optimization() -> pathlib.Path:
    """Learning rates, and 60 training steps with their batches, losses and weights."""
    return DATA / "optimization"


@pytest.fixture(scope="session")
def run_script():
    """A function that runs a script of the project as a user does, in a process of its own."""

    def run(script: str, *flags: str, **keywords) -> subprocess.CompletedProcess:
        if pathlib.Path(script).stem in WITH_TENSORFLOW and not keywords:
            return SERVER.run(ROOT / script, *flags)
        return subprocess.run(
            [sys.executable, ROOT / script, *map(str, flags)],
            capture_output=True,
            text=True,
            **keywords,
        )

    return run


@pytest.fixture(scope="session")
def sample_records(run_script, tmp_path_factory) -> pathlib.Path:
    """242 records made of the sample text: 128 tokens, 20 predictions, a vocabulary of 900."""
    path = tmp_path_factory.mktemp("records") / "sample.tfrecord"
    completed = run_script(
        "bert/create_pretraining_data.py",
        f"--input_file={DATA / 'own' / 'sample.txt'}",
        f"--vocab_file={DATA / 'own' / 'vocab.txt'}",
        "--do_lower_case=False",
        f"--output_file={path}",
    )
    assert completed.returncode == 0, completed.stderr
    return path


@pytest.fixture(scope="session")
def tiny_config(tmp_path_factory) -> pathlib.Path:
    """The configuration of a model for the sample vocabulary that trains in moments."""
    path = tmp_path_factory.mktemp("config") / "bert_config.json"
    fields = {
        "vocab_size": 900,
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 128,
        "type_vocab_size": 2,
    }
    path.write_text(json.dumps(fields))
    return path
