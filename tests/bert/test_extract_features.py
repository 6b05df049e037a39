"""Features of texts: those of the original's model, in its JSON, for its input format."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from hugging_face_folders import write_folder

from deeq_bert.bert import distribution, modeling, text_features
from deeq_bert.bert.checkpoint_bundle import write_bundle
from deeq_bert.bert.config import BertConfig
from deeq_bert.bert.feature_extraction import FeatureExtractor
from deeq_bert.bert.text_features import InputFeatures
from deeq_bert.bert.tokenization import FullTokenizer
from deeq_bert.tokenizers.errors import InputError

SCRIPT = "bert/extract_features.py"
TOLERANCE = 5e-5


@pytest.fixture
def config(golden_model) -> BertConfig:
    return BertConfig.from_json_file(golden_model / "bert_config.json")


@pytest.fixture
def tokenizer(tmp_path) -> FullTokenizer:
    path = tmp_path / "letters.txt"
    path.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefgh"]) + "\n")
    return FullTokenizer(str(path))


def golden_inputs(golden_model, run: str) -> tuple[dict[str, np.ndarray], list[InputFeatures]]:
    golden = np.load(golden_model / f"outputs_gelu_{run}.npz")
    rows = zip(*(golden[f"input/{name}"] for name in ("input_ids", "segment_ids", "input_mask")))
    return golden, [
        InputFeatures(row, tuple(ids[: mask.sum()]), tuple(segments[: mask.sum()]))
        for row, (ids, segments, mask) in enumerate(rows)
    ]


@pytest.mark.parametrize("run", ["b", "c"])
def test_features_are_the_layers_of_the_original(golden_model, config, run):
    golden, batch = golden_inputs(golden_model, run)
    strategy = distribution.make_strategy(["/cpu:0"])
    extractor = FeatureExtractor(config, str(golden_model / "model.ckpt-7"), [-1, 0, 1], strategy)

    results = extractor.extract(batch)

    for row, (features, values) in enumerate(zip(batch, results)):
        size = len(features.ids)
        assert values.shape == (3, size, config.hidden_size)
        for found, layer in zip(values, (1, 0, 1)):
            expected = golden[f"encoder_layer_{layer}"][row, :size]
            assert np.abs(found - expected).max() <= TOLERANCE


@pytest.mark.slow
def test_two_devices_share_an_odd_batch(tmp_path):
    program = tmp_path / "program.py"
    # What devices there are must be said before TensorFlow does anything.
    program.write_text(
        "import sys, pytest, tensorflow as tf\n"
        "from deeq_bert.bert import distribution\n"
        "(cpu,) = tf.config.list_physical_devices('CPU')\n"
        "two = [tf.config.LogicalDeviceConfiguration()] * 2\n"
        "tf.config.set_logical_device_configuration(cpu, two)\n"
        "make = distribution.make_strategy\n"
        "distribution.make_strategy = lambda names: make(['/cpu:0', '/cpu:1'])\n"
        f"sys.exit(pytest.main([{__file__!r}, '-q', '-k', 'layers_of_the_original']))\n"
    )
    completed = subprocess.run([sys.executable, program], capture_output=True, text=True)
    assert completed.returncode == 0, completed.stdout
    assert "2 passed" in completed.stdout


def test_a_hugging_face_folder_gives_the_same(golden_model, config, tmp_path):
    _, batch = golden_inputs(golden_model, "c")
    strategy = distribution.make_strategy(["/cpu:0"])
    weights = np.load(golden_model / "weights.npz")
    names = [name for name in weights.files if name.startswith("bert/")]
    folder = write_folder(tmp_path, {name: weights[name] for name in names}, config)
    ours = FeatureExtractor(config, str(golden_model / "model.ckpt-7"), [-1], strategy)
    theirs = FeatureExtractor(config, folder, [-1], strategy)
    for found, expected in zip(theirs.extract(batch), ours.extract(batch)):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "line, texts",
    [
        ("a b", ("a b", None)),
        (" a ||| b\n", ("a", "b")),
        ("a ||| b ||| c", ("a ||| b", "c")),
        ("a|||b", ("a|||b", None)),
        ("a |||", ("a |||", None)),
        ("", ("", None)),
    ],
)
def test_a_line_is_a_text_or_a_pair(line, texts):
    assert text_features.split_line(line) == texts


@pytest.mark.parametrize(
    "line, max_seq_length, tokens, segments",
    [
        ("a b", 8, "[CLS] a b [SEP]", "0000"),
        ("", 8, "[CLS] [SEP]", "00"),
        ("a b ||| c", 8, "[CLS] a b [SEP] c [SEP]", "000011"),
        ("a b c d", 4, "[CLS] a b [SEP]", "0000"),
        # The longer of a pair loses tokens, at equal lengths the second.
        ("a b c d ||| e f", 7, "[CLS] a b [SEP] e f [SEP]", "0000111"),
        ("a b c d ||| e f", 6, "[CLS] a b [SEP] e [SEP]", "000011"),
    ],
)
def test_a_line_becomes_what_the_model_reads(tokenizer, line, max_seq_length, tokens, segments):
    (features,) = text_features.features_of_lines([line], tokenizer, max_seq_length)
    assert tokenizer.convert_ids_to_tokens(features.ids) == tokens.split()
    assert "".join(map(str, features.segment_ids)) == segments


def test_lines_are_numbered_from_0(tokenizer):
    lines = ["a", "", "b ||| c", "d"]
    features = text_features.features_of_lines(iter(lines), tokenizer, 8)
    assert [of_line.unique_id for of_line in features] == [0, 1, 2, 3]


def test_the_json_is_that_of_the_original():
    # Written as the original does, one number after the other.
    values = np.random.default_rng(5).normal(size=[2, 3, 500]).astype(np.float32)
    values[0, 0, :6] = [0, -1e-9, 0.5, 1e-6, 1.0000005, 12345.678]
    tokens, layers = ["[CLS]", "수도", "[SEP]"], [-1, 0]
    expected = json.dumps(
        {
            "linex_index": 7,
            "features": [
                {
                    "token": token,
                    "layers": [
                        {"index": layer, "values": [round(float(x), 6) for x in values[j, i]]}
                        for j, layer in enumerate(layers)
                    ],
                }
                for i, token in enumerate(tokens)
            ],
        }
    )
    features = InputFeatures(7, (2, 5, 3), (0, 0, 0))
    assert text_features.encode_features(features, tokens, layers, values) == expected


def test_layers_are_read(tmp_path):
    assert text_features.parse_layers("-1, -2,0", 2) == [-1, -2, 0]


@pytest.mark.parametrize(
    "text, message",
    [
        ("-1,2", "no layer 2. It has the layers 0 to 1, which from the last one back are -1 to -2"),
        ("-3", "no layer -3"),
        ("", "expected whole numbers"),
        ("last", "expected whole numbers"),
    ],
)
def test_layers_that_are_not_there_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        text_features.parse_layers(text, 2)


@pytest.fixture
def run_extraction(run_script, tmp_path, own, tiny_config):
    """A function that runs the script on a random model for the sample vocabulary."""
    config = BertConfig.from_json_file(tiny_config)

    def run(text: str, *flags: str, **keywords):
        (tmp_path / "input.txt").write_text(text, encoding="utf-8")
        shutil.copy(own / "vocab.txt", tmp_path)
        if not (tmp_path / "model.ckpt-7.index").exists():
            variables = modeling.BertModel(config, seed=3).variables
            write_bundle(str(tmp_path / "model.ckpt-7"), 7, variables, {})
        return run_script(
            SCRIPT,
            f"--input_file={tmp_path / 'input.txt'}",
            f"--output_file={tmp_path / 'output.jsonl'}",
            f"--vocab_file={tmp_path / 'vocab.txt'}",
            f"--bert_config_file={tiny_config}",
            f"--init_checkpoint={tmp_path / 'model.ckpt-7'}",
            "--do_lower_case=False",
            "--layers=-1,0",
            "--gpus=0",
            *flags,
            **keywords,
        )

    return run


def test_the_script_writes_a_line_for_each_text(run_extraction, tmp_path, tiny_config):
    texts = ["안개가 짙게 끼어", "", "안개가 ||| 짙게", *["강 건너편"] * 20]
    completed = run_extraction("\n".join(texts), "--batch_size=4", "--num_workers=2")
    assert completed.returncode == 0, completed.stderr

    lines = [*map(json.loads, (tmp_path / "output.jsonl").read_text("utf-8").splitlines())]
    assert [line["linex_index"] for line in lines] == list(range(len(texts)))
    tokens = [[item["token"] for item in line["features"]] for line in lines]
    tokenizer = FullTokenizer(str(tmp_path / "vocab.txt"), do_lower_case=False)
    first, second = map(tokenizer.tokenize, ("안개가", "짙게"))
    assert tokens[1] == ["[CLS]", "[SEP]"]
    assert tokens[2] == ["[CLS]", *first, "[SEP]", *second, "[SEP]"]
    model = modeling.BertModel(BertConfig.from_json_file(tiny_config), seed=3)
    segments = [0] * (len(first) + 2) + [1] * (len(second) + 1)
    ids = tokenizer.convert_tokens_to_ids(tokens[2])
    output = model(tf.constant([ids]), None, tf.constant([segments]))
    for place, layer in ((0, -1), (1, 0)):
        found = [item["layers"][place] for item in lines[2]["features"]]
        assert {of_token["index"] for of_token in found} == {layer}
        values = np.array([of_token["values"] for of_token in found])
        expected = output.all_encoder_layers[layer][0]
        assert np.abs(values - expected).max() <= TOLERANCE


@pytest.mark.parametrize(
    "text, flags, message",
    [
        ("", [], "input.txt is empty; expected a text a line"),
        ("안개", ["--layers=2"], "the model has no layer 2"),
        ("안개", ["--max_seq_length=129"], "more than the max_position_embeddings 128"),
        ("안개", ["--init_checkpoint=none/model.ckpt-1"], "there is no none/model.ckpt-1.index"),
        ("안개", ["--use_tpu"], "--use_tpu: this program runs on GPUs and CPUs, not on TPUs"),
        ("안개", ["--gpus=x"], "--gpus=x is not understood"),
    ],
)
def test_flags_that_cannot_be_used_are_refused(run_extraction, tmp_path, text, flags, message):
    completed = run_extraction(text, *flags)
    assert completed.returncode == 1
    assert message in completed.stderr
    assert "Traceback" not in completed.stderr
    assert not (tmp_path / "output.jsonl").exists()


def test_a_pipe_cannot_be_read_twice_and_is_refused(run_extraction, tmp_path):
    completed = run_extraction("안개", "--input_file=/dev/stdin", stdin=subprocess.PIPE)
    assert completed.returncode == 1
    assert "--input_file=/dev/stdin is a folder or a pipe" in completed.stderr


def test_a_vocabulary_larger_than_the_model_is_refused(run_extraction, tmp_path):
    run_extraction("안개", "--layers=9")
    larger = tmp_path / "larger.txt"
    larger.write_text((tmp_path / "vocab.txt").read_text("utf-8") + "하나더\n", encoding="utf-8")
    completed = run_extraction("안개", f"--vocab_file={larger}")
    assert completed.returncode == 1
    assert "has 901 tokens, but vocab_size is 900" in completed.stderr


def test_a_vocabulary_cut_in_another_way_than_the_models_is_refused(run_extraction, tmp_path):
    contract = {"contract_version": 1, "tokenizer": "deeq", "vocab_file": "other.txt"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(contract))
    completed = run_extraction("안개")
    assert completed.returncode == 1
    assert "was trained on text cut in another way: tokenizer is deeq for" in completed.stderr
