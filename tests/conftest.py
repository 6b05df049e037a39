"""Fixtures: where the golden data stands."""

import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATA = ROOT / "tests" / "data"


@pytest.fixture
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


@pytest.fixture
def golden_model() -> pathlib.Path:
    """A tiny random model as a checkpoint, its outputs and its gradients."""
    return DATA / "model"


@pytest.fixture
def golden_optimization() -> pathlib.Path:
    """Learning rates, and 60 training steps with their batches, losses and weights."""
    return DATA / "optimization"
