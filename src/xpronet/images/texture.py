"""Statistics of an image's texture, whatever it shows: what tells a drawing from a film.

A drawing is smooth but for its outlines and an even noise; a film has detail at every scale, and where it has fine
detail it has coarse detail, too. None of the statistics depends on brightness or contrast.
"""

import numpy as np
from jaxtyping import Float, UInt8

from xpronet.images.read import resize

SIZE = 112
"""Side in pixels of the squares that statistics are taken of."""
LEVELS = 4
"""Scales, each half as fine as the one before."""
CELLS = 14
"""Cells along each side in which detail is measured."""
ENERGY_PERCENTILES = (10, 25, 50, 75, 90, 97)
FLOOR = 0.002
"""Detail, relative to the grey range, below which nothing is told apart."""
TINY = 1e-9
AT_A_TIME = 50

Planes = Float[np.ndarray, "images _ _"]
Columns = Float[np.ndarray, "images _"]


def texture_statistics(squares: UInt8[np.ndarray, "images size size"]) -> Columns:
    """Return the statistics of each square image: detail by scale, how scales go together, and gradients."""
    parts = [
        _statistics(_normalised(squares[start : start + AT_A_TIME])) for start in range(0, len(squares), AT_A_TIME)
    ]
    return np.concatenate(parts)


def _statistics(planes: Planes) -> Columns:
    details = _details(planes)
    halves = [planes, _block_means(planes, 2), _block_means(planes, 4)]
    return np.concatenate(
        [
            *(_spread(detail) for detail in details),
            _agreement(details),
            *(_gradients(plane) for plane in halves),
            *(_neighbours(plane) for plane in halves),
        ],
        axis=1,
    ).astype(np.float64)


def _normalised(squares: UInt8[np.ndarray, "images size size"]) -> Planes:
    """Return images of `SIZE` pixels whose greys span 0 to 1, but for the darkest and brightest of them."""
    if squares.shape[1] != SIZE:
        squares = np.stack([resize(square, SIZE, SIZE) for square in squares]).astype(np.uint8)
    planes = squares.astype(np.float32)
    low, high = np.percentile(planes, (2, 98), axis=(1, 2), keepdims=True)
    return np.asarray(np.clip((planes - low) / np.maximum(high - low, 8), -0.2, 1.2), np.float32)


def _block_means(planes: Planes, side: int) -> Planes:
    count, rows, columns = planes.shape
    means: Planes = planes.reshape(count, rows // side, side, columns // side, side).mean((2, 4))
    return means


def _details(planes: Planes) -> list[Planes]:
    """Return for each scale the root mean square, in each cell, of what the next coarser scale lacks."""
    details = []
    for _ in range(LEVELS):
        coarser = _block_means(planes, 2)
        lacking = planes - coarser.repeat(2, 1).repeat(2, 2)
        side = max(1, planes.shape[1] // CELLS)
        details.append(np.sqrt(_block_means(lacking**2, side) + 1e-6))
        planes = coarser
    return details


def _spread(detail: Planes) -> Columns:
    return np.log(np.percentile(detail, ENERGY_PERCENTILES, axis=(1, 2)).T + FLOOR)


def _agreement(details: list[Planes]) -> Columns:
    """Return the correlation over cells of the detail of each two scales."""
    logs = [np.log(detail + FLOOR).reshape(len(detail), -1) for detail in details]
    even = [(log - log.mean(1, keepdims=True)) / (log.std(1, keepdims=True) + 1e-6) for log in logs]
    return np.stack([(even[first] * even[second]).mean(1) for first in range(len(even)) for second in range(first)], 1)


def _gradients(plane: Planes) -> Columns:
    """Return how few pixels hold the squared gradient, its direction, and its mean."""
    across = plane[:, :-1, 1:] - plane[:, :-1, :-1]
    down = plane[:, 1:, :-1] - plane[:, :-1, :-1]
    squared = np.sort((across**2 + down**2).reshape(len(plane), -1), 1)
    total, count = squared.sum(1) + TINY, squared.shape[1]
    half, most, nearly_all = (squared[:, : int(share * count)].sum(1) / total for share in (0.5, 0.8, 0.95))
    upright, slanted = (across**2 - down**2).sum((1, 2)) / total, (2 * across * down).sum((1, 2)) / total
    logs = [np.log(1 - nearly_all + 1e-5), np.log(half + 1e-5), np.log(most + 1e-5)]
    return np.stack([*logs, upright, slanted, np.log(total / count + 1e-6)], 1)


def _neighbours(plane: Planes) -> Columns:
    """Return the correlation of gradients with those beside and below them: noise has -0.5 along itself."""
    found = []
    for axis in (1, 2):
        gradient = np.diff(plane, axis=axis)
        power = (gradient**2).mean((1, 2)) + TINY
        for along in (1, 2):
            first = gradient[:, :-1] if along == 1 else gradient[:, :, :-1]
            second = gradient[:, 1:] if along == 1 else gradient[:, :, 1:]
            found.append((first * second).mean((1, 2)) / power)
    return np.stack(found, 1)
