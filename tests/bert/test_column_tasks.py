"""Tasks of any table."""

import json

import pytest

from deeq_bert.bert.column_tasks import ColumnSettings
from deeq_bert.bert.task_examples import InputExample
from deeq_bert.bert.tasks import make_task
from deeq_bert.tokenizers.errors import InputError


@pytest.fixture
def folder(tmp_path):
    """Train, dev and test as tsv with a header; test has no labels."""
    (tmp_path / "train.tsv").write_text("body\tkind\n가\tspam\n나\tham\n다\tspam\n")
    (tmp_path / "dev.tsv").write_text("kind\tbody\nham\t라\n")
    (tmp_path / "test.tsv").write_text("body\n마\n")
    return tmp_path


def columns_task(folder, text="body", label="kind", files=None, splits=("train",), **settings):
    return make_task(
        "columns",
        str(folder),
        files,
        splits=splits,
        columns=ColumnSettings(text, label, **settings),
    )


def test_columns_by_name(folder):
    task = columns_task(folder, splits=("train", "dev", "test"))
    assert task.examples("train")[1] == InputExample("train.tsv:3", "나", None, "ham")
    assert task.examples("dev") == [InputExample("dev.tsv:2", "라", None, "ham")]
    assert task.examples("test") == [InputExample("test.tsv:2", "마", None, None)]


def test_labels_are_those_of_train_sorted(folder):
    assert columns_task(folder).labels == ("ham", "spam")


def test_labels_given_keep_their_order(folder):
    assert columns_task(folder, labels=("spam", "ham")).labels == ("spam", "ham")


def test_columns_by_number_where_there_is_no_header(tmp_path):
    (tmp_path / "train.csv").write_text('1,"가, 나",다\n0,라,마\n')
    (tmp_path / "dev.csv").write_text("0,바,사\n")
    task = columns_task(tmp_path, "1", "0", pair_column="2")
    assert task.examples("train")[0] == InputExample("train.csv:1", "가, 나", "다", "1")


def test_a_share_of_train_is_dev_where_there_is_no_file(tmp_path):
    rows = [json.dumps({"t": {"body": f"글 {i}"}, "y": i % 2}) for i in range(20)]
    (tmp_path / "train.jsonl").write_text("\n".join(rows))
    task = columns_task(tmp_path, "t.body", "y", splits=("train", "dev"))
    assert task.labels == ("0", "1")
    assert len(task.examples("train")) == 18 and len(task.examples("dev")) == 2


def test_scores(tmp_path):
    (tmp_path / "train.tsv").write_text("a\tb\tscore\n가\t나\t-1.5\n다\t라\t2\n")
    settings = {"pair_column": "b", "is_regression": True}
    (tmp_path / "dev.tsv").write_text("a\tb\tscore\n가\t나\t1e400\n")
    task = columns_task(tmp_path, "a", "score", splits=("train", "dev"), **settings)
    assert task.labels == () and (task.metric, task.metrics) == (
        "pearson",
        ("pearson", "spearman"),
    )
    assert [example.label for example in task.examples("train")] == [-1.5, 2.0]
    with pytest.raises(InputError, match="dev.tsv, line 2: the score '1e400' is not a finite"):
        task.examples("dev")


@pytest.mark.parametrize(
    "content, message",
    [
        ("body\tkind\n가\tspam\n나\teggs\n", "train.tsv, line 3: unknown label 'eggs'"),
        ("body\tkind\n가\t\n나\tspam\n", "train.tsv, line 2: unknown label ''"),
        ("body\tsort\n가\tham\n", "train.tsv, line 1: no column kind; found body, sort"),
    ],
)
def test_bad_rows_are_named(folder, content, message):
    (folder / "train.tsv").write_text(content)
    with pytest.raises(InputError, match=message):
        columns_task(folder, labels=("ham", "spam")).examples("train")


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"metric": "pearson"}, "The metric pearson is none of a classification"),
        ({"metric": "f1", "labels": ("a", "b", "c")}, "The metric f1 needs two labels, not 3"),
        ({"labels": ("a", "a")}, "labels=a,a: expected two or more, each of them once"),
        ({"labels": ("a",), "is_regression": True}, "A regression has scores and no labels"),
        ({"pair_column": "1"}, "partly numbers"),
        ({"metric": "accuracy", "is_regression": True}, "none of a regression"),
    ],
)
def test_settings_that_contradict_each_other(folder, settings, message):
    with pytest.raises(InputError, match=message):
        columns_task(folder, **settings)


def test_one_label_is_no_task(folder):
    (folder / "train.tsv").write_text("body\tkind\n가\tspam\n나\tspam\n")
    with pytest.raises(InputError, match="the only label in the column kind is 'spam'"):
        columns_task(folder).labels  # noqa: B018


def test_texts_are_not_taken_for_labels(folder):
    rows = "".join(f"글 {i}\t{i}\n" for i in range(1100))
    (folder / "train.tsv").write_text(f"body\tkind\n{rows}")
    with pytest.raises(InputError, match="line 1002: more than 1,000 labels in the column kind"):
        columns_task(folder).labels  # noqa: B018


def test_columns_are_for_the_task_of_that_name(folder):
    with pytest.raises(InputError, match="needs to know at least the columns"):
        make_task("columns", str(folder))
    with pytest.raises(InputError, match="The columns of nsmc are known"):
        make_task("nsmc", str(folder), columns=ColumnSettings("a", "b"))


def test_a_missing_file_is_told_with_the_names_it_may_have(tmp_path):
    with pytest.raises(InputError, match="lacks files .*expected train.tsv; or train.txt; or"):
        columns_task(tmp_path)
