"""The picture of a sweep: score against step, a panel a task and one for their mean."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from deeq_bert.bert import plot_style
from deeq_bert.bert.score_table import shown
from deeq_bert.bert.sweep_models import RANDOM

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_IN_A_ROW = 3
_PANEL_INCHES = (4.2, 3.0)
_FLOOR = (0, (5, 3))
_WITHOUT_STEP = (0, (1, 1.5))


class Point(NamedTuple):
    """What is drawn of a cell.

    Attributes:
      step: None for weights without one.
      mean: Times 100.
      deviation: Likewise; 0 where there is none.
      is_floor: Whether the weights were random.
      is_best: Whether it is of the checkpoint that dev chooses.
    """

    step: int | None
    mean: float
    deviation: float
    is_floor: bool
    is_best: bool


def to_png(table: Mapping[str, Any]) -> bytes:
    """Returns the picture of a table of `score_table.make_table`.

    Raises:
      InputError: matplotlib is not installed.
    """
    content = io.BytesIO()
    draw(table).savefig(content, format="png")
    return content.getvalue()


def draw(table: Mapping[str, Any]) -> Figure:
    """Draws a table.

    Raises:
      InputError: matplotlib is not installed.
    """
    plot_style.prepare_matplotlib()
    from matplotlib.figure import Figure

    names = [model["name"] for model in table["models"]]
    panels = [(_title(task), task["name"]) for task in table["tasks"]]
    if len(panels) > 1:
        panels.append(("mean of the tasks", None))
    columns = min(_IN_A_ROW, len(panels))
    rows = math.ceil(len(panels) / columns)
    width = max(columns, 1.6) * _PANEL_INCHES[0]
    drawing = Figure(figsize=(width, rows * _PANEL_INCHES[1] + 0.9), layout="constrained")
    grid = drawing.add_gridspec(rows, columns)
    for number, (title, task) in enumerate(panels):
        axes = drawing.add_subplot(grid[number // columns, number % columns])
        axes.set_title(title)
        for place, name in enumerate(names):
            points = list(points_of(table, name, task))
            _draw_model(axes, points, plot_style.COLORS[place % len(plot_style.COLORS)])
        _set_x_axis(axes, table)
    _add_legends(drawing, table, names)
    return drawing


def points_of(table: Mapping[str, Any], model: str, task: str | None) -> Iterator[Point]:
    """Yields the points of a model in the panel of a task, or of the mean where it is None."""
    for row in table["rows"]:
        if row["model"] != model:
            continue
        if task is None:
            mean, deviation = row["test"], None
        else:
            found = shown(row["cells"][task])
            mean, deviation = (found[1]["mean"], found[1]["deviation"]) if found else (None, None)
        if mean is not None:
            yield Point(
                row["step"],
                100 * mean,
                100 * (deviation or 0.0),
                row["checkpoint"] == RANDOM,
                row["best"],
            )


def _title(task: Mapping[str, Any]) -> str:
    words = task["name"] + (f", {task['metric'].replace('_', ' ')}" if task["metric"] else "")
    return plot_style.plain_text(words + (" (dev)" if task["shown"] == "dev" else "")).strip()


def _draw_model(axes: Axes, points: Sequence[Point], color: str) -> None:
    curve = [point for point in points if point.step is not None and not point.is_floor]
    if curve:
        axes.errorbar(
            [point.step for point in curve],
            [point.mean for point in curve],
            yerr=[point.deviation for point in curve],
            color=color,
            linewidth=1.8,
            marker="o",
            markersize=4,
            capsize=3,
            elinewidth=1.2,
        )
    best = [point for point in curve if point.is_best]
    if best:
        axes.plot(
            [point.step for point in best],
            [point.mean for point in best],
            linestyle="none",
            marker="*",
            markersize=13,
            color=color,
            markeredgecolor="white",
            zorder=5,
        )
    for point in points:
        if point.is_floor or point.step is None:
            style = _FLOOR if point.is_floor else _WITHOUT_STEP
            axes.axhline(point.mean, color=color, linestyle=style, linewidth=1.4, alpha=0.9)
            low, high = point.mean - point.deviation, point.mean + point.deviation
            axes.axhspan(low, high, color=color, alpha=0.08, linewidth=0)


def _set_x_axis(axes: Axes, table: Mapping[str, Any]) -> None:
    from matplotlib.ticker import EngFormatter, MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    steps = [row["step"] for row in table["rows"] if row["step"] is not None]
    if not steps:
        axes.set_xticks([])
        return
    axes.set_xlim(0, max(steps) * 1.05 or 1)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_xlabel("step of pre-training")


def _add_legends(drawing: Figure, table: Mapping[str, Any], names: Sequence[str]) -> None:
    """Explains the colours above the panels, and the lines below."""
    from matplotlib.lines import Line2D

    rows = table["rows"]

    def line(label: str, **look: Any) -> Line2D:
        return Line2D([], [], label=label, **look)

    colors = [plot_style.COLORS[place % len(plot_style.COLORS)] for place in range(len(names))]
    in_row = max(1, int(drawing.get_figwidth() * 9) // (max(map(len, names)) + 8))
    drawing.legend(
        handles=[
            line(plot_style.plain_text(name), color=color, linewidth=4)
            for name, color in zip(names, colors)
        ],
        loc="outside upper left",
        ncols=min(len(names), in_row),
        frameon=False,
        fontsize=11,
    )
    gray = "#333333"
    styles = [line("test score × 100, ± deviation over seeds", color=gray, linestyle="none")]
    if any(row["best"] for row in rows):
        styles.append(line("chosen on dev", color=gray, linestyle="none", marker="*", ms=11))
    if any(row["checkpoint"] == RANDOM for row in rows):
        styles.append(line("random weights", color=gray, linestyle=_FLOOR, linewidth=1.4))
    if any(row["step"] is None and row["checkpoint"] != RANDOM for row in rows):
        styles.append(line("no step known", color=gray, linestyle=_WITHOUT_STEP, linewidth=1.4))
    drawing.legend(
        handles=styles, loc="outside lower left", ncols=len(styles), frameon=False, fontsize=9
    )
