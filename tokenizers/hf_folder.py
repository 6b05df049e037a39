"""Folders that transformers' AutoTokenizer.from_pretrained loads a tokenizer from.

A wordpiece vocabulary becomes a BertTokenizer, a morpheme vocabulary the class of `hf_tokenizer`,
whose code goes into the folder with the modules it needs. `tokenizer_config.json` is both
transformers' configuration and the contract of the vocabulary (see `contract`).

BertTokenizer gives other ids than ours for text with
- [CLS], [MASK] and other special tokens, which are tokens there, and ordinary text here;
- words of 101 to 200 characters, which are [UNK] there;
- characters of Unicode's categories Co, Cn and Cs (for private use, not assigned, surrogates),
  which vanish there;
- ideographs from U+2B820 to U+2B91F, which are not words of their own there;
- characters that another version of Unicode puts into another class.
With transformers 5.24, these are 44 of the 1,132 pairs of tests/data/own (38 by special tokens, 6
by long words), and 265 of 3,606 of another recording, which is mostly made of odd characters (177
by their category, 50 by special tokens, 30 by long words, 8 by the version of Unicode).

With `tokenizer.json`, only the first and the last two are left: 38 and 61 pairs. It is what the
library tokenizers, BertTokenizer of transformers 4 and `PreTrainedTokenizerFast.from_pretrained`
read; BertTokenizer of transformers 5 takes no more than the vocabulary from it.
"""

import ast
import importlib.util
import json
import os
from typing import Any

from deeq_bert.tokenizers import contract as contracts
from deeq_bert.tokenizers.base import Tokenizer
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import atomic_outputs, make_folder
from deeq_bert.tokenizers.vocabulary import CLS, MASK, PAD, SEP, SPECIAL_TOKENS, UNK
from deeq_bert.tokenizers.wordpiece import CONTINUATION

VOCAB_FILE = "vocab.txt"
CONFIG_FILE = contracts.FILE_NAME

_PACKAGE = "deeq_bert.tokenizers."
_REMOTE_MODULE = f"{_PACKAGE}hf_tokenizer"
_REMOTE_CLASS = "DeeqBertTokenizer"
_INPUT_NAMES = ["input_ids", "token_type_ids", "attention_mask"]
_ROLES = {
    "unk_token": UNK,
    "sep_token": SEP,
    "pad_token": PAD,
    "cls_token": CLS,
    "mask_token": MASK,
}
# What the original drops: control and format characters but tab and line ends, and U+FFFD.
_DROPPED = r"[[\p{Cc}\p{Cf}\x{FFFD}]&&[^\t\n\r]]"


def check_analyzer(contract: dict[str, Any]) -> None:
    """Checks that the exported tokenizer has the analyser of the vocabulary, where there is one.

    Raises:
      InputError: It is another than Kiwi.
    """
    name = contract.get("analyzer", {}).get("name", "kiwi")
    if name != "kiwi":
        raise InputError(
            f"The vocabulary has its morphemes from {name}, but the exported tokenizer has Kiwi "
            "find them, which cuts some text in another way. Pass --allow_tokenizer_mismatch if "
            "that will do."
        )


def folder_files(
    tokenizer: Tokenizer, contract: dict[str, Any], model_max_length: int
) -> dict[str, bytes]:
    """Returns the files of a tokenizer's folder: the content of each name.

    Args:
      tokenizer: A wordpiece, deeq or deeq-wordpiece tokenizer.
      contract: What `make_contract` says of it.
      model_max_length: The most tokens that the model takes.

    Raises:
      InputError: It is another tokenizer, or the vocabulary cannot be read.
    """
    name = contract["tokenizer"]
    # A vocabulary without [PAD] must have none: transformers would put it after the last token,
    # where the model has no embedding.
    roles = {role: token for role, token in _ROLES.items() if token in tokenizer.vocab}
    # It must not have vocab_file, which transformers (before 5.24) would look for where it runs.
    config = {
        **{key: value for key, value in contract.items() if key != "vocab_file"},
        **dict.fromkeys(_ROLES),
        **roles,
        "model_max_length": model_max_length,
        "model_input_names": _INPUT_NAMES,
        "clean_up_tokenization_spaces": False,
    }
    contents = {
        VOCAB_FILE: _read_vocabulary(tokenizer.vocab_file),
        "special_tokens_map.json": _to_json(roles),
    }
    if name == "wordpiece":
        config["tokenizer_class"] = "BertTokenizer"
        config["strip_accents"] = contract["do_lower_case"]
        config["tokenize_chinese_chars"] = True
        contents["tokenizer.json"] = _to_json(
            _fast_tokenizer(tokenizer.vocab, contract["do_lower_case"]), indent=None
        )
    elif name in ("deeq", "deeq-wordpiece"):
        config["tokenizer_class"] = _REMOTE_CLASS
        config["auto_map"] = {
            "AutoTokenizer": [f"{_flat_name(_REMOTE_MODULE)}.{_REMOTE_CLASS}", None]
        }
        contents.update(_remote_code())
    else:
        raise InputError(
            f"--tokenizer={name} cannot be exported; expected wordpiece, deeq or deeq-wordpiece. "
            "A plug-in needs an export of its own."
        )
    contents[CONFIG_FILE] = _to_json(config)
    return contents


def write_folder(folder: str, contents: dict[str, bytes]) -> None:
    """Writes the files of a tokenizer's folder, all of them or none.

    Raises:
      InputError: The folder cannot be written to, or has other files of these names, which would
        be lost.
    """
    make_folder(folder)
    _check_can_replace(folder, contents)
    with atomic_outputs([os.path.join(folder, name) for name in contents]) as outputs:
        for output, content in zip(outputs, contents.values()):
            output.write(content)


def _check_can_replace(folder: str, contents: dict[str, bytes]) -> None:
    is_ours = contracts.read_contract(os.path.join(folder, CONFIG_FILE)) is not None
    for name, content in contents.items():
        path = os.path.join(folder, name)
        if not os.path.lexists(path):
            continue
        if not os.path.isfile(path):
            raise InputError(f"{path} is not a regular file; choose another folder.")
        # A vocabulary cannot be had back, and goes with the models that were made with it.
        if (name == VOCAB_FILE or not is_ours) and _read(path) != content:
            owner = "another vocabulary" if name == VOCAB_FILE else "another program's"
            raise InputError(f"{path} is {owner}, and would be overwritten. Choose another folder.")


def _fast_tokenizer(vocab: dict[str, int], do_lower_case: bool) -> dict[str, Any]:
    """Returns a tokenizer in the format of the library tokenizers."""
    added = [
        {
            "id": vocab[token],
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for token in SPECIAL_TOKENS
        if token in vocab
    ]
    normalizers = [
        {"type": "Replace", "pattern": {"Regex": _DROPPED}, "content": ""},
        {
            "type": "BertNormalizer",
            "clean_text": False,
            "handle_chinese_chars": True,
            "strip_accents": do_lower_case,
            "lowercase": do_lower_case,
        },
    ]
    first = [_special(CLS, 0), _sequence("A", 0), _special(SEP, 0)]
    second = [_sequence("B", 1), _special(SEP, 1)]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": sorted(added, key=lambda token: token["id"]),
        "normalizer": {"type": "Sequence", "normalizers": normalizers},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": first,
            "pair": first + second,
            "special_tokens": {
                token: {"id": token, "ids": [vocab[token]], "tokens": [token]}
                for token in (CLS, SEP)
            },
        },
        "decoder": {"type": "WordPiece", "prefix": CONTINUATION, "cleanup": False},
        "model": {
            "type": "WordPiece",
            "unk_token": UNK,
            "continuing_subword_prefix": CONTINUATION,
            "max_input_chars_per_word": 200,
            "vocab": vocab,
        },
    }


def _special(token: str, segment: int) -> dict[str, Any]:
    return {"SpecialToken": {"id": token, "type_id": segment}}


def _sequence(name: str, segment: int) -> dict[str, Any]:
    return {"Sequence": {"id": name, "type_id": segment}}


def _remote_code() -> dict[str, bytes]:
    """Returns the sources of the remote class and all it imports, by the names in the folder."""
    sources: dict[str, str] = {}
    waiting = [_REMOTE_MODULE]
    while waiting:
        module = waiting.pop()
        if module not in sources:
            sources[module], imported = _with_relative_imports(module)
            waiting.extend(imported)
    # transformers copies the modules that are imported in this form; before 5, only those that the
    # first one imports.
    sources[_REMOTE_MODULE] += "\n\n# For transformers to find the modules that others import.\n"
    for module in sorted(sources.keys() - {_REMOTE_MODULE}):
        sources[_REMOTE_MODULE] += f"from .{_flat_name(module)} import __name__ as _  # noqa\n"
    return {f"{_flat_name(module)}.py": sources[module].encode() for module in sorted(sources)}


def _with_relative_imports(module: str) -> tuple[str, list[str]]:
    """Returns the source of a module for a folder without packages, and the modules it imports."""
    source = importlib.util.find_spec(module).loader.get_source(module)
    lines = source.splitlines(keepends=True)
    imported = []
    nodes = [node for node in ast.walk(ast.parse(source)) if _is_import_of_ours(node)]
    for node in sorted(nodes, key=lambda node: node.lineno, reverse=True):
        if importlib.util.find_spec(node.module).submodule_search_locations is None:
            imported.append(node.module)
            node.module = _flat_name(node.module)
        else:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                imported.append(name)
                alias.asname = alias.asname or alias.name
                alias.name = _flat_name(name)
            node.module = None
        node.level = 1
        lines[node.lineno - 1 : node.end_lineno] = f"{' ' * node.col_offset}{ast.unparse(node)}\n"
    origin = f"# {module} of deeq-bert, exported. Licensed under the Apache License 2.0.\n"
    return origin + "".join(lines), imported


def _is_import_of_ours(node: ast.AST) -> bool:
    return isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(_PACKAGE)


def _flat_name(module: str) -> str:
    """Returns the name of a module in the folder, where transformers takes no sub-packages."""
    return f"deeq_bert_{module.removeprefix(_PACKAGE).replace('.', '_')}"


def _read_vocabulary(path: str) -> bytes:
    try:
        return _read(path)
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _to_json(value: Any, indent: int | None = 2) -> bytes:
    return f"{json.dumps(value, ensure_ascii=False, indent=indent)}\n".encode()
