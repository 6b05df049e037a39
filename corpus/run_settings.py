"""What a run of cleaning is told to do, and what its result depends on."""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

from deeq_bert.corpus.sources import Source
from deeq_bert.tokenizers.errors import InputError


@dataclasses.dataclass(frozen=True)
class RunSettings:
    """What a run does, beside its sources.

    Attributes:
      output_file: The name of the text files (see outputs.OutputName).
      heldout_file: Where held-out documents go.
      report_dir: Where the report goes.
      heldout_fraction: The share of documents that are held out, from 0 to below 1.
      near_dedup: The similarity from which on documents are near-duplicates, or None.
      repeated_lines: How often a line must come to be boilerplate, or 0 to keep such lines.
      repeated_line_documents: And in how many documents.
      decontaminate: Files of tasks whose sentences are left out.
      errors: What to do with bytes that cannot be decoded, "strict" or "replace".
      strict: Whether a broken record ends the run.
      num_samples: How many samples the report has for each rule.
      shard_mb: How many megabytes of text a file of a series has at least, about.
      seed: Decides what is held out, taken and sampled.
      dedup_memory_mb: How many megabytes de-duplication may take.
      num_workers: How many processes work.
      restart: Whether to throw away what an unfinished run with other settings left.
      overwrite: Whether to replace files of an earlier run.
    """

    output_file: str
    heldout_file: str
    report_dir: str
    heldout_fraction: float
    near_dedup: float | None
    repeated_lines: int
    repeated_line_documents: int
    decontaminate: tuple[str, ...]
    errors: str
    strict: bool
    num_samples: int
    shard_mb: float
    seed: int
    dedup_memory_mb: int
    num_workers: int
    restart: bool
    overwrite: bool


# What may differ between the command that was stopped and the one that goes on.
_NOT_OF_THE_PLAN = ("dedup_memory_mb", "num_workers", "restart", "overwrite", "report_dir")


def describe_run(sources: Sequence[Source], settings: RunSettings) -> dict[str, Any]:
    """Returns what the result of a run depends on, as values that JSON has.

    Raises:
      InputError: A file is not there.
    """
    files = [list(map(_state_of_file, source.files)) for source in sources]
    # Lists that rules read, and tasks: with other content the same flags say something else.
    lists = sorted(
        {
            options["file"]
            for source in sources
            for options in source.settings.rules.values()
            if options.get("on") and options.get("file")
        }
    )
    others = [_state_of_file(path) for path in (*settings.decontaminate, *lists)]
    run = {
        name: value
        for name, value in dataclasses.asdict(settings).items()
        if name not in _NOT_OF_THE_PLAN
    }
    return {
        **run,
        "sources": [source.to_json() for source in sources],
        "files": files,
        "others": others,
    }


def stricter_plans(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the plans whose finished parts are what those of `plan` would be, too.

    A run that stopped at a broken record, or a byte that cannot be decoded, can go on with such
    left out or replaced.
    """
    return [
        {**plan, "errors": errors, "strict": strict}
        for errors in {plan["errors"], "strict"}
        for strict in {plan["strict"], True}
        if (errors, strict) != (plan["errors"], plan["strict"])
    ]


def _state_of_file(path: str) -> list:
    try:
        status = os.stat(path)
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error
    return [path, status.st_size, status.st_mtime_ns]
