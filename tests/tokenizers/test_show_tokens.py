"""The script that shows how a text is cut."""

import shutil
import subprocess
import sys

import pytest

from deeq_bert.tokenizers import contract
from deeq_bert.tokenizers.full_tokenizer import FullTokenizer

SCRIPT = "tokenizers/show_tokens.py"


@pytest.fixture
def vocab_file(repository) -> str:
    return str(repository / "corpus" / "sample" / "vocab.txt")


@pytest.fixture
def cased(tmp_path, vocab_file) -> str:
    """The same vocabulary with a contract, which says that text is not lower-cased."""
    path = str(shutil.copy(vocab_file, tmp_path / "vocab.txt"))
    contract.write_contract(
        path, contract.make_contract("wordpiece", FullTokenizer(path, do_lower_case=False))
    )
    return path


@pytest.fixture
def show(run_script, vocab_file):
    """Shows a text by the vocabulary of the sample; returns what is printed."""

    def show(text: str, *flags: str, **keywords) -> str:
        done = run_script(
            SCRIPT,
            *flags,
            *(
                []
                if any("--vocab_file" in flag for flag in flags)
                else [f"--vocab_file={vocab_file}"]
            ),
            *([] if text is None else [f"--text={text}"]),
            **keywords,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return show


def test_a_row_for_each_token(show):
    lines = show("오늘은 날.", "--do_lower_case=False").splitlines()
    assert "4 tokens" not in lines[0]
    rows = [line.split() for line in lines[1:] if line]
    assert rows[0] == ["token", "id", "from", "to", "starts", "text"]
    assert rows[1] == ["오", "310", "0", "1", "word", "오"]
    assert rows[2] == ["##늘", "661", "1", "2", "늘"]


def test_columns_stand_below_each_other_on_a_screen(show):
    # Hangul takes two columns: a row of it has fewer characters.
    lines = show("오늘은 a", "--do_lower_case=False").splitlines()[1:-1]
    ids = [line.split()[1] for line in lines]
    for line, id_ in zip(lines, ids):
        before = line[: line.index(f" {id_} ") + len(id_) + 1]
        width = sum(2 if "가" <= char <= "힣" else 1 for char in before)
        assert width == len(lines[0][: lines[0].index(" id ") + 3])


def test_several_side_by_side(show, vocab_file):
    output = show("오늘은", f"--vocab_file={vocab_file},{vocab_file}", "--tokenizer=wordpiece")
    assert output.splitlines()[2].count(" | ") == 1


def test_standard_input_by_the_line(show):
    output = show(None, "--summary", "--do_lower_case=False", input="오늘은\n날이다\n")
    assert "  오 ##늘 ##은\n" in output
    assert "  날 ##이다\n" in output


def test_control_characters_do_not_reach_the_screen(show):
    assert "\x1b" not in show("가\x1b[2J가\u202e가", "--do_lower_case=False")


def test_more_tokenizers_than_vocabularies(run_script, vocab_file):
    done = run_script(
        SCRIPT, f"--vocab_file={vocab_file},{vocab_file}", "--tokenizer=a,b,c", "--text=가"
    )
    assert done.returncode == 1
    assert "--tokenizer names 3 tokenizers and --vocab_file 2" in done.stderr


def test_the_contract_names_the_tokenizer(run_script, cased):
    done = run_script(SCRIPT, f"--vocab_file={cased}", "--text=오늘은", "--summary")
    assert "  오 ##늘 ##은\n" in done.stdout


def test_another_case_than_that_of_the_vocabulary_is_said(run_script, cased):
    done = run_script(SCRIPT, f"--vocab_file={cased}", "--text=오늘은", "--do_lower_case=True")
    assert done.returncode == 0
    assert "do_lower_case is false for tokenizer_config.json and true for" in done.stderr


def test_text_that_is_not_utf_8(vocab_file, repository):
    done = subprocess.run(
        [sys.executable, repository / SCRIPT, f"--vocab_file={vocab_file}"],
        input="오늘은".encode("cp949"),
        capture_output=True,
    )
    assert done.returncode == 1
    assert b"Line 1 of the standard input is not UTF-8" in done.stderr
