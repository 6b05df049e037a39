"""The report of a cleaning run as one HTML file, to be read in a browser without a network."""

import functools
import html
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from deeq_bert.corpus import report_text
from deeq_bert.corpus.progress import duration
from deeq_bert.corpus.report_style import STYLE
from deeq_bert.corpus.report_text import by_share, histogram_shares, percent, share, size
from deeq_bert.corpus.report_warnings import over_removal

# With more sources than this, each is folded.
_MAX_OPEN_SOURCES = 3
_TAGS = {
    report_text.KEPT: "{}",
    report_text.REMOVED: "<del>{}</del>",
    report_text.ADDED: "<ins>{}</ins>",
}
# Nothing may be loaded and no script run, whatever stands in a sample.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(report: Mapping[str, Any]) -> str:
    """Returns the page."""
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            "<title>Cleaning report</title>",
            f"<style>{STYLE}</style>",
            "</head>",
            "<body>",
            *_head(report),
            *_sources(report),
            *_repeated_lines(report.get("repeated_lines", [])),
            *_clusters(report.get("near_duplicate_clusters", [])),
            *_run(report),
            "</body>",
            "</html>",
            "",
        ]
    )


def _head(report: Mapping[str, Any]) -> Iterator[str]:
    total = report["total"]
    yield "<h1>Cleaning report</h1>"
    yield '<ul class="tiles">'
    for label, before, after in (
        ("documents", f"{total['documents_in']:,}", f"{total['documents_out']:,}"),
        ("lines", f"{total['lines_in']:,}", f"{total['lines_out']:,}"),
        ("bytes", size(total["bytes_in"]), size(total["bytes_out"])),
    ):
        yield f"<li><b>{before} → {after}</b> {label} in and out</li>"
    if total["heldout_documents"]:
        yield (
            f"<li><b>{total['heldout_documents']:,}</b> documents held out, "
            f"{total['heldout_lines']:,} lines</li>"
        )
    yield f"<li><b>{_speed(total['mb_per_cpu_second'])}</b> a core</li>"
    if total["mb_per_second"] is not None:
        yield (
            f"<li><b>{_speed(total['mb_per_second'])}</b> in all, "
            f"{duration(report['seconds'])} with {report.get('num_workers', 1)} processes</li>"
        )
    yield "</ul>"
    yield "<h2>To look at</h2>"
    if report["warnings"]:
        yield '<ul class="warnings">'
        yield from (f"<li>{_text(warning)}</li>" for warning in report["warnings"])
        yield "</ul>"
    else:
        yield "<p>Nothing stands out.</p>"
    yield from _table_of_sources(report)


def _table_of_sources(report: Mapping[str, Any]) -> Iterator[str]:
    rows = [
        (f'<a href="#source-{number}">{_text(name)}</a>', *_source_cells(source))
        for number, (name, source) in enumerate(report["sources"].items())
    ]
    if len(rows) > 1:
        rows.append(("<b>all</b>", *_source_cells(report["total"])))
    yield "<h2>Sources</h2>"
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
            "kept",
            "a core",
        ),
        rows,
    )


def _source_cells(source: Mapping[str, Any]) -> tuple[str, ...]:
    kept = share(source["bytes_out"] + source["heldout_bytes"], source["bytes_in"])
    return (
        f"{source['documents_in']:,}",
        f"{source['documents_out']:,}",
        f"{source['lines_in']:,}",
        f"{source['sentences']:,}",
        f"{source['lines_out']:,}",
        size(source["bytes_in"]),
        size(source["bytes_out"]),
        f"{_bar(kept)} {percent(kept)}",
        _speed(source["mb_per_cpu_second"]),
    )


def _sources(report: Mapping[str, Any]) -> Iterator[str]:
    folded = len(report["sources"]) > _MAX_OPEN_SOURCES
    for number, (name, source) in enumerate(report["sources"].items()):
        yield f'<h2 id="source-{number}">{_text(name)}</h2>'
        description = source["settings"].get("settings", {}).get("description", "")
        if description:
            yield f"<p>{_text(description)}</p>"
        yield f"<details{'' if folded else ' open'}><summary>Rules and text</summary>"
        yield from _rules(source)
        yield from _text_of_source(source)
        yield from _broken(source)
        yield from _balance(source)
        yield from _settings("Settings", source["settings"])
        yield "</details>"


def _rules(source: Mapping[str, Any]) -> Iterator[str]:
    rules = by_share(source["rules"])
    if not rules:
        yield "<p>No rule found anything to do.</p>"
        return
    yield "<h3>Rules</h3>"
    yield (
        "<p>Those that remove the largest share of the lines they see come first; a rule opens to "
        'its samples. <span class="key removes">removed</span> '
        '<span class="key changes">changed</span></p>'
    )
    yield '<div class="rules">'
    for rule in rules:
        yield from _rule(rule)
    yield "</div>"


def _rule(rule: Mapping[str, Any]) -> Iterator[str]:
    suspect = over_removal(rule)
    yield f'<details class="rule{" suspect" if suspect else ""}"><summary>'
    yield f"<span><code>{_text(rule['name'])}</code> <small>{_text(rule['stage'])}</small></span>"
    yield _bar_with_share("removes", rule["share_removed"], rule["lines_removed"])
    yield _bar_with_share("changes", rule["share_changed"], rule["lines_changed"])
    if rule["documents_removed"]:
        yield f"<span>{rule['documents_removed']:,} documents</span>"
    yield "</summary>"
    if suspect:
        yield f'<p class="suspect">It {_text(suspect)}.</p>'
    if rule["summary"]:
        yield f"<p>{_text(rule['summary'])}</p>"
    yield (
        f"<p>Of {rule['lines_seen']:,} lines it removed {rule['lines_removed']:,} and changed "
        f"{rule['lines_changed']:,}; {rule['documents_removed']:,} documents went whole; "
        f"{size(rule['bytes_removed'])} less text ({percent(rule['share_of_bytes'])}).</p>"
    )
    if rule["removed_samples"]:
        yield f"<h4>Removed: {_sample_of(rule['removed_samples'], rule['lines_removed'])}</h4>"
        yield '<ul class="samples" lang="ko">'
        yield from (
            f'<li class="removed"><del>{_text(text)}</del></li>' for text in rule["removed_samples"]
        )
        yield "</ul>"
    if rule["changed_samples"]:
        yield f"<h4>Changed: {_sample_of(rule['changed_samples'], rule['lines_changed'])}</h4>"
        yield '<ul class="samples" lang="ko">'
        for sample in rule["changed_samples"]:
            yield f"<li>{_difference(sample['before'], sample['after'])}</li>"
        yield "</ul>"
    yield "</details>"


def _sample_of(samples: Sequence[Any], number: int) -> str:
    return f"{len(samples):,} of {max(number, len(samples)):,}, at random"


def _difference(before: str, after: str) -> str:
    return "".join(
        _TAGS[kind].format(_text(text)) for kind, text in report_text.difference(before, after)
    )


def _text_of_source(source: Mapping[str, Any]) -> Iterator[str]:
    yield "<h3>What is written</h3>"
    yield '<div class="columns">'
    shares = source["character_shares"]
    yield from _bars("Characters, without blanks", shares.items())
    yield from _bars(
        "Lines by their length in characters", histogram_shares(source["line_lengths"])
    )
    yield from _bars(
        "Documents by their number of lines", histogram_shares(source["document_lengths"])
    )
    yield "</div>"
    encodings = ", ".join(
        f"{count:,} in {_text(encoding)}" for encoding, count in source["encodings"].items()
    )
    yield (
        f"<p>{source['files']:,} files ({encodings or 'no encoding known'}); "
        f"{source['replaced_characters']:,} characters stand for bytes that could not be "
        f"decoded; {source['broken_records']:,} records could not be read.</p>"
    )


def _broken(source: Mapping[str, Any]) -> Iterator[str]:
    for broken in source["broken"]:
        yield (
            f'<details class="rule"><summary><span>{_text(broken["problem"])}</span>'
            f"<span>{broken['count']:,} records</span></summary>"
        )
        yield '<ul class="samples" lang="ko">'
        for sample in broken["samples"]:
            yield f"<li><b>{_text(sample['place'])}</b>: {_text(sample['text'])}</li>"
        yield "</ul></details>"


def _balance(source: Mapping[str, Any]) -> Iterator[str]:
    yield "<h3>The sum</h3>"
    yield "<p>What came in is written, held out, or removed by a rule with a name:</p>"
    rows = []
    for what, balance in source["balance"].items():
        difference = balance["difference"]
        again = f"{difference:,} written again" if difference > 0 else ""
        fault = f"{-difference:,} not accounted for" if difference < 0 else ""
        numbers = (f"{balance[name]:,}" for name in ("in", "out", "held_out", "removed"))
        rows.append((what, *numbers, again or fault or "adds up"))
    yield from _table(("", "in", "= written", "+ held out", "+ removed", ""), rows)


def _repeated_lines(lines: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not lines:
        return
    yield "<h2>Most repeated lines</h2>"
    yield from _table(
        ("times", "documents", '<span class="text">line</span>'),
        (
            (
                f"{line['count']:,}",
                f"{line['documents']:,}",
                f'<span class="text" lang="ko">{_text(line["line"])}</span>',
            )
            for line in lines
        ),
    )


def _clusters(clusters: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not clusters:
        return
    yield "<h2>Largest groups of near-duplicate documents</h2>"
    for cluster in clusters:
        yield f'<details class="rule"><summary><span>{cluster["size"]:,} documents</span></summary>'
        yield '<ul class="samples" lang="ko">'
        for document in cluster["documents"]:
            yield f"<li><b>{_text(document['source'])}</b>: {_text(document['beginning'])}</li>"
        yield "</ul></details>"


def _run(report: Mapping[str, Any]) -> Iterator[str]:
    yield "<h2>The run</h2>"
    outputs = [*report.get("outputs", []), *filter(None, [report.get("heldout")])]
    yield f"<details><summary>{len(outputs):,} files written</summary>"
    yield from _table(
        ("file", "bytes"), ((_text(file["path"]), size(file["bytes"])) for file in outputs)
    )
    yield "</details>"
    if report.get("decontamination_files"):
        yield "<p>The text was held against the tasks in these files:</p><ul>"
        yield from (f"<li>{_text(path)}</li>" for path in report["decontamination_files"])
        yield "</ul>"
    yield from _settings("Settings", report.get("settings", {}))


def _settings(title: str, settings: Mapping[str, Any]) -> Iterator[str]:
    if settings:
        text = json.dumps(settings, ensure_ascii=False, indent=2)
        yield f"<details><summary>{title}</summary><pre>{_text(text)}</pre></details>"


def _bars(title: str, shares: Iterable[tuple[str, float]]) -> Iterator[str]:
    shares = [(label, value) for label, value in shares]
    largest = max((value for _, value in shares), default=0.0) or 1.0
    yield f'<figure><figcaption>{title}</figcaption><table class="bars">'
    for label, value in shares:
        yield (
            f"<tr><th>{_text(label)}</th><td>{_bar(value / largest)}</td>"
            f"<td>{percent(value)}</td></tr>"
        )
    yield "</table></figure>"


def _bar_with_share(kind: str, value: float, number: int) -> str:
    if not number:
        return f'<span class="{kind}"></span>'
    return f'<span class="{kind}">{_bar(value)} {percent(value)} <small>{number:,}</small></span>'


def _bar(value: float) -> str:
    return f'<span class="bar"><i style="width:{_bar_percent(value)}%"></i></span>'


def _bar_percent(value: float) -> str:
    # What is there at all is to be seen.
    return f"{max(2.0, 100 * value) if value else 0:.1f}"


def _speed(megabytes: float | None) -> str:
    return "–" if megabytes is None else f"{megabytes:.1f} MB/s"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yields a table of cells that are HTML already."""
    yield '<div class="wide"><table>'
    yield f"<tr>{''.join(f'<th>{cell}</th>' for cell in head)}</tr>"
    for row in rows:
        yield f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>"
    yield "</table></div>"


def _text(text: str) -> str:
    """Returns text as HTML that shows it and does nothing else."""
    return report_text.visible(html.escape(text), _show)


@functools.cache
def _show(character: str) -> str:
    name = html.escape(report_text.character_name(character))
    point = report_text.code_point(character)
    return f'<span class="code" title="{name}">{point}</span>'
