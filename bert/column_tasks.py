"""A task of any table: which columns hold the texts and the label is all that is said."""

import dataclasses
import os
from collections.abc import Collection, Iterator, Mapping, Sequence

from deeq_bert.bert import task_metrics
from deeq_bert.bert.task_examples import InputExample, Task, guid_of
from deeq_bert.bert.task_files import SPLITS
from deeq_bert.bert.task_tables import ENDINGS, TABLE_ENDINGS, check_ending, read_columns
from deeq_bert.tokenizers.errors import InputError

# More are no labels but numbers or texts.
_MAX_LABELS = 1000


@dataclasses.dataclass(frozen=True)
class ColumnSettings:
    """Where a table has what.

    A column is named as in the first line, or as a key of JSON objects; "0", "1" ... count the
    columns of tables without a header.

    Attributes:
      text_column: The text, or the first of two.
      label_column: The label or score.
      pair_column: The second text.
      labels: In the order of their ids; None for those found in "train", sorted.
      is_regression: Whether the labels are scores.
      metric: What to select by; None for accuracy, or Pearson's correlation.
    """

    text_column: str
    label_column: str
    pair_column: str | None = None
    labels: tuple[str, ...] | None = None
    is_regression: bool = False
    metric: str | None = None


class TableTask(Task):
    """A task whose files have named columns.

    Attributes:
      text_column, pair_column, label_column: Their names; numbers where there is no header.
    """

    text_column: str | int
    pair_column: str | int | None = None
    label_column: str | int

    def read_file(self, split: str, path: str) -> Iterator[InputExample]:
        """Yields the examples of one file. The label column may be missing from "test"."""
        text_column, pair_column = self.text_columns(path)
        columns = [self.label_column, text_column]
        if pair_column is not None:
            columns.append(pair_column)
        optional = (self.label_column,) if split == "test" else ()
        for row in read_columns(path, columns, optional):
            label, text_a, *pair = row.values
            if split == "test":
                label = label or None
            elif label is None:
                raise InputError(f"{row.place}: no label; every example of {split} needs one.")
            if text_a is None or None in pair:
                raise InputError(f"{row.place}: a text is missing.")
            yield InputExample(
                guid_of(path, row.number),
                text_a,
                pair[0] if pair else None,
                self.label_of(label, row.place),
            )

    def text_columns(self, path: str) -> tuple[str | int, str | int | None]:
        """Returns the column of the text, or the columns of the two texts, of a file."""
        return self.text_column, self.pair_column


class ColumnTask(TableTask):
    """The task that `ColumnSettings` describe.

    Its files are, unless others are given, train, dev and test with one of the endings that
    `task_tables` reads; a share of "train" is "dev" where that has no file.
    """

    name = "columns"

    def __init__(
        self,
        settings: ColumnSettings,
        data_dir: str,
        files: Mapping[str, str] | None = None,
        dev_fraction: float = 0.1,
        seed: int = 0,
        splits: Sequence[str] = SPLITS,
    ) -> None:
        """Finds the files (see `Task`).

        Raises:
          InputError: Files are missing, or the settings contradict each other or the files.
        """
        self.is_regression = settings.is_regression
        _set_metrics(self, settings.metric)
        _check_labels(settings)
        self._labels = None if settings.labels is None else tuple(settings.labels)
        self.forms = [_form(data_dir, ending) for ending in ENDINGS]
        super().__init__(data_dir, files, dev_fraction, seed, splits)
        self.text_column, self.label_column, self.pair_column = _columns(
            settings, [path for split in SPLITS for path in self.files(split)]
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in the order of their ids; reads "train" where they were not given."""
        if self.is_regression:
            return ()
        if self._labels is None:
            self._labels = self._found_labels()
        return self._labels

    def _found_labels(self) -> tuple[str, ...]:
        if not self.files("train"):
            raise InputError(
                f"The labels are not given and there is no file for train in {self.data_dir} to "
                "find them in. Name the labels."
            )
        found: set[str] = set()
        for path in self.files("train"):
            for row in read_columns(path, [self.label_column]):
                (label,) = row.values
                if not label:
                    raise InputError(f"{row.place}: no label; every example of train needs one.")
                found.add(label)
                if len(found) > _MAX_LABELS:
                    raise InputError(
                        f"{row.place}: more than {_MAX_LABELS:,} labels in the column "
                        f"{self.label_column}. Name another column, or say that it is a "
                        "regression."
                    )
        if len(found) < 2:
            raise InputError(
                f"{', '.join(self.files('train'))}: the only label in the column "
                f"{self.label_column} is {found.pop()!r}; expected two or more."
            )
        _check_metric(self.metric, found)
        return tuple(sorted(found))


def _set_metrics(task: ColumnTask, metric: str | None) -> None:
    kind = task_metrics.REGRESSION if task.is_regression else task_metrics.CLASSIFICATION
    usual = ("pearson", "spearman") if task.is_regression else ("accuracy", "macro_f1")
    task.metric = metric or usual[0]
    if task.metric not in kind:
        raise InputError(
            f"The metric {task.metric} is none of a "
            f"{'regression' if task.is_regression else 'classification'}; expected one of "
            f"{', '.join(kind)}."
        )
    task.metrics = tuple(dict.fromkeys((*usual, task.metric)))


def _check_labels(settings: ColumnSettings) -> None:
    labels = settings.labels
    if settings.is_regression and labels:
        raise InputError("A regression has scores and no labels; leave the labels out.")
    if labels is not None and not settings.is_regression and len(set(labels)) < max(2, len(labels)):
        raise InputError(f"labels={','.join(labels)}: expected two or more, each of them once.")
    if labels:
        _check_metric(settings.metric, labels)


def _check_metric(metric: str | None, labels: Collection[str]) -> None:
    if metric in task_metrics.TWO_LABELS and len(labels) != 2:
        raise InputError(f"The metric {metric} needs two labels, not {len(labels)}.")


def _form(data_dir: str, ending: str) -> dict[str, tuple[str, ...]]:
    form = {split: (f"{split}{ending}",) for split in SPLITS}
    if not os.path.isfile(os.path.join(data_dir, form["dev"][0])):
        del form["dev"]
    return form


def _columns(
    settings: ColumnSettings, paths: Sequence[str]
) -> tuple[str | int, str | int, str | int | None]:
    """Returns the columns of text, label and second text, as numbers where they are all digits."""
    names = [settings.text_column, settings.label_column, settings.pair_column]
    are_numbers = [name.isdecimal() for name in names if name is not None]
    if not any(are_numbers) or not all(check_ending(path) in TABLE_ENDINGS for path in paths):
        return settings.text_column, settings.label_column, settings.pair_column
    if not all(are_numbers):
        raise InputError(
            f"The columns {', '.join(filter(None, names))} are partly numbers. Give the names of "
            "all where the files have a header, and the numbers of all where they have none."
        )
    text, label, pair = (None if name is None else int(name) for name in names)
    return text, label, pair
