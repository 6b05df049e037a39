"""What is found out about a model by the folder it is in."""

import json
import os
import pathlib
import shutil

import pytest

from deeq_bert.bert.model_folder import list_checkpoints, open_model
from deeq_bert.tokenizers.errors import InputError

CONTRACT = {
    "contract_version": 1,
    "tokenizer": "deeq",
    "deeq_compat": True,
    "vocab_file": "words.txt",
}


@pytest.fixture
def run(tmp_path, golden_model, own) -> pathlib.Path:
    """A folder as run_pretraining leaves it."""
    folder = tmp_path / "run"
    shutil.copytree(golden_model, folder)
    shutil.copyfile(own / "vocab.txt", folder / "vocab.txt")
    return folder


def copy_checkpoint(run: pathlib.Path, target: pathlib.Path, name: str) -> None:
    target.mkdir(exist_ok=True)
    for path in run.glob("model.ckpt-7.*"):
        shutil.copyfile(path, target / path.name.replace("model.ckpt-7", name))


def test_a_run_is_its_last_checkpoint(run):
    copy_checkpoint(run, run, "model.ckpt-3")
    model = open_model(str(run))
    assert (model.checkpoint, model.step) == (str(run / "model.ckpt-7"), 7)
    assert model.config.vocab_size > 0
    assert (model.tokenizer, model.do_lower_case, model.contract) == ("wordpiece", None, None)


def test_a_checkpoint_is_itself(run):
    copy_checkpoint(run, run, "model.ckpt-3")
    model = open_model(str(run / "model.ckpt-3"))
    assert (model.folder, model.step) == (str(run), 3)


def test_the_best_weights_have_their_runs_vocabulary(run):
    copy_checkpoint(run, run / "best", "model.ckpt-3")
    model = open_model(str(run / "best"))
    assert model.checkpoint == str(run / "best" / "model.ckpt-3")
    assert model.vocab_file == str(run / "vocab.txt")


def test_the_contract_tells_the_tokenizer(run):
    (run / "vocab.txt").rename(run / "words.txt")
    (run / "tokenizer_config.json").write_text(json.dumps(CONTRACT))
    model = open_model(str(run))
    assert (model.tokenizer, model.deeq_compat) == ("deeq", True)
    assert model.vocab_file == str(run / "words.txt")


def test_a_release_of_google_has_its_own_name_for_the_checkpoint(run):
    copy_checkpoint(run, run, "bert_model.ckpt")
    for path in [*run.glob("model.ckpt-*"), run / "checkpoint"]:
        path.unlink()
    model = open_model(str(run))
    assert (model.checkpoint, model.step) == (str(run / "bert_model.ckpt"), None)


def test_a_folder_of_hugging_face_is_read_by_its_own_names(tmp_path, own):
    config = {"model_type": "bert", "vocab_size": 900, "hidden_act": "gelu_new"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    shutil.copyfile(own / "vocab.txt", tmp_path / "vocab.txt")
    model = open_model(str(tmp_path))
    assert model.is_hugging_face
    assert (model.checkpoint, model.step) == (str(tmp_path), None)
    assert (model.config.hidden_act, model.config.type_vocab_size) == ("gelu", 2)
    assert model.do_lower_case is False


def test_checkpoints_are_listed_by_their_steps_and_only_whole_ones(run):
    for name in ("model.ckpt-100", "model.ckpt-20", "model.ckpt-30"):
        copy_checkpoint(run, run, name)
    next(run.glob("model.ckpt-30.data-*")).unlink()
    steps = [(step, os.path.basename(prefix)) for step, prefix in list_checkpoints(str(run))]
    assert steps == [(7, "model.ckpt-7"), (20, "model.ckpt-20"), (100, "model.ckpt-100")]


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("bert_config.json", "bert_config.json, which says what model it is"),
        ("vocab.txt", r"vocab\.txt\. Put the vocabulary there"),
        ("model.ckpt-7.index", r"there is no .*model\.ckpt-7\.index"),
    ],
)
def test_what_is_missing_is_named(run, missing, message):
    (run / missing).unlink()
    with pytest.raises(InputError, match=message):
        open_model(str(run))


def test_a_place_without_anything_is_named(tmp_path):
    with pytest.raises(InputError, match="There is no model at .*nothing"):
        open_model(str(tmp_path / "nothing"))
