import json
import struct
import sys

import numpy as np
import pytest
from safetensors.numpy import save_file

from deeq_bert.bert.hf_mapping import name_pairs, names_in_files
from deeq_bert.bert.hf_weights import HuggingFaceWeights
from deeq_bert.tokenizers.errors import InputError

KERNEL = "bert/pooler/dense/kernel"
STORED_KERNEL = "bert.pooler.dense.weight"
VALUE = np.arange(6, dtype=np.float32).reshape(2, 3)


def write(folder, tensors: dict[str, np.ndarray], name: str = "model.safetensors") -> None:
    # The package writes the memory as it lies, transposed or not.
    save_file({n: np.ascontiguousarray(t) for n, t in tensors.items()}, folder / name)


def write_raw(folder, header: object, values: bytes = b"") -> None:
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + values)


def write_index(folder, weight_map: object) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def test_the_names_are_those_of_both_projects():
    pairs = {pair.google: pair for pair in name_pairs(2)}

    layer = "encoder/layer_1/attention/output"
    assert pairs[f"bert/{layer}/dense/kernel"][1:] == (
        "bert.encoder.layer.1.attention.output.dense.weight",
        True,
    )
    assert pairs[f"bert/{layer}/LayerNorm/gamma"][1:] == (
        "bert.encoder.layer.1.attention.output.LayerNorm.weight",
        False,
    )
    assert pairs["bert/embeddings/token_type_embeddings"][1:] == (
        "bert.embeddings.token_type_embeddings.weight",
        False,
    )
    assert pairs["cls/predictions/output_bias"][1:] == ("cls.predictions.bias", False)
    assert pairs["cls/seq_relationship/output_weights"][1:] == (
        "cls.seq_relationship.weight",
        False,
    )


def test_no_name_stands_for_two_variables():
    names = [name for pair in name_pairs(3) for name in names_in_files(pair)]

    assert len(set(names)) == len(names)


def test_a_dense_weight_is_transposed(tmp_path):
    write(tmp_path, {STORED_KERNEL: VALUE})

    weights = HuggingFaceWeights(str(tmp_path))

    assert weights.shapes == {KERNEL: [3, 2]}
    np.testing.assert_array_equal(weights.read(KERNEL), VALUE.T)


@pytest.mark.parametrize(
    ("stored", "google"),
    [
        ("pooler.dense.bias", "bert/pooler/dense/bias"),
        ("bert.embeddings.LayerNorm.gamma", "bert/embeddings/LayerNorm/gamma"),
        ("embeddings.LayerNorm.beta", "bert/embeddings/LayerNorm/beta"),
        ("cls.predictions.decoder.bias", "cls/predictions/output_bias"),
        ("encoder.layer.0.output.dense.bias", "bert/encoder/layer_0/output/dense/bias"),
    ],
)
def test_other_names_that_files_have(tmp_path, stored, google):
    write(tmp_path, {stored: np.ones(3, np.float32)})

    assert HuggingFaceWeights(str(tmp_path)).shapes == {google: [3]}


def test_what_is_no_variable_is_named(tmp_path):
    write(tmp_path, {STORED_KERNEL: VALUE, "bert.embeddings.position_ids": np.arange(3)})

    assert HuggingFaceWeights(str(tmp_path)).skipped == ["bert.embeddings.position_ids"]


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        ("F16", VALUE.astype(np.float16)),
        ("F64", VALUE.astype(np.float64)),
        # The upper half of a float32.
        ("BF16", (VALUE.view(np.uint32) >> 16).astype(np.uint16)),
    ],
)
def test_every_type_of_weights_comes_as_float32(tmp_path, dtype, values):
    entry = {"dtype": dtype, "shape": [2, 3], "data_offsets": [0, values.nbytes]}
    write_raw(tmp_path, {STORED_KERNEL: entry}, values.tobytes())

    value = HuggingFaceWeights(str(tmp_path)).read(KERNEL)

    assert value.dtype == np.float32
    np.testing.assert_array_equal(value, VALUE.T)


def test_integers_are_no_weights(tmp_path):
    write(tmp_path, {STORED_KERNEL: VALUE.astype(np.int64)})

    with pytest.raises(InputError, match=f"holds {STORED_KERNEL} as I64; expected one of F32"):
        HuggingFaceWeights(str(tmp_path)).read(KERNEL)


def test_weights_in_several_files(tmp_path):
    write(tmp_path, {STORED_KERNEL: VALUE}, "model-00001-of-00002.safetensors")
    write(tmp_path, {"bert.pooler.dense.bias": VALUE[0]}, "model-00002-of-00002.safetensors")
    files = {STORED_KERNEL: "model-00001-of-00002.safetensors"}
    write_index(tmp_path, {**files, "bert.pooler.dense.bias": "model-00002-of-00002.safetensors"})

    weights = HuggingFaceWeights(str(tmp_path))

    assert weights.shapes == {KERNEL: [3, 2], "bert/pooler/dense/bias": [3]}
    np.testing.assert_array_equal(weights.read("bert/pooler/dense/bias"), VALUE[0])


def test_the_files_may_be_links_to_elsewhere(tmp_path):
    (tmp_path / "model").mkdir()
    write(tmp_path, {STORED_KERNEL: VALUE}, "blob")
    (tmp_path / "model" / "model.safetensors").symlink_to(tmp_path / "blob")

    assert HuggingFaceWeights(str(tmp_path / "model")).shapes == {KERNEL: [3, 2]}


@pytest.mark.parametrize("copied", [True, False])
def test_an_output_layer_of_its_own_is_noticed(tmp_path, copied):
    decoder = VALUE if copied else VALUE + 1
    embeddings = {"bert.embeddings.word_embeddings.weight": VALUE}
    write(tmp_path, {**embeddings, "cls.predictions.decoder.weight": decoder})

    weights = HuggingFaceWeights(str(tmp_path))

    assert weights.has_own_decoder() is not copied
    assert weights.skipped == []


@pytest.mark.parametrize(
    "name",
    ["../x.safetensors", "/etc/passwd", "a/b.safetensors", "..", "", "pytorch_model.bin", 7, None],
)
def test_an_index_cannot_name_files_elsewhere(tmp_path, name):
    (tmp_path / "model").mkdir()
    write(tmp_path, {STORED_KERNEL: VALUE}, "x.safetensors")
    write_index(tmp_path / "model", {STORED_KERNEL: name})

    with pytest.raises(InputError, match="expected .safetensors files of its own folder"):
        HuggingFaceWeights(str(tmp_path / "model"))


def test_an_index_that_names_a_file_that_is_missing(tmp_path):
    write_index(tmp_path, {STORED_KERNEL: "model-1.safetensors"})

    with pytest.raises(InputError, match="model-1.safetensors is missing"):
        HuggingFaceWeights(str(tmp_path))


def test_an_index_that_names_a_tensor_that_is_missing(tmp_path):
    write(tmp_path, {STORED_KERNEL: VALUE}, "model-1.safetensors")
    write_index(tmp_path, {"bert.pooler.dense.bias": "model-1.safetensors"})

    with pytest.raises(InputError, match="bert.pooler.dense.bias is in none of the files"):
        HuggingFaceWeights(str(tmp_path))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"[" * 100_000, b"\xff", b"{}"])
def test_an_index_of_another_kind(tmp_path, content):
    (tmp_path / "model.safetensors.index.json").write_bytes(content)

    with pytest.raises(InputError, match="not a JSON object|has no weight_map"):
        HuggingFaceWeights(str(tmp_path))


def test_a_file_cut_off_anywhere_is_refused(tmp_path):
    write(tmp_path, {STORED_KERNEL: VALUE})
    content = (tmp_path / "model.safetensors").read_bytes()

    for size in range(len(content)):
        (tmp_path / "model.safetensors").write_bytes(content[:size])
        with pytest.raises(InputError, match="is damaged, cut off or no safetensors file"):
            HuggingFaceWeights(str(tmp_path))


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [2**62, 2**62], "data_offsets": [0, 24]},
        {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 2**63]},
        {"dtype": "F32", "shape": [2, 3], "data_offsets": [24, 0]},
        {"dtype": "F32", "shape": [-2, -3], "data_offsets": [0, 24]},
        {"dtype": "PICKLE", "shape": [2, 3], "data_offsets": [0, 24]},
        {"shape": [2, 3]},
        [],
    ],
)
def test_an_absurd_header_is_refused(tmp_path, entry):
    write_raw(tmp_path, {STORED_KERNEL: entry}, bytes(24))

    with pytest.raises(InputError, match="is damaged, cut off or no safetensors file"):
        HuggingFaceWeights(str(tmp_path))


def test_a_header_of_an_absurd_length_is_refused(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", 2**63) + bytes(100))

    with pytest.raises(InputError, match="is damaged, cut off or no safetensors file"):
        HuggingFaceWeights(str(tmp_path))


def test_without_the_package_its_extra_is_named(tmp_path, monkeypatch):
    write(tmp_path, {STORED_KERNEL: VALUE})
    # What an import of a package that is not installed finds.
    monkeypatch.setitem(sys.modules, "safetensors", None)

    with pytest.raises(InputError, match=r"pip install -e '.\[export\]'"):
        HuggingFaceWeights(str(tmp_path))
