"""The values a run starts from: those of its last checkpoint, or of somebody else's."""

from collections.abc import Mapping

import tensorflow as tf
from absl import logging

from deeq_bert.bert.checkpoint import Checkpoint, read_checkpoint_state
from deeq_bert.bert.modeling import get_assignment_map_from_checkpoint
from deeq_bert.tokenizers.errors import InputError


def restore(path: str, variables: Mapping[str, tf.Variable]) -> tuple[int, dict]:
    """Gives all `variables` their values in a checkpoint.

    Args:
      path: The prefix of the checkpoint.
      variables: Variables by their names in it.

    Returns:
      The number of updates behind the values, and the resume state that was saved with them.

    Raises:
      InputError: The checkpoint cannot be read or does not fit.
    """
    saved = Checkpoint(path)
    saved.restore(variables)
    return saved.global_step(), saved.resume_state()


def initialize(init_checkpoint: str, variables: Mapping[str, tf.Variable]) -> list[str]:
    """Gives those of `variables` that a checkpoint holds their values in it, and logs which.

    Args:
      init_checkpoint: A prefix, or a folder with a `checkpoint` file.
      variables: Variables by name, the optimizer's not among them.

    Returns:
      The names that were found.

    Raises:
      InputError: The checkpoint cannot be read, holds none of them, or a shape differs.
    """
    state = read_checkpoint_state(init_checkpoint)
    path = state.model_checkpoint_path if state else init_checkpoint
    names, _ = get_assignment_map_from_checkpoint(variables.values(), path)
    if not names:
        raise InputError(
            f"--init_checkpoint={init_checkpoint} holds none of the model's variables; expected a "
            "BERT checkpoint, with names such as bert/embeddings/word_embeddings."
        )
    Checkpoint(path).restore({name: variables[name] for name in names})
    logging.info("**** Trainable Variables ****")
    for name, variable in variables.items():
        origin = ", *INIT_FROM_CKPT*" if name in names else ""
        logging.info("  name = %s, shape = %s%s", name, tuple(variable.shape), origin)
    return list(names)
