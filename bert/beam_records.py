"""Shards of records as Apache Beam makes them, each by one worker.

A worker does what a process of create_pretraining_data.py does, by the same function. Through Beam
itself go only the plans of shards: the text is read, and the records are written, by the workers.
Making a shard twice, as runners do after a failure, does no harm: its files appear whole, and are
the same.
"""

import contextlib
import functools
import os
import shutil
import time
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from absl import logging

from deeq_bert.bert import record_shards
from deeq_bert.bert.record_shards import Shard, ShardMaker, ShardRun
from deeq_bert.tokenizers.beam_jobs import Jobs, count, do_noting_errors
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import make_folder

# What other machines wrote may show that much later on a network file system.
_WAIT_SECONDS = 90.0

# What is counted, by its name beside a shard.
_OF_THE_TEXT = ("documents", "sentences", "tokens", "unknown_tokens")
_OF_RECORDS = ("records", "predictions", "random_next", "bytes")


class MakeShard(beam.DoFn):
    """Makes the records of shards, unless they are there, and counts what they have."""

    def __init__(self, run: ShardRun, note_folder: str) -> None:
        """Sets what is made.

        Args:
          run: The run.
          note_folder: Where errors are noted (see `beam_jobs.do_noting_errors`).
        """
        self._run = run
        self._note_folder = note_folder
        self._maker: ShardMaker | None = None

    def setup(self) -> None:
        """Makes the tokenizer."""
        make = functools.partial(ShardMaker, self._run)
        self._maker = do_noting_errors(self._note_folder, "tokenizer", make)

    def process(self, shard: Shard) -> None:
        """Makes a shard."""

        def make() -> list[dict[str, Any]]:
            return record_shards.finished_shard(self._run, shard) or self._maker.make(shard)

        infos = do_noting_errors(self._note_folder, f"shard-{shard.number:05d}", make)
        if infos is None:
            return
        count("shards", 1)
        for name in _OF_THE_TEXT:
            count(name, infos[0][name])
        for name in _OF_RECORDS:
            count(name, sum(info[name] for info in infos))

    def teardown(self) -> None:
        """Closes the tokenizer."""
        if self._maker is not None:
            self._maker.close()


def make_shards(jobs: Jobs, run: ShardRun, shards: list[Shard]) -> list[list[dict[str, Any]]]:
    """Makes shards by a job on Beam.

    Args:
      jobs: Where the job runs.
      run: What the shards are of; all paths in it and in the shards are absolute, for workers have
        another current folder.
      shards: The shards.

    Returns:
      What stands beside the files of each shard, in their order.

    Raises:
      InputError: A worker raised it, or the runner failed.
    """
    if not shards:
        return []

    def build(job: beam.Pipeline) -> None:
        waiting = job | "Shards" >> beam.Create(shards) | beam.Reshuffle()
        _ = waiting | "Make records" >> beam.ParDo(MakeShard(run, note_folder))

    with _note_folder(run.outputs[0].path) as note_folder:
        jobs.run("Making records", build, note_folder)
    counted = ", ".join(f"{name} {number}" for name, number in sorted(jobs.counters.items()))
    logging.info("Counted by Beam's %s: %s.", jobs.runner, counted or "nothing")
    deadline = time.monotonic() + _WAIT_SECONDS
    return [_made(jobs, run, shard, deadline) for shard in shards]


@contextlib.contextmanager
def _note_folder(output_path: str) -> Iterator[str]:
    """Makes a folder beside the records, which the workers see as well, for as long as the job."""
    parent, name = os.path.split(output_path)
    # Patterns such as train* leave it out.
    folder = os.path.join(parent, f".{name}.beam")
    make_folder(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _made(jobs: Jobs, run: ShardRun, shard: Shard, deadline: float) -> list[dict[str, Any]]:
    while (infos := record_shards.finished_shard(run, shard)) is None:
        if time.monotonic() > deadline:
            raise InputError(
                f"{run.outputs[0].shard_path(shard)} is not there, though Beam's {jobs.runner} "
                "says that the job is done. Give an --output_file on a file system that this "
                "machine and all workers see under the same path."
            )
        time.sleep(0.5)
    return infos
