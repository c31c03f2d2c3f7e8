"""Drawing primitives: shapes given in body coordinates become soft masks on an image."""

from collections.abc import Sequence
from math import cos, radians, sin

import numpy as np
from jaxtyping import Float, Float32
from PIL import Image, ImageDraw, ImageFilter

Mask = Float32[np.ndarray, "size size"]
Points = Float[np.ndarray, "_ 2"]
"""Body coordinates, one point a row."""

FEW_PIXELS = 512
"""Up to this side, shapes are drawn twice as fine and reduced."""

NO_BLUR = 0.55
"""Softness in pixels that drawing finer and reducing gives already."""

BOX_OF_BLUR = 1.6
"""Half width of a running mean that looks as soft as a Gaussian of standard deviation 1, at a third of the cost."""


class Canvas:
    """A square image on which shapes are drawn in body coordinates.

    Body coordinates are fractions of the image's side: the first runs from -0.5 (left edge) to 0.5 (right edge), the
    second from 0 (top) to 1 (bottom). The canvas tilts, scales and shifts them, as positioning at the detector does.
    """

    def __init__(self, *, size: int, tilt: float = 0.0, scale: float = 1.0, shift: tuple[float, float] = (0.0, 0.0)):
        """Lay out the image.

        Args:
            size: side in pixels.
            tilt: clockwise turn, in degrees.
            scale: magnification about the image's centre.
            shift: right and down, in fractions of the side.
        """
        self.size = size
        angle = radians(tilt)
        self._matrix = scale * np.array([[cos(angle), -sin(angle)], [sin(angle), cos(angle)]])
        self._centre = np.array([0.5 + shift[0], 0.5 + shift[1]])
        self._scale = scale
        steps = (np.arange(size) + 0.5) / size
        inverse = np.linalg.inv(self._matrix).astype(np.float32)
        right = (steps - self._centre[0]).astype(np.float32)[None, :]
        down = (steps - self._centre[1]).astype(np.float32)[:, None]
        self.across: Mask = inverse[0, 0] * right + inverse[0, 1] * down
        """Body coordinate from left to right of each pixel."""
        self.down: Mask = inverse[1, 0] * right + inverse[1, 1] * down + np.float32(0.5)
        """Body coordinate from top to bottom of each pixel."""
        # Thin lines on a small image need finer steps than its pixels.
        self._fine = 2 if size <= FEW_PIXELS else 1

    def fill(self, outline: Points, *, soft: float = 0.0) -> Mask:
        """Return 1 inside a closed outline and 0 outside, blurred over `soft` fractions of the side."""
        image, draw = self._sheet(soft)
        draw.polygon(self._flat(outline, image.width), fill=255)
        return self._finish(image, soft)

    def stroke(self, lines: Sequence[Points], *, width: float, soft: float = 0.0) -> Mask:
        """Return 1 on lines of the given width and 0 elsewhere, blurred over `soft` fractions of the side."""
        image, draw = self._sheet(soft)
        pixels = max(1, round(width * self._scale * image.width))
        for line in lines:
            draw.line(self._flat(line, image.width), fill=255, width=pixels)
        return self._finish(image, soft)

    def blobs(self, centres: Points, radii: Points, *, angles: Float[np.ndarray, " _"], edge: float) -> Mask:
        """Return soft ellipses: 1 in the middle, 0.5 on the ellipse, 0 outside; overlapping ones keep the larger value.

        Args:
            centres: body coordinates.
            radii: half axes, fractions of the side.
            angles: turn of each ellipse, in radians.
            edge: width of the transition as a fraction of the radius, up to 2 (soft all through).
        """
        mask = np.zeros((self.size, self.size), np.float32)
        for centre, radius, angle in zip(centres, radii, angles, strict=True):
            box = self._box(centre, float(radius.max()) * (1 + edge))
            right, down = self.across[box] - np.float32(centre[0]), self.down[box] - np.float32(centre[1])
            turn, lift = np.float32(cos(angle)), np.float32(sin(angle))
            distance = np.hypot(
                (turn * right + lift * down) / np.float32(radius[0]),
                (turn * down - lift * right) / np.float32(radius[1]),
            )
            ramp = np.clip((1 - distance) / np.float32(edge) + np.float32(0.5), 0, 1)
            np.maximum(mask[box], ramp * ramp * (3 - 2 * ramp), out=mask[box])
        return mask

    def blob(self, centre: tuple[float, float], radii: tuple[float, float], *, angle: float = 0.0, edge: float) -> Mask:
        """Return one soft ellipse; see `blobs`."""
        return self.blobs(np.array([centre]), np.array([radii]), angles=np.array([angle]), edge=edge)

    def cloud(self, rng: np.random.Generator, *, grain: float) -> Mask:
        """Return smooth noise of mean about 0 and standard deviation about 1, with lumps of `grain` of the side."""
        count = max(2, round(1 / grain))
        coarse = rng.standard_normal((count + 2, count + 2), dtype=np.float32)
        image = Image.fromarray(coarse).resize((self.size, self.size), Image.Resampling.BICUBIC)
        return np.asarray(image) * np.float32(1.35)

    def _sheet(self, soft: float) -> tuple[Image.Image, ImageDraw.ImageDraw]:
        # What is blurred over more than a pixel and a half shows no steps, so it needs no fine sheet.
        fine = 1 if soft * self.size >= 1.5 else self._fine
        image = Image.new("L", (self.size * fine, self.size * fine))
        return image, ImageDraw.Draw(image)

    def _finish(self, image: Image.Image, soft: float) -> Mask:
        if image.width > self.size:
            image = image.reduce(image.width // self.size)
        if soft * self.size >= NO_BLUR:
            image = image.filter(ImageFilter.BoxBlur(BOX_OF_BLUR * soft * self.size))
        return np.asarray(image, dtype=np.float32) * np.float32(1 / 255)

    def _flat(self, points: Points, side: int) -> list[float]:
        moved = (points - [0.0, 0.5]) @ self._matrix.T + self._centre
        return [float(value) for value in (moved * side - 0.5).ravel()]

    def _box(self, centre: Float[np.ndarray, "2"], reach: float) -> tuple[slice, slice]:
        moved = self._matrix @ (np.asarray(centre) - [0.0, 0.5]) + self._centre
        low = np.clip(np.floor((moved - reach * self._scale) * self.size).astype(int), 0, self.size)
        high = np.clip(np.ceil((moved + reach * self._scale) * self.size).astype(int) + 1, 0, self.size)
        return slice(low[1], high[1]), slice(low[0], high[0])


def smooth(points: Points, *, closed: bool, steps: int = 6) -> Points:
    """Lay a Catmull-Rom curve through points; a point given twice in a row is a corner."""
    before, start, end, after = (
        (np.roll(points, 1, 0), points, np.roll(points, -1, 0), np.roll(points, -2, 0))
        if closed
        else (np.vstack([points[:1], points[:-2]]), points[:-1], points[1:], np.vstack([points[2:], points[-1:]]))
    )
    at = (np.arange(steps) / steps)[None, :, None]
    before, start, end, after = (part[:, None, :] for part in (before, start, end, after))
    curve = 0.5 * (
        2 * start
        + (end - before) * at
        + (2 * before - 5 * start + 4 * end - after) * at**2
        + (3 * start - before - 3 * end + after) * at**3
    ).reshape(-1, 2)
    return curve if closed else np.vstack([curve, points[-1:]])


def between(start: tuple[float, float], end: tuple[float, float], *, bend: float = 0.0, steps: int = 10) -> Points:
    """Return a line from start to end that bulges sideways by `bend` of its length."""
    first, last = np.asarray(start), np.asarray(end)
    at = np.linspace(0, 1, steps)[:, None]
    sideways = np.array([-(last - first)[1], (last - first)[0]])
    return first + at * (last - first) + 4 * bend * at * (1 - at) * sideways
