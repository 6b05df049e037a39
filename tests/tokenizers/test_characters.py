"""Character classes against the original over all of Unicode, and the tables made of them."""

import json
import sys
import unicodedata

import pytest

from deeq_bert.tokenizers import characters
from deeq_bert.tokenizers.characters import CharacterTable, convert_to_unicode

ALL_CODE_POINTS = range(sys.maxunicode + 1)
# How many characters Unicode versions a few years apart may class differently: the new ones.
NEW_CHARACTERS = 100


@pytest.mark.parametrize(
    ("name", "predicate"),
    [
        ("whitespace", characters.is_whitespace),
        ("control", characters.is_control),
        ("punctuation", characters.is_punctuation),
        ("chinese", lambda char: characters.is_chinese_char(ord(char))),
    ],
)
def test_classes_are_the_originals_for_every_code_point(golden, name, predicate):
    classes = json.loads((golden / "tokenization" / "char_classes.json").read_text("utf-8"))
    expected = {point for first, last in classes[name] for point in range(first, last + 1)}
    differing = expected ^ {point for point in ALL_CODE_POINTS if predicate(chr(point))}
    if classes["unidata_version"] == unicodedata.unidata_version:
        assert not differing
    else:
        assert len(differing) < NEW_CHARACTERS


def test_a_table_rewrites_characters_and_keeps_the_others():
    table = CharacterTable(lambda char: {"a": None, "b": " b "}.get(char, char))
    assert "가abc가".translate(table) == "가 b c가"


def test_a_full_table_still_rewrites_rightly(monkeypatch):
    monkeypatch.setattr(CharacterTable, "MAX_ENTRIES", 10)
    table = CharacterTable(lambda char: None if ord(char) % 3 == 0 else char)
    text = "".join(map(chr, range(0xAC00, 0xAC00 + 100)))
    expected = "".join(char for char in text if ord(char) % 3)
    assert [text.translate(table), text.translate(table)] == [expected, expected]
    assert len(table) == 10


def test_bytes_are_read_as_utf8_without_what_is_not():
    assert convert_to_unicode("한글".encode() + b"\xff!\xed\x95") == "한글!"


def test_strings_are_left_as_they_are():
    assert convert_to_unicode("\ufeff한\ud800") == "\ufeff한\ud800"


def test_other_types_are_refused():
    with pytest.raises(ValueError, match="str or bytes, not list"):
        convert_to_unicode(["한글"])
