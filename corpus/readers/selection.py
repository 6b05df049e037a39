"""The readers by name, and which of them a file wants."""

import functools
import inspect
import os
from collections.abc import Callable, Mapping
from typing import Any

from deeq_bert.corpus.readers.aihub import AiHubReader
from deeq_bert.corpus.readers.annotated_text import ConlluReader, KsponReader
from deeq_bert.corpus.readers.base import Reader
from deeq_bert.corpus.readers.extracted_wiki import KowikitextReader, WikiExtractorReader
from deeq_bert.corpus.readers.html_pages import HtmlReader
from deeq_bert.corpus.readers.json_files import JsonLinesReader, JsonReader
from deeq_bert.corpus.readers.markdown_pages import MarkdownReader
from deeq_bert.corpus.readers.mediawiki import MediaWikiReader
from deeq_bert.corpus.readers.namuwiki import NamuwikiReader
from deeq_bert.corpus.readers.nikl import NiklReader
from deeq_bert.corpus.readers.plain_text import PlainTextReader
from deeq_bert.corpus.readers.restructured_text import RestructuredTextReader
from deeq_bert.corpus.readers.sejong import SejongReader
from deeq_bert.corpus.readers.tables import TableReader
from deeq_bert.corpus.readers.xml_files import XmlReader
from deeq_bert.tokenizers.errors import InputError

READERS: Mapping[str, Callable[..., Reader]] = {
    "text": PlainTextReader,
    "csv": TableReader,
    "tsv": functools.partial(TableReader, delimiter="\t", quoting="none"),
    "json": JsonReader,
    "jsonl": JsonLinesReader,
    "xml": XmlReader,
    "rss": functools.partial(XmlReader, content="html"),
    "html": HtmlReader,
    "markdown": MarkdownReader,
    "rst": RestructuredTextReader,
    "mediawiki": MediaWikiReader,
    "wikiextractor": WikiExtractorReader,
    "kowikitext": KowikitextReader,
    "namuwiki": NamuwikiReader,
    "nikl": NiklReader,
    "aihub": AiHubReader,
    "sejong": SejongReader,
    "kspon": KsponReader,
    "conllu": ConlluReader,
}

_BY_ENDING = {
    ".txt": "text",
    ".csv": "csv",
    ".tsv": "tsv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".xml": "xml",
    ".rss": "rss",
    ".atom": "rss",
    ".html": "html",
    ".htm": "html",
    ".md": "markdown",
    ".markdown": "markdown",
    ".mdx": "markdown",
    ".rst": "rst",
    ".sjml": "nikl",
    ".trn": "kspon",
    ".conllu": "conllu",
}
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst")


def reader_name(name: str, path: str) -> str:
    """Returns the name of the reader for a file.

    Args:
      name: A reader's name, or "auto" to go by the file's.
      path: The file.

    Raises:
      InputError: There is no such reader, or the file's name says nothing.
    """
    if name != "auto":
        if name not in READERS:
            raise InputError(
                f"--reader={name}: no such reader. There are auto, {', '.join(READERS)}."
            )
        return name
    ending = ending_of(path)
    if ending not in _BY_ENDING:
        raise InputError(
            f"{path}: its name does not say what format it is of. Give --reader, one of "
            f"{', '.join(READERS)}."
        )
    return _BY_ENDING[ending]


def ending_of(path: str) -> str:
    """Returns the ending of a file's name in small letters, that of a compression left out."""
    stem, ending = os.path.splitext(path.lower())
    return os.path.splitext(stem)[1] if ending in _COMPRESSED else ending


def make_reader(name: str, options: Mapping[str, Mapping[str, Any]]) -> Reader:
    """Makes a reader.

    Args:
      name: One of READERS.
      options: By the name of a reader, its options; those under "*" are for whichever is used.

    Raises:
      InputError: An option is not known, or has a value it cannot have.
    """
    make = READERS[name]
    known = inspect.signature(make).parameters
    given = {**options.get(name, {}), **options.get("*", {})}
    for option, value in given.items():
        if option not in known:
            raise InputError(
                f"The reader {name} has no option {option!r}; it has "
                f"{', '.join(known) or 'none at all'}."
            )
        default = known[option].default
        if isinstance(value, bool) != isinstance(default, bool):
            if isinstance(default, str) and not isinstance(value, bool):
                continue
            raise InputError(
                f"reader.{option}={value!r}: expected a value such as {default!r} for the reader "
                f"{name}."
            )
        if isinstance(default, str):
            given[option] = str(value)
    return make(**given)
