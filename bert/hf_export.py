"""A model as a folder that transformers loads: config.json and model.safetensors, without torch.

The architecture is the one whose heads the checkpoint has; with those of pre-training it is
BertForPreTraining. The output layer of the masked-LM head has no weights of its own, and none are
stored: transformers ties it to the word embeddings, as it does with files of its own.
"""

import json
import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from absl import logging

from deeq_bert.bert import model_weights
from deeq_bert.bert.config import BertConfig
from deeq_bert.bert.hf_mapping import NamePair, name_pairs
from deeq_bert.bert.hf_weights import CONFIG_FILE, WEIGHTS_FILE
from deeq_bert.bert.model_folder import ModelFolder
from deeq_bert.bert.task_heads import BIAS, WEIGHTS
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.vocabulary import PAD

# Ours by what transformers calls the same function.
_ACTIVATIONS = {"gelu": "gelu_new", "relu": "relu", "tanh": "tanh", "linear": "linear"}
_LAYER_NORM_EPSILON = 1e-12
_TASK_PAIRS = (
    NamePair(WEIGHTS, "classifier.weight"),
    NamePair(BIAS, "classifier.bias"),
    NamePair(model_weights.SPAN_WEIGHTS, "qa_outputs.weight"),
    NamePair(model_weights.SPAN_BIAS, "qa_outputs.bias"),
)


def write_hugging_face(
    model: ModelFolder,
    weights: Mapping[str, np.ndarray],
    vocab: Mapping[str, int],
    labels: Sequence[str],
    tokenizer_files: Mapping[str, bytes],
    card: bytes,
    folder: str,
) -> list[str]:
    """Writes config.json, model.safetensors, the tokenizer's files and README.md.

    Args:
      model: Whose weights they are.
      weights: By Google's names; see `model_weights.read_weights`.
      vocab: The id of each token.
      labels: What a classifier's classes are called; empty where that is not known.
      tokenizer_files: The content of each; see `hf_folder.folder_files`.
      card: The content of README.md.
      folder: An empty folder.

    Returns:
      What a user is to know of it.

    Raises:
      InputError: The weights cannot be written.
    """
    architecture = architecture_of(model.config, weights)
    config = config_fields(model.config, architecture, vocab, weights, labels)
    contents = {
        **tokenizer_files,
        "README.md": card,
        CONFIG_FILE: f"{json.dumps(config, indent=2, sort_keys=True)}\n".encode(),
    }
    for name, content in contents.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(content)
    _write_weights(to_tensors(model.config, weights), os.path.join(folder, WEIGHTS_FILE))
    messages = [f"transformers.{architecture}.from_pretrained loads the model."]
    if architecture == "BertModel":
        messages.append("The checkpoint has no heads: the encoder alone is exported.")
    return messages


def architecture_of(config: BertConfig, weights: Collection[str]) -> str:
    """Returns the class of transformers whose heads are those that the weights have."""
    masked_lm = model_weights.has_all(weights, model_weights.masked_lm_names(config))
    next_sentence = model_weights.has_all(weights, model_weights.next_sentence_names(config))
    if masked_lm and next_sentence:
        return "BertForPreTraining"
    if model_weights.has_all(weights, model_weights.CLASSIFIER):
        return "BertForSequenceClassification"
    if model_weights.has_all(weights, model_weights.SPAN):
        return "BertForQuestionAnswering"
    if masked_lm:
        return "BertForMaskedLM"
    return "BertForNextSentencePrediction" if next_sentence else "BertModel"


def config_fields(
    config: BertConfig,
    architecture: str,
    vocab: Mapping[str, int],
    weights: Mapping[str, np.ndarray],
    labels: Sequence[str] = (),
) -> dict[str, Any]:
    """Returns the fields of config.json.

    Args:
      config: Ours.
      architecture: The class that reads it.
      vocab: The id of each token.
      weights: Those of the model.
      labels: What a classifier's classes are called; others than it has are left out.
    """
    activation = (config.hidden_act or "linear").lower()
    fields = {
        **config.without_other_fields().to_dict(),
        "architectures": [architecture],
        "hidden_act": _ACTIVATIONS[activation],
        "layer_norm_eps": _LAYER_NORM_EPSILON,
        "model_type": "bert",
        # Without one, a place in the embeddings is not to be kept for it.
        "pad_token_id": vocab.get(PAD),
        "position_embedding_type": "absolute",
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
    }
    if architecture == "BertForSequenceClassification":
        count = len(weights[BIAS])
        names = list(labels) if len(labels) == count else [f"LABEL_{i}" for i in range(count)]
        fields["id2label"] = {str(i): name for i, name in enumerate(names)}
        fields["label2id"] = {name: i for i, name in enumerate(names)}
        fields["problem_type"] = "regression" if count == 1 else "single_label_classification"
    return fields


def to_tensors(config: BertConfig, weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the tensors of model.safetensors; logs which weights have no name there."""
    pairs = [*name_pairs(config.num_hidden_layers), *_TASK_PAIRS]
    known = {pair.google: pair for pair in pairs}
    lost = [name for name in weights if name not in known]
    if lost:
        logging.warning("Not exported, since transformers has none such: %s.", ", ".join(lost[:8]))
    tensors = {}
    for name, pair in known.items():
        if name in weights:
            value = weights[name].T if pair.is_transposed else weights[name]
            # The package writes the memory as it lies.
            tensors[pair.hugging_face] = np.ascontiguousarray(value, dtype=np.float32)
    return tensors


def _write_weights(tensors: Mapping[str, np.ndarray], path: str) -> None:
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    try:
        # transformers refuses a file that does not say which framework's layout it has.
        save_file(dict(tensors), path, metadata={"format": "pt"})
    except SafetensorError as error:
        raise InputError(
            f"Cannot write {WEIGHTS_FILE}: {str(error)[:200]}. Free some space or choose another "
            "--output_dir, and run again."
        ) from error
