"""A model's vocabulary exchanged for another one: which rows of the old embeddings a new one takes.

A token that both vocabularies have keeps its row. One that the old one lacks starts from the mean
of the rows of the pieces the old tokenizer would have cut it into, which is close to what the model
has learned about it; where there are no such pieces, from the usual random values.
"""

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from deeq_bert.bert.hf_weights import read_json_object
from deeq_bert.tokenizers.contract import FILE_NAME, read_contract
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.vocabulary import MAX_LINES, SPECIAL_TOKENS, load_vocab
from deeq_bert.tokenizers.wordpiece import CONTINUATION, NO_ID, WordpieceTokenizer

_VOCABULARY_FILE = "vocab.txt"
_TOKENIZER_FILE = "tokenizer.json"
_PLACEHOLDER = re.compile(r"\[unused\d+\]")


class RowSources(NamedTuple):
    """Where each row of a new vocabulary comes from.

    Attributes:
      rows: The old rows whose mean each token starts from: one for a token that is kept, none for
        one that starts from nothing.
      kept: How many tokens both vocabularies have.
      from_pieces: How many start from the mean of pieces.
      from_nothing: How many start from the usual random values.
      dropped: How many tokens the new vocabulary lacks.
    """

    rows: list[tuple[int, ...]]
    kept: int
    from_pieces: int
    from_nothing: int
    dropped: int


def match_tokens(old_tokens: Sequence[str], new_tokens: Sequence[str]) -> RowSources:
    """Finds the old rows for each token of a new vocabulary.

    Args:
      old_tokens: The vocabulary by id. Blank is no token; of a repeated one the last counts.
      new_tokens: The other, likewise.
    """
    old = {token: row for row, token in enumerate(old_tokens) if token}
    cutter = _PieceCutter(old, new_tokens)
    rows: list[tuple[int, ...]] = []
    kept = from_pieces = from_nothing = 0
    for token in new_tokens:
        if token in old:
            rows.append((old[token],))
            kept += 1
        else:
            rows.append(cutter.rows_of(token))
            from_pieces += bool(rows[-1])
            from_nothing += bool(token and not rows[-1])
    dropped = len(old.keys() - set(new_tokens))
    return RowSources(rows, kept, from_pieces, from_nothing, dropped)


def extend_rows(sources: RowSources, old: np.ndarray, initial: np.ndarray) -> np.ndarray:
    """Returns the rows of the new vocabulary, of embeddings or of the output layer's biases.

    Args:
      sources: What `match_tokens` found.
      old: A row a token of the old vocabulary, or more.
      initial: What tokens from nothing start from, and rows that are no token's: a row a token of
        the new vocabulary, or more.
    """
    extended = np.array(initial)
    single = [row for row, sources_of_row in enumerate(sources.rows) if len(sources_of_row) == 1]
    extended[single] = old[[sources.rows[row][0] for row in single]]
    for row, sources_of_row in enumerate(sources.rows):
        if len(sources_of_row) > 1:
            extended[row] = old[list(sources_of_row)].mean(axis=0, dtype=np.float64)
    return extended


class _PieceCutter:
    """Cuts tokens into those of an old vocabulary, the longest first.

    With "##" in that vocabulary, as WordPiece does: a token that cannot be cut whole has no pieces.
    Without, as the deeq tokenizer does: what is unknown in between is passed over.
    """

    def __init__(self, old: Mapping[str, int], new_tokens: Sequence[str]):
        pieces = {token: row for token, row in old.items() if not _is_placeholder(token)}
        later = {
            piece.removeprefix(CONTINUATION): row
            for piece, row in pieces.items()
            if piece.startswith(CONTINUATION) and piece != CONTINUATION
        }
        self._has_continuations = bool(later)
        if not later:
            # A character that starts no piece is one of its own, which is then left out.
            unknown = dict.fromkeys(set().union(*new_tokens), NO_ID)
            pieces = later = {**unknown, **pieces}
        marked = {f"{CONTINUATION}{piece}": row for piece, row in later.items()}
        first = {p: row for p, row in pieces.items() if not p.startswith(CONTINUATION)}
        self._words = WordpieceTokenizer({**first, **marked}, unk_token="")
        # What goes on with a word can only be made of pieces that do, its first one, too.
        self._continuations = WordpieceTokenizer({**later, **marked}, unk_token="")

    def rows_of(self, token: str) -> tuple[int, ...]:
        """Returns the rows of the pieces of a token that the old vocabulary lacks."""
        if not token or _is_placeholder(token):
            return ()
        is_continuation = token.startswith(CONTINUATION) and token != CONTINUATION
        cutter = self._continuations if is_continuation else self._words
        word = token.removeprefix(CONTINUATION) if is_continuation else token
        return tuple(row for row in cutter.ids_of(word) if row != NO_ID)


def vocabulary_beside(init_checkpoint: str) -> str | None:
    """Finds the vocabulary that stands with a model: vocab.txt, or what stands for it.

    That is the file named in tokenizer_config.json where that is ours, and tokenizer.json in a
    folder that transformers 5 wrote, which has no vocab.txt.

    Args:
      init_checkpoint: The prefix of a checkpoint, or a folder.

    Returns:
      Its path, to be read by `load_vocabulary`; None where there is none.
    """
    folder = init_checkpoint
    if not os.path.isdir(folder):
        folder = os.path.dirname(os.path.abspath(folder))
    named = (read_contract(os.path.join(folder, FILE_NAME)) or {}).get("vocab_file")
    names = [os.path.basename(named)] if isinstance(named, str) else []
    for name in (*names, _VOCABULARY_FILE):
        path = os.path.join(folder, name)
        if name and os.path.isfile(path):
            return path
    path = os.path.join(folder, _TOKENIZER_FILE)
    return path if os.path.isfile(path) and _has_wordpieces(read_json_object(path)) else None


def load_vocabulary(path: str) -> list[str]:
    """Reads a vocabulary by id, blank where a line of the file has no token of its own.

    Args:
      path: A file with one token a line, or a tokenizer.json of transformers.

    Raises:
      InputError: It cannot serve as a vocabulary.
    """
    if not path.endswith(".json"):
        return _by_id(load_vocab(path))
    content = read_json_object(path)
    if not _has_wordpieces(content):
        raise InputError(
            f"{path} holds no WordPiece vocabulary. Give a file with one token a line, in the "
            "order of the model's word embeddings."
        )
    added = content.get("added_tokens")
    added = added if isinstance(added, list) else []
    entries = [
        *content["model"]["vocab"].items(),
        *((token.get("content"), token.get("id")) for token in added if isinstance(token, dict)),
    ]
    for token, index in entries:
        if not isinstance(token, str) or type(index) is not int or not 0 <= index < MAX_LINES:
            raise InputError(
                f"{path} gives {str(token)[:50]!r} the id {str(index)[:50]}; expected ids from 0 "
                f"to {MAX_LINES - 1:,}. Download or save the model anew."
            )
    return _by_id(dict(entries))


def _by_id(vocab: Mapping[str, int]) -> list[str]:
    tokens = [""] * (max(vocab.values(), default=-1) + 1)
    for token, index in vocab.items():
        tokens[index] = token
    return tokens


def _has_wordpieces(content: Mapping[str, Any]) -> bool:
    model = content.get("model")
    return (
        isinstance(model, dict)
        and model.get("type") == "WordPiece"
        and isinstance(model.get("vocab"), dict)
    )


def _is_placeholder(token: str) -> bool:
    return token in SPECIAL_TOKENS or _PLACEHOLDER.fullmatch(token) is not None
