"""What an --init_checkpoint is, and whether it fits: all that can be told without TensorFlow."""

import glob
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from deeq_bert.bert.config import BertConfig
from deeq_bert.bert.hf_mapping import ACTIVATIONS, WORD_EMBEDDINGS
from deeq_bert.bert.hf_weights import (
    CONFIG_FILE,
    INDEX_FILE,
    OTHER_WEIGHTS,
    WEIGHTS_FILE,
    HuggingFaceWeights,
    read_json_object,
)
from deeq_bert.tokenizers.errors import InputError

# Beside a checkpoint of Google's, in the archives it was published in.
_GOOGLE_CONFIG_FILE = "bert_config.json"
_STATE_FILE = "checkpoint"
# The file is a few lines for each checkpoint that is kept.
_MAX_STATE_BYTES = 1024 * 1024
_LATEST = re.compile(r'^\s*model_checkpoint_path:\s*"([^"\\]+)"', re.MULTILINE)

_SIZES = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "type_vocab_size",
)


def check_init_checkpoint(
    init_checkpoint: str,
    config: BertConfig,
    vocabulary: Sequence[str] | None = None,
    init_vocabulary: Sequence[str] | None = None,
) -> None:
    """Checks that a run can start from a checkpoint.

    The weights of a Hugging Face folder are looked at, those of other checkpoints only
    `initialization.initialize` can read; their sizes are checked by a bert_config.json beside them.

    Args:
      init_checkpoint: The prefix of a checkpoint, a folder with a file `checkpoint`, or a Hugging
        Face folder.
      config: The model's.
      vocabulary: The one the run is to have, by id; None where it is not known.
      init_vocabulary: The one of the checkpoint, likewise.

    Raises:
      InputError: There is no such checkpoint, or it is another kind of model, or its sizes differ.
    """
    if is_hugging_face(init_checkpoint):
        path = os.path.join(init_checkpoint, CONFIG_FILE)
        theirs = read_json_object(path)
        _check_is_bert(path, theirs)
        # Where transformers' default is not Google's.
        _check_sizes(path, {"type_vocab_size": 2, **theirs}, config)
        weights = HuggingFaceWeights(init_checkpoint)
        if WORD_EMBEDDINGS not in weights.shapes:
            raise InputError(
                f"--init_checkpoint={init_checkpoint} holds no bert.embeddings.word_embeddings."
                "weight; expected the weights of a BERT."
            )
        rows = weights.shapes[WORD_EMBEDDINGS][0]
        check_vocabularies(init_checkpoint, rows, config.vocab_size, vocabulary, init_vocabulary)
        return
    prefix = find_prefix(init_checkpoint)
    path = os.path.join(os.path.dirname(prefix), _GOOGLE_CONFIG_FILE)
    if os.path.isfile(path):
        theirs = read_json_object(path)
        _check_sizes(path, theirs, config)
        rows = theirs.get("vocab_size")
        if type(rows) is int:
            check_vocabularies(
                init_checkpoint, rows, config.vocab_size, vocabulary, init_vocabulary
            )


def is_hugging_face(init_checkpoint: str) -> bool:
    """Whether a path is a Hugging Face folder whose weights can be read.

    Raises:
      InputError: It is such a folder, but its weights are in another format or config.json misses.
    """
    if not os.path.isdir(init_checkpoint) or _has(init_checkpoint, _STATE_FILE):
        return False
    if _has(init_checkpoint, WEIGHTS_FILE) or _has(init_checkpoint, INDEX_FILE):
        if not _has(init_checkpoint, CONFIG_FILE):
            raise InputError(
                f"--init_checkpoint={init_checkpoint} has {WEIGHTS_FILE} but no {CONFIG_FILE}, "
                "which says what model it is. Put the config of the model there."
            )
        return True
    others = [name for name in OTHER_WEIGHTS if _has(init_checkpoint, name)]
    if others:
        raise InputError(
            f"--init_checkpoint={init_checkpoint} has its weights in {others[0]}, which is not "
            "read, since such files can run code or need other libraries. Convert them where "
            "transformers is installed, with "
            "AutoModelForPreTraining.from_pretrained(FOLDER).save_pretrained(NEW_FOLDER, "
            "safe_serialization=True)."
        )
    return False


def check_vocabularies(
    init_checkpoint: str,
    rows_there: int,
    rows_here: int,
    vocabulary: Sequence[str] | None,
    init_vocabulary: Sequence[str] | None,
) -> None:
    """Checks that every row of the word embeddings can be told a value.

    Args:
      init_checkpoint: What the checkpoint is called in messages.
      rows_there: Rows of its word embeddings.
      rows_here: Rows of the model's, its vocab_size.
      vocabulary: The one the run is to have, by id; None where it is not known.
      init_vocabulary: The one of the checkpoint, likewise.

    Raises:
      InputError: A vocabulary has more tokens than there are rows; or the rows differ and a
        vocabulary is not known.
    """
    if init_vocabulary is not None and len(init_vocabulary) > rows_there:
        raise InputError(
            f"--init_vocab_file has {len(init_vocabulary)} tokens, but --init_checkpoint="
            f"{init_checkpoint} has {rows_there} word embeddings. Give the vocabulary it was "
            "trained with as --init_vocab_file."
        )
    if vocabulary is not None and len(vocabulary) > rows_here:
        raise InputError(
            f"The vocabulary of the records has {len(vocabulary)} tokens, but vocab_size is "
            f"{rows_here} in --bert_config_file. Set it to {len(vocabulary)} there."
        )
    unknown = [
        f"{flag}, the vocabulary of {whose}"
        for tokens, flag, whose in (
            (init_vocabulary, "--init_vocab_file", "the --init_checkpoint"),
            (vocabulary, "--vocab_file", "the records"),
        )
        if tokens is None
    ]
    if rows_there != rows_here and unknown:
        raise InputError(
            f"--init_checkpoint={init_checkpoint} has {rows_there} word embeddings, and vocab_size "
            f"is {rows_here} in --bert_config_file. Give {' and '.join(unknown)}, so that each "
            "token finds its embedding; or the config the checkpoint was trained with."
        )


def find_prefix(init_checkpoint: str) -> str:
    """Returns the prefix of a checkpoint in Google's format, after a look whether it is there.

    Args:
      init_checkpoint: The prefix, or a folder whose file `checkpoint` names the last one.

    Raises:
      InputError: It is not there.
    """
    prefix = init_checkpoint.removesuffix(".index")
    if os.path.isdir(init_checkpoint):
        prefix = _latest_in(init_checkpoint)
    elif init_checkpoint.endswith((".safetensors", ".bin", ".h5")):
        raise InputError(
            f"--init_checkpoint={init_checkpoint} names a file of weights; give the folder it is "
            f"in, which has the {CONFIG_FILE}, too."
        )
    if not os.path.isfile(f"{prefix}.index"):
        raise InputError(
            f"--init_checkpoint={init_checkpoint}: there is no {prefix}.index. Give the part of "
            "its file names before `.index`, as in out/model.ckpt-1000, or a folder with "
            f"{WEIGHTS_FILE} and {CONFIG_FILE}."
        )
    if not glob.glob(f"{glob.escape(prefix)}.data-*"):
        raise InputError(
            f"--init_checkpoint={init_checkpoint}: {prefix}.index is there, but no {prefix}.data-* "
            "with the values. Copy that, too."
        )
    return prefix


def _latest_in(folder: str) -> str:
    path = os.path.join(folder, _STATE_FILE)
    if not os.path.isfile(path):
        prefixes = sorted(glob.glob(os.path.join(glob.escape(folder), "*.index")))
        advice = (
            f"Name one of its checkpoints, as in {prefixes[-1].removesuffix('.index')}."
            if prefixes
            else f"Expected a file `{_STATE_FILE}`, or {WEIGHTS_FILE} and {CONFIG_FILE}."
        )
        raise InputError(f"--init_checkpoint={folder} does not say which weights to take. {advice}")
    try:
        with open(path, "rb") as file:
            match = _LATEST.search(file.read(_MAX_STATE_BYTES).decode("utf-8", "replace"))
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error
    if match is None:
        raise InputError(
            f"{path} does not list checkpoints; expected a line such as "
            'model_checkpoint_path: "model.ckpt-1000".'
        )
    return os.path.join(folder, match[1])


def _check_is_bert(path: str, theirs: Mapping[str, Any]) -> None:
    expected = {"model_type": "bert", "position_embedding_type": "absolute", "is_decoder": False}
    for name, value in expected.items():
        if theirs.get(name, value) != value:
            raise InputError(
                f"{path} is of another kind of model: {name} is {_show(theirs[name])}, and must be "
                f"{_show(value)}. Choose a BERT that was trained as Google's was."
            )


def _check_sizes(path: str, theirs: Mapping[str, Any], config: BertConfig) -> None:
    """Checks the sizes in a file against those of the model.

    Raises:
      InputError: Some differ; names both values of each.
    """
    defaults = BertConfig(vocab_size=1).to_dict()
    differing = []
    for name in (*_SIZES, "hidden_act"):
        there, here = theirs.get(name, defaults[name]), getattr(config, name)
        if name == "hidden_act":
            same = _activation(there) == _activation(here)
        else:
            same = type(there) is int and there == here
        if not same:
            differing.append(f"{name} is {_show(there)} there and {_show(here)} here")
    if differing:
        raise InputError(
            f"The model of {path} is not the one to be trained: {'; '.join(differing)}. Write its "
            "values into --bert_config_file, or choose another --init_checkpoint."
        )


def _activation(name: Any) -> str:
    lowered = name.lower() if isinstance(name, str) else _show(name) if name else ""
    return ACTIVATIONS.get(lowered, lowered) or "linear"


def _has(folder: str, name: str) -> bool:
    return os.path.isfile(os.path.join(folder, name))


def _show(value: Any) -> str:
    # A message stays readable whatever a file puts in the place of a number.
    return repr(value)[:60]
