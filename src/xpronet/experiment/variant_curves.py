"""Scores against a setting: the paper's figures 5 and 6, with intervals and the best constant baseline."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xpronet.evaluation.finding_f1 import MAIN
from xpronet.experiment.variant_table import Variant
from xpronet.show.figures import BLUE, ORANGE, check_plots, figure_style, save_figure

PANELS = ("BLEU-4", MAIN)
"""The paper's score, and one on which constant reports do badly."""


def draw_curves(
    points: Mapping[float, Variant], constants: Sequence[Variant], *, setting: str, files: Sequence[Path]
) -> None:
    """Draw one panel for each score: a dot with its 95 % interval for each value, the best constant as a dashed line.

    With several seeds, each seed is a small ring beside the mean.

    Args:
        points: the scores of each value of the setting.
        constants: as `best_constants` returns them; each panel shows the best of them.
        setting: label of the horizontal axis.
        files: the images to write, .png or .svg; existing ones are replaced.

    Raises:
        InputError: the extra is not installed, or a file cannot be written.
    """
    check_plots()
    from matplotlib.figure import Figure

    with figure_style():
        figure = Figure(figsize=(4.6 * len(PANELS), 3.9), layout="constrained")
        for axes, score in zip(figure.subplots(1, len(PANELS)), PANELS, strict=True):
            _draw_panel(axes, score, points, constants)
            axes.set_xlabel(setting)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
        for file in files:
            save_figure(figure, file, overwrite=True)


def _draw_panel(axes: Any, score: str, points: Mapping[float, Variant], constants: Sequence[Variant]) -> None:
    scored = {value: row.scores[score] for value, row in sorted(points.items()) if score in row.scores}
    values, means = list(scored), [each.value for each in scored.values()]
    # A percentile interval need not contain the value itself, but error bars cannot be negative.
    below = [max(0.0, each.value - each.low) for each in scored.values()]
    above = [max(0.0, each.high - each.value) for each in scored.values()]
    axes.errorbar(
        values, means, yerr=[below, above], color=BLUE, marker="o", capsize=4, linewidth=1.6, label="95 % interval"
    )
    rings = [(value, one) for value, each in scored.items() if len(each.each) > 1 for one in each.each]
    if rings:
        axes.plot(*zip(*rings, strict=True), "o", color=BLUE, mfc="none", markersize=4, alpha=0.6, label="each seed")
    best = max((row.scores[score].value for row in constants if score in row.scores), default=None)
    if best is not None:
        axes.axhline(best, color=ORANGE, linestyle="--", linewidth=1.6, label="best constant, no image seen")
    axes.set_title(score)
    axes.set_xticks(values, [f"{value:g}" for value in values])
    axes.grid(axis="y", color="0.9")
    axes.set_axisbelow(True)
