"""What stands beside a file of records, NAME.json: how they were made, and with which tokenizer.

Records of other programs have no such file, and are used without.
"""

import hashlib
import json
import os
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from deeq_bert.tokenizers.contract import (
    FILE_NAME,
    describe_differences,
    differences,
    read_contract,
    write_contract_file,
)
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import write_atomically

# What of a contract differs where a vocabulary has been extended.
VOCABULARY_KEYS = ("vocab_file", "vocab_size", "vocab_sha256")

_SUFFIX = ".json"
_SHARD = re.compile(r"(?s)(.+)-([0-9]{5,})-of-([0-9]{5,})")
_MAX_BYTES = 64 * 1024 * 1024


def info_path(record_file: str) -> str:
    """Returns where the information about a file of records stands."""
    return f"{record_file}{_SUFFIX}"


def encode_info(info: dict[str, Any]) -> bytes:
    """Returns the contents of that file."""
    return f"{json.dumps(info, ensure_ascii=False, indent=2)}\n".encode()


def without_info_files(files: Iterable[str]) -> list[str]:
    """Returns `files` less those that are information about others of them.

    A pattern such as train* finds both, and what is known of a set beside its shards, also of those
    that are not there any more.
    """
    files = list(files)
    present = set(files)
    present.update(shard.set_path for shard in map(shard_name, files) if shard)

    def is_info(path: str) -> bool:
        about = path.removesuffix(_SUFFIX)
        shard = shard_name(about)
        return about != path and (about in present or bool(shard and shard.set_path in present))

    return [path for path in files if not is_info(path)]


def read_info(record_file: str) -> dict[str, Any] | None:
    """Reads what is known of a file of records; None where there is nothing, or it is outdated.

    Raises:
      InputError: The information cannot be read.
    """
    info = _load_info(record_file)
    # Records that were put in the place of others since.
    return info if info and info.get("bytes") == os.path.getsize(record_file) else None


def _load_info(record_file: str) -> dict[str, Any] | None:
    path = info_path(record_file)
    try:
        if not os.path.exists(path):
            return None
        with open(path, "rb") as file:
            content = file.read(_MAX_BYTES + 1)
        info = json.loads(content) if len(content) <= _MAX_BYTES else None
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error
    except (ValueError, RecursionError):
        info = None
    if not isinstance(info, dict) or not isinstance(info.get("tokenizer"), dict):
        raise InputError(
            f"{path} does not say how {record_file} was made, as create_pretraining_data.py writes "
            "it. Restore it, or remove it to use the records without."
        )
    return info


def known_infos(record_files: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Returns what is known of each of the files, for those of which anything is."""
    infos = ((path, read_info(path)) for path in dict.fromkeys(record_files))
    return {path: info for path, info in infos if info is not None}


def check_one_tokenizer(infos: Mapping[str, dict[str, Any]]) -> None:
    """Checks that all files of records were made with one tokenizer.

    Raises:
      InputError: Two were not; names them and what differs.
    """
    first, *others = infos
    for other in others:
        differing = differences(infos[first]["tokenizer"], infos[other]["tokenizer"])
        if differing:
            raise InputError(
                "The records were not all made with one tokenizer: "
                f"{describe_differences(differing, first, other)}. Leave some of them out, or make "
                "them again; or pass --allow_tokenizer_mismatch if the difference is meant."
            )


def check_model_tokenizer(
    record_file: str, info: Mapping[str, Any], folder: str, ignoring: Collection[str] = ()
) -> None:
    """Checks that records were made with the tokenizer of the model they are for.

    Args:
      record_file: The records.
      info: What is known of them.
      folder: Where the model is; where it has no contract, all is well.
      ignoring: What may differ.

    Raises:
      InputError: The tokenizers differ.
    """
    path = os.path.join(folder, FILE_NAME)
    contract = read_contract(path)
    differing = differences(contract, info["tokenizer"]) if contract else {}
    differing = {name: values for name, values in differing.items() if name not in ignoring}
    if differing:
        raise InputError(
            f"The model in {folder} was trained on text cut in another way: "
            f"{describe_differences(differing, path, record_file)}. Choose another model or "
            "--output_dir, or records made with its tokenizer; or pass --allow_tokenizer_mismatch "
            "if the difference is meant."
        )


def check_vocab_size(
    record_file: str, info: Mapping[str, Any], vocab_size: int, config_file: str
) -> None:
    """Checks that a model has an embedding for every token of the vocabulary.

    Args:
      record_file: The records.
      info: What is known of them.
      vocab_size: How many embeddings the model has.
      config_file: Where that stands.

    Raises:
      InputError: The vocabulary is larger.
    """
    # Masks draw from the second, and from the first where that is not told.
    counts = (info["tokenizer"].get("vocab_size"), info.get("num_ids"))
    tokens = max((count for count in counts if isinstance(count, int)), default=0)
    if tokens > vocab_size:
        raise InputError(
            f"{record_file} was made with a vocabulary of {tokens} tokens, but vocab_size is "
            f"{vocab_size} in {config_file}. Set it to {tokens} there."
        )


def hand_on_tokenizer(info: Mapping[str, Any], folder: str) -> None:
    """Puts the contract into the folder of a model, with the vocabulary if it is still at hand."""
    contract = info["tokenizer"]
    vocab_file = info.get("vocab_file")
    name = contract.get("vocab_file")
    if isinstance(vocab_file, str) and isinstance(name, str) and os.path.isfile(vocab_file):
        with open(vocab_file, "rb") as file:
            vocabulary = file.read(_MAX_BYTES)
        if hashlib.sha256(vocabulary).hexdigest() == contract.get("vocab_sha256"):
            write_atomically(os.path.join(folder, os.path.basename(name)), vocabulary)
    write_contract_file(os.path.join(folder, FILE_NAME), contract)


class ShardName(NamedTuple):
    """What the name of a shard, NAME-00003-of-00010, tells.

    Attributes:
      set_path: The path without its end.
      number: Which of the set it is, counted from 0.
      count: How many there are.
    """

    set_path: str
    number: int
    count: int


def shard_name(path: str) -> ShardName | None:
    """Returns what the name of a shard tells; None for a file that is by itself."""
    match = _SHARD.fullmatch(path)
    if match is None or int(match[2]) >= int(match[3]):
        return None
    return ShardName(match[1], int(match[2]), int(match[3]))


def shard_path(shard: ShardName) -> str:
    """Returns the path of a shard."""
    return f"{shard.set_path}-{shard.number:05d}-of-{shard.count:05d}"


def read_set_info(set_path: str) -> dict[str, Any] | None:
    """Reads what is known of a set of shards as a whole; None where there is nothing.

    Raises:
      InputError: The information cannot be read.
    """
    return _load_info(set_path)
