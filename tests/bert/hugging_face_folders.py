"""Hugging Face folders as transformers saves them, made of a model of ours."""

import json
import pathlib
from collections.abc import Mapping

import numpy as np
from safetensors.numpy import save_file

from deeq_bert.bert.config import BertConfig
from deeq_bert.bert.hf_mapping import name_pairs

CONFIG = BertConfig(
    vocab_size=11,
    hidden_size=8,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=16,
    max_position_embeddings=6,
    type_vocab_size=2,
)


def write_folder(
    folder: pathlib.Path, weights: Mapping[str, np.ndarray], config: BertConfig = CONFIG, **fields
) -> str:
    """Writes weights by Google's names, and a config with `fields` changed; returns the folder."""
    pairs = {pair.google: pair for pair in name_pairs(config.num_hidden_layers)}
    tensors = {}
    for name, value in weights.items():
        value = np.asarray(value)
        value = value.T if pairs[name].is_transposed else value
        tensors[pairs[name].hugging_face] = np.ascontiguousarray(value)
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / "model.safetensors")
    config_fields = {"model_type": "bert", **config.to_dict(), **fields}
    (folder / "config.json").write_text(json.dumps(config_fields))
    return str(folder)
