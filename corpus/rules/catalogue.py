"""All rules in the order they are applied, and what a configuration may say of them."""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from deeq_bert.corpus.rules import (
    boilerplate,
    characters,
    document_filters,
    line_filters,
    personal_data,
    repetition,
)
from deeq_bert.corpus.rules.base import Rule
from deeq_bert.corpus.settings import did_you_mean
from deeq_bert.tokenizers.errors import InputError

TEXT_RULES: tuple[Rule, ...] = (
    *characters.RULES,
    *personal_data.RULES,
    *boilerplate.RULES,
    *repetition.RULES,
)
LINE_FILTERS: tuple[Rule, ...] = line_filters.FILTERS
DOCUMENT_FILTERS: tuple[Rule, ...] = document_filters.FILTERS

_BY_NAME = {rule.name: rule for rule in (*TEXT_RULES, *LINE_FILTERS, *DOCUMENT_FILTERS)}
_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a string"}


def find(name: str) -> Rule:
    """Returns the rule of this name.

    Raises:
      InputError: There is none.
    """
    if name not in _BY_NAME:
        raise InputError(
            f"Unknown rule {name!r}{did_you_mean(name, _BY_NAME)} There are: {', '.join(_BY_NAME)}."
        )
    return _BY_NAME[name]


def options(rule: Rule) -> dict[str, Any]:
    """Returns the names of the rule's options and their defaults."""
    parameters = inspect.signature(rule.make).parameters
    return {name: parameter.default for name, parameter in parameters.items()}


def make_rules(
    rules: Sequence[Rule], settings: Mapping[str, Mapping[str, Any]]
) -> list[tuple[str, Callable]]:
    """Makes those of `rules` that are on, in their order.

    Args:
      rules: TEXT_RULES, LINE_FILTERS, DOCUMENT_FILTERS, or some of them.
      settings: By the name of a rule, of any kind: its options, and "on" where it is not to be as
        the rule has it.

    Returns:
      The names of the rules and what they do.

    Raises:
      InputError: A rule or an option is not known, or has a value it cannot have; also if the
        rule is off, or is none of `rules`.
    """
    for name, given in settings.items():
        _check(find(name), given)
    made = []
    for rule in rules:
        given = dict(settings.get(rule.name, {}))
        if given.pop("on", rule.on):
            try:
                made.append((rule.name, rule.make(**given)))
            except InputError as error:
                raise InputError(f"Rule {rule.name}: {str(error).rstrip('.')}.") from error
    return made


def _check(rule: Rule, given: Mapping[str, Any]) -> None:
    defaults = {"on": rule.on, **options(rule)}
    for option, value in given.items():
        if option not in defaults:
            raise InputError(
                f"Rule {rule.name}: unknown option {option!r}{did_you_mean(option, defaults)} It "
                f"has: {', '.join(defaults)}."
            )
        kind = type(defaults[option])
        if not _is_of(kind, value):
            raise InputError(
                f"Rule {rule.name}: {option} is {value!r}; expected {_KINDS[kind]}, as its "
                f"default {defaults[option]!r}."
            )


def _is_of(kind: type, value: Any) -> bool:
    if kind is float:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return number and math.isfinite(value)
    # True and False are whole numbers to Python.
    return type(value) is kind
