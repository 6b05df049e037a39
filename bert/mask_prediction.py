"""What a pre-trained model expects in the place of masks (Devlin et al., "BERT", section 3.1)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from deeq_bert.bert.config import BertConfig
from deeq_bert.bert.heads import PretrainingModel
from deeq_bert.bert.masked_text import MaskedText
from deeq_bert.bert.trained_weights import load_weights

_NEEDED = ("bert/embeddings/", "bert/encoder/", "cls/predictions/")


class Prediction(NamedTuple):
    """A token with its probability at a mask, 0 to 1 over the whole vocabulary."""

    token_id: int
    probability: float


class MaskPredictor:
    """The encoder and the masked-word head of a model."""

    def __init__(self, config: BertConfig, checkpoint: str, num_tokens: int, device: str):
        """Loads the model.

        Args:
          config: Its sizes.
          checkpoint: See `load_weights`.
          num_tokens: How many tokens the vocabulary has; the model may have more rows.
          device: TensorFlow's name of what computes, such as "/cpu:0".

        Raises:
          InputError: The checkpoint cannot be read, lacks a weight or does not fit the config.
        """
        self._device = device
        self._num_tokens = num_tokens
        with tf.device(device):
            self._model = PretrainingModel(config, seed=0)
            variables = self._model.variables
            load_weights(
                checkpoint,
                {name: variables[name] for name in variables if name.startswith(_NEEDED)},
            )
        self._probabilities = tf.function(self._compute, autograph=False, reduce_retracing=True)

    def predict(self, texts: Sequence[MaskedText], top_k: int) -> list[list[list[Prediction]]]:
        """Returns the likeliest tokens for each mask of each text, each by itself.

        Args:
          texts: A batch, at least one.
          top_k: How many tokens a mask, at most those of the vocabulary.
        """
        length = max(len(masked.ids) for masked in texts)
        masks = max(len(masked.mask_positions) for masked in texts)
        ids = np.zeros([len(texts), length], np.int32)
        input_mask = np.zeros_like(ids)
        positions = np.zeros([len(texts), masks], np.int32)
        for row, masked in enumerate(texts):
            ids[row, : len(masked.ids)] = masked.ids
            input_mask[row, : len(masked.ids)] = 1
            positions[row, : len(masked.mask_positions)] = masked.mask_positions
        with tf.device(self._device):
            probabilities = self._probabilities(*map(tf.constant, (ids, input_mask, positions)))
            best = tf.math.top_k(probabilities, min(top_k, self._num_tokens))
        values, indexes = best.values.numpy(), best.indices.numpy()
        return [
            [
                [
                    Prediction(int(index), float(value))
                    for index, value in zip(indexes[row, mask], values[row, mask])
                ]
                for mask in range(len(masked.mask_positions))
            ]
            for row, masked in enumerate(texts)
        ]

    def _compute(self, ids: tf.Tensor, input_mask: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
        encoded = self._model.bert(ids, input_mask)
        logits = self._model.heads.masked_lm_logits(
            encoded.sequence_output, positions, self._model.bert.embedding_table
        )
        return tf.nn.softmax(logits)[..., : self._num_tokens]
