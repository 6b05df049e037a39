"""What both READMEs say of cleaning: rules, presets, readers and flags as they are."""

import json
import re

import pytest

from deeq_bert.corpus.readers.selection import READERS
from deeq_bert.corpus.rules import catalogue
from deeq_bert.corpus.settings import preset_names, settings_from_json

RULES = (*catalogue.TEXT_RULES, *catalogue.LINE_FILTERS, *catalogue.DOCUMENT_FILTERS)


@pytest.fixture(params=["README.md", "README.ko.md"])
def readme(request, repository) -> str:
    return (repository / request.param).read_text(encoding="utf-8")


def table_under(heading: str, text: str) -> list[list[str]]:
    """Returns the rows of the table whose first heading has these words in it."""
    pattern = rf"^\|[^|\n]*{re.escape(heading)}[^|\n]*\|.*\n\|[-|]+\n((?:\|.*\n)+)"
    (rows,) = re.findall(pattern, text, re.MULTILINE)
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows.splitlines()
    ]


def names_in(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def default_of(rule) -> str:
    options = [
        f"`{name}={value if isinstance(value, str) else json.dumps(value)}`"
        for name, value in catalogue.options(rule).items()
    ]
    return ", ".join(["on" if rule.on else "off", *options])


@pytest.mark.parametrize("name, heading", [("README.md", "rule"), ("README.ko.md", "규칙")])
def test_the_table_of_rules_is_the_catalogue(repository, name, heading):
    text = (repository / name).read_text(encoding="utf-8")
    rows = table_under(heading, text)
    assert [row[:2] for row in rows] == [[f"`{rule.name}`", default_of(rule)] for rule in RULES]
    assert all(row[2] for row in rows)


def test_the_table_of_presets_has_each_of_them(readme):
    rows = table_under("`--source=`", readme)
    assert [name for row in rows for name in names_in(row[0])] == preset_names()


def test_the_table_of_formats_has_each_reader(readme):
    rows = table_under("`--reader=`", readme)
    assert sorted(name for row in rows for name in names_in(row[0])) == sorted(READERS)


def test_the_table_of_flags_has_all_of_cleaning(readme, run_script):
    flags = re.findall(
        r"^  --(?:\[no\])?(\w+):", run_script("corpus/clean_corpus.py", "--help").stdout, re.M
    )
    rows = re.findall(r"^\| `--(\w+)` \| clean_corpus \|", readme, re.M)
    assert len(flags) > 20
    assert sorted(rows) == sorted(set(flags) - {"workers"})


def test_the_configuration_that_is_shown_has_every_field(readme):
    (shown,) = re.findall(r"^cat > out/my/paper.json <<'END'\n(.*?)^END$", readme, re.M | re.S)
    settings = json.loads(shown)
    assert set(settings) == set(settings_from_json({}, "").to_json())


def test_the_table_of_raw_files_gives_the_figures(repository, run_script, tmp_path):
    raw = repository / "corpus" / "sample" / "raw"
    completed = run_script(
        "corpus/clean_corpus.py",
        f"--manifest_file={raw / 'sources.json'}",
        f"--output_file={tmp_path / 'text.txt'}",
    )
    assert completed.returncode == 0, completed.stderr
    report = json.loads((tmp_path / "text-report" / "report.json").read_text("utf-8"))
    rows = table_under("file", (raw.parent / "README.md").read_text("utf-8").split("## raw/")[1])
    assert {row[0] for row in rows} == {path.name for path in raw.iterdir()} - {"sources.json"}
    for _, preset, *figures, _ in rows:
        made = report["sources"][preset]
        names = ("documents_in", "documents_out", "lines_out")
        assert figures == [str(made[name]) for name in names], preset
