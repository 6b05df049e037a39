"""The contract of a vocabulary: written, read, and held against what is used."""

import json

import pytest

from deeq_bert.tokenizers import contract
from deeq_bert.tokenizers.base import TokenizerSettings
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.full_tokenizer import FullTokenizer


@pytest.fixture
def vocab_file(tmp_path) -> str:
    path = tmp_path / "vocab.txt"
    path.write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n가\n", encoding="utf-8")
    return str(path)


@pytest.fixture
def tokenizer(vocab_file) -> FullTokenizer:
    return FullTokenizer(vocab_file, do_lower_case=False)


@pytest.fixture
def settings(vocab_file) -> TokenizerSettings:
    return TokenizerSettings("wordpiece", vocab_file, do_lower_case=False)


@pytest.fixture
def written(vocab_file, tokenizer) -> str:
    contract.write_contract(vocab_file, contract.make_contract("wordpiece", tokenizer))
    return contract.contract_path(vocab_file)


def test_it_says_what_decides_the_tokens(tokenizer):
    made = contract.make_contract("wordpiece", tokenizer)
    assert made["tokenizer"] == "wordpiece"
    assert made["do_lower_case"] is False
    assert made["vocab_file"] == "vocab.txt"
    assert made["vocab_size"] == 6
    assert len(made["vocab_sha256"]) == 64


def test_what_was_written_is_read(written, tokenizer, vocab_file):
    expected = contract.make_contract("wordpiece", tokenizer)
    assert contract.contract_of_vocabulary(vocab_file) == expected


def test_the_same_tokenizer_agrees(written, settings, tokenizer):
    assert contract.check_contract(settings, tokenizer) == contract.read_contract(written)


def test_without_a_contract_anything_goes(settings, tokenizer):
    assert contract.check_contract(settings, tokenizer)["do_lower_case"] is False


def test_another_case_is_refused_with_both_values(written, settings, vocab_file):
    with pytest.raises(InputError) as caught:
        contract.check_contract(settings, FullTokenizer(vocab_file, do_lower_case=True))
    message = str(caught.value)
    assert "do_lower_case is false for the vocabulary and true for this run" in message
    assert "--do_lower_case=False" in message
    assert "--allow_tokenizer_mismatch" in message


def test_a_vocabulary_that_was_edited_is_refused(written, settings, vocab_file):
    with open(vocab_file, "a", encoding="utf-8") as file:
        file.write("나\n")
    with pytest.raises(InputError, match="changed after it was made"):
        contract.check_contract(settings, FullTokenizer(vocab_file, do_lower_case=False))


def test_the_contract_of_another_vocabulary_is_not_this_ones(written, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("[UNK]\n")
    assert contract.contract_of_vocabulary(str(other)) is None


def test_a_second_vocabulary_in_the_folder_is_refused(written, tmp_path):
    with pytest.raises(InputError, match=r"vocab\.txt.*another folder"):
        contract.check_can_write(str(tmp_path / "other.txt"))


def test_the_same_vocabulary_can_be_made_again(written, vocab_file):
    contract.check_can_write(vocab_file)


def test_the_file_of_another_program_is_left_alone(tmp_path, vocab_file, settings, tokenizer):
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    assert contract.contract_of_vocabulary(vocab_file) is None
    contract.check_contract(settings, tokenizer)
    with pytest.raises(InputError, match="another program"):
        contract.check_can_write(vocab_file)


@pytest.mark.parametrize("content", ["", "{", "\x00", "[" * 100_000])
def test_a_damaged_contract_is_an_error(tmp_path, vocab_file, content):
    (tmp_path / "tokenizer_config.json").write_text(content)
    with pytest.raises(InputError, match=r"tokenizer_config\.json is not JSON"):
        contract.contract_of_vocabulary(vocab_file)


def test_a_later_version_is_an_error(written, vocab_file):
    with open(written, encoding="utf-8") as file:
        content = json.load(file)
    content["contract_version"] = 99
    contract.write_contract_file(written, content)
    with pytest.raises(InputError, match="contract_version 99"):
        contract.contract_of_vocabulary(vocab_file)


def test_user_words_are_handed_on(vocab_file):
    words = {"contract_version": 1, "vocab_file": "vocab.txt", "analyzer": {"user_words": ["딥큐"]}}
    contract.write_contract(vocab_file, words)
    assert contract.user_words(vocab_file) == ("딥큐",)


def test_long_values_are_cut_in_messages():
    differing = contract.differences({"a": "x" * 10_000}, {})
    assert len(contract.describe_differences(differing, "one", "the other")) < 1000


def test_the_file_of_an_exported_tokenizer_is_both_programs(tmp_path, vocab_file, tokenizer):
    made = contract.make_contract("wordpiece", tokenizer)
    theirs = {"tokenizer_class": "BertTokenizer", "pad_token": "[PAD]", "model_max_length": 512}
    del made["vocab_file"]
    contract.write_contract(vocab_file, {**made, **theirs})
    assert contract.contract_of_vocabulary(vocab_file) == {**made, "vocab_file": "vocab.txt"}
