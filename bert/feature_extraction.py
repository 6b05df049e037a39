"""The outputs of a model's layers for texts, as in Google's extract_features.py."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from deeq_bert.bert import distribution
from deeq_bert.bert.config import BertConfig
from deeq_bert.bert.modeling import BertModel
from deeq_bert.bert.text_features import InputFeatures
from deeq_bert.bert.trained_weights import load_weights

# What lengths and batches are filled up to, which keeps the number of different shapes small.
_LENGTH_UNIT = 8
_POOLER = "bert/pooler/"


class FeatureExtractor:
    """An encoder that tells what some of its layers make of each token."""

    def __init__(
        self,
        config: BertConfig,
        checkpoint: str,
        layers: Sequence[int],
        strategy: tf.distribute.Strategy,
        dtype: str = "float32",
    ):
        """Loads the model.

        Args:
          config: Its sizes.
          checkpoint: See `load_weights`; the pooler may miss.
          layers: Which ones, 0 the first and -1 the last.
          strategy: What it is computed on.
          dtype: Of the matrix products.

        Raises:
          InputError: The checkpoint cannot be read, lacks a weight or does not fit the config.
        """
        self._layers = tuple(layers)
        self._strategy = strategy
        self._max_length = config.max_position_embeddings
        with strategy.scope():
            self._model = BertModel(config, seed=0, compute_dtype=tf.as_dtype(dtype))
            variables = self._model.variables
            load_weights(
                checkpoint,
                {name: variables[name] for name in variables if not name.startswith(_POOLER)},
            )
        self._run = tf.function(self._compute, autograph=False, reduce_retracing=True)

    def extract(self, batch: Sequence[InputFeatures]) -> list[np.ndarray]:
        """Returns float32 [layers, tokens, hidden] for each text of a batch."""
        replicas = self._strategy.num_replicas_in_sync
        rows = -(-len(batch) // replicas) * replicas
        longest = max(len(features.ids) for features in batch)
        length = min(-(-longest // _LENGTH_UNIT) * _LENGTH_UNIT, self._max_length)
        arrays = {
            name: np.zeros([rows, length], np.int32)
            for name in ("input_ids", "input_mask", "segment_ids")
        }
        for row, features in enumerate(batch):
            size = len(features.ids)
            arrays["input_ids"][row, :size] = features.ids
            arrays["input_mask"][row, :size] = 1
            arrays["segment_ids"][row, :size] = features.segment_ids
        # Placed on the CPU, from where each replica gets its part.
        with tf.device("/cpu:0"):
            tensors = {name: tf.constant(array) for name, array in arrays.items()}
        (distributed,) = distribution.distribute(self._strategy, [tensors])
        outputs = self._run(distributed).numpy()
        return [outputs[row, :, : len(batch[row].ids)] for row in range(len(batch))]

    def _compute(self, batch: dict[str, tf.Tensor]) -> tf.Tensor:
        def layers_of(batch: dict[str, tf.Tensor]) -> tf.Tensor:
            output = self._model(batch["input_ids"], batch["input_mask"], batch["segment_ids"])
            chosen = [output.all_encoder_layers[layer] for layer in self._layers]
            return tf.cast(tf.stack(chosen, axis=1), tf.float32)

        outputs = self._strategy.run(layers_of, args=(batch,))
        return tf.concat(self._strategy.experimental_local_results(outputs), axis=0)
