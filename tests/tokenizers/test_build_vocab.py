"""The script that makes vocabularies: what it writes, and a sentence for every bad input."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from deeq_bert.tokenizers.base import TokenizerSettings
from deeq_bert.tokenizers.contract import check_contract
from deeq_bert.tokenizers.registry import make_tokenizer
from deeq_bert.tokenizers.vocabulary import SPECIAL_TOKENS, check_no_duplicates

SCRIPT = "tokenizers/build_vocab.py"


@pytest.fixture
def script(repository, tmp_path, monkeypatch):
    """Runs the script in an empty folder that becomes the current one."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str, **options) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, repository / SCRIPT, *words],
            capture_output=True,
            text=True,
            timeout=120,
            **options,
        )

    return run


@pytest.fixture
def sample(repository):
    """The text that comes with the project: 601 lines."""
    return repository / "corpus" / "sample" / "sample.txt"


@pytest.fixture
def build(script, sample):
    """Makes the vocabulary out/vocab.txt of the sample text; returns its tokens and the log."""

    def run(*words: str, **options) -> tuple[list[str], str]:
        completed = script(
            f"--input_file={sample}", "--output_file=out/vocab.txt", *words, **options
        )
        assert completed.returncode == 0, completed.stderr
        with open("out/vocab.txt", encoding="utf-8") as file:
            tokens = file.read().splitlines()
        assert tokens[:5] == list(SPECIAL_TOKENS)
        check_no_duplicates("out/vocab.txt")
        return tokens, completed.stderr

    return run


def report() -> dict:
    with open("out/vocab.txt.coverage.json", encoding="utf-8") as file:
        return json.load(file)


def tokenizer(name: str):
    """Returns the tokenizer of out/vocab.txt, which must be what the contract there says."""
    settings = TokenizerSettings(name, "out/vocab.txt", do_lower_case=False)
    made = make_tokenizer(settings)
    check_contract(settings, made)
    return made


def test_a_wordpiece_vocabulary_serves_its_tokenizer(build):
    tokens, log = build("--vocab_size=900")
    assert len(tokens) == 900
    assert "Wrote 900 tokens to out/vocab.txt: 5 special" in log
    assert sorted(os.listdir("out")) == [
        "tokenizer_config.json",
        "vocab.txt",
        "vocab.txt.coverage.json",
    ]
    assert "[UNK]" not in tokenizer("wordpiece").tokenize("그래서 우리는 이 책을 읽었다.")


def test_the_report_tells_what_the_vocabulary_covers(build):
    build("--vocab_size=1200", "--heldout_share=0.2", "--num_unused=10", "--min_char_frequency=3")
    written = report()
    kinds = ("special", "unused", "characters", "user_words", "pieces")
    assert sum(written["vocabulary"][kind] for kind in kinds) == 1200
    assert written["vocabulary"]["unused"] == 10
    assert written["text"]["heldout_lines"] > 0
    assert 0 < written["heldout"]["unknown_share"] < 0.2
    assert 1 < written["heldout"]["tokens_per_eojeol"] < 4
    assert set(written["characters_left_out"]["most_frequent"].values()) <= {1, 2}
    assert len(written["words_left_out"]["most_frequent"]) == 20


def test_without_lines_held_out_there_is_no_measurement(build):
    _, log = build("--vocab_size=900", "--heldout_share=0")
    assert report()["heldout"] is None
    assert "No lines were held out" in log


def test_user_words_are_tokens(build, tmp_path):
    (tmp_path / "words").write_text("딥러닝\n한국은행\nA/S\n")
    tokens, log = build("--vocab_size=900", "--user_words=words")
    assert {"딥러닝", "한국은행"} < set(tokens)
    assert "1 user words are left out" in log


def test_lower_case_is_part_of_the_contract(build, tmp_path):
    (tmp_path / "text").write_text("An Apple and A pear. " * 10)
    tokens, _ = build("--input_file=text", "--do_lower_case", "--heldout_share=0")
    assert "apple" in tokens
    with open("out/tokenizer_config.json", encoding="utf-8") as file:
        assert json.load(file)["do_lower_case"] is True


def test_a_small_text_gives_a_small_vocabulary_and_a_warning(build):
    tokens, log = build("--vocab_size=20000")
    assert len(tokens) < 20000
    assert f"The vocabulary has {len(tokens)} tokens, not the 20000 of --vocab_size" in log


def test_a_vocabulary_can_be_made_again(build):
    first, _ = build("--vocab_size=900", env={**os.environ, "PYTHONHASHSEED": "1"})
    again, _ = build("--vocab_size=900", env={**os.environ, "PYTHONHASHSEED": "2"})
    assert first == again


@pytest.mark.slow
def test_the_number_of_workers_changes_nothing(build, sample):
    text = sample.read_text(encoding="utf-8")
    with open("long.txt", "w", encoding="utf-8") as file:
        # Enough for three workers, and with many different words.
        for number in range(3 * 8_000_000 // len(text.encode())):
            file.write(text.replace("는 ", f"는{number} "))
    results = [
        build("--input_file=long.txt", "--vocab_size=5000", f"--num_workers={number}")
        for number in (1, 2, 3)
    ]
    assert results[0][0] == results[1][0] == results[2][0]


@pytest.fixture(scope="module")
def kiwi():
    """Skips where the embedded analyser is not installed."""
    pytest.importorskip("kiwipiepy")


@pytest.mark.slow
def test_a_deeq_vocabulary_has_morphemes(build, kiwi):
    tokens, log = build("--tokenizer=deeq", "--vocab_size=800", "--min_char_frequency=2")
    # In the form the analyser gives them, not as they stand in the text.
    assert {"었", "에서", "ㄴ다"} < set(tokens)
    assert not [token for token in tokens if token.startswith("##")]
    assert "most frequent morphemes" in log
    assert "[UNK]" not in tokenizer("deeq").tokenize("그래서 우리는 책을 읽었다.")


@pytest.mark.slow
def test_a_deeq_wordpiece_vocabulary_has_pieces_of_morphemes(build, kiwi):
    tokens, _ = build("--tokenizer=deeq-wordpiece", "--vocab_size=1300", "--min_char_frequency=2")
    assert {"었", "에서", "##다"} < set(tokens)
    assert "[UNK]" not in tokenizer("deeq-wordpiece").tokenize("그래서 우리는 책을 읽었다.")


@pytest.mark.slow
def test_user_words_are_known_to_the_analyser_and_the_contract(build, kiwi, tmp_path):
    (tmp_path / "words").write_text("우리책방\n")
    tokens, _ = build("--tokenizer=deeq", "--vocab_size=900", "--user_words=words")
    assert "우리책방" in tokens
    with open("out/tokenizer_config.json", encoding="utf-8") as file:
        assert json.load(file)["analyzer"]["user_words"] == ["우리책방"]


BAD_FLAGS = [
    (["--vocab_size=0"], "--vocab_size=0: must be 1 or more"),
    (["--vocab_size=10000001"], "--vocab_size=10000001: must be 10000000 or less"),
    (["--min_frequency=0"], "--min_frequency=0: must be 1 or more"),
    (["--min_char_frequency=0"], "--min_char_frequency=0: must be 1 or more"),
    (["--num_unused=-1"], "--num_unused=-1: must be 0 or more"),
    (["--num_workers=-1"], "--num_workers=-1: must be 0 or more"),
    (["--heldout_share=0.6"], "--heldout_share=0.6: must be from 0 to 0.5"),
    (["--heldout_share=nan"], "--heldout_share=nan: must be from 0 to 0.5"),
    (["--tokenizer=deeq", "--do_lower_case"], "does not go with --tokenizer=deeq"),
    (["--input_file=missing*"], "no file matches"),
    (["--input_file=empty"], "there is no text in it"),
    (["--input_file=blank"], "there is no text in it"),
    (["--input_file=invisible"], "There is no text in --input_file"),
    (["--input_file=good,packed"], "packed is a binary file"),
    (["--input_file=good,korean"], "korean, line 1: not UTF-8"),
    (["--vocab_size=9"], "--vocab_size=9 is too small"),
    (["--user_words=missing"], "Cannot read missing"),
    (["--user_words=packed"], "packed, line 1: "),
    (["--output_file=good"], "--output_file=good would overwrite good, which --input_file names"),
    (["--output_file=empty/vocab.txt"], "Cannot make the folder"),
    (["--output_file=tokenizer_config.json"], "is written beside the vocabulary"),
    (["--temp_dir=empty"], "Cannot make the folder empty"),
    (["--tokenizer=deeq", "--deeq_server=nonsense"], "nonsense"),
    (["--tokenizer=deeq", "--analyzer=deeq"], "needs the address of its server"),
]


@pytest.mark.parametrize("words, message", BAD_FLAGS, ids=lambda value: str(value)[:40])
def test_bad_input_is_told_in_a_sentence(script, tmp_path, words, message):
    (tmp_path / "good").write_text("봄이 왔다. 꽃이 핀다.\n" * 20)
    (tmp_path / "empty").touch()
    (tmp_path / "blank").write_text("\n \n")
    (tmp_path / "invisible").write_text("\u200b\n")
    (tmp_path / "packed").write_bytes(b"\x1f\x8b\x08\x00\x00\x00")
    (tmp_path / "korean").write_bytes("봄이 왔다".encode("cp949"))
    before = sorted(os.listdir())
    completed = script("--input_file=good", "--output_file=vocab.txt", "--heldout_share=0", *words)
    assert completed.returncode == 1, completed.stderr
    error = completed.stderr[completed.stderr.index("ERROR: ") :]
    assert message in error
    assert "Traceback" not in completed.stderr
    assert sorted(os.listdir()) == before


def test_flags_of_the_analyser_have_no_effect_with_wordpiece(build):
    _, log = build("--vocab_size=900", "--deeq_domain=mine")
    assert "--deeq_domain has no effect with --tokenizer=wordpiece" in log


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_run_that_is_stopped_leaves_nothing(repository, tmp_path, number, code):
    with open(tmp_path / "text", "w", encoding="utf-8") as file:
        for line in range(1_000_000):
            file.write(f"봄이 {line} 번 왔다 {line * 7}.\n")
    process = subprocess.Popen(
        [
            *(sys.executable, repository / SCRIPT, "--input_file=text"),
            *("--output_file=out/vocab.txt", "--num_workers=2"),
        ],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        while "Counting in" not in process.stderr.readline():
            assert process.poll() is None
        time.sleep(0.5)
        process.send_signal(number)
        log = process.stderr.read()
    assert process.returncode == code, log
    assert log.endswith("ERROR: Stopped.\n")
    assert os.listdir(tmp_path / "out") == []
