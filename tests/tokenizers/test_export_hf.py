"""Export for Hugging Face's transformers, which gives the same ids.

The slow tests load the folders with the current transformers, in an environment of its own.
"""

import collections
import gzip
import importlib.metadata
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import unicodedata

import pytest

from deeq_bert.tokenizers import contract, hf_folder
from deeq_bert.tokenizers.analyzers.base import AnalyzerSettings
from deeq_bert.tokenizers.base import Tokenizer, TokenizerSettings
from deeq_bert.tokenizers.deeq import analyze_lines
from deeq_bert.tokenizers.full_tokenizer import FullTokenizer
from deeq_bert.tokenizers.registry import make_tokenizer
from deeq_bert.tokenizers.vocabulary import SPECIAL_TOKENS

ROOT = pathlib.Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "corpus" / "sample" / "sample.txt"
SPECIAL = re.compile("|".join(map(re.escape, SPECIAL_TOKENS)))
KIWI = ("kiwipiepy", "kiwipiepy_model")
USER_WORD = "물안개길"
# What is put into lines of the sample.
ODD = [
    *("\t", "\r", "\u200d", "\ufeff", "\u00a0", "\u3000", "\u2028", "\x85", "  ", "`", "``"),
    *("👩‍👩‍👧‍👦", "🇰🇷", "漢字", "大韓民國", "①②", "\u1112\u1161\u11ab", "\ud7b0", "ㅋㅋㅋㅋ", "ㅏ"),
    *SPECIAL_TOKENS,
    *(" [MASK] ", "[MA\u200bSK]", "[mask]", "[", "]", "BERT모델", "iPhone15Pro", "a" * 250),
    *("가" * 150, "1,000.50", "010-1234-5678", "x_y@z.co.kr", "#태그", "...", "……", USER_WORD),
]


def files_of(name: str, tokenizer: Tokenizer) -> dict[str, bytes]:
    return hf_folder.folder_files(tokenizer, contract.make_contract(name, tokenizer), 512)


def recorded_pairs(path: pathlib.Path) -> list[dict]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return list(map(json.loads, file))


def test_the_script_writes_a_folder(run_script, own, tmp_path):
    completed = run_script(
        "tokenizers/export_hf.py",
        f"--vocab_file={own / 'vocab.txt'}",
        "--do_lower_case=False",
        "--model_max_length=128",
        f"--output_dir={tmp_path / 'hf'}",
    )
    assert completed.returncode == 0, completed.stderr
    assert "AutoTokenizer.from_pretrained(" in completed.stderr
    config = json.loads((tmp_path / "hf" / "tokenizer_config.json").read_bytes())
    assert config["model_max_length"] == 128


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--model_max_length=0"], "--model_max_length=0: must be at least 1"),
        (["--vocab_file=none.txt"], "Cannot read none.txt"),
        (["--output_dir=/dev/null/hf"], "Cannot make the folder /dev/null/hf"),
    ],
)
def test_the_script_names_the_flag_that_cannot_be_used(run_script, own, tmp_path, flags, message):
    completed = run_script(
        "tokenizers/export_hf.py",
        f"--vocab_file={own / 'vocab.txt'}",
        f"--output_dir={tmp_path}",
        *flags,
    )
    assert completed.returncode == 1
    assert message in completed.stderr
    assert "Traceback" not in completed.stderr
    assert not list(tmp_path.iterdir())


LOAD = """
import json, multiprocessing, pickle, sys, warnings
if sys.argv[1] == "without kiwi":
    sys.modules["kiwipiepy"] = None
from transformers import AutoTokenizer

asked = json.load(sys.stdin)
tokenizers = [
    AutoTokenizer.from_pretrained(folder, trust_remote_code=asked["trust"])
    for folder in asked["folders"]
]
tokenizer = tokenizers[0]

def ids_of(tokenizer):
    return [tokenizer(text, add_special_tokens=False)["input_ids"] for text in asked["texts"]]

def first_ids(tokenizer, queue):
    queue.put(tokenizer(asked["texts"][0], add_special_tokens=False)["input_ids"])

answer = {
    "class": type(tokenizer).__name__,
    "ids": [ids_of(tokenizer) for tokenizer in tokenizers],
    "decoded": [tokenizer.decode(ids) for ids in asked["ids"]],
    "pair": dict(tokenizer(*asked["texts"][:2], return_special_tokens_mask=True)),
    "pickled": ids_of(pickle.loads(pickle.dumps(tokenizer))),
    "mask": tokenizer.mask_token_id,
    "longest": tokenizer.model_max_length,
}
tokenizer.save_pretrained(asked["save"])
saved = AutoTokenizer.from_pretrained(asked["save"], trust_remote_code=asked["trust"])
answer["saved"] = ids_of(saved)
saved.add_tokens(["<new>"])
text = "<new>" + asked["texts"][0] + "<new>"
answer["added"] = saved(text, add_special_tokens=False)["input_ids"]
queue = multiprocessing.get_context("fork").SimpleQueue()
child = multiprocessing.get_context("fork").Process(target=first_ids, args=(tokenizer, queue))
child.start()
child.join(60)
answer["forked"] = child.exitcode
if child.exitcode is None:
    child.kill()
elif child.exitcode == 0:
    answer["forked"] = queue.get()
print(json.dumps(answer))
"""


@pytest.fixture(scope="module")
def with_transformers(tmp_path_factory):
    """Runs LOAD in an environment with transformers, and without this project."""
    folder = tmp_path_factory.mktemp("transformers")
    python = folder / "environment" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", folder / "environment"], check=True)
    kiwi = [f"{name}=={importlib.metadata.version(name)}" for name in KIWI]
    command = [python, "-m", "pip", "install", "--quiet", "transformers", *kiwi]
    installed = subprocess.run(command, capture_output=True, text=True)
    if installed.returncode:
        pytest.skip(f"transformers cannot be installed: {installed.stderr.strip()[-300:]}")

    def run(asked: dict, how: str = "") -> subprocess.CompletedProcess:
        offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hf_home")}
        return subprocess.run(
            [python, "-c", LOAD, how],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            cwd=folder,
            env={**os.environ, **offline},
        )

    return run


def lines() -> list[str]:
    """A thousand: those of the sample, and some with odd things in them."""
    chance = random.Random(3)
    sample = list(filter(None, SAMPLE.read_text(encoding="utf-8").splitlines()))
    texts = [*sample, "", " ", *ODD]
    while len(texts) < 1000:
        line = chance.choice(sample)
        place = chance.randrange(len(line) + 1)
        odd = chance.choices(ODD, k=chance.randrange(1, 4))
        texts.append("".join([line[:place], *odd, line[place:]]))
    return texts


@pytest.fixture(scope="module")
def morpheme_vocabularies(tmp_path_factory) -> dict[str, str]:
    """Vocabularies of the sample, with contracts that name a user word."""
    pytest.importorskip("kiwipiepy", reason="needs pip install -e '.[deeq]'")
    from deeq_bert.tokenizers.analyzers.kiwi import KiwiAnalyzer

    kiwi = KiwiAnalyzer((USER_WORD,))
    counts = collections.Counter(
        form
        for analyses in analyze_lines(kiwi, SAMPLE.read_text(encoding="utf-8").splitlines())
        for analysis in analyses
        for form in analysis.forms
    )
    chars = sorted({char for form in counts for char in form})
    words = [form for form, _ in counts.most_common(600) if len(form) > 1] + [USER_WORD]
    vocab_files = {}
    for name, pieces in (("deeq", []), ("deeq-wordpiece", [f"##{char}" for char in chars])):
        path = tmp_path_factory.mktemp(name) / "vocab.txt"
        path.write_text("\n".join([*SPECIAL_TOKENS, *chars, *pieces, *words, ""]), "utf-8")
        vocab_files[name] = str(path)
        ours = make_tokenizer(TokenizerSettings(name, str(path)))
        made = contract.make_contract(name, ours)
        contract.write_contract(str(path), {**made, "analyzer": kiwi.identity()})
    return vocab_files


@pytest.fixture(scope="module")
def morpheme_folders(morpheme_vocabularies, run_script, tmp_path_factory) -> dict[str, str]:
    folders = {}
    for name, vocab_file in morpheme_vocabularies.items():
        folders[name] = str(tmp_path_factory.mktemp("exported") / name)
        completed = run_script(
            "tokenizers/export_hf.py",
            f"--vocab_file={vocab_file}",
            f"--tokenizer={name}",
            f"--output_dir={folders[name]}",
        )
        assert completed.returncode == 0, completed.stderr
    return folders


@pytest.fixture(scope="module", params=["deeq", "deeq-wordpiece"])
def exported(request, with_transformers, morpheme_vocabularies, morpheme_folders, tmp_path_factory):
    """A name with our tokenizer, what was asked of transformers, and what it answered."""
    vocab_file = morpheme_vocabularies[request.param]
    settings = AnalyzerSettings(user_words=contract.user_words(vocab_file))
    ours = make_tokenizer(TokenizerSettings(request.param, vocab_file, analyzer=settings))
    texts = lines()
    asked = {
        # The other too, for both have the same code with other vocabularies.
        "folders": [morpheme_folders[request.param], *map(str, morpheme_folders.values())],
        "trust": True,
        "texts": texts,
        "ids": list(map(ours.text_to_ids, texts[:100] + texts[-100:])),
        "save": str(tmp_path_factory.mktemp("saved") / "again"),
    }
    completed = with_transformers(asked)
    assert completed.returncode == 0, completed.stderr
    assert "another way" not in completed.stderr
    return request.param, ours, asked, json.loads(completed.stdout)


@pytest.mark.slow
def test_ids_are_ours_for_a_thousand_lines(exported):
    name, ours, asked, answer = exported
    expected = list(map(ours.text_to_ids, asked["texts"]))
    assert len(expected) == 1000
    assert ours.vocab["[MASK]"] in sum(expected, [])
    assert answer["class"] == "DeeqBertTokenizer"
    assert answer["ids"][0] == expected


@pytest.mark.slow
def test_folders_with_the_same_code_stay_apart(exported):
    name, _, _, answer = exported
    both = dict(zip(["deeq", "deeq-wordpiece"], answer["ids"][1:]))
    assert both.pop(name) == answer["ids"][0]
    assert list(both.values()) != [answer["ids"][0]]


@pytest.mark.slow
def test_text_is_decoded_as_ours(exported):
    _, ours, asked, answer = exported
    assert answer["decoded"] == list(map(ours.decode, asked["ids"]))


@pytest.mark.slow
def test_pairs_are_encoded_as_for_bert(exported):
    _, ours, asked, answer = exported
    first, second = map(ours.text_to_ids, asked["texts"][:2])
    cls, sep = ours.vocab["[CLS]"], ours.vocab["[SEP]"]
    assert answer["pair"]["input_ids"] == [cls, *first, sep, *second, sep]
    types = [0] * (len(first) + 2) + [1] * (len(second) + 1)
    assert answer["pair"]["token_type_ids"] == types
    special = [1, *[0] * len(first), 1, *[0] * len(second), 1]
    assert answer["pair"]["special_tokens_mask"] == special
    assert answer["mask"] == ours.vocab["[MASK]"]
    assert answer["longest"] == 512


@pytest.mark.slow
def test_it_can_be_pickled_and_saved_again(exported):
    _, _, asked, answer = exported
    assert answer["pickled"] == answer["ids"][0]
    assert answer["saved"] == answer["ids"][0]
    saved = pathlib.Path(asked["save"], "vocab.txt").read_bytes()
    assert saved == pathlib.Path(asked["folders"][0], "vocab.txt").read_bytes()


@pytest.mark.slow
def test_tokens_can_be_added(exported):
    _, ours, _, answer = exported
    new = len(ours.vocab)
    assert answer["added"] == [new, *answer["ids"][0][0], new]


@pytest.mark.slow
def test_it_serves_in_a_forked_process(exported):
    _, _, _, answer = exported
    assert answer["forked"] == answer["ids"][0][0]


def ask_shortly(folder: pathlib.Path) -> dict:
    asked = {"folders": [str(folder)], "trust": True, "texts": ["안개가 짙다.", "네."], "ids": []}
    return {**asked, "save": str(folder.parent / "saved")}


@pytest.mark.slow
def test_without_kiwi_it_says_what_to_install(with_transformers, morpheme_folders):
    completed = with_transformers(
        ask_shortly(pathlib.Path(morpheme_folders["deeq"])), how="without kiwi"
    )
    wanted = " ".join(f"{name}=={importlib.metadata.version(name)}" for name in KIWI)
    assert f"by Kiwi. Run `pip install {wanted}`" in completed.stderr
    assert "ImportError" in completed.stderr


@pytest.mark.slow
def test_another_kiwi_is_warned_of(with_transformers, morpheme_folders, tmp_path):
    folder = tmp_path / "older"
    shutil.copytree(morpheme_folders["deeq"], folder)
    config = json.loads((folder / "tokenizer_config.json").read_bytes())
    config["analyzer"]["version"] = "0.1"
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    completed = with_transformers(ask_shortly(folder))
    assert completed.returncode == 0, completed.stderr
    assert re.search(
        r"UserWarning: .*here it is version [\d.]+ instead of 0\.1\.", completed.stderr
    )


def explained(text: str) -> bool:
    """Whether `text` has something that BertTokenizer treats in another way, as documented."""
    if SPECIAL.search(text) or any(len(word) > 100 for word in text.split()):
        return True
    return any(
        unicodedata.category(char) in ("Co", "Cn", "Cs") or 0x2B820 <= ord(char) < 0x2B920
        for char in text
    )


def bert_tokenizer_differs(with_transformers, tmp_path, vocab_file, pairs) -> list[str]:
    """The texts of the pairs for which BertTokenizer gives other ids."""
    differing = []
    for do_lower_case in (False, True):
        folder = tmp_path / str(do_lower_case)
        ours = FullTokenizer(str(vocab_file), do_lower_case)
        hf_folder.write_folder(str(folder), files_of("wordpiece", ours))
        of_case = [pair for pair in pairs if pair["do_lower_case"] == do_lower_case]
        asked = {**ask_shortly(folder), "trust": None, "texts": [pair["text"] for pair in of_case]}
        completed = with_transformers(asked)
        assert completed.returncode == 0, completed.stderr
        answer = json.loads(completed.stdout)
        assert answer["class"] == "BertTokenizer"
        assert answer["saved"] == answer["ids"][0]
        differing += [
            pair["text"] for pair, ids in zip(of_case, answer["ids"][0]) if pair["ids"] != ids
        ]
    return differing


@pytest.mark.slow
def test_bert_tokenizer_gives_the_ids_of_the_sample(with_transformers, own, tmp_path):
    pairs = recorded_pairs(own / "tokens.jsonl.gz")
    differing = bert_tokenizer_differs(with_transformers, tmp_path, own / "vocab.txt", pairs)
    assert len(differing) <= 44
    assert all(map(explained, differing))


@pytest.mark.slow
def test_bert_tokenizer_gives_the_ids_of_every_recorded_kind(with_transformers, golden, tmp_path):
    pairs = recorded_pairs(golden / "tokenization" / "tokens.jsonl.gz")
    vocab_file = golden / "pretraining_data" / "vocab-bert.txt"
    differing = bert_tokenizer_differs(with_transformers, tmp_path, vocab_file, pairs)
    assert len(differing) <= 265
    # The others are by another version of Unicode.
    assert len([text for text in differing if not explained(text)]) <= 8
