"""A model as Google released its own: the weights alone, by name, with config and vocabulary."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from deeq_bert.bert.checkpoint_bundle import reason_of
from deeq_bert.bert.model_folder import BERT_CONFIG_FILE, ModelFolder
from deeq_bert.tokenizers.contract import FILE_NAME, write_contract_file
from deeq_bert.tokenizers.errors import InputError

# The names in Google's archives, in which there is no file `checkpoint`.
CHECKPOINT = "bert_model.ckpt"
VOCABULARY_FILE = "vocab.txt"


def write_google(
    model: ModelFolder,
    weights: Mapping[str, np.ndarray],
    vocabulary: bytes,
    contract: Mapping[str, Any],
    folder: str,
) -> list[str]:
    """Writes bert_model.ckpt.*, bert_config.json, vocab.txt and tokenizer_config.json.

    Args:
      model: Whose weights they are.
      weights: By name; see `model_weights.read_weights`.
      vocabulary: The content of the vocabulary file.
      contract: That of the vocabulary.
      folder: An empty folder.

    Returns:
      What a user is to know of it.

    Raises:
      InputError: The checkpoint cannot be written.
    """
    prefix = os.path.join(folder, CHECKPOINT)
    write_plain_checkpoint(prefix, weights)
    with open(os.path.join(folder, BERT_CONFIG_FILE), "w", encoding="utf-8") as file:
        file.write(model.config.to_json_string())
    with open(os.path.join(folder, VOCABULARY_FILE), "wb") as file:
        file.write(vocabulary)
    write_contract_file(
        os.path.join(folder, FILE_NAME), {**contract, "vocab_file": VOCABULARY_FILE}
    )
    return [f"{len(weights)} variables. Scripts take it as --init_checkpoint=.../{CHECKPOINT}."]


def write_plain_checkpoint(prefix: str, weights: Mapping[str, np.ndarray]) -> None:
    """Writes the values by name, and nothing else.

    Raises:
      InputError: It cannot be written.
    """
    names = sorted(weights)
    try:
        with tf.device("/CPU:0"):
            tf.raw_ops.SaveV2(
                prefix=prefix,
                tensor_names=names,
                shape_and_slices=[""] * len(names),
                tensors=[tf.constant(weights[name]) for name in names],
            )
    except (OSError, tf.errors.OpError) as error:
        raise InputError(
            f"Cannot write the checkpoint: {reason_of(error)} Free some space or choose another "
            "--output_dir, and run again."
        ) from error
