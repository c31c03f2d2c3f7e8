"""What all figures share: file formats, fonts, colours for any colour vision, reproducible bytes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from xpronet.errors import InputError
from xpronet.files import new_file
from xpronet.labels.findings import FINDINGS

BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
AMBER, SKY, BLACK, GREY = "#E69F00", "#56B4E9", "#000000", "#595959"
"""The palette of Okabe and Ito, for any colour vision; the grey is dark enough to read."""
WIDTH = 12.0
"""Width of a figure in inches: at 1,200 pixels on screen, the smallest text (8 points) is 11 pixels high."""
DPI = 160
COLUMN, PAGE = 3.5, 7.16
"""Width in inches of a column and of a page of most journals."""
FORMATS = (".png", ".svg", ".pdf")
STYLE: dict[Any, Any] = {
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,  # a dollar sign in a study's id is no formula
    "image.composite_image": False,  # an SVG keeps each image at its own resolution
    "pdf.fonttype": 42,  # text in a PDF stays text, too
    "svg.fonttype": "none",  # text stays text, so that it can be searched
    "svg.hashsalt": "xpronet",  # reproducible bytes
}


class FindingMarker(NamedTuple):
    """How a finding is drawn: its shape, colour and filling together are its own."""

    shape: str
    """A marker of matplotlib."""
    colour: str
    """Of the outline, and of the inside of a filled marker."""
    filled: bool
    """Seven colours are used for fourteen findings: once filled, once hollow."""


_SHAPES = ("o", "s", "^", "D", "v", "P", "*", "<", "o", "s", "^", "D", "v", "d")
_COLOURS = (BLUE, ORANGE, GREEN, AMBER, PURPLE, BLACK, SKY)
FINDING_MARKERS = {
    name: FindingMarker(shape, _COLOURS[number % 7] if number < 7 else _COLOURS[(number + 3) % 7], number < 7)
    for number, (name, shape) in enumerate(zip(FINDINGS, _SHAPES, strict=True))
}
"""The marker of each of the fourteen findings, the same in every figure."""


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
        InputError: the extra is not installed, the name ends in none of .png, .svg and .pdf, or the file exists.
    """
    check_plots()
    if path.suffix not in FORMATS:
        raise InputError(f"{path}: a figure is a .png, .svg or .pdf file; choose such a name")
    if path.exists() and not overwrite:
        raise InputError(f"{path}: already exists; choose another name or add --overwrite")


@contextmanager
def figure_style() -> Iterator[None]:
    """Draw in the style of this package inside the block, whatever the user's own settings of matplotlib are."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def check_width(width: float) -> None:
    """Make sure that a figure of this width can be laid out.

    Raises:
        InputError: it is narrower than a column or wider than a screen.
    """
    if not COLUMN <= width <= 2 * WIDTH:
        raise InputError(f"--width {width:g}: choose {COLUMN:g} inches (a column) to {2 * WIDTH:g}")


def save_figure(figure: Any, path: Path, *, overwrite: bool = False) -> None:
    """Write a figure in the format that the name ends in; the same figure gives the same bytes.

    To be called inside `figure_style`.

    Raises:
        InputError: the file exists and `overwrite` is false, or it cannot be written.
    """
    # Without their date SVG and PDF depend on the figure alone; a PNG has none.
    dated = {".svg": "Date", ".pdf": "CreationDate"}
    metadata = {dated[path.suffix]: None} if path.suffix in dated else {}
    with new_file(path, overwrite=overwrite) as temporary:
        figure.savefig(temporary, format=path.suffix.removeprefix("."), dpi=DPI, metadata=metadata)


def run_names(runs: Sequence[Path]) -> tuple[str, ...]:
    """Return what several runs are called in a figure: the shortest ends of their paths that differ.

    Raises:
        InputError: a run is named twice.
    """
    parts = [run.resolve().parts for run in runs]
    twice = [str(run) for number, run in enumerate(runs) if parts[number] in parts[:number]]
    if twice:
        raise InputError(f"{twice[0]}: named twice; name each run once")
    longest = max(map(len, parts))
    for length in range(1, longest + 1):
        names = tuple("/".join(each[-length:]) for each in parts)
        if len(set(names)) == len(names):
            break
    return names
