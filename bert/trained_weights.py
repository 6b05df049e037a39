"""Weights for a model that is used as it is: all of them from a checkpoint, none left random."""

from collections.abc import Mapping

import tensorflow as tf

from deeq_bert.bert import initialization
from deeq_bert.bert.checkpoint_bundle import Checkpoint
from deeq_bert.bert.hf_weights import HuggingFaceWeights
from deeq_bert.bert.init_checkpoint import find_prefix, is_hugging_face
from deeq_bert.tokenizers.errors import InputError

_SHOWN = 3


def load_weights(checkpoint: str, variables: Mapping[str, tf.Variable]) -> None:
    """Gives `variables` their values in a checkpoint.

    Args:
      checkpoint: A prefix, a folder with a `checkpoint` file, or a Hugging Face folder.
      variables: Variables by name.

    Raises:
      InputError: It cannot be read, one of them is not in it, or a shape differs.
    """
    if is_hugging_face(checkpoint):
        shapes = HuggingFaceWeights(checkpoint).shapes
    else:
        checkpoint = find_prefix(checkpoint)
        shapes = Checkpoint(checkpoint).shapes
    missing = [name for name in variables if name not in shapes]
    if missing:
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise InputError(
            f"{checkpoint} lacks {', '.join(missing[:_SHOWN])}{more}, without which this model "
            f"cannot be used here. {_advice(missing)}"
        )
    differing = [
        f"{name} is {shapes[name]} there and {variable.shape.as_list()} by the config"
        for name, variable in variables.items()
        if shapes[name] != variable.shape.as_list()
    ]
    if differing:
        raise InputError(
            f"{checkpoint} does not fit the config: {'; '.join(differing[:_SHOWN])}. Give the "
            "config it was trained with."
        )
    # It also refuses layers that the config lacks, and says what is computed otherwise.
    initialization.initialize(checkpoint, variables)


def _advice(missing: list[str]) -> str:
    if all(name.startswith("cls/predictions/") for name in missing):
        return (
            "It has no head for masked words, as models after fine-tuning and some released ones "
            "have none; choose a checkpoint of pre-training."
        )
    return "Give the config it was trained with, or another checkpoint of a BERT."
