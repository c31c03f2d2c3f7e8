"""Where a finding is seen most: the strongest region of the network's grid as a box in the pixels of the image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor

import numpy as np
from jaxtyping import Bool, Float

from xpronet.generation.report import Report
from xpronet.images.transforms import ImageSettings, seen_area
from xpronet.labels.findings import NO_FINDING

BRIGHT = 0.5
"""The region holds the cells around the strongest one with at least this share of its value."""


@dataclass(frozen=True, kw_only=True)
class PixelBox:
    """A box around whole pixels of an image; rows and columns are counted from 0, and the ends are not included."""

    left: int
    """First column."""
    top: int
    """First row."""
    right: int
    """Column behind the last."""
    bottom: int
    """Row behind the last."""


@dataclass(frozen=True, kw_only=True)
class FindingRegion:
    """The strongest region of a finding."""

    finding: str
    """Its name."""
    view: int
    """Which view of the study it is on, from 0."""
    box: PixelBox
    """In the pixels of that view's image."""


def finding_regions(
    report: Report, sizes: Sequence[tuple[int, int] | None], settings: ImageSettings
) -> Mapping[str, FindingRegion]:
    """Return the strongest region of each finding that counts as present.

    Args:
        report: its findings have regions where it was generated with evidence.
        sizes: height and width in pixels of each view's image; None where a box on that image is of no use.
        settings: how the network saw the images.

    Returns:
        By finding. One is missing where nothing speaks for it, or its strongest region is on a view of unknown size.
    """
    found = {}
    for finding in report.findings:
        if not finding.present or finding.name == NO_FINDING or finding.regions is None:
            continue
        cells = strongest_cells(finding.regions)
        if not cells.any():
            continue
        view = int(cells.any((1, 2)).argmax())
        size = sizes[view] if view < len(sizes) else None
        box = None if size is None else pixel_box(cells[view], size, settings)
        if box is not None:
            found[finding.name] = FindingRegion(finding=finding.name, view=view, box=box)
    return found


def strongest_cells(
    regions: Float[np.ndarray, "views rows columns"],
) -> Bool[np.ndarray, "views rows columns"]:
    """Return the cell that speaks most for a finding and the cells that touch it by `BRIGHT`; none where none does."""
    regions = regions.round(5)  # as in JSON: read back from there, a report shows the same region
    cells = np.zeros(regions.shape, bool)
    peak = regions.max()
    if peak <= 0:
        return cells
    view, row, column = (int(place) for place in np.unravel_index(int(regions.argmax()), regions.shape))
    bright = regions[view] >= BRIGHT * peak
    waiting = [(row, column)]
    while waiting:
        row, column = waiting.pop()
        if not (0 <= row < bright.shape[0] and 0 <= column < bright.shape[1]):
            continue
        if bright[row, column] and not cells[view, row, column]:
            cells[view, row, column] = True
            waiting += [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
    return cells


def pixel_box(
    cells: Bool[np.ndarray, "rows columns"], size: tuple[int, int], settings: ImageSettings
) -> PixelBox | None:
    """Return the box around cells of the network's grid in an image's pixels, rounded outwards.

    Args:
        cells: the cells, at least one.
        size: height and width of the image.
        settings: how the network saw the image.

    Returns:
        The box, None where the cells lie on padding alone.
    """
    height, width = size
    left, top, across, down = seen_area(height, width, settings)
    rows, columns = np.flatnonzero(cells.any(1)), np.flatnonzero(cells.any(0))
    # Crop and padding are whole pixels of the small image; one such pixel more on each side covers their rounding.
    spare = 0.0 if settings.test == "squash" else 1 / settings.size
    x = [(end / cells.shape[1] * across + left) * width for end in (columns[0], columns[-1] + 1)]
    y = [(end / cells.shape[0] * down + top) * height for end in (rows[0], rows[-1] + 1)]
    spare_x, spare_y = spare * across * width, spare * down * height
    box = PixelBox(
        left=max(0, floor(x[0] - spare_x)),
        top=max(0, floor(y[0] - spare_y)),
        right=min(width, ceil(x[1] + spare_x)),
        bottom=min(height, ceil(y[1] + spare_y)),
    )
    return box if box.left < box.right and box.top < box.bottom else None
