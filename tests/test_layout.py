"""What the layout of the tree promises: names that hide nobody's, imports that point one way."""

import ast
import importlib.metadata
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Each package with those it may import.
PACKAGES = {
    "bert": {"bert", "corpus", "tokenizers"},
    "corpus": {"corpus", "tokenizers"},
    "tokenizers": {"tokenizers"},
}
MODULES = {
    str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8"))
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
}
GUARD = '\nif __name__ == "__main__":\n'
SCRIPTS = [name for name in MODULES if GUARD in (ROOT / name).read_text(encoding="utf-8")]
# What command lines share: the libraries that handle flags and print errors.
COMMAND_LINE = (
    "bert/classifier_flags.py",
    "bert/fine_tuning_flags.py",
    "bert/pretraining_flags.py",
    "bert/record_flags.py",
    "bert/record_runs.py",
    "bert/squad_flags.py",
    "bert/tpu_flags.py",
    "corpus/cleaning_flags.py",
    "tokenizers/beam_flags.py",
    "tokenizers/command_line.py",
    "tokenizers/tokenizer_flags.py",
)
LIBRARIES = [name for name in MODULES if name not in [*SCRIPTS, *COMMAND_LINE]]


def imported_names(tree: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute: scripts have no parent package"
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def dependency_modules() -> set[str]:
    """The top-level modules of everything that is installed with this project, less its own."""
    waiting, seen, modules = ["deeq-bert"], set(), set()
    while waiting:
        name = re.match(r"[\w.-]+", waiting.pop())[0].lower().replace("_", "-")
        if name in seen:
            continue
        seen.add(name)
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        waiting.extend(distribution.requires or [])
        if name != "deeq-bert":
            modules.update(file.parts[0].removesuffix(".py") for file in distribution.files or [])
    return modules


def test_an_installed_package_called_tokenizers_wins_over_the_folder(tmp_path):
    (tmp_path / "tokenizers").mkdir()
    (tmp_path / "tokenizers" / "__init__.py").write_text("owner = 'somebody else'\n")
    program = (
        f"import sys; sys.path.insert(1, {str(tmp_path)!r})\n"
        "assert not sys.path[0]\nimport tokenizers as t\nprint(t.owner)"
    )
    completed = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True
    )
    assert completed.stdout == "somebody else\n", completed.stderr


def test_tokenizers_has_no_init_file():
    assert not (ROOT / "tokenizers" / "__init__.py").exists()


def test_no_module_bears_the_name_of_a_standard_module_or_a_dependency():
    taken = sys.stdlib_module_names | dependency_modules()
    assert {"random", "numpy", "absl"} <= taken
    names = {pathlib.PurePath(name).stem for name in MODULES} - {"__init__"}
    assert not names & taken


def test_the_packages_are_imported_by_their_full_name():
    for name, tree in MODULES.items():
        first_parts = {imported.split(".")[0] for imported in imported_names(tree)}
        assert not first_parts & {"bert", "corpus"}, name


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_one_way(name):
    package = pathlib.PurePath(name).parts[0]
    used = {
        imported.split(".")[1]
        for imported in imported_names(MODULES[name])
        if imported.startswith("deeq_bert.")
    }
    assert used <= PACKAGES[package]


@pytest.mark.parametrize("name", LIBRARIES)
def test_libraries_know_no_flags(name):
    assert not {"absl.flags", "absl.app", "argparse"} & imported_names(MODULES[name])


@pytest.mark.parametrize("name", LIBRARIES)
def test_libraries_do_not_print(name):
    calls = [node.func for node in ast.walk(MODULES[name]) if isinstance(node, ast.Call)]
    assert not [call for call in calls if isinstance(call, ast.Name) and call.id == "print"]


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_does_not_wait_for_tensorflow(script):
    completed = subprocess.run(
        [sys.executable, "-X", "importtime", ROOT / script, "--help"],
        capture_output=True,
        text=True,
    )
    assert completed.returncode == 0, completed.stderr
    assert "--" in completed.stdout
    imported = {line.rpartition("|")[2].strip() for line in completed.stderr.splitlines()}
    assert "absl.flags" in imported
    assert "tensorflow" not in imported


def test_the_installed_package_is_this_tree():
    from deeq_bert.tokenizers import errors

    assert pathlib.Path(errors.__file__) == ROOT / "tokenizers" / "errors.py"


def test_the_tiny_configuration_fits_the_sample_vocabulary():
    from deeq_bert.bert.config import BertConfig

    config = BertConfig.from_json_file(ROOT / "configs" / "bert_config_tiny.json")
    vocabulary = (ROOT / "corpus" / "sample" / "vocab.txt").read_text(encoding="utf-8")
    assert config.vocab_size == len(vocabulary.splitlines())


@pytest.mark.slow
def test_a_wheel_brings_one_package_and_the_sample(tmp_path):
    source = tmp_path / "source"
    ignored = shutil.ignore_patterns(".*", "out", "build", "dist", "*.egg-info", "tests")
    shutil.copytree(ROOT, source, ignore=ignored)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", tmp_path, source],
        check=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"deeq_bert"}
    assert set(MODULES) <= {name.removeprefix("deeq_bert/") for name in names}
    assert "deeq_bert/corpus/sample/sample.txt" in names
