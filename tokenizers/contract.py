"""The contract of a vocabulary: with which tokenizer it was made, and must be used.

It stands in `tokenizer_config.json` beside the vocabulary, and travels on with records and models,
so that no stage cuts text in another way than the one before. A vocabulary from elsewhere has none,
and the flags rule.
"""

import hashlib
import json
import os
from typing import Any

from deeq_bert.tokenizers.base import Tokenizer, TokenizerSettings
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import make_parent_folder, write_atomically

FILE_NAME = "tokenizer_config.json"

# Room for a long list of user words; a larger file is something else given by mistake.
_MAX_BYTES = 64 * 1024 * 1024
_MAX_SHOWN = 300
_ABOUT_THE_FILE = ("vocab_file", "contract_version")
_VERSION = 1
# What is taken from a file that is Hugging Face's as well, where other keys are theirs.
_KEYS = ("contract_version", "tokenizer", "do_lower_case", "analyzer", "deeq_compat")
_KEYS += ("vocab_file", "vocab_size", "vocab_sha256")
_THEIR_KEY = "tokenizer_class"
_THEIR_VOCABULARY = "vocab.txt"
_FLAGS = {"tokenizer": "tokenizer", "do_lower_case": "do_lower_case", "deeq_compat": "deeq_compat"}


def make_contract(name: str, tokenizer: Tokenizer) -> dict[str, Any]:
    """Returns the contract of the tokenizer `name` with its vocabulary.

    Its keys: contract_version, tokenizer, vocab_file (without folders), vocab_size (lines),
    vocab_sha256, and those of `Tokenizer.identity`: do_lower_case, analyzer, deeq_compat.
    """
    with open(tokenizer.vocab_file, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    return {
        "contract_version": _VERSION,
        "tokenizer": name,
        **tokenizer.identity(),
        "vocab_file": os.path.basename(tokenizer.vocab_file),
        "vocab_size": max(tokenizer.vocab.values()) + 1,
        "vocab_sha256": digest,
    }


def contract_path(vocab_file: str) -> str:
    """Returns where the contract of a vocabulary stands, if it has one."""
    return os.path.join(os.path.dirname(os.path.abspath(vocab_file)), FILE_NAME)


def check_can_write(vocab_file: str) -> None:
    """Checks that a vocabulary and its contract can be written.

    Raises:
      InputError: The folder cannot be written to, or has the contract of another vocabulary, or
        another program's file of that name.
    """
    make_parent_folder(vocab_file)
    path = contract_path(vocab_file)
    if not os.path.exists(path):
        return
    present = read_contract(path)
    if present is None:
        raise InputError(
            f"{path} is another program's, and would be overwritten. Choose a folder of its own "
            "for the vocabulary."
        )
    if present.get("vocab_file") != os.path.basename(vocab_file):
        raise InputError(
            f"{path} is about the vocabulary {present.get('vocab_file')}, and can be about one "
            f"only. Choose another folder for {os.path.basename(vocab_file)}."
        )


def write_contract(vocab_file: str, contract: dict[str, Any]) -> None:
    """Writes the contract beside the vocabulary, which must be there already."""
    write_contract_file(contract_path(vocab_file), contract)


def write_contract_file(path: str, contract: dict[str, Any]) -> None:
    """Writes a contract to the file `path`, whole or not at all."""
    text = json.dumps(contract, ensure_ascii=False, indent=2)
    write_atomically(path, f"{text}\n".encode())


def read_contract(path: str) -> dict[str, Any] | None:
    """Reads a contract; None where there is no file, or one of another program.

    Raises:
      InputError: The file cannot be read, or is not JSON, or of a later version.
    """
    if not os.path.exists(path):
        return None
    try:
        if os.path.getsize(path) > _MAX_BYTES:
            raise InputError(f"{path} is over {_MAX_BYTES:,} bytes; expected a short JSON file.")
        with open(path, encoding="utf-8") as file:
            contract = json.load(file)
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path} is not JSON ({error}). Restore it, or remove it to have the flags decide how "
            "text is cut."
        ) from None
    if not isinstance(contract, dict) or "contract_version" not in contract:
        return None
    if contract["contract_version"] != _VERSION:
        raise InputError(
            f"{path} has contract_version {contract['contract_version']}; this program reads "
            f"{_VERSION}. Use the version of the program that wrote it."
        )
    if _THEIR_KEY in contract:
        ours = {key: contract[key] for key in _KEYS if key in contract}
        return {**ours, "vocab_file": _THEIR_VOCABULARY}
    return contract


def contract_of_vocabulary(vocab_file: str) -> dict[str, Any] | None:
    """Returns the contract that stands beside a vocabulary, None where there is none about it."""
    contract = read_contract(contract_path(vocab_file))
    if contract and contract.get("vocab_file") == os.path.basename(vocab_file):
        return contract
    return None


def user_words(vocab_file: str) -> tuple[str, ...]:
    """Returns the words that the analyser must know to suit the vocabulary."""
    analyzer = (contract_of_vocabulary(vocab_file) or {}).get("analyzer")
    words = analyzer.get("user_words", ()) if isinstance(analyzer, dict) else ()
    return tuple(word for word in words if isinstance(word, str))


def differences(one: dict[str, Any], other: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Returns what two contracts disagree about: the values of each key, None where missing."""
    keys = [key for key in {**one, **other} if key not in _ABOUT_THE_FILE]
    return {key: (one.get(key), other.get(key)) for key in keys if one.get(key) != other.get(key)}


def describe_differences(differing: dict[str, tuple[Any, Any]], one: str, other: str) -> str:
    """Returns a sentence about `differing`; `one` and `other` say whose the values are."""
    parts = [
        f"{key} is {_show(first)} for {one} and {_show(second)} for {other}"
        for key, (first, second) in differing.items()
    ]
    return "; ".join(parts)


def check_contract(settings: TokenizerSettings, tokenizer: Tokenizer) -> dict[str, Any]:
    """Checks that a tokenizer is what its vocabulary was made with, if that is known.

    Returns:
      The contract of the tokenizer as it is.

    Raises:
      InputError: They differ; the message has both values and the flags that mend it.
    """
    present = make_contract(settings.name, tokenizer)
    expected = contract_of_vocabulary(settings.vocab_file)
    differing = differences(expected, present) if expected else {}
    if not differing:
        return present
    mends = [
        f"--{_FLAGS[key]}={value}"
        for key, (value, _) in differing.items()
        if key in _FLAGS and value is not None
    ]
    if "vocab_sha256" in differing:
        advice = "The vocabulary was changed after it was made: restore it, or make it again"
    elif mends:
        advice = f"Give {' '.join(mends)}"
    else:
        advice = "Use the analyser the vocabulary was made with, or make the vocabulary again"
    if "tokenizer" in differing:
        # All else follows from it.
        differing = {"tokenizer": differing["tokenizer"]}
    described = describe_differences(differing, "the vocabulary", "this run")
    raise InputError(
        f"{settings.vocab_file} is to be used as {contract_path(settings.vocab_file)} says, but "
        f"{described}. {advice}; or pass --allow_tokenizer_mismatch if the difference is meant."
    )


def _show(value: Any) -> str:
    if value is None:
        return "not set"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
