import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hugging_face_folders import CONFIG, write_folder

from deeq_bert.bert.config import BertConfig
from deeq_bert.bert.init_checkpoint import check_init_checkpoint
from deeq_bert.tokenizers.errors import InputError

WORDS = {"bert/embeddings/word_embeddings": np.zeros((11, 8), np.float32)}
VOCABULARY = [f"t{number}" for number in range(11)]


def config_with(**fields) -> BertConfig:
    return BertConfig.from_dict({**CONFIG.to_dict(), **fields})


def test_a_folder_of_the_same_sizes_is_well(tmp_path):
    check_init_checkpoint(write_folder(tmp_path, WORDS), CONFIG)


def test_a_checkpoint_of_the_original_is_well(golden_model):
    config = BertConfig.from_json_file(golden_model / "bert_config.json")

    check_init_checkpoint(str(golden_model / "model.ckpt-7"), config)
    check_init_checkpoint(str(golden_model / "model.ckpt-7.index"), config)
    check_init_checkpoint(str(golden_model), config)


def test_tensorflow_is_not_needed(tmp_path):
    folder = write_folder(tmp_path, WORDS)
    program = (
        "import sys\nfrom deeq_bert.bert import init_checkpoint, config\n"
        f"fields = {CONFIG.to_dict()!r}\n"
        f"init_checkpoint.check_init_checkpoint({folder!r}, config.BertConfig.from_dict(fields))\n"
        "assert 'tensorflow' not in sys.modules"
    )

    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("field", "there", "here"),
    [
        ("hidden_size", 8, 16),
        ("num_hidden_layers", 2, 3),
        ("num_attention_heads", 2, 4),
        ("intermediate_size", 16, 32),
        ("type_vocab_size", 2, 3),
        ("hidden_act", "'gelu'", "'relu'"),
    ],
)
def test_a_size_that_differs_is_refused_with_both_values(tmp_path, field, there, here):
    folder = write_folder(tmp_path, WORDS)
    config = config_with(**{field: here.strip("'") if isinstance(here, str) else here})

    with pytest.raises(InputError, match=f"{field} is {there} there and {here} here"):
        check_init_checkpoint(folder, config)


def test_the_heads_of_a_checkpoint_of_the_original_are_compared(golden_model):
    config = BertConfig.from_json_file(golden_model / "bert_config.json")
    other = BertConfig.from_dict({**config.to_dict(), "num_attention_heads": 1})

    with pytest.raises(InputError, match=r"num_attention_heads is \d+ there and 1 here"):
        check_init_checkpoint(str(golden_model / "model.ckpt-7"), other)


@pytest.mark.parametrize("name", ["gelu", "gelu_new", "gelu_pytorch_tanh"])
def test_every_gelu_is_ours(tmp_path, name):
    check_init_checkpoint(write_folder(tmp_path, WORDS, hidden_act=name), CONFIG)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model_type", "roberta"),
        ("model_type", ["bert"]),
        ("position_embedding_type", "relative_key"),
        ("is_decoder", True),
    ],
)
def test_another_kind_of_model_is_refused(tmp_path, field, value):
    folder = write_folder(tmp_path, WORDS, **{field: value})

    with pytest.raises(InputError, match=f"another kind of model: {field} is"):
        check_init_checkpoint(folder, CONFIG)


@pytest.mark.parametrize("value", ["8", [8], None, {"a": 1}, 8.0, True, "x" * 10_000])
def test_an_absurd_size_is_refused(tmp_path, value):
    folder = write_folder(tmp_path, WORDS, hidden_size=value, hidden_act=value)

    with pytest.raises(InputError, match="hidden_size is") as caught:
        check_init_checkpoint(folder, CONFIG)
    assert len(str(caught.value)) < 1000


def test_other_numbers_of_words_need_both_vocabularies(tmp_path):
    folder = write_folder(tmp_path, WORDS)
    config = config_with(vocab_size=12)

    check_init_checkpoint(folder, config, [*VOCABULARY, "new"], VOCABULARY)
    with pytest.raises(InputError, match="Give --init_vocab_file, .* and --vocab_file, "):
        check_init_checkpoint(folder, config)
    with pytest.raises(InputError, match="Give --vocab_file, the vocabulary of the records, so"):
        check_init_checkpoint(folder, config, None, VOCABULARY)


def test_a_vocabulary_with_more_tokens_than_embeddings_is_refused(tmp_path):
    folder = write_folder(tmp_path, WORDS)

    with pytest.raises(InputError, match="--init_vocab_file has 12 tokens, but"):
        check_init_checkpoint(folder, CONFIG, VOCABULARY, [*VOCABULARY, "more"])
    with pytest.raises(InputError, match="vocabulary of the records has 12 tokens, but"):
        check_init_checkpoint(folder, CONFIG, [*VOCABULARY, "more"], VOCABULARY)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "tf_model.h5"])
def test_weights_in_other_formats_are_refused_with_the_way_out(tmp_path, name):
    (tmp_path / name).write_bytes(b"")

    with pytest.raises(InputError, match=f"{name}, which is not read.*safe_serialization=True"):
        check_init_checkpoint(str(tmp_path), CONFIG)


def test_a_folder_without_a_config_is_refused(tmp_path):
    write_folder(tmp_path, WORDS)
    (tmp_path / "config.json").unlink()

    with pytest.raises(InputError, match="has model.safetensors but no config.json"):
        check_init_checkpoint(str(tmp_path), CONFIG)


@pytest.mark.parametrize("content", ["", "[]", "{", "7"])
def test_a_config_that_is_none_is_refused(tmp_path, content):
    write_folder(tmp_path, WORDS)
    (tmp_path / "config.json").write_text(content)

    with pytest.raises(InputError, match="config.json is not a JSON object"):
        check_init_checkpoint(str(tmp_path), CONFIG)


def test_weights_of_something_else_are_refused(tmp_path):
    folder = write_folder(tmp_path, {"bert/pooler/dense/bias": np.zeros(8, np.float32)})

    with pytest.raises(InputError, match="holds no bert.embeddings.word_embeddings.weight"):
        check_init_checkpoint(folder, CONFIG)


def test_the_file_of_weights_stands_for_no_folder(tmp_path):
    folder = write_folder(tmp_path, WORDS)

    with pytest.raises(InputError, match="give the folder it is in"):
        check_init_checkpoint(f"{folder}/model.safetensors", CONFIG)


def test_a_checkpoint_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"there is no .*model.ckpt-7.index. Give the part"):
        check_init_checkpoint(f"{tmp_path}/model.ckpt-7", CONFIG)


def test_a_folder_without_any_weights(tmp_path):
    with pytest.raises(InputError, match="Expected a file `checkpoint`, or model.safetensors"):
        check_init_checkpoint(str(tmp_path), CONFIG)


def test_an_unpacked_archive_of_the_original_is_told_by_its_prefix(tmp_path, golden_model):
    for path in golden_model.glob("model.ckpt-7.*"):
        shutil.copy(path, tmp_path / path.name.replace("model.ckpt-7", "bert_model.ckpt"))

    with pytest.raises(InputError, match="Name one of its checkpoints, as in .*/bert_model.ckpt."):
        check_init_checkpoint(str(tmp_path), CONFIG)


def test_an_index_without_its_values(tmp_path):
    (tmp_path / "model.ckpt-7.index").write_bytes(b"")

    with pytest.raises(InputError, match="no .*model.ckpt-7.data-"):
        check_init_checkpoint(f"{tmp_path}/model.ckpt-7", CONFIG)


def test_a_list_of_checkpoints_that_is_none(tmp_path):
    (tmp_path / "checkpoint").write_bytes(b"\xff\x00 nothing")

    with pytest.raises(InputError, match="does not list checkpoints"):
        check_init_checkpoint(str(tmp_path), CONFIG)


def test_a_config_of_the_original_that_is_none(tmp_path, golden_model):
    shutil.copytree(golden_model, tmp_path, dirs_exist_ok=True)
    (tmp_path / "bert_config.json").write_text(json.dumps([]))

    with pytest.raises(InputError, match="bert_config.json is not a JSON object"):
        check_init_checkpoint(f"{tmp_path}/model.ckpt-7", CONFIG)
