"""run_pretraining.py with --dynamic_masking: masks drawn anew in every pass over the records."""

import json
import pathlib
import shutil
import subprocess

import pytest
from pretraining_runs import (
    assert_refused,
    assert_same_weights,
    lines,
    run,
    run_without_tensorflow,
    steps_of,
    take_back_to,
)


@pytest.fixture(scope="module")
def records(run_script, repository, tmp_path_factory) -> pathlib.Path:
    """27 records without masks, made of the sample text."""
    path = tmp_path_factory.mktemp("unmasked") / "unmasked.tfrecord"
    own = repository / "tests" / "data" / "own"
    completed = run_script(
        "bert/create_pretraining_data.py",
        f"--input_file={own / 'sample.txt'}",
        f"--vocab_file={own / 'vocab.txt'}",
        "--do_lower_case=False",
        "--dynamic_masking",
        f"--output_file={path}",
    )
    assert completed.returncode == 0, completed.stderr
    return path


@pytest.fixture(scope="module")
def usual(records, tiny_config) -> dict[str, object]:
    """Ten steps of 8: almost three passes over the records."""
    return {
        "input_file": records,
        "eval_input_file": records,
        "bert_config_file": tiny_config,
        "dynamic_masking": True,
        "do_train": True,
        "train_batch_size": 8,
        "num_train_steps": 10,
        "num_warmup_steps": 2,
        "save_checkpoints_steps": 5,
        "max_eval_steps": 2,
        "log_steps": 1,
        "gpus": 0,
    }


@pytest.fixture(scope="module")
def whole(usual, tmp_path_factory) -> tuple[pathlib.Path, str]:
    """The output folder and the log of a whole run; not to be written to."""
    folder = tmp_path_factory.mktemp("whole") / "out"
    completed = run(usual | {"output_dir": folder})
    assert completed.returncode == 0, completed.stderr
    return folder, completed.stderr


@pytest.fixture(scope="module")
def resumed(usual, whole, tmp_path_factory) -> pathlib.Path:
    """The same, stopped behind step 5, in the second pass, and gone on."""
    folder = tmp_path_factory.mktemp("resumed") / "out"
    shutil.copytree(whole[0], folder)
    take_back_to(folder, 5)
    completed = run(usual | {"output_dir": folder})
    assert completed.returncode == 0, completed.stderr
    return folder


def test_a_run_trains_evaluates_and_says_what_counting_tokens_would_get(whole):
    folder, log = whole

    assert "Examples found = 27" in log
    assert [line["step"] for line in lines(folder, "train")] == list(range(1, 11))
    # As often as checkpoints are written, where --eval_steps does not say.
    assert [line["step"] for line in lines(folder, "eval")] == [5, 10]
    assert lines(folder, "start")[0]["baseline_masked_lm_loss"] > 0
    assert all(line["bits_per_character"] > 0 for line in lines(folder, "eval"))


def test_a_run_goes_on_in_the_middle_of_a_pass_with_the_same_masks(whole, resumed):
    assert_same_weights(resumed, whole[0], 10)
    expected = {line["step"]: line["loss"] for line in lines(whole[0], "train")}
    assert all(line["loss"] == expected[line["step"]] for line in lines(resumed, "train"))
    # Held-out records have the same masks every time.
    evaluations = [line["loss"] for line in lines(resumed, "eval")]
    assert evaluations[1:] == [evaluations[1]] * 2


def test_whole_words_are_masked_and_nothing_is_evaluated_where_that_is_asked(
    usual, whole, tmp_path
):
    flags = {"mask_unit": "word", "masked_lm_prob": 0.3, "eval_steps": 0, "num_train_steps": 5}

    completed = run(usual | flags | {"output_dir": tmp_path / "out"})

    assert completed.returncode == 0, completed.stderr
    of_words = [line["masked_lm_loss"] for line in lines(tmp_path / "out", "train")]
    of_tokens = [line["masked_lm_loss"] for line in lines(whole[0], "train")][:5]
    assert len(of_words) == 5
    assert all(one != other for one, other in zip(of_words, of_tokens))
    assert lines(tmp_path / "out", "eval") == []
    assert steps_of(tmp_path / "out" / "best") == []


@pytest.fixture
def refuse(usual, tmp_path):
    """A function that checks that a run is refused before TensorFlow and leaves nothing."""

    def refuse(*parts: str, **flags) -> None:
        (tmp_path / "modules").mkdir()
        flags = usual | {"output_dir": tmp_path / "out"} | flags
        assert_refused(run_without_tensorflow(flags, tmp_path / "modules"), *parts)
        assert not (tmp_path / "out").exists()

    return refuse


@pytest.fixture
def with_info(records, tmp_path):
    """A function that copies the records with other information beside them."""

    def copy(**fields) -> pathlib.Path:
        path = pathlib.Path(shutil.copy(records, tmp_path / "copy.tfrecord"))
        info = json.loads(pathlib.Path(f"{records}.json").read_text())
        pathlib.Path(f"{path}.json").write_text(json.dumps(info | fields))
        return path

    return copy


def test_unmasked_records_are_refused_without_the_flag(refuse):
    refuse("are not masked", "Give --dynamic_masking here too", dynamic_masking=False)


def test_records_that_are_masked_already_are_refused(refuse, sample_records):
    refuse("are masked already", str(sample_records), input_file=sample_records)


def test_held_out_records_of_the_other_kind_are_refused(refuse, sample_records):
    refuse("are masked already", str(sample_records), eval_input_file=sample_records)


def test_records_without_their_information_are_refused(refuse, records, tmp_path):
    path = shutil.copy(records, tmp_path / "alone.tfrecord")

    refuse(f"{path}.json is missing", "[MASK]", input_file=path)


def test_units_that_the_tokenizer_does_not_tell_are_refused(refuse):
    refuse("--mask_unit=morpheme", "only token and word", mask_unit="morpheme")


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"mask_id": None}, "does not say how the records are to be masked"),
        ({"num_ids": 2000}, "vocabulary of 2000 tokens, but vocab_size is 900"),
        ({"tokenizer": None}, "does not say how"),
    ],
)
def test_information_that_cannot_be_right_is_refused(refuse, with_info, fields, part):
    refuse(part, "copy.tfrecord", input_file=with_info(**fields))


def test_records_of_two_vocabularies_are_refused(refuse, records, with_info):
    other = with_info(num_ids=890)

    refuse("num_ids", "890", "900", input_file=f"{records},{other}")


def test_evaluation_alone_draws_masks_too(usual, whole, tmp_path) -> None:
    folder = pathlib.Path(shutil.copytree(whole[0], tmp_path / "out"))
    flags = {"do_train": False, "do_eval": True, "output_dir": folder}

    completed: subprocess.CompletedProcess = run(usual | flags)

    assert completed.returncode == 0, completed.stderr
    (loss,) = [
        float(line.split(" = ")[1])
        for line in (folder / "eval_results.txt").read_text().splitlines()
        if line.startswith("loss")
    ]
    assert loss == pytest.approx(lines(whole[0], "eval")[-1]["loss"])
