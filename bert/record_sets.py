"""Whether the shards of a set of records, NAME-00000-of-00010 and so on, are all there, of one run.

Each shard has a NAME-00000-of-00010.json beside it, and the set a NAME.json once all are made; sets
of other programs have neither.
"""

import collections
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from absl import logging

from deeq_bert.bert.record_info import (
    ShardName,
    info_path,
    read_set_info,
    shard_name,
    shard_path,
)
from deeq_bert.tokenizers.errors import InputError

# What the records of one run have in common, besides the tokenizer.
CHOICES = (
    "num_shards",
    "max_seq_length",
    "short_seq_prob",
    "dupe_factor",
    "random_seed",
    "dynamic_masking",
    "max_predictions_per_seq",
    "masked_lm_prob",
    "mask_unit",
)
_NAMED = 3


class SetFault(NamedTuple):
    """What is wrong with a set of shards.

    Attributes:
      message: A sentence or two.
      is_certain: Whether what stands beside the shards says so. Otherwise it is guessed from names,
        and may be meant.
    """

    message: str
    is_certain: bool


def check_record_sets(files: Sequence[str], infos: Mapping[str, Mapping[str, Any]]) -> None:
    """Stops where shards are certainly not a whole set of one run; warns where it seems so.

    Args:
      files: Files of records; those that are no shards pass.
      infos: What is known of them, by file (see `record_info.known_infos`).

    Raises:
      InputError: Shards are missing that were never made, or are of different runs.
    """
    for fault in set_faults(files, infos):
        if fault.is_certain:
            raise InputError(fault.message)
        logging.warning("%s", fault.message)


def set_faults(files: Iterable[str], infos: Mapping[str, Mapping[str, Any]]) -> Iterator[SetFault]:
    """Yields what is wrong with the sets that some files belong to.

    Shards that are there but not among `files` are not missed: what is not named is not wanted.

    Raises:
      InputError: What stands beside a set cannot be read.
    """
    sets: dict[str, dict[int, list[str]]] = {}
    for path in dict.fromkeys(files):
        shard = shard_name(path)
        if shard:
            by_count = sets.setdefault(shard.set_path, collections.defaultdict(list))
            by_count[shard.count].append(path)
    for set_path, by_count in sets.items():
        info = read_set_info(set_path)
        whole = info.get("num_shards") if info else None
        for count, paths in by_count.items():
            if whole is not None and whole != count:
                yield SetFault(
                    f"{paths[0]} is of a set of {count} shards, but {info_path(set_path)} is about "
                    f"one of {whole}. Name only shards of one run, as in "
                    f'"{set_path}-*-of-{whole:05d}", or remove those of the other.',
                    True,
                )
                continue
            yield from _missing(set_path, count, info, [infos.get(path) for path in paths])
            yield from _of_other_runs(paths, infos)
            if info is not None:
                yield from _not_in_set(set_path, info, paths, infos)
        if whole is None and len(by_count) > 1:
            counts = " and ".join(str(count) for count in sorted(by_count))
            yield SetFault(
                f"There are shards of several sets named {set_path}, of {counts} shards: records "
                "that are in both count twice. Name only those of one, or remove the others.",
                False,
            )


def temporary_files(files: Iterable[str]) -> list[str]:
    """Returns what a writer of these files has left behind, or is writing now."""
    names_by_folder: dict[str, set[str]] = collections.defaultdict(set)
    for path in files:
        shard = shard_name(path)
        for named in (path, shard.set_path if shard else path):
            folder, name = os.path.split(os.path.abspath(named))
            names_by_folder[folder].add(name)
    found = []
    for folder, names in names_by_folder.items():
        starts = tuple(f".{name}{end}" for name in names for end in (".", "-"))
        found.extend(
            os.path.join(folder, entry)
            for entry in sorted(os.listdir(folder))
            if entry.startswith(starts) and entry.endswith(".tmp")
        )
    return found


def _missing(
    set_path: str,
    count: int,
    set_info: Mapping[str, Any] | None,
    infos: Sequence[Mapping[str, Any] | None],
) -> Iterator[SetFault]:
    folder = os.path.dirname(set_path) or "."
    present = set(os.listdir(folder))
    missing = []
    for number in range(count):
        path = shard_path(ShardName(set_path, number, count))
        if os.path.basename(path) not in present:
            missing.append(path)
    if not missing:
        return
    named = ", ".join(missing[:_NAMED])
    more = f" and {len(missing) - _NAMED:,} more" if len(missing) > _NAMED else ""
    message = f"Of {count:,} shards of {set_path}, {len(missing):,} are not there: {named}{more}"
    if set_info is None and any(info and "num_shards" in info for info in infos):
        yield SetFault(
            f"{message}; nor is {info_path(set_path)}, which is written when all are made. Run "
            "create_pretraining_data.py again with the same flags, which makes those missing, or "
            "put that file back if they are left out on purpose.",
            True,
        )
    else:
        yield SetFault(f"{message}. Put them back, unless they are left out on purpose.", False)


def _of_other_runs(
    paths: Sequence[str], infos: Mapping[str, Mapping[str, Any]]
) -> Iterator[SetFault]:
    known = [path for path in paths if path in infos]
    for path in known[1:]:
        for name in CHOICES:
            first, other = infos[known[0]].get(name), infos[path].get(name)
            if first != other:
                yield SetFault(
                    f"{known[0]} and {path} are shards of different runs: {name} is {first} for "
                    f"the one and {other} for the other. Make the set again.",
                    True,
                )
                return


def _not_in_set(
    set_path: str,
    set_info: Mapping[str, Any],
    paths: Sequence[str],
    infos: Mapping[str, Mapping[str, Any]],
) -> Iterator[SetFault]:
    listed = set_info.get("shards")
    entries = {
        entry.get("name"): entry
        for entry in (listed if isinstance(listed, list) else ())
        if isinstance(entry, dict)
    }
    for path in paths:
        entry = entries.get(os.path.basename(path), {})
        found = {"bytes": os.path.getsize(path), "sha256": infos.get(path, {}).get("sha256")}
        for name, value in found.items():
            expected = entry.get(name)
            if expected is not None and value is not None and expected != value:
                yield SetFault(
                    f"{path} is not of the run that {info_path(set_path)} is about: {name} is "
                    f"{value}, not {expected}. Restore the shard, or make the set again.",
                    True,
                )
                return
