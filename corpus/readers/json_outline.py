"""The paths that there are in a JSON file, as far as its beginning shows them."""

import json
import re

from deeq_bert.corpus.readers.input_file import InputFile
from deeq_bert.corpus.readers.json_paths import Step, Steps

# A string that the end of what is looked at cuts off is a token too.
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)
_MAX_DEPTH = 20


def paths_at_start(file: InputFile, length: int) -> dict[Steps, None]:
    """Returns the paths in the first `length` characters, in their order."""
    return _outline(_read_start(file, length))


def _read_start(file: InputFile, length: int) -> str:
    blocks = []
    size = 0
    for block in file.text_blocks():
        blocks.append(block)
        size += len(block)
        if size >= length:
            break
    return "".join(blocks)[:length]


def _outline(text: str) -> dict[Steps, None]:
    paths: dict[Steps, None] = {}
    # The way to each list or object that is open, and whether it is an object.
    open_values: list[tuple[Steps, bool]] = []
    path: Steps = ()
    expects_key = False
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token == "{":
            open_values.append((path, True))
            expects_key = True
        elif token == "[":
            open_values.append((path, False))
            path = (*path, Step.EACH)
            paths[path] = None
        elif token in "]}":
            if not open_values:
                break
            path, _ = open_values.pop()
            expects_key = False
        elif token == ",":
            if not open_values:
                break
            path, expects_key = open_values[-1]
            if not expects_key:
                path = (*path, Step.EACH)
        elif expects_key:
            path = (*open_values[-1][0], _decode(token))
            paths[path] = None
            expects_key = False
        if len(open_values) > _MAX_DEPTH:
            break
    return paths


def _decode(token: str) -> str:
    try:
        return json.loads(token, strict=False)
    except json.JSONDecodeError:
        return token
