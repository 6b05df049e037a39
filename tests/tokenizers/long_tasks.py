"""Two workers at tasks that do not end, for test_processes.py to stop from outside.

Usage: python long_tasks.py --folder=FOLDER, where each worker leaves a file named by its process.
"""

import functools
import os
import pathlib
import time

from absl import flags

from deeq_bert.tokenizers import command_line
from deeq_bert.tokenizers.processes import map_in_processes

FLAGS = flags.FLAGS
flags.DEFINE_string("folder", None, "Where to leave files.", required=True)


def work(folder: pathlib.Path, task: int) -> None:
    (folder / str(os.getpid())).touch()
    time.sleep(600)


def main() -> None:
    make_state = functools.partial(pathlib.Path, FLAGS.folder)
    list(map_in_processes(work, make_state, range(100), num_workers=2))


if __name__ == "__main__":
    command_line.run(main)
