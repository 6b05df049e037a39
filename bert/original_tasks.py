"""CoLA, MNLI, MRPC and XNLI as the original's run_classifier.py reads them.

File names, columns, guids, labels and the order of the examples are those of its DataProcessors.
The files of "test" have no labels that are read: where the original makes one up, the first of its
list, `label` is None here, which becomes the same label id (see `classifier_features`).
"""

from collections.abc import Iterator

from deeq_bert.bert.task_examples import InputExample, Task
from deeq_bert.bert.task_tables import place_of, read_fields
from deeq_bert.tokenizers.errors import InputError

_NLI_LABELS = ("contradiction", "entailment", "neutral")


class OriginalTask(Task):
    """A task of the original: columns by position.

    A file has, for each split, the columns of the two texts and the label; None where there is no
    such column, -1 for the last.
    """

    columns: dict[str, tuple[int, int | None, int | None]]

    def read_file(self, split: str, path: str) -> Iterator[InputExample]:
        """Yields the examples of one file."""
        text_a, text_b, label = self.columns[split]
        width = 1 + max(column for column in self.columns[split] if column is not None)
        for index, (number, fields) in enumerate(read_fields(path)):
            if index == 0 and self.has_header(split):
                continue
            place = place_of(path, number)
            if len(fields) < width:
                raise InputError(
                    f"{place}: {len(fields)} columns; {self.name} expects at least {width} for "
                    f"{split}, separated by tabs."
                )
            if not self.is_wanted(split, fields):
                continue
            yield InputExample(
                self.guid(split, index, fields),
                fields[text_a],
                None if text_b is None else fields[text_b],
                None if label is None else self.label_of(self.label_in(fields[label]), place),
            )

    def has_header(self, split: str) -> bool:
        """Returns whether the first line holds the names of the columns."""
        return True

    def is_wanted(self, split: str, fields: list[str]) -> bool:
        """Returns whether a row is of this task."""
        return True

    def guid(self, split: str, index: int, fields: list[str]) -> str:
        """Returns the name of an example; `index` counts all rows from 0."""
        return f"{split}-{index}"

    def label_in(self, field: str) -> str:
        """Returns the label that a field stands for."""
        return field


class ColaTask(OriginalTask):
    """The Corpus of Linguistic Acceptability: is a sentence English? Only "test" has a header."""

    name = "cola"
    labels = ("0", "1")
    metrics = ("accuracy", "matthews")
    forms = ({"train": ("train.tsv",), "dev": ("dev.tsv",), "test": ("test.tsv",)},)
    columns = {"train": (3, None, 1), "dev": (3, None, 1), "test": (1, None, None)}

    def has_header(self, split: str) -> bool:
        """Returns whether the first line holds the names of the columns."""
        return split == "test"


class MnliTask(OriginalTask):
    """MultiNLI: does the first sentence imply the second?"""

    name = "mnli"
    labels = _NLI_LABELS
    forms = ({"train": ("train.tsv",), "dev": ("dev_matched.tsv",), "test": ("test_matched.tsv",)},)
    columns = {"train": (8, 9, -1), "dev": (8, 9, -1), "test": (8, 9, None)}

    def guid(self, split: str, index: int, fields: list[str]) -> str:
        """Returns a name made of the first column."""
        return f"{'dev_matched' if split == 'dev' else split}-{fields[0]}"


class MrpcTask(OriginalTask):
    """The Microsoft Research Paraphrase Corpus: do two sentences mean the same?"""

    name = "mrpc"
    labels = ("0", "1")
    metrics = ("accuracy", "f1")
    forms = ({"train": ("train.tsv",), "dev": ("dev.tsv",), "test": ("test.tsv",)},)
    columns = {"train": (3, 4, 0), "dev": (3, 4, 0), "test": (3, 4, None)}


class XnliTask(OriginalTask):
    """XNLI in Chinese, as the original has it: MultiNLI in translation.

    The original reads no test file; XNLI's own has the columns of its dev file.
    """

    name = "xnli"
    labels = _NLI_LABELS
    forms = (
        {
            "train": ("multinli/multinli.train.zh.tsv",),
            "dev": ("xnli.dev.tsv",),
            "test": ("xnli.test.tsv",),
        },
    )
    columns = {"train": (0, 1, 2), "dev": (6, 7, 1), "test": (6, 7, 1)}

    def is_wanted(self, split: str, fields: list[str]) -> bool:
        """Returns whether a row is Chinese."""
        return split == "train" or fields[0] == "zh"

    def label_in(self, field: str) -> str:
        """Returns the label; the training file spells one of them differently."""
        return "contradiction" if field == "contradictory" else field
