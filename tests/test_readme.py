"""README.md's commands: every `bash` block is run, and the files it names are there.

Those for Apache Beam are run where it is installed.

An `sh` block needs files that are not ours; its flags must exist.
"""

import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

# What the README says instead of naming several scripts.
GROUPS = {
    "tokenizing": (
        *("create_pretraining_data", "run_classifier", "run_squad", "extract_features"),
        *("evaluate_checkpoints", "fill_mask", "export"),
    ),
    "fine-tuning": ("run_classifier", "run_squad"),
}
TPU_FLAGS = {"use_tpu", "tpu_name", "tpu_zone", "gcp_project", "master", "num_tpu_cores"}
TPU_FLAGS |= {"iterations_per_loop"}
FINE_TUNING_FLAGS = {
    *("bert_config_file", "vocab_file", "output_dir", "init_checkpoint", "do_lower_case"),
    *("max_seq_length", "do_train", "do_predict", "train_batch_size", "predict_batch_size"),
    *("learning_rate", "num_train_epochs", "warmup_proportion", "save_checkpoints_steps"),
    *TPU_FLAGS,
}
# The flags of google-research/bert.
ORIGINAL = {
    "create_pretraining_data": {
        *("input_file", "output_file", "vocab_file", "do_lower_case", "do_whole_word_mask"),
        *("max_seq_length", "max_predictions_per_seq", "random_seed", "dupe_factor"),
        *("masked_lm_prob", "short_seq_prob"),
    },
    "inspect_records": set(),
    "run_pretraining": {
        *("bert_config_file", "input_file", "output_dir", "init_checkpoint", "max_seq_length"),
        *("max_predictions_per_seq", "do_train", "do_eval", "train_batch_size", "learning_rate"),
        *("eval_batch_size", "num_train_steps", "num_warmup_steps", "save_checkpoints_steps"),
        *("max_eval_steps", *TPU_FLAGS),
    },
    "run_classifier": {"data_dir", "task_name", "do_eval", "eval_batch_size", *FINE_TUNING_FLAGS},
    "run_squad": {
        *("train_file", "predict_file", "doc_stride", "max_query_length", "n_best_size"),
        *("max_answer_length", "verbose_logging", "version_2_with_negative"),
        *("null_score_diff_threshold", *FINE_TUNING_FLAGS),
    },
    "extract_features": {
        *("input_file", "output_file", "layers", "bert_config_file", "max_seq_length"),
        *("init_checkpoint", "vocab_file", "do_lower_case", "batch_size", "use_tpu", "master"),
        *("num_tpu_cores", "use_one_hot_embeddings"),
    },
    "evaluate_checkpoints": set(),
    "fill_mask": set(),
    "export": set(),
    "plot_run": set(),
}

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


def can_run(block: str) -> bool:
    """Whether what a block needs is installed."""
    return "_beam.py" not in block or importlib.util.find_spec("apache_beam") is not None


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
    commands = "\n".join(filter(can_run, bash_blocks(readme)[1:]))
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


def test_record_making_says_what_is_shown(journey, readme):
    said = {without_speed(line) for line in journey.completed.stderr.splitlines()}
    said |= set(journey.completed.stdout.splitlines())
    records = readme.split("\n## Records of a large corpus\n")[1]
    records = records.split("\n## Pre-training that takes weeks\n")[0]
    shown = [line for block in output_blocks(records) for line in block.splitlines()]
    assert len(shown) > 15
    assert [line for line in shown if line not in said] == []


def test_pretraining_says_what_is_shown(journey, readme):
    said = {shape(line) for line in journey.completed.stderr.splitlines()}
    said |= {shape(line) for line in journey.completed.stdout.splitlines()}
    pretraining = readme.split("\n**Pre-training** reads")[1]
    pretraining = pretraining.split("\n## Is it going well?\n")[0]
    shown = [line for block in output_blocks(pretraining) for line in block.splitlines()]
    # It depends on the machine whether another batch is faster.
    shown = [line for line in shown if not line.startswith("A batch of ")]
    assert len(shown) > 25
    assert [line for line in shown if shape(line) not in said] == []


def test_fine_tuning_says_what_is_shown(journey, readme):
    scores, own_table = output_blocks(readme.split("\n## Is it going well?\n")[1])[:2]
    written = (journey.folder / "out" / "scores" / "scores.md").read_text(encoding="utf-8")
    assert written in journey.completed.stdout
    assert_same_scores(written, scores)
    said = [line.rpartition("] ")[2] for line in journey.completed.stderr.splitlines()]
    assert_same_scores("\n".join(line for line in said if line.startswith("columns, ")), own_table)


def assert_same_scores(said: str, shown: str) -> None:
    """Checks that two texts differ in nothing but scores, and in these as processors do."""
    score = re.compile(r"\b\d+\.\d\d\b")
    assert score.sub("#", said).split() == score.sub("#", shown).split()
    # So small a test set and so short a training multiply what the last digits differ in.
    found, expected = ([float(number) for number in score.findall(text)] for text in (said, shown))
    assert found == pytest.approx(expected, abs=20)


def test_what_a_model_expects_is_what_is_shown(journey, readme):
    (shown,) = output_blocks(readme.split("\n## Try it\n")[1].split("\n## Export\n")[0])
    text, *expected = shown.splitlines()
    said = journey.completed.stdout.splitlines()
    found = said[said.index(text) + 1 :][: len(expected)]
    row = re.compile(r" +(\d) +\S+ +(0\.\d{4})  \S.*")
    for found_line, expected_line in zip(found, expected, strict=True):
        (rank, share), (shown_rank, shown_share) = (
            row.fullmatch(line).groups() for line in (found_line, expected_line)
        )
        assert rank == shown_rank
        assert float(share) == pytest.approx(float(shown_share), abs=0.02)


def test_export_says_what_is_shown(journey, readme):
    (shown,) = output_blocks(readme.split("\n## Export\n")[1].split("\n## Tokenizers\n")[0])
    said = [line.rpartition("] ")[2] for line in journey.completed.stderr.splitlines()]
    assert [line for line in shown.splitlines() if line not in said] == []
    assert (journey.folder / "out" / "hf" / "model.safetensors").exists()


def test_the_korean_readme_shows_the_same_commands_and_output(readme, repository):
    korean = (repository / "README.ko.md").read_text(encoding="utf-8")
    blocks = r"^```.*?^```$"
    assert re.findall(blocks, korean, re.MULTILINE | re.DOTALL) == re.findall(
        blocks, readme, re.MULTILINE | re.DOTALL
    )
    rows = r"^\| (`(?:--)?\w+`).*?\|"
    assert re.findall(rows, korean, re.MULTILINE) == re.findall(rows, readme, re.MULTILINE)


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
        "clean_corpus_beam": "corpus",
        "create_pretraining_data": "bert",
        "create_pretraining_data_beam": "bert",
        "inspect_records": "bert",
        "run_pretraining": "bert",
        "run_classifier": "bert",
        "run_squad": "bert",
        "extract_features": "bert",
        "evaluate_checkpoints": "bert",
        "fill_mask": "bert",
        "export": "bert",
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
    for flag, of in re.findall(r"^\| `--(\w+)`.*? \| ([\w-]+) \|", text, re.MULTILINE):
        for script in GROUPS.get(of, (of,)):
            flags.setdefault(script, set()).add(flag)
    return flags


def test_flags_of_the_table_exist(readme, flags_of):
    table = flags_in_table(readme)
    assert table
    for script, flags in table.items():
        assert flags <= flags_of[script], script


@pytest.mark.parametrize("script", ORIGINAL)
def test_flags_are_in_the_table_or_the_original(script, readme, flags_of):
    assert ORIGINAL[script] <= flags_of[script]
    assert flags_of[script] - ORIGINAL[script] - flags_in_table(readme)[script] == set()


def test_commands_for_real_files_have_flags_that_exist(readme, flags_of):
    blocks = re.findall(r"^```sh\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        (script,) = re.findall(r"^python bert/(\w+)\.py ", block)
        # What stands after -- is for Beam.
        assert set(re.findall(r"--(\w+)", block.partition(" -- ")[0])) <= flags_of[script]
