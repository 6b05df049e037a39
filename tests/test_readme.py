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


def output_blocks(text: str) -> list[str]:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [block for language, block in blocks if not language]


def without_speed(line: str) -> str:
    """Returns a line of the log without its time and place, and without speeds."""
    line = re.sub(r"^[IWE]\d{4} .*?\] ", "", line)
    line = re.sub(r"[\d.]+ MB/s in all: .*", "… MB/s", line)
    # The last column of the table of sources.
    return re.sub(r"^(\S+(?: +[\d.]+){6}) +[\d.]+$", r"\1", line)


def shape(line: str) -> str:
    """Returns a line of the log or the plan with all figures, and what they decide, alike."""
    line = re.sub(r"^[IW]\d{4} .*?\] ", "", line)
    line = re.sub(r", [\d.]+% waiting for records", "", line)
    line = re.sub(r"\d+ h \d\d min|\d+ d \d+ h|[\d.]+ (s|min)\b", "TIME", line)
    line = re.sub(r"[\d.]+ (MiB|GiB)|(?<= )-(?= )", "#", line)
    line = re.sub(r"mfu [\d.]+%|[\d.e-]+ TFLOP/s", "SPEED", line)
    line = re.sub(r"\d[\d,.]*(e[-+]\d+)?[kM]?", "#", line)
    return " ".join(line.replace("#*", "#").replace("#%", "#").split())


def test_the_first_block_is_the_set_up(readme, repository):
    # tests/test_quickstart.py runs the one, and what runs this test is the other.
    assert bash_blocks(readme)[0].splitlines() == SET_UP
    assert SET_UP[1] in (repository / ".ci" / "run").read_text()


class Journey:
    """What the commands of README.md made and said."""

    def __init__(self, folder: pathlib.Path, completed: subprocess.CompletedProcess):
        self.folder = folder
        self.completed = completed


@pytest.fixture(scope="module")
def journey(repository, tmp_path_factory) -> Journey:
    """All commands but those of the set-up, one after the other."""
    folder = tmp_path_factory.mktemp("journey")
    for name in ("bert", "configs", "corpus", "scripts", "tokenizers"):
        shutil.copytree(repository / name, folder / name)
    programs = f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"
    readme = (repository / "README.md").read_text(encoding="utf-8")
    commands = "\n".join(bash_blocks(readme)[1:])
    completed = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=folder,
        env={**os.environ, "PATH": programs},
        capture_output=True,
        text=True,
    )
    return Journey(folder, completed)


def test_the_journey_runs_as_written(journey, readme):
    completed = journey.completed
    assert completed.returncode == 0, completed.stderr
    results = (journey.folder / "out" / "bert" / "model" / "eval_results.txt").read_text()
    assert results in completed.stdout
    assert_same_results(results, readme)
    (table,) = re.findall(r"^```\n(deeq \(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    assert table in completed.stdout
    for summary in re.findall(r"^(?:Read|Wrote) .*", readme, re.MULTILINE):
        assert summary in completed.stderr


def assert_same_results(results: str, readme: str) -> None:
    """Checks that the README shows these results; the last digits are the processor's own."""
    (shown,) = re.findall(r"^```\n(global_step = .*?)^```$", readme, re.MULTILINE | re.DOTALL)
    found, expected = (
        {name: float(value) for name, value in re.findall(r"(\w+) = (\S+)", text)}
        for text in (results, shown)
    )
    assert found == pytest.approx(expected, abs=0.02)


def test_cleaning_says_what_is_shown(journey, readme):
    said = {without_speed(line) for line in journey.completed.stderr.splitlines()}
    said |= set(journey.completed.stdout.splitlines())
    cleaning = readme.split("\n## Clean the corpus\n")[1].split("\n## From text to a checkpoint\n")[
        0
    ]
    shown = [line for block in output_blocks(cleaning) for line in block.splitlines()]
    assert len(shown) > 50
    assert [line for line in shown if without_speed(line) not in said and line not in said] == []


def test_pretraining_says_what_is_shown(journey, readme):
    said = {shape(line) for line in journey.completed.stderr.splitlines()}
    said |= {shape(line) for line in journey.completed.stdout.splitlines()}
    pretraining = readme.split("\n**Pre-training** reads")[1].split("\n## Tokenizers\n")[0]
    shown = [line for block in output_blocks(pretraining) for line in block.splitlines()]
    # It depends on the machine whether another batch is faster.
    shown = [line for line in shown if not line.startswith("A batch of ")]
    assert len(shown) > 25
    assert [line for line in shown if shape(line) not in said] == []


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


@pytest.fixture(scope="module")
def flags_of(repository) -> dict[str, set[str]]:
    """The flags of the scripts that the table is about."""
    scripts = {
        "clean_corpus": "corpus",
        "create_pretraining_data": "bert",
        "run_pretraining": "bert",
        "plot_run": "scripts",
    }
    flags = {}
    for name, folder in scripts.items():
        help_text = subprocess.run(
            [sys.executable, repository / folder / f"{name}.py", "--help"],
            capture_output=True,
            text=True,
        ).stdout
        flags[name] = set(re.findall(r"^  --(?:\[no\])?(\w+):", help_text, re.MULTILINE))
    return flags


def flags_in_table(text: str) -> dict[str, set[str]]:
    """The flags that the table has of each script."""
    flags: dict[str, set[str]] = {}
    for flag, script in re.findall(r"^\| `--(\w+)`.*? \| (\w+) \|", text, re.MULTILINE):
        flags.setdefault(script, set()).add(flag)
    return flags


def test_flags_of_the_table_exist(readme, flags_of):
    table = flags_in_table(readme)
    assert table
    for script, flags in table.items():
        assert flags <= flags_of[script], script


def test_flags_of_training_are_in_the_table_or_the_original(readme, flags_of):
    original = {
        *("bert_config_file", "input_file", "output_dir", "init_checkpoint", "max_seq_length"),
        *("max_predictions_per_seq", "do_train", "do_eval", "train_batch_size", "learning_rate"),
        *("eval_batch_size", "num_train_steps", "num_warmup_steps", "save_checkpoints_steps"),
        *("iterations_per_loop", "max_eval_steps", "use_tpu", "tpu_name", "tpu_zone"),
        *("gcp_project", "master", "num_tpu_cores"),
    }
    table = flags_in_table(readme)
    assert original <= flags_of["run_pretraining"]
    assert flags_of["run_pretraining"] - original <= table["run_pretraining"]
    assert flags_of["plot_run"] == table["plot_run"]
