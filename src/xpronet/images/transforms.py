"""From a grey image of any size to the square the network sees."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from xpronet.errors import InputError
from xpronet.images.read import Grey, eight_bits, resize, resize_short_side

Square = UInt8[np.ndarray, "size size"]


@dataclass(frozen=True, kw_only=True)
class ImageSettings:
    """How images become squares."""

    size: int = 224
    """Side of the square the network sees, in pixels."""
    short_side: int = 256
    """Short side of the resized image that the square is cut from."""
    train: Literal["short-side", "square"] = "short-side"
    """The train view is cut from the image resized to that short side, or squashed to that square (paper)."""
    test: Literal["crop", "squash", "pad"] = "crop"
    """The test view: the centre square, the whole image squashed to a square (as published), or padded with black."""

    def __post_init__(self) -> None:
        if self.size < 32:
            raise InputError(f"images.size = {self.size}: at least 32 pixels are needed")
        if self.short_side < self.size:
            raise InputError(
                f"images.short_side = {self.short_side}: must be at least images.size = {self.size}, "
                "the square that is cut from it"
            )
        if self.train not in ("short-side", "square"):
            raise InputError(f"images.train = {self.train!r}: choose short-side or square")
        if self.test not in ("crop", "squash", "pad"):
            raise InputError(f"images.test = {self.test!r}: choose crop, squash or pad")


def viewed_by(images: ImageSettings) -> dict[str, int | str]:
    """Return the image settings that a test view depends on, and with it the image's features."""
    kept: dict[str, int | str] = {"size": images.size, "test": images.test}
    if images.test == "crop":
        kept["short_side"] = images.short_side
    return kept


def train_view(grey: Grey, settings: ImageSettings, rng: np.random.Generator) -> Square:
    """Resize the image as `settings.train` says and cut a square at random.

    The resized pixels are those of the field's usual `Resize` of a Pillow image in 8 bits.
    """
    return random_square(resized_for_training(grey, settings), settings, rng)


def resized_for_training(grey: Grey, settings: ImageSettings) -> UInt8[np.ndarray, "new_height new_width"]:
    """Return the resized image that `train_view` cuts its square from; nothing about it is random."""
    if settings.train == "square":
        return eight_bits(resize(eight_bits(grey), settings.short_side, settings.short_side))
    return _resized(grey, settings)


def random_square(
    resized: UInt8[np.ndarray, "new_height new_width"], settings: ImageSettings, rng: np.random.Generator
) -> Square:
    """Cut the square that the network sees out of a resized image at random."""
    height, width = resized.shape
    top = int(rng.integers(0, height - settings.size, endpoint=True))
    left = int(rng.integers(0, width - settings.size, endpoint=True))
    return resized[top : top + settings.size, left : left + settings.size]


def test_view(grey: Grey, settings: ImageSettings) -> Square:
    """Return the square that `settings.test` names; the same image always gives the same square."""
    size = settings.size
    if settings.test == "squash":
        return eight_bits(resize(eight_bits(grey), size, size))
    if settings.test == "pad":
        return _padded(eight_bits(grey), size)
    resized = _resized(grey, settings)
    height, width = resized.shape
    # Halves round to even, as in the field's usual centre crop.
    top, left = round((height - size) / 2), round((width - size) / 2)
    return resized[top : top + size, left : left + size]


def seen_area(height: int, width: int, settings: ImageSettings) -> tuple[float, float, float, float]:
    """Return which part of an image its test view shows; a padded view is larger than the image.

    Args:
        height: of the image, in pixels.
        width: of the image, in pixels.
        settings: how the test view is made.

    Returns:
        Left, top, width and height of the square, relative to the image's width and height.
    """
    if settings.test == "squash":
        return (0.0, 0.0, 1.0, 1.0)
    side = max(height, width) if settings.test == "pad" else min(height, width) * settings.size / settings.short_side
    across, down = side / width, side / height
    return ((1 - across) / 2, (1 - down) / 2, across, down)


def mirrored(square: Square) -> Square:
    """Return the left-right mirror image, which prototypes are also made from (paper, section 3.2)."""
    return square[:, ::-1].copy()


def _resized(grey: Grey, settings: ImageSettings) -> UInt8[np.ndarray, "new_height new_width"]:
    return eight_bits(resize_short_side(eight_bits(grey), settings.short_side, enlarge=True))


def _padded(grey: UInt8[np.ndarray, "height width"], size: int) -> Square:
    height, width = grey.shape
    scale = size / max(height, width)
    inner = eight_bits(resize(grey, max(1, round(width * scale)), max(1, round(height * scale))))
    height, width = inner.shape
    square = np.zeros((size, size), np.uint8)
    top, left = (size - height) // 2, (size - width) // 2
    square[top : top + height, left : left + width] = inner
    return square
