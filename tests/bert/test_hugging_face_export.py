"""A model as a Hugging Face folder.

The slow tests load the folders with transformers and torch, in the Python that the environment
variable DEEQ_BERT_TORCH_PYTHON names: one with torch, transformers and kiwipiepy. They are skipped
without it, for torch is too large to be installed for a test.
"""

import json
import os
import pathlib
import struct
import subprocess

import numpy as np
import pytest
import tensorflow as tf
from exportable_models import (
    classifier,
    config_for,
    pretraining_model,
    vocabulary_size,
    with_random_values,
    write_folder,
)

from deeq_bert.bert import hf_export, model_weights
from deeq_bert.bert.config import BertConfig
from deeq_bert.bert.hf_weights import HuggingFaceWeights
from deeq_bert.bert.model_folder import ModelFolder, open_model
from deeq_bert.bert.modeling import BertModel
from deeq_bert.bert.task_heads import SpanModel
from deeq_bert.tokenizers.base import TokenizerSettings
from deeq_bert.tokenizers.contract import make_contract, write_contract
from deeq_bert.tokenizers.registry import make_tokenizer
from deeq_bert.tokenizers.vocabulary import SPECIAL_TOKENS, load_vocab

TOLERANCE = 1e-5
SENTENCES = ("서울은 한국의 수도입니다.", "안개가 짙은 아침이었다.")
SECOND_SENTENCES = ("그곳에는 천만 명이 산다.", "네.")


def export(model: ModelFolder, folder: pathlib.Path) -> dict:
    """Writes the folder with no tokenizer but the vocabulary; returns its config."""
    folder.mkdir()
    hf_export.write_hugging_face(
        model,
        model_weights.read_weights(model),
        load_vocab(model.vocab_file),
        [],
        {"vocab.txt": pathlib.Path(model.vocab_file).read_bytes()},
        b"# A card\n",
        str(folder),
    )
    return json.loads((folder / "config.json").read_text())


@pytest.fixture
def config(own) -> BertConfig:
    return config_for(vocabulary_size(own / "vocab.txt"))


@pytest.fixture
def pretrained(own, config, tmp_path) -> ModelFolder:
    model = pretraining_model(config)
    return open_model(write_folder(tmp_path / "run", model, config, own / "vocab.txt"))


def header_of(path: pathlib.Path) -> dict:
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + size])


def test_the_config_tells_transformers_the_same_model(pretrained, tmp_path):
    fields = export(pretrained, tmp_path / "hf")

    assert fields["architectures"] == ["BertForPreTraining"]
    assert fields["model_type"] == "bert"
    # Theirs of the name "gelu" is another function.
    assert fields["hidden_act"] == "gelu_new"
    assert fields["layer_norm_eps"] == 1e-12
    assert fields["pad_token_id"] == load_vocab(pretrained.vocab_file)["[PAD]"]
    assert fields["tie_word_embeddings"] is True
    for name in ("hidden_size", "type_vocab_size", "vocab_size", "num_attention_heads"):
        assert fields[name] == getattr(pretrained.config, name)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("relu", "relu"), ("TANH", "tanh"), (None, "linear"), ("", "linear"), ("GELU", "gelu_new")],
)
def test_each_activation_has_its_name_there(config, ours, theirs):
    other = BertConfig.from_dict({**config.to_dict(), "hidden_act": ours})

    assert hf_export.config_fields(other, "BertModel", {}, {})["hidden_act"] == theirs


def test_a_vocabulary_without_padding_has_no_padding_id(config):
    assert hf_export.config_fields(config, "BertModel", {"[UNK]": 0}, {})["pad_token_id"] is None


@pytest.mark.parametrize(
    ("labels", "names"),
    [(["none", "hate"], ["none", "hate"]), (["one"], ["LABEL_0", "LABEL_1"])],
)
def test_classes_have_their_names_where_they_are_known(config, labels, names):
    weights = {"output_bias": np.zeros(2)}
    fields = hf_export.config_fields(config, "BertForSequenceClassification", {}, weights, labels)
    assert fields["id2label"] == dict(zip("01", names))
    assert fields["label2id"] == {name: i for i, name in enumerate(names)}


def test_no_weight_is_lost_and_tied_ones_stand_once(pretrained, tmp_path):
    export(pretrained, tmp_path / "hf")

    exported = HuggingFaceWeights(str(tmp_path / "hf"))
    expected = model_weights.read_weights(pretrained)
    assert set(exported.shapes) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(exported.read(name), value)
    header = header_of(tmp_path / "hf" / "model.safetensors")
    assert not [name for name in header if "decoder" in name]
    assert header["__metadata__"] == {"format": "pt"}
    assert {entry["dtype"] for name, entry in header.items() if name != "__metadata__"} == {"F32"}


@pytest.mark.parametrize(
    ("make", "architecture", "name"),
    [
        (lambda config: with_random_values(BertModel(config, 1)), "BertModel", None),
        (classifier, "BertForSequenceClassification", "classifier.weight"),
        (
            lambda config: with_random_values(SpanModel(config, 1)),
            "BertForQuestionAnswering",
            "qa_outputs.weight",
        ),
    ],
)
def test_the_architecture_is_that_of_the_heads(own, config, tmp_path, make, architecture, name):
    model = make(config)
    folder = write_folder(tmp_path / "run", model, config, own / "vocab.txt")

    fields = export(open_model(folder), tmp_path / "hf")

    assert fields["architectures"] == [architecture]
    header = header_of(tmp_path / "hf" / "model.safetensors")
    assert len(header) - 1 == len(model.variables)
    assert name is None or name in header


def test_a_regression_is_one_there(own, config, tmp_path):
    folder = write_folder(tmp_path / "run", classifier(config, 1), config, own / "vocab.txt")

    fields = export(open_model(folder), tmp_path / "hf")

    assert fields["problem_type"] == "regression"
    assert fields["id2label"] == {"0": "LABEL_0"}


LOAD = """
import json, sys
import numpy as np, torch, transformers

asked = json.load(sys.stdin)
folder = asked["folder"]
architecture = json.load(open(f"{folder}/config.json"))["architectures"][0]
model, loading = getattr(transformers, architecture).from_pretrained(
    folder, output_loading_info=True
)
tokenizer = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=asked["trust"])
batch = tokenizer(*asked["texts"], padding=True, return_tensors="pt")
with torch.no_grad():
    output = model.eval()(**batch, output_hidden_states=True)
results = {name: batch[name] for name in ("input_ids", "attention_mask", "token_type_ids")}
for name in ("prediction_logits", "seq_relationship_logits", "logits"):
    if name in output:
        results[name] = output[name]
results["sequence_output"] = output.hidden_states[-1]
np.savez(asked["results"], **results)
table = model.bert.embeddings.word_embeddings.weight
tied = "cls" not in dict(model.named_children()) or (
    model.cls.predictions.decoder.weight.data_ptr() == table.data_ptr()
)
print(json.dumps({name: len(loading[name]) for name in loading} | {"tied": tied}))
"""


@pytest.fixture(scope="module")
def torch_python() -> str:
    python = os.environ.get("DEEQ_BERT_TORCH_PYTHON")
    if not python:
        pytest.skip("DEEQ_BERT_TORCH_PYTHON names no Python with torch, transformers and kiwipiepy")
    return python


def load_there(python: str, folder: pathlib.Path, tmp_path: pathlib.Path) -> tuple[dict, dict]:
    """Loads a folder with transformers; returns its outputs for the sentences and its report."""
    results = tmp_path / "results.npz"
    texts = [list(SENTENCES), list(SECOND_SENTENCES)]
    asked = {"folder": str(folder), "trust": True, "texts": texts, "results": str(results)}
    completed = subprocess.run(
        [python, "-c", LOAD],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf_home")},
    )
    assert completed.returncode == 0, completed.stderr
    return dict(np.load(results)), json.loads(completed.stdout)


def export_by_script(run_script, model_dir: str, output: pathlib.Path) -> pathlib.Path:
    completed = run_script(
        "bert/export.py",
        f"--model_dir={model_dir}",
        "--format=huggingface",
        "--license=apache-2.0",
        f"--output_dir={output}",
    )
    assert completed.returncode == 0, completed.stderr
    return output


def assert_loaded_whole(report: dict) -> None:
    counts = ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs")
    assert {name: report[name] for name in counts} == dict.fromkeys(counts, 0)
    assert report["tied"]


def difference(one: object, other: object) -> float:
    return float(np.abs(np.asarray(one) - np.asarray(other)).max())


def morpheme_vocabulary(own: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    """A vocabulary of the characters of the sample, as pieces of words and alone."""
    chars = sorted(set((own / "sample.txt").read_text("utf-8") + "".join(SENTENCES)) - set(" \n"))
    pieces = [f"##{char}" for char in chars]
    path = folder / "vocab.txt"
    path.write_text("\n".join([*SPECIAL_TOKENS, *chars, *pieces, ""]), "utf-8")
    return path


@pytest.mark.slow
@pytest.mark.parametrize("name", ["wordpiece", "deeq", "deeq-wordpiece"])
def test_transformers_gives_our_ids_and_our_outputs(torch_python, run_script, own, tmp_path, name):
    vocab_file = own / "vocab.txt"
    if name != "wordpiece":
        pytest.importorskip("kiwipiepy", reason="needs pip install -e '.[deeq]'")
        vocab_file = morpheme_vocabulary(own, tmp_path)
    config = config_for(vocabulary_size(vocab_file))
    model = pretraining_model(config)
    folder = write_folder(tmp_path / "run", model, config, vocab_file)
    ours = make_tokenizer(TokenizerSettings(name, f"{folder}/vocab.txt", False))
    write_contract(ours.vocab_file, make_contract(name, ours))

    exported = export_by_script(run_script, folder, tmp_path / "hf")
    results, report = load_there(torch_python, exported, tmp_path)

    assert_loaded_whole(report)
    special = {token: ours.vocab[token] for token in SPECIAL_TOKENS}
    for row, texts in enumerate(zip(SENTENCES, SECOND_SENTENCES)):
        first, second = map(ours.text_to_ids, texts)
        expected = [special["[CLS]"], *first, special["[SEP]"], *second, special["[SEP]"]]
        size = results["attention_mask"][row].sum()
        assert results["input_ids"][row][:size].tolist() == expected
    inputs = [
        tf.constant(results[name], tf.int32)
        for name in ("input_ids", "attention_mask", "token_type_ids")
    ]
    output = model.bert(*inputs)
    positions = tf.tile(tf.range(inputs[0].shape[1])[None], [2, 1])
    logits = model.heads.masked_lm_logits(
        output.sequence_output, positions, model.bert.embedding_table
    )
    assert difference(results["sequence_output"], output.sequence_output) <= TOLERANCE
    assert difference(results["prediction_logits"], logits) <= TOLERANCE
    next_sentence = model.heads.next_sentence_logits(output.pooled_output)
    assert difference(results["seq_relationship_logits"], next_sentence) <= TOLERANCE


@pytest.mark.slow
def test_transformers_gives_the_logits_of_our_classifier(
    torch_python, run_script, own, config, tmp_path
):
    model = classifier(config)
    folder = write_folder(tmp_path / "run", model, config, own / "vocab.txt")

    exported = export_by_script(run_script, folder, tmp_path / "hf")
    results, report = load_there(torch_python, exported, tmp_path)

    assert_loaded_whole(report)
    batch = {
        ours: tf.constant(results[theirs], tf.int32)
        for ours, theirs in (
            ("input_ids", "input_ids"),
            ("input_mask", "attention_mask"),
            ("segment_ids", "token_type_ids"),
        )
    }
    assert difference(results["logits"], model.predict(batch)["logits"]) <= TOLERANCE


@pytest.mark.slow
def test_the_script_writes_card_config_weights_and_tokenizer(run_script, pretrained, tmp_path):
    folder = export_by_script(run_script, pretrained.folder, tmp_path / "hf")

    assert {path.name for path in folder.iterdir()} == {
        "README.md",
        "config.json",
        "model.safetensors",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.txt",
    }
    assert "license: apache-2.0" in (folder / "README.md").read_text("utf-8")
    tokenizer = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    assert tokenizer["model_max_length"] == pretrained.config.max_position_embeddings
