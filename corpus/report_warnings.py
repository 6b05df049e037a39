"""What a person should look at in the report of a cleaning run, in plain words."""

from collections.abc import Iterator, Mapping
from typing import Any

from deeq_bert.corpus.cleaning import NOTHING_LEFT
from deeq_bert.corpus.report_text import percent, share
from deeq_bert.corpus.writing import NOT_TAKEN

# A rule is suspect if it removes more than these shares of a source ...
MAX_REMOVED_LINES = 0.10
MAX_REMOVED_BYTES = 0.20
MAX_REMOVED_DOCUMENTS = 0.20
# ... or changes more than this share of its lines ...
MAX_CHANGED_LINES = 0.50
# ... unless it is but a few lines, which say nothing.
MIN_LINES = 10
MAX_BROKEN_RECORDS = 0.01
MIN_KEPT_BYTES = 0.5
# Of the characters that are not blanks.
MIN_HANGUL = 0.5
# Lines that long are seldom one sentence; one of the ends of accounting.LENGTH_BINS.
LONG_LINE = 480
MAX_LONG_LINES = 0.02
# In less text than this, that a rule finds nothing says nothing.
MIN_LINES_FOR_UNUSED = 1000

# Documents that the user did not want are not the fault of a rule, and those with nothing left
# are that of the rules that removed their lines.
_NOT_SUSPECT = (NOT_TAKEN, NOTHING_LEFT)


def find_warnings(report: Mapping[str, Any]) -> list[str]:
    """Returns what to look at, each in a sentence that begins with the name of the source."""
    warnings = []
    for name, source in report["sources"].items():
        warnings.extend(f"{name}: {problem}" for problem in _problems(source))
        for rule in source["rules"]:
            problem = over_removal(rule)
            if problem:
                warnings.append(f"{name}: the rule {rule['name']} {problem}; read its samples.")
        unused = _unused_rules(source)
        if unused:
            warnings.append(
                f"{name}: named in its settings, but without anything to do: {', '.join(unused)}."
            )
    return warnings


def over_removal(rule: Mapping[str, Any]) -> str:
    """Returns in what a rule goes far, or "" if it does not."""
    if rule["name"] in _NOT_SUSPECT:
        return ""
    if rule["lines_removed"] >= MIN_LINES:
        for name, most, what in (
            ("share_removed", MAX_REMOVED_LINES, "of the lines it sees"),
            ("share_of_bytes", MAX_REMOVED_BYTES, "of the bytes"),
            ("share_of_documents", MAX_REMOVED_DOCUMENTS, "of the documents"),
        ):
            if rule[name] > most:
                return f"removes {percent(rule[name])} {what}"
    if rule["lines_changed"] >= MIN_LINES:
        if rule["share_of_bytes"] > MAX_REMOVED_BYTES:
            return f"takes away {percent(rule['share_of_bytes'])} of the bytes"
        if rule["share_changed"] > MAX_CHANGED_LINES:
            return f"changes {percent(rule['share_changed'])} of the lines it sees"
    return ""


def _problems(source: Mapping[str, Any]) -> Iterator[str]:
    if not source["documents_in"]:
        yield "no document was found in its files; see whether the reader is the right one."
    elif not source["lines_out"] + source["heldout_lines"]:
        yield "nothing is left of it; see which rule removed the most."
    else:
        yield from _text_problems(source)
    records = source["documents_in"] + source["broken_records"]
    broken = share(source["broken_records"], records)
    if broken > MAX_BROKEN_RECORDS:
        yield (
            f"{percent(broken)} of the records could not be read "
            f"({source['broken_records']:,} of {records:,})."
        )
    others = [
        f"{count:,} in {encoding}"
        for encoding, count in source["encodings"].items()
        if encoding != "utf-8"
    ]
    if others:
        yield f"files that are not UTF-8: {', '.join(others)}; see whether their text is right."
    if source["replaced_characters"]:
        yield (
            f"{source['replaced_characters']:,} characters stand for bytes that could not be "
            "decoded."
        )
    yield from _sums_that_differ(source)


def _text_problems(source: Mapping[str, Any]) -> Iterator[str]:
    kept = share(source["bytes_out"] + source["heldout_bytes"], source["bytes_in"])
    if kept < MIN_KEPT_BYTES and _is_taken_whole(source):
        yield f"only {percent(kept)} of its bytes are left; see which rule removed the most."
    if not source["lines_out"]:
        return
    hangul = source["character_shares"]["hangul"]
    if hangul < MIN_HANGUL:
        yield f"only {percent(hangul)} of its characters are Hangul; see whether it is Korean."
    long_lines = sum(
        one["count"]
        for one in source["line_lengths"]
        if one["up_to"] is None or one["up_to"] > LONG_LINE
    )
    long_share = share(long_lines, source["lines_out"])
    if long_share > MAX_LONG_LINES:
        yield (
            f"{percent(long_share)} of its lines have over {LONG_LINE} characters; see whether "
            "its sentences are split."
        )


def _sums_that_differ(source: Mapping[str, Any]) -> Iterator[str]:
    for what, balance in source["balance"].items():
        difference = balance["difference"]
        # Documents of a weight above 1 are written more than once.
        if difference < 0 or (difference > 0 and source["settings"].get("weight", 1.0) <= 1):
            yield (
                f"the numbers of {what} do not add up: {balance['in']:,} came in, "
                f"{balance['out']:,} are written, {balance['held_out']:,} held out and "
                f"{balance['removed']:,} removed. This is a fault of the program."
            )


def _is_taken_whole(source: Mapping[str, Any]) -> bool:
    settings = source["settings"]
    return settings.get("weight", 1.0) == 1 and settings.get("cap_mb") is None


def _unused_rules(source: Mapping[str, Any]) -> list[str]:
    if source["lines_in"] < MIN_LINES_FOR_UNUSED:
        return []
    rules = source["settings"].get("settings", {}).get("rules", {})
    fired = {rule["name"] for rule in source["rules"]}
    return [name for name, options in rules.items() if options.get("on") and name not in fired]
