"""The one door to fine-tuning tasks: by name, in the files of a folder."""

from collections.abc import Mapping, Sequence

from deeq_bert.bert.column_tasks import ColumnSettings, ColumnTask
from deeq_bert.bert.korean_tasks import (
    HateSpeechTask,
    KlueNliTask,
    KlueStsTask,
    KlueYnatTask,
    KorNliTask,
    KorStsTask,
    NsmcTask,
    QuestionPairTask,
)
from deeq_bert.bert.original_tasks import ColaTask, MnliTask, MrpcTask, XnliTask
from deeq_bert.bert.task_examples import Task
from deeq_bert.bert.task_files import SPLITS
from deeq_bert.tokenizers.errors import InputError

_TASKS = {
    task.name: task
    for task in (
        ColaTask,
        MnliTask,
        MrpcTask,
        XnliTask,
        NsmcTask,
        KorStsTask,
        KorNliTask,
        HateSpeechTask,
        QuestionPairTask,
        KlueYnatTask,
        KlueStsTask,
        KlueNliTask,
    )
}


def task_names() -> tuple[str, ...]:
    """Returns the names that `make_task` knows."""
    return (*_TASKS, ColumnTask.name)


def make_task(
    name: str,
    data_dir: str,
    files: Mapping[str, str] | None = None,
    dev_fraction: float = 0.1,
    seed: int = 0,
    splits: Sequence[str] = SPLITS,
    with_title: bool = False,
    columns: ColumnSettings | None = None,
) -> Task:
    """Returns a task whose files are there, though not yet read.

    Args:
      name: One of `task_names`, in either case.
      data_dir, files, dev_fraction, seed, splits: As in `Task`.
      with_title: Give titles too, for hate_speech.
      columns: What is where, for the task "columns".

    Raises:
      InputError: There is no such task, its files are missing, or an option is not for it.
    """
    name = name.lower()
    if name not in task_names():
        raise InputError(f"No task {name}; expected one of {', '.join(task_names())}.")
    if (columns is not None) != (name == ColumnTask.name):
        raise InputError(
            f"The columns of {name} are known; name the task columns to give them."
            if columns
            else "The task columns needs to know at least the columns of the text and the label."
        )
    if with_title and name != HateSpeechTask.name:
        raise InputError(f"{name} has no titles; only hate_speech has.")
    settings = (data_dir, files, dev_fraction, seed, splits)
    if columns is not None:
        return ColumnTask(columns, *settings)
    if with_title:
        return HateSpeechTask(*settings, with_title=True)
    return _TASKS[name](*settings)
