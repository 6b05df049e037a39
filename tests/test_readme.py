"""README.md's commands: every `bash` block is run, and the files it names are there."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

SET_UP = ["bash scripts/quickstart.sh", "bash scripts/test.sh"]


@pytest.fixture
def readme(repository):
    return (repository / "README.md").read_text(encoding="utf-8")


def bash_blocks(text: str) -> list[str]:
    return re.findall(r"^```bash\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_the_first_block_is_the_set_up(readme, repository):
    # tests/test_quickstart.py runs the one, and what runs this test is the other.
    assert bash_blocks(readme)[0].splitlines() == SET_UP
    assert SET_UP[1] in (repository / ".ci" / "run").read_text()


def test_the_journey_runs_as_written(readme, repository, tmp_path):
    for folder in ("bert", "configs", "corpus", "scripts", "tokenizers"):
        shutil.copytree(repository / folder, tmp_path / folder)
    programs = f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"
    journey = "\n".join(bash_blocks(readme)[1:])
    completed = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", journey],
        cwd=tmp_path,
        env={**os.environ, "PATH": programs},
        capture_output=True,
        text=True,
    )
    assert completed.returncode == 0, completed.stderr
    results = (tmp_path / "out" / "bert" / "model" / "eval_results.txt").read_text()
    assert completed.stdout.endswith(results)
    (table,) = re.findall(r"^```\n(deeq \(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    assert table in completed.stdout
    for summary in re.findall(r"^(?:Read|Wrote) .*", readme, re.MULTILINE):
        assert summary in completed.stderr


def test_the_korean_readme_shows_the_same_commands_and_output(readme, repository):
    korean = (repository / "README.ko.md").read_text(encoding="utf-8")
    blocks = r"^```.*?^```$"
    assert re.findall(blocks, korean, re.MULTILINE | re.DOTALL) == re.findall(
        blocks, readme, re.MULTILINE | re.DOTALL
    )
    assert re.findall(r"^\| `--\w+`", korean, re.MULTILINE) == re.findall(
        r"^\| `--\w+`", readme, re.MULTILINE
    )


@pytest.mark.parametrize("name", ["README.md", "README.ko.md"])
def test_links_lead_somewhere(name, repository):
    readme = (repository / name).read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!http)([^)#]+)\)", readme)
    assert links
    assert [link for link in links if not (repository / link).exists()] == []


def test_flags_of_the_table_exist(readme, run_script):
    help_text = {
        name: run_script(f"bert/{name}.py", "--help").stdout
        for name in ("create_pretraining_data", "run_pretraining")
    }
    rows = re.findall(r"^\| `--(\w+)`.*? \| (\w+) \|", readme, re.MULTILINE)
    assert rows
    for flag, script in rows:
        assert re.search(rf"--(\[no\])?{flag}\b", help_text[script]), flag
