"""Whether records are masked or to be masked when they are read, and whether those are sound.

There is no TensorFlow on this path.
"""

from collections.abc import Mapping
from typing import Any

from deeq_bert.bert.examples import UNMASKED_FEATURE_NAMES, decode_example
from deeq_bert.bert.record_info import info_path
from deeq_bert.bert.records import RecordSet
from deeq_bert.tokenizers.errors import InputError

_EXPECTED = "Expected a file that create_pretraining_data.py --dynamic_masking made; make it again."


def check_record_kind(
    record_set: RecordSet, infos: Mapping[str, Mapping[str, Any]], dynamic: bool
) -> None:
    """Stops where records are masked already and should not be, or the other way round.

    The first record of each file is decoded.

    Args:
      record_set: Records of create_pretraining_data.
      infos: What is known of them, by file (see `record_info.known_infos`).
      dynamic: Whether masks are to be drawn when they are read. Then what stands beside each file
        must be known, and agree on how.

    Raises:
      InputError: They are of the other kind; names the flag that this takes.
    """
    for path, indexes in record_set.file_ranges():
        if not indexes:
            continue
        unmasked = "token_units" in _decode(record_set, indexes[0])
        if unmasked and not dynamic:
            raise InputError(
                f"The records of {path} are not masked: they were made with --dynamic_masking. "
                "Give --dynamic_masking here too, or make them again without it."
            )
        if dynamic and not unmasked:
            raise InputError(
                f"The records of {path} are masked already, so that --dynamic_masking cannot mask "
                "them anew. Leave it out, or make them again with create_pretraining_data.py "
                "--dynamic_masking."
            )
    if dynamic:
        _check_infos(record_set, infos)


def check_unmasked_records_match(
    record_set: RecordSet, max_seq_length: int, vocab_size: int, sample_size: int = 300
) -> None:
    """Stops where unmasked records were made with other flags or another vocabulary.

    The first record of each file and a sample spread over all of them are decoded.

    Args:
      record_set: Records of create_pretraining_data with --dynamic_masking.
      max_seq_length: The length that all features but the label must have.
      vocab_size: Every id must be smaller.
      sample_size: How many records to decode besides the first of each file.

    Raises:
      InputError: A record is no tf.train.Example, lacks a feature, has another length, or holds a
        value that these flags do not allow.
    """
    indexes = {indexes[0] for _, indexes in record_set.file_ranges() if indexes}
    indexes.update(range(0, len(record_set), max(1, len(record_set) // sample_size)))
    for index in sorted(indexes):
        check_unmasked_record(record_set, index, max_seq_length, vocab_size)


def check_unmasked_record(
    record_set: RecordSet, index: int, max_seq_length: int, vocab_size: int
) -> None:
    """Stops where one record does not fit (see `check_unmasked_records_match`)."""
    features = _decode(record_set, index)
    place = _place(record_set, index)
    for name in UNMASKED_FEATURE_NAMES:
        if name not in features:
            raise InputError(f"{place}: the feature {name} is missing. {_EXPECTED}")
        values = features[name]
        if not all(isinstance(value, int) for value in values):
            raise InputError(f"{place}: {name} are not integers. {_EXPECTED}")
        if name == "next_sentence_labels":
            if len(values) != 1:
                raise InputError(f"{place}: {name} has {len(values)} values, not 1. {_EXPECTED}")
        elif len(values) != max_seq_length:
            raise InputError(
                f"{place}: {name} has {len(values)} values, but --max_seq_length is "
                f"{max_seq_length}. Give --max_seq_length={len(values)}, or make the records "
                f"again with --max_seq_length={max_seq_length}."
            )
        lowest, highest = min(values), max(values)
        limit = unmasked_value_limits(vocab_size)[name]
        if lowest < 0:
            raise InputError(f"{place}: {name} holds {lowest}, a negative number. {_EXPECTED}")
        if highest >= limit and name == "input_ids":
            raise InputError(
                f"{place}: {name} holds the id {highest}, but vocab_size is {vocab_size}, so that "
                f"ids end at {vocab_size - 1}. Give the --bert_config_file that belongs to the "
                "vocabulary the records were made with."
            )
        if highest >= limit:
            raise InputError(f"{place}: {name} holds {highest}, not under {limit}. {_EXPECTED}")


def unmasked_value_limits(vocab_size: int) -> dict[str, int]:
    """Returns what the values of each feature must be below; none may be negative."""
    return {
        "input_ids": vocab_size,
        "input_mask": 2,
        "segment_ids": 2,
        "token_units": 8,
        "next_sentence_labels": 2,
    }


def _decode(record_set: RecordSet, index: int) -> dict[str, list]:
    try:
        return decode_example(record_set.read(index))
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{_place(record_set, index)}: no tf.train.Example ({error}). Expected a file that "
            "create_pretraining_data.py made."
        ) from error


def _place(record_set: RecordSet, index: int) -> str:
    path, number = record_set.location(index)
    return f"{path}, record {number}"


def _check_infos(record_set: RecordSet, infos: Mapping[str, Mapping[str, Any]]) -> None:
    """Stops where it is not known, or not the same for all files, how records are to be masked."""
    first, *others = dict.fromkeys(record_set.paths)
    for path in (first, *others):
        if path not in infos:
            raise InputError(
                f"{info_path(path)} is missing, or about other records; without it the id of "
                "[MASK] is not known. Restore it beside the records, or make them again."
            )
        info = infos[path]
        mask_id, num_ids, mask_units = (
            info.get(name) for name in ("mask_id", "num_ids", "mask_units")
        )
        if not (
            type(mask_id) is int
            and type(num_ids) is int
            and 0 <= mask_id < num_ids < 2**31
            and isinstance(mask_units, list)
        ):
            raise InputError(
                f"{info_path(path)} does not say how the records are to be masked (mask_id, "
                "num_ids, mask_units), as create_pretraining_data.py --dynamic_masking writes it. "
                "Restore it, or make the records again."
            )
        for name in ("mask_id", "num_ids", "mask_units"):
            if info[name] != infos[first][name]:
                raise InputError(
                    f"{info_path(path)} gives {name} as {info[name]}, but {info_path(first)} as "
                    f"{infos[first][name]}. Use records of one tokenizer and vocabulary."
                )
