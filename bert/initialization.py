"""The values a run starts from: those of its last checkpoint, or of somebody else's."""

import os
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import tensorflow as tf
from absl import logging

from deeq_bert.bert import vocabulary_extension
from deeq_bert.bert.checkpoint_bundle import Checkpoint
from deeq_bert.bert.checkpoint_files import read_checkpoint_state
from deeq_bert.bert.hf_mapping import (
    OUTPUT_BIAS,
    POSITION_EMBEDDINGS,
    SAME_ACTIVATIONS,
    WORD_EMBEDDINGS,
)
from deeq_bert.bert.hf_weights import CONFIG_FILE, HuggingFaceWeights, read_json_object
from deeq_bert.bert.init_checkpoint import check_vocabularies, is_hugging_face
from deeq_bert.tokenizers.errors import InputError

# A model without them is another one; heads and pooler may miss, and often do.
_NEEDED = ("bert/embeddings/", "bert/encoder/")
_LAYER_NORM_EPSILON = 1e-12
_SHOWN = 5


def restore(
    path: str, variables: Mapping[str, tf.Variable], optional: Collection[str] = ()
) -> tuple[int, dict]:
    """Gives all `variables` their values in a checkpoint.

    Args:
      path: The prefix of the checkpoint.
      variables: Variables by their names in it.
      optional: Names that it may lack (see `Checkpoint.restore`).

    Returns:
      The number of updates behind the values, and the resume state that was saved with them.

    Raises:
      InputError: The checkpoint cannot be read or does not fit.
    """
    saved = Checkpoint(path)
    saved.restore(variables, optional)
    return saved.global_step(), saved.resume_state()


def initialize(
    init_checkpoint: str,
    variables: Mapping[str, tf.Variable],
    vocabulary: Sequence[str] | None = None,
    init_vocabulary: Sequence[str] | None = None,
) -> list[str]:
    """Gives those of `variables` that a checkpoint holds their values in it, and logs which.

    Heads and pooler that it lacks keep their initial values. Where both vocabularies are known and
    differ, word embeddings and output biases are matched by token (see `vocabulary_extension`).
    Position embeddings are matched from the first on: those the model has no room for are left
    out, and those the checkpoint lacks keep their initial values, to be learned.

    What can be told of its sizes without TensorFlow, `init_checkpoint.check_init_checkpoint` checks
    before, and only that sees the number of attention heads and the activation.

    Args:
      init_checkpoint: A prefix, a folder with a `checkpoint` file, or a Hugging Face folder.
      variables: Variables by name, the optimizer's not among them.
      vocabulary: The tokens of the model by id; None where they are not known.
      init_vocabulary: Those of the checkpoint, likewise.

    Returns:
      The names that were found.

    Raises:
      InputError: The checkpoint cannot be read, holds none of them, lacks a part of the encoder, or
        a shape differs.
    """
    source = _open(init_checkpoint)
    found = [name for name in variables if name in source.shapes]
    _check_names(init_checkpoint, source, variables, found)
    _check_shapes(source, {name: variables[name] for name in found})
    for name in (WORD_EMBEDDINGS, OUTPUT_BIAS):
        if name in found:
            rows_there, rows_here = source.shapes[name][0], variables[name].shape[0]
            check_vocabularies(init_checkpoint, rows_there, rows_here, vocabulary, init_vocabulary)
    sources = _row_sources(source, variables, vocabulary, init_vocabulary)
    for name in found:
        value = source.read(name)
        if name in (WORD_EMBEDDINGS, OUTPUT_BIAS) and sources is not None:
            value = vocabulary_extension.extend_rows(sources, value, _value(variables[name]))
        elif name == POSITION_EMBEDDINGS:
            value = _fit_positions(value, variables[name])
        variables[name].assign(value)
    _log_origins(init_checkpoint, variables, found)
    return found


def _open(init_checkpoint: str) -> Checkpoint | HuggingFaceWeights:
    if not is_hugging_face(init_checkpoint):
        state = read_checkpoint_state(init_checkpoint)
        return Checkpoint(state.model_checkpoint_path if state else init_checkpoint)
    source = HuggingFaceWeights(init_checkpoint)
    if source.skipped:
        logging.info(
            "Tensors of %s that are none of the model's: %s.",
            init_checkpoint,
            _enumerate(source.skipped),
        )
    if source.has_own_decoder():
        logging.warning(
            "The output layer of %s has weights of its own. They are left out: in Google's BERT, "
            "and here, they are the word embeddings.",
            init_checkpoint,
        )
    _log_differing_functions(os.path.join(init_checkpoint, CONFIG_FILE))
    return source


def _log_differing_functions(config_file: str) -> None:
    """Says where a model computes a little different from what the weights were trained with."""
    config = read_json_object(config_file)
    activation = config.get("hidden_act", "gelu")
    if activation not in SAME_ACTIVATIONS:
        logging.info(
            "hidden_act is %s in %s, the exact gelu. It is computed here in its tanh form, as in "
            "Google's BERT; the outputs differ in the third or fourth decimal place.",
            activation,
            config_file,
        )
    epsilon = config.get("layer_norm_eps", _LAYER_NORM_EPSILON)
    if epsilon != _LAYER_NORM_EPSILON:
        logging.warning(
            "layer_norm_eps is %s in %s; it is %s here, as in Google's BERT.",
            epsilon,
            config_file,
            _LAYER_NORM_EPSILON,
        )


def _check_names(
    init_checkpoint: str,
    source: Checkpoint | HuggingFaceWeights,
    variables: Mapping[str, tf.Variable],
    found: Collection[str],
) -> None:
    if not found:
        raise InputError(
            f"--init_checkpoint={init_checkpoint} holds none of the model's variables; expected a "
            "BERT checkpoint, with names such as bert/embeddings/word_embeddings."
        )
    missing = [name for name in variables if name not in found and name.startswith(_NEEDED)]
    beyond = [
        name
        for name in source.shapes
        if name.startswith("bert/encoder/") and name.endswith("/kernel") and name not in variables
    ]
    encoder_is_wanted = any(name.startswith("bert/encoder/") for name in variables)
    if missing or (beyond and encoder_is_wanted):
        problem = f"lacks {missing[0]}" if missing else f"has {min(beyond)}, which the model lacks"
        raise InputError(
            f"--init_checkpoint={init_checkpoint} {problem}. Set num_hidden_layers in "
            "--bert_config_file to what it was trained with, or choose another checkpoint."
        )


def _check_shapes(
    source: Checkpoint | HuggingFaceWeights, variables: Mapping[str, tf.Variable]
) -> None:
    # The rows of these may differ.
    extensible = (WORD_EMBEDDINGS, OUTPUT_BIAS, POSITION_EMBEDDINGS)
    problems = []
    for name, variable in variables.items():
        there, here = source.shapes[name], variable.shape.as_list()
        compared = slice(1, None) if name in extensible else slice(None)
        if len(there) != len(here) or there[compared] != here[compared]:
            problems.append(f"{name} is {there} there and {here} here")
    if problems:
        raise InputError(
            f"The checkpoint {source.path} does not fit the model: {_enumerate(problems)}. Give "
            "the bert_config.json it was trained with, or another --init_checkpoint."
        )


def _row_sources(
    source: Checkpoint | HuggingFaceWeights,
    variables: Mapping[str, tf.Variable],
    vocabulary: Sequence[str] | None,
    init_vocabulary: Sequence[str] | None,
) -> vocabulary_extension.RowSources | None:
    """Returns which rows each token takes, None where they are taken as they stand."""
    if vocabulary is None or init_vocabulary is None:
        return None
    same_rows = all(
        source.shapes[name][0] == variables[name].shape[0]
        for name in (WORD_EMBEDDINGS, OUTPUT_BIAS)
        if name in source.shapes and name in variables
    )
    if same_rows and list(vocabulary) == list(init_vocabulary):
        return None
    sources = vocabulary_extension.match_tokens(init_vocabulary, vocabulary)
    if not sources.kept:
        raise InputError(
            f"The vocabularies of {source.path} and of the records have no token in common. Check "
            "that --init_vocab_file is the vocabulary of the --init_checkpoint."
        )
    logging.info(
        "Vocabulary of %s tokens: %s keep their embeddings, %s start from the mean of their "
        "pieces, %s from their initial values; %s of the old one are dropped.",
        *(
            f"{count:,}"
            for count in (
                len(vocabulary),
                sources.kept,
                sources.from_pieces,
                sources.from_nothing,
                sources.dropped,
            )
        ),
    )
    return sources


def _fit_positions(value: np.ndarray, variable: tf.Variable) -> np.ndarray:
    there, here = len(value), variable.shape[0]
    if there > here:
        logging.info("Of %d position embeddings, the first %d are taken.", there, here)
        return value[:here]
    if there < here:
        logging.warning(
            "The checkpoint has %d position embeddings, and the model %d: positions %d to %d start "
            "from their initial values, and know nothing before they are trained on sequences of "
            "that length.",
            there,
            here,
            there,
            here - 1,
        )
        return np.concatenate([value, _value(variable)[there:]])
    return value


def _value(variable: tf.Variable) -> np.ndarray:
    # A mirrored variable has no numpy() of its own.
    return tf.convert_to_tensor(variable).numpy()


def _log_origins(
    init_checkpoint: str, variables: Mapping[str, tf.Variable], found: Collection[str]
) -> None:
    logging.info("**** Trainable Variables ****")
    for name, variable in variables.items():
        origin = ", *INIT_FROM_CKPT*" if name in found else ""
        logging.info("  name = %s, shape = %s%s", name, tuple(variable.shape), origin)
    missing = [name for name in variables if name not in found]
    if missing:
        logging.warning(
            "%s lacks these, which start from their initial values: %s.",
            init_checkpoint,
            ", ".join(missing),
        )


def _enumerate(items: Sequence[str]) -> str:
    # Enough to see what is wrong; a whole BERT would fill the screen.
    more = [f"and {len(items) - _SHOWN} more"] if len(items) > _SHOWN else []
    return "; ".join([*items[:_SHOWN], *more])
