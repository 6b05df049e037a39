"""The one door to tokenizers, with the names of the original's `tokenization.py`."""

import re
from collections.abc import Iterable, Mapping
from typing import TypeVar

from deeq_bert.tokenizers.base import Tokenizer, TokenizerSettings
from deeq_bert.tokenizers.characters import convert_to_unicode
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.full_tokenizer import FullTokenizer
from deeq_bert.tokenizers.registry import make_tokenizer
from deeq_bert.tokenizers.vocabulary import load_vocab
from deeq_bert.tokenizers.wordpiece import BasicTokenizer, WordpieceTokenizer

__all__ = [
    "BasicTokenizer",
    "FullTokenizer",
    "Tokenizer",
    "TokenizerSettings",
    "WordpieceTokenizer",
    "convert_by_vocab",
    "convert_ids_to_tokens",
    "convert_to_unicode",
    "convert_tokens_to_ids",
    "load_vocab",
    "make_tokenizer",
    "printable_text",
    "validate_case_matches_checkpoint",
    "whitespace_tokenize",
]

_LOWER_CASED_MODELS = frozenset(
    {
        "uncased_L-24_H-1024_A-16",
        "uncased_L-12_H-768_A-12",
        "multilingual_L-12_H-768_A-12",
        "chinese_L-12_H-768_A-12",
    }
)
_CASED_MODELS = frozenset(
    {
        "cased_L-12_H-768_A-12",
        "cased_L-24_H-1024_A-16",
        "multi_cased_L-12_H-768_A-12",
    }
)

_Item = TypeVar("_Item")
_Value = TypeVar("_Value")


def convert_by_vocab(vocab: Mapping[_Item, _Value], items: Iterable[_Item]) -> list[_Value]:
    """Looks each item up; KeyError for one that is not there."""
    return [vocab[item] for item in items]


def convert_tokens_to_ids(vocab: Mapping[str, int], tokens: Iterable[str]) -> list[int]:
    """Returns the id of each token (see `convert_by_vocab`)."""
    return convert_by_vocab(vocab, tokens)


def convert_ids_to_tokens(inv_vocab: Mapping[int, str], ids: Iterable[int]) -> list[str]:
    """Returns the token of each id (see `convert_by_vocab`)."""
    return convert_by_vocab(inv_vocab, ids)


def whitespace_tokenize(text: str) -> list[str]:
    """Splits text at whitespace, as `str.split` understands it."""
    return text.split()


def printable_text(text: str | bytes) -> str:
    """Returns `text` as it can be logged (see `convert_to_unicode`)."""
    return convert_to_unicode(text)


def validate_case_matches_checkpoint(do_lower_case: bool, init_checkpoint: str | None) -> None:
    """Checks the case of the text against that of the model, where it is one Google published.

    The only trace of the case is the name of the checkpoint's folder, as it comes out of the
    archive; any other checkpoint passes.

    Raises:
      InputError: The model was trained on text of the other case.
    """
    match = re.match(r"^.*?([A-Za-z0-9_-]+)/bert_model.ckpt", init_checkpoint or "")
    if match is None:
        return
    model = match.group(1)
    if model in _LOWER_CASED_MODELS and not do_lower_case:
        case, needed = "lower-cased", True
    elif model in _CASED_MODELS and do_lower_case:
        case, needed = "cased", False
    else:
        return
    raise InputError(
        f"--do_lower_case={do_lower_case} does not fit --init_checkpoint={init_checkpoint}: "
        f"{model} was trained on {case} text. Give --do_lower_case={needed}, so that fine-tuning "
        "sees text as pre-training did; if this is another model, rename its folder."
    )
