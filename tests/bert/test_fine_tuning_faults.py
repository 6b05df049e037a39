"""Fine-tuning and what goes wrong: kills, full disks, two runs in one folder, flags that change."""

import pathlib
import shutil

import pytest
from small_tuner import SETTINGS, Scores, assert_same, examples, make_tuner, values

from deeq_bert.bert.fine_tuned_folder import weights_to_use
from deeq_bert.tokenizers.errors import InputError

EVALUATED = SETTINGS._replace(evaluations=4)
MADE_BY = {"learning_rate": 1e-2, "random_seed": 3}


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> pathlib.Path:
    """A run of 20 steps, the best of them 10."""
    folder = tmp_path_factory.mktemp("finished")
    scores = Scores(0.5, 0.8, 0.8, 0.6)
    make_tuner(EVALUATED).train(examples(), str(folder), scores, "accuracy", MADE_BY)
    return folder


@pytest.fixture
def run(finished, tmp_path) -> pathlib.Path:
    """A copy of the finished run."""
    return pathlib.Path(shutil.copytree(finished, tmp_path / "run"))


def kill_behind(folder: pathlib.Path, step: int) -> None:
    """Leaves a run as if it had been killed behind the checkpoint of `step`."""
    for path in folder.glob("model.ckpt-*"):
        if int(path.name.split("-")[1].split(".")[0]) > step:
            path.unlink()
    (folder / "checkpoint").write_text(f'model_checkpoint_path: "model.ckpt-{step}"\n')


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"random_seed": 4}, "random_seed is 3 there and 4 here"),
        ({"learning_rate": 5e-5}, "learning_rate is 0.01 there and 5e-05 here"),
    ],
)
def test_what_a_run_was_begun_with_is_what_it_goes_on_with(run, changed, message):
    kill_behind(run, 12)
    with pytest.raises(InputError, match=rf"model\.ckpt-12 is of another run: {message}"):
        make_tuner(EVALUATED).train(
            examples(), str(run), Scores(), "accuracy", {**MADE_BY, **changed}
        )


def test_best_weights_that_a_killed_run_has_replaced_are_chosen_anew(run):
    # Killed between the best weights of step 20 and the checkpoint that tells of them.
    kill_behind(run, 12)
    for path in (run / "best").glob("model.ckpt-10.*"):
        path.rename(path.with_name(path.name.replace("10", "20")))
    (run / "best" / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-20"\n')
    result = make_tuner(EVALUATED).train(
        examples(), str(run), Scores(0.7, 0.6), "accuracy", MADE_BY
    )
    assert (result.best_step, result.best_metrics) == (15, {"accuracy": 0.7})


def test_a_run_killed_behind_new_best_weights_still_has_those_before(tmp_path, finished):
    folder = tmp_path / "run"
    scores = Scores(0.5, 0.6, 0.8, 0.6)
    make_tuner(EVALUATED).train(examples(), str(folder), scores, "accuracy", MADE_BY)
    # Killed between the best weights of step 15 and the checkpoint that tells of them.
    kill_behind(folder, 12)
    again, whole = make_tuner(EVALUATED), make_tuner()
    result = again.train(examples(), str(folder), Scores(0.4, 0.3), "accuracy", MADE_BY)
    assert (result.best_step, result.best_metrics) == (10, {"accuracy": 0.6})
    whole.restore(str(finished / "best" / "model.ckpt-10"))
    assert_same(values(again), values(whole))
    assert weights_to_use(str(folder)) == str(folder / "best" / "model.ckpt-10")


def test_best_weights_that_are_gone_are_missed(run):
    shutil.rmtree(run / "best")
    with pytest.raises(InputError, match=r"best weights, .*model\.ckpt-10, are not there"):
        make_tuner(EVALUATED).train(examples(), str(run), Scores(), "accuracy", MADE_BY)


def test_a_damaged_last_checkpoint_costs_steps_and_no_result(run, finished):
    data = run / "model.ckpt-20.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 0xFF
    data.write_bytes(content)
    again, whole = make_tuner(EVALUATED), make_tuner()
    result = again.train(examples(), str(run), Scores(0.5, 0.6), "accuracy", MADE_BY)
    assert (result.step, result.best_step) == (20, 10)
    whole.restore(str(finished / "best" / "model.ckpt-10"))
    assert_same(values(again), values(whole))


def test_a_folder_of_a_pre_trained_model_is_refused(golden_model):
    with pytest.raises(InputError, match=r"checkpoints of another model: .* lacks output_weights"):
        make_tuner().check_folder(str(golden_model))


def test_the_folder_of_a_run_of_its_own_will_do(finished):
    make_tuner().check_folder(str(finished))


def test_a_second_run_in_the_folder_is_refused(tmp_path):
    def begin_another() -> dict[str, float]:
        with pytest.raises(InputError, match="Another run is writing to"):
            make_tuner().train(examples(), str(tmp_path))
        return {"accuracy": 0.5}

    make_tuner(SETTINGS._replace(evaluations=1, num_train_steps=2)).train(
        examples(), str(tmp_path), begin_another, "accuracy"
    )
