"""The encoder with a head for a task: classes, a score, or a span of the text.

As in create_model of Google's run_classifier.py and run_squad.py (Devlin et al., "BERT" (2018),
sections 4.1 and 4.2).
"""

from collections.abc import Mapping

import tensorflow as tf

from deeq_bert.bert import layers, modeling
from deeq_bert.bert.config import BertConfig

Batch = Mapping[str, tf.Tensor]

WEIGHTS, BIAS = "output_weights", "output_bias"
_SPAN = "cls/squad/"


class ClassifierModel(tf.Module):
    """Says which class a text or a pair of texts is of, or gives it a score.

    Attributes:
      bert: The encoder.
    """

    def __init__(
        self,
        config: BertConfig,
        num_labels: int,
        seed: int,
        compute_dtype: tf.DType = tf.float32,
        is_regression: bool = False,
        dropout_rate: float = 0.1,
    ):
        """Creates the variables, under the strategy whose scope this is called in.

        Args:
          config: The encoder's sizes.
          num_labels: How many classes there are; 1 for regression.
          seed: Of the initial values.
          compute_dtype: See `modeling.BertModel`.
          is_regression: Whether the one output is a score, trained by its squared error.
          dropout_rate: The share of the pooled output that is dropped in training; the original
            has 0.1 whatever the configuration says.
        """
        super().__init__(name="classifier")
        self.bert = modeling.BertModel(config, seed, compute_dtype)
        self._is_regression = is_regression
        self._dropout_rate = dropout_rate
        self._site = _first_free_site(config)
        self._variables = _create_output(config, num_labels, "", seed)

    @property
    def variables(self) -> dict[str, tf.Variable]:
        """All variables by name, in the order of the original's trainable variables."""
        return self.bert.variables | self._variables

    def losses(self, batch: Batch, dropout: layers.DropoutKey | None = None) -> tf.Tensor:
        """Returns the loss of each example, float32 [batch].

        Args:
          batch: input_ids, input_mask and segment_ids, integers [batch, length]; label_ids,
            integers [batch], or for regression labels, float32 [batch].
          dropout: Given in training only.
        """
        logits = self._logits(batch, dropout)
        if self._is_regression:
            return tf.square(logits[:, 0] - batch["labels"])
        return layers.cross_entropy(logits, batch["label_ids"])

    def predict(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Returns logits and probabilities, float32 [batch, labels]; for regression scores [batch].

        Args:
          batch: As for `losses`; labels are not needed.
        """
        logits = self._logits(batch, None)
        if self._is_regression:
            return {"scores": logits[:, 0]}
        return {"logits": logits, "probabilities": tf.nn.softmax(logits)}

    def _logits(self, batch: Batch, dropout: layers.DropoutKey | None) -> tf.Tensor:
        encoded = self.bert(batch["input_ids"], batch["input_mask"], batch["segment_ids"], dropout)
        pooled = tf.cast(encoded.pooled_output, tf.float32)
        pooled = layers.dropout(pooled, self._dropout_rate, dropout, self._site)
        weights = self._variables[WEIGHTS]
        return tf.nn.bias_add(tf.matmul(pooled, weights, transpose_b=True), self._variables[BIAS])


class SpanModel(tf.Module):
    """Says where in the text the answer to a question begins and ends.

    Attributes:
      bert: The encoder.
    """

    def __init__(self, config: BertConfig, seed: int, compute_dtype: tf.DType = tf.float32):
        """Creates the variables, under the strategy whose scope this is called in.

        Args:
          config: The encoder's sizes.
          seed: Of the initial values.
          compute_dtype: See `modeling.BertModel`.
        """
        super().__init__(name="span")
        self.bert = modeling.BertModel(config, seed, compute_dtype)
        self._variables = _create_output(config, 2, _SPAN, seed)

    @property
    def variables(self) -> dict[str, tf.Variable]:
        """All variables by name, in the order of the original's trainable variables."""
        return self.bert.variables | self._variables

    def losses(self, batch: Batch, dropout: layers.DropoutKey | None = None) -> tf.Tensor:
        """Returns the loss of each example, float32 [batch]: the mean of its start's and end's.

        Args:
          batch: input_ids, input_mask and segment_ids, integers [batch, length]; start_positions
            and end_positions, integers [batch].
          dropout: Given in training only.
        """
        starts, ends = self._logits(batch, dropout)
        start_losses = _position_losses(starts, batch["start_positions"])
        return (start_losses + _position_losses(ends, batch["end_positions"])) / 2.0

    def predict(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Returns start_logits and end_logits, float32 [batch, length].

        Args:
          batch: As for `losses`; positions are not needed.
        """
        starts, ends = self._logits(batch, None)
        return {"start_logits": starts, "end_logits": ends}

    def _logits(
        self, batch: Batch, dropout: layers.DropoutKey | None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        encoded = self.bert(batch["input_ids"], batch["input_mask"], batch["segment_ids"], dropout)
        batch_size, length, hidden = modeling.get_shape_list(encoded.sequence_output)
        rows = tf.reshape(tf.cast(encoded.sequence_output, tf.float32), [-1, hidden])
        logits = tf.matmul(rows, self._variables[f"{_SPAN}{WEIGHTS}"], transpose_b=True)
        logits = tf.nn.bias_add(logits, self._variables[f"{_SPAN}{BIAS}"])
        logits = tf.reshape(logits, [batch_size, length, 2])
        return logits[:, :, 0], logits[:, :, 1]


def _create_output(
    config: BertConfig, outputs: int, scope: str, seed: int
) -> dict[str, tf.Variable]:
    specs = {
        f"{scope}{WEIGHTS}": modeling.VariableSpec(
            (outputs, config.hidden_size), "truncated_normal"
        ),
        f"{scope}{BIAS}": modeling.VariableSpec((outputs,), "zeros"),
    }
    return modeling.create_variables(specs, config.initializer_range, seed)


def _position_losses(logits: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
    # The bias of a span's logits moves nothing: its gradient is what rounding leaves, and Adam
    # blows that up. As the original writes it, the same is left.
    chosen = tf.one_hot(positions, tf.shape(logits)[1])
    return -tf.reduce_sum(chosen * tf.nn.log_softmax(logits), axis=-1)


def _first_free_site(config: BertConfig) -> int:
    """Returns the first dropout that the encoder does not use; see `layers.DropoutKey.at`."""
    return 3 * config.num_hidden_layers + 1
