"""Opens and checks the records of a run, before TensorFlow is imported."""

import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from absl import logging

from deeq_bert.bert import record_info
from deeq_bert.bert.dynamic_masking import DynamicMasking
from deeq_bert.bert.phases import Phase
from deeq_bert.bert.record_checks import check_infos_match, check_records_match
from deeq_bert.bert.record_files import RecordFiles, first_records
from deeq_bert.bert.record_index import open_records
from deeq_bert.bert.record_sets import check_record_sets
from deeq_bert.bert.records import RecordSet
from deeq_bert.bert.unmasked_records import check_record_kind, check_unmasked_records_match
from deeq_bert.tokenizers.errors import InputError

# Takes what is read and its size in bytes, and returns what is called with bytes as they are read.
ReadingProgress = Callable[[str, int], Callable[[int], object]]


class MaskChoice(NamedTuple):
    """How masks are drawn anew in every pass over the records (--dynamic_masking).

    Attributes:
      mask_unit: What is masked as a whole.
      masked_lm_prob: The share of the tokens to predict.
      seed: Of the draws.
    """

    mask_unit: str
    masked_lm_prob: float
    seed: int


class PhaseRecords(NamedTuple):
    """The records of a phase.

    Attributes:
      train: Those to train on; None where they are not needed.
      held_out: Those to evaluate on; None where there are none.
      infos: What is known of them, by file.
      masking: What masks them; None where they are masked already.
      held_out_text: How many tokens and characters the held-out text has; None where unknown.
    """

    train: RecordSet | None
    held_out: RecordSet | None
    infos: Mapping[str, Mapping[str, Any]]
    masking: DynamicMasking | None
    held_out_text: tuple[int, int] | None


class RecordOpener:
    """Opens the records of phases, all by the same rules."""

    def __init__(
        self,
        vocab_size: int,
        index_folder: str | None,
        skip_bad_records: bool,
        masks: MaskChoice | None,
        progress: ReadingProgress,
    ):
        """Takes the rules.

        Args:
          vocab_size: What every id must be below.
          index_folder: Where it is kept where the records are in their files.
          skip_bad_records: Whether damaged ones are left out, instead of being an error.
          masks: How they are masked; None for records that are masked already.
          progress: Told of the reading.
        """
        self._vocab_size = vocab_size
        self._index_folder = index_folder
        self._skip_bad_records = skip_bad_records
        self._masks = masks
        self._progress = progress

    def check_first_records(self, phase: Phase, files: RecordFiles) -> None:
        """Looks at a few records of a phase and at what stands beside all, before all are read.

        Raises:
          InputError: They do not fit the phase or each other, or shards are missing.
        """
        infos = record_info.known_infos(files.all)
        for paths in files:
            if paths:
                with first_records(paths) as records:
                    self._check(records, phase, infos)
        lengths = {"max_seq_length": phase.max_seq_length}
        if not self._masks:
            lengths["max_predictions_per_seq"] = phase.max_predictions_per_seq
        check_infos_match(infos, self._masks is not None, **lengths)
        check_record_sets(files.all, infos)

    def open_phase(self, phase: Phase, files: RecordFiles) -> PhaseRecords:
        """Opens the records of a phase.

        Raises:
          InputError: They are damaged, or do not fit the phase or each other.
        """
        train_records = held_out_records = None
        if files.train:
            train_records = held_out_records = self._open("input_file", files.train)
        if files.held_out and files.held_out is not files.train:
            held_out_records = self._open("eval_input_file", files.held_out)
        infos = record_info.known_infos(files.all)
        masking = None
        for records in (train_records, held_out_records):
            if records is not None:
                masking = self._check(records, phase, infos)
        return PhaseRecords(
            train_records,
            held_out_records,
            infos,
            masking,
            _text_size(held_out_records, infos) if held_out_records else None,
        )

    def _check(
        self, records: RecordSet, phase: Phase, infos: Mapping[str, Mapping[str, Any]]
    ) -> DynamicMasking | None:
        """Checks records against what a phase says of them, and returns what masks them."""
        check_record_kind(records, infos, self._masks is not None)
        if not self._masks:
            check_records_match(
                records, phase.max_seq_length, phase.max_predictions_per_seq, self._vocab_size
            )
            return None
        check_unmasked_records_match(records, phase.max_seq_length, self._vocab_size)
        if not records.paths:
            return None
        return DynamicMasking.from_info(
            infos[records.paths[0]],
            max_predictions_per_seq=phase.max_predictions_per_seq,
            **self._masks._asdict(),
        )

    def _open(self, flag: str, files: list[str]) -> RecordSet:
        logging.info("*** Records of --%s ***", flag)
        for file in files:
            logging.info("  %s", file)
        size = sum(os.path.getsize(file) for file in files)
        records = open_records(
            files, self._index_folder, self._skip_bad_records, self._progress(flag, size)
        )
        for path, skipped in records.skipped.items():
            lost = f"; the {skipped.lost_bytes:,} bytes from the last of them on could not be read"
            logging.warning(
                "%s: left out %d damaged record(s), the first being record %d: %s%s.",
                path,
                skipped.count,
                skipped.first_record,
                skipped.reason,
                lost if skipped.lost_bytes else "",
            )
        if not len(records):
            raise InputError(f"There is not one record in --{flag}={','.join(files)}.")
        return records


def _text_size(
    records: RecordSet, infos: Mapping[str, Mapping[str, Any]]
) -> tuple[int, int] | None:
    """Returns the tokens and characters of the text the records were made of, where all say."""
    totals = [0, 0]
    for path in records.paths:
        info = infos.get(path, {})
        for place, name in enumerate(("tokens", "characters")):
            value = info.get(name)
            if not isinstance(value, int) or value <= 0:
                return None
            totals[place] += value
    return totals[0], totals[1]
