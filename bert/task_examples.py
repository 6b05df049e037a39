"""Examples of fine-tuning tasks, and what a task is: its labels, its metric and its three splits.

Everything is selected by "dev" and reported on "test"; "test" never decides anything.
"""

import abc
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from absl import logging

from deeq_bert.bert.shuffling import shuffled_indexes
from deeq_bert.bert.task_files import SPLITS, Form, find_task_files
from deeq_bert.tokenizers.errors import InputError

# More examples than this tell no better which weights are best.
MAX_CUT_DEV_EXAMPLES = 10_000


class InputExample(NamedTuple):
    """One example (the original's class of that name).

    Attributes:
      guid: A name that tells it from all others of its split.
      text_a: The text, or the first of two.
      text_b: The second of two.
      label: One of the task's labels, or the score where the task is a regression; None where it
        is not known.
    """

    guid: str
    text_a: str
    text_b: str | None = None
    label: str | float | None = None


class Task(abc.ABC):
    """Sentences or pairs of sentences, each to be given one of some labels or a score.

    Attributes:
      name: As in --task_name.
      labels: In the order of their ids; empty for a regression.
      is_regression: Whether the labels are numbers.
      metric: What to select by (see `task_metrics`).
      metrics: All that are reported, `metric` among them.
      remark: What a reader of the scores must know, as half a sentence; empty where there is none.
      score_range: The least and the greatest score of a regression.
      forms: The files it is published in.
    """

    name: str
    labels: tuple[str, ...] = ()
    is_regression: bool = False
    metric: str = "accuracy"
    metrics: tuple[str, ...] = ("accuracy",)
    remark: str = ""
    score_range: tuple[float, float] = (-math.inf, math.inf)
    forms: Sequence[Form]

    def __init__(
        self,
        data_dir: str,
        files: Mapping[str, str] | None = None,
        dev_fraction: float = 0.1,
        seed: int = 0,
        splits: Sequence[str] = SPLITS,
    ) -> None:
        """Finds the files of the task; they are read by `examples`.

        Args:
          data_dir: The folder of the task.
          files: For some splits paths or patterns instead of the official files.
          dev_fraction: The share of "train" that is "dev" where there is no file for it, at most
            MAX_CUT_DEV_EXAMPLES examples.
          seed: Which examples are in that share. Runs that are compared need the same.
          splits: Those that are needed.

        Raises:
          InputError: Files are missing, or `dev_fraction` is no share.
        """
        if not 0 < dev_fraction < 1:
            raise InputError(f"dev_fraction={dev_fraction}: expected a share between 0 and 1.")
        self.data_dir = data_dir
        self._files = find_task_files(self.name, data_dir, self.forms, files or {}, splits)
        self._dev_fraction, self._seed = dev_fraction, seed

    @abc.abstractmethod
    def read_file(self, split: str, path: str) -> Iterator[InputExample]:
        """Yields the examples of one file of a split."""

    def has(self, split: str) -> bool:
        """Returns whether there are files for a split."""
        return split in self._files.paths or (split == "dev" and self._files.cuts_dev)

    def files(self, split: str) -> list[str]:
        """Returns the files that a split comes from."""
        return self._files.paths.get("train" if self._is_cut(split) else split, [])

    def examples(self, split: str) -> list[InputExample]:
        """Reads the examples of "train", "dev" or "test", in the order of the files.

        Raises:
          InputError: The split has no file, or a file is not as the task expects.
        """
        if not self.has(split):
            raise InputError(f"{self.name}: there is no file for {split} in {self.data_dir}.")
        source = "train" if self._is_cut(split) else split
        examples = [
            example
            for path in self._files.paths[source]
            for example in self.read_file(source, path)
        ]
        if not examples:
            raise InputError(f"{', '.join(self.files(split))}: no examples for {self.name}.")
        if self._is_cut(split):
            examples = self._share(examples, is_dev=split == "dev")
        if empty := sum(not example.text_a.strip() for example in examples):
            logging.info(
                "%s: %d of the %d examples of %s have no text; they are kept, so that scores "
                "compare with published ones.",
                self.name,
                empty,
                len(examples),
                split,
            )
        return examples

    def label_of(self, text: str | None, place: str) -> str | float | None:
        """Returns a label or score as it stands in an example; None stays None.

        Raises:
          InputError: It is not one of the task's labels, or no score; names `place`.
        """
        if text is None:
            return None
        if self.is_regression:
            return self._score_of(text, place)
        if text not in self.labels:
            raise InputError(
                f"{place}: unknown label {text[:60]!r}; expected one of {', '.join(self.labels)}."
            )
        return text

    def _score_of(self, text: str, place: str) -> float:
        try:
            score = float(text)
        except ValueError:
            score = math.nan
        low, high = self.score_range
        if not math.isfinite(score):
            raise InputError(f"{place}: the score {text[:60]!r} is not a finite number.")
        if not low <= score <= high:
            raise InputError(f"{place}: the score {score:g} is not from {low:g} to {high:g}.")
        return score

    def _is_cut(self, split: str) -> bool:
        return self._files.cuts_dev and split in ("train", "dev")

    def _share(self, examples: list[InputExample], is_dev: bool) -> list[InputExample]:
        count = min(round(len(examples) * self._dev_fraction), MAX_CUT_DEV_EXAMPLES)
        count = max(count, 1)
        if count >= len(examples):
            raise InputError(
                f"{', '.join(self.files('train'))}: too few examples ({len(examples)}) to take "
                f"{self._dev_fraction:g} of them for dev. Give a file for dev."
            )
        chosen = _chosen(len(examples), count, self._seed)
        return [example for i, example in enumerate(examples) if (i in chosen) == is_dev]


def subsample(examples: Sequence[InputExample], count: int, seed: int) -> list[InputExample]:
    """Returns `count` of the examples in their order, or all where there are no more.

    The same arguments give the same examples on every machine.
    """
    if count >= len(examples):
        return list(examples)
    chosen = _chosen(len(examples), count, seed)
    return [example for index, example in enumerate(examples) if index in chosen]


def repeated_in(train: Sequence[InputExample], others: Sequence[InputExample]) -> list[int]:
    """Returns the indexes of the training examples whose texts are those of one of `others`.

    White space and the order of the two texts make no difference, and neither does the label.
    Scores on what was trained on are better than the model is.
    """
    known = {_texts(example) for example in others}
    return [index for index, example in enumerate(train) if _texts(example) in known]


def check_labelled(examples: Sequence[InputExample], task: str, split: str) -> None:
    """Checks that examples can be scored.

    Raises:
      InputError: One or more have no label.
    """
    unlabelled = [example.guid for example in examples if example.label is None]
    if unlabelled:
        raise InputError(
            f"{task}: {len(unlabelled)} of the {len(examples)} examples of {split} have no label, "
            f"the first is {unlabelled[0]}; they can be predicted, but not trained on or scored. "
            "Give a file with labels."
        )


def guid_of(path: str, number: int) -> str:
    """Returns a name by which an example is found: its file and the number of its row."""
    return f"{os.path.basename(path)}:{number}"


def _chosen(total: int, count: int, seed: int) -> frozenset[int]:
    return frozenset(shuffled_indexes(0, count, total, seed).tolist())


def _texts(example: InputExample) -> frozenset[str] | tuple[str]:
    text_a = "".join(example.text_a.split())
    if example.text_b is None:
        return (text_a,)
    return frozenset((text_a, "".join(example.text_b.split())))
