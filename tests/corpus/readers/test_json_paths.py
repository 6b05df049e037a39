"""Path expressions: what they find, and what they say of what they do not find."""

import pickle

import pytest

from deeq_bert.corpus.readers.json_paths import Path, Paths
from deeq_bert.tokenizers.errors import InputError

BOOK = {
    "name": "책",
    "chapters": [
        {"title": "하나", "verses": [{"text": "가"}, {"text": "나"}]},
        {"title": "둘", "verses": [{"text": "다"}]},
    ],
}


@pytest.mark.parametrize(
    ("expression", "value", "found"),
    [
        ("", "글", ["글"]),
        ("name", BOOK, ["책"]),
        ("chapters[].verses[].text", BOOK, ["가", "나", "다"]),
        ("chapters[].title", BOOK, ["하나", "둘"]),
        ("[].talk.content.*", [{"talk": {"content": {"HS01": "가", "SS01": "나"}}}], ["가", "나"]),
        ("text[][].sentence", {"text": [[{"sentence": "가"}], [{"sentence": "나"}]]}, ["가", "나"]),
        ("전사정보.LabelText", {"전사정보": {"LabelText": "가"}}, ["가"]),
    ],
)
def test_a_path_finds_its_values_in_order(expression, value, found):
    assert Path(expression).find(value) == found


@pytest.mark.parametrize("value", [{"rows": []}, {"rows": None}])
def test_an_empty_list_has_no_values_but_is_there(value):
    assert Path("rows[].text").find(value) == []


@pytest.mark.parametrize("value", [{}, {"rows": "글"}, {"rows": {"text": "글"}}, [], "글"])
def test_a_path_that_does_not_exist_finds_none(value):
    assert Path("rows[].text").find(value) is None


def test_elements_that_lack_the_key_are_passed_over():
    assert Path("[].text").find([{"text": "가"}, {}, None, {"text": "나"}]) == ["가", "나"]


def test_several_paths_keep_the_elements_together():
    paths = Paths("chapters[].title, chapters[].verses[].text")

    assert paths.find(BOOK) == ["하나", "가", "나", "둘", "다"]


def test_several_paths_come_in_the_order_given_within_an_object():
    assert Paths("title,content").find({"content": "나", "title": "가"}) == ["가", "나"]


def test_one_of_several_paths_suffices():
    assert Paths("title,content").find({"content": "나"}) == ["나"]
    assert Paths("title,content").find({"other": "나"}) is None


def test_one_path_may_begin_another():
    assert Paths("a,a.b").find({"a": {"b": "가"}}) == [{"b": "가"}, "가"]


@pytest.mark.parametrize("expression", ["a..b", ".a", "a.", "data[0]", "data[", "[]a", "a.[]"])
def test_what_is_no_path_is_refused(expression):
    with pytest.raises(InputError, match="is no path into JSON"):
        Path(expression)


def test_an_explanation_names_the_keys_at_the_point_where_the_path_ends():
    assert Path("chapters[].verse").explain(BOOK) == "`chapters[]` has the keys title, verses"


def test_an_explanation_tells_a_list_from_an_object():
    assert Path("chapters.title").explain(BOOK) == "`chapters` is a list"


def test_paths_go_to_other_processes():
    paths = pickle.loads(pickle.dumps(Paths("a[].b,a[].c.*")))

    assert paths.find({"a": [{"b": "가", "c": {"d": "나"}}]}) == ["가", "나"]
