"""What is decided over all parts of a corpus: duplicates, boilerplate, lines that are held out."""

import dataclasses
import io
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from absl import logging

from deeq_bert.corpus import part_cleaning, writing
from deeq_bert.corpus.accounting import shorten
from deeq_bert.corpus.deduplication import KEEP, read_decisions, read_hashes
from deeq_bert.corpus.exact_duplicates import RepeatedEntry, RepeatedLines, find_duplicates
from deeq_bert.corpus.near_duplicates import Cluster, find_near_duplicates
from deeq_bert.corpus.sources import Source
from deeq_bert.corpus.work_folder import WorkFolder
from deeq_bert.tokenizers.files import write_atomically

MARKER = "decisions.json"
MOST_REPEATED = 50
_CLUSTERS = 20
_MEMBERS_OF_A_CLUSTER = 5
_BEGINNING_CHARACTERS = 200


@dataclasses.dataclass(frozen=True)
class DecisionSettings:
    """What decisions depend on, beside the parts.

    Attributes:
      memory_mb: How many megabytes may be taken.
      near_dedup: The similarity from which on documents are near-duplicates, or None.
      repeated_lines: How often a line must come to be boilerplate, or 0 for never.
      repeated_line_documents: And in how many documents.
      heldout_fraction: The share of documents that are held out.
      seed: Decides which.
    """

    memory_mb: int
    near_dedup: float | None
    repeated_lines: int
    repeated_line_documents: int
    heldout_fraction: float
    seed: int


def decide(
    work: WorkFolder,
    source_of_part: Sequence[int],
    sources: Sequence[Source],
    settings: DecisionSettings,
) -> dict[str, Any]:
    """Decides on all documents and lines, and leaves a file of decisions for each part.

    Args:
      work: The folder of the run, with all parts cleaned.
      source_of_part: For each part, the index of its source.
      sources: The sources.
      settings: What the decisions depend on.

    Returns:
      "repeated_lines" and "near_duplicate_clusters" for the report, and as "kept_shares" the share
      of the lines of each part that is kept, about.
    """
    done = work.marker(MARKER)
    if done is not None:
        return done
    decider = Decider(work, source_of_part, sources, settings)
    result = decider.decide()
    work.mark(MARKER, result)
    return result


class Decider:
    """Decides on documents first, and then on the lines of those that are left."""

    def __init__(
        self,
        work: WorkFolder,
        source_of_part: Sequence[int],
        sources: Sequence[Source],
        settings: DecisionSettings,
    ):
        self._work = work
        self._source_of_part = source_of_part
        self._sources = sources
        self._settings = settings

    def decide(self) -> dict[str, Any]:
        documents = find_duplicates(
            self._files(part_cleaning.DOCUMENTS),
            self._files(writing.DOCUMENT_DECISIONS),
            self._settings.memory_mb,
            takes_part=self._takes_part("documents"),
        )
        logging.info(
            "Documents: %d of %d are there already.",
            documents.num_duplicates,
            documents.num_entries,
        )
        clusters = []
        if self._settings.near_dedup is not None:
            near = find_near_duplicates(
                self._files(part_cleaning.SIGNATURES),
                self._files(writing.NEAR_DECISIONS),
                self._settings.near_dedup,
                self._settings.memory_mb,
                dropped=self._duplicate_documents,
                takes_part=self._takes_part("documents"),
                num_clusters=_CLUSTERS,
                max_members=_MEMBERS_OF_A_CLUSTER,
            )
            logging.info(
                "Near-duplicates: %d of %d documents.", near.num_duplicates, near.num_documents
            )
            clusters = near.clusters
        repeated = None
        if self._settings.repeated_lines:
            repeated = RepeatedLines(
                self._settings.repeated_lines, self._settings.repeated_line_documents
            )
        lines = find_duplicates(
            self._files(part_cleaning.LINES),
            self._files(writing.LINE_DECISIONS),
            self._settings.memory_mb,
            dropped=self._dropped_documents,
            takes_part=self._takes_part("lines"),
            repeated=repeated,
            num_most_repeated=MOST_REPEATED,
        )
        logging.info("Lines: %d of %d are there already.", lines.num_duplicates, lines.num_entries)
        return self.summarize(lines.most_repeated, clusters)

    def summarize(
        self, repeated_entries: Sequence[RepeatedEntry], clusters: Sequence[Cluster]
    ) -> dict[str, Any]:
        """Does the rest when each part has its decisions, and returns what `decide` does.

        Args:
          repeated_entries: The lines that come most often.
          clusters: The largest clusters of near-duplicates.
        """
        if self._settings.heldout_fraction:
            self._write_heldout_lines()
        line_places = [(entry.part, entry.index) for entry in repeated_entries]
        texts = self._look_up(line_places, _lines)
        members = [place for cluster in clusters for place in cluster.members]
        beginnings = self._look_up(members, _documents)
        return {
            "kept_shares": self._kept_shares(),
            "repeated_lines": [
                {
                    "count": entry.count,
                    "documents": entry.num_groups,
                    "line": shorten(texts[place]),
                }
                for entry, place in zip(repeated_entries, line_places)
            ],
            "near_duplicate_clusters": [
                {
                    "size": cluster.size,
                    "documents": [
                        {
                            "source": self._sources[self._source_of_part[place[0]]].name,
                            "beginning": beginnings[place][:_BEGINNING_CHARACTERS],
                        }
                        for place in cluster.members
                    ],
                }
                for cluster in clusters
            ],
        }

    def _look_up(
        self, places: Sequence[tuple[int, int]], cut: Callable[[str], list[str]]
    ) -> dict[tuple[int, int], str]:
        """Returns the texts at some places: a part, and the index among what `cut` makes of it."""
        found = {}
        for part, in_part in itertools.groupby(sorted(set(places)), key=lambda place: place[0]):
            with open(self._work.part_file(part, part_cleaning.TEXT), "rb") as file:
                pieces = cut(file.read().decode("utf-8"))
            found.update((place, pieces[place[1]]) for place in in_part)
        return found

    def _files(self, kind: str) -> list[str]:
        return [self._work.part_file(part, kind) for part in range(len(self._source_of_part))]

    def _takes_part(self, what: str) -> list[bool]:
        return [
            what in self._sources[source].settings.deduplicate for source in self._source_of_part
        ]

    def _duplicate_documents(self, part: int) -> np.ndarray:
        return read_decisions(self._work.part_file(part, writing.DOCUMENT_DECISIONS)) != 0

    def _dropped_documents(self, part: int) -> np.ndarray:
        dropped = self._duplicate_documents(part)
        if self._settings.near_dedup is not None:
            dropped |= read_decisions(self._work.part_file(part, writing.NEAR_DECISIONS)) != 0
        return dropped

    def _write_heldout_lines(self) -> None:
        """Writes the hashes of all lines that are held out, sorted.

        Where lines are not de-duplicated, the same line can be in a document that is held out and
        in one that is not.
        """
        hashes = [np.zeros(0, dtype=np.uint64)]
        for part in range(len(self._source_of_part)):
            documents = read_hashes(self._work.part_file(part, part_cleaning.DOCUMENTS))
            held = np.zeros(len(documents.hashes), dtype=bool)
            held[documents.indices] = writing.is_held_out(
                documents.hashes, self._settings.seed, self._settings.heldout_fraction
            )
            held &= ~self._dropped_documents(part)
            lines = read_hashes(self._work.part_file(part, part_cleaning.LINES))
            is_held = held[lines.groups]
            decisions = read_decisions(self._work.part_file(part, writing.LINE_DECISIONS))
            # What was dropped from the text that is held out may be in the other.
            is_held &= decisions[lines.indices] == KEEP
            hashes.append(np.unique(lines.hashes[is_held]))
        content = io.BytesIO()
        np.save(content, np.unique(np.concatenate(hashes)), allow_pickle=False)
        write_atomically(self._work.file(writing.HELDOUT_LINES), content.getvalue())

    def _kept_shares(self) -> list[float]:
        """Returns the share of the lines of each part that is kept; of documents, if unknown."""
        shares = []
        for part in range(len(self._source_of_part)):
            goes = self._dropped_documents(part)
            lines = read_decisions(self._work.part_file(part, writing.LINE_DECISIONS))
            if len(lines):
                entries = read_hashes(self._work.part_file(part, part_cleaning.LINES))
                goes = goes[entries.groups] | (lines[entries.indices] != KEEP)
            shares.append(1 - float(np.mean(goes)) if len(goes) else 1.0)
        return shares


def _documents(text: str) -> list[str]:
    return text.split("\n\n")


def _lines(text: str) -> list[str]:
    return text.replace("\n\n", "\n").split("\n")
