import dataclasses
import json

import pytest

from deeq_bert.bert.phases import Phase, batch_hint, read_schedule
from deeq_bert.tokenizers.errors import InputError

DEFAULT = Phase(
    input_file="train*.tf",
    eval_input_file="heldout.tf",
    max_seq_length=128,
    max_predictions_per_seq=20,
    train_batch_size=256,
    gradient_accumulation_steps=1,
    num_train_steps=1000,
    num_warmup_steps=100,
    learning_rate=1e-4,
)


@pytest.fixture
def schedule_file(tmp_path):
    """A function that writes a value as JSON and returns the path."""

    def write(value: object) -> str:
        path = tmp_path / "schedule.json"
        path.write_text(value if isinstance(value, str) else json.dumps(value))
        return str(path)

    return write


def test_a_phase_takes_from_the_flags_what_it_does_not_name(schedule_file):
    second = {
        "input_file": "long*.tf",
        "max_seq_length": 512,
        "max_predictions_per_seq": 77,
        "train_batch_size": None,
        "num_train_steps": 500,
        "reset_optimizer": True,
    }

    phases = read_schedule(schedule_file({"phases": [{}, second]}), DEFAULT)

    assert phases[0] == DEFAULT
    assert phases[1] == dataclasses.replace(DEFAULT, **second, first_step=1000)
    assert phases[1].last_step == 1500


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ({}, "no list of phases"),
        ({"phases": []}, "no list of phases"),
        ({"phases": [{}], "phase": 1}, "phase is not known"),
        ({"phases": [1]}, "phase 1 is not an object"),
        ({"phases": [{}, {"steps": 5}]}, "phase 2: steps is not known. A phase has input_file"),
        ({"phases": [{"num_train_steps": 0}]}, "num_train_steps is 0, but must be a whole number"),
        ({"phases": [{"max_seq_length": 1.5}]}, "max_seq_length is 1.5"),
        ({"phases": [{"num_train_steps": True}]}, "num_train_steps is true"),
        ({"phases": [{"learning_rate": -1}]}, "must be a finite number that is not negative"),
        ({"phases": [{"learning_rate": 1e39}]}, "must be a finite number"),
        ({"phases": [{"reset_optimizer": 1}]}, "must be true or false"),
        ({"phases": [{"input_file": 1}]}, "must be a string with patterns"),
    ],
)
def test_a_schedule_that_cannot_be_used_names_phase_and_value(schedule_file, content, message):
    with pytest.raises(InputError, match=message) as error:
        read_schedule(schedule_file(content), DEFAULT)

    assert "schedule.json" in str(error.value)


def test_a_schedule_that_is_missing_is_named(tmp_path):
    with pytest.raises(InputError, match="Cannot read --schedule_file=.*nowhere.json"):
        read_schedule(str(tmp_path / "nowhere.json"), DEFAULT)


def test_a_batch_four_times_as_large_needs_a_quarter_of_the_steps_and_twice_the_rate():
    hint = batch_hint(0, DEFAULT, 256, 1024)

    assert "--num_train_steps=250" in hint
    assert "0.0002" in hint
