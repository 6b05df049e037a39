"""Texts and pairs of texts to inputs for feature extraction, and features to lines of JSON.

As in Google's extract_features.py. Nothing here needs TensorFlow.
"""

import collections
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from deeq_bert.tokenizers.base import Tokenizer
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.vocabulary import CLS, SEP

_PAIR = re.compile(r"(.*) \|\|\| (.*)")
_DECIMALS = 6


class InputFeatures(NamedTuple):
    """A text, or a pair of texts, as the model reads it, without padding.

    Attributes:
      unique_id: The number of its line, counted from 0.
      ids: Of the tokens, [CLS] and [SEP] among them.
      segment_ids: 0 up to the first [SEP], and 1 after it.
    """

    unique_id: int
    ids: tuple[int, ...]
    segment_ids: tuple[int, ...]


def parse_layers(text: str, num_hidden_layers: int) -> list[int]:
    """Returns the layers that --layers names: -1 is the last, 0 the first.

    Raises:
      InputError: One is no whole number, or there is no such layer.
    """
    layers = []
    for part in text.split(","):
        if not re.fullmatch(r"\s*-?[0-9]{1,6}\s*", part):
            raise InputError(
                f"--layers={text}: expected whole numbers separated by commas, as in -1,-2,-3,-4."
            )
        layer = int(part)
        if not -num_hidden_layers <= layer < num_hidden_layers:
            raise InputError(
                f"--layers={text}: the model has no layer {layer}. It has the layers 0 to "
                f"{num_hidden_layers - 1}, which from the last one back are -1 to "
                f"-{num_hidden_layers}."
            )
        layers.append(layer)
    return layers


def split_line(line: str) -> tuple[str, str | None]:
    """Returns the two texts of a line such as "a ||| b"; None for the second where it has one."""
    line = line.strip()
    match = _PAIR.fullmatch(line)
    return (match[1], match[2]) if match else (line, None)


def features_of_lines(
    lines: Iterable[str], tokenizer: Tokenizer, max_seq_length: int
) -> Iterator[InputFeatures]:
    """Yields the features of each line; lines are read ahead as the tokenizer does.

    Args:
      lines: See `split_line`. An empty one has [CLS] and [SEP] alone.
      tokenizer: Of the model.
      max_seq_length: Longer texts are cut at the end; of a pair, the longer one token by token.
    """
    counts: collections.deque[int] = collections.deque()

    def texts() -> Iterator[str]:
        for line in lines:
            first, second = split_line(line)
            counts.append(1 if second is None else 2)
            yield first
            if second is not None:
                yield second

    unique_id, tokenized = 0, []
    for line in tokenizer.tokenize_lines(texts()):
        tokenized.append(list(line.ids))
        if len(tokenized) == counts[0]:
            counts.popleft()
            yield _make_features(unique_id, tokenized, tokenizer, max_seq_length)
            unique_id, tokenized = unique_id + 1, []


def encode_features(
    features: InputFeatures, tokens: Sequence[str], layers: Sequence[int], values: np.ndarray
) -> str:
    """Returns the line of JSON about a text, without its end.

    Args:
      features: The text.
      tokens: Its tokens.
      layers: What the layers are called.
      values: float32 [layers, tokens, hidden].
    """
    # The product of a float32 and 10^6 is exact in float64, so this rounds as round() does.
    rounded = np.round(values.astype(np.float64), _DECIMALS)
    by_token = np.swapaxes(rounded, 0, 1).tolist()
    return json.dumps(
        {
            "linex_index": features.unique_id,
            "features": [
                {
                    "token": token,
                    "layers": [
                        {"index": layer, "values": of_layer}
                        for layer, of_layer in zip(layers, of_token)
                    ],
                }
                for token, of_token in zip(tokens, by_token)
            ],
        }
    )


def _make_features(
    unique_id: int, texts: list[list[int]], tokenizer: Tokenizer, max_seq_length: int
) -> InputFeatures:
    cls, sep = tokenizer.vocab[CLS], tokenizer.vocab[SEP]
    first, second = texts if len(texts) == 2 else (texts[0], [])
    if second:
        _truncate_pair(first, second, max_seq_length - 3)
    else:
        del first[max_seq_length - 2 :]
    ids = [cls, *first, sep]
    segment_ids = [0] * len(ids)
    if second:
        ids += [*second, sep]
        segment_ids += [1] * (len(second) + 1)
    return InputFeatures(unique_id, tuple(ids), tuple(segment_ids))


def _truncate_pair(first: list[int], second: list[int], max_length: int) -> None:
    while len(first) + len(second) > max_length:
        (first if len(first) > len(second) else second).pop()
