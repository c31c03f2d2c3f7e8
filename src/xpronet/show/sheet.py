"""A drawing area measured in inches, for figures of text and images rather than axes."""

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from xpronet.files import printable
from xpronet.show.figures import BLACK, save_figure

POINTS_PER_INCH = 72
LEADING = 1.35
"""Line height relative to the font size."""


def text_width(text: str, size: float | int, *, bold: bool = False) -> float:
    """Return the width of a text in inches; `size` is in points."""
    return _width(printable(text), bold) * size / POINTS_PER_INCH


def line_height(size: float | int) -> float:
    """Return the height of a line in inches; `size` is in points."""
    return size * LEADING / POINTS_PER_INCH


def wrapped(texts: Iterable[str], width: float, size: float | int) -> list[list[tuple[float, int]]]:
    """Wrap pieces of text into lines: for each line, where each piece begins and which piece it is.

    Args:
        texts: the pieces in order; lines break only at pieces of white space, which are dropped there.
        width: of a line, in inches.
        size: of the font, in points.
    """
    lines: list[list[tuple[float, int]]] = [[]]
    end = 0.0
    pending: list[tuple[int, float]] = []  # pieces since the last white space: they stay together
    blank = 0.0

    def flush() -> None:
        nonlocal end, blank
        total = sum(each for _, each in pending)
        if lines[-1] and end + blank + total > width:
            lines.append([])
            end = blank = 0.0
        end += blank if lines[-1] else 0.0
        for number, each in pending:
            lines[-1].append((end, number))
            end += each
        pending.clear()
        blank = 0.0

    for number, text in enumerate(texts):
        if text.isspace():
            flush()
            blank = text_width(" ", size)
        else:
            pending.append((number, text_width(text, size)))
    flush()
    return [line for line in lines if line]


class Sheet:
    """A white sheet; positions are in inches from the upper left corner. To be used inside `figure_style`."""

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
        """Write one line of text below `y`."""
        baseline = y + size / POINTS_PER_INCH
        weight = "bold" if bold else "normal"
        self.axes.text(x, baseline, printable(text), size=size, color=colour, weight=weight, ha=align, va="baseline")

    def paragraph(
        self, x: float, y: float, text: str, *, width: float, size: float | int, colour: str = BLACK
    ) -> float:
        """Write a wrapped text; return the `y` of the next line."""
        pieces = _pieces(text)
        for line in wrapped(pieces, width, size):
            self.text(x, y, "".join(pieces[line[0][1] : line[-1][1] + 1]), size=size, colour=colour)
            y += line_height(size)
        return y

    def image(self, x: float, y: float, side: float, pixels: UInt8[np.ndarray, "height width *colours"]) -> None:
        """Draw a square image, grey or coloured, with its upper left corner at `x`, `y`."""
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
        """Draw a rectangle; with a line width of 0, only its inside."""
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

    def marker(self, x: float, y: float, shape: str, *, colour: str, filled: bool, size: float | int) -> None:
        """Draw a marker of matplotlib at `x`, `y`, `size` points wide."""
        face = colour if filled else "white"
        self.axes.plot(x, y, marker=shape, ms=size, mec=colour, mfc=face, mew=1.2, linestyle="none", zorder=3)

    def save(self, path: Path, *, overwrite: bool) -> None:
        """Write the sheet in the format that the name ends in."""
        save_figure(self.figure, path, overwrite=overwrite)


def paragraph_height(text: str, *, width: float, size: float | int) -> float:
    """Return the height in inches of a text that `Sheet.paragraph` writes."""
    return len(wrapped(_pieces(text), width, size)) * line_height(size)


def _pieces(text: str) -> list[str]:
    pieces: list[str] = []
    for word in text.split():
        pieces += [word, " "]
    return pieces[:-1]


@cache
def _width(text: str, bold: bool) -> float:
    """Return the width of a text relative to the font size."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    font = FontProperties(family="DejaVu Sans", size=100, weight="bold" if bold else "normal")
    width, _, _ = TextToPath().get_text_width_height_descent(text, font, ismath=False)
    return float(width) / 100
