"""Records of some documents: what is in the files, and what is told of them."""

import collections
import dataclasses
import hashlib
import json
import pathlib
from array import array

import pytest

from deeq_bert.bert import record_making
from deeq_bert.bert.documents import Documents, TextCounts
from deeq_bert.bert.examples import FEATURE_NAMES, UNMASKED_FEATURE_NAMES, decode_example
from deeq_bert.bert.instance_blocks import NEVER_MASKED
from deeq_bert.bert.record_making import (
    RecordMaker,
    RecordSettings,
    SequenceLength,
    empty_documents,
    name_of_length,
)
from deeq_bert.bert.records import read_records
from deeq_bert.tokenizers import parallel, registry
from deeq_bert.tokenizers.base import TokenizedLines, Tokenizer, TokenizerSettings
from deeq_bert.tokenizers.errors import InputError

LENGTH = SequenceLength(32, 5)
CONTRACT = {"contract_version": 1}


@pytest.fixture
def settings(own) -> RecordSettings:
    return RecordSettings(
        TokenizerSettings("wordpiece", str(own / "vocab.txt"), do_lower_case=False),
        CONTRACT,
        (LENGTH,),
        mask_unit="token",
        masked_lm_prob=0.15,
        short_seq_prob=0.1,
        dupe_factor=2,
        random_seed=1,
    )


@pytest.fixture
def tokenizer(settings) -> Tokenizer:
    return registry.make_tokenizer(settings.tokenizer)


@pytest.fixture
def documents(settings, tokenizer, own) -> Documents:
    lines = (own / "sample.txt").read_text(encoding="utf-8").split("\n")
    documents = empty_documents(settings, tokenizer)
    for some_lines, tokenized in parallel.tokenize_blocks_by(tokenizer, lines):
        documents.add_lines(some_lines, tokenized)
    return documents


@pytest.fixture
def make(documents, tokenizer, settings):
    """Makes the records of the sample text; keywords replace settings."""

    def run(seed: int = 1, **changes) -> RecordMaker:
        changed = dataclasses.replace(settings, **changes)
        return RecordMaker(documents, tokenizer, changed, LENGTH, seed)

    return run


def test_records_are_the_examples_in_their_order(make, tmp_path):
    maker = make()
    path = str(tmp_path / "out.tf")
    maker.write([path], {})
    assert list(read_records(path)) == list(maker.examples())
    assert len(set(read_records(path))) > 50


def test_several_files_have_the_records_in_turn(make, tmp_path, monkeypatch):
    # Not only where a block of instances starts with the first file.
    monkeypatch.setattr(record_making, "_INSTANCES_AT_ONCE", 10)
    maker = make()
    paths = [str(tmp_path / f"{number}.tf") for number in range(3)]
    maker.write(paths, {})
    examples = list(maker.examples())
    assert [list(read_records(path)) for path in paths] == [examples[n::3] for n in range(3)]


def test_more_files_than_records_leave_empty_ones(make, tmp_path, tokenizer, settings):
    few = empty_documents(settings, tokenizer)
    for some_lines, tokenized in parallel.tokenize_blocks_by(tokenizer, ["오늘은 날", "내일도"]):
        few.add_lines(some_lines, tokenized)
    paths = [str(tmp_path / f"{number}.tf") for number in range(9)]
    infos = RecordMaker(few, tokenizer, settings, LENGTH, 1).write(paths, {})
    counts = [info["records"] for info in infos]
    assert counts == [len(list(read_records(path))) for path in paths]
    assert counts[0] and not counts[-1]


def test_how_many_instances_are_put_together_at_once_changes_nothing(make, monkeypatch):
    examples = list(make().examples())
    monkeypatch.setattr(record_making, "_INSTANCES_AT_ONCE", 7)
    assert list(make().examples()) == examples


def test_records_depend_on_the_seed(make):
    assert list(make(seed=1).examples()) == list(make(seed=1).examples())
    assert list(make(seed=1).examples()) != list(make(seed=2).examples())


@pytest.mark.parametrize("mask_unit", ["token", "word", None])
def test_what_records_add_up_to_is_what_they_hold(make, tmp_path, mask_unit):
    maker = make(mask_unit=mask_unit)
    paths = [str(tmp_path / f"{number}.tf") for number in range(2)]
    infos = maker.write(paths, {"more": "facts"})
    sums = collections.Counter()
    for path, info in zip(paths, infos):
        counts = collections.Counter()
        of_lengths = [0] * 16
        for record in read_records(path):
            example = decode_example(record)
            length = sum(example["input_mask"])
            counts["records"] += 1
            counts["instance_tokens"] += length
            counts["random_next"] += example["next_sentence_labels"][0]
            counts["predictions"] += int(sum(example.get("masked_lm_weights", [])))
            # 32 ids in 16 ranges.
            of_lengths[(length - 1) // 2] += 1
        content = pathlib.Path(path).read_bytes()
        assert info == {
            "predictions": 0,
            **counts,
            "length_counts": of_lengths,
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "more": "facts",
        }
        assert json.loads(pathlib.Path(f"{path}.json").read_text()) == info
        sums += counts
    total = dataclasses.asdict(maker.counts)
    assert sum(total.pop("length_counts")) == total["records"]
    assert {name: value for name, value in total.items() if value} == dict(sums)


@pytest.mark.parametrize(
    ("mask_unit", "names"), [("word", FEATURE_NAMES), (None, UNMASKED_FEATURE_NAMES)]
)
def test_records_have_the_features_of_their_kind(make, mask_unit, names):
    example = decode_example(next(make(mask_unit=mask_unit).examples()))
    assert tuple(example) == names
    assert len(example["input_ids"]) == 32


def test_nothing_is_left_where_a_file_cannot_be_written(make, tmp_path):
    (tmp_path / "folder").mkdir()
    paths = [str(tmp_path / "out.tf"), str(tmp_path / "nowhere" / "out.tf")]
    with pytest.raises(InputError, match="nowhere"):
        make().write(paths, {})
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_masked_records_tell_how_they_were_masked(settings, tokenizer):
    assert settings.choices(LENGTH, tokenizer) == {
        "max_seq_length": 32,
        "short_seq_prob": 0.1,
        "dupe_factor": 2,
        "random_seed": 1,
        "dynamic_masking": False,
        "max_predictions_per_seq": 5,
        "masked_lm_prob": 0.15,
        "mask_unit": "token",
    }


def test_unmasked_records_tell_how_to_mask_them(settings, tokenizer):
    choices = dataclasses.replace(settings, mask_unit=None).choices(LENGTH, tokenizer)
    assert choices["dynamic_masking"] is True
    assert (choices["mask_id"], choices["num_ids"]) == (4, 900)
    assert choices["mask_units"] == ["token", "word"]
    assert not {"max_predictions_per_seq", "masked_lm_prob", "mask_unit"} & set(choices)


def test_the_facts_have_text_vocabulary_and_contract(settings, tokenizer, own):
    facts = settings.facts(LENGTH, tokenizer, TextCounts(1, 2, 3, 4, 5))
    assert facts["documents"] == 1 and facts["characters"] == 5
    assert facts["vocab_file"] == str(own / "vocab.txt")
    assert facts["tokenizer"] == CONTRACT
    assert facts.items() >= settings.choices(LENGTH, tokenizer).items()


@pytest.mark.parametrize(("mask_unit", "kept"), [("token", False), ("word", True), (None, True)])
def test_units_are_kept_where_masks_need_them(settings, tokenizer, mask_unit, kept):
    documents = empty_documents(dataclasses.replace(settings, mask_unit=mask_unit), tokenizer)
    documents.add_lines(["text"], TokenizedLines(array("i", [5]), array("i", [1]), b"\3"))
    assert bool(documents.units) == kept


def test_unmasked_records_have_the_units_of_the_tokenizer(settings, tokenizer):
    settings = dataclasses.replace(settings, mask_unit=None)
    documents = empty_documents(settings, tokenizer)
    of_text = bytes([3, 0, 2, 1, 3, 2, 0, 0])
    tokenized = TokenizedLines(array("i", range(100, 108)), array("i", [4, 4]), of_text)
    documents.add_lines(["some", "text"], tokenized)
    cls, sep = tokenizer.vocab["[CLS]"], tokenizer.vocab["[SEP]"]
    units = {**dict(enumerate(of_text, start=100)), cls: NEVER_MASKED, sep: NEVER_MASKED}
    for record in RecordMaker(documents, tokenizer, settings, LENGTH, 1).examples():
        example = decode_example(record)
        length = sum(example["input_mask"])
        expected = [units[id_] for id_ in example["input_ids"][:length]]
        assert example["token_units"] == expected + [0] * (32 - length)


def test_progress_is_told(documents, tokenizer, settings):
    passed = []
    RecordMaker(documents, tokenizer, settings, LENGTH, 1, passed.append)
    assert sum(passed) == 2 * len(documents)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("out.tf", "out.tf"), ("{length}/out-{length}.tf", "32/out-32.tf"), ("{other}", "{other}")],
)
def test_the_length_stands_in_the_name_where_it_is_asked_for(name, expected):
    assert name_of_length(name, LENGTH) == expected
