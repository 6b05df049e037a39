"""Folders for Hugging Face's transformers: what is in them, and what they are not written over."""

import ast
import gzip
import json
import re
import sys

import pytest

from deeq_bert.tokenizers import contract, hf_folder
from deeq_bert.tokenizers.analyzers.base import Analyzer
from deeq_bert.tokenizers.base import Tokenizer
from deeq_bert.tokenizers.deeq import DeeqTokenizer
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.full_tokenizer import FullTokenizer
from deeq_bert.tokenizers.vocabulary import SPECIAL_TOKENS

SPECIAL = re.compile("|".join(map(re.escape, SPECIAL_TOKENS)))
USER_WORD = "물안개길"


class NoAnalyzer(Analyzer):
    """Says that it is Kiwi, for folders are made without analysing anything."""

    def identity(self):
        return {"name": "kiwi", "version": "1.2", "model": "1.1", "user_words": [USER_WORD]}

    def analyze(self, texts):
        pytest.fail("a folder was made by analysing text")


@pytest.fixture
def write_vocabulary(tmp_path):
    def write(*tokens: str) -> str:
        path = tmp_path / "vocab.txt"
        path.write_text("\n".join(tokens) + "\n", encoding="utf-8")
        return str(path)

    return write


def files_of(name: str, tokenizer: Tokenizer) -> dict[str, bytes]:
    return hf_folder.folder_files(tokenizer, contract.make_contract(name, tokenizer), 512)


def test_wordpiece_becomes_a_bert_tokenizer(own):
    files = files_of("wordpiece", FullTokenizer(str(own / "vocab.txt"), do_lower_case=False))
    config = json.loads(files["tokenizer_config.json"])
    assert files["vocab.txt"] == (own / "vocab.txt").read_bytes()
    assert set(files) == {
        *("vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
    }
    assert config["tokenizer_class"] == "BertTokenizer"
    assert (config["do_lower_case"], config["strip_accents"]) == (False, False)
    assert config["mask_token"] == "[MASK]"
    assert config["model_max_length"] == 512


def test_the_contract_is_in_the_configuration(own, tmp_path):
    ours = FullTokenizer(str(own / "vocab.txt"), do_lower_case=True)
    hf_folder.write_folder(str(tmp_path), files_of("wordpiece", ours))
    read = contract.read_contract(str(tmp_path / "tokenizer_config.json"))
    expected = contract.make_contract("wordpiece", ours)
    # transformers has a use of its own for this one.
    expected.pop("vocab_file")
    assert expected.items() <= read.items()


def test_a_vocabulary_without_padding_has_none(write_vocabulary):
    vocab_file = write_vocabulary("가", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    files = files_of("wordpiece", FullTokenizer(vocab_file))
    assert json.loads(files["tokenizer_config.json"])["pad_token"] is None
    assert "pad_token" not in json.loads(files["special_tokens_map.json"])


@pytest.mark.parametrize("do_lower_case", [False, True])
def test_ids_by_the_tokenizers_library_differ_for_special_tokens_only(own, do_lower_case):
    tokenizers = pytest.importorskip("tokenizers", reason="needs pip install -e '.[vocab]'")
    ours = FullTokenizer(str(own / "vocab.txt"), do_lower_case)
    theirs = tokenizers.Tokenizer.from_str(files_of("wordpiece", ours)["tokenizer.json"].decode())
    with gzip.open(own / "tokens.jsonl.gz", "rt", encoding="utf-8") as file:
        pairs = list(map(json.loads, file))
    pairs = [pair for pair in pairs if pair["do_lower_case"] == do_lower_case]
    texts = [pair["text"] for pair in pairs]
    encodings = theirs.encode_batch(texts, add_special_tokens=False)
    differing = [
        pair["text"] for pair, encoding in zip(pairs, encodings) if encoding.ids != pair["ids"]
    ]
    assert len(pairs) == 566
    assert all(map(SPECIAL.search, differing))


@pytest.fixture
def remote_files(write_vocabulary) -> dict[str, bytes]:
    tokenizer = DeeqTokenizer(write_vocabulary(*SPECIAL_TOKENS, "가"), NoAnalyzer())
    return files_of("deeq", tokenizer)


def test_deeq_becomes_remote_code(remote_files):
    config = json.loads(remote_files["tokenizer_config.json"])
    ((module, name),) = [
        reference.split(".") for reference in config["auto_map"]["AutoTokenizer"] if reference
    ]
    tree = ast.parse(remote_files[f"{module}.py"])
    assert name in [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    assert config["tokenizer_class"] == name
    assert config["tokenizer"] == "deeq"
    assert config["analyzer"]["user_words"] == [USER_WORD]


def test_remote_code_needs_nothing_but_transformers_and_kiwi(remote_files):
    modules = {name: source for name, source in remote_files.items() if name.endswith(".py")}
    relative, absolute = set(), set()
    for name, source in modules.items():
        compile(source, name, "exec")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                absolute.update(alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level:
                relative.update([node.module] if node.module else [a.name for a in node.names])
            elif isinstance(node, ast.ImportFrom):
                absolute.add(node.module.split(".")[0])
    assert absolute - sys.stdlib_module_names == {"kiwipiepy", "transformers"}
    assert {f"{name}.py" for name in relative} <= modules.keys()


def test_the_first_module_names_all_others_for_transformers_to_copy(remote_files):
    source = remote_files["deeq_bert_hf_tokenizer.py"].decode()
    named = set(re.findall(r"^from \.(\w+) import", source, re.MULTILINE))
    modules = {name.removesuffix(".py") for name in remote_files if name.endswith(".py")}
    assert named == modules - {"deeq_bert_hf_tokenizer"}


def test_a_plug_in_cannot_be_exported(own):
    tokenizer = FullTokenizer(str(own / "vocab.txt"))
    with pytest.raises(InputError, match="--tokenizer=syllables cannot be exported"):
        files_of("syllables", tokenizer)


def test_another_analyser_than_kiwi_is_refused():
    hf_folder.check_analyzer({"tokenizer": "wordpiece"})
    hf_folder.check_analyzer({"analyzer": {"name": "kiwi"}})
    with pytest.raises(InputError, match="from bareun.*--allow_tokenizer_mismatch"):
        hf_folder.check_analyzer({"analyzer": {"name": "bareun"}})


def test_what_was_exported_is_exported_again(tmp_path, remote_files):
    hf_folder.write_folder(str(tmp_path), remote_files)
    changed = {**remote_files, "tokenizer_config.json": b'{"contract_version": 1, "new": 1}'}
    hf_folder.write_folder(str(tmp_path), changed)
    assert (tmp_path / "tokenizer_config.json").read_bytes() == changed["tokenizer_config.json"]


def test_a_models_other_files_stay(tmp_path, remote_files):
    (tmp_path / "config.json").write_text("{}")
    hf_folder.write_folder(str(tmp_path), remote_files)
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", *remote_files}


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("vocab.txt", "another vocabulary"),
        ("tokenizer_config.json", "another program's"),
        ("special_tokens_map.json", "another program's"),
        ("deeq_bert_base.py", "another program's"),
    ],
)
def test_the_files_of_others_are_not_overwritten(tmp_path, remote_files, name, owner):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / name).write_text("{}")
    with pytest.raises(InputError, match=rf"{name} is {owner}.*Choose another folder"):
        hf_folder.write_folder(str(folder), remote_files)
    assert [path.name for path in folder.iterdir()] == [name]
    assert (folder / name).read_text() == "{}"


def test_another_vocabulary_is_not_overwritten_by_a_later_export(tmp_path, remote_files):
    hf_folder.write_folder(str(tmp_path / "hf"), remote_files)
    with pytest.raises(InputError, match=r"vocab\.txt is another vocabulary"):
        hf_folder.write_folder(str(tmp_path / "hf"), {**remote_files, "vocab.txt": b"[UNK]\n"})
