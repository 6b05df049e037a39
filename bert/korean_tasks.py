"""The Korean tasks in the files they are published in: NSMC, KorSTS, KorNLI and others.

Where the publisher's test files have no labels (Korean hate speech, KLUE) his dev file is what
scores are reported on, as everybody does, and so it is "test" here; "dev" is a share of "train".
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from absl import logging

from deeq_bert.bert.column_tasks import TableTask
from deeq_bert.bert.task_examples import InputExample
from deeq_bert.bert.task_files import SPLITS
from deeq_bert.bert.task_tables import check_ending, read_fields
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import read_lines

_STAND_IN = "train.standin.ko.tsv"


class NsmcTask(TableTask):
    """Naver sentiment movie corpus: is a review bad (0) or good (1)?"""

    name = "nsmc"
    labels = ("0", "1")
    forms = ({"train": ("ratings_train.txt",), "test": ("ratings_test.txt",)},)
    text_column, label_column = "document", "label"


class KorStsTask(TableTask):
    """KorSTS: how alike are two sentences, from 0 to 5?"""

    name = "korsts"
    is_regression = True
    score_range = (0.0, 5.0)
    metric = "pearson"
    metrics = ("pearson", "spearman")
    forms = ({"train": ("sts-train.tsv",), "dev": ("sts-dev.tsv",), "test": ("sts-test.tsv",)},)
    text_column, pair_column, label_column = "sentence1", "sentence2", "score"


class KorNliTask(TableTask):
    """KorNLI: does the first sentence imply the second? Trained on MultiNLI and SNLI."""

    name = "kornli"
    labels = ("contradiction", "entailment", "neutral")
    forms = tuple(
        {"train": train, "dev": ("xnli.dev.ko.tsv",), "test": ("xnli.test.ko.tsv",)}
        for train in (("multinli.train.ko.tsv", "snli_1.0_train.ko.tsv"), (_STAND_IN,))
    )
    text_column, pair_column, label_column = "sentence1", "sentence2", "gold_label"

    def __init__(self, data_dir: str, *settings: Any, **more_settings: Any) -> None:
        """Finds the files (see `Task`), and warns of a stand-in for the training files."""
        super().__init__(data_dir, *settings, **more_settings)
        if any(os.path.basename(path) == _STAND_IN for path in self.files("train")):
            self.remark = (
                f"{_STAND_IN} stands in for {' and '.join(self.forms[0]['train'])}, so scores do "
                "not compare with published ones"
            )
            logging.warning("kornli: %s.", self.remark)


class QuestionPairTask(TableTask):
    """Paired questions: do two questions ask the same (0) or not (1)?

    The column is called is_duplicate, and yet 0 means that they are the same.
    """

    name = "question_pair"
    labels = ("0", "1")
    forms = (
        {"train": ("train.txt",), "dev": ("validation.txt",), "test": ("test.txt",)},
        {"train": ("kor_pair_train.csv",), "test": ("kor_Pair_test.csv",)},
        {"train": ("train.tsv",), "dev": ("dev.tsv",), "test": ("test.tsv",)},
    )
    text_column, pair_column, label_column = "question1", "question2", "is_duplicate"


class HateSpeechTask(TableTask):
    """Korean hate speech: is a comment on the news neither, offensive or hateful?

    With titles the comment is text_a and the title of the article is text_b. In the publisher's
    form titles stand in files of their own, a line for each comment: those of train.tsv in
    news_title/train.news_title.txt.
    """

    name = "hate_speech"
    labels = ("none", "offensive", "hate")
    metric = "macro_f1"
    metrics = ("macro_f1", "accuracy")
    forms = (
        {"train": ("labeled/train.tsv",), "test": ("labeled/dev.tsv",)},
        {"train": ("train.tsv",), "test": ("val.tsv",)},
        {"train": ("train.tsv",), "test": ("dev.tsv",)},
    )
    label_column = "hate"

    def __init__(
        self,
        data_dir: str,
        files: Mapping[str, str] | None = None,
        dev_fraction: float = 0.1,
        seed: int = 0,
        splits: Sequence[str] = SPLITS,
        with_title: bool = False,
    ) -> None:
        """Finds the files (see `Task`).

        Args:
          data_dir, files, dev_fraction, seed, splits: As in `Task`.
          with_title: Give the titles too.

        Raises:
          InputError: Files are missing.
        """
        super().__init__(data_dir, files, dev_fraction, seed, splits)
        self._with_title = with_title
        if with_title:
            for split in splits:
                for path in self.files(split):
                    self._check_titles(path)

    def read_file(self, split: str, path: str) -> Iterator[InputExample]:
        """Yields the examples of one file."""
        examples = super().read_file(split, path)
        if not self._with_title:
            yield from examples
        elif "title" in _header(path):
            for example in examples:
                yield example._replace(text_b=_unquoted(example.text_b))
        else:
            yield from self._titled(examples, path)

    def text_columns(self, path: str) -> tuple[str, str | None]:
        """Returns the columns of the comment and of the title, which the two forms name."""
        names = _header(path)
        return (
            "comment" if "comment" in names else "comments",
            "title" if self._with_title and "title" in names else None,
        )

    def _titled(self, examples: Iterator[InputExample], path: str) -> Iterator[InputExample]:
        title_file = self._title_file(path)
        titles = read_lines(title_file)
        count = 0
        for count, example in enumerate(examples, start=1):
            title = next(titles, None)
            if title is None:
                raise InputError(
                    f"{title_file}: {count - 1:,} lines, fewer than the comments of {path}; "
                    "expected the title of each, a line for a comment."
                )
            yield example._replace(text_b=_unquoted(title))
        if extra := sum(1 for _ in titles):
            raise InputError(
                f"{title_file}: {count + extra:,} lines for the {count:,} comments of {path}; "
                "expected the title of each, a line for a comment."
            )

    def _title_file(self, path: str) -> str:
        name = os.path.basename(path).split(".")[0]
        return os.path.join(self.data_dir, "news_title", f"{name}.news_title.txt")

    def _check_titles(self, path: str) -> None:
        title_file = self._title_file(path)
        if not os.path.isfile(title_file) and "title" not in _header(path):
            raise InputError(
                f"hate_speech with titles needs {title_file}, the title of each comment of {path} "
                "on a line, or a column title in that file."
            )


class KlueYnatTask(TableTask):
    """KLUE topic classification: which section of the news has a headline?"""

    name = "klue_ynat"
    labels = ("IT과학", "경제", "사회", "생활문화", "세계", "스포츠", "정치")
    metric = "macro_f1"
    metrics = ("macro_f1", "accuracy")
    forms = tuple(
        {"train": (f"ynat-{v}_train.json",), "test": (f"ynat-{v}_dev.json",)}
        for v in ("v1.1", "v1")
    )
    text_column, label_column = "title", "label"


class KlueStsTask(TableTask):
    """KLUE semantic similarity: how alike are two sentences, from 0 to 5?"""

    name = "klue_sts"
    is_regression = True
    score_range = (0.0, 5.0)
    metric = "pearson"
    metrics = ("pearson", "spearman", "f1")
    forms = tuple(
        {"train": (f"klue-sts-{v}_train.json",), "test": (f"klue-sts-{v}_dev.json",)}
        for v in ("v1.1", "v1")
    )
    text_column, pair_column, label_column = "sentence1", "sentence2", "labels.label"


class KlueNliTask(TableTask):
    """KLUE natural language inference: does the premise imply the hypothesis?"""

    name = "klue_nli"
    labels = ("contradiction", "entailment", "neutral")
    forms = tuple(
        {"train": (f"klue-nli-{v}_train.json",), "test": (f"klue-nli-{v}_dev.json",)}
        for v in ("v1.1", "v1")
    )
    text_column, pair_column, label_column = "premise", "hypothesis", "gold_label"


def _header(path: str) -> list[str]:
    check_ending(path)
    _, names = next(read_fields(path), (1, []))
    return names


def _unquoted(title: str) -> str:
    """Undoes the quotes that the publisher's csv writer put around many titles."""
    if len(title) >= 2 and title[0] == title[-1] == '"':
        return title[1:-1].replace('""', '"')
    return title
