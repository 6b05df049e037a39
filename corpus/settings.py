"""How a source is read and cleaned: configurations in JSON, checked before work starts."""

import dataclasses
import difflib
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from deeq_bert.corpus.splitters import SPLITTERS
from deeq_bert.tokenizers.errors import InputError

PRESETS_FOLDER = os.path.join(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "configs", "corpus"
)
DEDUPLICATED = ("documents", "lines")

_MAX_CONFIG_BYTES = 1 << 20
_ON_OFF = {"on": True, "true": True, "yes": True, "off": False, "false": False, "no": False}


@dataclasses.dataclass(frozen=True)
class SourceSettings:
    """How one source is read and cleaned; what a configuration file says.

    Attributes:
      description: One sentence for people.
      reader: The name of a reader (see readers.selection), or "auto" to tell by the file's name.
      reader_options: By the name of a reader: its options.
      sentence_splitter: One of SPLITTERS.
      keep_titles: Whether a document's title becomes its first line.
      deduplicate: What is de-duplicated over the whole corpus, of DEDUPLICATED.
      rules: By the name of a rule: its options, and "on".
    """

    description: str = ""
    reader: str = "auto"
    reader_options: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    sentence_splitter: str = "rule"
    keep_titles: bool = False
    deduplicate: Sequence[str] = DEDUPLICATED
    rules: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Returns the settings as a configuration file has them."""
        return dataclasses.asdict(self)


def preset_names(folder: str = PRESETS_FOLDER) -> list[str]:
    """Returns the sources that there are configurations for."""
    if not os.path.isdir(folder):
        return []
    return sorted(name[: -len(".json")] for name in os.listdir(folder) if name.endswith(".json"))


def preset_path(source: str, folder: str = PRESETS_FOLDER) -> str:
    """Returns the configuration file of a source.

    Raises:
      InputError: There is none.
    """
    names = preset_names(folder)
    if source not in names:
        raise InputError(
            f"--source={source}: no such source{did_you_mean(source, names)} There are: "
            f"{', '.join(names)}. Or give a configuration of your own as --config_file."
        )
    return os.path.join(folder, source + ".json")


def read_settings(path: str) -> SourceSettings:
    """Reads a configuration file.

    Raises:
      InputError: It is not readable, not JSON, or has a field or value that is not known.
    """
    return settings_from_json(read_json_object(path), path)


def settings_from_json(value: Mapping[str, Any], place: str) -> SourceSettings:
    """Checks what a configuration says, all but the rules and the reader's options.

    Args:
      value: The configuration.
      place: Where it stands, for messages.

    Raises:
      InputError: A field or a value is not known.
    """
    known = {field.name: field for field in dataclasses.fields(SourceSettings)}
    for name in value:
        if name not in known:
            raise InputError(
                f"{place}: unknown field {name!r}{did_you_mean(name, known)} A configuration has "
                f"{', '.join(known)}."
            )
    fields = dict(value)
    for name in ("description", "reader", "sentence_splitter"):
        if not isinstance(fields.get(name, ""), str):
            raise InputError(f"{place}: {name} is {fields[name]!r}; expected a string.")
    splitter = fields.get("sentence_splitter", "rule")
    if splitter not in SPLITTERS:
        raise InputError(
            f"{place}: sentence_splitter is {splitter!r}; expected one of {', '.join(SPLITTERS)}."
        )
    if not isinstance(fields.get("keep_titles", False), bool):
        raise InputError(f"{place}: keep_titles is {fields['keep_titles']!r}; expected true/false.")
    deduplicate = fields.get("deduplicate", DEDUPLICATED)
    if not isinstance(deduplicate, (list, tuple)) or not set(map(str, deduplicate)) <= set(
        DEDUPLICATED
    ):
        raise InputError(
            f"{place}: deduplicate is {deduplicate!r}; expected a list of "
            f"{' and '.join(DEDUPLICATED)}, or an empty list."
        )
    fields["rules"] = _check_rules(fields.get("rules", {}), place)
    fields["reader_options"] = _check_reader_options(fields.get("reader_options", {}), place)
    return SourceSettings(**fields)


def change_settings(settings: SourceSettings, changes: Sequence[str]) -> SourceSettings:
    """Applies changes as `--set` has them: "rule.option=value", "rule=off", "reader.text=body".

    A value is read as JSON where it is JSON, and else as the string it is. Options of the reader
    go to whichever reader is used. "sentence_splitter=none", "keep_titles=on" and
    "deduplicate=documents" change these fields.

    Raises:
      InputError: A change is not of this form.
    """
    rules = {name: dict(options) for name, options in settings.rules.items()}
    reader_options = {name: dict(options) for name, options in settings.reader_options.items()}
    fields: dict[str, Any] = {}
    for change in changes:
        name, equals, value = change.partition("=")
        if not equals or not name:
            raise InputError(
                f"--set={change}: expected rule.option=value, as in emoji.action=drop, or rule=off."
            )
        name, dot, option = name.strip().partition(".")
        if name in _CHANGEABLE and not dot:
            fields[name] = _CHANGEABLE[name](value)
            continue
        if not dot:
            if value.lower() not in _ON_OFF:
                raise InputError(
                    f"--set={change}: expected {name}=on, {name}=off or {name}.OPTION=…"
                )
            option, parsed = "on", _ON_OFF[value.lower()]
        else:
            parsed = _parse_value(value)
        if name == "reader":
            reader_options.setdefault("*", {})[option] = parsed
        else:
            # To name an option of a rule is to want it.
            rules.setdefault(name, {}).update({"on": True, option: parsed})
    changed = {**settings.to_json(), **fields, "rules": rules, "reader_options": reader_options}
    return settings_from_json(changed, "--set")


def read_json_object(path: str) -> dict[str, Any]:
    """Reads a JSON file that holds an object.

    Raises:
      InputError: It cannot be read, is not JSON, or holds something else.
    """
    try:
        if os.path.getsize(path) > _MAX_CONFIG_BYTES:
            raise InputError(f"{path}: over {_MAX_CONFIG_BYTES:,} bytes; not a configuration.")
        with open(path, encoding="utf-8-sig") as file:
            value = json.load(file)
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON ({error}). Mend the file.") from None
    if not isinstance(value, dict):
        raise InputError(f"{path}: expected a JSON object, {{…}}.")
    return value


def did_you_mean(name: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    """Returns the end of a sentence on an unknown name, with the nearest known one if any."""
    close = difflib.get_close_matches(str(name), list(known), 1)
    return f"; did you mean {close[0]}?" if close else "."


def _parse_list(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _parse_value(value: str) -> Any:
    if value.lower() in _ON_OFF:
        return _ON_OFF[value.lower()]
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return value if isinstance(parsed, (dict, list)) or parsed is None else parsed


# The fields that a change can name beside rules and the reader, with how their values are read.
_CHANGEABLE = {
    "sentence_splitter": str,
    "keep_titles": _parse_value,
    "deduplicate": _parse_list,
}


def _check_rules(rules: Any, place: str) -> dict[str, dict[str, Any]]:
    if not isinstance(rules, dict):
        raise InputError(f"{place}: rules must be an object, from the names of rules to options.")
    checked = {}
    for name, options in rules.items():
        if isinstance(options, bool):
            options = {"on": options}
        if not isinstance(options, dict):
            raise InputError(
                f"{place}: the rule {name} is {options!r}; expected true, false or an object of "
                "options."
            )
        checked[name] = {"on": True, **options}
    return checked


def _check_reader_options(options: Any, place: str) -> dict[str, dict[str, Any]]:
    if not isinstance(options, dict) or not all(
        isinstance(value, dict) for value in options.values()
    ):
        raise InputError(
            f"{place}: reader_options must be an object, from the names of readers to their "
            "options."
        )
    return options
