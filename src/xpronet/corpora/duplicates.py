"""The same image twice, also where one copy was encoded anew: compared as small thumbnails."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float16
from PIL import Image

from xpronet.images.read import Grey, eight_bits

SIDE = 32
SAME = 0.995
"""Correlation of two thumbnails from which on they show one image.

Measured: 0.9996 and more after JPEG of quality 20, half the size, noise or stretched contrast, 0.9954 and more after a
gamma of 0.8 (300 films of IU X-Ray); at most 0.985 between films of different studies (6,087 films of IU X-Ray) and
0.988 between drawn ones (4,800).
"""
BLOCK = 2048
"""Images compared with as many others at a time, so that memory does not grow with the square of their number."""

Thumbnail = Float16[np.ndarray, "pixels"]


def thumbnail(grey: Grey) -> Thumbnail:
    """Return an image as a vector of length 1 whose scalar product with another's is their correlation.

    Differences of size, depth, brightness and contrast drop out. A flat image, which has no contrast, becomes a unit
    vector that stands for its grey value.
    """
    small = Image.fromarray(eight_bits(grey)).resize((SIDE, SIDE), Image.Resampling.BOX)
    pixels = np.asarray(small, np.float32).ravel()
    centred = pixels - pixels.mean()
    length = np.linalg.norm(centred)
    if length < SIDE:  # a standard deviation below one grey level
        return np.eye(1, SIDE * SIDE, round(float(pixels.mean())), dtype=np.float16)[0]
    return (centred / length).astype(np.float16)


def same_images(
    first: Float16[np.ndarray, "num_first pixels"], second: Float16[np.ndarray, "num_second pixels"]
) -> Iterator[tuple[int, int]]:
    """Yield pairs of rows that show the same image, for each row of `second` the most alike of `first`."""
    best = np.zeros(len(second), np.float32)
    partner = np.zeros(len(second), np.int64)
    for left in range(0, len(first), BLOCK):
        block = first[left : left + BLOCK].astype(np.float32)
        for start in range(0, len(second), BLOCK):
            rows = slice(start, start + BLOCK)
            alike = second[rows].astype(np.float32) @ block.T
            better = alike.max(axis=1) > best[rows]
            partner[rows] = np.where(better, left + alike.argmax(axis=1), partner[rows])
            best[rows] = np.maximum(best[rows], alike.max(axis=1))
    for row in np.flatnonzero(best >= SAME):
        yield int(partner[row]), int(row)


def stack(thumbnails: Sequence[Thumbnail]) -> Float16[np.ndarray, "images pixels"]:
    """Return thumbnails as the rows of a matrix, which may be empty."""
    return np.stack(thumbnails) if thumbnails else np.zeros((0, SIDE * SIDE), np.float16)
