"""Folders of tiny models with random weights, as runs of this project leave them."""

import json
import pathlib
import zlib

import numpy as np
import tensorflow as tf

from deeq_bert.bert import heads, task_heads
from deeq_bert.bert.checkpoint_bundle import write_bundle
from deeq_bert.bert.config import BertConfig
from deeq_bert.tokenizers.contract import make_contract, write_contract
from deeq_bert.tokenizers.full_tokenizer import FullTokenizer

STEP = 7


def config_for(vocab_size: int) -> BertConfig:
    return BertConfig(
        vocab_size=vocab_size,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        type_vocab_size=2,
    )


def pretraining_model(config: BertConfig) -> heads.PretrainingModel:
    return with_random_values(heads.PretrainingModel(config, seed=1))


def classifier(config: BertConfig, num_labels: int = 3) -> task_heads.ClassifierModel:
    model = task_heads.ClassifierModel(config, num_labels, 1, is_regression=num_labels == 1)
    return with_random_values(model)


def with_random_values(model: tf.Module) -> tf.Module:
    """Gives every variable values of its own, so that none is taken for another."""
    for name, variable in model.variables.items():
        chance = np.random.default_rng(zlib.crc32(name.encode()))
        variable.assign(variable + chance.normal(0, 0.1, variable.shape.as_list()))
    return model


def write_folder(
    folder: pathlib.Path, model: tf.Module, config: BertConfig, vocab_file: pathlib.Path
) -> str:
    """Writes checkpoint, list of checkpoints, config, vocabulary and contract."""
    folder.mkdir(parents=True, exist_ok=True)
    slots = {
        f"{name}/{slot}": tf.zeros_like(variable)
        for name, variable in model.variables.items()
        for slot in ("adam_m", "adam_v")
    }
    write_bundle(str(folder / f"model.ckpt-{STEP}"), STEP, {**model.variables, **slots}, {"a": 1})
    (folder / "checkpoint").write_text(f'model_checkpoint_path: "model.ckpt-{STEP}"\n')
    (folder / "bert_config.json").write_text(config.to_json_string())
    (folder / "vocab.txt").write_bytes(vocab_file.read_bytes())
    tokenizer = FullTokenizer(str(folder / "vocab.txt"), do_lower_case=False)
    write_contract(tokenizer.vocab_file, make_contract("wordpiece", tokenizer))
    return str(folder)


def vocabulary_size(vocab_file: pathlib.Path) -> int:
    return len(vocab_file.read_text("utf-8").splitlines())


def contract_of(folder: str) -> dict:
    return json.loads(pathlib.Path(folder, "tokenizer_config.json").read_text("utf-8"))
