"""Tasks, their splits, and the four tasks of the original."""

import pytest

from deeq_bert.bert.task_examples import (
    MAX_CUT_DEV_EXAMPLES,
    InputExample,
    check_labelled,
    repeated_in,
    subsample,
)
from deeq_bert.bert.tasks import make_task, task_names
from deeq_bert.tokenizers.errors import InputError


def write_table(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")


def mnli_row(index, label="neutral"):
    return (str(index), *"bcdefgh", f"전제 {index}", f"가설 {index}", "x", label)


@pytest.fixture
def originals(tmp_path):
    """A folder for each task of the original."""
    for split in ("train", "dev"):
        rows = ("gj04", "1", "", '"열린 문장'), ("gj04", "0", "*", "둘째")
        write_table(tmp_path / "cola" / f"{split}.tsv", *rows)
        rows = ("Quality", "#1 ID", "#2 ID", "#1", "#2"), ("1", "10", "11", "가", "나")
        write_table(tmp_path / "mrpc" / f"{split}.tsv", *rows)
    write_table(tmp_path / "cola" / "test.tsv", ("index", "sentence"), ("0", "시험"))
    rows = ("index", "#1 ID", "#2 ID", "#1", "#2"), ("0", "10", "11", "다", "라")
    write_table(tmp_path / "mrpc" / "test.tsv", *rows)
    header = mnli_row(0)
    for name in ("train", "dev_matched"):
        write_table(tmp_path / "mnli" / f"{name}.tsv", header, mnli_row(31), mnli_row(32))
    write_table(tmp_path / "mnli" / "test_matched.tsv", header[:10], mnli_row(5)[:10])
    train = ("premise", "hypo", "label"), ("가", "나", "contradictory"), ("다", "라", "neutral")
    write_table(tmp_path / "xnli" / "multinli" / "multinli.train.zh.tsv", *train)
    header = ("language", "gold_label", *"cdef", "sentence1", "sentence2")
    rows = ("en", "neutral", *"cdef", "a", "b"), ("zh", "entailment", *"cdef", "가", "나")
    write_table(tmp_path / "xnli" / "xnli.dev.tsv", header, *rows)
    return tmp_path


def original(folder, name, split):
    return make_task(name, str(folder / name), splits=(split,)).examples(split)


def test_cola_has_a_header_in_test_alone_and_quotes_are_text(originals):
    train = original(originals, "cola", "train")
    assert train[0] == InputExample("train-0", '"열린 문장', None, "1")
    assert train[1] == InputExample("train-1", "둘째", None, "0")
    assert original(originals, "cola", "test") == [InputExample("test-1", "시험", None, None)]


def test_mrpc_takes_the_fourth_and_fifth_column(originals):
    assert original(originals, "mrpc", "dev") == [InputExample("dev-1", "가", "나", "1")]
    assert original(originals, "mrpc", "test") == [InputExample("test-1", "다", "라", None)]


def test_mnli_names_examples_by_the_first_column_and_takes_the_last_as_label(originals):
    train = original(originals, "mnli", "train")
    assert train[0] == InputExample("train-31", "전제 31", "가설 31", "neutral")
    assert original(originals, "mnli", "dev")[1].guid == "dev_matched-32"
    assert original(originals, "mnli", "test") == [InputExample("test-5", "전제 5", "가설 5", None)]


def test_xnli_counts_all_rows_but_takes_the_chinese(originals):
    train = original(originals, "xnli", "train")
    assert train[0] == InputExample("train-1", "가", "나", "contradiction")
    assert original(originals, "xnli", "dev") == [InputExample("dev-2", "가", "나", "entailment")]


@pytest.mark.parametrize("name", ["mnli", "xnli"])
def test_labels_have_the_ids_of_the_original(originals, name):
    task = make_task(name, str(originals / name), splits=("train",))
    assert task.labels == ("contradiction", "entailment", "neutral")


def test_a_row_with_too_few_columns_is_named(originals):
    write_table(originals / "mrpc" / "train.tsv", ("h",) * 5, ("1", "2", "3"))
    with pytest.raises(InputError, match=r"train.tsv, line 2: 3 columns; mrpc expects at least 5"):
        original(originals, "mrpc", "train")


def test_an_unknown_label_is_named_with_its_line(originals):
    write_table(originals / "cola" / "dev.tsv", ("a", "1", "", "가"), ("a", "yes", "", "나"))
    with pytest.raises(InputError, match=r"dev.tsv, line 2: unknown label 'yes'; expected .* 0, 1"):
        original(originals, "cola", "dev")


def test_a_missing_folder_is_told_with_the_files_it_should_hold(tmp_path):
    with pytest.raises(InputError, match="none is not there; .*train.tsv, dev_matched.tsv, test_m"):
        make_task("MNLI", str(tmp_path / "none"))


def test_only_files_of_splits_that_are_needed_must_be_there(originals):
    with pytest.raises(InputError, match="lacks files of xnli for test; expected xnli.test.tsv"):
        make_task("xnli", str(originals / "xnli"), splits=("test",))
    assert not make_task("xnli", str(originals / "xnli"), splits=("train", "dev")).has("test")


def test_an_unknown_task_is_told_the_known_ones(tmp_path):
    with pytest.raises(InputError, match="No task imdb; expected one of cola, .*nsmc"):
        make_task("imdb", str(tmp_path))
    assert len(task_names()) == 13


def write_reviews(folder, count, name="ratings_train.txt"):
    rows = [(str(i), f"후기 {i}", str(i % 2)) for i in range(count)]
    write_table(folder / name, ("id", "document", "label"), *rows)


@pytest.fixture
def reviews(tmp_path):
    """NSMC's two files with 50 and 10 reviews."""
    write_reviews(tmp_path, 50)
    write_reviews(tmp_path, 10, "ratings_test.txt")
    return tmp_path


def test_a_seeded_share_of_train_is_dev_where_there_is_no_file_for_it(reviews):
    task = make_task("nsmc", str(reviews), dev_fraction=0.2, seed=3)
    train, dev = task.examples("train"), task.examples("dev")
    numbers = [int(example.text_a.split()[1]) for example in train + dev]
    assert len(dev) == 10 and sorted(numbers) == list(range(50))
    assert numbers[:40] == sorted(numbers[:40]), "in the order of the file"
    assert make_task("nsmc", str(reviews), dev_fraction=0.2, seed=3).examples("dev") == dev
    assert make_task("nsmc", str(reviews), dev_fraction=0.2, seed=4).examples("dev") != dev


def test_the_share_has_a_bound(tmp_path):
    write_reviews(tmp_path, 25_000)
    task = make_task("nsmc", str(tmp_path), dev_fraction=0.9, splits=("dev",))
    assert len(task.examples("dev")) == MAX_CUT_DEV_EXAMPLES


def test_train_is_whole_where_dev_is_given(reviews):
    write_reviews(reviews, 5, "mine.tsv")
    task = make_task("nsmc", str(reviews), {"dev": str(reviews / "mine.tsv")})
    assert [len(task.examples(split)) for split in ("train", "dev", "test")] == [50, 5, 10]


def test_files_given_are_looked_for_in_the_folder_too_and_may_be_several(reviews):
    write_reviews(reviews, 5, "more.tsv")
    write_reviews(reviews, 5, "mine.tsv")
    files = {"train": "ratings_train.txt,more.tsv", "dev": "mi*.tsv"}
    task = make_task("nsmc", str(reviews), files)
    assert len(task.examples("train")) == 55


@pytest.mark.parametrize("other", ["train", "dev"])
def test_no_file_serves_twice(reviews, other):
    files = {other: "ratings_test.txt", "test": "ratings_test.txt"}
    with pytest.raises(InputError, match=f"ratings_test.txt is to serve for .*{other}"):
        make_task("nsmc", str(reviews), files)


def test_what_is_selected_by_cannot_be_what_is_reported(reviews):
    files = {"dev": "ratings_test.txt"}
    assert not make_task("nsmc", str(reviews), files, splits=("train", "dev")).has("test")
    with pytest.raises(InputError, match="the usual file for test was given for another split"):
        make_task("nsmc", str(reviews), files)


def test_a_given_file_that_is_not_there_is_named(reviews):
    with pytest.raises(InputError, match="The file given for dev, none.tsv, is not there"):
        make_task("nsmc", str(reviews), {"dev": "none.tsv"})


def test_one_example_cannot_be_shared(tmp_path):
    write_reviews(tmp_path, 1)
    task = make_task("nsmc", str(tmp_path), splits=("train",))
    with pytest.raises(InputError, match="too few examples"):
        task.examples("train")


def test_examples_without_text_are_kept_and_counted(tmp_path, caplog):
    rows = ("id", "document", "label"), ("1", "", "0"), ("2", "좋다", "1"), ("3", " ", "1")
    write_table(tmp_path / "ratings_test.txt", *rows)
    with caplog.at_level("INFO", logger="absl"):
        examples = make_task("nsmc", str(tmp_path), splits=("test",)).examples("test")
    assert [example.text_a for example in examples] == ["", "좋다", " "]
    assert "2 of the 3 examples of test have no text" in caplog.text


def test_a_subsample_keeps_the_order_and_depends_on_the_seed_alone():
    examples = [InputExample(str(i), "") for i in range(100)]
    few = subsample(examples, 10, seed=1)
    assert few == subsample(examples, 10, seed=1) != subsample(examples, 10, seed=2)
    assert len(few) == 10 and few == [example for example in examples if example in few]
    assert subsample(examples, 100, seed=1) == subsample(examples, 1000, seed=1) == examples


def test_training_examples_that_repeat_others_are_found():
    train = [
        InputExample("0", "가 나", None, "1"),
        InputExample("1", "다", "라", "1"),
        InputExample("2", "다", "마", "1"),
        InputExample("3", "가", None, "1"),
    ]
    others = [InputExample("a", " 가 나 ", None, "0"), InputExample("b", "라", "다", "0")]
    assert repeated_in(train, others) == [0, 1]


def test_what_has_no_label_cannot_be_scored():
    examples = [InputExample("t:2", "가", None, "1"), InputExample("t:3", "나")]
    with pytest.raises(InputError, match="1 of the 2 examples of test have no label, .* t:3"):
        check_labelled(examples, "nsmc", "test")
