"""From logits to answers: those of the original, and stretches of the text."""

import functools
import json
import math

import numpy as np
import pytest
from squad_golden import features_of, read_golden

from deeq_bert.bert.squad_examples import SquadExample
from deeq_bert.bert.squad_features import WindowSettings, convert_examples_to_features
from deeq_bert.bert.squad_placement import get_final_text, place_by_characters, place_by_words
from deeq_bert.bert.squad_predictions import (
    PredictionSettings,
    make_predictions,
    write_predictions,
)
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.full_tokenizer import FullTokenizer
from deeq_bert.tokenizers.wordpiece import BasicTokenizer

TEXT = "서울역에서 출발한 열차는 부산역에 도착했다. 승강장에는 사람들로 발 디딜 틈이 없었다."
LENGTH = 48


@pytest.fixture
def features(own):
    """Makes features of one question about a text."""
    tokenizer = FullTokenizer(str(own / "vocab.txt"), do_lower_case=False)

    def make(place=place_by_characters, text: str = TEXT):
        return convert_examples_to_features(
            [SquadExample("q1", "어디?", text, (), is_impossible=False)],
            tokenizer,
            functools.partial(place, tokenizer),
            WindowSettings(LENGTH, 16, 8),
            is_training=False,
        )

    return make


def random_logits(features, seed: int) -> np.ndarray:
    shape = features.arrays["input_ids"].shape
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_all_runs_have_the_predictions_of_the_original(golden, own):
    runs = [run for run in read_golden(golden)["runs"] if not run["is_training"]]
    assert len(runs) == 12
    for run in runs:
        _, features = features_of(golden, run, own / "vocab.txt")
        predictions = make_predictions(
            features,
            np.array([result["start_logits"] for result in run["results"]]),
            np.array([result["end_logits"] for result in run["results"]]),
            PredictionSettings(20, 30, run["version_2_with_negative"]),
        )
        assert predictions.answers == run["predictions"]
        assert {name: nbest[:3] for name, nbest in predictions.nbest.items()} == run["nbest_top3"]
        assert predictions.null_odds == run.get("null_odds", {})


def test_final_texts_are_those_of_the_original(golden):
    cases = read_golden(golden)["get_final_text"]
    assert len(cases) == 132
    for case in cases:
        tokenizer = BasicTokenizer(do_lower_case=case["do_lower_case"])
        assert get_final_text(case["pred_text"], case["orig_text"], tokenizer) == case["final"]


def test_answers_by_characters_are_stretches_of_the_text(features):
    made = features()
    settings = PredictionSettings(20, 30)
    for seed in range(20):
        predictions = make_predictions(
            made, random_logits(made, seed), random_logits(made, seed + 100), settings
        )
        texts = [entry["text"] for entry in predictions.nbest["q1"]]
        assert len(texts) == len(set(texts)) == 20
        assert all(text and text in TEXT for text in texts)
        assert predictions.answers["q1"] == texts[0]


def test_no_answer_is_longer_than_allowed(features):
    made = features()
    logits = random_logits(made, 1), random_logits(made, 2)
    predictions = make_predictions(made, *logits, PredictionSettings(LENGTH, 1))
    tokens = {
        made.contexts[0].answer_text(token, token) for token in range(len(made.contexts[0].ids))
    }
    assert {entry["text"] for entry in predictions.nbest["q1"]} <= tokens


@pytest.mark.parametrize(("threshold", "has_answer"), [(-50.0, False), (50.0, True)])
def test_the_threshold_decides_whether_there_is_an_answer(features, threshold, has_answer):
    made = features()
    predictions = make_predictions(
        made,
        random_logits(made, 1),
        random_logits(made, 2),
        PredictionSettings(20, 30, True, threshold),
    )
    best = predictions.best_texts()["q1"]
    assert best
    assert predictions.answers["q1"] == (best if has_answer else "")
    assert "" in [entry["text"] for entry in predictions.nbest["q1"]]


def question_mark_only(features) -> np.ndarray:
    """Logits that are highest in the question, where no answer is."""
    logits = np.zeros(features.arrays["input_ids"].shape, np.float32)
    logits[:, 1] = 5.0
    return logits


@pytest.mark.parametrize(
    ("place", "with_negatives", "answer"),
    [
        (place_by_words, False, "empty"),
        (place_by_words, True, ""),
        (place_by_characters, False, ""),
        (place_by_characters, True, ""),
    ],
)
def test_where_no_span_is_left_there_is_an_answer_all_the_same(
    features, place, with_negatives, answer
):
    made = features(place)
    logits = question_mark_only(made)
    predictions = make_predictions(made, logits, logits, PredictionSettings(1, 30, with_negatives))
    assert predictions.answers == {"q1": answer}
    assert predictions.null_odds == ({"q1": 0.0} if with_negatives else {})


def test_a_question_about_nothing_has_finite_odds(features):
    made = features(text=" ")
    logits = random_logits(made, 1)
    predictions = make_predictions(made, logits, logits, PredictionSettings(20, 30, True))
    assert predictions.answers == {"q1": ""}
    assert math.isfinite(predictions.null_odds["q1"])


def test_logits_that_are_no_numbers_are_refused(features):
    made = features()
    logits = random_logits(made, 1)
    logits[0, 3] = np.nan
    with pytest.raises(InputError, match="not finite"):
        make_predictions(made, logits, logits, PredictionSettings(20, 30))


def test_the_files_are_those_of_the_original(features, tmp_path):
    made = features()
    logits = random_logits(made, 1)
    predictions = make_predictions(made, logits, logits, PredictionSettings(3, 30, True))
    write_predictions(str(tmp_path), predictions, with_null_odds=True)
    written = {path.name: json.loads(path.read_text()) for path in tmp_path.iterdir()}
    assert written == {
        "predictions.json": predictions.answers,
        "nbest_predictions.json": predictions.nbest,
        "null_odds.json": predictions.null_odds,
    }
