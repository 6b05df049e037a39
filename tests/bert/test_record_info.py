"""What stands beside records, and the tokenizer that is handed on with it."""

import json
import shutil

import pytest

from deeq_bert.bert import record_info
from deeq_bert.tokenizers import contract
from deeq_bert.tokenizers.errors import InputError


@pytest.fixture
def records(tmp_path):
    """Makes a file that stands for records, with information about it."""

    def make(name: str, **tokenizer) -> str:
        path = tmp_path / name
        path.write_bytes(b"records")
        agreed = {"contract_version": 1, "tokenizer": "deeq", "vocab_file": "vocab.txt"}
        info = {"bytes": 7, "tokenizer": {**agreed, **tokenizer}}
        (tmp_path / f"{name}.json").write_bytes(record_info.encode_info(info))
        return str(path)

    return make


def test_patterns_find_no_information_as_records():
    files = ["train.tf", "train.tf.json", "other.json"]
    assert record_info.without_info_files(files) == ["train.tf", "other.json"]


def test_patterns_find_no_information_on_a_set_as_records():
    shards = ["train.tf-00000-of-00003", "train.tf-00001-of-00003"]
    # The third shard is gone, and what stood beside it is not.
    infos = [f"train.tf-0000{number}-of-00003.json" for number in range(3)] + ["train.tf.json"]
    files = [*shards, *infos, "other.json"]
    assert record_info.without_info_files(files) == [*shards, "other.json"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a/train.tf-00003-of-00010", ("a/train.tf", 3, 10)),
        ("train-00000-of-00001-99999-of-123456", ("train-00000-of-00001", 99999, 123456)),
        ("train.tf", None),
        ("train.tf-3-of-10", None),
        ("train.tf-00010-of-00010", None),
        ("train.tf-00003-of-00010.json", None),
        ("-00003-of-00010", None),
    ],
)
def test_the_name_of_a_shard_tells_its_place(path, expected):
    shard = record_info.shard_name(path)
    assert shard == expected
    assert shard is None or record_info.shard_path(shard) == path


def test_records_without_information_are_unknown(tmp_path):
    (tmp_path / "a.tf").write_bytes(b"records")
    assert record_info.known_infos([str(tmp_path / "a.tf")]) == {}


def test_information_about_other_records_of_the_name_is_outdated(records):
    path = records("a.tf")
    with open(path, "ab") as file:
        file.write(b"more")
    assert record_info.read_info(path) is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"tokenizer": 1}', "[" * 100_000])
def test_damaged_information_is_an_error(records, content):
    path = records("a.tf")
    with open(f"{path}.json", "w") as file:
        file.write(content)
    with pytest.raises(InputError, match=r"a\.tf\.json does not say"):
        record_info.read_info(path)


def test_records_of_one_tokenizer_go_together(records):
    infos = record_info.known_infos([records("a.tf"), records("b.tf")])
    assert len(infos) == 2
    record_info.check_one_tokenizer(infos)


def test_records_of_two_tokenizers_do_not(records):
    infos = record_info.known_infos([records("a.tf"), records("b.tf", tokenizer="wordpiece")])
    with pytest.raises(InputError, match=r"tokenizer is deeq for .*a\.tf and wordpiece for .*b"):
        record_info.check_one_tokenizer(infos)


def test_a_vocabulary_larger_than_the_model_is_refused(records):
    path = records("a.tf", vocab_size=901)
    info = record_info.read_info(path)
    record_info.check_vocab_size(path, info, 901, "config.json")
    with pytest.raises(InputError, match=r"a\.tf .* 901 tokens, .* 900 in config\.json"):
        record_info.check_vocab_size(path, info, 900, "config.json")


@pytest.mark.parametrize("value", [None, "901", [901]])
def test_a_vocabulary_of_unknown_size_passes(records, value):
    path = records("a.tf", vocab_size=value)
    record_info.check_vocab_size(path, record_info.read_info(path), 900, "config.json")


def test_the_tokenizer_is_handed_on_with_the_vocabulary(tmp_path, run_script, own):
    shutil.copy(own / "vocab.txt", tmp_path / "vocab.txt")
    made = run_script(
        "bert/create_pretraining_data.py",
        f"--input_file={own / 'sample.txt'}",
        f"--vocab_file={tmp_path / 'vocab.txt'}",
        "--do_lower_case=False",
        f"--output_file={tmp_path / 'a.tf'}",
    )
    assert made.returncode == 0, made.stderr
    info = record_info.read_info(str(tmp_path / "a.tf"))
    model = tmp_path / "model"
    model.mkdir()
    record_info.hand_on_tokenizer(info, str(model))
    assert (model / "vocab.txt").read_bytes() == (own / "vocab.txt").read_bytes()
    assert contract.read_contract(str(model / "tokenizer_config.json")) == info["tokenizer"]
    record_info.check_model_tokenizer("a.tf", info, str(model))

    other = {**info, "tokenizer": {**info["tokenizer"], "do_lower_case": True}}
    with pytest.raises(InputError, match="do_lower_case is false for .* and true for b.tf"):
        record_info.check_model_tokenizer("b.tf", other, str(model))


def test_a_vocabulary_that_changed_since_is_not_handed_on(tmp_path):
    (tmp_path / "vocab.txt").write_text("changed\n")
    agreed = {"contract_version": 1, "vocab_file": "vocab.txt", "vocab_sha256": "0" * 64}
    model = tmp_path / "model"
    model.mkdir()
    info = {"vocab_file": str(tmp_path / "vocab.txt"), "tokenizer": agreed}
    record_info.hand_on_tokenizer(info, str(model))
    assert [path.name for path in model.iterdir()] == ["tokenizer_config.json"]
    assert json.loads((model / "tokenizer_config.json").read_text()) == agreed
