"""A run: the sources of a corpus cleaned in parts, de-duplicated over all, and written.

Three stages, each over processes where it can be: parts are cleaned (part_cleaning), what is
there twice is found over all of them (deciding), and the text is written without it (writing).
What is finished is marked in a folder of the run, so that a run that was killed goes on.
"""

import dataclasses
import functools
import json
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

from absl import logging

from deeq_bert.corpus import deciding, decontamination, part_cleaning, report, writing
from deeq_bert.corpus.accounting import Account
from deeq_bert.corpus.outputs import OutputName, check_outputs
from deeq_bert.corpus.planning import Part, plan_parts
from deeq_bert.corpus.progress import Progress, megabytes
from deeq_bert.corpus.run_settings import RunSettings, describe_run, stricter_plans
from deeq_bert.corpus.sources import Source
from deeq_bert.corpus.work_folder import WorkFolder
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import atomic_outputs, make_folder
from deeq_bert.tokenizers.processes import map_in_processes

_DECONTAMINATION = "decontamination.npy"
_COPY_BYTES = 1 << 20
_PIECE_BYTES = 8 << 20


def clean_corpus(
    sources: Sequence[Source],
    settings: RunSettings,
    make_run: "Callable[..., Run] | None" = None,
) -> dict[str, Any]:
    """Does the run, or the rest of it, and writes the report.

    Args:
      sources: The sources.
      settings: What to do.
      make_run: Makes the stages, as `Run` does, which works with processes of this machine.

    Returns:
      The report (see report.make_report).

    Raises:
      InputError: Something given cannot be used, or nothing is left of the text.
    """
    started = time.monotonic()
    output = OutputName(settings.output_file)
    inputs = [path for source in sources for path in source.files]
    heldout = [settings.heldout_file] if settings.heldout_fraction else []
    check_outputs(output, inputs, heldout)
    make_folder(settings.report_dir)
    plan = describe_run(sources, settings)
    work_path = f"{output.stem}.cleaning"
    finished = _finished_report(settings.report_dir, plan)
    if finished is not None and not settings.overwrite:
        if os.path.isdir(work_path):
            # The run was killed after its last step but this.
            WorkFolder(work_path, plan, settings.restart).remove()
        logging.info("All of this is done already; --overwrite does it again.")
        return finished
    work = WorkFolder(work_path, plan, settings.restart, stricter_plans(plan))
    try:
        _refuse_to_overwrite(output, heldout, work, settings)
        run = (make_run or Run)(tuple(sources), settings, output, work)
        made = run.do()
        made["seconds"] = time.monotonic() - started
        result = report.make_report(run.accounts(), made)
        if not result["total"]["lines_out"]:
            report.write_report(settings.report_dir, result)
            run.remove_written()
            work.remove()
            raise InputError(
                f"No line of the text is left. {settings.report_dir} has what was removed by "
                "which rule."
            )
        run.remove_stale()
        report.write_report(settings.report_dir, result)
        work.remove()
    finally:
        work.close()
    return result


class Run:
    """The stages of a run."""

    def __init__(
        self,
        sources: tuple[Source, ...],
        settings: RunSettings,
        output: OutputName,
        work: WorkFolder,
    ):
        self._sources = sources
        self._settings = settings
        self._output = output
        self._work = work
        self._parts: list[Part] = []
        self._shards: list[writing.Shard] = []
        self._outputs: list[str] = []

    def do(self) -> dict[str, Any]:
        """Goes through the stages, and returns the facts for the report."""
        settings = self._settings
        self._parts = plan_parts(self._sources)
        cleaned = self._clean_parts()
        if not any(part.num_lines for part in cleaned):
            # Files of an earlier run are not replaced by nothing.
            return self._facts([], None, {"repeated_lines": [], "near_duplicate_clusters": []})
        decisions = deciding.decide(
            self._work,
            [part.source for part in self._parts],
            self._sources,
            deciding.DecisionSettings(
                memory_mb=settings.dedup_memory_mb,
                near_dedup=settings.near_dedup,
                repeated_lines=settings.repeated_lines,
                repeated_line_documents=settings.repeated_line_documents,
                heldout_fraction=settings.heldout_fraction,
                seed=settings.seed,
            ),
        )
        kept_bytes = [
            result.num_bytes * share for result, share in zip(cleaned, decisions["kept_shares"])
        ]
        weights = self._weights(kept_bytes)
        self._shards = self._plan_shards(kept_bytes, weights)
        self._write_shards(cleaned, weights)
        self._outputs = [shard.path for shard in self._shards]
        if not self._output.is_series:
            self._outputs = [self._output.path(1)]
            _join([shard.path for shard in self._shards], self._outputs[0])
        if settings.heldout_fraction:
            folder = self._work.path
            pieces = [writing.heldout_path(folder, shard.index) for shard in self._shards]
            _join(pieces, settings.heldout_file)
        outputs = list(map(_described_file, self._outputs))
        heldout = _described_file(settings.heldout_file) if settings.heldout_fraction else None
        return self._facts(outputs, heldout, decisions)

    def _facts(
        self,
        outputs: list[dict[str, Any]],
        heldout: dict[str, Any] | None,
        decisions: dict[str, Any],
    ) -> dict[str, Any]:
        settings = self._settings
        return {
            "plan": describe_run(self._sources, settings),
            "settings": dataclasses.asdict(settings),
            "sources": {source.name: source.to_json() for source in self._sources},
            "num_workers": settings.num_workers,
            "outputs": outputs,
            "heldout": heldout,
            "decontamination_files": list(settings.decontaminate),
            "repeated_lines": decisions["repeated_lines"],
            "near_duplicate_clusters": decisions["near_duplicate_clusters"],
        }

    def accounts(self) -> dict[str, Account]:
        """Returns the account of each source, by its name."""
        num_samples = self._settings.num_samples
        accounts = {
            source.name: Account(num_samples, f"{self._settings.seed}") for source in self._sources
        }
        for part in self._parts:
            account = part_cleaning.part_account(self._work.path, part.index, num_samples)
            accounts[self._sources[part.source].name].add(account)
        for shard in self._shards:
            for source, account in writing.shard_accounts(
                self._work.path, shard.index, num_samples
            ).items():
                accounts[self._sources[source].name].add(account)
        return accounts

    def remove_written(self) -> None:
        """Removes the text files, which have nothing in them."""
        paths = list(self._outputs)
        if paths and self._settings.heldout_fraction:
            paths.append(self._settings.heldout_file)
        for path in paths:
            os.remove(path)

    def remove_stale(self) -> None:
        """Removes files of the series that an earlier run left and this one did not write."""
        for path in self._output.existing():
            if path not in self._outputs:
                logging.warning("%s is of an earlier run and is removed.", path)
                os.remove(path)

    def _clean_parts(self) -> list[part_cleaning.CleanedPart]:
        settings = self._settings
        done = {
            part.index: cleaned
            for part in self._parts
            if (cleaned := part_cleaning.finished_part(self._work.path, part.index))
        }
        waiting = [part for part in self._parts if part.index not in done]
        if done:
            logging.info(
                "Going on with an unfinished run: %d of %d parts are done.",
                len(done),
                len(self._parts),
            )
        part_settings = part_cleaning.PartSettings(
            folder=self._work.path,
            seed=settings.seed,
            num_samples=settings.num_samples,
            errors=settings.errors,
            strict=settings.strict,
            near_duplicates=settings.near_dedup is not None,
            all_line_hashes=settings.heldout_fraction > 0,
            decontamination=self._write_decontamination(),
        )
        progress = Progress("Cleaning", sum(part.num_bytes for part in waiting))
        results = map_in_processes(
            part_cleaning.clean_part,
            functools.partial(part_cleaning.PartCleaner, self._sources, part_settings),
            waiting,
            settings.num_workers,
        )
        for part, cleaned in zip(waiting, results):
            done[part.index] = cleaned
            progress.add(part.num_bytes)
        if waiting:
            progress.finish()
        return [done[part.index] for part in self._parts]

    def _write_decontamination(self) -> str | None:
        if not self._settings.decontaminate:
            return None
        path = self._work.file(_DECONTAMINATION)
        if not os.path.exists(path):
            hashes = decontamination.task_hashes(self._settings.decontaminate)
            decontamination.write_task_hashes(path, hashes)
            logging.info("Keeping out %d sentences of the given tasks.", len(hashes))
        return path

    def _plan_shards(
        self, kept_bytes: Sequence[float], weights: Sequence[float]
    ) -> list[writing.Shard]:
        """Joins neighbouring parts to files of a good size.

        Where there is to be one file, they are pieces of it, so that several processes can write.
        """
        is_series = self._output.is_series
        full = self._settings.shard_mb * 1e6 if is_series else _PIECE_BYTES
        shards: list[writing.Shard] = []
        waiting: list[tuple[int, int]] = []
        num_bytes = 0.0
        for part, kept in zip(self._parts, kept_bytes):
            waiting.append((part.index, part.source))
            num_bytes += kept * weights[part.source]
            if part is self._parts[-1] or num_bytes >= full:
                index = len(shards)
                path = self._output.path(index + 1)
                if not is_series:
                    path = self._work.file(f"shard-{index:05d}.text")
                shards.append(writing.Shard(index, path, tuple(waiting)))
                waiting, num_bytes = [], 0.0
        return shards

    def _write_shards(
        self, cleaned: Sequence[part_cleaning.CleanedPart], weights: tuple[float, ...]
    ) -> None:
        settings = self._settings
        waiting = [
            shard
            for shard in self._shards
            if self._work.marker(writing.shard_marker(shard.index)) is None
        ]
        write_settings = writing.WriteSettings(
            folder=self._work.path,
            seed=settings.seed,
            num_samples=settings.num_samples,
            heldout_fraction=settings.heldout_fraction,
            weights=weights,
            near_duplicates=settings.near_dedup is not None,
        )
        sizes = {part.index: part.num_bytes for part in cleaned}
        totals = [sum(sizes[part] for part, _ in shard.parts) for shard in waiting]
        progress = Progress("Writing", sum(totals))
        results = map_in_processes(
            writing.write_shard,
            functools.partial(writing.ShardWriter, self._sources, write_settings),
            waiting,
            settings.num_workers,
        )
        for total, _ in zip(totals, results):
            progress.add(total)
        if waiting:
            progress.finish()

    def _weights(self, kept_bytes: Sequence[float]) -> tuple[float, ...]:
        """Returns how often the documents of each source are written, its cap considered."""
        weights = []
        for index, source in enumerate(self._sources):
            weight = source.weight
            if source.cap_mb is not None:
                there = (1 - self._settings.heldout_fraction) * sum(
                    kept for part, kept in zip(self._parts, kept_bytes) if part.source == index
                )
                if there * weight > source.cap_mb * 1e6:
                    weight = source.cap_mb * 1e6 / there
                    logging.info(
                        "%s: %s are there; taking about %.1f%% of the documents.",
                        source.name,
                        megabytes(there),
                        100 * weight,
                    )
            weights.append(weight)
        return tuple(weights)


def _join(pieces: Sequence[str], path: str) -> None:
    """Joins text files to one, with a blank line between them."""
    with atomic_outputs([path]) as (file,):
        is_first = True
        for piece_path in pieces:
            with open(piece_path, "rb") as piece:
                if os.path.getsize(piece_path) and not is_first:
                    file.write(b"\n")
                while block := piece.read(_COPY_BYTES):
                    is_first = False
                    file.write(block)


def _finished_report(report_dir: str, plan: dict[str, Any]) -> dict[str, Any] | None:
    """Returns the report of a finished run of this plan whose files are all there, or None."""
    try:
        with open(os.path.join(report_dir, report.JSON_NAME), encoding="utf-8") as file:
            earlier = json.load(file)
        if earlier["plan"] != json.loads(json.dumps(plan)):
            return None
        files = [*earlier["outputs"], *filter(None, [earlier["heldout"]])]
        if any(os.path.getsize(file["path"]) != file["bytes"] for file in files):
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return earlier


def _refuse_to_overwrite(
    output: OutputName, heldout: Sequence[str], work: WorkFolder, settings: RunSettings
) -> None:
    there = [*output.existing(), *(path for path in heldout if os.path.lexists(path))]
    if there and not settings.overwrite and not work.was_there:
        work.remove()
        raise InputError(
            f"{there[0]} is there already, of a run with other flags or files. Remove it, give "
            "another --output_file, or give --overwrite to replace it."
        )


def _described_file(path: str) -> dict[str, Any]:
    return {"path": path, "bytes": os.path.getsize(path)}
