"""The report of a cleaning run as Markdown: what the HTML has, with fewer samples."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from deeq_bert.corpus.progress import duration
from deeq_bert.corpus.report_text import by_share, histogram_shares, percent, size, visible_line
from deeq_bert.corpus.report_warnings import over_removal

_MAX_SAMPLES = 5
_MAX_FILES = 20
_PUNCTUATION = re.compile(r"([\\`*_\[\]<>#|~&$])")
_BACKTICKS = re.compile(r"`+")
_BAR_CHARACTERS = 20


def page(report: Mapping[str, Any]) -> str:
    """Returns the page."""
    return "\n".join(
        [
            "# Cleaning report",
            "",
            *_head(report),
            *(line for name, source in report["sources"].items() for line in _source(name, source)),
            *_repeated_lines(report.get("repeated_lines", [])),
            *_clusters(report.get("near_duplicate_clusters", [])),
            *_run(report),
        ]
    )


def _head(report: Mapping[str, Any]) -> Iterator[str]:
    total = report["total"]
    yield f"- {total['documents_in']:,} documents in, {total['documents_out']:,} out"
    yield f"- {total['lines_in']:,} lines in, {total['lines_out']:,} out"
    yield f"- {size(total['bytes_in'])} in, {size(total['bytes_out'])} out"
    if total["heldout_documents"]:
        yield (
            f"- {total['heldout_documents']:,} documents held out, {total['heldout_lines']:,} lines"
        )
    if total["mb_per_second"] is not None:
        yield (
            f"- {total['mb_per_second']:.1f} MB/s: {duration(report['seconds'])} with "
            f"{report.get('num_workers', 1)} processes"
        )
    yield ""
    yield "## To look at"
    yield ""
    yield from (f"- {_inline(warning)}" for warning in report["warnings"])
    if not report["warnings"]:
        yield "Nothing stands out."
    yield ""
    yield "## Sources"
    yield ""
    rows = [(_inline(name), source) for name, source in report["sources"].items()]
    if len(rows) > 1:
        rows.append(("all", total))
    yield from _table(
        (
            "source",
            "documents in",
            "out",
            "lines in",
            "sentences",
            "out",
            "bytes in",
            "out",
            "MB/s a core",
        ),
        (
            (
                name,
                f"{source['documents_in']:,}",
                f"{source['documents_out']:,}",
                f"{source['lines_in']:,}",
                f"{source['sentences']:,}",
                f"{source['lines_out']:,}",
                size(source["bytes_in"]),
                size(source["bytes_out"]),
                f"{source['mb_per_cpu_second'] or 0:.1f}",
            )
            for name, source in rows
        ),
    )


def _source(name: str, source: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {_inline(name)}"
    yield ""
    rules = by_share(source["rules"])
    yield from _table(
        ("rule", "stage", "lines removed", "share", "changed", "share", "documents", "bytes"),
        (
            (
                f"**{_inline(rule['name'])}**" if over_removal(rule) else _inline(rule["name"]),
                _inline(rule["stage"]),
                f"{rule['lines_removed']:,}",
                percent(rule["share_removed"]),
                f"{rule['lines_changed']:,}",
                percent(rule["share_changed"]),
                f"{rule['documents_removed']:,}",
                size(rule["bytes_removed"]),
            )
            for rule in rules
        ),
    )
    for rule in rules:
        yield from _samples(rule)
    yield from _histograms(source)
    encodings = [
        f"{count:,} in {_inline(encoding)}" for encoding, count in source["encodings"].items()
    ]
    yield f"- {source['files']:,} files: {', '.join(encodings)}"
    yield (
        f"- {source['replaced_characters']:,} characters for bytes that could not be decoded, "
        f"{source['broken_records']:,} records that could not be read"
    )
    for what, balance in source["balance"].items():
        yield (
            f"- {what}: {balance['in']:,} in = {balance['out']:,} written + "
            f"{balance['held_out']:,} held out + {balance['removed']:,} removed"
            + (f"; off by {balance['difference']:,}" if balance["difference"] else "")
        )
    yield ""
    for broken in source["broken"]:
        yield f"### {_inline(broken['problem'])}: {broken['count']:,} records"
        yield ""
        samples = broken["samples"][:_MAX_SAMPLES]
        yield from _fenced(f"{sample['place']}: {sample['text']}" for sample in samples)


def _samples(rule: Mapping[str, Any]) -> Iterator[str]:
    lines: list[str] = []
    for text in rule["removed_samples"][:_MAX_SAMPLES]:
        lines.append(f"- {text}")
    for sample in rule["changed_samples"][:_MAX_SAMPLES]:
        lines.append(f"- {sample['before']}")
        lines.append(f"+ {sample['after']}")
    if lines:
        yield f"### {_inline(rule['name'])}"
        yield ""
        yield _inline(rule["summary"])
        yield ""
        yield from _fenced(lines, "diff")


def _histograms(source: Mapping[str, Any]) -> Iterator[str]:
    yield "### What is written"
    yield ""
    yield from _bars("characters", source["character_shares"].items())
    yield from _bars("characters of a line", histogram_shares(source["line_lengths"]))
    yield from _bars("lines of a document", histogram_shares(source["document_lengths"]))


def _bars(title: str, shares: Iterable[tuple[str, float]]) -> Iterator[str]:
    yield from _table(
        (title, "share", ""),
        (
            (label, percent(value), "█" * round(_BAR_CHARACTERS * value))
            for label, value in shares
            if value
        ),
    )


def _repeated_lines(lines: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not lines:
        return
    yield "## Most repeated lines"
    yield ""
    yield from _fenced(
        f"{line['count']:>9,} times in {line['documents']:,} documents: {line['line']}"
        for line in lines
    )


def _clusters(clusters: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not clusters:
        return
    yield "## Largest groups of near-duplicate documents"
    yield ""
    for cluster in clusters:
        yield f"{cluster['size']:,} documents:"
        yield ""
        yield from _fenced(
            f"{document['source']}: {document['beginning']}"
            for document in cluster["documents"][:_MAX_SAMPLES]
        )


def _run(report: Mapping[str, Any]) -> Iterator[str]:
    yield "## Files"
    yield ""
    outputs = [*report.get("outputs", []), *filter(None, [report.get("heldout")])]
    yield from (
        f"- {_inline(file['path'])}: {size(file['bytes'])}" for file in outputs[:_MAX_FILES]
    )
    if len(outputs) > _MAX_FILES:
        yield f"- and {len(outputs) - _MAX_FILES:,} more"
    for path in report.get("decontamination_files", []):
        yield f"- held against {_inline(path)}"
    yield ""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yields a table of cells that are Markdown already, and a blank line."""
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |'}{' ---: |' * (len(head) - 1)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""


def _fenced(texts: Iterable[str], language: str = "text") -> Iterator[str]:
    """Yields texts in a block that none of them can end, each on a line, and a blank line."""
    lines = [visible_line(text) for text in texts]
    longest = max((len(run) for line in lines for run in _BACKTICKS.findall(line)), default=0)
    fence = "`" * max(3, longest + 1)
    yield fence + language
    yield from lines
    yield fence
    yield ""


def _inline(text: str) -> str:
    """Returns a text as Markdown that shows it, in a line or a cell, and does nothing else."""
    return _PUNCTUATION.sub(r"\\\1", visible_line(text))
