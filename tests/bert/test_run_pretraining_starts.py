"""Runs of run_pretraining.py that start from other checkpoints: ours, Google's, Hugging Face's."""

import json
import pathlib
import random
import shutil
import subprocess

import numpy as np
import pytest
from hugging_face_folders import write_folder
from pretraining_runs import assert_refused, run, run_without_tensorflow, values

from deeq_bert.bert.checkpoint_bundle import write_bundle
from deeq_bert.bert.config import BertConfig
from deeq_bert.bert.heads import PretrainingModel

WORDS = "bert/embeddings/word_embeddings"
POSITIONS = "bert/embeddings/position_embeddings"
BIASES = "cls/predictions/output_bias"


@pytest.fixture(scope="module")
def config(tiny_config) -> BertConfig:
    return BertConfig.from_json_file(tiny_config)


@pytest.fixture
def flags(sample_records, tiny_config, tmp_path) -> dict[str, object]:
    """Those of one step on the sample into tmp_path/out."""
    return {
        "input_file": sample_records,
        "bert_config_file": tiny_config,
        "output_dir": tmp_path / "out",
        "do_train": True,
        "train_batch_size": 8,
        "num_train_steps": 1,
        "gpus": 0,
    }


@pytest.fixture
def pretrain(flags):
    def pretrain(**given) -> subprocess.CompletedProcess:
        return run(flags | given)

    return pretrain


@pytest.fixture
def refuse(flags, tmp_path):
    """A function that checks that a run is refused before TensorFlow and leaves nothing."""

    def refuse(*parts: str, **given) -> None:
        folder = tmp_path / "modules"
        folder.mkdir()
        assert_refused(run_without_tensorflow(flags | given, folder), *parts)
        assert not (tmp_path / "out").exists()

    return refuse


def weights(config: BertConfig, **sizes: int) -> dict[str, np.ndarray]:
    """Random weights of a model, some of whose sizes may be others."""
    other = BertConfig(**{**config.to_dict(), **sizes})
    model = PretrainingModel(other, seed=1)
    generator = np.random.default_rng(2)
    return {
        name: generator.normal(size=variable.shape).astype(np.float32)
        for name, variable in model.variables.items()
    }


@pytest.fixture
def google_folder(config, own, tmp_path):
    """A function that writes weights as Google's archives have them; returns the prefix."""

    def write(variables: dict[str, np.ndarray], **sizes: int) -> pathlib.Path:
        folder = tmp_path / "google"
        folder.mkdir()
        write_bundle(str(folder / "bert_model.ckpt"), 1_000_000, variables, {})
        shutil.copy(own / "vocab.txt", folder)
        (folder / "bert_config.json").write_text(json.dumps(config.to_dict() | sizes))
        return folder / "bert_model.ckpt"

    return write


@pytest.fixture
def old_vocabulary(own) -> list[str]:
    """What another model knows: special tokens, and two thirds of the others in other places."""
    tokens = (own / "vocab.txt").read_text().splitlines()
    others = random.Random(3).sample(tokens[5:], 600)
    return [*tokens[:5], *others]


@pytest.fixture
def hugging_face_folder(config, old_vocabulary, tmp_path):
    """A folder of transformers whose vocabulary is another than that of the records."""
    variables = weights(config, vocab_size=len(old_vocabulary))
    folder = write_folder(
        tmp_path / "hugging face", variables, config, vocab_size=len(old_vocabulary)
    )
    path = pathlib.Path(folder) / "vocab.txt"
    path.write_text("".join(f"{token}\n" for token in old_vocabulary))
    return path.parent, variables


def test_googles_weights_are_taken_with_fewer_positions_than_the_model_has(
    pretrain, google_folder, config, tmp_path
):
    there = weights(config, max_position_embeddings=64)
    prefix = google_folder(there, max_position_embeddings=64)

    completed = pretrain(init_checkpoint=prefix)

    assert completed.returncode == 0, completed.stderr
    assert "bert/pooler/dense/bias, shape = (16,), *INIT_FROM_CKPT*" in completed.stderr
    assert "positions 64 to 127 start from their initial values" in completed.stderr
    here = values(tmp_path / "out", 0)
    np.testing.assert_array_equal(here[POSITIONS][:64], there[POSITIONS])
    assert here[POSITIONS][64:].any()
    for name in set(there) - {POSITIONS}:
        np.testing.assert_array_equal(here[name], there[name], err_msg=name)
    assert here["global_step"] == 0
    assert not any(here[name].any() for name in here if name.endswith("/adam_m"))


def test_rows_of_another_vocabulary_are_matched_by_token(
    pretrain, hugging_face_folder, old_vocabulary, own, tmp_path
):
    folder, there = hugging_face_folder

    completed = pretrain(init_checkpoint=folder, do_eval=True, max_eval_steps=1)

    assert completed.returncode == 0, completed.stderr
    assert "Vocabulary of 900 tokens: 605 keep their embeddings" in completed.stderr
    here = values(tmp_path / "out", 0)
    tokens = (own / "vocab.txt").read_text().splitlines()
    old_rows = {token: row for row, token in enumerate(old_vocabulary)}
    kept = [row for row, token in enumerate(tokens) if token in old_rows]
    sources = [old_rows[tokens[row]] for row in kept]
    for name in (WORDS, BIASES):
        np.testing.assert_array_equal(here[name][kept], there[name][sources])
    name = "bert/encoder/layer_1/output/dense/kernel"
    np.testing.assert_array_equal(here[name], there[name])


@pytest.mark.slow
def test_a_run_and_an_evaluation_start_from_a_checkpoint_of_ours(pretrain, config, tmp_path):
    there = weights(config)
    folder = tmp_path / "ours"
    folder.mkdir()
    write_bundle(str(folder / "model.ckpt-5"), 5, there, {"examples": 40, "phase": 0})
    (folder / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-5"\n')

    trained = pretrain(init_checkpoint=folder)
    again = pretrain(init_checkpoint="nosuch", num_train_steps=2)
    evaluated = pretrain(
        init_checkpoint=folder / "model.ckpt-5",
        do_train=False,
        do_eval=True,
        max_eval_steps=1,
        output_dir=tmp_path / "evaluated",
    )

    assert trained.returncode == 0, trained.stderr
    np.testing.assert_array_equal(values(tmp_path / "out", 0)[WORDS], there[WORDS])
    # Where a run goes on, it has no more use for what it started from.
    assert again.returncode == 0, again.stderr
    assert "--init_checkpoint is not used" in again.stderr
    assert evaluated.returncode == 0, evaluated.stderr
    results = (tmp_path / "evaluated" / "eval_results.txt").read_text()
    assert results.startswith("global_step = 0\n")


def test_another_size_is_refused(refuse, google_folder, config):
    prefix = google_folder({WORDS: np.zeros([900, 24])}, hidden_size=24)

    refuse("hidden_size is 24 there and 16 here", init_checkpoint=prefix)


def test_other_rows_without_a_vocabulary_are_refused(refuse, hugging_face_folder):
    folder, _ = hugging_face_folder
    (folder / "vocab.txt").unlink()

    refuse("has 605 word embeddings", "Give --init_vocab_file", init_checkpoint=folder)


def test_weights_in_a_form_that_can_run_code_are_refused(refuse, config, tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert", **config.to_dict()}))

    refuse("pytorch_model.bin", "save_pretrained", init_checkpoint=tmp_path)


@pytest.mark.parametrize(
    ("missing", "part"), [(".index", "there is no"), (".data-00000-of-00001", "with the values")]
)
def test_half_a_checkpoint_is_refused(refuse, google_folder, missing, part):
    prefix = google_folder({WORDS: np.zeros([900, 16])})
    pathlib.Path(f"{prefix}{missing}").unlink()

    refuse(str(prefix), part, init_checkpoint=prefix)


def test_a_checkpoint_that_is_cut_off_is_refused_before_a_step(
    pretrain, google_folder, config, tmp_path
):
    prefix = google_folder(weights(config))
    path = pathlib.Path(f"{prefix}.data-00000-of-00001")
    path.write_bytes(path.read_bytes()[:20_000])

    assert_refused(pretrain(init_checkpoint=prefix), str(prefix))
    assert not list(tmp_path.glob("out/model*"))


def test_a_vocabulary_that_is_not_there_is_refused(refuse, google_folder, config):
    prefix = google_folder({WORDS: np.zeros([900, 16])})

    refuse("nosuch", init_checkpoint=prefix, init_vocab_file="nosuch")
