"""Training curves from the journals of runs: losses, validation scores, learning rates and gradient norms."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xpronet.errors import InputError
from xpronet.show.figures import AMBER, BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, WIDTH, figure_style, save_figure
from xpronet.training.run_folder import JOURNAL_FILE, read_journal

RUN_COLOURS = (BLUE, ORANGE, GREEN, PURPLE, BLACK, AMBER, SKY)
LOSS_TERMS = {
    "image_contrast": ("image contrast", "-", "o"),
    "text_contrast": ("text contrast", "--", "s"),
    "findings": ("findings", ":", "^"),
}
"""Loss terms beside the word loss: name, line style and marker."""
LINE_STYLES = (("-", "o"), ("--", "s"), (":", "^"), ("-.", "D"))
SCORE_NAMES = {"findings_f1": "macro-F1 of the findings head", "bleu4": "BLEU-4", "published": "published score"}
RATE_NAMES = ("learning_rate", "backbone_learning_rate")
"""The entries of the journal's list of learning rates."""
SCORES_TITLE = "Validation scores"
DENSE = 40
"""Fewest points for which a line is drawn without markers."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One quantity of a run over its steps."""

    steps: tuple[int, ...]
    """The steps at which it was logged."""
    values: tuple[float, ...]
    """Its value at each."""


@dataclass(frozen=True, kw_only=True)
class TrainingHistory:
    """The numbers in a run's journal."""

    name: str
    """Name of the run."""
    train: Mapping[str, Curve]
    """Means over each epoch: words, image_contrast, text_contrast, findings, total."""
    val: Mapping[str, Curve]
    """After each epoch: word_loss and scores."""
    steps: Mapping[str, Curve]
    """Values of single steps, by the last part of their name; empty where none were logged."""
    learning_rates: Mapping[str, Curve]
    """Of single steps where they were logged, else after each epoch."""
    best: int | None
    """The step of the best checkpoint."""


def read_history(run: Path, name: str) -> TrainingHistory:
    """Read the numbers of a run's journal; unknown events and values are ignored.

    Raises:
        InputError: the run has no journal or a damaged one, or no epoch is complete.
    """
    train: dict[str, list[tuple[int, float]]] = {}
    val: dict[str, list[tuple[int, float]]] = {}
    steps: dict[str, list[tuple[int, float]]] = {}
    epoch_rates: dict[str, list[tuple[int, float]]] = {}
    best = None
    for event in read_journal(run):
        for parts, value in _numbers(event):
            series = steps
            if event.get("event") == "epoch":
                series = {"train": train, "val": val}.get(parts[0], epoch_rates)
            series.setdefault(parts[-1], []).append((event["step"], value))
        if event.get("event") == "epoch" and event.get("best") is True:
            best = event["step"]
    if not train:
        raise InputError(f"{run / JOURNAL_FILE}: no epoch is complete yet; wait for the first")
    rates = {key: _curve(points) for key, points in {**epoch_rates, **steps}.items() if key.endswith("learning_rate")}
    return TrainingHistory(
        name=name,
        train={key: _curve(points) for key, points in train.items()},
        val={key: _curve(points) for key, points in val.items()},
        steps={key: _curve(points) for key, points in steps.items()},
        learning_rates=rates,
        best=best,
    )


def draw_training(histories: Sequence[TrainingHistory], path: Path, *, overwrite: bool = False) -> None:
    """Draw the word loss, other losses, validation scores, learning rates and, where logged, gradient norms.

    Each run has a colour, each quantity a line style. Epochs are means over their steps; single steps, where the
    journal has them, are thin lines in the background.

    Args:
        histories: of one run or several, at most seven.
        path: the .png or .svg file.
        overwrite: replace an existing file.

    Raises:
        InputError: there are more than seven runs, or the file cannot be written.
    """
    if len(histories) > len(RUN_COLOURS):
        raise InputError(f"{len(histories)} runs; one figure takes at most {len(RUN_COLOURS)}; name fewer")
    from matplotlib.figure import Figure

    panels = [_draw_word_loss, _draw_loss_terms, _draw_scores, _draw_rates]
    if any("norm" in key for history in histories for key in history.steps):
        panels.append(_draw_norms)
    rows = math.ceil(len(panels) / 2)
    with figure_style():
        figure = Figure(figsize=(WIDTH, 3.9 * rows + 0.5), layout="constrained")
        grid: list[Any] = list(figure.subplots(rows, 2, squeeze=False).flat)
        for draw, axes in zip(panels, grid, strict=False):
            for colour, history in zip(RUN_COLOURS, histories, strict=False):
                draw(axes, history, colour)
            axes.set_xlabel("step")
            axes.grid(color="0.9")
            axes.set_axisbelow(True)
            axes.margins(y=0.12)
            _legend(axes)
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        from matplotlib.lines import Line2D

        handles = [
            Line2D([], [], color=colour, linewidth=3, label=history.name)
            for colour, history in zip(RUN_COLOURS, histories, strict=False)
        ]
        figure.legend(handles=handles, loc="outside upper left", ncols=4, frameon=False, fontsize=12)
        save_figure(figure, path, overwrite=overwrite)


def _draw_word_loss(axes: Any, history: TrainingHistory, colour: str) -> None:
    axes.set_title("Word loss (nats per word)", loc="left")
    _line(axes, history.steps.get("words"), colour, "-", "", label=None)
    _line(axes, history.train.get("words"), colour, "-", "o", label="train")
    validated = history.val.get("word_loss")
    _line(axes, validated, colour, "--", "s", label="validation")
    if validated is not None and history.best in validated.steps:
        value = validated.values[validated.steps.index(history.best)]
        axes.plot(history.best, value, "o", markersize=15, mfc="none", mec=colour, mew=1.5, label="best checkpoint")


def _draw_loss_terms(axes: Any, history: TrainingHistory, colour: str) -> None:
    axes.set_title("Other terms of the loss", loc="left")
    for key, (name, line, marker) in LOSS_TERMS.items():
        _line(axes, history.steps.get(key), colour, line, "", label=None)
        _line(axes, history.train.get(key), colour, line, marker, label=name)


def _draw_scores(axes: Any, history: TrainingHistory, colour: str) -> None:
    axes.set_title(SCORES_TITLE, loc="left")
    scores = sorted(set(history.val) - {"word_loss"})
    for key, (line, marker) in zip(scores, LINE_STYLES, strict=False):
        _line(axes, history.val[key], colour, line, marker, label=SCORE_NAMES.get(key, key))
    if not scores:
        axes.text(0.5, 0.5, "none in this journal", transform=axes.transAxes, ha="center")


def _draw_rates(axes: Any, history: TrainingHistory, colour: str) -> None:
    axes.set_title("Learning rate", loc="left")
    for (key, curve), (line, marker) in zip(sorted(history.learning_rates.items()), LINE_STYLES, strict=False):
        _line(axes, curve, colour, line, marker, label=key.replace("_", " "))
    axes.yaxis.set_major_formatter(lambda rate, _: f"{rate:g}")


def _draw_norms(axes: Any, history: TrainingHistory, colour: str) -> None:
    from matplotlib.ticker import LogFormatter

    axes.set_title("Norm of the gradients", loc="left")
    norms = sorted((key, curve) for key, curve in history.steps.items() if "norm" in key)
    for (key, curve), (line, marker) in zip(norms, LINE_STYLES, strict=False):
        _line(axes, curve, colour, line, marker, label=key.replace("_", " "))
    axes.set_yscale("log")
    # The axis would write powers of ten in TeX, which the figure style does not parse.
    axes.yaxis.set_major_formatter(LogFormatter())
    axes.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1.5, 0.8)))


def _line(axes: Any, curve: Curve | None, colour: str, line: str, marker: str, *, label: str | None) -> None:
    """Draw one curve; without a label, as a thin line in the background."""
    if curve is None:
        return
    shown = marker if len(curve.steps) < DENSE else ""
    faint = {"linewidth": 0.7, "alpha": 0.45} if label is None else {"linewidth": 1.8}
    axes.plot(curve.steps, curve.values, color=colour, linestyle=line, marker=shown, ms=5, label=label, **faint)


def _legend(axes: Any) -> None:
    """Add a legend of line styles, in grey, since a colour is a run; a single style needs none."""
    from matplotlib.lines import Line2D

    kinds: dict[str, Line2D] = {}
    for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
        same = ("linestyle", "marker", "markersize", "markerfacecolor")
        looks = {key: getattr(handle, f"get_{key}")() for key in same}
        if looks["markerfacecolor"] != "none":
            looks["markerfacecolor"] = GREY
        kinds.setdefault(name, Line2D([], [], color=GREY, **looks))
    if len(kinds) > 1 or axes.get_title(loc="left") == SCORES_TITLE:
        axes.legend(kinds.values(), kinds, frameon=False, handlelength=3)


def _numbers(event: Mapping[str, Any], before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], float]]:
    """Yield the numbers of an event with their names, including those of nested objects."""
    for name, value in event.items():
        if isinstance(value, dict):
            yield from _numbers(value, (*before, name))
        elif name == "learning_rates" and isinstance(value, list):
            yield from _numbers(dict(zip(RATE_NAMES, value, strict=False)), before)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield (*before, name), float(value)


def _curve(points: Sequence[tuple[int, float]]) -> Curve:
    return Curve(steps=tuple(step for step, _ in points), values=tuple(value for _, value in points))
