"""The shape of a BERT model and the file it is kept in (BertConfig of Google's modeling.py).

Nothing here needs TensorFlow, so a script can refuse a bad file before that import.
"""

import json
import math
import os
from collections.abc import Mapping
from typing import Any

from deeq_bert.tokenizers.errors import InputError

ACTIVATIONS = ("linear", "relu", "gelu", "tanh")

# A config is a dozen short fields; a larger file is something else given by mistake.
MAX_FILE_BYTES = 1024 * 1024
# Token ids, positions and segments are int32 in the records.
MAX_SIZE = 2**31 - 1

_SIZES = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "type_vocab_size",
)
_RATES = ("hidden_dropout_prob", "attention_probs_dropout_prob")


class BertConfig:
    """Sizes, activation and rates of a BERT model, under Google's names and defaults.

    Attributes:
      vocab_size: Rows of the word embeddings, at least the number of vocabulary lines.
      hidden_size: Width of every layer's output.
      num_hidden_layers: Layers of the encoder.
      num_attention_heads: Heads of each layer; hidden_size must be a multiple of it.
      intermediate_size: Width of each layer's inner, feed-forward part.
      hidden_act: Activation there and in the masked-LM head: one of ACTIVATIONS, or nothing at
        all, which is "linear".
      hidden_dropout_prob: Share of values dropped after the embeddings and each dense output.
      attention_probs_dropout_prob: Share of attention weights dropped.
      max_position_embeddings: Longest sequence the model takes, in tokens.
      type_vocab_size: Kinds of segment.
      initializer_range: Standard deviation of the truncated normal the weights start from.
      other_fields: Fields that are not BERT's, such as a file for another library carries; they
        change nothing and are written back by to_dict.
    """

    def __init__(
        self,
        vocab_size: int,
        hidden_size: int = 768,
        num_hidden_layers: int = 12,
        num_attention_heads: int = 12,
        intermediate_size: int = 3072,
        hidden_act: str | None = "gelu",
        hidden_dropout_prob: float = 0.1,
        attention_probs_dropout_prob: float = 0.1,
        max_position_embeddings: int = 512,
        type_vocab_size: int = 16,
        initializer_range: float = 0.02,
        other_fields: Mapping[str, Any] | None = None,
    ):
        """Checks every value.

        Raises:
          InputError: A value is out of its range; the message names the field.
        """
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.intermediate_size = intermediate_size
        self.hidden_act = hidden_act
        self.hidden_dropout_prob = hidden_dropout_prob
        self.attention_probs_dropout_prob = attention_probs_dropout_prob
        self.max_position_embeddings = max_position_embeddings
        self.type_vocab_size = type_vocab_size
        self.initializer_range = initializer_range
        self.other_fields = dict(other_fields or {})
        self._check()

    @classmethod
    def from_dict(cls, json_object: Mapping[str, Any]) -> "BertConfig":
        """Makes a config of a mapping from field names to values.

        Raises:
          InputError: vocab_size is missing, or a value is out of its range.
        """
        if "vocab_size" not in json_object:
            raise InputError(
                "vocab_size is missing. Add it: the number of lines of the vocabulary file."
            )
        known = {name: value for name, value in json_object.items() if name in _FIELDS}
        others = {name: value for name, value in json_object.items() if name not in _FIELDS}
        return cls(**known, other_fields=others)

    @classmethod
    def from_json_file(cls, json_file: str | os.PathLike) -> "BertConfig":
        """Reads a config file such as configs/bert_config.json.

        Raises:
          InputError: The file cannot be read, is no JSON object, or holds a value out of range;
            the message names the file.
        """
        try:
            with open(json_file, "rb") as file:
                content = file.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            raise InputError(
                f"Cannot read the config file {json_file}: {error.strerror}."
            ) from error
        if len(content) > MAX_FILE_BYTES:
            raise InputError(
                f"{json_file} is over {MAX_FILE_BYTES:,} bytes; expected a config file, which has "
                "a dozen fields."
            )
        try:
            fields = json.loads(content.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"{json_file} is not JSON ({error}); expected an object such as "
                '{"vocab_size": 32000, "hidden_size": 768}.'
            ) from error
        if not isinstance(fields, dict):
            raise InputError(
                f"{json_file} holds no JSON object; expected one such as "
                '{"vocab_size": 32000, "hidden_size": 768}.'
            )
        try:
            return cls.from_dict(fields)
        except InputError as error:
            raise InputError(f"{json_file}: {error}") from error

    def without_other_fields(self) -> "BertConfig":
        """Returns the same config without the fields that are not BERT's."""
        return BertConfig(**{name: getattr(self, name) for name in _FIELDS})

    def to_dict(self) -> dict[str, Any]:
        """All fields and values, those that are not BERT's among them."""
        return {**self.other_fields, **{name: getattr(self, name) for name in _FIELDS}}

    def to_json_string(self) -> str:
        """The text of a config file: fields in alphabetical order, one a line."""
        return json.dumps(self.to_dict(), indent=2, sort_keys=True) + "\n"

    def _check(self) -> None:
        for name in _SIZES:
            value = getattr(self, name)
            # bool is an int to Python, and `true` is no size.
            if type(value) is not int or not 1 <= value <= MAX_SIZE:
                raise InputError(
                    f"{name} is {_as_json(value)}; expected a whole number from 1 to {MAX_SIZE}."
                )
        if self.hidden_size % self.num_attention_heads:
            raise InputError(
                f"hidden_size {self.hidden_size} is not a multiple of num_attention_heads "
                f"{self.num_attention_heads}; change one of them so that the heads share it evenly."
            )
        if self.hidden_act not in (None, "") and (
            not isinstance(self.hidden_act, str) or self.hidden_act.lower() not in ACTIVATIONS
        ):
            raise InputError(
                f"hidden_act is {_as_json(self.hidden_act)}; expected one of "
                f"{', '.join(ACTIVATIONS)}."
            )
        for name in _RATES:
            value = getattr(self, name)
            if not _is_number(value) or not 0 <= value < 1:
                raise InputError(
                    f"{name} is {_as_json(value)}; expected a number from 0 to below 1."
                )
        if not _is_number(self.initializer_range) or not 0 < self.initializer_range < math.inf:
            raise InputError(
                f"initializer_range is {_as_json(self.initializer_range)}; expected a number "
                "above 0, as 0.02 is."
            )


_FIELDS = (*_SIZES, "hidden_act", *_RATES, "initializer_range")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _as_json(value: Any) -> str:
    # A message stays readable whatever a file puts in the place of a number.
    return json.dumps(value, ensure_ascii=False, default=repr)[:60]
