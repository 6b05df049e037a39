"""The weights of a model that is to be exported: what a run needs to go on is not among them."""

import re
from collections.abc import Collection, Mapping

import numpy as np
from absl import logging

from deeq_bert.bert import heads, modeling
from deeq_bert.bert.checkpoint_bundle import GLOBAL_STEP, Checkpoint
from deeq_bert.bert.config import BertConfig
from deeq_bert.bert.hf_weights import HuggingFaceWeights
from deeq_bert.bert.model_folder import ModelFolder
from deeq_bert.bert.task_heads import BIAS, WEIGHTS
from deeq_bert.tokenizers.errors import InputError

SPAN_WEIGHTS, SPAN_BIAS = "cls/squad/output_weights", "cls/squad/output_bias"
CLASSIFIER = (WEIGHTS, BIAS)
SPAN = (SPAN_WEIGHTS, SPAN_BIAS)
POOLER = ("bert/pooler/dense/kernel", "bert/pooler/dense/bias")

_SLOT = re.compile(r"(.+)/adam_[mv]")
_LAYER = re.compile(r"bert/encoder/layer_(\d+)/")
_SHOWN = 4


def read_weights(model: ModelFolder) -> dict[str, np.ndarray]:
    """Reads all variables of a model but the optimizer's and those a run counts with.

    Heads are among them where the checkpoint has them.

    Returns:
      The values by Google's names, in the order of the original's variables; those the model has
      besides come last.

    Raises:
      InputError: The checkpoint cannot be read, lacks a part of the encoder, or is of another
        bert_config.json than the one beside it.
    """
    source = (
        HuggingFaceWeights(model.folder) if model.is_hugging_face else Checkpoint(model.checkpoint)
    )
    if isinstance(source, HuggingFaceWeights):
        _tell_what_is_left(source)
    names = [name for name in source.shapes if not _is_of_the_run(name, source.shapes)]
    specs = known_specs(model.config)
    _check_fits(model, {name: source.shapes[name] for name in names}, specs)
    ordered = [name for name in specs if name in names]
    ordered += sorted(set(names) - set(ordered))
    return {name: source.read(name) for name in ordered}


def known_specs(config: BertConfig) -> dict[str, modeling.VariableSpec]:
    """The variables of the encoder and of the heads of pre-training, by name."""
    return {**modeling.encoder_specs(config), **heads.head_specs(config)}


def masked_lm_names(config: BertConfig) -> list[str]:
    """The names of the variables of the masked-LM head."""
    return [name for name in heads.head_specs(config) if name.startswith("cls/predictions/")]


def next_sentence_names(config: BertConfig) -> list[str]:
    """The names of the variables of the next-sentence head."""
    return [name for name in heads.head_specs(config) if name.startswith("cls/seq_relationship/")]


def has_all(weights: Collection[str], names: Collection[str]) -> bool:
    """Whether all of `names` are among the weights."""
    return set(names) <= set(weights)


def _is_of_the_run(name: str, names: Collection[str]) -> bool:
    slot = _SLOT.fullmatch(name)
    return GLOBAL_STEP in name.split("/") or (slot is not None and slot[1] in names)


def _tell_what_is_left(source: HuggingFaceWeights) -> None:
    if source.skipped:
        shown = ", ".join(source.skipped[:_SHOWN])
        more = f" and {len(source.skipped) - _SHOWN} more" if len(source.skipped) > _SHOWN else ""
        logging.warning("Not exported, since it is no variable of BERT's: %s%s.", shown, more)
    if source.has_own_decoder():
        logging.warning(
            "The output layer of %s has weights of its own. They are left out: in Google's BERT "
            "they are the word embeddings.",
            source.path,
        )


def _check_fits(
    model: ModelFolder,
    shapes: Mapping[str, list[int]],
    specs: Mapping[str, modeling.VariableSpec],
) -> None:
    needed = [name for name in specs if name.startswith(("bert/embeddings/", "bert/encoder/"))]
    problems = [f"{name} is missing" for name in needed if name not in shapes]
    layers = model.config.num_hidden_layers
    for name in sorted(shapes, key=list(specs | shapes).index):
        shape = shapes[name]
        layer = _LAYER.match(name)
        if layer and int(layer[1]) >= layers:
            problems.append(f"it has {name}, and num_hidden_layers is {layers}")
        elif name in specs and list(specs[name].shape) != list(shape):
            problems.append(f"{name} is {list(shape)} there and {list(specs[name].shape)} by it")
    hidden = model.config.hidden_size
    for name, outputs in ((WEIGHTS, None), (SPAN_WEIGHTS, 2)):
        shape = shapes.get(name)
        if shape and (len(shape) != 2 or shape[1] != hidden or outputs not in (None, shape[0])):
            problems.append(f"{name} is {list(shape)}")
    for pair in (CLASSIFIER, SPAN):
        lone = [name for name in pair if name in shapes]
        if len(lone) == 1:
            problems.append(f"it has {lone[0]} alone")
    if problems:
        more = len(problems) - _SHOWN
        raise InputError(
            f"The checkpoint {model.checkpoint} does not fit the configuration in {model.folder}: "
            f"{'; '.join(problems[:_SHOWN])}{f'; and {more} more' if more > 0 else ''}. Put the "
            "configuration there that it was trained with, or choose another --model_dir."
        )
