"""Predictions for masks, with models whose answers are known."""

import json
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from hugging_face_folders import write_folder

from deeq_bert.bert.checkpoint_bundle import write_bundle
from deeq_bert.bert.config import BertConfig
from deeq_bert.bert.heads import PretrainingModel
from deeq_bert.bert.mask_prediction import MaskPredictor
from deeq_bert.bert.masked_text import MaskedText
from deeq_bert.tokenizers.errors import InputError

SCRIPT = "bert/fill_mask.py"
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "서울", "##은", "수도", "##입니다", "."]
MASK_ID, CAPITAL = VOCABULARY.index("[MASK]"), VOCABULARY.index("수도")
# One row more than the vocabulary has tokens, as some models have to be a round number.
CONFIG = BertConfig(
    vocab_size=len(VOCABULARY) + 1,
    hidden_size=8,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=16,
    max_position_embeddings=8,
    type_vocab_size=2,
)
TEXTS = [MaskedText("", (2, 5, 4, 9, 3), (2,)), MaskedText("", (2, 4, 7, 4, 8, 3), (1, 3))]


@pytest.fixture(scope="module")
def model() -> PretrainingModel:
    """Expects 수도 above all tokens, and the row without a token above that."""
    model = PretrainingModel(CONFIG, seed=3)
    bias = np.zeros(CONFIG.vocab_size, np.float32)
    bias[CAPITAL], bias[-1] = 3.0, 4.0
    model.variables["cls/predictions/output_bias"].assign(bias)
    return model


@pytest.fixture
def weights(model) -> dict[str, np.ndarray]:
    return {name: variable.numpy() for name, variable in model.variables.items()}


@pytest.fixture
def output_dir(tmp_path, weights) -> pathlib.Path:
    """What a pre-training leaves."""
    folder = tmp_path / "model"
    folder.mkdir()
    write_bundle(str(folder / "model.ckpt-7"), 7, as_tensors(weights), {})
    (folder / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-7"\n')
    (folder / "bert_config.json").write_text(CONFIG.to_json_string())
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    return folder


def as_tensors(weights) -> dict[str, tf.Tensor]:
    return {name: tf.constant(value) for name, value in weights.items()}


def predict(checkpoint, top_k=3):
    return MaskPredictor(CONFIG, str(checkpoint), len(VOCABULARY), "/cpu:0").predict(TEXTS, top_k)


def test_probabilities_are_those_of_the_head_for_each_mask(model, output_dir):
    predictions = predict(output_dir / "model.ckpt-7", top_k=100)

    for masked, of_text in zip(TEXTS, predictions):
        assert len(of_text) == len(masked.mask_positions)
        encoded = model.bert(tf.constant([masked.ids]))
        logits = model.heads.masked_lm_logits(
            encoded.sequence_output,
            tf.constant([masked.mask_positions]),
            model.bert.embedding_table,
        )
        for of_mask, expected in zip(of_text, tf.nn.softmax(logits)[0].numpy()):
            # The last row has no token, but its share.
            assert [p.token_id for p in of_mask] == np.argsort(-expected[:-1]).tolist()
            assert of_mask[0].token_id == CAPITAL
            values = [prediction.probability for prediction in of_mask]
            np.testing.assert_allclose(values, -np.sort(-expected[:-1]), rtol=1e-4)
            assert 0 < sum(values) < 1 - expected[-1] + 1e-6


def test_a_hugging_face_folder_predicts_the_same(tmp_path, output_dir, weights):
    folder = write_folder(tmp_path / "hugging_face", weights, CONFIG)
    for ours, theirs in zip(predict(output_dir / "model.ckpt-7"), predict(folder)):
        assert theirs == ours


@pytest.mark.parametrize("form", ["checkpoint", "hugging face"])
def test_a_model_without_the_head_is_refused(tmp_path, weights, form):
    encoder = {name: value for name, value in weights.items() if name.startswith("bert/")}
    path = str(tmp_path / "model.ckpt-7")
    if form == "checkpoint":
        write_bundle(path, 7, as_tensors(encoder), {})
    else:
        path = write_folder(tmp_path / "hugging_face", encoder, CONFIG)
    with pytest.raises(InputError, match="lacks cls/predictions/.* has no head for masked words"):
        predict(path)


def test_a_model_without_pooler_and_next_sentence_head_will_do(tmp_path, weights):
    path = tmp_path / "model.ckpt-7"
    rest = ("bert/pooler/", "cls/seq_relationship/")
    kept = {name: value for name, value in weights.items() if not name.startswith(rest)}
    write_bundle(str(path), 7, as_tensors(kept), {})
    assert predict(path)[0][0][0].token_id == CAPITAL


def test_a_checkpoint_of_another_vocabulary_is_refused(tmp_path, weights):
    weights["bert/embeddings/word_embeddings"] = np.zeros([99, 8], np.float32)
    write_bundle(str(tmp_path / "model.ckpt-7"), 7, as_tensors(weights), {})
    with pytest.raises(InputError, match=r"word_embeddings is \[99, 8\] there and \[11, 8\] by"):
        predict(tmp_path / "model.ckpt-7")


def test_the_script_prints_ranks_tokens_probabilities_and_sentences(run_script, output_dir):
    completed = run_script(
        SCRIPT,
        f"--model_dir={output_dir}",
        "--do_lower_case=False",
        "--text=서울은 [MASK]입니다.",
        "--text=[MASK] [MASK]",
        "--top_k=2",
    )
    assert completed.returncode == 0, completed.stderr
    lines = completed.stdout.splitlines()
    assert lines[0] == "서울은 [MASK]입니다."
    rank, token, probability, sentence = lines[1].split(maxsplit=3)
    assert (rank, token, sentence) == ("1", "수도", "서울은 수도입니다.")
    assert 0.1 < float(probability) < 0.9
    assert lines[2].split()[0] == "2"
    assert lines[3:6] == ["", "[MASK] [MASK]", "  [MASK] 1 of 2, by itself:"]
    assert lines[6].endswith("수도 [MASK]")
    assert lines[8] == "  [MASK] 2 of 2, by itself:"
    assert lines[9].endswith("[MASK] 수도")


def test_a_file_of_texts_gives_a_line_of_json_each(run_script, output_dir, tmp_path, weights):
    folder = tmp_path / "hugging_face"
    write_folder(folder, weights, CONFIG)
    shutil.copy(output_dir / "vocab.txt", folder)
    texts = tmp_path / "texts.txt"
    texts.write_text("서울은 [MASK].\n\n[MASK] [MASK]\n", encoding="utf-8")
    completed = run_script(
        SCRIPT, f"--model_dir={folder}", f"--input_file={texts}", "--json", "--top_k=1"
    )
    assert completed.returncode == 0, completed.stderr
    first, second = map(json.loads, completed.stdout.splitlines())
    assert first["text"] == "서울은 [MASK]."
    ((prediction,),) = (mask["predictions"] for mask in first["masks"])
    assert (prediction["token"], prediction["id"]) == ("수도", CAPITAL)
    assert prediction["text"] == "서울은 수도."
    assert [mask["position"] for mask in second["masks"]] == [1, 2]
    # Nothing says whether that model is cased.
    assert "Give --do_lower_case=False for a cased model" in completed.stderr


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--text=서울"], r'The text "서울" has no [MASK]'),
        (["--text= "], "The text is empty"),
        ([], "Give either --text"),
        (
            ["--text=[MASK] . . . . . . ."],
            "has 10 tokens with [CLS] and [SEP], and the model takes 8",
        ),
        (["--input_file=TEXTS"], "texts.txt, line 2: The text"),
    ],
)
def test_texts_that_cannot_be_used_are_refused(run_script, output_dir, tmp_path, flags, message):
    texts = tmp_path / "texts.txt"
    texts.write_text("[MASK]\n서울\n", encoding="utf-8")
    flags = [flag.replace("TEXTS", str(texts)) for flag in flags]
    completed = run_script(SCRIPT, f"--model_dir={output_dir}", *flags)
    assert completed.returncode == 1
    assert message in completed.stderr
    assert "Traceback" not in completed.stderr


@pytest.mark.parametrize("text", ["서울", "\udcff"])
def test_a_pipe_whose_reader_has_enough_is_no_error(text):
    program = "from deeq_bert.bert import fill_mask\nwith fill_mask._standard_output(): "
    program += f"print({text!r})"
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    process.stdout.close()
    assert process.wait() == 0


def test_a_full_disk_behind_standard_output_is_told():
    program = "from deeq_bert.bert import fill_mask\nwith fill_mask._standard_output(): print(1)"
    with open("/dev/full", "wb") as full:
        completed = subprocess.run(
            [sys.executable, "-c", program], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert "InputError: Cannot print the predictions: No space left" in completed.stderr


def test_a_folder_without_a_model_is_refused(run_script, tmp_path):
    completed = run_script(SCRIPT, f"--model_dir={tmp_path / 'none'}", "--text=[MASK]")
    assert completed.returncode == 1
    assert f"ERROR: There is no model at {tmp_path / 'none'}" in completed.stderr
    assert "Traceback" not in completed.stderr
