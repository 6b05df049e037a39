"""The choice among the sentence splitters."""

from collections.abc import Callable

from deeq_bert.corpus import sentences
from deeq_bert.corpus.kiwi_sentences import HybridSplitter, KiwiSplitter
from deeq_bert.tokenizers.errors import InputError

SPLITTERS = ("rule", "kiwi", "hybrid", "none")


def make_splitter(name: str) -> Callable[[str], list[str]]:
    """Returns what splits a paragraph into sentences (see `sentences.split`).

    It is made in no time and can be sent to other processes; Kiwi is loaded when it is first used.

    Args:
      name: One of SPLITTERS. "none" splits at line feeds only.

    Raises:
      InputError: There is no such splitter, or it needs Kiwi, which is not installed.
    """
    if name == "rule":
        return sentences.split
    if name == "kiwi":
        return KiwiSplitter()
    if name == "hybrid":
        return HybridSplitter()
    if name == "none":
        return split_lines
    raise InputError(
        f"There is no sentence splitter {name!r}. Choose one of {', '.join(SPLITTERS)}."
    )


def split_lines(paragraph: str) -> list[str]:
    """Splits a paragraph at its line feeds; lines are stripped, none is empty."""
    lines = (line.strip() for line in paragraph.split("\n"))
    return [line for line in lines if line]
