"""How Hugging Face's BERT names what Google's checkpoints hold, for reading it and for writing it.

The names are those of transformers' BertForPreTraining. They differ from Google's in more than
spelling: a dense layer's weight is [outputs, inputs] there, and Google's kernel [inputs, outputs].
"""

from collections.abc import Iterator
from typing import NamedTuple

WORD_EMBEDDINGS = "bert/embeddings/word_embeddings"
POSITION_EMBEDDINGS = "bert/embeddings/position_embeddings"
OUTPUT_BIAS = "cls/predictions/output_bias"

# The output layer has no weights of its own in Google's BERT. Files that name it hold the word
# embeddings once more, unless the model was trained otherwise.
DECODER_WEIGHT = "cls.predictions.decoder.weight"

# What each activation is here, where "gelu" is the tanh form. Theirs of that name is the exact
# function, which Google's BERT had at first, too; the two differ by 0.0005 at most.
ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu",
    "gelu_fast": "gelu",
    "gelu_pytorch_tanh": "gelu",
    "relu": "relu",
    "tanh": "tanh",
    "linear": "linear",
}
# Those that compute what ours computes.
SAME_ACTIVATIONS = ("gelu_new", "gelu_fast", "gelu_pytorch_tanh", "relu", "tanh", "linear")

_PREFIX = "bert."
_LAYER_NORM = "LayerNorm"


class NamePair(NamedTuple):
    """One variable under both names.

    Attributes:
      google: As in "bert/pooler/dense/kernel".
      hugging_face: As in "bert.pooler.dense.weight".
      is_transposed: Whether each side's value is the other's with rows and columns exchanged.
    """

    google: str
    hugging_face: str
    is_transposed: bool = False


def name_pairs(num_hidden_layers: int) -> list[NamePair]:
    """All variables of a model with its heads, in the order of Google's trainable variables."""
    return [
        *_encoder_pairs(num_hidden_layers),
        *_dense("cls/predictions/transform/dense"),
        *_layer_norm("cls/predictions/transform"),
        NamePair(OUTPUT_BIAS, "cls.predictions.bias"),
        NamePair("cls/seq_relationship/output_weights", "cls.seq_relationship.weight"),
        NamePair("cls/seq_relationship/output_bias", "cls.seq_relationship.bias"),
    ]


def names_in_files(pair: NamePair) -> Iterator[str]:
    """Yields the names that a file may have for one variable, the usual one first.

    A BertModel without heads is saved without the prefix "bert.", and the first releases called
    what layer normalization scales by and adds gamma and beta.
    """
    names = [pair.hugging_face]
    if pair.google == OUTPUT_BIAS:
        names.append("cls.predictions.decoder.bias")
    scope, _, kind = pair.hugging_face.rpartition(".")
    if scope.endswith(_LAYER_NORM):
        names.append(f"{scope}.{'gamma' if kind == 'weight' else 'beta'}")
    for name in names:
        yield name
        if name.startswith(_PREFIX):
            yield name.removeprefix(_PREFIX)


def _encoder_pairs(num_hidden_layers: int) -> Iterator[NamePair]:
    for kind in ("word", "token_type", "position"):
        name = f"bert/embeddings/{kind}_embeddings"
        yield NamePair(name, f"{_dotted(name)}.weight")
    yield from _layer_norm("bert/embeddings")
    for layer in range(num_hidden_layers):
        scope = f"bert/encoder/layer_{layer}"
        for name in ("query", "key", "value"):
            yield from _dense(f"{scope}/attention/self/{name}")
        yield from _dense(f"{scope}/attention/output/dense")
        yield from _layer_norm(f"{scope}/attention/output")
        yield from _dense(f"{scope}/intermediate/dense")
        yield from _dense(f"{scope}/output/dense")
        yield from _layer_norm(f"{scope}/output")
    yield from _dense("bert/pooler/dense")


def _dense(scope: str) -> list[NamePair]:
    return [
        NamePair(f"{scope}/kernel", f"{_dotted(scope)}.weight", is_transposed=True),
        NamePair(f"{scope}/bias", f"{_dotted(scope)}.bias"),
    ]


def _layer_norm(parent: str) -> list[NamePair]:
    scope = f"{parent}/{_LAYER_NORM}"
    return [
        NamePair(f"{scope}/beta", f"{_dotted(scope)}.bias"),
        NamePair(f"{scope}/gamma", f"{_dotted(scope)}.weight"),
    ]


def _dotted(scope: str) -> str:
    return scope.replace("layer_", "layer.").replace("/", ".")
