"""Tokenizers by name, plug-ins from other packages among them."""

import json
import os
import pathlib
import subprocess
import sys
import sysconfig
import venv

import pytest

from deeq_bert.tokenizers import registry
from deeq_bert.tokenizers.base import TokenizerSettings
from deeq_bert.tokenizers.errors import InputError

PLUG_IN = '''
"""Tokens that are characters."""
from deeq_bert.tokenizers.base import Encoding, Tokenizer

class CharacterTokenizer(Tokenizer):
    def encode(self, text):
        places = [place for place, char in enumerate(text) if not char.isspace()]
        tokens = [text[place] if text[place] in self.vocab else "[UNK]" for place in places]
        starts_word = bytes(place == 0 or text[place - 1].isspace() for place in places)
        ids = self.convert_tokens_to_ids(tokens)
        return Encoding(tokens, ids, places, [place + 1 for place in places], starts_word)

def make(settings):
    return CharacterTokenizer(settings.vocab_file)

def broken(settings):
    return "no tokenizer"
'''

SETUP = """
from setuptools import setup
setup(
    name="toy-characters",
    version="1.0",
    py_modules=["toy_characters"],
    entry_points={
        "deeq_bert.tokenizers": [
            "characters = toy_characters:make",
            "no-tokenizer = toy_characters:broken",
            "not-there = toy_characters_2:make",
        ]
    },
)
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> pathlib.Path:
    """The Python of an environment that has the toy plug-in, and whatever this one has."""
    source = tmp_path_factory.mktemp("toy")
    (source / "toy_characters.py").write_text(PLUG_IN)
    (source / "setup.py").write_text(SETUP)
    environment = tmp_path_factory.mktemp("environment")
    venv.create(environment, with_pip=False, symlinks=True)
    python = environment / "bin" / "python"
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    packages = environment / "lib" / version / "site-packages"
    # A .pth file, so that the editable install of this project is found as well.
    (packages / "ours.pth").write_text(
        f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
    )
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", "--quiet"]
        + ["--no-deps", "--no-index", "--no-build-isolation", str(source)],
        check=True,
    )
    return python


def test_a_plug_in_makes_records(python, repository, tmp_path):
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n가\n나\n다\n")
    (tmp_path / "text.txt").write_text("가나 다\n다나 가나\n\n나나나 가\n가\n" * 20)
    completed = subprocess.run(
        [python, repository / "bert" / "create_pretraining_data.py", "--tokenizer=characters"]
        + ["--input_file=text.txt", "--vocab_file=vocab.txt", "--output_file=out.tf"]
        + ["--mask_unit=word", "--num_workers=2"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert completed.returncode == 0, completed.stderr
    assert "Read 21 documents, 80 sentences, 240 tokens, 0.00% of them [UNK]" in completed.stderr
    assert json.loads((tmp_path / "out.tf.json").read_text())["tokenizer"]["tokenizer"] == (
        "characters"
    )


@pytest.mark.parametrize(
    "name, reason", [("no-tokenizer", "gave a str"), ("not-there", "No module named")]
)
def test_a_plug_in_that_is_broken_is_an_error(python, repository, name, reason):
    completed = subprocess.run(
        [python, repository / "tokenizers" / "show_tokens.py", f"--tokenizer={name}", "--text=가"]
        + [f"--vocab_file={repository / 'corpus' / 'sample' / 'vocab.txt'}"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": ""},
    )
    assert completed.returncode == 1
    assert reason in completed.stderr
    assert "Traceback" not in completed.stderr


def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(InputError, match="--tokenizer=dek.*wordpiece, deeq, deeq-wordpiece"):
        registry.make_tokenizer(TokenizerSettings("dek", "vocab.txt"))


def test_wordpiece_is_the_original(own):
    settings = TokenizerSettings("wordpiece", str(own / "vocab.txt"), do_lower_case=False)
    assert registry.make_tokenizer(settings).tokenize("오늘") == ["오", "##늘"]
