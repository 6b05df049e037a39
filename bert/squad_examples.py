"""Questions about texts, read from the JSON of SQuAD 1.1 and 2.0, KorQuAD 1.0 and KLUE-MRC."""

import json
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from deeq_bert.tokenizers.errors import InputError

# Some twenty times the largest of these data sets: a larger file is something else.
_MAX_BYTES = 1024**3


class Answer(NamedTuple):
    """A stretch of a text.

    Attributes:
      text: What it says.
      start: Where its first character is said to stand in the text.
    """

    text: str
    start: int


class SquadExample(NamedTuple):
    """A question about a text.

    Attributes:
      qas_id: Names it among the predictions.
      question: As it was asked.
      context: The text; one object for all questions about it.
      answers: Those that count as right, the one to train on first. Empty where none is known, and
        where there is none.
      is_impossible: Whether the text is known not to have the answer.
    """

    qas_id: str
    question: str
    context: str
    answers: tuple[Answer, ...]
    is_impossible: bool

    @property
    def is_labelled(self) -> bool:
        """Whether the right answer, or that there is none, is known."""
        return bool(self.answers) or self.is_impossible


def read_squad_examples(
    path: str, is_training: bool, version_2_with_negative: bool = False
) -> list[SquadExample]:
    """Reads the questions of a file (`read_squad_examples` of the original).

    Args:
      path: The JSON file.
      is_training: Whether every question must have an answer.
      version_2_with_negative: Whether questions may be impossible to answer. Only then do those
        that are marked so count as such in training.

    Raises:
      InputError: The file cannot be read, is not of this form or has no questions; a question has
        no answer, in training; or two have one id, otherwise.
    """
    examples = list(_examples(path, _read_json(path)))
    if not examples:
        raise InputError(f"{path} has no questions; expected SQuAD's form with some under qas.")
    if is_training:
        _check_all_answered(path, examples, version_2_with_negative)
    else:
        _check_ids(path, examples)
    return examples


def _read_json(path: str) -> object:
    try:
        size = os.path.getsize(path)
        if size > _MAX_BYTES:
            raise InputError(
                f"{path} is {size:,} bytes long, over the {_MAX_BYTES:,} allowed. Split it."
            )
        with open(path, "rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error
    if not content.strip():
        raise InputError(f"{path} is empty; expected questions in SQuAD's JSON form.")
    try:
        return json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path} is not JSON ({error}). Expected questions in SQuAD's form, as in "
            '{"data": [{"paragraphs": [...]}]}.'
        ) from None


def _examples(path: str, content: object) -> Iterator[SquadExample]:
    place = f"{path}"
    for article_place, article in _items(place, content, "data"):
        for paragraph_place, paragraph in _items(article_place, article, "paragraphs"):
            context = _field(paragraph_place, paragraph, "context", str)
            for question_place, question in _items(paragraph_place, paragraph, "qas"):
                yield _example(question_place, question, context)


def _example(place: str, question: object, context: str) -> SquadExample:
    # KLUE-MRC names it guid.
    key = "guid" if isinstance(question, dict) and "id" not in question else "id"
    qas_id = _field(place, question, key, str | int)
    text = _field(place, question, "question", str)
    is_impossible = question.get("is_impossible") or False
    if not isinstance(is_impossible, bool):
        raise InputError(
            f"{place}: is_impossible is {is_impossible!r:.60}; expected true or false."
        )
    answers = ()
    if question.get("answers"):
        answers = tuple(
            Answer(
                _field(answer_place, answer, "text", str),
                _field(answer_place, answer, "answer_start", int),
            )
            for answer_place, answer in _items(place, question, "answers")
        )
    # The answers of an impossible question would be answers to something near it.
    return SquadExample(str(qas_id), text, context, () if is_impossible else answers, is_impossible)


def _items(place: str, holder: object, key: str) -> Iterator[tuple[str, Any]]:
    """Yields the items of a list with where each stands."""
    for index, item in enumerate(_field(place, holder, key, list)):
        yield f"{place}{',' if ' ' in place else ':'} {key}[{index}]", item


def _field(place: str, holder: object, key: str, kind: Any) -> Any:
    if not isinstance(holder, dict) or key not in holder:
        raise InputError(
            f'{place} has no "{key}". Expected SQuAD\'s form: data, paragraphs, context and qas '
            "with id, question and answers."
        )
    value = holder[key]
    if not isinstance(value, kind) or isinstance(value, bool):
        names = {str: "a text", int: "a whole number", list: "a list"}
        expected = names.get(kind, "a text or a whole number")
        raise InputError(f'{place}: "{key}" is {value!r:.60}; expected {expected}.')
    return value


def _check_all_answered(
    path: str, examples: list[SquadExample], version_2_with_negative: bool
) -> None:
    if not any(example.is_labelled for example in examples):
        raise InputError(
            f"{path} has no answers, so nothing can be learnt from it. Name a file with answers."
        )
    for example in examples:
        if not example.is_labelled:
            raise InputError(
                f"{path}: the question {example.qas_id} has no answer; to train on it, it needs "
                "one, or is_impossible as true. Add it or take the question out."
            )
        if example.is_impossible and not version_2_with_negative:
            raise InputError(
                f"{path}: the question {example.qas_id} is marked is_impossible. Give "
                "--version_2_with_negative to learn which questions have no answer."
            )


def _check_ids(path: str, examples: list[SquadExample]) -> None:
    seen: set[str] = set()
    for example in examples:
        if example.qas_id in seen:
            raise InputError(
                f"{path}: two questions have the id {example.qas_id}, so their predictions could "
                "not be told apart. Give each an id of its own."
            )
        seen.add(example.qas_id)
