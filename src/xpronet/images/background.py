"""Regions of an image that show no patient: collimation, padding, and air beside the body."""

import numpy as np
from jaxtyping import Bool, UInt8

DARK = 24
"""Grey, of 255, at and below which a pixel may be background."""
EVEN = 6.0
"""Standard deviation of a region's greys below which nothing is in it."""


def empty_regions(image: UInt8[np.ndarray, "height width"], rows: int) -> Bool[np.ndarray, "rows rows"]:
    """Return which regions are dark, even, and joined to the border by such regions.

    Dark lungs are full of vessels, or have tissue between them and the border. A film with a white background has no
    empty regions by this rule.

    Args:
        image: the square that the network saw.
        rows: regions in each row and column.
    """
    bounds = np.linspace(0, image.shape[0], rows + 1).round().astype(int)
    empty = np.zeros((rows, rows), bool)
    for row in range(rows):
        for column in range(rows):
            cell = image[bounds[row] : bounds[row + 1], bounds[column] : bounds[column + 1]]
            empty[row, column] = cell.size > 0 and cell.mean() <= DARK and cell.std() < EVEN
    joined = np.zeros_like(empty)
    joined[[0, -1]], joined[:, [0, -1]] = empty[[0, -1]], empty[:, [0, -1]]
    for _ in range(rows * rows):
        padded = np.pad(joined, 1)
        beside = padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
        grown = joined | (beside & empty)
        if (grown == joined).all():
            break
        joined = grown
    return joined
