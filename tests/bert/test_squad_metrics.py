"""Scores of answers: SQuAD's by words, KorQuAD's by characters."""

import pytest

from deeq_bert.bert.squad_examples import Answer, SquadExample
from deeq_bert.bert.squad_metrics import (
    best_thresholds,
    normalize_korquad,
    normalize_squad,
    score_answer,
    score_answers,
)


def example(qas_id: str, *answers: str) -> SquadExample:
    right = tuple(Answer(text, 0) for text in answers)
    return SquadExample(qas_id, "?", "", right, is_impossible=not answers)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The Cat.", "cat"),
        ("an apple and a pear", "apple and pear"),
        ("  U.S.A.\n", "usa"),
        ("theatre", "theatre"),
        ("a-b", "ab"),
        ("“quoted”", "“quoted”"),
    ],
)
def test_squad_takes_away_case_punctuation_and_articles(text, normal):
    assert normalize_squad(text) == normal


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("《삼국지》", "삼국지"),
        ("‘서울’의 봄", "서울 의 봄"),
        ("1,947m", "1947m"),
        ("KBS(한국방송)", "kbs 한국방송"),
        ("the 서울", "the 서울"),
        ("“서울”", "“서울”"),
    ],
)
def test_korquad_takes_away_case_and_punctuation(text, normal):
    assert normalize_korquad(text) == normal


def test_squad_counts_words():
    score = score_answer("squad", "the big red dog", ["a red dog"])
    assert score.exact_match == 0
    assert score.f1 == pytest.approx(2 * 2 / (3 + 2))


def test_korquad_counts_characters_without_blanks():
    score = score_answer("korquad", "서울 시에서", ["서울시"])
    assert score.exact_match == 0
    assert score.f1 == pytest.approx(2 * 3 / (5 + 3))


def test_a_character_counts_as_often_as_both_have_it():
    assert score_answer("korquad", "가가가", ["가가나"]).f1 == pytest.approx(2 / 3)


def test_the_nearest_right_answer_counts():
    score = score_answer("squad", "red dog", ["blue cat", "red dog"])
    assert score == (1.0, 1.0)


def test_nothing_is_right_where_there_is_no_answer():
    assert score_answer("squad", "", [], with_negatives=True) == (1.0, 1.0)
    assert score_answer("squad", "dog", [], with_negatives=True) == (0.0, 0.0)


def test_an_answer_that_normalizes_to_nothing_has_no_f1_without_negatives():
    assert score_answer("squad", "the", ["a"]) == (1.0, 0.0)
    assert score_answer("squad", "the", ["a"], with_negatives=True) == (1.0, 1.0)


def test_a_question_without_prediction_has_nothing():
    examples = [example("q1", "dog"), example("q2", "cat")]
    assert score_answers("squad", examples, {"q1": "dog"}) == {"exact_match": 0.5, "f1": 0.5}


def test_kinds_of_questions_are_told_apart_with_negatives():
    examples = [example("q1", "red dog"), example("q2"), example("q3")]
    answers = {"q1": "dog", "q2": "", "q3": "cat"}
    scores = score_answers("squad", examples, answers, with_negatives=True)
    assert scores["has_answer_exact_match"] == 0
    assert scores["has_answer_f1"] == pytest.approx(2 / 3)
    assert scores["no_answer_accuracy"] == 0.5
    assert scores["exact_match"] == pytest.approx(1 / 3)


def test_the_best_threshold_parts_answers_from_none():
    examples = [example("q1", "dog"), example("q2", "cat"), example("q3")]
    texts = {"q1": "dog", "q2": "cat", "q3": "cow"}
    best = best_thresholds("squad", examples, texts, {"q1": -3.0, "q2": 1.0, "q3": 2.0})
    assert best["best_f1"] == 1.0
    assert best["best_f1_threshold"] == 1.0


def test_a_threshold_does_not_part_equal_odds():
    examples = [example("q1", "dog"), example("q2")]
    best = best_thresholds("squad", examples, {"q1": "dog", "q2": "cow"}, {"q1": 1.0, "q2": 1.0})
    assert best["best_exact_match"] == 0.5


def test_answering_nothing_has_a_threshold_too():
    examples = [example("q1"), example("q2")]
    best = best_thresholds("squad", examples, {"q1": "a b", "q2": "c"}, {"q1": -4.0, "q2": 0.0})
    assert best["best_f1"] == 1.0
    assert best["best_f1_threshold"] < -4.0
