"""What a folder with a model holds: which checkpoint, what sizes, and how its text is cut.

Folders of run_pretraining, of Google's releases and of Hugging Face are all such. Nothing here
needs TensorFlow.
"""

import dataclasses
import glob
import os
import re
from typing import Any

from deeq_bert.bert.config import BertConfig
from deeq_bert.bert.hf_mapping import ACTIVATIONS
from deeq_bert.bert.hf_weights import CONFIG_FILE, read_json_object
from deeq_bert.bert.init_checkpoint import find_prefix, is_hugging_face
from deeq_bert.tokenizers.contract import FILE_NAME, read_contract
from deeq_bert.tokenizers.errors import InputError

BERT_CONFIG_FILE = "bert_config.json"
# Where runs have the best of their weights.
BEST_FOLDER = "best"
_VOCABULARY_FILE = "vocab.txt"
# Runs write the one, and Google's releases have the other.
_STEP = re.compile(r"model\.ckpt-(\d{1,18})")
_RELEASE_CHECKPOINT = "bert_model.ckpt"


@dataclasses.dataclass(frozen=True)
class ModelFolder:
    """A model with all that is needed to use it.

    Attributes:
      folder: Where the config and the vocabulary are.
      checkpoint: What `initialization.initialize` takes: the prefix of a checkpoint, or the folder
        itself where it is Hugging Face's.
      step: The updates behind the weights, by the name of the checkpoint; None where that does not
        tell.
      config: The sizes.
      vocab_file: The vocabulary, a token a line.
      tokenizer: The name of the tokenizer; wordpiece where nothing tells another.
      do_lower_case: Whether it lower-cases; None where nothing tells.
      deeq_compat: Whether it repeats the quirks of the first deeq tokenizer.
      contract: The contract of the vocabulary, None for a model from elsewhere.
      is_hugging_face: Whether the weights are in Hugging Face's format.
    """

    folder: str
    checkpoint: str
    step: int | None
    config: BertConfig
    vocab_file: str
    tokenizer: str
    do_lower_case: bool | None
    deeq_compat: bool
    contract: dict[str, Any] | None
    is_hugging_face: bool


def open_model(path: str) -> ModelFolder:
    """Finds out what a model is.

    Args:
      path: The prefix of a checkpoint; or a folder, of which the last checkpoint is taken.

    Raises:
      InputError: There is no model, or a part of it is missing or cannot be read.
    """
    if not os.path.isdir(path) and not glob.glob(f"{glob.escape(path)}*"):
        raise InputError(
            f"There is no model at {path}. Expected a folder with a checkpoint, {BERT_CONFIG_FILE} "
            f"and {_VOCABULARY_FILE}; or the prefix of a checkpoint in one."
        )
    folder = _home(path if os.path.isdir(path) else os.path.dirname(path) or ".")
    hugging_face = os.path.isdir(path) and is_hugging_face(path)
    config = _hugging_face_config(folder) if hugging_face else _google_config(folder)
    checkpoint = folder if hugging_face else _checkpoint(path)
    step = _STEP.fullmatch(os.path.basename(checkpoint))
    contract = read_contract(os.path.join(folder, FILE_NAME))
    known = contract or {}
    lower = known.get("do_lower_case") if contract else _others_lower_case(folder)
    return ModelFolder(
        folder=folder,
        checkpoint=checkpoint,
        step=int(step[1]) if step and not hugging_face else None,
        config=config,
        vocab_file=_vocabulary(folder, known.get("vocab_file")),
        tokenizer=str(known.get("tokenizer", "wordpiece")),
        do_lower_case=lower if isinstance(lower, bool) else None,
        deeq_compat=known.get("deeq_compat") is True,
        contract=contract,
        is_hugging_face=hugging_face,
    )


def list_checkpoints(folder: str) -> list[tuple[int, str]]:
    """Returns the steps and prefixes of the checkpoints a run has left, in order of the steps."""
    found = []
    for index in glob.glob(os.path.join(glob.escape(folder), "model.ckpt-*.index")):
        prefix = index.removesuffix(".index")
        match = _STEP.fullmatch(os.path.basename(prefix))
        if match and glob.glob(f"{glob.escape(prefix)}.data-*"):
            found.append((int(match[1]), prefix))
    return sorted(found)


def _home(folder: str) -> str:
    """Returns where the config and the vocabulary of a checkpoint in a folder are.

    Runs keep their best weights in a folder `best`, which has nothing else.
    """
    absolute = os.path.abspath(folder)
    if os.path.basename(absolute) == BEST_FOLDER and not _has_config(folder):
        parent = os.path.dirname(absolute)
        if _has_config(parent):
            return parent
    return folder


def _has_config(folder: str) -> bool:
    return os.path.isfile(os.path.join(folder, BERT_CONFIG_FILE))


def _checkpoint(path: str) -> str:
    if os.path.isdir(path) and not os.path.isfile(os.path.join(path, "checkpoint")):
        prefixes = [prefix for _, prefix in list_checkpoints(path)]
        release = os.path.join(path, _RELEASE_CHECKPOINT)
        if os.path.isfile(f"{release}.index"):
            prefixes.append(release)
        if prefixes:
            return find_prefix(prefixes[-1])
    return find_prefix(path)


def _google_config(folder: str) -> BertConfig:
    path = os.path.join(folder, BERT_CONFIG_FILE)
    if not os.path.isfile(path):
        raise InputError(
            f"There is no {path}, which says what model it is. Put the bert_config.json there that "
            "it was trained with."
        )
    return BertConfig.from_json_file(path)


def _hugging_face_config(folder: str) -> BertConfig:
    path = os.path.join(folder, CONFIG_FILE)
    fields = read_json_object(path)
    activation = fields.get("hidden_act", "gelu")
    known = ACTIVATIONS.get(activation) if isinstance(activation, str) else None
    try:
        return BertConfig.from_dict(
            # Where transformers' default is not Google's.
            {"type_vocab_size": 2, **fields, "hidden_act": known or activation}
        ).without_other_fields()
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _vocabulary(folder: str, named: object) -> str:
    names = [os.path.basename(named)] if isinstance(named, str) else []
    for name in (*names, _VOCABULARY_FILE):
        path = os.path.join(folder, name)
        if name and os.path.isfile(path):
            return path
    raise InputError(
        f"There is no {os.path.join(folder, (*names, _VOCABULARY_FILE)[0])}. Put the vocabulary "
        "there that the model was trained with."
    )


def _others_lower_case(folder: str) -> object:
    """Returns what another program's tokenizer_config.json tells of lower-casing."""
    path = os.path.join(folder, FILE_NAME)
    return read_json_object(path).get("do_lower_case") if os.path.isfile(path) else None
