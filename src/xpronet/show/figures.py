"""What all figures share: kinds of file, fonts, colours that people with any colour vision tell apart, same bytes."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from xpronet.errors import InputError
from xpronet.files import new_file
from xpronet.labels.findings import FINDINGS

BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
AMBER, SKY, BLACK, GREY = "#E69F00", "#56B4E9", "#000000", "#595959"
"""Okabe and Ito's colours: people with any colour vision tell them apart; grey is dark enough to read."""
WIDTH = 12.0
"""Inches of a wide figure: shown 1,200 pixels wide, a point is 1.4 pixels and the smallest text, 8 points, 11."""
DPI = 160
KINDS = (".png", ".svg")
STYLE: dict[Any, Any] = {
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,  # a dollar sign in a study's name is a dollar sign
    "image.composite_image": False,  # an SVG keeps each image as it is, not all of them as one coarse one
    "svg.fonttype": "none",  # text stays text: searchable, and read in the reader's own font
    "svg.hashsalt": "xpronet",  # the same figure gives the same bytes
}


class Mark(NamedTuple):
    """How a finding is drawn: its shape is its own, and its colour is told apart from its neighbours'."""

    shape: str
    """A marker of matplotlib's."""
    colour: str
    """Of the outline, and of the inside where it is filled."""
    filled: bool
    """Seven colours serve fourteen findings: once filled, once hollow."""


_SHAPES = ("o", "s", "^", "D", "v", "P", "*", "<", "o", "s", "^", "D", "v", "d")
_COLOURS = (BLUE, ORANGE, GREEN, AMBER, PURPLE, BLACK, SKY)
FINDING_MARKS = {
    name: Mark(shape, _COLOURS[place % 7] if place < 7 else _COLOURS[(place + 3) % 7], place < 7)
    for place, (name, shape) in enumerate(zip(FINDINGS, _SHAPES, strict=True))
}
"""The mark of each of the fourteen findings, the same in every figure."""


def check_plots() -> None:
    """Make sure before long work that plots can be drawn.

    Raises:
        InputError: the extra is not installed.
    """
    if find_spec("matplotlib") is None:
        raise InputError("plots need the extra [plots]: pip install 'xpronet[plots]'")


def check_figure(path: Path, *, overwrite: bool = False) -> None:
    """Make sure before long work that a figure can be drawn and written to `path`.

    Raises:
        InputError: the extra is not installed, the name ends neither in .png nor in .svg, or the file is there.
    """
    check_plots()
    if path.suffix not in KINDS:
        raise InputError(f"{path}: a figure is a .png or .svg file; choose such a name")
    if path.exists() and not overwrite:
        raise InputError(f"{path}: already exists; choose another name or add --overwrite")


@contextmanager
def house_style() -> Iterator[None]:
    """Draw in our style inside the block, whatever the user's own settings of matplotlib are."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def save_figure(figure: Any, path: Path, *, overwrite: bool = False) -> None:
    """Write a figure, its kind by the end of the name; the same figure gives the same bytes.

    To be called inside `house_style`.

    Raises:
        InputError: the file exists and `overwrite` is false, or it cannot be written.
    """
    # Without its date an SVG depends on the figure alone; PNG has none.
    metadata = {"Date": None} if path.suffix == ".svg" else {}
    with new_file(path, overwrite=overwrite) as temporary:
        figure.savefig(temporary, format=path.suffix.removeprefix("."), dpi=DPI, metadata=metadata)
