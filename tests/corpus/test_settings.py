"""Configurations of sources: what they may say, and changes on the command line."""

import json

import pytest

from deeq_bert.corpus import settings
from deeq_bert.tokenizers.errors import InputError


def written(tmp_path, **fields) -> str:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(fields), encoding="utf-8")
    return str(path)


def test_a_configuration_says_what_differs_from_the_defaults(tmp_path):
    read = settings.read_settings(
        written(tmp_path, reader="csv", rules={"emoji": {"action": "drop"}})
    )
    assert read.reader == "csv"
    assert read.sentence_splitter == "rule"
    assert read.rules == {"emoji": {"on": True, "action": "drop"}}


def test_true_and_false_switch_a_rule(tmp_path):
    read = settings.read_settings(written(tmp_path, rules={"by_lines": False, "quotes": True}))
    assert read.rules == {"by_lines": {"on": False}, "quotes": {"on": True}}


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"raeder": "csv"}, "did you mean reader"),
        ({"sentence_splitter": "kss"}, "expected one of rule, kiwi, hybrid, none"),
        ({"deduplicate": "lines"}, "expected a list"),
        ({"deduplicate": ["words"]}, "expected a list"),
        ({"keep_titles": "yes"}, "expected true/false"),
        ({"rules": ["emoji"]}, "rules must be an object"),
        ({"rules": {"emoji": "drop"}}, "the rule emoji"),
        ({"reader_options": {"csv": "text"}}, "reader_options must be an object"),
        ({"reader": 3}, "expected a string"),
    ],
)
def test_what_is_not_known_is_named(tmp_path, fields, message):
    with pytest.raises(InputError, match=message):
        settings.read_settings(written(tmp_path, **fields))


@pytest.mark.parametrize("content", ["{", "[]", "", "[" * 100_000])
def test_a_file_that_is_no_json_object_is_refused(tmp_path, content):
    path = tmp_path / "mine.json"
    path.write_text(content)
    with pytest.raises(InputError, match="mine.json"):
        settings.read_settings(str(path))


def test_a_missing_file_is_named():
    with pytest.raises(InputError, match="Cannot read nowhere.json"):
        settings.read_settings("nowhere.json")


def test_changes_go_over_the_configuration():
    before = settings.SourceSettings(rules={"emoji": {"on": False, "action": "keep"}})
    after = settings.change_settings(
        before, ["emoji.action=drop", "urls=off", "reader.text=body", "short_lines.words=2"]
    )
    assert after.rules == {
        "emoji": {"on": True, "action": "drop"},
        "urls": {"on": False},
        "short_lines": {"on": True, "words": 2},
    }
    assert after.reader_options == {"*": {"text": "body"}}
    assert before.rules["emoji"] == {"on": False, "action": "keep"}


def test_changes_of_fields():
    after = settings.change_settings(
        settings.SourceSettings(),
        ["sentence_splitter=none", "keep_titles=on", "deduplicate=documents"],
    )
    assert after.sentence_splitter == "none"
    assert after.keep_titles is True
    assert after.deduplicate == ["documents"]


@pytest.mark.parametrize(
    "text, value",
    [("3", 3), ("0.5", 0.5), ("true", True), ("off", False), ("body", "body"), ("[1]", "[1]")],
)
def test_values_are_what_they_look_like(text, value):
    after = settings.change_settings(settings.SourceSettings(), [f"rule.option={text}"])
    assert after.rules["rule"]["option"] == value


@pytest.mark.parametrize("change", ["emoji", "=3", "emoji=maybe", "sentence_splitter=kss"])
def test_a_change_of_another_form_is_refused(change):
    with pytest.raises(InputError, match="--set|sentence_splitter"):
        settings.change_settings(settings.SourceSettings(), [change])


def test_there_are_configurations_for_the_usual_sources():
    names = settings.preset_names()
    assert {
        "encyclopedia",
        "news",
        "web",
        "comments",
        "dialogue",
        "books",
        "nikl",
        "aihub",
    } <= set(names)
    for name in names:
        assert settings.read_settings(settings.preset_path(name)).description


def test_an_unknown_source_names_the_nearest():
    with pytest.raises(InputError, match="did you mean news"):
        settings.preset_path("new")
