"""A sheet measured in inches, for figures that are text and images rather than axes."""

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from xpronet.files import printable
from xpronet.show.figures import BLACK, save_figure

POINTS_AN_INCH = 72
LEADING = 1.35
"""Height of a line, in its letters' size."""


def text_width(text: str, size: float | int, *, bold: bool = False) -> float:
    """Return how wide a text of `size` points is, in inches."""
    return _width(printable(text), bold) * size / POINTS_AN_INCH


def line_height(size: float | int) -> float:
    """Return the height of a line of `size` points, in inches."""
    return size * LEADING / POINTS_AN_INCH


def wrapped(texts: Iterable[str], width: float, size: float | int) -> list[list[tuple[float, int]]]:
    """Lay pieces of text out in lines: for each line, where each piece begins and which piece it is.

    Args:
        texts: the pieces in order; one that is white space alone vanishes where a line breaks, and only there a line
            may break.
        width: of a line, in inches.
        size: of the letters, in points.
    """
    lines: list[list[tuple[float, int]]] = [[]]
    end = 0.0
    waiting: list[tuple[int, float]] = []  # pieces since the last white space: they stay together
    blank = 0.0

    def settle() -> None:
        nonlocal end, blank
        total = sum(each for _, each in waiting)
        if lines[-1] and end + blank + total > width:
            lines.append([])
            end = blank = 0.0
        end += blank if lines[-1] else 0.0
        for number, each in waiting:
            lines[-1].append((end, number))
            end += each
        waiting.clear()
        blank = 0.0

    for number, text in enumerate(texts):
        if text.isspace():
            settle()
            blank = text_width(" ", size)
        else:
            waiting.append((number, text_width(text, size)))
    settle()
    return [line for line in lines if line]


class Sheet:
    """A white sheet; places are in inches from its upper left corner. To be used inside `house_style`."""

    def __init__(self, width: float, height: float) -> None:
        from matplotlib.figure import Figure

        self.figure = Figure(figsize=(width, height), facecolor="white")
        self.axes: Any = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set_axis_off()
        self.axes.set(xlim=(0, width), ylim=(height, 0), autoscale_on=False)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float | int,
        colour: str = BLACK,
        bold: bool = False,
        align: str = "left",
    ) -> None:
        """Write one line whose letters hang below `y`."""
        baseline = y + size / POINTS_AN_INCH
        weight = "bold" if bold else "normal"
        self.axes.text(x, baseline, printable(text), size=size, color=colour, weight=weight, ha=align, va="baseline")

    def paragraph(
        self, x: float, y: float, text: str, *, width: float, size: float | int, colour: str = BLACK
    ) -> float:
        """Write a text in as many lines as it takes; return where the next line would be."""
        pieces = _pieces(text)
        for line in wrapped(pieces, width, size):
            self.text(x, y, "".join(pieces[line[0][1] : line[-1][1] + 1]), size=size, colour=colour)
            y += line_height(size)
        return y

    def picture(self, x: float, y: float, side: float, pixels: UInt8[np.ndarray, "height width *colours"]) -> None:
        """Lay a square image, grey or coloured, with its upper left corner at `x`, `y`."""
        extent = (x, x + side, y + side, y)
        self.axes.imshow(
            pixels, extent=extent, cmap="gray", vmin=0, vmax=255, interpolation="none", aspect="auto", zorder=1
        )

    def frame(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        *,
        colour: str,
        line: float,
        fill: str | None = None,
        dashed: bool = False,
    ) -> None:
        """Draw a rectangle; without a line width only its inside."""
        from matplotlib.patches import Rectangle

        self.axes.add_patch(
            Rectangle(
                (x, y),
                width,
                height,
                fill=fill is not None,
                facecolor=fill or "none",
                edgecolor=colour if line else "none",
                linewidth=line,
                linestyle=(0, (5, 3)) if dashed else "-",
                zorder=2,
            )
        )

    def line(self, start: Sequence[float], end: Sequence[float], *, colour: str, line: float) -> None:
        """Draw a straight line."""
        self.axes.plot((start[0], end[0]), (start[1], end[1]), color=colour, linewidth=line, zorder=2)

    def mark(self, x: float, y: float, shape: str, *, colour: str, filled: bool, size: float | int) -> None:
        """Draw a marker of matplotlib's around `x`, `y`, `size` points wide."""
        face = colour if filled else "white"
        self.axes.plot(x, y, marker=shape, ms=size, mec=colour, mfc=face, mew=1.2, linestyle="none", zorder=3)

    def save(self, path: Path, *, overwrite: bool) -> None:
        """Write the sheet, its kind by the end of the name."""
        save_figure(self.figure, path, overwrite=overwrite)


def paragraph_height(text: str, *, width: float, size: float | int) -> float:
    """Return how high a text is that `Sheet.paragraph` writes, in inches."""
    return len(wrapped(_pieces(text), width, size)) * line_height(size)


def _pieces(text: str) -> list[str]:
    pieces: list[str] = []
    for word in text.split():
        pieces += [word, " "]
    return pieces[:-1]


@cache
def _width(text: str, bold: bool) -> float:
    """Return the width of a text as a part of its letters' size."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    font = FontProperties(family="DejaVu Sans", size=100, weight="bold" if bold else "normal")
    width, _, _ = TextToPath().get_text_width_height_descent(text, font, ismath=False)
    return float(width) / 100
