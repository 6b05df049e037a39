"""Draws the curves of one or several pre-training runs, side by side.

python scripts/plot_run.py --run=out/bert/model --run=out/other --output_file=runs.png

What is drawn comes from the metrics.jsonl of the runs, which may still be going on: loss in
training and on held-out records, accuracies, bits a character, learning rate, and where a run was
restarted.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from absl import flags, logging

from deeq_bert.bert import plot_style, run_log
from deeq_bert.tokenizers import command_line
from deeq_bert.tokenizers.errors import InputError
from deeq_bert.tokenizers.files import make_parent_folder, write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FLAGS = flags.FLAGS

flags.DEFINE_multi_string(
    "run",
    None,
    "The --output_dir of a run, or its metrics.jsonl. Give the flag once for each run, 8 times at "
    "most.",
    required=True,
)
flags.DEFINE_string(
    "output_file",
    None,
    "The picture to write. Must end in .png, .pdf or .svg.",
    required=True,
)
flags.DEFINE_enum(
    "x",
    "step",
    ["step", "tokens", "hours"],
    "What the curves are drawn over: updates, tokens trained on (padding not counted), or the "
    "hours of the run. Must be one of these three.",
)

_FORMATS = (".png", ".pdf", ".svg")
# More would not fit into a corner of a panel.
_MOST_LAST_VALUES = 4
# Above so many points a mark on each hides the line.
_MOST_MARKS = 12


class Run:
    """What is drawn of a run.

    Attributes:
      name: In the legend.
      color: Of all its curves.
      history: What its log tells.
      last_x: Where its curves end.
    """

    def __init__(self, name: str, color: str, history: run_log.RunHistory, x: str):
        """Takes a run.

        Args:
          name: For the legend.
          color: One of matplotlib's.
          history: What its log tells.
          x: The value of --x.

        Raises:
          InputError: See `run_log.places_of_steps`.
        """
        self.name = name
        self.color = color
        self.history = history
        self._known_steps, self._known_x = run_log.places_of_steps(history, x)
        self.last_x = self._known_x[-1]

    def training(self, figure: str) -> tuple[np.ndarray, list[float]]:
        """Returns x and y of a figure of the training."""
        steps, values = run_log.series(self.history.train, figure)
        return self.x(steps), values

    def held_out(self, figure: str) -> tuple[np.ndarray, list[float]]:
        """Returns x and y of a metric on held-out records."""
        steps, values = run_log.series(self.history.evaluations, figure)
        return self.x(steps), values

    def restarts(self) -> np.ndarray:
        """Returns where a process went on from a checkpoint."""
        return self.x(_restarts(self.history))

    def baseline(self, figure: str) -> float | None:
        """Returns what a model reaches that knows only how often each token occurs."""
        known = [run_log.finite_number(line.get(figure)) for line in self.history.starts]
        return next((value for value in reversed(known) if value is not None), None)

    def x(self, steps: Sequence[int]) -> np.ndarray:
        """Returns where steps are on the x axis."""
        return np.interp(steps, self._known_steps, self._known_x)


def main() -> None:
    suffix = os.path.splitext(FLAGS.output_file)[1].lower()
    if suffix not in _FORMATS:
        raise InputError(
            f"--output_file={FLAGS.output_file} must end in one of {', '.join(_FORMATS)}; the "
            "ending says which kind of picture to write."
        )
    if len(FLAGS.run) > len(plot_style.COLORS):
        raise InputError(
            f"--run is given {len(FLAGS.run)} times; more than {len(plot_style.COLORS)} runs in "
            "one picture cannot be told apart. Draw fewer at once."
        )
    make_parent_folder(FLAGS.output_file)
    names = _short_names(FLAGS.run)
    runs = [
        Run(name, color, _read(path), FLAGS.x)
        for path, name, color in zip(FLAGS.run, names, plot_style.COLORS)
    ]
    plot_style.prepare_matplotlib()
    content = io.BytesIO()
    _draw(runs).savefig(content, format=suffix[1:])
    write_atomically(FLAGS.output_file, content.getvalue())
    for run in runs:
        logging.info("%s: %s", run.name, _summary(run.history))
    logging.info("Wrote %s.", FLAGS.output_file)


def _read(run: str) -> run_log.RunHistory:
    """Reads the log of a run, of which there must be something to draw."""
    path = os.path.join(run, run_log.FILE_NAME) if os.path.isdir(run) else run
    if not os.path.isfile(path):
        raise InputError(
            f"--run={run}: there is no {path}. Expected the --output_dir of run_pretraining.py, "
            f"which writes {run_log.FILE_NAME} there while it trains."
        )
    history = run_log.read_run_log(path)
    if history.broken_lines:
        logging.warning("%s: passed over %d broken line(s).", path, history.broken_lines)
    if not history.train and not history.evaluations:
        raise InputError(
            f"{path} tells of no training yet. A run writes its figures there every --log_steps "
            "steps; try again when it has come so far."
        )
    return history


def _short_names(paths: Sequence[str]) -> list[str]:
    """Returns the ends of paths, as short as tells them apart."""
    parts = []
    for path in paths:
        whole = os.path.abspath(path)
        if os.path.basename(whole) == run_log.FILE_NAME:
            whole = os.path.dirname(whole)
        parts.append(whole.strip(os.sep).split(os.sep))
    length = 1
    while len({tuple(part[-length:]) for part in parts}) < len({tuple(part) for part in parts}):
        length += 1
    return ["/".join(part[-length:]) for part in parts]


def _restarts(history: run_log.RunHistory) -> list[int]:
    """Returns the steps from which processes went on, without those at which a phase began."""
    return [
        line["step"]
        for before, line in zip([{}, *history.starts], history.starts)
        if line["step"] and before.get("phase", line.get("phase")) == line.get("phase")
    ]


def _summary(history: run_log.RunHistory) -> str:
    words = [f"{max([*history.train, *history.evaluations]):,} steps"]
    words.append(f"{len(_restarts(history))} restart(s)")
    for figure, form in (
        ("masked_lm_loss", "held-out masked-word loss {:.4f}"),
        ("masked_lm_accuracy", "accuracy {:.2%}"),
        ("bits_per_character", "{:.3f} bits a character"),
    ):
        values = run_log.series(history.evaluations, figure)[1]
        if values:
            words.append(form.format(values[-1]))
    return ", ".join(words)


def _draw(runs: Sequence[Run]) -> Figure:
    """Draws all panels that the runs have something for."""
    from matplotlib.figure import Figure

    panels = [
        (title, figure, in_percent)
        for title, figure, in_percent in (
            ("Masked-word accuracy, held-out", "masked_lm_accuracy", True),
            ("Bits a character, held-out", "bits_per_character", False),
            ("Next-sentence accuracy, held-out", "next_sentence_accuracy", True),
        )
        if any(run.held_out(figure)[1] for run in runs)
    ]
    drawing = Figure(figsize=(12, 7.2), layout="constrained")
    grid = drawing.add_gridspec(1, 2, width_ratios=[3, 2])
    rows = (grid[0] if panels else grid[:]).subgridspec(2, 1, height_ratios=[3, 1])
    loss = drawing.add_subplot(rows[0])
    rate = drawing.add_subplot(rows[1], sharex=loss)
    _draw_loss(loss, runs)
    _draw_learning_rate(rate, runs)
    rows = grid[1].subgridspec(max(1, len(panels)), 1)
    for number, (title, figure, in_percent) in enumerate(panels):
        axes = drawing.add_subplot(rows[number], sharex=loss)
        _draw_held_out(axes, runs, title, figure, in_percent)
        if number < len(panels) - 1:
            axes.tick_params(labelbottom=False)
        else:
            axes.set_xlabel(FLAGS.x)
    loss.tick_params(labelbottom=False)
    rate.set_xlabel(FLAGS.x)
    _add_legend(drawing, runs)
    return drawing


def _draw_loss(axes: Axes, runs: Sequence[Run]) -> None:
    """Draws the masked-language-model loss, or the whole one where it is all there is."""
    figure = "masked_lm_loss" if _has(runs, "masked_lm_loss") else "loss"
    axes.set_title("Masked-word loss" if figure == "masked_lm_loss" else "Loss")
    axes.set_ylabel("nats a token")
    for run in runs:
        x, y = run.training(figure)
        axes.plot(
            x, y, color=run.color, alpha=0.35, linewidth=1, marker=_mark(x, 1), markersize=3.5
        )
        x, y = run.held_out(figure)
        axes.plot(
            x, y, color=run.color, linewidth=1.8, marker=_mark(x, _MOST_MARKS), markersize=3.5
        )
        _draw_baseline(axes, run, f"baseline_{figure}")
        _mark_restarts(axes, run)
    _tell_last_values(axes, runs, figure, "{:.3f}", at_top=True)


def _draw_held_out(
    axes: Axes, runs: Sequence[Run], title: str, figure: str, in_percent: bool
) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.set_title(title)
    if in_percent:
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g}%"))
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    for run in runs:
        x, y = run.held_out(figure)
        axes.plot(
            x, y, color=run.color, linewidth=1.8, marker=_mark(x, _MOST_MARKS), markersize=3.5
        )
        _draw_baseline(axes, run, f"baseline_{figure}")
    form = "{:.1%}" if in_percent else "{:.3f}"
    _tell_last_values(axes, runs, figure, form, at_top=not in_percent)


def _draw_learning_rate(axes: Axes, runs: Sequence[Run]) -> None:
    from matplotlib.ticker import EngFormatter, FuncFormatter, MaxNLocator

    axes.set_title("Learning rate")
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    for below, run in enumerate(runs):
        x, y = run.training("learning_rate")
        # Usually the same in all runs: the wider lines lie below, so that all are seen.
        width = 3 - 1.7 * below / max(1, len(runs) - 1)
        axes.plot(x, y, color=run.color, linewidth=width, marker=_mark(x, 1), markersize=3.5)
    axes.set_ylim(bottom=0)
    axes.set_xlim(0, max(run.last_x for run in runs) * 1.01 or 1)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    if FLAGS.x != "hours":
        # The other panels share the axis, and with it the form of its numbers.
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))


def _mark_restarts(axes: Axes, run: Run) -> None:
    """Sets a triangle on the x axis wherever a process went on."""
    restarts = run.restarts()
    # An empty line that is not clipped upsets the layout.
    if not len(restarts):
        return
    axes.plot(
        restarts,
        np.zeros(len(restarts)),
        linestyle="none",
        marker="^",
        markersize=7,
        color=run.color,
        transform=axes.get_xaxis_transform(),
        clip_on=False,
        zorder=5,
    )


def _tell_last_values(
    axes: Axes, runs: Sequence[Run], figure: str, form: str, at_top: bool
) -> None:
    """Writes what each run has on held-out records at last into the corner without curves."""
    values = [(run.color, run.held_out(figure)[1]) for run in runs]
    known = [(color, form.format(y[-1])) for color, y in values if y]
    if len(known) > _MOST_LAST_VALUES:
        return
    for number, (color, text) in enumerate(known):
        row = number if at_top else len(known) - 1 - number
        axes.annotate(
            text,
            xy=(1, 1 if at_top else 0),
            xycoords="axes fraction",
            xytext=(-4, (-4 if at_top else 6) + (-15 if at_top else 15) * row),
            textcoords="offset points",
            ha="right",
            va="top" if at_top else "bottom",
            color=color,
            fontsize=11,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.85},
        )


def _draw_baseline(axes: Axes, run: Run, figure: str) -> None:
    baseline = run.baseline(figure)
    if baseline is not None:
        axes.axhline(baseline, color=run.color, linestyle=(0, (5, 3)), linewidth=1.2, alpha=0.8)


def _add_legend(drawing: Figure, runs: Sequence[Run]) -> None:
    """Explains the colours above the panels, and the lines below."""
    from matplotlib.lines import Line2D

    def line(label: str, **look) -> Line2D:
        return Line2D([], [], label=label, **look)

    # A dollar sign would begin a formula, and an underline hides a label.
    names = [f" {run.name}".replace("$", r"\$") for run in runs]
    styles = []
    if any(run.history.train for run in runs):
        styles.append(line("training", color="#333333", alpha=0.4, linewidth=1))
    if any(run.history.evaluations for run in runs):
        styles.append(line("held-out", color="#333333", linewidth=1.8))
    if any(run.baseline(f"baseline_{name}") is not None for run in runs for name in _BASELINES):
        styles.append(
            line("token frequencies alone", color="#333333", linestyle=(0, (5, 3)), linewidth=1.2)
        )
    if any(len(run.restarts()) for run in runs):
        styles.append(line("restart", color="#333333", linestyle="none", marker="^", markersize=7))
    # As many in a row as fit.
    in_row = max(1, 110 // (max(map(len, names)) + 8))
    drawing.legend(
        handles=[line(name, color=run.color, linewidth=4) for name, run in zip(names, runs)],
        loc="outside upper left",
        ncols=min(len(runs), in_row),
        frameon=False,
        fontsize=11,
    )
    if len(runs) <= _MOST_LAST_VALUES and any(run.history.evaluations for run in runs):
        styles.append(line("numbers: the last held-out value", linestyle="none"))
    drawing.legend(
        handles=styles, loc="outside lower left", ncols=len(styles), frameon=False, fontsize=10
    )


_BASELINES = ("masked_lm_loss", "masked_lm_accuracy", "bits_per_character")


def _has(runs: Sequence[Run], figure: str) -> bool:
    return any(run.training(figure)[1] or run.held_out(figure)[1] for run in runs)


def _mark(x: Sequence[float], most: int) -> str:
    """Returns the mark for the points of a curve, if there are few; one alone has no line."""
    return "o" if len(x) <= most else ""


if __name__ == "__main__":
    command_line.run(main)
