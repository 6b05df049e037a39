"""A run of cleaning whose work is done by jobs on Apache Beam, and else as pipeline's.

The first job cleans the parts and decides on duplicates, the second writes the text: how it is
divided into files depends on how much is left. This process plans, joins and reports.
"""

import dataclasses
import functools
import os
from collections.abc import Sequence
from typing import Any

import apache_beam as beam

from deeq_bert.corpus import beam_steps, deciding, part_cleaning, pipeline, writing
from deeq_bert.corpus.exact_duplicates import RepeatedEntry, RepeatedLines
from deeq_bert.corpus.outputs import OutputName
from deeq_bert.corpus.planning import Part
from deeq_bert.corpus.run_settings import RunSettings
from deeq_bert.corpus.sources import Source
from deeq_bert.corpus.work_folder import WorkFolder
from deeq_bert.tokenizers.beam_jobs import Jobs

# The hashes of so much input are decided on at once: some tens of megabytes of them.
_BYTES_OF_A_RANGE = 128 << 20


def clean_corpus(sources: Sequence[Source], settings: RunSettings, jobs: Jobs) -> dict[str, Any]:
    """Does what pipeline.clean_corpus does, by jobs on Beam, and with the same result.

    Args:
      sources: The sources.
      settings: What to do; near_dedup must be None.
      jobs: Where the jobs run.

    Returns:
      The report (see report.make_report), with the runner and its counters as "beam".

    Raises:
      InputError: Something given cannot be used, the runner failed, or nothing is left of the text.
    """
    if settings.near_dedup is not None:
        raise ValueError("near-duplicates are not looked for on Beam")
    return pipeline.clean_corpus(sources, settings, functools.partial(_BeamRun, jobs))


class _BeamRun(pipeline.Run):
    """The stages of a run, the long ones as jobs."""

    def __init__(
        self,
        jobs: Jobs,
        sources: tuple[Source, ...],
        settings: RunSettings,
        output: OutputName,
        work: WorkFolder,
    ):
        super().__init__(sources, settings, output, work)
        self._jobs = jobs
        # What workers know of the sources: where they work, a relative path means something else.
        self._sent_sources = tuple(map(_for_workers, sources))
        self._folder = os.path.abspath(work.path)

    def do(self) -> dict[str, Any]:
        """Goes through the stages, and returns the facts for the report."""
        facts = super().do()
        return {
            **facts,
            "num_workers": f"{self._jobs.runner}'s",
            "beam": {
                "runner": self._jobs.runner,
                "counters": dict(sorted(self._jobs.counters.items())),
            },
        }

    def _clean_parts(self) -> list[part_cleaning.CleanedPart]:
        """Cleans the parts, and leaves all decisions in the work folder, too."""
        if self._work.marker(deciding.MARKER) is None:
            self._jobs.run("Cleaning", self._build_cleaning, self._folder)
            self._work.mark(deciding.MARKER, self._decisions())
        return [part_cleaning.finished_part(self._work.path, part.index) for part in self._parts]

    def _write_shards(
        self, cleaned: Sequence[part_cleaning.CleanedPart], weights: tuple[float, ...]
    ) -> None:
        waiting = [
            shard._replace(path=os.path.abspath(shard.path))
            for shard in self._shards
            if self._work.marker(writing.shard_marker(shard.index)) is None
        ]
        if not waiting:
            return
        settings = self._settings
        write_settings = writing.WriteSettings(
            folder=self._folder,
            seed=settings.seed,
            num_samples=settings.num_samples,
            heldout_fraction=settings.heldout_fraction,
            weights=weights,
            near_duplicates=False,
        )

        def build(job: beam.Pipeline) -> None:
            shards = job | "Files" >> beam.Create(waiting) | beam.Reshuffle()
            write = beam_steps.WriteShard(self._sent_sources, write_settings)
            _ = shards | "Write" >> beam.ParDo(write)

        self._jobs.run("Writing", build, self._folder)

    def _build_cleaning(self, job: beam.Pipeline) -> None:
        settings = self._settings
        part_settings = part_cleaning.PartSettings(
            folder=self._folder,
            seed=settings.seed,
            num_samples=settings.num_samples,
            errors=settings.errors,
            strict=settings.strict,
            near_duplicates=False,
            all_line_hashes=settings.heldout_fraction > 0,
            decontamination=self._write_decontamination(),
        )
        if part_settings.decontamination:
            path = os.path.abspath(part_settings.decontamination)
            part_settings = dataclasses.replace(part_settings, decontamination=path)
        clean = beam_steps.CleanPart(self._sent_sources, part_settings)
        parts = (
            job
            | "Parts" >> beam.Create(list(map(_with_full_paths, self._parts)))
            | beam.Reshuffle()
            | "Clean" >> beam.ParDo(clean)
        )
        parts, _ = self._decide(
            parts, "documents", part_cleaning.DOCUMENTS, writing.DOCUMENT_DECISIONS, None
        )
        repeated = None
        if settings.repeated_lines:
            repeated = RepeatedLines(settings.repeated_lines, settings.repeated_line_documents)
        _, most_repeated = self._decide(
            parts, "lines", part_cleaning.LINES, writing.LINE_DECISIONS, repeated
        )
        _ = (
            most_repeated
            | "Most repeated" >> beam.combiners.Top.Smallest(deciding.MOST_REPEATED)
            | beam.ParDo(beam_steps.WriteMostRepeated(self._folder))
        )

    def _decide(
        self,
        parts: beam.PCollection,
        what: str,
        kind: str,
        decision_kind: str,
        repeated: RepeatedLines | None,
    ) -> tuple[beam.PCollection, beam.PCollection]:
        """Adds the steps that find duplicates over all parts.

        Args:
          parts: The numbers of the parts.
          what: What is de-duplicated, as the settings of sources name it.
          kind: The hashes of that.
          decision_kind: Where the decisions go.
          repeated: When one is boilerplate.

        Returns:
          The numbers of the parts that have their decisions, and what comes most often.
        """
        takes_part = [
            what in self._sources[part.source].settings.deduplicate for part in self._parts
        ]
        num_bytes = sum(part.num_bytes for part in self._parts)
        num_ranges = 1 + num_bytes // _BYTES_OF_A_RANGE
        cut = beam_steps.CutIntoRanges(self._folder, kind, takes_part, num_ranges)
        decide = beam_steps.DecideRange(
            self._settings.dedup_memory_mb, repeated, deciding.MOST_REPEATED
        )
        write = beam_steps.WriteDecisions(self._folder, kind, decision_kind)
        decided = (
            parts
            | f"Hashes of {what}" >> beam.ParDo(cut)
            | f"Equal {what}" >> beam.GroupByKey()
            | f"Decide on {what}"
            >> beam.ParDo(decide).with_outputs(beam_steps.DecideRange.MOST_REPEATED, main="decided")
        )
        numbered = parts | f"Parts with {what}" >> beam.Map(_with_nothing)
        written = (
            {"parts": numbered, "decided": decided.decided}
            | f"Decisions on {what} by part" >> beam.CoGroupByKey()
            | f"Write decisions on {what}" >> beam.ParDo(write)
        )
        return written, decided[beam_steps.DecideRange.MOST_REPEATED]

    def _decisions(self) -> dict[str, Any]:
        """Returns what deciding.decide would, of the files that the job wrote."""
        settings = self._settings
        decider = deciding.Decider(
            self._work,
            [part.source for part in self._parts],
            self._sources,
            deciding.DecisionSettings(
                memory_mb=settings.dedup_memory_mb,
                near_dedup=None,
                repeated_lines=settings.repeated_lines,
                repeated_line_documents=settings.repeated_line_documents,
                heldout_fraction=settings.heldout_fraction,
                seed=settings.seed,
            ),
        )
        most = self._work.marker(beam_steps.MOST_REPEATED_MARKER)["entries"]
        return decider.summarize([RepeatedEntry(*entry) for entry in most], [])


def _with_nothing(part: int) -> tuple[int, None]:
    return part, None


def _with_full_paths(part: Part) -> Part:
    files = (file._replace(path=os.path.abspath(file.path)) for file in part.files)
    return part._replace(files=tuple(files))


def _for_workers(source: Source) -> Source:
    """Returns a source without its files, which the parts have, and with full paths of lists."""
    rules = {name: dict(options) for name, options in source.settings.rules.items()}
    for options in rules.values():
        if options.get("file"):
            options["file"] = os.path.abspath(options["file"])
    settings = dataclasses.replace(source.settings, rules=rules)
    return dataclasses.replace(source, files=(), settings=settings)
