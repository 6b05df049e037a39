"""The table of a sweep: what it shows, what it chooses by, and what it says below."""

import json
import os
import statistics

import pytest
from sweep_stand_ins import make_sweep, write_run

from deeq_bert.bert import score_table
from deeq_bert.bert.task_results import TaskResult, write_result

SCORES = {
    # By model, step and task: dev and test, a pair for each of two seeds.
    ("wordpiece", "100", "one"): [(0.70, 0.60), (0.72, 0.64)],
    ("wordpiece", "100", "two"): [(0.50, 0.90), (0.50, 0.90)],
    ("wordpiece", "200", "one"): [(0.80, 0.50), (0.80, 0.52)],
    ("wordpiece", "200", "two"): [(0.60, 0.40), (0.62, 0.44)],
    ("wordpiece", "random", "one"): [(0.99, 0.30), (0.99, 0.30)],
    ("wordpiece", "random", "two"): [(0.99, 0.30), (0.99, 0.30)],
}


def write_scores(sweep, scores) -> None:
    """Writes results into the cells of a sweep."""
    for cell in sweep.cells():
        key = (cell.model.name, cell.checkpoint.label, cell.task.name)
        for seed, (dev, test) in zip(cell.seeds, scores.get(key, ())):
            folder = os.path.join(cell.folder, f"seed-{seed}")
            os.makedirs(folder, exist_ok=True)
            write_result(
                folder,
                TaskResult(
                    task=cell.task.name,
                    metric="macro_f1" if cell.task.name == "two" else "accuracy",
                    seed=seed,
                    step=3,
                    dev={} if dev is None else {"accuracy": dev, "macro_f1": dev},
                    test={} if test is None else {"accuracy": test, "macro_f1": test},
                    examples={"train": 1000, "dev": 10, "test": 20},
                    settings={"remark": "read with care"} if cell.task.name == "two" else {},
                    seconds=5.0,
                ),
            )


@pytest.fixture
def table_of(tmp_path):
    """A function that makes the table of scores."""

    def make(scores, tasks=("one", "two"), random_floor=True, **settings):
        run = write_run(tmp_path / "wordpiece")
        sweep = make_sweep(tmp_path, [run], tasks, random_floor=random_floor, **settings)
        write_scores(sweep, scores)
        return score_table.make_table(sweep)

    return make


def row_of(table, step):
    (row,) = [row for row in table["rows"] if row["checkpoint"] == step]
    return row


def markdown_row(table, start) -> str:
    (line,) = [line for line in score_table.to_markdown(table).splitlines() if start in line]
    return line


def test_a_cell_is_mean_and_deviation_of_test_over_seeds(table_of):
    table = table_of(SCORES)

    assert row_of(table, "100")["cells"]["one"]["test"] == {
        "values": {"12345": 0.60, "12346": 0.64},
        "mean": pytest.approx(0.62),
        "deviation": pytest.approx(statistics.stdev([0.60, 0.64])),
    }
    assert row_of(table, "100")["cells"]["one"]["dev"]["mean"] == pytest.approx(0.71)


def test_the_markdown_has_models_and_steps_down_and_tasks_across(table_of):
    lines = score_table.to_markdown(table_of(SCORES)).splitlines()

    assert lines[2:7] == [
        r"| model | step | one (accuracy) | two (macro\_f1) | mean |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| wordpiece | random | 30.00 ± 0.00 | 30.00 ± 0.00 | 30.00 |",
        "| wordpiece | 100 | 62.00 ± 2.83 | 90.00 ± 0.00 | 76.00 |",
        "| wordpiece | 200 ★ | 51.00 ± 1.41 | 42.00 ± 2.83 | 46.50 |",
    ]


def test_the_best_checkpoint_is_chosen_on_dev_though_test_says_otherwise(table_of):
    table = table_of(SCORES)

    assert row_of(table, "200")["best"]
    assert row_of(table, "100")["test"] > row_of(table, "200")["test"]
    assert not row_of(table, "100")["best"]
    assert not row_of(table, "random")["best"]


def test_what_must_be_known_of_a_task_stands_under_the_table(table_of):
    notes = score_table.to_markdown(table_of(SCORES)).splitlines()[-3:]
    assert [note for note in notes if note.endswith("; read with care")] == [notes[-1]]


def test_other_scores_on_test_change_no_choice(table_of):
    others = {key: [(dev, 1 - test) for dev, test in values] for key, values in SCORES.items()}
    assert row_of(table_of(others), "200")["best"]


def test_a_cell_that_is_missing_is_a_dash_and_its_row_is_not_chosen(table_of):
    scores = {key: values for key, values in SCORES.items() if key != ("wordpiece", "200", "two")}
    table = table_of(scores)

    assert markdown_row(table, "| 200") == "| wordpiece | 200 | 51.00 ± 1.41 | - | - |"
    assert not any(row["best"] for row in table["rows"])
    assert "- is what is not done, or failed: 1 of 6 cells." in score_table.to_markdown(table)


def test_a_cell_with_a_seed_missing_is_a_dash(table_of):
    table = table_of({**SCORES, ("wordpiece", "200", "two"): [(0.6, 0.4)]})
    assert row_of(table, "200")["cells"]["two"] is None


def test_without_labels_in_test_dev_is_shown_and_marked(table_of):
    scores = {
        key: [(dev, None if key[2] == "two" else test) for dev, test in values]
        for key, values in SCORES.items()
    }
    table = table_of(scores)

    assert "50.00 ± 0.00ᵈ" in markdown_row(table, "| 100")
    assert "for want of labels in the test set of two" in score_table.to_markdown(table)


def test_a_task_without_dev_takes_no_part_in_the_choice(table_of):
    scores = {
        key: [(None if key[2] == "two" else dev, test) for dev, test in values]
        for key, values in SCORES.items()
    }
    table = table_of(scores)

    assert row_of(table, "200")["best"]
    assert "highest mean on dev, where two has none." in score_table.to_markdown(table)


def test_one_seed_has_no_deviation(table_of):
    table = table_of(SCORES, num_seeds=1)

    assert "| 60.00 | 90.00 | 75.00 |" in markdown_row(table, "| 100")
    assert "one seed, so without a deviation" in score_table.to_markdown(table)


def test_one_task_needs_no_mean(table_of):
    assert markdown_row(table_of(SCORES, tasks=("one",)), "| 100") == (
        "| wordpiece | 100 | 62.00 ± 2.83 |"
    )


def test_tasks_trained_on_a_sample_are_said_so(table_of):
    text = score_table.to_markdown(table_of(SCORES, changes=["one.max_train_examples=1000"]))

    assert "- one: 2 seed(s), 1,000 train (a sample), 10 dev, 20 test" in text
    assert "- two: 2 seed(s), 1,000 train, 10 dev, 20 test" in text


def test_names_are_no_markup(tmp_path):
    run = write_run(tmp_path / "ko_base_v1")
    table = score_table.make_table(make_sweep(tmp_path, [run]))
    assert r"| ko\_base\_v1 | 100 | - |" in score_table.to_markdown(table)


def test_the_table_is_json(table_of):
    table = table_of(SCORES)
    assert json.loads(json.dumps(table)) == table
