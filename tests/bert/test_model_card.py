"""The README.md of a model, and the facts in it."""

import json
import pathlib

import pytest
from exportable_models import config_for

from deeq_bert.bert import model_card
from deeq_bert.bert.model_folder import ModelFolder
from deeq_bert.bert.training_facts import TrainingFacts, read_training_facts
from deeq_bert.tokenizers.errors import InputError

CONTRACT = {"tokenizer": "wordpiece", "do_lower_case": False, "vocab_size": 900}
NOTHING = TrainingFacts({}, {}, {}, None, [])
LOG = [
    {"kind": "start", "step": 0, "train_batch_size": 8, "max_seq_length": 64, "phase": 0},
    {"kind": "train", "step": 10, "tokens": 300, "masked_lm_loss": 6.0},
    {"kind": "eval", "step": 10, "masked_lm_loss": 6.5, "time": "2020-01-01"},
    {"kind": "train", "step": 20, "tokens": 500, "masked_lm_loss": 5.25},
    {"kind": "start", "step": 20, "train_batch_size": 8, "max_seq_length": 128, "phase": 1},
    {"kind": "eval", "step": 20, "masked_lm_loss": 5.5},
    {"kind": "train", "step": 30, "tokens": 900, "masked_lm_loss": 4.0},
]


def model_in(folder: pathlib.Path, step: int | None) -> ModelFolder:
    return ModelFolder(
        folder=str(folder),
        checkpoint=f"{folder}/model.ckpt-{step}",
        step=step,
        config=config_for(900),
        vocab_file=f"{folder}/vocab.txt",
        tokenizer="wordpiece",
        do_lower_case=False,
        deeq_compat=False,
        contract=CONTRACT,
        is_hugging_face=False,
    )


def facts_of(folder: pathlib.Path, step: int | None = 20, log: list[dict] = LOG) -> TrainingFacts:
    (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in log))
    return read_training_facts(model_in(folder, step))


def card(facts: TrainingFacts = NOTHING, contract: dict = CONTRACT, **keywords) -> str:
    architecture = keywords.pop("architecture", "BertForPreTraining")
    keywords = {"step": None, "license_name": None, **keywords}
    made = model_card.make_card(
        architecture, config_for(900), 12345, contract, facts=facts, **keywords
    )
    return made.decode()


def test_figures_are_those_up_to_the_checkpoint(tmp_path):
    facts = facts_of(tmp_path)

    assert facts.figures == {"tokens": 300 * 10 + 500 * 10, "training masked_lm_loss": 5.25}
    assert facts.held_out == {"masked_lm_loss": 5.5}
    assert facts.held_out_step == 20
    assert facts.settings == {"train_batch_size": [8], "max_seq_length": [64, 128]}


def test_held_out_figures_say_of_which_step_they_are(tmp_path):
    facts = facts_of(tmp_path, step=15)

    assert (facts.held_out, facts.held_out_step) == ({"masked_lm_loss": 6.5}, 10)


def test_results_of_an_evaluation_count_for_their_own_checkpoint_only(tmp_path):
    (tmp_path / "eval_results.txt").write_text("global_step = 15\nmasked_lm_loss = 6.125\n")

    assert facts_of(tmp_path, step=15).held_out == {"masked_lm_loss": 6.125}
    assert facts_of(tmp_path, step=20).held_out == {"masked_lm_loss": 5.5}


def test_a_folder_without_a_log_tells_nothing(tmp_path):
    assert read_training_facts(model_in(tmp_path, 20)) == NOTHING


def test_a_checkpoint_of_an_unknown_step_takes_no_figures(tmp_path):
    assert facts_of(tmp_path, step=None) == NOTHING


def write_records(folder: pathlib.Path, name: str, infos: list[dict | None]) -> None:
    (folder / "record_index").mkdir(exist_ok=True)
    files = []
    for number, info in enumerate(infos):
        path = folder / f"{name}-{number}.tf"
        path.write_bytes(b"abc")
        if info is not None:
            content = {"bytes": 3, "tokenizer": CONTRACT, **info}
            pathlib.Path(f"{path}.json").write_text(json.dumps(content))
        files.append({"path": str(path)})
    description = {"records": 100 * len(infos), "files": files}
    (folder / "record_index" / f"{name}.json").write_text(json.dumps(description))


def test_what_the_records_were_made_of_is_summed_up(tmp_path):
    made = {"dupe_factor": 5, "random_seed": 3}
    write_records(tmp_path, "few", [{"tokens": 7}])
    write_records(tmp_path, "many", [{"tokens": 10, **made}, {"tokens": 20, **made}])

    assert read_training_facts(model_in(tmp_path, 20)).records == [
        {"records": 200, "tokens": 30, "dupe_factor": 5},
        {"records": 100, "tokens": 7},
    ]


def test_of_records_that_are_known_in_part_only_their_number_is_told(tmp_path):
    write_records(tmp_path, "half", [{"tokens": 10}, None])

    assert read_training_facts(model_in(tmp_path, 20)).records == [{"records": 200}]


def test_what_is_not_known_is_left_out():
    text = card()

    assert "## Training" not in text
    assert "held-out" not in text
    assert "license" not in text
    assert "None" not in text


def test_what_is_known_is_told():
    facts = TrainingFacts(
        settings={"train_batch_size": [8, 16]},
        figures={"tokens": 1_234_567.0, "training masked_lm_loss": 2.5},
        held_out={"masked_lm_accuracy": 0.5},
        held_out_step=1000,
        records=[{"records": 5000, "tokens": 10, "dupe_factor": 5}],
    )

    text = card(facts, step=1000)

    assert "| updates | 1,000 |" in text
    assert "| train_batch_size | 8, 16 |" in text
    assert "| tokens trained on, about | 1,230,000 |" in text
    assert "On held-out records after 1,000 updates:" in text
    assert "| masked_lm_accuracy | 0.5000 |" in text
    assert "| 5,000 |  | 10 |  | dupe_factor 5 |" in text


def front_matter(text: str) -> list[str]:
    start, matter, _ = text.split("---\n", 2)
    assert not start
    return matter.splitlines()


def test_the_front_matter_names_language_and_license():
    assert front_matter(card(license_name="cc-by-sa-4.0")) == [
        "language: ko",
        "license: cc-by-sa-4.0",
        "library_name: transformers",
        "pipeline_tag: fill-mask",
        "tags:",
        "- bert",
    ]


def test_an_encoder_alone_fills_no_masks():
    assert "pipeline_tag" not in card(architecture="BertModel")


def test_a_morpheme_tokenizer_needs_its_own_code():
    contract = {**CONTRACT, "tokenizer": "deeq", "analyzer": {"name": "kiwi", "version": "0.24.1"}}

    text = card(contract=contract)

    assert "trust_remote_code=True" in text
    assert "pip install kiwipiepy" in text
    assert "| analyzer: version | 0.24.1 |" in text
    assert "trust_remote_code" not in card()


@pytest.mark.parametrize("name", ["", "a b", "mit\nlanguage: en", "x" * 100, "-mit"])
def test_a_license_that_is_no_name_is_refused(name):
    with pytest.raises(InputError, match="expected a short name without blanks"):
        model_card.check_license(name)


def test_figures_that_are_no_numbers_are_left_out(tmp_path):
    log = [{"kind": "train", "step": 20, "tokens": None, "masked_lm_loss": "NaN"}]

    assert facts_of(tmp_path, log=log).figures == {}
