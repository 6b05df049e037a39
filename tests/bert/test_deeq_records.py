"""Records of morphemes: the same by the embedded analyser, by a server, and from the cache."""

import json
import subprocess

import pytest

from deeq_bert.bert.examples import decode_example
from deeq_bert.bert.records import read_records

pytest.importorskip("kiwipiepy", reason="needs pip install -e '.[deeq]'")


@pytest.fixture(scope="module")
def vocabulary(run_script, repository, tmp_path_factory):
    """A folder with a vocabulary of the sample's morphemes and its contract."""
    folder = tmp_path_factory.mktemp("vocabulary")
    done = run_script(
        "tokenizers/build_vocab.py",
        "--tokenizer=deeq",
        f"--input_file={repository / 'corpus' / 'sample' / 'sample.txt'}",
        f"--output_file={folder / 'vocab.txt'}",
        "--vocab_size=1500",
        "--min_char_frequency=2",
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def make(run_script, vocabulary, repository, tmp_path):
    """Makes records of the held-out text of the sample; flags given come on top."""

    def run(output: str, environment=None, **flags) -> subprocess.CompletedProcess:
        usual = {
            "tokenizer": "deeq",
            "input_file": repository / "corpus" / "sample" / "heldout.txt",
            "vocab_file": vocabulary / "vocab.txt",
            "max_seq_length": 128,
            "do_lower_case": False,
            "dupe_factor": 1,
            "num_workers": 1,
            "output_file": tmp_path / output,
        }
        given = [f"--{name}={value}" for name, value in (usual | flags).items()]
        return run_script("bert/create_pretraining_data.py", *given, env=environment)

    return run


def assert_made(completed: subprocess.CompletedProcess) -> None:
    assert completed.returncode == 0, completed.stderr


def assert_refused(completed: subprocess.CompletedProcess, *parts: str) -> None:
    assert completed.returncode == 1, completed.stderr
    assert "Traceback" not in completed.stderr
    for part in parts:
        assert part in completed.stderr.splitlines()[-1]


def test_the_embedded_analyser_and_a_server_give_the_same_records(
    make, tmp_path, vocabulary, start_deeq_server
):
    embedded = make("embedded.tf")
    assert_made(embedded)
    assert "Morphemes are by kiwi 0.24.1, in the process itself" in embedded.stderr
    # The vocabulary names its analyser.
    server = start_deeq_server()
    assert_refused(
        make("served.tf", deeq_server=server.address),
        '"name": "kiwi"',
        '"name": "deeq"',
        "--allow_tokenizer_mismatch",
    )
    allowed = make("served.tf", deeq_server=server.address, allow_tokenizer_mismatch=True)
    assert_made(allowed)
    assert f"Morphemes are by the server deeq at {server.address}" in allowed.stderr
    records = list(read_records(str(tmp_path / "embedded.tf")))
    assert list(read_records(str(tmp_path / "served.tf"))) == records
    assert len(records) > 20


def test_a_vocabulary_without_a_contract_runs_as_typed_with_either(
    make, tmp_path, vocabulary, start_deeq_server, monkeypatch
):
    (tmp_path / "vocab.txt").write_bytes((vocabulary / "vocab.txt").read_bytes())
    assert_made(make("embedded.tf", vocab_file=tmp_path / "vocab.txt"))
    monkeypatch.setenv("DEEQ_SERVER", start_deeq_server().address)
    assert_made(make("served.tf", vocab_file=tmp_path / "vocab.txt"))
    made = [(tmp_path / f"{name}.tf").read_bytes() for name in ("embedded", "served")]
    assert made[0] == made[1]


@pytest.mark.parametrize("mask_unit", ["token", "word"])
def test_processes_and_cache_change_nothing(make, tmp_path, mask_unit):
    assert_made(make("plain.tf", mask_unit=mask_unit))
    assert_made(make("two.tf", mask_unit=mask_unit, num_workers=2))
    for name in ("first.tf", "second.tf"):
        assert_made(make(name, mask_unit=mask_unit, morpheme_cache=tmp_path / "cache"))
    plain = (tmp_path / "plain.tf").read_bytes()
    for name in ("two.tf", "first.tf", "second.tf"):
        assert (tmp_path / name).read_bytes() == plain


def masked_tokens(tmp_path, vocabulary, name: str) -> list[list[str]]:
    words = (vocabulary / "vocab.txt").read_text(encoding="utf-8").splitlines()
    return [
        [words[id_] for id_ in decode_example(record)["masked_lm_ids"] if id_]
        for record in read_records(str(tmp_path / name))
    ]


def test_whole_words_are_masked_whole(make, tmp_path, vocabulary):
    (tmp_path / "text.txt").write_text("추웠어요 더웠어요\n서울은 서울을 서울이\n\n" * 30)
    flags = {"input_file": tmp_path / "text.txt", "masked_lm_prob": 0.3}
    assert_made(make("words.tf", mask_unit="word", **flags))
    for tokens in masked_tokens(tmp_path, vocabulary, "words.tf"):
        text = " ".join(tokens)
        assert text.count("었") == text.count("어요")
    assert_made(make("tokens.tf", **flags))
    assert any(
        tokens.count("었") != tokens.count("어요")
        for tokens in masked_tokens(tmp_path, vocabulary, "tokens.tf")
    )


def test_records_carry_the_contract(make, tmp_path, vocabulary):
    assert_made(make("out.tf", mask_unit="morpheme"))
    info = json.loads((tmp_path / "out.tf.json").read_text())
    assert info["tokenizer"] == json.loads((vocabulary / "tokenizer_config.json").read_text())
    assert info["mask_unit"] == "morpheme"


def test_the_default_tokenizer_does_not_fit_the_vocabulary(make):
    assert_refused(
        make("out.tf", tokenizer="wordpiece"),
        "tokenizer is deeq for the vocabulary and wordpiece for this run",
        "--tokenizer=deeq",
    )


def test_lower_case_does_not_go_with_morphemes(make):
    assert_refused(make("out.tf", do_lower_case=True), "--do_lower_case=True", "--tokenizer=deeq")


@pytest.mark.parametrize("address", ["localhost:port", "http://localhost:5656", ":5656", "a:70000"])
def test_a_malformed_address_is_found_before_any_work(make, address):
    assert_refused(
        make("out.tf", deeq_server=address), f"--deeq_server={address}", "expected host:port"
    )


def test_a_server_that_is_down_stops_the_run(make, tmp_path):
    from deeq_server import free_port

    done = make("out.tf", deeq_server=f"localhost:{free_port()}", allow_tokenizer_mismatch=True)
    assert_refused(done, "Is it running", "UNAVAILABLE")
    assert not (tmp_path / "out.tf").exists()


def test_a_server_and_no_server_contradict_each_other(make):
    assert_refused(make("out.tf", analyzer="kiwi", deeq_server="localhost"), "--analyzer=kiwi")


def test_an_analyser_without_its_server(make):
    assert_refused(make("out.tf", analyzer="bareun"), "--analyzer=bareun", "--deeq_server")
