"""Whether records are what pre-training with some flags needs, found out without TensorFlow."""

import math
from collections.abc import Mapping
from typing import Any

from deeq_bert.bert.examples import FEATURE_NAMES, decode_example
from deeq_bert.bert.record_info import info_path
from deeq_bert.bert.records import RecordSet
from deeq_bert.tokenizers.errors import InputError

_EXPECTED = "Expected a file that create_pretraining_data.py made; make it again."


def check_records_match(
    record_set: RecordSet,
    max_seq_length: int,
    max_predictions_per_seq: int,
    vocab_size: int,
    sample_size: int = 300,
) -> None:
    """Stops where records were made with other flags or another vocabulary.

    The first record of each file and a sample spread over all of them are decoded.

    Args:
      record_set: Records of create_pretraining_data.
      max_seq_length: The length input_ids, input_mask and segment_ids must have.
      max_predictions_per_seq: The length masked_lm_positions, _ids and _weights must have.
      vocab_size: Every id must be smaller.
      sample_size: How many records to decode besides the first of each file.

    Raises:
      InputError: A record is no tf.train.Example, lacks a feature, has another length, or holds a
        value that these flags do not allow.
    """
    indexes = {indexes[0] for _, indexes in record_set.file_ranges() if indexes}
    indexes.update(range(0, len(record_set), max(1, len(record_set) // sample_size)))
    for index in sorted(indexes):
        check_record(record_set, index, max_seq_length, max_predictions_per_seq, vocab_size)


def check_record(
    record_set: RecordSet,
    index: int,
    max_seq_length: int,
    max_predictions_per_seq: int,
    vocab_size: int,
) -> None:
    """Stops where one record does not fit (see `check_records_match`)."""
    path, number = record_set.location(index)
    place = f"{path}, record {number}"
    try:
        features = decode_example(record_set.read(index))
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{place}: no tf.train.Example ({error}). Expected a file that "
            "create_pretraining_data.py made."
        ) from error
    _check_lengths(features, place, max_seq_length, max_predictions_per_seq)
    _check_values(features, place, max_seq_length, vocab_size)


def _check_lengths(
    features: Mapping[str, list], place: str, max_seq_length: int, max_predictions_per_seq: int
) -> None:
    for name in FEATURE_NAMES:
        if name not in features:
            raise InputError(f"{place}: the feature {name} is missing. {_EXPECTED}")
    for flag, expected, names in (
        ("max_seq_length", max_seq_length, ("input_ids", "input_mask", "segment_ids")),
        (
            "max_predictions_per_seq",
            max_predictions_per_seq,
            ("masked_lm_positions", "masked_lm_ids", "masked_lm_weights"),
        ),
    ):
        for name in names:
            found = len(features[name])
            if found != expected:
                raise InputError(
                    f"{place}: {name} has {found} values, but --{flag} is {expected}. Give "
                    f"--{flag}={found}, or make the records again with --{flag}={expected}."
                )
    found = len(features["next_sentence_labels"])
    if found != 1:
        raise InputError(f"{place}: next_sentence_labels has {found} values, not 1. {_EXPECTED}")


def _check_values(
    features: Mapping[str, list], place: str, max_seq_length: int, vocab_size: int
) -> None:
    weights = features["masked_lm_weights"]
    if not all(isinstance(weight, float) and math.isfinite(weight) for weight in weights):
        raise InputError(f"{place}: masked_lm_weights are not floats, or not finite. {_EXPECTED}")
    for name, limit in value_limits(max_seq_length, vocab_size).items():
        values = features[name]
        if not all(isinstance(value, int) for value in values):
            raise InputError(f"{place}: {name} are not integers. {_EXPECTED}")
        lowest, highest = min(values), max(values)
        if lowest < 0:
            raise InputError(f"{place}: {name} holds {lowest}, a negative number. {_EXPECTED}")
        if highest < limit:
            continue
        if name in ("input_ids", "masked_lm_ids"):
            raise InputError(
                f"{place}: {name} holds the id {highest}, but vocab_size is {vocab_size}, so that "
                f"ids end at {vocab_size - 1}. Give the --bert_config_file that belongs to the "
                "vocabulary the records were made with."
            )
        raise InputError(f"{place}: {name} holds {highest}, not under {limit}. {_EXPECTED}")


def value_limits(max_seq_length: int, vocab_size: int) -> dict[str, int]:
    """Returns what the values of each integer feature must be below; none may be negative."""
    return {
        "input_ids": vocab_size,
        "masked_lm_ids": vocab_size,
        "input_mask": 2,
        "segment_ids": 2,
        "masked_lm_positions": max_seq_length,
        "next_sentence_labels": 2,
    }


def check_infos_match(
    infos: Mapping[str, Mapping[str, Any]], dynamic: bool, **lengths: int
) -> None:
    """Stops where what stands beside files of records says that they do not fit the flags.

    Args:
      infos: What is known of the records, by file (see `record_info.known_infos`).
      dynamic: Whether masks are to be drawn when they are read.
      **lengths: By flag, what its value is: max_seq_length and, for masked records,
        max_predictions_per_seq.

    Raises:
      InputError: They do not; names the file and the flag.
    """
    for path, info in infos.items():
        unmasked = info.get("dynamic_masking")
        if isinstance(unmasked, bool) and unmasked != dynamic:
            raise InputError(
                f"{info_path(path)} says that {path} was made "
                f"{'with' if unmasked else 'without'} --dynamic_masking. Give the flag here "
                "if and only if all records were made with it."
            )
        for flag, value in lengths.items():
            found = info.get(flag)
            if isinstance(found, int) and found != value:
                raise InputError(
                    f"{info_path(path)} says that {path} was made with --{flag}={found}, but "
                    f"--{flag} is {value}. Give --{flag}={found}, or leave that file out."
                )
