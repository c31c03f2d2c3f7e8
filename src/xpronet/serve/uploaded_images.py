"""From uploaded bytes to what the network sees and what the page shows; nothing touches a disk."""

import io
from dataclasses import dataclass

from PIL import Image

from xpronet.errors import InputError
from xpronet.images.dicom_file import HEAD
from xpronet.images.read import Grey, eight_bits, image_format, read_grey, resize
from xpronet.images.transforms import ImageSettings, Square, test_view

PREVIEW_SIDE = 1400
"""Long side of the image that the page shows, in pixels; a smaller one stays as it is."""

SUFFIXES = {"dicom": "dcm", "png": "png", "jpeg": "jpg", "tiff": "tif", None: "jpg"}


@dataclass(frozen=True, kw_only=True)
class Preview:
    """A view as the page shows it."""

    png: bytes
    """The whole image in 8 bits."""
    width: int
    height: int
    seen: tuple[float, float, float, float]
    """Left, top, width and height of the square the network saw, as parts of the image's width and height."""


@dataclass(frozen=True, kw_only=True)
class UploadedView:
    """One uploaded image, decoded."""

    name: str
    """view-1.png and so on: what a client calls its files may name a patient and is never used."""
    square: Square
    """What the network sees."""
    preview: Preview | None

    @property
    def is_dicom(self) -> bool:
        """Whether it came as a DICOM file."""
        return self.name.endswith(".dcm")


class _Named(io.BytesIO):
    """Bytes that error messages call by a name."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self.name = name


def read_view(
    content: bytes, number: int, settings: ImageSettings, *, max_pixels: int, with_preview: bool = False
) -> UploadedView:
    """Decode one uploaded PNG, JPEG, TIFF or DICOM image, told apart by content.

    Args:
        content: the file.
        number: which view of the study it is, from 1.
        settings: how the network wants it.
        max_pixels: larger images are refused before they are decoded.
        with_preview: also make what the page shows.

    Raises:
        InputError: the image is none of the four, damaged, too large or no film.
    """
    try:
        grey = read_grey(_Named(content, f"view {number}"), max_pixels=max_pixels)
        square = test_view(grey, settings)
    except MemoryError:
        raise InputError(f"view {number}: needs more memory than this server has; make it smaller") from None
    name = f"view-{number}.{SUFFIXES[image_format(content[:HEAD])]}"
    return UploadedView(name=name, square=square, preview=_preview(grey, settings) if with_preview else None)


def _preview(grey: Grey, settings: ImageSettings) -> Preview:
    height, width = grey.shape
    shrink = min(1.0, PREVIEW_SIDE / max(height, width))
    shown = resize(eight_bits(grey), max(1, round(width * shrink)), max(1, round(height * shrink)))
    stream = io.BytesIO()
    # The fastest compression: the image travels once, mostly inside one machine.
    Image.fromarray(shown).save(stream, format="PNG", compress_level=1)
    return Preview(
        png=stream.getvalue(),
        width=shown.shape[1],
        height=shown.shape[0],
        seen=_seen(height, width, settings),
    )


def _seen(height: int, width: int, settings: ImageSettings) -> tuple[float, float, float, float]:
    """Return the square the network saw in parts of the image; a padded one is larger than the image."""
    if settings.test == "squash":
        return (0.0, 0.0, 1.0, 1.0)
    side = max(height, width) if settings.test == "pad" else min(height, width) * settings.size / settings.short_side
    across, down = side / width, side / height
    return ((1 - across) / 2, (1 - down) / 2, across, down)
