"""The picture of a sweep, by what is drawn in it."""

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="needs pip install -e '.[viz]'")

from deeq_bert.bert import plot_style, score_plot


def cell(mean, deviation=0.01, split="test"):
    figures = {"values": {}, "mean": mean, "deviation": deviation}
    return {"dev": None, "test": None, split: figures}


def row(model, checkpoint, best=False, test=None, **cells):
    step = int(checkpoint) if checkpoint.isdecimal() else None
    return {
        "model": model,
        "checkpoint": checkpoint,
        "step": step,
        "cells": cells,
        "test": test,
        "best": best,
    }


@pytest.fixture
def table():
    return {
        "models": [{"name": "wordpiece"}, {"name": "deeq_말뭉치"}, {"name": "foreign"}],
        "tasks": [
            {"name": "nsmc", "metric": "accuracy", "shown": "test"},
            {"name": "hate_speech", "metric": "macro_f1", "shown": "dev"},
        ],
        "rows": [
            row("wordpiece", "random", nsmc=cell(0.5), hate_speech=cell(0.3, split="dev")),
            row("wordpiece", "100", nsmc=cell(0.6), hate_speech=None),
            row(
                "wordpiece",
                "300",
                best=True,
                test=0.6,
                nsmc=cell(0.8, 0.02),
                hate_speech=cell(0.4, None, "dev"),
            ),
            row("deeq_말뭉치", "200", nsmc=cell(0.7), hate_speech=None),
            row("foreign", "given", nsmc=cell(0.9), hate_speech=None),
        ],
    }


def curves(axes):
    """The lines with points, by colour."""
    return {
        line.get_color(): line.get_xydata().tolist()
        for line in axes.get_lines()
        if line.get_marker() == "o"
    }


def levels(axes):
    """The heights of lines across the whole panel, with their looks."""
    return {
        (line.get_color(), round(line.get_ydata()[0], 6)): line.get_linestyle()
        for line in axes.get_lines()
        if list(line.get_xdata()) == [0, 1] and not line.get_marker().strip("None")
    }


def test_there_is_a_panel_a_task_and_one_for_the_mean(table):
    titles = [axes.get_title(loc="left") for axes in score_plot.draw(table).axes]
    assert titles == ["nsmc, accuracy", "hate_speech, macro f1 (dev)", "mean of the tasks"]


def test_each_model_has_a_line_over_its_steps(table):
    first, second, *_ = plot_style.COLORS
    assert curves(score_plot.draw(table).axes[0]) == {
        first: [[100, 60], [300, 80]],
        second: [[200, 70]],
    }


def test_error_bars_are_deviations_over_seeds(table):
    axes = score_plot.draw(table).axes[0]
    bars = [
        path.get_segments()
        for path in axes.collections
        if hasattr(path, "get_segments") and len(path.get_segments()) == 2
    ]
    assert np.allclose(bars[0], [[[100, 59], [100, 61]], [[300, 78], [300, 82]]])


def test_a_cell_that_is_missing_is_left_out(table):
    first = plot_style.COLORS[0]
    assert curves(score_plot.draw(table).axes[1]) == {first: [[300, 40]]}


def test_random_weights_and_weights_without_a_step_are_levels(table):
    found = levels(score_plot.draw(table).axes[0])
    assert set(found) == {(plot_style.COLORS[0], 50), (plot_style.COLORS[2], 90)}


def test_the_checkpoint_that_dev_chooses_has_a_star(table):
    stars = [
        line.get_xydata().tolist()
        for line in score_plot.draw(table).axes[0].get_lines()
        if line.get_marker() == "*"
    ]
    assert stars == [[[300, 80]]]


def test_one_task_needs_no_panel_for_the_mean(table):
    table["tasks"] = table["tasks"][:1]
    assert len(score_plot.draw(table).axes) == 1


def test_a_table_without_scores_is_drawn(table):
    for entry in table["rows"]:
        entry["cells"] = dict.fromkeys(entry["cells"])
        entry["test"] = None
    assert score_plot.to_png(table).startswith(b"\x89PNG\r\n\x1a\n")


def test_models_without_steps_alone_are_drawn(table):
    table["rows"] = table["rows"][-1:]
    assert score_plot.to_png(table).startswith(b"\x89PNG\r\n\x1a\n")
