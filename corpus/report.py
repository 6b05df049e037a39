"""The report of a cleaning run: what became of each source, and what every rule did to it."""

import json
import os
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from deeq_bert.corpus import report_html, report_markdown, report_text, report_warnings, writing
from deeq_bert.corpus.accounting import (
    CHARACTER_CLASSES,
    FIGURES,
    LENGTH_BINS,
    Account,
    RuleAccount,
)
from deeq_bert.corpus.cleaning import NOTHING_LEFT
from deeq_bert.corpus.progress import duration
from deeq_bert.corpus.rules import catalogue
from deeq_bert.tokenizers.files import atomic_outputs, make_folder

JSON_NAME = "report.json"
MARKDOWN_NAME = "report.md"
HTML_NAME = "report.html"

DECONTAMINATION = "decontamination"
# The stages in their order; between the first and the second, lines are split into sentences.
TEXT_STAGE = "text"
LINE_STAGE = "line"
DOCUMENT_STAGE = "document"
CORPUS_STAGE = "corpus"

_MOST_FREQUENT = 5


def make_report(accounts: Mapping[str, Account], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Makes the report of a run.

    Args:
      accounts: By the name of a source: what became of it. The report keeps the order.
      facts: What is known of the run beside: "seconds", "num_workers", "outputs", "heldout",
        "settings", "sources" (the settings of each), "decontamination_files", "repeated_lines",
        "near_duplicate_clusters". All are values that JSON has, and are in the report as they
        are, but for the settings of the sources, which stand with each source.

    Returns:
      The facts and "total", "sources" (by name) and "warnings"; all values that JSON has.
    """
    settings = facts.get("sources", {})
    total = Account(0, "")
    sources = {}
    for name, account in accounts.items():
        total.add(account)
        sources[name] = {"settings": settings.get(name, {}), **_describe(account)}
    seconds = facts.get("seconds") or 0.0
    report = {
        **facts,
        "total": {**_describe(total), "mb_per_second": _megabytes_per_second(total, seconds)},
        "sources": sources,
    }
    report["warnings"] = report_warnings.find_warnings(report)
    return report


def write_report(folder: str, report: Mapping[str, Any]) -> list[str]:
    """Writes the report as JSON, Markdown and HTML.

    Returns:
      The paths of the files.

    Raises:
      InputError: They cannot be written.
    """
    make_folder(folder)
    paths = [os.path.join(folder, name) for name in (JSON_NAME, MARKDOWN_NAME, HTML_NAME)]
    # Halves of surrogate pairs, which broken records can have, become escapes that JSON knows.
    values = json.dumps(report, ensure_ascii=False, indent=1).encode("utf-8", "backslashreplace")
    contents = [
        values + b"\n",
        report_markdown.page(report).encode("utf-8"),
        report_html.page(report).encode("utf-8"),
    ]
    with atomic_outputs(paths) as files:
        for file, content in zip(files, contents):
            file.write(content)
    return paths


def summary_lines(report: Mapping[str, Any]) -> list[str]:
    """Returns the report in some lines for the terminal."""
    rows = [
        ("source", "documents in", "out", "lines in", "out", "MB in", "out", "MB/s a core"),
        *(_summary_row(name, source) for name, source in report["sources"].items()),
    ]
    if len(report["sources"]) > 1:
        rows.append(_summary_row("all", report["total"]))
    lines = list(_table(rows))
    total = report["total"]
    if total["heldout_documents"]:
        lines.append(
            f"Held out: {total['heldout_documents']:,} documents, {total['heldout_lines']:,} lines"
        )
    if total["mb_per_second"] is not None:
        lines.append(
            f"{total['mb_per_second']:.1f} MB/s in all: {duration(report['seconds'])} with "
            f"{report['num_workers']} processes"
        )
    rules = sorted(
        total["rules"], key=lambda rule: rule["lines_removed"] + rule["lines_changed"], reverse=True
    )
    if rules:
        lines.append("The most frequent rules:")
    for rule in rules[:_MOST_FREQUENT]:
        did = [
            f"{verb} {rule[count]:,} lines"
            for verb, count in (("removed", "lines_removed"), ("changed", "lines_changed"))
            if rule[count]
        ]
        if rule["documents_removed"]:
            did.append(f"removed {rule['documents_removed']:,} documents")
        lines.append(f"  {report_text.visible_line(rule['name'])}: {', '.join(did)}")
    if report["warnings"]:
        lines.append("To look at:")
    lines.extend(f"  {report_text.visible_line(warning)}" for warning in report["warnings"])
    return lines


def _describe(account: Account) -> dict[str, Any]:
    rules = list(_describe_rules(account))
    characters = dict(zip(CHARACTER_CLASSES, account.class_counts.tolist()))
    not_space = sum(characters.values()) - characters["space"]
    return {
        **{name: getattr(account, name) for name in FIGURES},
        "cpu_seconds": round(account.seconds, 3),
        "mb_per_cpu_second": _megabytes_per_second(account, account.seconds),
        "encodings": dict(account.encodings),
        "broken_records": sum(count for count, _ in account.broken.values()),
        "broken": [
            {
                "problem": problem,
                "count": count,
                "samples": [{"place": place, "text": text} for place, text in samples],
            }
            for problem, (count, samples) in _by_count(account.broken)
        ],
        "line_lengths": _histogram(account.length_counts.tolist()),
        "document_lengths": _histogram(account.document_length_counts.tolist()),
        "characters": characters,
        "character_shares": {
            name: report_text.share(count, not_space)
            for name, count in characters.items()
            if name != "space"
        },
        "rules": rules,
        "balance": {
            "documents": _balance(
                account.documents_in,
                account.documents_out,
                account.heldout_documents,
                sum(rule["documents_removed"] for rule in rules),
            ),
            "sentences": _balance(
                account.sentences,
                account.lines_out,
                account.heldout_lines,
                sum(rule["lines_removed"] for rule in rules if rule["stage"] != TEXT_STAGE),
            ),
        },
    }


def _describe_rules(account: Account) -> Iterator[dict[str, Any]]:
    """Yields what each rule did that fired, in the order the rules work."""
    left = account.lines_in
    stage_before = TEXT_STAGE
    for stage, names in _steps(account):
        if stage_before == TEXT_STAGE != stage:
            left = account.sentences
        stage_before = stage
        if writing.HELDOUT_LINE in names:
            left -= account.heldout_lines
        fired = [name for name in names if name in account.rules]
        for name in fired:
            yield _describe_rule(name, stage, max(0, left), account)
        left -= sum(account.rules[name].removed_lines for name in fired)


def _describe_rule(name: str, stage: str, lines_seen: int, account: Account) -> dict[str, Any]:
    rule: RuleAccount = account.rules[name]
    return {
        "name": name,
        "stage": stage,
        "summary": _summaries().get(name, ""),
        "lines_seen": lines_seen,
        "lines_changed": rule.changed,
        "lines_removed": rule.removed_lines,
        "documents_removed": rule.removed_documents,
        "bytes_removed": rule.removed_bytes,
        "share_changed": report_text.share(rule.changed, lines_seen),
        "share_removed": report_text.share(rule.removed_lines, lines_seen),
        "share_of_documents": report_text.share(rule.removed_documents, account.documents_in),
        "share_of_bytes": report_text.share(rule.removed_bytes, account.bytes_in),
        "changed_samples": [
            {"before": before, "after": after} for before, after in rule.changed_samples
        ],
        "removed_samples": [text for (text,) in rule.removed_samples],
    }


def _steps(account: Account) -> Iterator[tuple[str, Sequence[str]]]:
    """Yields stages and rules in the order they work; those that stand together see the same."""
    steps: list[tuple[str, Sequence[str]]] = [
        *((TEXT_STAGE, [rule.name]) for rule in catalogue.TEXT_RULES),
        *((LINE_STAGE, [rule.name]) for rule in catalogue.LINE_FILTERS),
    ]
    after_line_filters = [
        (CORPUS_STAGE, [DECONTAMINATION]),
        *((DOCUMENT_STAGE, [rule.name]) for rule in catalogue.DOCUMENT_FILTERS),
        (CORPUS_STAGE, [writing.DUPLICATE_DOCUMENT]),
        (CORPUS_STAGE, [writing.NEAR_RULE]),
        (CORPUS_STAGE, [writing.DUPLICATE_LINE, writing.REPEATED_LINE]),
        (CORPUS_STAGE, [writing.HELDOUT_LINE]),
        (CORPUS_STAGE, [writing.NOT_TAKEN]),
        (CORPUS_STAGE, [NOTHING_LEFT]),
    ]
    known = {name for _, names in [*steps, *after_line_filters] for name in names}
    yield from steps
    # A rule that no list has can only be a further line filter (see cleaning.Cleaner).
    yield from ((LINE_STAGE, [name]) for name in account.rules if name not in known)
    yield from after_line_filters


def _summaries() -> dict[str, str]:
    rules = [*catalogue.TEXT_RULES, *catalogue.LINE_FILTERS, *catalogue.DOCUMENT_FILTERS]
    return {
        **{rule.name: rule.summary for rule in rules},
        DECONTAMINATION: "Drops lines that are in the files of the given tasks.",
        NOTHING_LEFT: "Counts documents that lost their last line to other rules.",
        writing.DUPLICATE_LINE: "Drops a line that came before in the corpus.",
        writing.REPEATED_LINE: "Drops a line that comes often, in many documents.",
        writing.DUPLICATE_DOCUMENT: "Drops a document that came before in the corpus.",
        writing.NEAR_RULE: "Drops a document that is much like an earlier one.",
        writing.HELDOUT_LINE: "Drops a line of the text that is in the held-out documents, too.",
        writing.NOT_TAKEN: "Leaves out documents for the weight or the cap of the source.",
    }


def _balance(number: int, out: int, held_out: int, removed: int) -> dict[str, int]:
    return {
        "in": number,
        "out": out,
        "held_out": held_out,
        "removed": removed,
        "difference": out + held_out + removed - number,
    }


def _histogram(counts: Sequence[int]) -> list[dict[str, Any]]:
    return [{"up_to": top, "count": count} for top, count in zip([*LENGTH_BINS, None], counts)]


def _by_count(broken: Mapping[str, tuple]) -> list[tuple[str, tuple]]:
    return sorted(broken.items(), key=lambda item: item[1][0], reverse=True)


def _megabytes_per_second(account: Account, seconds: float) -> float | None:
    return round(account.bytes_in / 1e6 / seconds, 3) if seconds else None


def _summary_row(name: str, source: Mapping[str, Any]) -> tuple[str, ...]:
    speed = source["mb_per_cpu_second"]
    return (
        report_text.visible_line(name),
        f"{source['documents_in']:,}",
        f"{source['documents_out']:,}",
        f"{source['lines_in']:,}",
        f"{source['lines_out']:,}",
        f"{source['bytes_in'] / 1e6:,.1f}",
        f"{source['bytes_out'] / 1e6:,.1f}",
        "" if speed is None else f"{speed:.1f}",
    )


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yields rows with their columns one under the other, the first to the left."""
    widths = [max(map(_width, column)) for column in zip(*rows)]
    for row in rows:
        cells = [" " * (width - _width(cell)) + cell for cell, width in zip(row, widths)]
        cells[0] = row[0] + " " * (widths[0] - _width(row[0]))
        yield "  ".join(cells).rstrip()


def _width(text: str) -> int:
    """Returns how many columns of a terminal a text takes."""
    return sum(1 + (unicodedata.east_asian_width(character) in "WF") for character in text)
