"""The BERT encoder: Google's modeling.py over plain variables and functions.

Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding"
(2018); the encoder is that of Vaswani et al., "Attention Is All You Need" (2017). Variables bear
the names of Google's checkpoints. They are float32; matrix products may be computed in less.
"""

import hashlib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import tensorflow as tf

from deeq_bert.bert.config import BertConfig
from deeq_bert.bert.layers import (
    DropoutKey,
    attention_shares,
    dense,
    dropout,
    get_activation,
    layer_norm,
)
from deeq_bert.tokenizers.errors import InputError

# What a masked position's score is lowered by: its share after the softmax is 0 in float32.
_MASKED_SCORE = -10000.0
_SITES_PER_LAYER = 3


class VariableSpec(NamedTuple):
    """A variable before it exists: its shape and "truncated_normal", "zeros" or "ones"."""

    shape: tuple[int, ...]
    initial: str


class BertOutput(NamedTuple):
    """What the encoder makes of a batch, in the precision it computes in.

    Attributes:
      pooled_output: [batch, hidden], the first token's output through a dense tanh layer.
      sequence_output: [batch, sequence, hidden], the last layer's output.
      all_encoder_layers: [batch, sequence, hidden] of each layer, the lowest first.
      embedding_output: [batch, sequence, hidden], what the lowest layer reads.
    """

    pooled_output: tf.Tensor
    sequence_output: tf.Tensor
    all_encoder_layers: tuple[tf.Tensor, ...]
    embedding_output: tf.Tensor


class BertModel(tf.Module):
    """The encoder with its embeddings and pooler ("bert/..." in a checkpoint).

    Attributes:
      config: The BertConfig it was made from.
    """

    def __init__(self, config: BertConfig, seed: int, compute_dtype: tf.DType = tf.float32):
        """Creates the variables, under the strategy whose scope this is called in.

        Args:
          config: The model's shape.
          seed: Of the initial values, within 64 bits.
          compute_dtype: float32, bfloat16 or float16, for matrix products and what stands between
            the layers; see `layers`. The variables are float32.
        """
        super().__init__(name="bert")
        self.config = config
        self._compute_dtype = compute_dtype
        self._activation = get_activation(config.hidden_act)
        self._variables = create_variables(encoder_specs(config), config.initializer_range, seed)

    @property
    def variables(self) -> dict[str, tf.Variable]:
        """All variables by name, in the order of the original's trainable variables."""
        return dict(self._variables)

    @property
    def embedding_table(self) -> tf.Variable:
        """The word embeddings, [vocab_size, hidden]."""
        return self._variables["bert/embeddings/word_embeddings"]

    def __call__(
        self,
        input_ids: tf.Tensor,
        input_mask: tf.Tensor | None = None,
        token_type_ids: tf.Tensor | None = None,
        dropout: DropoutKey | None = None,
    ) -> BertOutput:
        """Encodes a batch.

        Args:
          input_ids: Integers [batch, sequence], each below vocab_size. A GPU does not notice one
            that is not, and reads zeros for it: check them where they come in.
          input_mask: Integers [batch, sequence], 1 for a token and 0 for padding; without it all
            are tokens.
          token_type_ids: Integers [batch, sequence], the segment of each; without it all are 0.
          dropout: Given in training only; without it nothing is dropped.

        Raises:
          ValueError: The sequence is longer than max_position_embeddings.
        """
        batch_size, sequence_length = get_shape_list(input_ids)
        if input_mask is None:
            input_mask = tf.ones([batch_size, sequence_length], tf.int32)
        if token_type_ids is None:
            token_type_ids = tf.zeros([batch_size, sequence_length], tf.int32)
        # [batch, 1, 1, sequence]: the same for every head and every position that looks.
        added_scores = (1.0 - tf.cast(input_mask, tf.float32))[:, None, None, :] * _MASKED_SCORE

        # The layers work on a matrix with a row a token: a product with three dimensions would
        # sum its kernel's gradient over the batch in memory.
        shape = [batch_size, sequence_length, self.config.hidden_size]
        rows = self._embed(input_ids, token_type_ids, dropout)
        embedding_output = tf.reshape(rows, shape)
        layers = []
        for layer in range(self.config.num_hidden_layers):
            rows = self._encode(layer, rows, shape, added_scores, dropout)
            layers.append(tf.reshape(rows, shape))
        first_tokens = layers[-1][:, 0]
        pooled_output = tf.tanh(dense(first_tokens, self._variables, "bert/pooler/dense"))
        return BertOutput(pooled_output, layers[-1], tuple(layers), embedding_output)

    def _embed(
        self, input_ids: tf.Tensor, token_type_ids: tf.Tensor, dropout_key: DropoutKey | None
    ) -> tf.Tensor:
        variables, config = self._variables, self.config
        batch_size, sequence_length = get_shape_list(input_ids)
        _check_sequence_length(sequence_length, config.max_position_embeddings)
        words = tf.gather(self.embedding_table, input_ids)
        # A product, not a gather: its gradient is dense, and the clipping norm of the original
        # counts it so.
        segments = tf.matmul(
            tf.one_hot(tf.reshape(token_type_ids, [-1]), config.type_vocab_size),
            variables["bert/embeddings/token_type_embeddings"],
        )
        positions = variables["bert/embeddings/position_embeddings"][:sequence_length]
        total = words + tf.reshape(segments, tf.shape(words)) + positions
        rows = tf.reshape(total, [-1, config.hidden_size])
        rows = layer_norm(rows, variables, "bert/embeddings/LayerNorm")
        rows = dropout(rows, config.hidden_dropout_prob, dropout_key, site=0)
        return tf.cast(rows, self._compute_dtype)

    def _encode(
        self,
        layer: int,
        rows: tf.Tensor,
        shape: list[int | tf.Tensor],
        added_scores: tf.Tensor,
        dropout_key: DropoutKey | None,
    ) -> tf.Tensor:
        scope, site = f"bert/encoder/layer_{layer}", 1 + _SITES_PER_LAYER * layer
        context = self._attend(scope, site, rows, shape, added_scores, dropout_key)
        attended = dense(context, self._variables, f"{scope}/attention/output/dense")
        attended = self._add(attended, rows, f"{scope}/attention/output", dropout_key, site + 1)
        inner = self._activation(dense(attended, self._variables, f"{scope}/intermediate/dense"))
        output = dense(inner, self._variables, f"{scope}/output/dense")
        return self._add(output, attended, f"{scope}/output", dropout_key, site + 2)

    def _add(
        self,
        output: tf.Tensor,
        rows: tf.Tensor,
        scope: str,
        dropout_key: DropoutKey | None,
        site: int,
    ) -> tf.Tensor:
        """Adds what came out of `rows`, after dropout, to them, and normalizes the sum."""
        rate = self.config.hidden_dropout_prob
        output = dropout(tf.cast(output, tf.float32), rate, dropout_key, site)
        total = output + tf.cast(rows, tf.float32)
        normalized = layer_norm(total, self._variables, f"{scope}/LayerNorm")
        return tf.cast(normalized, self._compute_dtype)

    def _attend(
        self,
        scope: str,
        site: int,
        rows: tf.Tensor,
        shape: list[int | tf.Tensor],
        added_scores: tf.Tensor,
        dropout_key: DropoutKey | None,
    ) -> tf.Tensor:
        batch_size, sequence_length, hidden_size = shape
        heads = self.config.num_attention_heads
        head_size = hidden_size // heads

        def project(name: str) -> tf.Tensor:
            values = dense(rows, self._variables, f"{scope}/attention/self/{name}")
            values = tf.reshape(values, [batch_size, sequence_length, heads, head_size])
            return tf.transpose(values, [0, 2, 1, 3])

        scores = tf.matmul(project("query"), project("key"), transpose_b=True)
        rate, factor = self.config.attention_probs_dropout_prob, 1.0 / math.sqrt(head_size)
        shares = attention_shares(scores, added_scores, factor, rate, dropout_key, site)
        context = tf.transpose(tf.matmul(shares, project("value")), [0, 2, 1, 3])
        return tf.reshape(context, [-1, hidden_size])


def encoder_specs(config: BertConfig) -> dict[str, VariableSpec]:
    """The encoder's variables, in the order the original creates them."""
    hidden, inner = config.hidden_size, config.intermediate_size
    specs = {
        f"bert/embeddings/{name}": VariableSpec((rows, hidden), "truncated_normal")
        for name, rows in (
            ("word_embeddings", config.vocab_size),
            ("token_type_embeddings", config.type_vocab_size),
            ("position_embeddings", config.max_position_embeddings),
        )
    }
    specs |= layer_norm_specs("bert/embeddings/LayerNorm", hidden)
    for layer in range(config.num_hidden_layers):
        scope = f"bert/encoder/layer_{layer}"
        for name in ("query", "key", "value"):
            specs |= dense_specs(f"{scope}/attention/self/{name}", hidden, hidden)
        specs |= dense_specs(f"{scope}/attention/output/dense", hidden, hidden)
        specs |= layer_norm_specs(f"{scope}/attention/output/LayerNorm", hidden)
        specs |= dense_specs(f"{scope}/intermediate/dense", hidden, inner)
        specs |= dense_specs(f"{scope}/output/dense", inner, hidden)
        specs |= layer_norm_specs(f"{scope}/output/LayerNorm", hidden)
    return specs | dense_specs("bert/pooler/dense", hidden, hidden)


def dense_specs(scope: str, inputs: int, outputs: int) -> dict[str, VariableSpec]:
    """The variables `dense` reads under `scope`."""
    return {
        f"{scope}/kernel": VariableSpec((inputs, outputs), "truncated_normal"),
        f"{scope}/bias": VariableSpec((outputs,), "zeros"),
    }


def layer_norm_specs(scope: str, size: int) -> dict[str, VariableSpec]:
    """The beta and gamma of a layer normalization under `scope`."""
    return {
        f"{scope}/beta": VariableSpec((size,), "zeros"),
        f"{scope}/gamma": VariableSpec((size,), "ones"),
    }


def create_variables(
    specs: Mapping[str, VariableSpec], initializer_range: float, seed: int
) -> dict[str, tf.Variable]:
    """Creates float32 variables with initial values that follow from seed and name alone.

    They therefore depend neither on the order of creation nor on the number of replicas.
    """
    return {
        name: tf.Variable(create_initializer(name, spec, initializer_range, seed), name=name)
        for name, spec in specs.items()
    }


def create_initializer(
    name: str, spec: VariableSpec, initializer_range: float, seed: int
) -> Callable[[], tf.Tensor]:
    """A function that makes the initial value of the variable `name`.

    Args:
      name: Without ":0".
      spec: Its shape, and whether it starts from zeros, ones or a normal distribution.
      initializer_range: Standard deviation of the latter, truncated at two of them.
      seed: The run's, within 64 bits.
    """
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    seeds = (seed, int.from_bytes(digest, "little", signed=True))

    def truncated_normal() -> tf.Tensor:
        # The default algorithm differs between devices.
        return tf.random.stateless_truncated_normal(
            spec.shape, tf.constant(seeds, tf.int64), stddev=initializer_range, alg="philox"
        )

    return {
        "truncated_normal": truncated_normal,
        "zeros": lambda: tf.zeros(spec.shape),
        "ones": lambda: tf.ones(spec.shape),
    }[spec.initial]


def get_shape_list(tensor: tf.Tensor) -> list[int | tf.Tensor]:
    """The sizes of a tensor's dimensions: numbers where known, scalars where not."""
    sizes = tf.shape(tensor)
    return [sizes[i] if size is None else size for i, size in enumerate(tensor.shape)]


def get_assignment_map_from_checkpoint(
    tvars: Iterable[tf.Variable], init_checkpoint: str
) -> tuple[dict[str, str], dict[str, int]]:
    """Finds which variables a checkpoint holds, by name alone.

    Args:
      tvars: The model's variables.
      init_checkpoint: A prefix such as out/model.ckpt-1000, or a folder with a checkpoint file.

    Returns:
      The names to load, each mapped to the variable's name, which is the same, in the
      checkpoint's order; and a dictionary with 1 for each of them, with and without ":0".

    Raises:
      InputError: There is no checkpoint to read.
    """
    names = {re.sub(r":\d+$", "", variable.name) for variable in tvars}
    try:
        stored = [name for name, _ in tf.train.list_variables(init_checkpoint)]
    except (tf.errors.OpError, ValueError) as error:
        raise InputError(
            f"Cannot read the checkpoint {init_checkpoint}. Give the part of its file names before "
            "`.index`, as in out/model.ckpt-1000."
        ) from error
    assignment_map = {name: name for name in stored if name in names}
    initialized = {key: 1 for name in assignment_map for key in (name, f"{name}:0")}
    return assignment_map, initialized


def _check_sequence_length(sequence_length: int | tf.Tensor, longest: int) -> None:
    message = (
        f"a sequence of {{}} tokens does not fit max_position_embeddings {longest}; shorten it or "
        "use a model with more positions"
    )
    if isinstance(sequence_length, int):
        if sequence_length > longest:
            raise ValueError(message.format(sequence_length))
    else:
        tf.debugging.assert_less_equal(sequence_length, longest, message.format("this many"))
