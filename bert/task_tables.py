"""Rows of the files that fine-tuning tasks come in: tab or comma separated, or JSON.

The name's ending tells the format. ".tsv" and ".txt": columns are separated by tabs and quotes are
text, as the tasks' publishers mean it (with a reader that heeds quotes the NSMC files have fewer
rows). ".csv": commas, with quotes. ".jsonl": an object a line. ".json": a list of objects, maybe
under "data".
"""

import csv
import io
import json
import os
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import read_lines

TABLE_ENDINGS = (".tsv", ".txt", ".csv")
ENDINGS = (*TABLE_ENDINGS, ".jsonl", ".json")

_BYTE_ORDER_MARK = "\ufeff"
# A .json is read as a whole: the largest of the tasks here has 20 MB.
_MAX_JSON_BYTES = 512 * 1024 * 1024
_MAX_NAMES_SHOWN = 12


class Row(NamedTuple):
    """The wanted columns of one row.

    Attributes:
      place: Where it stands, for messages: "train.tsv, line 17", as an editor counts lines; in a
        .json "train.json, item 3".
      number: The number in `place`.
      values: The text of each wanted column; None where an optional column is not there.
    """

    place: str
    number: int
    values: list[str | None]


def read_columns(
    path: str, columns: Sequence[str | int], optional: Collection[str | int] = ()
) -> Iterator[Row]:
    """Yields the columns named, row for row.

    Args:
      path: A file with one of ENDINGS.
      columns: Each the name of a column in the first line, or a key ("labels.label" is a key
        within another). Or all of them numbers, from 0, of a table whose first line is no header.
      optional: Those of `columns` that the file may lack as a whole.

    Raises:
      InputError: The file cannot be read or is empty, a column is missing, a row has more or fewer
        columns than the first, or is not JSON.
    """
    ending = check_ending(path)
    if ending in TABLE_ENDINGS:
        rows = _read_table(path, columns, optional)
    else:
        rows = _read_objects(path, [str(column) for column in columns], optional)
    empty = True
    for row in rows:
        empty = False
        yield row
    if empty:
        raise InputError(f"{path} has no rows; expected the columns {_listed(columns)}.")


def check_ending(path: str) -> str:
    """Returns the ending of the file's name.

    Raises:
      InputError: It is none of ENDINGS.
    """
    ending = os.path.splitext(path)[1].lower()
    if ending not in ENDINGS:
        raise InputError(
            f"{path}: the ending of the name tells the format of a task's file; expected one of "
            f"{', '.join(ENDINGS)}."
        )
    return ending


def read_fields(path: str) -> Iterator[tuple[int, list[str]]]:
    """Yields the number of each line, from 1, with all its columns; the header is among them.

    Blank lines at the end are left out, and so is a byte-order mark. A csv row of several lines
    has the number of the first.
    """
    read = _csv_fields if check_ending(path) == ".csv" else _tsv_fields
    blank: list[tuple[int, list[str]]] = []
    for number, fields in read(path):
        if fields in ([], [""]):
            blank.append((number, [""]))
            continue
        yield from blank
        blank.clear()
        yield number, fields


def place_of(path: str, number: int) -> str:
    """Returns how a message names a row of a file."""
    return f"{path}, {'item' if path.lower().endswith('.json') else 'line'} {number}"


def _text_lines(path: str) -> Iterator[str]:
    for number, line in enumerate(read_lines(path)):
        yield line.removeprefix(_BYTE_ORDER_MARK) if number == 0 else line


def _tsv_fields(path: str) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(_text_lines(path), start=1):
        yield number, line.split("\t")


def _csv_fields(path: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader((f"{line}\n" for line in _text_lines(path)), strict=True)
    first_line = 1
    try:
        for fields in reader:
            yield first_line, fields
            first_line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(
            f"{place_of(path, first_line)}: not a row of comma separated values ({error}). Close "
            "its quotes, or name the file .tsv if its columns are separated by tabs."
        ) from None


def _read_table(
    path: str, columns: Sequence[str | int], optional: Collection[str | int]
) -> Iterator[Row]:
    rows = read_fields(path)
    width, indexes = None, None
    by_number = all(isinstance(column, int) for column in columns)
    for number, fields in rows:
        if indexes is None:
            width = len(fields)
            names = list(range(width)) if by_number else [name.strip() for name in fields]
            indexes = _indexes(path, names, columns, optional)
            if not by_number:
                continue
        if len(fields) != width:
            raise InputError(
                f"{place_of(path, number)}: {_counted(len(fields))}, where the first line has "
                f"{width}. Mend the line: a text may hold no "
                f"{'unquoted comma' if path.lower().endswith('.csv') else 'tab or line break'}."
            )
        values = [None if index is None else fields[index] for index in indexes]
        yield Row(place_of(path, number), number, values)


def _indexes(
    path: str, names: list[Any], columns: Sequence[str | int], optional: Collection[str | int]
) -> list[int | None]:
    missing = [column for column in columns if column not in names and column not in optional]
    if missing:
        raise InputError(
            f"{place_of(path, 1)}: no column {_listed(missing)}; found {_listed(names)}. Give the "
            "file of this task, or name its columns."
        )
    if doubled := [column for column in columns if names.count(column) > 1]:
        raise InputError(
            f"{place_of(path, 1)}: two columns are called {_shortened(doubled[0])}, so it cannot "
            "be told which is meant. Rename one."
        )
    return [names.index(column) if column in names else None for column in columns]


def _read_objects(
    path: str, columns: Sequence[str], optional: Collection[str | int]
) -> Iterator[Row]:
    for number, item in _json_items(path):
        place = place_of(path, number)
        if not isinstance(item, dict):
            raise InputError(f"{place}: expected a JSON object, found {_shortened(item)}.")
        values = []
        for column in columns:
            found, value = _look_up(item, column)
            if not found and column not in optional:
                raise InputError(
                    f"{place}: no key {column}; found {_listed(list(item))}. Give the file of "
                    "this task, or name its keys."
                )
            if isinstance(value, (dict, list)):
                raise InputError(
                    f"{place}: {column} is {_shortened(value)}; expected a text or a number."
                )
            is_text = value is None or isinstance(value, str)
            values.append(value if is_text else json.dumps(value))
        yield Row(place, number, values)


def _json_items(path: str) -> Iterator[tuple[int, Any]]:
    if not path.lower().endswith(".json"):
        for number, line in enumerate(_text_lines(path), start=1):
            if line.strip():
                yield number, _parsed(line, place_of(path, number))
        return
    try:
        with open(path, "rb") as file:
            content = file.read(_MAX_JSON_BYTES + 1)
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error
    if len(content) > _MAX_JSON_BYTES:
        raise InputError(f"{path}: larger than {_MAX_JSON_BYTES:,} bytes. Convert it to .jsonl.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 (byte {error.start + 1}). Convert the file.") from None
    items = _parsed(text, path)
    if isinstance(items, dict):
        items = items.get("data", items)
    if not isinstance(items, list):
        raise InputError(f"{path}: expected a list of JSON objects, found {_shortened(items)}.")
    yield from enumerate(items, start=1)


def _parsed(text: str, place: str) -> Any:
    try:
        return json.load(io.StringIO(text))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place}: not JSON ({error}). Mend it, or give another file.") from None


def _look_up(item: dict[str, Any], column: str) -> tuple[bool, Any]:
    """Returns whether `item` has the key and its value; dots lead into objects within."""
    if column in item:
        return True, item[column]
    outer, dot, inner = column.partition(".")
    if dot and isinstance(item.get(outer), dict):
        return _look_up(item[outer], inner)
    return False, None


def _counted(count: int) -> str:
    return f"{count} column{'' if count == 1 else 's'}"


def _listed(names: Sequence[Any]) -> str:
    shown = [_shortened(name) for name in names[:_MAX_NAMES_SHOWN]]
    return ", ".join(shown) + (", ..." if len(names) > _MAX_NAMES_SHOWN else "")


def _shortened(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"{text[:60]}..." if len(text) > 60 else text or "(blank)"
