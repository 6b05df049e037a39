"""The Korean tasks: small files in their formats, and the real ones where they are here."""

import collections
import json
import subprocess

import pytest

from deeq_bert.bert.task_examples import InputExample, check_labelled, repeated_in
from deeq_bert.bert.tasks import make_task
from deeq_bert.tokenizers.errors import InputError


@pytest.fixture
def write(tmp_path):
    def write(name: str, content: str, encoding: str = "utf-8") -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding=encoding, newline="")

    return write


def examples(name, folder, split="test", **settings):
    return make_task(name, str(folder), splits=(split,), **settings).examples(split)


def test_nsmc_reads_quotes_as_text(tmp_path, write):
    write("ratings_test.txt", 'id\tdocument\tlabel\n1\t"""명작\t1\n2\t"별로"\t0\n')
    assert examples("nsmc", tmp_path) == [
        InputExample("ratings_test.txt:2", '"""명작', None, "1"),
        InputExample("ratings_test.txt:3", '"별로"', None, "0"),
    ]


STS_HEADER = "genre\tfilename\tyear\tid\tscore\tsentence1\tsentence2\n"


def test_korsts_has_scores(tmp_path, write):
    write(
        "sts-test.tsv", f"{STS_HEADER}g\tf\t2012\t0001\t3.800\t가\t나\ng\tf\t2012\t2\t0\t다\t라\n"
    )
    found = examples("korsts", tmp_path)
    assert found[0] == InputExample("sts-test.tsv:2", "가", "나", 3.8)
    assert found[1].label == 0.0
    task = make_task("korsts", str(tmp_path), splits=("test",))
    assert task.is_regression and task.labels == () and task.metrics == ("pearson", "spearman")


@pytest.mark.parametrize(
    "score, message",
    [
        ("5.1", "line 2: the score 5.1 is not from 0 to 5"),
        ("nan", "line 2: the score 'nan' is not a finite number"),
        ("3,8", "line 2: the score '3,8' is not a finite number"),
    ],
)
def test_korsts_names_a_score_that_is_none(tmp_path, write, score, message):
    write("sts-test.tsv", f"{STS_HEADER}g\tf\t2012\t0001\t{score}\t가\t나\n")
    with pytest.raises(InputError, match=f"sts-test.tsv, {message}"):
        examples("korsts", tmp_path)


NLI = "sentence1\tsentence2\tgold_label\n{}\t나\tneutral\n"


def test_kornli_trains_on_two_files(tmp_path, write, caplog):
    write("multinli.train.ko.tsv", NLI.format("가"))
    write("snli_1.0_train.ko.tsv", NLI.format("다"))
    write("train.standin.ko.tsv", NLI.format("라"))
    found = examples("kornli", tmp_path, "train")
    assert [example.text_a for example in found] == ["가", "다"]
    assert not caplog.records


def test_kornli_warns_of_a_stand_in(tmp_path, write, caplog):
    write("train.standin.ko.tsv", NLI.format("라"))
    assert len(examples("kornli", tmp_path, "train")) == 1
    assert "so scores do not compare with published ones" in caplog.text


def test_kornli_names_all_the_files_it_may_have(tmp_path):
    with pytest.raises(
        InputError,
        match="expected multinli.train.ko.tsv, snli_1.0_train.ko.tsv, xnli.dev.ko.tsv, "
        "xnli.test.ko.tsv; or train.standin.ko.tsv",
    ):
        make_task("kornli", str(tmp_path))


QUESTIONS = "question1\tquestion2\tis_duplicate\n가?\t나?\t{}\n"


def test_question_pair_prefers_the_new_split(tmp_path, write):
    for name in ("train", "validation", "test"):
        write(f"{name}.txt", QUESTIONS.format(0))
    write("kor_pair_train.csv", "question1,question2,is_duplicate\n")
    task = make_task("question_pair", str(tmp_path))
    assert task.files("dev") == [str(tmp_path / "validation.txt")]


def test_question_pair_reads_the_first_files_with_their_mark_line_ends_and_loose_column(
    tmp_path, write
):
    rows = [f'{i},{i},{i},"가, {i}",나,{i % 2}' for i in range(10)]
    header = "id,qid1,qid2,question1,question2,is_duplicate"
    write("kor_pair_train.csv", "\r\n".join([header, *rows, ""]), "utf-8-sig")
    rows = ["test_id,question1,question2,is_duplicate,", "1,가,나,1,", "684,다,라,0,1", ""]
    write("kor_Pair_test.csv", "\r\n".join(rows), "utf-8-sig")
    task = make_task("question_pair", str(tmp_path))
    assert [example.label for example in task.examples("test")] == ["1", "0"]
    assert len(task.examples("train")) == 9 and len(task.examples("dev")) == 1
    assert task.examples("train")[0].text_a.startswith("가, ")


def test_question_pair_reads_the_form_with_dev_tsv(tmp_path, write):
    for name in ("train", "dev", "test"):
        write(f"{name}.tsv", QUESTIONS.format(1))
    assert make_task("question_pair", str(tmp_path)).examples("dev")[0].label == "1"


@pytest.fixture
def comments(tmp_path, write):
    """Korean hate speech as published: ten comments to train on, two to report on, titles."""
    header = "comments\tcontain_gender_bias\tbias\thate\n"
    rows = "".join(f"댓글 {i}\tFalse\tnone\toffensive\n" for i in range(10))
    write("labeled/train.tsv", header + rows)
    write("labeled/dev.tsv", f'{header}"인용\tTrue\tgender\thate\n둘째\tFalse\tnone\tnone\n')
    write("test.no_label.tsv", "comments\n시험\n")
    write("news_title/train.news_title.txt", "".join(f"제목 {i}\n" for i in range(10)))
    write("news_title/dev.news_title.txt", '"""첫"" 제목"\n둘째 제목\n')
    write("news_title/test.news_title.txt", "시험 제목\n")
    return tmp_path


def test_hate_speech_reports_on_the_publishers_dev_file(comments):
    task = make_task("hate_speech", str(comments))
    assert task.examples("test")[0] == InputExample("dev.tsv:2", '"인용', None, "hate")
    assert len(task.examples("dev")) == 1 and len(task.examples("train")) == 9
    assert task.labels == ("none", "offensive", "hate") and task.metric == "macro_f1"


def test_hate_speech_can_select_on_the_publishers_dev_file(comments):
    files = {"dev": "labeled/dev.tsv", "test": "test.no_label.tsv"}
    task = make_task("hate_speech", str(comments), files, with_title=True)
    assert [len(task.examples(split)) for split in ("train", "dev", "test")] == [10, 2, 1]
    test = task.examples("test")
    assert test == [InputExample("test.no_label.tsv:2", "시험", "시험 제목", None)]
    with pytest.raises(InputError, match="no label"):
        check_labelled(test, task.name, "test")


def test_hate_speech_takes_the_title_as_second_text_without_its_quotes(comments):
    found = examples("hate_speech", comments, with_title=True)
    assert [example.text_b for example in found] == ['"첫" 제목', "둘째 제목"]


@pytest.mark.parametrize("lines, count", [(1, "1 lines, fewer"), (3, "3 lines for the 2 comments")])
def test_titles_that_do_not_fit_the_comments_are_refused(comments, write, lines, count):
    write("news_title/dev.news_title.txt", "제목\n" * lines)
    with pytest.raises(InputError, match=f"dev.news_title.txt: {count}"):
        examples("hate_speech", comments, with_title=True)


def test_titles_that_are_not_there_are_missed_at_once(comments):
    (comments / "news_title" / "dev.news_title.txt").unlink()
    with pytest.raises(InputError, match="with titles needs .*dev.news_title.txt"):
        make_task("hate_speech", str(comments), with_title=True)


def test_hate_speech_reads_the_form_with_titles_in_the_table(tmp_path, write):
    write("val.tsv", 'title\tcomment\tbias\thate\n"""큰"" 제목"\t댓글\tnone\thate\n')
    titled = InputExample("val.tsv:2", "댓글", '"큰" 제목', "hate")
    assert examples("hate_speech", tmp_path, with_title=True) == [titled]
    assert examples("hate_speech", tmp_path) == [titled._replace(text_b=None)]


def test_only_hate_speech_has_titles(tmp_path):
    with pytest.raises(InputError, match="nsmc has no titles"):
        make_task("nsmc", str(tmp_path), with_title=True)


KLUE = {
    "klue_ynat": ("ynat-{}_dev.json", {"title": "가", "label": "IT과학"}, None, "IT과학"),
    "klue_sts": (
        "klue-sts-{}_dev.json",
        {"sentence1": "가", "sentence2": "나", "labels": {"label": 3.7, "binary-label": 1}},
        "나",
        3.7,
    ),
    "klue_nli": (
        "klue-nli-{}_dev.json",
        {"premise": "가", "hypothesis": "나", "gold_label": "neutral"},
        "나",
        "neutral",
    ),
}


@pytest.mark.parametrize("version", ["v1", "v1.1"])
@pytest.mark.parametrize("name", KLUE)
def test_klue_reports_on_its_dev_file(tmp_path, write, name, version):
    file, item, text_b, label = KLUE[name]
    file = file.format(version)
    write(file, json.dumps([{"guid": "0", **item}]))
    assert examples(name, tmp_path) == [InputExample(f"{file}:1", "가", text_b, label)]


@pytest.fixture(scope="module")
def real_tasks(repository, tmp_path_factory):
    """The published files (not in git)."""
    archive = repository.parent / "shared" / "data" / "tasks.tar.xz"
    if not archive.is_file():
        pytest.skip(f"no {archive}: it holds third-party text and is not in git")
    folder = tmp_path_factory.mktemp("tasks")
    subprocess.run(["tar", "-xf", archive, "-C", folder], check=True)
    return folder


def counts(task, split):
    return dict(collections.Counter(example.label for example in task.examples(split)))


def test_the_real_files_have_the_published_rows_and_labels(real_tasks):
    task = make_task("nsmc", str(real_tasks / "nsmc"))
    assert len(task.examples("dev")) == 10_000
    train, dev = counts(task, "train"), counts(task, "dev")
    assert {label: train[label] + dev[label] for label in train} == {"0": 75_173, "1": 74_827}
    assert counts(task, "test") == {"0": 24_827, "1": 25_173}

    task = make_task("korsts", str(real_tasks / "korsts"))
    rows = [len(task.examples(split)) for split in ("train", "dev", "test")]
    assert rows == [5749, 1500, 1379]

    task = make_task("kornli", str(real_tasks / "kornli"))
    assert len(task.examples("train")) == 27_882
    assert set(counts(task, "dev").values()) == {830}
    assert set(counts(task, "test").values()) == {1670}

    task = make_task("hate_speech", str(real_tasks / "hate_speech"), with_title=True)
    assert len(task.examples("train")) + len(task.examples("dev")) == 7896
    assert counts(task, "test") == {"none": 160, "offensive": 189, "hate": 122}
    files = {"test": "test.no_label.tsv"}
    task = make_task("hate_speech", str(real_tasks / "hate_speech"), files, with_title=True)
    assert counts(task, "test") == {None: 974}

    task = make_task("question_pair", str(real_tasks / "question_pair"))
    rows = [len(task.examples(split)) for split in ("train", "dev", "test")]
    assert rows == [6136, 682, 758]
    files = {"train": "kor_pair_train.csv", "dev": "validation.txt", "test": "kor_Pair_test.csv"}
    task = make_task("question_pair", str(real_tasks / "question_pair"), files)
    train, test = task.examples("train"), task.examples("test")
    assert (len(train), len(test)) == (6888, 688)
    assert {example.label for example in test} == {"0", "1"}
    assert len(repeated_in(test, train)) == 10
