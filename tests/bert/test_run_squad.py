"""The script that answers questions: a whole run, and a sentence for every bad input."""

import json
import subprocess

import pytest

from deeq_bert.bert.squad_examples import read_squad_examples
from deeq_bert.bert.squad_metrics import score_answers
from deeq_bert.bert.task_results import read_result


@pytest.fixture
def sample(own):
    """Questions about texts of the project's own, some without an answer."""
    return own / "squad_sample.json"


@pytest.fixture
def answered(sample, tmp_path):
    """Those of the sample that have an answer."""
    content = json.loads(sample.read_text())
    for article in content["data"]:
        for paragraph in article["paragraphs"]:
            paragraph["qas"] = [one for one in paragraph["qas"] if one["answers"]]
    path = tmp_path / "answered.json"
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def squad(run_script, own, tiny_config, tmp_path):
    """Runs the script with small sizes; flags given come on top."""

    def run(**flags) -> subprocess.CompletedProcess:
        usual = {
            "bert_config_file": tiny_config,
            "vocab_file": own / "vocab.txt",
            "do_lower_case": False,
            "output_dir": tmp_path / "out",
            "max_seq_length": 128,
            "doc_stride": 64,
            "max_query_length": 32,
            "gpus": 0,
        }
        given = [
            f"--{name}={value}" for name, value in (usual | flags).items() if value is not None
        ]
        return run_script("bert/run_squad.py", *given, timeout=300)

    return run


def assert_done(completed: subprocess.CompletedProcess) -> None:
    assert completed.returncode == 0, completed.stderr


def assert_refused(completed: subprocess.CompletedProcess, *parts: str) -> None:
    assert completed.returncode == 1, completed.stderr
    assert "Traceback" not in completed.stderr
    for part in parts:
        assert part in completed.stderr.splitlines()[-1]


def read(path) -> dict:
    return json.loads(path.read_text())


def test_a_run_trains_predicts_scores_and_is_done(squad, sample, tmp_path):
    flags = {
        "do_train": True,
        "train_file": sample,
        "do_predict": True,
        "predict_file": sample,
        "eval_file": sample,
        "evaluations": 1,
        "num_train_epochs": 1,
        "train_batch_size": 8,
        "version_2_with_negative": True,
        "metric": "korquad",
    }
    completed = squad(**flags)
    assert_done(completed)
    assert "--eval_file and --predict_file are one file" in completed.stderr
    out = tmp_path / "out"
    examples = read_squad_examples(str(sample), is_training=False)
    ids = {example.qas_id for example in examples}
    predictions = read(out / "predictions.json")
    assert set(predictions) == ids
    assert set(read(out / "nbest_predictions.json")) == ids
    assert set(read(out / "null_odds.json")) == ids

    result = read_result(str(out))
    scores = score_answers("korquad", examples, predictions, with_negatives=True)
    assert result.test.items() >= scores.items()
    assert result.dev == result.test
    assert (result.task, result.metric, result.step) == ("korquad", "f1", 3)
    assert result.examples == {"train": 31, "dev": 31, "test": 31}
    assert f"f1 = {scores['f1']:.6g}" in completed.stdout
    assert completed.stdout == (out / "eval_results.txt").read_text()

    again = squad(**flags)
    assert_done(again)
    assert "is done" in again.stderr


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        ({}, ["nothing to do", "--do_train"]),
        ({"do_train": True}, ["--do_train needs --train_file"]),
        ({"do_predict": True}, ["--do_predict needs --predict_file"]),
        (
            {"do_train": True, "train_file": "x.json", "evaluations": 2},
            ["--evaluations needs --eval_file"],
        ),
        (
            {"do_predict": True, "predict_file": "x.json", "max_seq_length": 35},
            ["--max_seq_length=35", "--max_query_length=32"],
        ),
        (
            {"do_predict": True, "predict_file": "x.json", "null_score_diff_threshold": "nan"},
            ["--null_score_diff_threshold=nan"],
        ),
        ({"do_predict": True, "predict_file": "x.json"}, ["There is no checkpoint"]),
        ({"do_train": True, "train_file": "gone.json"}, ["Cannot read gone.json"]),
        ({"do_train": True, "train_file": "{sample}"}, ["--version_2_with_negative"]),
        ({"do_train": True, "train_file": "x.json", "use_tpu": True}, ["--use_tpu"]),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(squad, sample, flags, parts):
    given = {name: str(sample) if value == "{sample}" else value for name, value in flags.items()}
    assert_refused(squad(**given), *parts)


def test_words_are_for_wordpiece(squad, own, tmp_path):
    pytest.importorskip("kiwipiepy", reason="needs pip install -e '.[deeq]'")
    vocab_file = tmp_path / "vocab.txt"
    vocab_file.write_text((own / "vocab.txt").read_text())
    completed = squad(
        do_train=True,
        train_file="x.json",
        tokenizer="deeq",
        do_lower_case=None,
        vocab_file=vocab_file,
        answer_spans="words",
    )
    assert_refused(completed, "--answer_spans=words", "--tokenizer=deeq")


@pytest.mark.slow
def test_several_seeds_have_a_folder_each_and_answers_come_again_without_training(
    squad, answered, tmp_path
):
    trained = squad(
        do_train=True,
        train_file=answered,
        num_train_epochs=1,
        train_batch_size=8,
        num_seeds=2,
        random_seed=7,
    )
    assert_done(trained)
    out = tmp_path / "out"
    assert [read_result(str(out / f"seed-{seed}")).seed for seed in (7, 8)] == [7, 8]

    def answers():
        completed = squad(
            do_predict=True, predict_file=answered, num_seeds=2, random_seed=7, n_best_size=3
        )
        assert_done(completed)
        return [read(out / f"seed-{seed}" / "nbest_predictions.json") for seed in (7, 8)]

    first = answers()
    assert first == answers()
    assert first[0] != first[1]
    assert not (out / "seed-7" / "null_odds.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("answer_spans", ["words", "characters"])
def test_a_model_learns_the_answers_by_heart(squad, answered, tmp_path, answer_spans):
    completed = squad(
        do_train=True,
        train_file=answered,
        do_predict=True,
        predict_file=answered,
        num_train_epochs=150,
        train_batch_size=16,
        learning_rate=3e-3,
        answer_spans=answer_spans,
        metric="korquad",
    )
    assert_done(completed)
    assert read_result(str(tmp_path / "out")).test["f1"] > 0.6


@pytest.mark.slow
def test_answers_with_morphemes_are_stretches_of_the_text(
    squad, run_script, repository, answered, tmp_path
):
    pytest.importorskip("kiwipiepy", reason="needs pip install -e '.[deeq]'")
    vocab_file = tmp_path / "deeq" / "vocab.txt"
    made = run_script(
        "tokenizers/build_vocab.py",
        "--tokenizer=deeq",
        f"--input_file={repository / 'corpus' / 'sample' / 'sample.txt'}",
        f"--output_file={vocab_file}",
        "--vocab_size=900",
        "--min_char_frequency=2",
    )
    assert_done(made)
    completed = squad(
        do_train=True,
        train_file=answered,
        do_predict=True,
        predict_file=answered,
        num_train_epochs=1,
        train_batch_size=8,
        tokenizer="deeq",
        do_lower_case=None,
        vocab_file=vocab_file,
        num_workers=1,
    )
    assert_done(completed)
    contexts = {
        example.qas_id: example.context
        for example in read_squad_examples(str(answered), is_training=False)
    }
    nbest = read(tmp_path / "out" / "nbest_predictions.json")
    assert all(
        entry["text"] and entry["text"] in contexts[qas_id]
        for qas_id, entries in nbest.items()
        for entry in entries
    )
