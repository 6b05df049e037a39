"""The weights of a model as Google released its own, and the way back from Hugging Face."""

import errno
import json
import os
import pathlib
import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tensorflow as tf
from exportable_models import (
    classifier,
    config_for,
    contract_of,
    pretraining_model,
    vocabulary_size,
    write_folder,
)

from deeq_bert.bert import export_folder, google_export, hf_export, model_weights
from deeq_bert.bert.config import BertConfig
from deeq_bert.bert.model_folder import open_model
from deeq_bert.tokenizers.errors import InputError

FORWARD_TOLERANCE = 5e-5


@pytest.fixture
def golden_folder(golden_model, tmp_path) -> pathlib.Path:
    """The checkpoint of Google's own script, with the vocabulary it needs."""
    folder = tmp_path / "golden"
    shutil.copytree(golden_model, folder)
    (folder / "vocab.txt").write_text("".join(f"t{i}\n" for i in range(200)))
    return folder


@pytest.fixture
def run_folder(own, tmp_path) -> str:
    config = config_for(vocabulary_size(own / "vocab.txt"))
    return write_folder(tmp_path / "run", pretraining_model(config), config, own / "vocab.txt")


def export(folder: str, output: pathlib.Path) -> pathlib.Path:
    model = open_model(folder)
    vocabulary = pathlib.Path(model.vocab_file).read_bytes()
    contract = {"contract_version": 1, "tokenizer": "wordpiece", "do_lower_case": False}
    output.mkdir()
    google_export.write_google(
        model, model_weights.read_weights(model), vocabulary, contract, str(output)
    )
    return output


def values_in(prefix: object) -> dict[str, np.ndarray]:
    reader = tf.train.load_checkpoint(str(prefix))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def assert_same_bits(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert set(one) == set(other)
    assert [name for name in one if one[name].tobytes() != other[name].tobytes()] == []


def test_the_variables_are_those_of_the_original_and_no_others(golden_folder, tmp_path):
    folder = export(str(golden_folder), tmp_path / "out")

    expected = json.loads((golden_folder / "about.json").read_text())["trainable_order"]
    assert set(values_in(folder / "bert_model.ckpt")) == set(expected)


def test_the_values_are_those_of_the_checkpoint(golden_folder, tmp_path):
    folder = export(str(golden_folder), tmp_path / "out")

    exported = values_in(folder / "bert_model.ckpt")
    there = values_in(golden_folder / "model.ckpt-7")
    assert_same_bits(exported, {name: there[name] for name in exported})


# As run_classifier.py and run_pretraining.py of the original take up an --init_checkpoint: in a
# graph of TensorFlow 1, whose variables are found by name.
ORIGINAL = """
    import sys
    import numpy as np
    import tensorflow.compat.v1 as tf
    from deeq_bert.bert import modeling

    folder, expected_file = sys.argv[1:]
    tf.disable_v2_behavior()
    modeling.create_variables = lambda specs, *_: {
        name: tf.get_variable(name, spec.shape, tf.float32, tf.zeros_initializer())
        for name, spec in specs.items()
    }
    expected = np.load(expected_file)
    config = modeling.BertConfig.from_json_file(f"{folder}/bert_config.json")
    names = ("input_ids", "input_mask", "segment_ids")
    output = modeling.BertModel(config, 0)(*(tf.constant(expected[f"input/{n}"]) for n in names))
    checkpoint = f"{folder}/bert_model.ckpt"
    variables = tf.trainable_variables()
    assignment, found = modeling.get_assignment_map_from_checkpoint(variables, checkpoint)
    assert all(variable.name in found for variable in variables)
    saver = tf.train.Saver(variables)
    with tf.Session() as session:
        saver.restore(session, checkpoint)
        restored = session.run(output.sequence_output)
    tf.train.init_from_checkpoint(checkpoint, assignment)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        initialized = session.run(output.sequence_output)
    for value in (restored, initialized):
        print(np.abs(value - expected["sequence_output"]).max())
"""


def test_the_code_path_of_the_original_gives_the_outputs_of_the_original(
    golden_folder, golden_model, tmp_path
):
    folder = export(str(golden_folder), tmp_path / "out")

    completed = subprocess.run(
        [
            *(sys.executable, "-c", textwrap.dedent(ORIGINAL), folder),
            golden_model / "outputs_gelu_b.npz",
        ],
        capture_output=True,
        text=True,
    )

    assert completed.returncode == 0, completed.stderr
    differences = [float(line) for line in completed.stdout.splitlines()]
    assert len(differences) == 2
    assert max(differences) <= FORWARD_TOLERANCE


def test_heads_of_a_task_are_kept(own, tmp_path):
    config = config_for(vocabulary_size(own / "vocab.txt"))
    model = classifier(config)
    folder = write_folder(tmp_path / "run", model, config, own / "vocab.txt")

    exported = values_in(export(folder, tmp_path / "out") / "bert_model.ckpt")

    np.testing.assert_array_equal(exported["output_weights"], model.variables["output_weights"])
    assert set(exported) == set(model.variables)


def to_hugging_face(folder: str, output: pathlib.Path) -> pathlib.Path:
    model = open_model(folder)
    weights = model_weights.read_weights(model)
    vocabulary = {"vocab.txt": pathlib.Path(model.vocab_file).read_bytes()}
    output.mkdir()
    hf_export.write_hugging_face(model, weights, {"[PAD]": 0}, [], vocabulary, b"", str(output))
    return output


def test_to_hugging_face_and_back_no_bit_is_lost(run_folder, tmp_path):
    there = to_hugging_face(run_folder, tmp_path / "hf")
    back = export(str(there), tmp_path / "back")

    direct = export(run_folder, tmp_path / "direct")
    assert_same_bits(values_in(back / "bert_model.ckpt"), values_in(direct / "bert_model.ckpt"))
    assert BertConfig.from_json_file(back / "bert_config.json").to_dict() == (
        BertConfig.from_json_file(direct / "bert_config.json").to_dict()
    )


def test_from_hugging_face_and_back_no_byte_is_lost(run_folder, tmp_path):
    first = to_hugging_face(run_folder, tmp_path / "hf")
    again = to_hugging_face(str(export(str(first), tmp_path / "google")), tmp_path / "again")

    for name in ("model.safetensors", "config.json", "vocab.txt"):
        assert (again / name).read_bytes() == (first / name).read_bytes()


def test_the_script_writes_a_folder_that_opens(run_script, run_folder, tmp_path):
    out = tmp_path / "out"
    completed = run_script(
        "bert/export.py",
        f"--model_dir={run_folder}",
        "--format=google",
        f"--output_dir={out}",
    )

    assert completed.returncode == 0, completed.stderr
    assert {path.name for path in out.iterdir()} == {
        "bert_model.ckpt.data-00000-of-00001",
        "bert_model.ckpt.index",
        "bert_config.json",
        "vocab.txt",
        "tokenizer_config.json",
    }
    assert contract_of(out) == contract_of(run_folder)
    assert open_model(str(out)).checkpoint == str(out / "bert_model.ckpt")


def run_without_tensorflow(flags: list[object], folder: pathlib.Path, *missing: str) -> str:
    """Runs the script where nothing but the flags and small files can be looked at."""
    stubs = folder / "stubs"
    stubs.mkdir()
    for name in ("tensorflow", *missing):
        (stubs / f"{name}.py").write_text("raise ImportError('it is not installed')")
    script = pathlib.Path(__file__).resolve().parents[2] / "bert" / "export.py"
    completed = subprocess.run(
        [sys.executable, script, *map(str, flags)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(stubs)},
    )
    assert completed.returncode == 1
    assert "Traceback" not in completed.stderr
    (message,) = [line for line in completed.stderr.splitlines() if line.startswith("ERROR: ")]
    return message


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--model_dir=nowhere"], "There is no model at nowhere"),
        (["--output_dir=/dev/null"], "/dev/null is not a folder"),
        (["--license=apache-2.0"], "--license is for the card of --format=huggingface"),
        (["--do_lower_case=True"], "but do_lower_case is False in the tokenizer_config.json"),
        (["--format=huggingface", "--license=a b"], "expected a short name without blanks"),
    ],
)
def test_what_cannot_be_used_is_said_before_tensorflow_is_loaded(
    run_folder, tmp_path, flags, message
):
    given = [f"--model_dir={run_folder}", f"--output_dir={tmp_path / 'out'}", "--format=google"]

    assert message in run_without_tensorflow([*given, *flags], tmp_path)
    assert not (tmp_path / "out").exists()


def test_a_missing_package_is_named_with_its_extra(run_folder, tmp_path):
    given = [f"--model_dir={run_folder}", f"--output_dir={tmp_path / 'out'}"]

    message = run_without_tensorflow([*given, "--format=huggingface"], tmp_path, "safetensors")

    assert "pip install -e '.[export]'" in message


def test_a_folder_with_something_in_it_is_not_written_to(run_folder, tmp_path):
    given = [f"--model_dir={run_folder}", f"--output_dir={run_folder}", "--format=google"]

    assert "is not empty, and an export overwrites nothing" in run_without_tensorflow(
        given, tmp_path
    )


def test_a_vocabulary_that_was_changed_is_refused(run_folder, tmp_path):
    vocabulary = pathlib.Path(run_folder, "vocab.txt")
    vocabulary.write_bytes(vocabulary.read_bytes().replace(b"[MASK]", b"[MISK]"))
    given = [f"--model_dir={run_folder}", f"--output_dir={tmp_path / 'out'}", "--format=google"]

    assert "is not the vocabulary that the model" in run_without_tensorflow(given, tmp_path)


def test_a_vocabulary_with_more_tokens_than_embeddings_is_refused(run_folder, tmp_path):
    with open(pathlib.Path(run_folder, "vocab.txt"), "a") as file:
        file.write("one more\n")
    given = [f"--model_dir={run_folder}", f"--output_dir={tmp_path / 'out'}", "--format=google"]

    assert "word embeddings. Put the vocabulary there" in run_without_tensorflow(given, tmp_path)


def test_a_model_that_does_not_tell_of_lower_casing_needs_the_flag(golden_folder, tmp_path):
    given = [f"--model_dir={golden_folder}", f"--output_dir={tmp_path / 'out'}"]

    message = run_without_tensorflow([*given, "--format=google"], tmp_path)

    assert "Give --do_lower_case=True or False, as the model was trained" in message


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("hidden_size", 32, r"word_embeddings is \[\d+, 16\] there and \[\d+, 32\] by it"),
        ("num_hidden_layers", 1, "it has bert/encoder/layer_1/.*, and num_hidden_layers is 1"),
        ("num_hidden_layers", 3, "bert/encoder/layer_2/.* is missing"),
    ],
)
def test_a_checkpoint_of_another_configuration_is_refused(run_folder, field, value, message):
    path = pathlib.Path(run_folder, "bert_config.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))

    with pytest.raises(InputError, match=message):
        model_weights.read_weights(open_model(run_folder))


def test_a_folder_appears_when_all_is_written(tmp_path):
    with export_folder.whole_folder(str(tmp_path / "deep" / "out")) as folder:
        pathlib.Path(folder, "weights").write_text("all of them")
        assert not (tmp_path / "deep" / "out").exists()

    assert (tmp_path / "deep" / "out" / "weights").read_text() == "all of them"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["out"]


def test_a_folder_that_could_not_be_written_leaves_nothing(tmp_path):
    def fail(folder: str) -> None:
        pathlib.Path(folder, "weights").write_text("half of th")
        raise OSError(errno.ENOSPC, "No space left on device")

    out = export_folder.whole_folder(str(tmp_path / "out"))
    with pytest.raises(InputError, match="Cannot write .*out: No space left"), out as folder:
        fail(folder)

    assert not list(tmp_path.iterdir())


def test_what_a_killed_export_left_is_removed_by_the_next(tmp_path):
    program = (
        "import os, sys\nfrom deeq_bert.bert import export_folder\n"
        "with export_folder.whole_folder(sys.argv[1]) as folder:\n"
        "    open(f'{folder}/weights', 'w').write('half of th')\n"
        "    os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path / "out"])
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".out.")

    with export_folder.whole_folder(str(tmp_path / "out")) as folder:
        pathlib.Path(folder, "weights").write_text("all of them")

    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.slow
def test_a_full_disk_is_one_sentence_and_leaves_nothing(run_folder, tmp_path):
    # A limit on file size fails a write as a full disk does.
    program = (
        "import resource, signal, runpy, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, resource.RLIM_INFINITY))\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    script = pathlib.Path(__file__).resolve().parents[2] / "bert" / "export.py"
    out = tmp_path / "free" / "out"
    completed = subprocess.run(
        [sys.executable, "-c", program, script]
        + [f"--model_dir={run_folder}", f"--output_dir={out}", "--format=google"],
        capture_output=True,
        text=True,
    )

    assert completed.returncode == 1
    assert "ERROR: Cannot write the checkpoint: " in completed.stderr
    assert "Traceback" not in completed.stderr
    assert not list(out.parent.iterdir())
