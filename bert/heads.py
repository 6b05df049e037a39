"""The two pre-training tasks on top of the encoder, as in Google's run_pretraining.py.

Masked language model and next-sentence prediction: Devlin et al., "BERT" (2018), section 3.1.
"""

from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

from deeq_bert.bert import layers, modeling
from deeq_bert.bert.config import BertConfig

_TRANSFORM = "cls/predictions/transform"


class PretrainingOutput(NamedTuple):
    """What the model says of a batch, and how far off it is. P = predictions a sequence.

    Attributes:
      masked_lm_logits: [batch, P, vocab_size].
      masked_lm_losses: [batch, P], in nats, padding among them: weight it 0.
      next_sentence_logits: [batch, 2]; 0 is the true next segment, 1 a random one.
      next_sentence_losses: [batch], in nats.
    """

    masked_lm_logits: tf.Tensor
    masked_lm_losses: tf.Tensor
    next_sentence_logits: tf.Tensor
    next_sentence_losses: tf.Tensor


class PretrainingHeads(tf.Module):
    """The layers from the encoder's output to logits ("cls/..." in a checkpoint)."""

    def __init__(self, config: BertConfig, seed: int):
        """Creates the variables, under the strategy whose scope this is called in."""
        super().__init__(name="cls")
        self._activation = layers.get_activation(config.hidden_act)
        self._variables = modeling.create_variables(
            head_specs(config), config.initializer_range, seed
        )

    @property
    def variables(self) -> dict[str, tf.Variable]:
        """All variables by name, in the order of the original's trainable variables."""
        return dict(self._variables)

    def masked_lm_logits(
        self, sequence_output: tf.Tensor, positions: tf.Tensor, embedding_table: tf.Variable
    ) -> tf.Tensor:
        """Scores every word for some positions of each sequence (get_masked_lm_output).

        Args:
          sequence_output: [batch, sequence, hidden].
          positions: Integers [batch, P], each below the sequence's length.
          embedding_table: [vocab_size, hidden], the encoder's own: the weights are tied.

        Returns:
          float32 [batch, P, vocab_size].
        """
        vocabulary_size, hidden_size = embedding_table.shape
        # Gathered first: one position in seven is asked for, and the product with the whole
        # vocabulary is the dearest of the model.
        rows = tf.reshape(tf.gather(sequence_output, positions, batch_dims=1), [-1, hidden_size])
        rows = self._activation(layers.dense(rows, self._variables, f"{_TRANSFORM}/dense"))
        rows = layers.layer_norm(
            tf.cast(rows, tf.float32), self._variables, f"{_TRANSFORM}/LayerNorm"
        )
        logits = _times_transposed(tf.cast(rows, sequence_output.dtype), embedding_table)
        logits = tf.nn.bias_add(logits, self._variables["cls/predictions/output_bias"])
        return tf.reshape(logits, [*modeling.get_shape_list(positions), vocabulary_size])

    def next_sentence_logits(self, pooled_output: tf.Tensor) -> tf.Tensor:
        """Scores [batch, 2] of "is the next segment" and "is a random one", for [batch, hidden].

        They are float32.
        """
        weights = self._variables["cls/seq_relationship/output_weights"]
        logits = _times_transposed(pooled_output, weights)
        return tf.nn.bias_add(logits, self._variables["cls/seq_relationship/output_bias"])


class PretrainingModel(tf.Module):
    """The encoder and both heads, trained together.

    Attributes:
      bert: The encoder, a modeling.BertModel.
      heads: The PretrainingHeads.
    """

    def __init__(self, config: BertConfig, seed: int, compute_dtype: tf.DType = tf.float32):
        """Creates the variables, under the strategy whose scope this is called in.

        Args:
          config: The model's shape.
          seed: Of the initial values, within 64 bits.
          compute_dtype: float32, bfloat16 or float16, for matrix products and what stands between
            the layers. The variables, the logits and the losses are float32.
        """
        super().__init__(name="pretraining")
        self.bert = modeling.BertModel(config, seed, compute_dtype)
        self.heads = PretrainingHeads(config, seed)

    @property
    def variables(self) -> dict[str, tf.Variable]:
        """All variables by name, in the order of the original's trainable variables."""
        return self.bert.variables | self.heads.variables

    def __call__(
        self, features: Mapping[str, tf.Tensor], dropout: layers.DropoutKey | None = None
    ) -> PretrainingOutput:
        """Runs the model on a batch of pre-training records.

        Args:
          features: input_ids, input_mask and segment_ids, integers [batch, sequence];
            masked_lm_positions and masked_lm_ids, integers [batch, P]; next_sentence_labels,
            integers [batch, 1] or [batch].
          dropout: Given in training only; without it nothing is dropped.
        """
        encoded = self.bert(
            features["input_ids"], features["input_mask"], features["segment_ids"], dropout
        )
        masked_lm_logits = self.heads.masked_lm_logits(
            encoded.sequence_output, features["masked_lm_positions"], self.bert.embedding_table
        )
        next_sentence_logits = self.heads.next_sentence_logits(encoded.pooled_output)
        return PretrainingOutput(
            masked_lm_logits,
            layers.cross_entropy(masked_lm_logits, features["masked_lm_ids"]),
            next_sentence_logits,
            layers.cross_entropy(
                next_sentence_logits, tf.reshape(features["next_sentence_labels"], [-1])
            ),
        )


def head_specs(config: BertConfig) -> dict[str, modeling.VariableSpec]:
    """The heads' variables, in the order the original creates them."""
    hidden = config.hidden_size
    return {
        **modeling.dense_specs(f"{_TRANSFORM}/dense", hidden, hidden),
        **modeling.layer_norm_specs(f"{_TRANSFORM}/LayerNorm", hidden),
        "cls/predictions/output_bias": modeling.VariableSpec((config.vocab_size,), "zeros"),
        "cls/seq_relationship/output_weights": modeling.VariableSpec(
            (2, hidden), "truncated_normal"
        ),
        "cls/seq_relationship/output_bias": modeling.VariableSpec((2,), "zeros"),
    }


def _times_transposed(rows: tf.Tensor, matrix: tf.Variable) -> tf.Tensor:
    """[rows, hidden] times the transpose of [outputs, hidden], as float32 [rows, outputs]."""
    return tf.cast(tf.matmul(rows, tf.cast(matrix, rows.dtype), transpose_b=True), tf.float32)
