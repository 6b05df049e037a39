"""What the inspection of files of records sums up to: as a dictionary, and as lines to read."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from deeq_bert.bert.example_checks import ExampleSums
from deeq_bert.bert.record_info import shard_name
from deeq_bert.bert.record_inspection import FileReport, length_counts
from deeq_bert.bert.record_making import LENGTH_RANGES
from deeq_bert.bert.record_sets import CHOICES

_MEGABYTE = 1_000_000
_MAX_ROWS = 20
_BAR_WIDTH = 40
_SHOWN_ELSEWHERE = ("max_seq_length", "max_predictions_per_seq", "dynamic_masking")
# Of a value of a contract.
_SHOWN = 32
# Values of a contract that tell people something at a glance.
_CONTRACT_KEYS = ("tokenizer", "do_lower_case", "vocab_file", "vocab_size", "vocab_sha256")


def summarize(reports: Sequence[FileReport], knows_mask: bool) -> dict[str, Any]:
    """Returns what files of records sum up to.

    Args:
      reports: One a file.
      knows_mask: Whether the id of [MASK] was known, so that what masks show was counted.

    Returns:
      Keys: files, records, bytes; of the sound records instance_tokens, padding_share, mean_length,
      max_seq_length, length_counts, random_next_share; for masked ones max_predictions_per_seq,
      predictions, masks_per_record, masked_share, records_without_masks and, with `knows_mask`,
      mask_shares; what all files agree on of how they were made; tokenizer; sets (a row for each).
      What is not known is missing.
    """
    sums = ExampleSums()
    for report in reports:
        sums.add(report.sums)
    summary: dict[str, Any] = {
        "files": len(reports),
        "records": sums.records + sum(report.problem_records for report in reports),
        "bytes": sum(report.bytes for report in reports),
    }
    if sums.records:
        places = sums.instance_tokens + sums.padding
        summary |= {
            "instance_tokens": sums.instance_tokens,
            "padding_share": sums.padding / places,
            "mean_length": sums.instance_tokens / sums.records,
            "random_next_share": sums.random_next / sums.records,
        }
        summary |= _agreed(
            [_of_features(report) for report in reports if report.features],
            ("max_seq_length", "max_predictions_per_seq", "dynamic_masking"),
        )
        if "max_seq_length" in summary:
            summary["length_counts"] = length_counts(sums.lengths)
    if any("masked_lm_weights" in report.features for report in reports) and sums.records:
        summary |= {
            "predictions": sums.predictions,
            "masks_per_record": sums.predictions / sums.records,
            "masked_share": sums.predictions / sums.instance_tokens,
            "records_without_masks": sums.without_masks,
        }
        if knows_mask and sums.predictions:
            summary["mask_shares"] = {
                "[MASK]": sums.hidden / sums.predictions,
                "kept": sums.kept / sums.predictions,
                "random": sums.replaced / sums.predictions,
            }
    infos = [report.info for report in reports]
    if all(infos):
        summary |= {
            name: value
            for name, value in _agreed(infos, (*CHOICES, "tokenizer")).items()
            if name not in summary
        }
    summary["sets"] = list(_rows(reports))
    return summary


def summary_lines(summary: Mapping[str, Any]) -> Iterator[str]:
    """Yields a summary in lines to read."""
    yield from _table(summary["sets"])
    yield ""
    yield from _facts(summary)
    if summary.get("length_counts"):
        yield ""
        yield from _histogram(summary["length_counts"], summary["max_seq_length"])


def _of_features(report: FileReport) -> dict[str, Any]:
    found = {
        "max_seq_length": report.features["input_ids"],
        "dynamic_masking": "token_units" in report.features,
    }
    if "masked_lm_weights" in report.features:
        found["max_predictions_per_seq"] = report.features["masked_lm_weights"]
    return found


def _agreed(values: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """Returns what all say alike."""
    return {
        name: values[0][name]
        for name in names
        if values and all(name in each and each[name] == values[0][name] for each in values)
    }


def _rows(reports: Sequence[FileReport]) -> Iterator[dict[str, Any]]:
    by_set: dict[str, list[FileReport]] = {}
    for report in reports:
        shard = shard_name(report.path)
        name = f"{shard.set_path}-*-of-{shard.count:05d}" if shard else report.path
        by_set.setdefault(name, []).append(report)
    for name, of_set in by_set.items():
        sums = ExampleSums()
        for report in of_set:
            sums.add(report.sums)
        yield {
            "name": name,
            "files": len(of_set),
            "records": sums.records + sum(report.problem_records for report in of_set),
            "bytes": sum(report.bytes for report in of_set),
            "instance_tokens": sums.instance_tokens,
            "problems": sum(len(report.problems) for report in of_set),
        }


def _table(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    shown = [
        (
            row["name"],
            f"{row['files']:,}",
            f"{row['records']:,}",
            f"{row['bytes']:,}",
            f"{row['bytes'] / _MEGABYTE:,.1f}",
            f"{row['instance_tokens']:,}",
            f"{row['problems']:,}",
        )
        for row in rows[:_MAX_ROWS]
    ]
    shown.insert(0, ("", "files", "records", "bytes", "MB", "tokens", "problems"))
    widths = [max(map(_width, column)) for column in zip(*shown)]
    for name, *cells in shown:
        padding = " " * (widths[0] - _width(name))
        numbers = "  ".join(cell.rjust(width) for cell, width in zip(cells, widths[1:]))
        yield f"{name}{padding}  {numbers}"
    if len(rows) > _MAX_ROWS:
        yield f"... and {len(rows) - _MAX_ROWS:,} more"


def _facts(summary: Mapping[str, Any]) -> Iterator[str]:
    facts = {
        "files": f"{summary['files']:,}",
        "records": f"{summary['records']:,}",
        "size": f"{summary['bytes']:,} bytes ({summary['bytes'] / _MEGABYTE:,.1f} MB)",
    }
    if "mean_length" in summary:
        facts |= {
            "tokens": f"{summary['instance_tokens']:,}, and {summary['padding_share']:.1%} padding",
            "mean length": f"{summary['mean_length']:.1f}"
            + (f" of {summary['max_seq_length']}" if "max_seq_length" in summary else ""),
            "random next": f"{summary['random_next_share']:.1%} of the records",
        }
    if "predictions" in summary:
        cap = summary.get("max_predictions_per_seq")
        facts["masks"] = (
            f"{summary['predictions']:,}, {summary['masks_per_record']:.2f} a record"
            f"{f' of at most {cap}' if cap else ''}, {summary['masked_share']:.1%} of the tokens"
        )
        if summary["records_without_masks"]:
            facts["without masks"] = f"{summary['records_without_masks']:,} records"
    elif summary.get("dynamic_masking"):
        facts["masks"] = "drawn when the records are read (--dynamic_masking)"
    if "mask_shares" in summary:
        facts["they show"] = ", ".join(
            f"{name} {share:.1%}" for name, share in summary["mask_shares"].items()
        )
    made = [
        f"{name} {summary[name]}"
        for name in CHOICES
        if name in summary and name not in _SHOWN_ELSEWHERE
    ]
    if made:
        facts["made with"] = ", ".join(made)
    if isinstance(summary.get("tokenizer"), dict):
        facts["tokenizer"] = ", ".join(
            f"{name} {str(summary['tokenizer'][name])[:_SHOWN]}"
            for name in _CONTRACT_KEYS
            if name in summary["tokenizer"]
        )
    width = max(map(len, facts))
    for name, fact in facts.items():
        yield f"{name:{width}}  {fact}"


def _histogram(counts: Sequence[int], max_seq_length: int) -> Iterator[str]:
    yield "lengths"
    total = sum(counts)
    for number, count in enumerate(counts):
        # The first and the last length that fall into it.
        first = -(-number * max_seq_length // LENGTH_RANGES) + 1
        last = -(-(number + 1) * max_seq_length // LENGTH_RANGES)
        bar = "#" * round(_BAR_WIDTH * count / max(counts))
        yield f"  {first:4d} to {last:4d}  {count / total:6.1%}  {bar}".rstrip()


def _width(text: str) -> int:
    """Returns how many columns of a terminal `text` takes."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )
