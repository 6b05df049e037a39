"""A model as a SavedModel, loaded by a process that knows nothing of this project."""

import functools
import gzip
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from exportable_models import (
    classifier,
    config_for,
    contract_of,
    pretraining_model,
    vocabulary_size,
    with_random_values,
    write_folder,
)

from deeq_bert.bert import model_weights, saved_model_export
from deeq_bert.bert.model_folder import ModelFolder, open_model
from deeq_bert.bert.saved_model_export import ServingModel
from deeq_bert.bert.serving_text import ServingText
from deeq_bert.bert.task_heads import SpanModel
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.full_tokenizer import FullTokenizer
from deeq_bert.tokenizers.vocabulary import load_vocab

TOLERANCE = 1e-5
OWN_VOCABULARY = pathlib.Path(__file__).resolve().parents[1] / "data" / "own" / "vocab.txt"
CONFIG = config_for(vocabulary_size(OWN_VOCABULARY))
TEXTS = ["서울은 한국의 수도입니다.", "안개가 짙다", "", "가" * 150 + " 나" * 100]
SECOND_TEXTS = ["그곳에는 사람이 산다!", "", "네", "다 " * 100]


def export(model: ModelFolder, folder: pathlib.Path, **contract: object) -> list[str]:
    folder.mkdir()
    return saved_model_export.write_saved_model(
        model,
        model_weights.read_weights(model),
        load_vocab(model.vocab_file),
        pathlib.Path(model.vocab_file).read_bytes(),
        {**model.contract, **contract},
        str(folder),
    )


def batch() -> dict[str, np.ndarray]:
    chance = np.random.default_rng(3)
    mask = np.ones([3, 20], np.int32)
    mask[1, 12:] = 0
    return {
        "input_ids": chance.integers(0, CONFIG.vocab_size, [3, 20], dtype=np.int32),
        "input_mask": mask,
        "segment_ids": chance.integers(0, 2, [3, 20], dtype=np.int32),
    }


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """A model and its folder."""
    model = pretraining_model(CONFIG)
    folder = tmp_path_factory.mktemp("run")
    return model, write_folder(folder, model, CONFIG, OWN_VOCABULARY)


LOAD = """
import sys
import numpy as np
import tensorflow as tf

folder, asked, results = sys.argv[1:]
asked = dict(np.load(asked))
model = tf.saved_model.load(folder)
ids = {name: tf.constant(asked[name]) for name in ("input_ids", "input_mask", "segment_ids")}
positions = tf.constant(asked["masked_lm_positions"])
texts = {name: tf.constant(asked[name].tolist()) for name in ("text", "second_text")}
outputs = {
    "serving_default": model.signatures["serving_default"](**ids),
    "masked_lm": model.signatures["masked_lm"](**ids, masked_lm_positions=positions),
    "next_sentence": model.signatures["next_sentence"](**ids),
    "text": model.signatures["text"](**texts),
}
np.savez(results, **{f"{s}/{n}": v for s, o in outputs.items() for n, v in o.items()})
assert not [name for name in sys.modules if name.startswith("deeq_bert")]
"""


@pytest.fixture(scope="module")
def served(run_script, pretrained, tmp_path_factory) -> dict[str, np.ndarray]:
    """What a process says that has the exported folder and TensorFlow only."""
    folder = tmp_path_factory.mktemp("export")
    completed = run_script(
        "bert/export.py",
        f"--model_dir={pretrained[1]}",
        "--format=saved_model",
        f"--output_dir={folder / 'out'}",
    )
    assert completed.returncode == 0, completed.stderr
    asked = {"masked_lm_positions": np.array([[1, 5], [0, 3], [19, 2]], np.int32)}
    np.savez(folder / "asked.npz", text=TEXTS, second_text=SECOND_TEXTS, **asked, **batch())
    loaded = subprocess.run(
        [sys.executable, "-c", LOAD, "out", "asked.npz", "results.npz"],
        capture_output=True,
        text=True,
        cwd=folder,
    )
    assert loaded.returncode == 0, loaded.stderr
    extra = folder / "out" / "assets.extra"
    assert contract_of(str(extra)) == contract_of(pretrained[1])
    assert (extra / "vocab.txt").read_bytes() == OWN_VOCABULARY.read_bytes()
    return {**np.load(folder / "results.npz"), **asked}


def difference(one: object, other: object) -> float:
    return float(np.abs(np.asarray(one) - np.asarray(other)).max())


def test_the_encoder_says_what_ours_says(served, pretrained):
    output = pretrained[0].bert(*batch().values())

    for name in ("pooled_output", "sequence_output"):
        assert difference(served[f"serving_default/{name}"], getattr(output, name)) <= TOLERANCE


def test_the_heads_say_what_ours_say(served, pretrained):
    model = pretrained[0]
    output = model.bert(*batch().values())
    words = model.heads.masked_lm_logits(
        output.sequence_output, served["masked_lm_positions"], model.bert.embedding_table
    )
    next_sentence = tf.nn.softmax(model.heads.next_sentence_logits(output.pooled_output))

    assert difference(served["masked_lm/logits"], words) <= TOLERANCE
    assert difference(served["next_sentence/probabilities"], next_sentence) <= TOLERANCE


def original_ids(tokenizer: FullTokenizer, first: str, second: str, max_length: int) -> list[int]:
    """What convert_single_example of the original makes of two texts, "" being none."""
    a, b = tokenizer.text_to_ids(first), tokenizer.text_to_ids(second)
    while len(a) + len(b) > max_length - (3 if b else 2):
        (a if len(a) > len(b) else b).pop()
    cls, sep = tokenizer.vocab["[CLS]"], tokenizer.vocab["[SEP]"]
    return [cls, *a, sep, *b, *([sep] if b else [])]


def test_strings_become_the_ids_that_our_tokenizer_gives(served, pretrained):
    tokenizer = FullTokenizer(str(OWN_VOCABULARY), do_lower_case=False)
    expected = [original_ids(tokenizer, *texts, 64) for texts in zip(TEXTS, SECOND_TEXTS)]

    sizes = served["text/input_mask"].sum(axis=1)
    found = [row[:size].tolist() for row, size in zip(served["text/input_ids"], sizes)]
    assert found == expected
    segments = np.array([[row > i for row in range(64)] for i in range(4)])
    for row, ids in enumerate(expected):
        boundary = ids.index(tokenizer.vocab["[SEP]"])
        segments[row] = np.arange(64) > boundary
        segments[row, len(ids) :] = False
    output = pretrained[0].bert(
        served["text/input_ids"], served["text/input_mask"], segments.astype(np.int32)
    )
    assert difference(served["text/pooled_output"], output.pooled_output) <= TOLERANCE


@pytest.fixture(scope="module")
def text_to_ids():
    """Makes a function from strings to ids, as a SavedModel has it."""

    @functools.cache
    def make(vocab_file: pathlib.Path):
        serving = ServingText(load_vocab(str(vocab_file)), 64)
        function = tf.function(
            serving.text_to_ids, input_signature=[tf.TensorSpec([None], tf.string)]
        )
        return lambda texts: function(tf.constant(texts, tf.string)).to_list()

    return make


def recorded_pairs(path: pathlib.Path) -> list[dict]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [pair for pair in map(json.loads, file) if not pair["do_lower_case"]]


def test_strings_are_cut_as_the_original_cuts_them(own, text_to_ids):
    pairs = recorded_pairs(own / "tokens.jsonl.gz")

    assert text_to_ids(own / "vocab.txt")([pair["text"] for pair in pairs]) == [
        pair["ids"] for pair in pairs
    ]


def test_odd_strings_are_cut_as_the_original_cuts_them(golden, text_to_ids):
    pairs = recorded_pairs(golden / "tokenization" / "tokens.jsonl.gz")
    # Half a surrogate pair is no character in UTF-8.
    pairs = [p for p in pairs if not any("\ud800" <= char <= "\udfff" for char in p["text"])]
    assert len(pairs) > 1500

    ids = text_to_ids(golden / "pretraining_data" / "vocab-bert.txt")
    assert ids([pair["text"] for pair in pairs]) == [pair["ids"] for pair in pairs]


@pytest.mark.slow
def test_every_character_is_taken_for_what_our_tokenizer_takes_it_for(own, text_to_ids):
    tokenizer = FullTokenizer(str(own / "vocab.txt"), do_lower_case=False)
    # In between no character is assigned, and those of the last planes are for private use.
    codes = [*range(0xD800), *range(0xE000, 0x33480), *range(0xE0000, 0xE0200)]
    chars = [*map(chr, codes), "\U000f0000", "\U0010ffff"]
    texts = [
        "".join(f"가{char}나 " for char in chars[start : start + 512])
        for start in range(0, len(chars), 512)
    ]

    found = text_to_ids(own / "vocab.txt")(texts)

    assert [i for i, text in enumerate(texts) if tokenizer.text_to_ids(text) != found[i]] == []


def test_what_is_not_utf8_is_left_out_as_by_our_tokenizer(own, text_to_ids):
    tokenizer = FullTokenizer(str(own / "vocab.txt"), do_lower_case=False)
    chance = np.random.default_rng(5)
    # Starts and middles of long characters, surrogates and what is beyond the last one.
    odd = [0xED, 0xA0, 0x80, 0xF4, 0x90, 0xE0, 0xC3, 0xEA, 0xB0, 0x41, 0x20, 0xF0, 0xFF]
    texts = [bytes(chance.choice([*odd, *range(256)], size=40).tolist()) for _ in range(2000)]

    assert text_to_ids(own / "vocab.txt")(texts) == list(map(tokenizer.text_to_ids, texts))


def test_no_strings_are_no_tokens(own, text_to_ids):
    ids = text_to_ids(own / "vocab.txt")

    assert ids([]) == []
    assert ids(["", " \t\u200d", ""]) == [[], [], []]


@pytest.mark.parametrize("max_length", [16, pytest.param(17, marks=pytest.mark.slow)])
def test_two_long_texts_are_shortened_as_in_the_original(own, max_length):
    tokenizer = FullTokenizer(str(own / "vocab.txt"), do_lower_case=False)
    serving = ServingText(tokenizer.vocab, max_length)
    sizes = [(a, b) for a in range(0, 20) for b in range(0, 20)]
    texts = [("가 " * a, "나 " * b) for a, b in sizes]

    inputs = serving(*(tf.constant(column) for column in zip(*texts)))

    counts = inputs.input_mask.numpy().sum(axis=1)
    found = [ids[:count].tolist() for ids, count in zip(inputs.input_ids.numpy(), counts)]
    assert found == [original_ids(tokenizer, *pair, max_length) for pair in texts]


@pytest.mark.parametrize(
    ("contract", "reason"),
    [
        ({"tokenizer": "deeq"}, "the tokenizer deeq is no TensorFlow operation"),
        ({"do_lower_case": True}, "lower-casing as Python does it is no TensorFlow operation"),
    ],
)
def test_where_strings_cannot_be_exact_there_are_ids_only(pretrained, tmp_path, contract, reason):
    signatures, told = export(open_model(pretrained[1]), tmp_path / "out", **contract)

    assert signatures == "Signatures: serving_default, masked_lm, next_sentence."
    assert told == f"It takes ids only: {reason}."


def serving_of(model: tf.Module, folder: pathlib.Path, takes_text: bool = False) -> dict:
    opened = open_model(write_folder(folder, model, CONFIG, OWN_VOCABULARY))
    weights, vocab = model_weights.read_weights(opened), load_vocab(opened.vocab_file)
    return ServingModel(opened, weights, vocab, takes_text).signatures()


def test_a_classifier_classifies(tmp_path):
    model = classifier(CONFIG)

    signatures = serving_of(model, tmp_path, takes_text=True)

    assert set(signatures) == {"serving_default", "classify", "text", "classify_text"}
    ids = {name: tf.constant(value) for name, value in batch().items()}
    found, expected = signatures["classify"](**ids), model.predict(batch())
    assert difference(found["probabilities"], expected["probabilities"]) <= TOLERANCE
    texts = signatures["classify_text"](text=tf.constant(["가"]), second_text=tf.constant([""]))
    assert texts["probabilities"].shape == [1, 3]


def test_a_regression_gives_scores(tmp_path):
    model = classifier(CONFIG, num_labels=1)

    signatures = serving_of(model, tmp_path)

    ids = {name: tf.constant(value) for name, value in batch().items()}
    scores = signatures["classify"](**ids)["scores"]
    assert difference(scores, model.predict(batch())["scores"]) <= TOLERANCE


def test_a_span_head_finds_answers(tmp_path):
    model = with_random_values(SpanModel(CONFIG, 1))

    signatures = serving_of(model, tmp_path)

    ids = {name: tf.constant(value) for name, value in batch().items()}
    found = signatures["answer_span"](**ids)
    for name, expected in model.predict(batch()).items():
        assert difference(found[name], expected) <= TOLERANCE


def test_an_id_beyond_the_vocabulary_is_an_error(pretrained):
    opened = open_model(pretrained[1])
    weights = model_weights.read_weights(opened)
    serve = ServingModel(opened, weights, {}, takes_text=False).signatures()["serving_default"]
    ids = {name: tf.constant(value) for name, value in batch().items()}

    with pytest.raises(tf.errors.InvalidArgumentError, match="input_ids must be below the model"):
        serve(**{**ids, "input_ids": ids["input_ids"] + CONFIG.vocab_size})


def test_a_model_without_a_pooler_is_refused(pretrained, tmp_path):
    opened = open_model(pretrained[1])
    weights = model_weights.read_weights(opened)
    del weights["bert/pooler/dense/bias"], weights["bert/pooler/dense/kernel"]

    with pytest.raises(InputError, match="has no bert/pooler/dense/kernel"):
        saved_model_export.write_saved_model(
            opened, weights, {}, b"", opened.contract, str(tmp_path)
        )
