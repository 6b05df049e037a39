"""The sources of a corpus: their files, how each is cleaned, and how much of each is taken."""

import dataclasses
import fnmatch
import os
from collections.abc import Mapping, Sequence
from typing import Any

from absl import logging

from deeq_bert.corpus.cleaning import Cleaner
from deeq_bert.corpus.readers import selection, text_encodings
from deeq_bert.corpus.settings import (
    SourceSettings,
    change_settings,
    did_you_mean,
    preset_path,
    read_json_object,
    read_settings,
)
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import expand_patterns

_ENTRY_FIELDS = (
    "name",
    "input_file",
    "exclude",
    "source",
    "config_file",
    "reader",
    "set",
    "encoding",
    "weight",
    "cap_mb",
)
MAX_WEIGHT = 100.0
MAX_CAP_MB = 1e9


@dataclasses.dataclass(frozen=True)
class Source:
    """A source of text.

    Attributes:
      name: Its name in the report.
      files: Its files, in order.
      settings: How it is read and cleaned.
      encoding: The encoding of its files, or "auto".
      weight: How often each of its documents is written; with a fraction, as 0.5 or 2.5, each has
        that chance of being written, or once more.
      cap_mb: How many megabytes of it are written at most, about; None for all.
    """

    name: str
    files: tuple[str, ...]
    settings: SourceSettings
    encoding: str = "auto"
    weight: float = 1.0
    cap_mb: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Returns all but the files."""
        value = dataclasses.asdict(self)
        del value["files"]
        return value


def make_source(
    input_file: str,
    *,
    exclude: str = "",
    name: str = "",
    source: str | None = None,
    config_file: str | None = None,
    reader: str | None = None,
    changes: Sequence[str] = (),
    encoding: str = "auto",
    weight: float = 1.0,
    cap_mb: float | None = None,
) -> Source:
    """Makes a source of what flags or an entry of a manifest say, and checks all of it.

    Args:
      input_file: Paths and glob patterns, separated by commas.
      exclude: Patterns of files to leave out, separated by commas; each is held against the whole
        path and against the file's own name.
      name: Its name in the report; that of the configuration if empty.
      source: The name of a configuration in configs/corpus.
      config_file: Or the path of one.
      reader: A reader's name, in the place of what the configuration says.
      changes: As `--set` has them.
      encoding: See `Source`, as for the rest.
      weight: Above 0.
      cap_mb: Above 0, up to MAX_CAP_MB, or None.

    Raises:
      InputError: Something of it cannot be used.
    """
    if (source is None) == (config_file is None):
        raise InputError(
            f"{input_file}: give either --source, the name of a kind of source, or --config_file, "
            "a configuration of your own."
        )
    path = config_file if source is None else preset_path(source)
    settings = change_settings(read_settings(path), changes)
    if reader:
        settings = dataclasses.replace(settings, reader=reader)
    if not 0 < weight <= MAX_WEIGHT:
        raise InputError(
            f"{input_file}: the weight is {weight}; expected a number above 0, up to {MAX_WEIGHT}."
        )
    if cap_mb is not None and not 0 < cap_mb <= MAX_CAP_MB:
        raise InputError(
            f"{input_file}: cap_mb is {cap_mb}; expected a number above 0, up to {MAX_CAP_MB:,.0f}."
        )
    if encoding != "auto":
        text_encodings.check(encoding)
    files = _find_files(input_file, exclude)
    for reader_name in sorted({selection.reader_name(settings.reader, file) for file in files}):
        selection.make_reader(reader_name, settings.reader_options)
    Cleaner(settings)
    if not name:
        name = source or os.path.splitext(os.path.basename(path))[0]
    return Source(name, files, settings, encoding, weight, cap_mb)


def read_manifest(path: str, changes: Sequence[str] = ()) -> list[Source]:
    """Reads the sources of a manifest: {"sources": [{"source": …, "input_file": …}, …]}.

    Files are found from the folder of the manifest on. An entry's fields are those of
    `make_source`, `set` being a list or an object of changes.

    Args:
      path: The manifest.
      changes: Changes for all of its sources, after their own.

    Raises:
      InputError: The manifest or one of its sources cannot be used.
    """
    entries = read_json_object(path).get("sources")
    if not isinstance(entries, list) or not entries:
        raise InputError(f'{path}: expected {{"sources": […]}} with at least one source.')
    folder = os.path.dirname(os.path.abspath(path))
    sources = []
    for number, entry in enumerate(entries, 1):
        place = f"{path}, source {number}"
        if not isinstance(entry, dict) or not isinstance(entry.get("input_file"), str):
            raise InputError(f"{place}: expected an object with input_file and source.")
        _check_entry(entry, place)
        try:
            sources.append(
                make_source(
                    _from_folder(folder, entry["input_file"]),
                    exclude=entry.get("exclude", ""),
                    name=entry.get("name", ""),
                    source=entry.get("source"),
                    config_file=_from_folder(folder, entry.get("config_file")),
                    reader=entry.get("reader"),
                    changes=[*_changes(entry.get("set", []), place), *changes],
                    encoding=entry.get("encoding", "auto"),
                    weight=entry.get("weight", 1.0),
                    cap_mb=entry.get("cap_mb"),
                )
            )
        except InputError as error:
            raise InputError(f"{place}: {error}") from None
    _name_apart(sources)
    return sources


def _check_entry(entry: Mapping[str, Any], place: str) -> None:
    for field, value in entry.items():
        if field not in _ENTRY_FIELDS:
            raise InputError(
                f"{place}: unknown field {field!r}{did_you_mean(field, _ENTRY_FIELDS)} A source "
                f"has {', '.join(_ENTRY_FIELDS)}."
            )
        if field in ("weight", "cap_mb"):
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise InputError(f"{place}: {field} is {value!r}; expected a number.")
        elif field != "set" and not isinstance(value, str):
            raise InputError(f"{place}: {field} is {value!r}; expected a string.")


def _changes(value: Any, place: str) -> list[str]:
    if isinstance(value, dict):
        return [
            f"{name}={option if isinstance(option, str) else str(option).lower()}"
            for name, option in value.items()
        ]
    if isinstance(value, list) and all(isinstance(change, str) for change in value):
        return value
    raise InputError(
        f'{place}: set is {value!r}; expected {{"rule.option": value}} or a list of '
        '"rule.option=value".'
    )


def _from_folder(folder: str, patterns: str | None) -> str | None:
    if patterns is None:
        return None
    parts = (part.strip() for part in patterns.split(","))
    return ",".join(os.path.join(folder, part) for part in parts if part)


def _name_apart(sources: list[Source]) -> None:
    """Numbers sources of the same name, which would be one in the report."""
    given = {source.name for source in sources}
    taken: set[str] = set()
    for index, source in enumerate(sources):
        name, count = source.name, 1
        while name in taken or (count > 1 and name in given):
            count += 1
            name = f"{source.name}-{count}"
        taken.add(name)
        sources[index] = dataclasses.replace(source, name=name)


def _find_files(patterns: str, exclude: str) -> tuple[str, ...]:
    files, unmatched = expand_patterns(patterns)
    if not files:
        raise InputError(
            f"--input_file={patterns}: no file matches. Give the path of a file, or a pattern in "
            'quotes; "folder/**" is every file below a folder.'
        )
    for pattern in unmatched:
        logging.warning("--input_file: nothing matches %s; going on with the rest.", pattern)
    unique = tuple(dict.fromkeys(files))
    if len(unique) < len(files):
        logging.warning("--input_file names some files more than once; each is read once.")
    for path in unique:
        if not os.path.isfile(path):
            raise InputError(
                f"--input_file: {path} is not a regular file, and is read more than once. Write "
                "what it gives to a file first."
            )
    excluded = [part.strip() for part in exclude.split(",") if part.strip()]
    kept = tuple(path for path in unique if not _is_excluded(path, excluded))
    if not kept:
        raise InputError(
            f"--exclude={exclude} leaves none of the files of --input_file={patterns}."
        )
    return kept


def _is_excluded(path: str, patterns: Sequence[str]) -> bool:
    name = os.path.basename(path)
    return any(
        fnmatch.fnmatchcase(path, pattern) or fnmatch.fnmatchcase(name, pattern)
        for pattern in patterns
    )
