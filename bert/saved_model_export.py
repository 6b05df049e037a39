"""A model as a SavedModel for TensorFlow Serving, which needs nothing of this project.

Signatures; ids are int32 [batch, length], results float32:

- "serving_default": input_ids, input_mask, segment_ids to pooled_output [batch, hidden] and
  sequence_output [batch, length, hidden].
- "masked_lm", with that head: the same and masked_lm_positions [batch, P] to logits [batch, P,
  vocab_size]. "next_sentence", with that head: to probabilities [batch, 2], of which the first is
  that the second text follows the first one.
- "classify", with a fine-tuned classifier: to logits and probabilities [batch, classes]; with a
  single output, which is a regression's, to scores [batch]. "answer_span", with a fine-tuned span
  head: to start_logits and end_logits [batch, length].
- "text" and "classify_text", with a WordPiece vocabulary that is not lower-cased: strings `text`
  and `second_text` [batch], the latter "" where there is none, in place of the ids. "text" gives
  the input_ids and input_mask, too. What is longer than the model takes is cut as the original
  does it. [MASK] and the like are ordinary text there.

Other tokenizers get ids only: morphemes need an analyser, which no TensorFlow operation is, and
Python's lower-casing and normalization are none either.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from deeq_bert.bert import model_weights
from deeq_bert.bert.checkpoint_bundle import reason_of
from deeq_bert.bert.heads import PretrainingHeads
from deeq_bert.bert.model_folder import BERT_CONFIG_FILE, ModelFolder
from deeq_bert.bert.modeling import BertModel
from deeq_bert.bert.serving_text import ServingText
from deeq_bert.bert.task_heads import BIAS, ClassifierModel, SpanModel
from deeq_bert.tokenizers.contract import FILE_NAME, write_contract_file
from deeq_bert.tokenizers.errors import InputError

Outputs = dict[str, tf.Tensor]

# Where a SavedModel has what is not TensorFlow's.
EXTRA_FOLDER = "assets.extra"
VOCABULARY_FILE = "vocab.txt"

_IDS = {
    name: tf.TensorSpec([None, None], tf.int32, name)
    for name in ("input_ids", "input_mask", "segment_ids")
}
_POSITIONS = {"masked_lm_positions": tf.TensorSpec([None, None], tf.int32, "masked_lm_positions")}
_TEXTS = {name: tf.TensorSpec([None], tf.string, name) for name in ("text", "second_text")}


class ServingModel(tf.Module):
    """The encoder and those heads that a checkpoint has, as functions of plain tensors."""

    def __init__(
        self,
        model: ModelFolder,
        weights: Mapping[str, np.ndarray],
        vocab: Mapping[str, int],
        takes_text: bool,
    ):
        """Creates the variables with the values of `weights`.

        Args:
          model: Whose weights they are.
          weights: By name; see `model_weights.read_weights`.
          vocab: The id of each token.
          takes_text: Whether strings are taken, too.
        """
        super().__init__(name="serving")
        config = model.config
        self._vocab_size = config.vocab_size
        self._has_masked_lm, self._has_next_sentence = (
            model_weights.has_all(weights, names)
            for names in (
                model_weights.masked_lm_names(config),
                model_weights.next_sentence_names(config),
            )
        )
        self._classifier = self._span = self._heads = self._text = None
        if model_weights.has_all(weights, model_weights.CLASSIFIER):
            outputs = len(weights[BIAS])
            self._classifier = ClassifierModel(config, outputs, 0, is_regression=outputs == 1)
            self._bert = self._classifier.bert
            _assign(self._classifier.variables, weights)
        elif model_weights.has_all(weights, model_weights.SPAN):
            self._span = SpanModel(config, 0)
            self._bert = self._span.bert
            _assign(self._span.variables, weights)
        else:
            self._bert = BertModel(config, 0)
            _assign(self._bert.variables, weights)
        if self._has_masked_lm or self._has_next_sentence:
            self._heads = PretrainingHeads(config, 0)
            _assign(self._heads.variables, weights)
        if takes_text:
            self._text = ServingText(vocab, config.max_position_embeddings)

    def signatures(self) -> dict[str, Any]:
        """Returns what can be asked of the model, by the names of the signatures."""
        signatures = {"serving_default": _signature(self._encode, _IDS)}
        if self._has_masked_lm:
            signatures["masked_lm"] = _signature(self._predict_words, {**_IDS, **_POSITIONS})
        if self._has_next_sentence:
            signatures["next_sentence"] = _signature(self._predict_next_sentence, _IDS)
        if self._classifier:
            signatures["classify"] = _signature(self._classify, _IDS)
        if self._span:
            signatures["answer_span"] = _signature(self._find_answer, _IDS)
        if self._text:
            signatures["text"] = _signature(self._encode_text, _TEXTS)
            if self._classifier:
                signatures["classify_text"] = _signature(self._classify_text, _TEXTS)
        return signatures

    def _encode(
        self, input_ids: tf.Tensor, input_mask: tf.Tensor, segment_ids: tf.Tensor
    ) -> Outputs:
        output = self._bert(self._checked(input_ids), input_mask, segment_ids)
        return {
            "pooled_output": output.pooled_output,
            "sequence_output": output.sequence_output,
        }

    def _predict_words(self, masked_lm_positions: tf.Tensor, **ids: tf.Tensor) -> Outputs:
        encoded = self._encode(**ids)
        logits = self._heads.masked_lm_logits(
            encoded["sequence_output"], masked_lm_positions, self._bert.embedding_table
        )
        return {"logits": logits}

    def _predict_next_sentence(self, **ids: tf.Tensor) -> Outputs:
        logits = self._heads.next_sentence_logits(self._encode(**ids)["pooled_output"])
        return {"probabilities": tf.nn.softmax(logits)}

    def _classify(self, input_ids: tf.Tensor, **others: tf.Tensor) -> Outputs:
        return self._classifier.predict({"input_ids": self._checked(input_ids), **others})

    def _find_answer(self, input_ids: tf.Tensor, **others: tf.Tensor) -> Outputs:
        return self._span.predict({"input_ids": self._checked(input_ids), **others})

    def _encode_text(self, text: tf.Tensor, second_text: tf.Tensor) -> Outputs:
        inputs = self._text(text, second_text)._asdict()
        encoded = self._encode(**inputs)
        return {**encoded, "input_ids": inputs["input_ids"], "input_mask": inputs["input_mask"]}

    def _classify_text(self, text: tf.Tensor, second_text: tf.Tensor) -> Outputs:
        return self._classify(**self._text(text, second_text)._asdict())

    def _checked(self, input_ids: tf.Tensor) -> tf.Tensor:
        # A GPU would read zeros for an id that is not there.
        check = tf.debugging.assert_less(
            input_ids, self._vocab_size, "input_ids must be below the model's vocab_size"
        )
        with tf.control_dependencies([check]):
            return tf.identity(input_ids)


def write_saved_model(
    model: ModelFolder,
    weights: Mapping[str, np.ndarray],
    vocab: Mapping[str, int],
    vocabulary: bytes,
    contract: Mapping[str, Any],
    folder: str,
) -> list[str]:
    """Writes a SavedModel, with vocabulary, contract and configuration in `assets.extra`.

    Args:
      model: Whose weights they are.
      weights: By name; see `model_weights.read_weights`.
      vocab: The id of each token.
      vocabulary: The content of the vocabulary file.
      contract: That of the vocabulary.
      folder: An empty folder.

    Returns:
      What a user is to know of it.

    Raises:
      InputError: It cannot be written, or the model has no pooler.
    """
    if not model_weights.has_all(weights, model_weights.POOLER):
        raise InputError(
            f"{model.checkpoint} has no {model_weights.POOLER[0]}, so that a SavedModel would have "
            "one of random weights. Choose a checkpoint with a pooler, or another --format."
        )
    reason = _why_no_text(contract)
    serving = ServingModel(model, weights, vocab, takes_text=not reason)
    signatures = serving.signatures()
    try:
        tf.saved_model.save(serving, folder, signatures=signatures)
    except tf.errors.OpError as error:
        raise InputError(
            f"Cannot write the SavedModel: {reason_of(error)} Free some space or choose another "
            "--output_dir, and run again."
        ) from error
    extra = os.path.join(folder, EXTRA_FOLDER)
    os.mkdir(extra)
    with open(os.path.join(extra, VOCABULARY_FILE), "wb") as file:
        file.write(vocabulary)
    with open(os.path.join(extra, BERT_CONFIG_FILE), "w", encoding="utf-8") as file:
        file.write(model.config.to_json_string())
    write_contract_file(os.path.join(extra, FILE_NAME), {**contract, "vocab_file": VOCABULARY_FILE})
    messages = [f"Signatures: {', '.join(signatures)}."]
    return [*messages, f"It takes ids only: {reason}."] if reason else messages


def _why_no_text(contract: Mapping[str, Any]) -> str:
    """Returns why strings cannot be taken, nothing where they can."""
    if contract["tokenizer"] != "wordpiece":
        return f"the tokenizer {contract['tokenizer']} is no TensorFlow operation"
    if contract.get("do_lower_case"):
        return "lower-casing as Python does it is no TensorFlow operation"
    return ""


def _assign(variables: Mapping[str, tf.Variable], weights: Mapping[str, np.ndarray]) -> None:
    for name, variable in variables.items():
        if name in weights:
            variable.assign(weights[name])


def _signature(function: Callable[..., Outputs], inputs: Mapping[str, tf.TensorSpec]) -> Any:
    def with_names(**tensors: tf.Tensor) -> Outputs:
        # The results of a signature are told by these names.
        return {name: tf.identity(value, name) for name, value in function(**tensors).items()}

    return tf.function(with_names, autograph=False).get_concrete_function(**inputs)
