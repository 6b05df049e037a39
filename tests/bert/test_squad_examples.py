"""Questions from JSON: SQuAD's, KorQuAD's and KLUE-MRC's forms, and a sentence for bad ones."""

import json

import pytest

from deeq_bert.bert.squad_examples import Answer, read_squad_examples
from deeq_bert.tokenizers.errors import InputError

CONTEXT = "서울은 한국의 수도이다."


def question(qas_id: str = "q1", **fields) -> dict:
    answers = [{"text": "서울", "answer_start": 0}]
    return {"id": qas_id, "question": "한국의 수도는?", "answers": answers, **fields}


def squad(*questions: dict) -> dict:
    return {"data": [{"paragraphs": [{"context": CONTEXT, "qas": list(questions)}]}]}


@pytest.fixture
def write(tmp_path):
    """Writes an object as JSON, or bytes as they are, and returns the path."""

    def run(content) -> str:
        path = tmp_path / "questions.json"
        if not isinstance(content, bytes):
            content = json.dumps(content, ensure_ascii=False).encode()
        path.write_bytes(content)
        return str(path)

    return run


def test_a_question_of_korquad(write):
    (example,) = read_squad_examples(write(squad(question())), is_training=True)
    assert example.qas_id == "q1"
    assert example.context == CONTEXT
    assert example.answers == (Answer("서울", 0),)
    assert not example.is_impossible


def test_a_question_of_klue_mrc_has_a_guid(write):
    content = squad({"guid": "klue-1", "question": "왜?", "answers": [], "is_impossible": True})
    (example,) = read_squad_examples(write(content), True, version_2_with_negative=True)
    assert example.qas_id == "klue-1"
    assert example.is_impossible


def test_a_test_file_has_no_answers(write):
    without = {"id": "q1", "question": "왜?"}
    (example,) = read_squad_examples(write(squad(without)), is_training=False)
    assert not example.is_labelled


def test_a_byte_order_mark_is_no_part_of_the_json(write):
    content = b"\xef\xbb\xbf" + json.dumps(squad(question())).encode()
    assert len(read_squad_examples(write(content), is_training=True)) == 1


def test_an_impossible_question_has_no_right_answer(write):
    content = squad(question(is_impossible=True))
    (example,) = read_squad_examples(write(content), is_training=False)
    assert example.answers == ()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b"q1\tanswer\n", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        ([], 'has no "data"'),
        ({"version": "1.1"}, 'has no "data"'),
        ({"data": {}}, '"data" is {}; expected a list'),
        ({"data": []}, "has no questions"),
        ({"data": [{"paragraphs": [{"qas": []}]}]}, 'paragraphs[0] has no "context"'),
        (squad({"id": "q1"}), 'qas[0] has no "question"'),
        (squad(question(), question("q2", question=7)), 'qas[1]: "question" is 7; expected a text'),
        (squad(question(answers=[{"text": "서울"}])), 'answers[0] has no "answer_start"'),
        (squad(question(is_impossible="no")), "expected true or false"),
        (squad(question(answers=[])), "has no answers, so nothing can be learnt"),
        (squad(question(), question("q2", answers=[])), "q2 has no answer"),
        (squad(question(is_impossible=True)), "Give --version_2_with_negative"),
    ],
)
def test_a_file_that_cannot_be_trained_on_gets_one_sentence(write, content, problem):
    path = write(content)
    with pytest.raises(InputError) as refusal:
        read_squad_examples(path, is_training=True)
    assert problem in str(refusal.value)
    assert path in str(refusal.value)


def test_two_questions_with_one_id_cannot_be_predicted(write):
    with pytest.raises(InputError, match="two questions have the id q1"):
        read_squad_examples(write(squad(question(), question())), is_training=False)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="Cannot read .*gone.json"):
        read_squad_examples(str(tmp_path / "gone.json"), is_training=True)
