"""The catalogue: its order, its names, and how settings are checked."""

import pytest

from deeq_bert.corpus.rules import catalogue
from deeq_bert.tokenizers.errors import InputError

ALL = (*catalogue.TEXT_RULES, *catalogue.LINE_FILTERS, *catalogue.DOCUMENT_FILTERS)


def test_names_are_unique():
    assert len({rule.name for rule in ALL}) == len(ALL)


def test_rules_are_in_order():
    names = [rule.name for rule in catalogue.TEXT_RULES]
    some = ["html_entities", "emails", "copyright_lines", "by_lines", "list_marks", "jamo_runs"]
    assert [name for name in names if name in some] == some


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.name)
def test_every_rule_has_a_sentence_and_defaults_of_known_kinds(rule):
    assert rule.summary.endswith(".") or len(rule.summary) > 20
    assert all(type(value) in (bool, int, float, str) for value in catalogue.options(rule).values())


def test_a_rule_is_found_by_its_name():
    assert catalogue.find("by_lines").name == "by_lines"


def test_an_unknown_rule_is_told_with_a_near_one():
    with pytest.raises(InputError, match="'by_line'; did you mean by_lines.*There are: .*emails"):
        catalogue.find("by_line")


def test_options_are_the_keywords_of_the_factory():
    assert catalogue.options(catalogue.find("short_lines")) == {"words": 3, "characters": 0}


def names_of(made) -> list[str]:
    return [name for name, _ in made]


def test_without_settings_the_rules_are_as_they_are_listed():
    made = catalogue.make_rules(catalogue.LINE_FILTERS, {})
    assert names_of(made) == [rule.name for rule in catalogue.LINE_FILTERS if rule.on]


def test_rules_are_turned_on_and_off():
    settings = {"short_lines": {"on": False}, "final_punctuation": {"on": True}}
    names = names_of(catalogue.make_rules(catalogue.LINE_FILTERS, settings))
    assert "short_lines" not in names
    assert names[-1] == "final_punctuation"


def test_options_reach_the_rule():
    settings = {"short_lines": {"words": 1}, "hangul_share": {"least": 0}}
    made = dict(catalogue.make_rules(catalogue.LINE_FILTERS, settings))
    assert not made["short_lines"]("비", frozenset())
    assert not made["hangul_share"]("rain", frozenset())


def test_settings_of_rules_of_another_kind_do_not_matter():
    settings = {"short_lines": {"words": 1}}
    assert catalogue.make_rules(catalogue.DOCUMENT_FILTERS, settings)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"short_line": {}}, "Unknown rule 'short_line'; did you mean short_lines"),
        ({"short_lines": {"word": 2}}, "unknown option 'word'; did you mean words.*on, words, ch"),
        ({"short_lines": {"words": "2"}}, "words is '2'; expected a whole number"),
        ({"short_lines": {"words": True}}, "words is True; expected a whole number"),
        ({"short_lines": {"words": 2.5}}, "words is 2.5; expected a whole number"),
        ({"short_lines": {"words": -1}}, "Rule short_lines: words is -1"),
        ({"short_lines": {"on": "yes"}}, "on is 'yes'; expected true or false"),
        ({"hangul_share": {"least": float("nan")}}, "least is nan; expected a number"),
        ({"hangul_share": {"least": False}}, "least is False; expected a number"),
        ({"hangul_share": {"least": 2}}, "Rule hangul_share: least is 2"),
        ({"stop_lines": {"on": True}}, "Rule stop_lines: .*needs the path"),
        ({"site_words": {"on": False, "inside": 1}}, "inside is 1; expected true or false"),
    ],
)
def test_settings_that_cannot_be_are_told(settings, message):
    with pytest.raises(InputError, match=message):
        catalogue.make_rules(catalogue.LINE_FILTERS, settings)


def test_a_value_that_the_rule_does_not_know_is_told():
    with pytest.raises(InputError, match='Rule emoji: action is "x"'):
        catalogue.make_rules(catalogue.TEXT_RULES, {"emoji": {"action": "x"}})
