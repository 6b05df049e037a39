import subprocess
import sys
import xml.etree.ElementTree

import pytest

from deeq_bert.bert.run_log import RunLog

SCRIPT = "scripts/plot_run.py"


def write_run(folder, *, accuracy: float, train: bool = True, baseline: float | None = None):
    """Writes the log of 20 reports, evaluations at every fifth, and a restart at step 1000."""
    folder.mkdir(parents=True)
    with RunLog(str(folder / "metrics.jsonl")) as log:
        log.write("start", 0, {"baseline_masked_lm_loss": baseline})
        for step in range(100, 2001, 100):
            loss = 2.0 + 500 / step
            figures = {"masked_lm_loss": loss, "learning_rate": 1e-4, "tokens": 3000.0}
            if train:
                log.write("train", step, {**figures, "seconds_spent": 0.5 * step})
            if step % 500 == 0:
                metrics = {"masked_lm_loss": loss, "masked_lm_accuracy": accuracy * step / 2000}
                log.write("eval", step, {**metrics, "bits_per_character": 2.0})
            if step == 1200:
                log.write("start", 1000)
    return folder


@pytest.fixture
def first(tmp_path):
    return write_run(tmp_path / "runs" / "wordpiece", accuracy=0.251, baseline=6.5)


@pytest.fixture
def second(tmp_path):
    return write_run(tmp_path / "runs" / "deeq_말뭉치_$5", accuracy=0.312)


@pytest.fixture
def plot(run_script, tmp_path):
    """Draws runs into tmp_path and returns the process and the picture."""

    def run(*flags: str, output_file: object = tmp_path / "runs.png", **keywords):
        return run_script(SCRIPT, f"--output_file={output_file}", *flags, **keywords), output_file

    return run


def texts(svg) -> list[str]:
    tree = xml.etree.ElementTree.parse(svg)
    return ["".join(node.itertext()) for node in tree.iter("{http://www.w3.org/2000/svg}text")]


def assert_one_sentence(completed: subprocess.CompletedProcess) -> str:
    assert completed.returncode == 1
    assert "Traceback" not in completed.stderr
    return completed.stderr.split("ERROR: ")[1]


def test_two_runs_become_one_picture(plot, first, second):
    completed, picture = plot(f"--run={first}", f"--run={second}")

    assert completed.returncode == 0, completed.stderr
    assert picture.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert (
        "wordpiece: 2,000 steps, 1 restart(s), held-out masked-word loss 2.25" in completed.stderr
    )


def test_the_picture_names_the_runs_and_their_last_values(plot, first, second, tmp_path):
    completed, picture = plot(
        f"--run={first}", f"--run={second}", output_file=tmp_path / "runs.svg"
    )

    assert completed.returncode == 0, completed.stderr
    words = {text.strip() for text in texts(picture)}
    assert {"wordpiece", "deeq_말뭉치_$5", "25.1%", "31.2%", "2.250", "2.000"} <= words
    assert {"Masked-word loss", "Masked-word accuracy, held-out", "Learning rate"} <= words
    assert {"training", "held-out", "token frequencies alone", "restart", "step"} <= words


def test_only_what_the_runs_have_is_drawn(plot, second, tmp_path):
    _, picture = plot(f"--run={second}", output_file=tmp_path / "runs.svg")

    words = {text.strip() for text in texts(picture)}
    assert "token frequencies alone" not in words
    assert "Next-sentence accuracy, held-out" not in words


@pytest.mark.parametrize(("x", "last"), [("tokens", "6M"), ("hours", "0.25")])
def test_curves_can_be_drawn_over_tokens_and_hours(plot, first, tmp_path, x, last):
    completed, picture = plot(f"--run={first}", f"--x={x}", output_file=tmp_path / "runs.svg")

    assert completed.returncode == 0, completed.stderr
    assert {x, last} <= set(texts(picture))


def test_a_run_of_one_report_is_drawn(plot, tmp_path):
    folder = tmp_path / "short"
    folder.mkdir()
    with RunLog(str(folder / "metrics.jsonl")) as log:
        log.write("train", 1, {"loss": 7.5})

    completed, _ = plot(f"--run={folder / 'metrics.jsonl'}")

    assert completed.returncode == 0, completed.stderr
    assert "short: 1 steps" in completed.stderr
    assert "Warning" not in completed.stderr


def test_the_beginning_of_a_phase_is_no_restart(plot, tmp_path):
    folder = tmp_path / "phases"
    folder.mkdir()
    with RunLog(str(folder / "metrics.jsonl")) as log:
        for step, phase in ((0, 0), (100, 0), (200, 1), (300, 1)):
            log.write("start", step, {"phase": phase})
            log.write("train", step + 100, {"loss": 7.5})

    completed, _ = plot(f"--run={folder}")

    assert "phases: 400 steps, 2 restart(s)" in completed.stderr


def test_runs_of_the_same_name_are_told_apart_by_their_folders(plot, tmp_path):
    folders = [write_run(tmp_path / name / "model", accuracy=0.2) for name in ("one", "two")]

    _, picture = plot(*(f"--run={x}" for x in folders), output_file=tmp_path / "runs.svg")

    assert {"one/model", "two/model"} <= {text.strip() for text in texts(picture)}


def test_a_torn_line_is_told_of_and_passed_over(plot, first):
    with open(first / "metrics.jsonl", "ab") as file:
        file.write(b'{"kind": "tr')

    completed, picture = plot(f"--run={first}")

    assert completed.returncode == 0
    assert "passed over 1 broken line" in completed.stderr
    assert picture.exists()


def test_a_folder_without_a_log_is_one_sentence(plot, tmp_path):
    completed, picture = plot(f"--run={tmp_path}")

    assert f"there is no {tmp_path / 'metrics.jsonl'}" in assert_one_sentence(completed)
    assert not picture.exists()


def test_a_log_without_training_is_one_sentence(plot, tmp_path):
    (tmp_path / "metrics.jsonl").touch()

    completed, _ = plot(f"--run={tmp_path}")

    assert "tells of no training yet" in assert_one_sentence(completed)


def test_an_axis_that_a_log_does_not_tell_is_one_sentence(plot, tmp_path):
    folder = write_run(tmp_path / "run", accuracy=0.2, train=False)

    completed, _ = plot(f"--run={folder}", "--x=tokens")

    assert "Choose --x=step" in assert_one_sentence(completed)


def test_a_picture_that_cannot_be_written_is_one_sentence(plot, first, tmp_path):
    (tmp_path / "file").touch()

    completed, _ = plot(f"--run={first}", output_file=tmp_path / "file" / "runs.png")

    assert "Cannot make the folder" in assert_one_sentence(completed)


def test_another_kind_of_picture_is_one_sentence(plot, first, tmp_path):
    completed, _ = plot(f"--run={first}", output_file=tmp_path / "runs.jpeg")

    assert "must end in one of .png, .pdf, .svg" in assert_one_sentence(completed)


def test_too_many_runs_are_one_sentence(plot, first):
    completed, _ = plot(*[f"--run={first}"] * 9)

    assert "more than 8 runs" in assert_one_sentence(completed)


def test_without_matplotlib_it_says_how_to_install_it(repository, first, tmp_path):
    program = (
        "import runpy, sys; sys.modules['matplotlib'] = None\n"
        "runpy.run_path(sys.argv.pop(1), run_name='__main__')"
    )
    flags = [f"--run={first}", f"--output_file={tmp_path / 'runs.png'}"]

    completed = subprocess.run(
        [sys.executable, "-c", program, str(repository / SCRIPT), *flags],
        capture_output=True,
        text=True,
    )

    assert "pip install -e '.[viz]'" in assert_one_sentence(completed)


def test_help_waits_neither_for_matplotlib_nor_for_tensorflow(repository):
    completed = subprocess.run(
        [sys.executable, "-X", "importtime", repository / SCRIPT, "--help"],
        capture_output=True,
        text=True,
    )

    assert completed.returncode == 0
    assert "--run" in completed.stdout
    imported = {line.rpartition("|")[2].strip() for line in completed.stderr.splitlines()}
    assert "absl.flags" in imported
    assert not {"matplotlib", "tensorflow"} & imported
