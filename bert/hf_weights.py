"""The weights in a Hugging Face folder: config.json and model.safetensors, read without torch.

Large models are in several files, which model.safetensors.index.json lists. Files that need pickle
are not read: they can run any code.
"""

import json
import os
import re
from typing import Any

import numpy as np

from deeq_bert.bert.hf_mapping import (
    DECODER_WEIGHT,
    WORD_EMBEDDINGS,
    NamePair,
    name_pairs,
    names_in_files,
)
from deeq_bert.tokenizers.errors import InputError

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
OTHER_WEIGHTS = (
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "tf_model.h5",
    "flax_model.msgpack",
)

_DTYPES = ("F32", "F16", "BF16", "F64")
# A name costs about 100 bytes in an index, and a config has some dozens of fields.
_MAX_JSON_BYTES = 16 * 1024 * 1024
_LAYER = re.compile(r"(?:bert\.)?encoder\.layer\.(\d+)\.")


class HuggingFaceWeights:
    """The weights of a BERT that transformers saved, under Google's names and in their layout.

    Attributes:
      path: The folder.
      shapes: The shape of every variable by Google's name.
      skipped: The names of the tensors that are none of BERT's variables.
    """

    def __init__(self, folder: str):
        """Opens the files and reads what they list, no values yet.

        Raises:
          InputError: A file is missing, damaged or of another kind, or the package safetensors is
            missing.
        """
        self.path = folder
        self._files = _open_all(folder)
        layers = {match[1] for match in map(_LAYER.match, self._files) if match}
        self._stored: dict[str, tuple[NamePair, str]] = {}
        for pair in name_pairs(len(layers)):
            name = next((name for name in names_in_files(pair) if name in self._files), None)
            if name is not None:
                self._stored[pair.google] = (pair, name)
        self.shapes = {google: self._shape(*stored) for google, stored in self._stored.items()}
        used = {name for _, name in self._stored.values()} | {DECODER_WEIGHT}
        self.skipped = sorted(self._files.keys() - used)

    def read(self, name: str) -> np.ndarray:
        """Returns the value of one variable by Google's name, float32.

        Raises:
          InputError: It cannot be read, or is in a type that holds no weights.
        """
        pair, stored = self._stored[name]
        value = self._read_stored(stored)
        return value.T if pair.is_transposed else value

    def has_own_decoder(self) -> bool:
        """Whether the output layer's weights are others than the word embeddings."""
        if DECODER_WEIGHT not in self._files or WORD_EMBEDDINGS not in self._stored:
            return False
        return not np.array_equal(self._read_stored(DECODER_WEIGHT), self.read(WORD_EMBEDDINGS))

    def _shape(self, pair: NamePair, stored: str) -> list[int]:
        path, file = self._files[stored]
        try:
            shape = list(file.get_slice(stored).get_shape())
        except _safetensors_error() as error:
            raise _damaged(path, error) from error
        return shape[::-1] if pair.is_transposed else shape

    def _read_stored(self, stored: str) -> np.ndarray:
        path, file = self._files[stored]
        try:
            dtype = file.get_slice(stored).get_dtype()
            if dtype == "BF16":
                _know_bfloat16()
            if dtype in _DTYPES:
                return file.get_tensor(stored).astype(np.float32)
        except _safetensors_error() as error:
            raise _damaged(path, error) from error
        raise InputError(
            f"{path} holds {stored} as {dtype}; expected one of {', '.join(_DTYPES)}. Save the "
            "model in float32 with transformers."
        )


def read_json_object(path: str) -> dict[str, Any]:
    """Reads a JSON file of bounded size.

    Raises:
      InputError: It cannot be read, or holds something else than an object.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(_MAX_JSON_BYTES + 1)
        value = json.loads(content) if len(content) <= _MAX_JSON_BYTES else None
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InputError(
            f"{path} is not a JSON object of at most {_MAX_JSON_BYTES:,} bytes, as transformers "
            "writes it. Download or save the model anew."
        )
    return value


def _open_all(folder: str) -> dict[str, tuple[str, Any]]:
    """Returns the path and the open file of every tensor by its name."""
    index = os.path.join(folder, INDEX_FILE)
    # As transformers does, where both are there.
    if os.path.exists(os.path.join(folder, WEIGHTS_FILE)) or not os.path.exists(index):
        return _open(os.path.join(folder, WEIGHTS_FILE))
    weight_map = read_json_object(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise InputError(f"{index} has no weight_map, which says in which file each tensor is.")
    tensors = {}
    for name in dict.fromkeys(map(_as_text, weight_map.values())):
        # Links may lead elsewhere, as those of transformers' download folder do; names may not.
        if os.path.basename(name) != name or not name.endswith(".safetensors"):
            raise InputError(
                f"{index} names {name[:200]!r}; expected .safetensors files of its own folder. "
                "Download or save the model anew."
            )
        tensors |= _open(os.path.join(folder, name))
    missing = sorted(weight_map.keys() - tensors.keys())
    if missing:
        raise InputError(
            f"{missing[0]} is in none of the files that {index} lists. Download or save the model "
            "anew."
        )
    return tensors


def _open(path: str) -> dict[str, tuple[str, Any]]:
    error_type = _safetensors_error()
    from safetensors import safe_open

    if not os.path.isfile(path):
        raise InputError(f"{path} is missing, or no regular file. Download or save the model anew.")
    try:
        file = safe_open(path, framework="numpy")
        return {name: (path, file) for name in file.keys()}  # noqa: SIM118  it is no dictionary
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror or error}.") from error
    except error_type as error:
        raise _damaged(path, error) from error


def _safetensors_error() -> type[Exception]:
    try:
        from safetensors import SafetensorError
    except ImportError:
        raise _missing("safetensors") from None
    return SafetensorError


def _know_bfloat16() -> None:
    # safetensors asks numpy for a type of that name, which numpy knows from this import on.
    try:
        import ml_dtypes  # noqa: F401
    except ImportError:
        raise _missing("ml_dtypes") from None


def _missing(package: str) -> InputError:
    return InputError(
        f"Reading a Hugging Face folder needs the package {package}. Install it with "
        "pip install -e '.[export]'."
    )


def _damaged(path: str, error: Exception) -> InputError:
    return InputError(
        f"{path} is damaged, cut off or no safetensors file ({str(error)[:200]}). Download or save "
        "the model anew."
    )


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)
