"""Tokenizers by name: the built-in ones, and plug-ins that are installed."""

import importlib.metadata

from deeq_bert.tokenizers.base import Tokenizer, TokenizerSettings
from deeq_bert.tokenizers.errors import InputError

BUILT_IN = ("wordpiece", "deeq", "deeq-wordpiece")
# The entry-point group under which an installed package registers a tokenizer.
ENTRY_POINT_GROUP = "deeq_bert.tokenizers"


def uses_analyzer(name: str) -> bool:
    """Whether the tokenizer `name` has text analysed to morphemes."""
    return name in ("deeq", "deeq-wordpiece")


def check_name(name: str) -> None:
    """Checks that there is a tokenizer `name`, without loading it.

    Raises:
      InputError: There is none; names those there are.
    """
    known = [*BUILT_IN, *sorted(_plug_ins())]
    if name not in known:
        raise InputError(
            f"--tokenizer={name}: there is no such tokenizer. Give one of {', '.join(known)}, or "
            f"install the package that has it (entry points of the group {ENTRY_POINT_GROUP})."
        )


def make_tokenizer(settings: TokenizerSettings) -> Tokenizer:
    """Makes the tokenizer that `settings` ask for.

    Raises:
      InputError: There is none of that name, a plug-in cannot be loaded, or the settings or the
        vocabulary do not suit it.
    """
    check_name(settings.name)
    if settings.name == "wordpiece":
        from deeq_bert.tokenizers.full_tokenizer import FullTokenizer

        return FullTokenizer(settings.vocab_file, settings.do_lower_case)
    if uses_analyzer(settings.name):
        from deeq_bert.tokenizers.analyzers.selection import make_analyzer
        from deeq_bert.tokenizers.deeq import DeeqTokenizer, DeeqWordpieceTokenizer

        analyzer = make_analyzer(settings.analyzer)
        if settings.name == "deeq":
            return DeeqTokenizer(settings.vocab_file, analyzer, settings.deeq_compat)
        return DeeqWordpieceTokenizer(settings.vocab_file, analyzer)
    return _make_plug_in(settings)


def _plug_ins() -> dict[str, importlib.metadata.EntryPoint]:
    entry_points = importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)
    return {entry.name: entry for entry in entry_points if entry.name not in BUILT_IN}


def _make_plug_in(settings: TokenizerSettings) -> Tokenizer:
    entry = _plug_ins()[settings.name]
    try:
        make = entry.load()
    except Exception as error:
        raise InputError(
            f"--tokenizer={settings.name}: the plug-in {entry.value} cannot be loaded: "
            f"{type(error).__name__}: {error}. Mend or reinstall its package."
        ) from error
    tokenizer = make(settings)
    if not isinstance(tokenizer, Tokenizer):
        raise InputError(
            f"--tokenizer={settings.name}: the plug-in {entry.value} gave a "
            f"{type(tokenizer).__name__}; expected a subclass of deeq_bert.tokenizers.base."
            "Tokenizer. Mend its package."
        )
    return tokenizer
