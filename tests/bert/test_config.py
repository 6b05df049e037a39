import json
import subprocess
import sys

import pytest

from deeq_bert.bert.config import BertConfig
from deeq_bert.tokenizers.errors import InputError


def test_defaults_are_those_of_the_original():
    assert BertConfig(vocab_size=32000).to_dict() == {
        "vocab_size": 32000,
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "max_position_embeddings": 512,
        "type_vocab_size": 16,
        "initializer_range": 0.02,
    }


def test_a_config_comes_back_from_its_own_text(tmp_path):
    config = BertConfig(vocab_size=900, hidden_size=128, num_attention_heads=2)
    path = tmp_path / "bert_config.json"
    path.write_text(config.to_json_string())

    assert BertConfig.from_json_file(path).to_dict() == config.to_dict()


def test_fields_of_others_are_kept_and_change_nothing():
    config = BertConfig.from_dict({"vocab_size": 100, "pooler_type": "first", "to_dict": 1})

    assert config.to_dict()["pooler_type"] == "first"
    assert config.to_dict()["to_dict"] == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("vocab_size", None),
        ("vocab_size", 0),
        ("vocab_size", True),
        ("hidden_size", 768.0),
        ("num_hidden_layers", -1),
        ("num_attention_heads", "12"),
        ("num_attention_heads", 5),
        ("intermediate_size", 10**30),
        ("max_position_embeddings", [512]),
        ("type_vocab_size", {}),
        ("hidden_act", "swish"),
        ("hidden_act", 3),
        ("hidden_dropout_prob", 1.0),
        ("hidden_dropout_prob", float("nan")),
        ("attention_probs_dropout_prob", -0.1),
        ("attention_probs_dropout_prob", False),
        ("initializer_range", 0),
        ("initializer_range", float("inf")),
    ],
)
def test_a_value_out_of_range_is_refused_with_file_and_field(tmp_path, field, value):
    path = tmp_path / "bert_config.json"
    path.write_text(json.dumps({"vocab_size": 100, field: value}))

    with pytest.raises(InputError) as error:
        BertConfig.from_json_file(path)

    assert str(path) in str(error.value)
    assert field in str(error.value)


def test_a_missing_vocabulary_size_is_named():
    with pytest.raises(InputError, match="vocab_size is missing"):
        BertConfig.from_dict({"hidden_size": 768})


@pytest.mark.parametrize("act", ["gelu", "GELU", "relu", "tanh", "linear", "", None])
def test_every_activation_of_the_original_is_taken(act):
    assert BertConfig(vocab_size=100, hidden_act=act).hidden_act == act


@pytest.mark.parametrize(
    "content",
    [b"", b"vocab_size: 3", b"[1, 2]", b"\xff\xfe{}", b"[" * 100_000, b" " * (1024 * 1024 + 1)],
    ids=["empty", "yaml", "list", "not-utf-8", "deep", "large"],
)
def test_a_file_that_is_no_config_is_refused_by_name(tmp_path, content):
    path = tmp_path / "bert_config.json"
    path.write_bytes(content)

    with pytest.raises(InputError, match="bert_config.json"):
        BertConfig.from_json_file(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.json"):
        BertConfig.from_json_file(tmp_path / "nowhere.json")


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("bert_config.json", (32000, 768, 12, 12, 3072)),
        ("bert_config_large.json", (32000, 1024, 24, 16, 4096)),
        ("bert_config_small.json", (32000, 512, 4, 8, 2048)),
    ],
)
def test_the_bundled_configs_have_the_published_shapes(repository, name, shape):
    config = BertConfig.from_json_file(repository / "configs" / name)

    assert shape == (
        config.vocab_size,
        config.hidden_size,
        config.num_hidden_layers,
        config.num_attention_heads,
        config.intermediate_size,
    )
    assert (config.type_vocab_size, config.max_position_embeddings) == (2, 512)


def test_the_tiny_config_fits_the_bundled_vocabulary(repository):
    config = BertConfig.from_json_file(repository / "configs" / "bert_config_tiny.json")
    vocabulary = (repository / "corpus" / "sample" / "vocab.txt").read_text(encoding="utf-8")

    assert config.vocab_size == len(vocabulary.splitlines())


def test_configs_are_read_without_tensorflow():
    code = "import sys, deeq_bert.bert.config; sys.exit('tensorflow' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
