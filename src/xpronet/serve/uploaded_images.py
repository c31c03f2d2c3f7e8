"""From uploaded bytes to what the network sees and what the page shows; nothing touches a disk."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from xpronet.errors import InputError
from xpronet.images.dicom_file import HEAD
from xpronet.images.dicom_study import check_body_parts, check_same_study, read_dicom_image
from xpronet.images.read import Grey, eight_bits, image_format, read_grey, resize
from xpronet.images.transforms import ImageSettings, Square, seen_area, test_view

PREVIEW_SIDE = 1400
"""Longest side of the image that the page shows, in pixels; smaller images keep their size."""

SUFFIXES = {"dicom": "dcm", "png": "png", "jpeg": "jpg", "tiff": "tif", None: "jpg"}


@dataclass(frozen=True, kw_only=True)
class Preview:
    """A view as the page shows it."""

    png: bytes
    """The whole image in 8 bits."""
    width: int
    height: int
    seen: tuple[float, float, float, float]
    """Left, top, width and height of the square the network saw, relative to the image's width and height."""


@dataclass(frozen=True, kw_only=True)
class UploadedView:
    """One uploaded image, decoded."""

    name: str
    """view-1.png and so on: the client's file name may name a patient and is never used."""
    square: Square
    """What the network sees."""
    preview: Preview | None


@dataclass(frozen=True, kw_only=True)
class UploadedStudy:
    """The uploaded images of one study, decoded."""

    views: tuple[UploadedView, ...]
    """At least one, in the order of the upload."""
    warnings: tuple[str, ...]
    """What the images' headers leave open about patient and study."""


class _NamedBytes(io.BytesIO):
    """Bytes with a name for messages."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self.name = name


def decode_study(
    files: Sequence[bytes],
    settings: ImageSettings,
    *,
    max_pixels: int,
    with_preview: bool = False,
    anyway: bool = False,
) -> UploadedStudy:
    """Decode the images of one study and make sure that they belong together.

    Args:
        files: PNG, JPEG, TIFF or DICOM, recognised by content.
        settings: how the network sees images.
        max_pixels: larger images are refused before they are decoded.
        with_preview: also make what the page shows.
        anyway: warn of images of another body part, which are refused otherwise.

    Raises:
        InputError: an image is damaged, too large, of no known format or of another body part, or two are of different
            patients or studies.
    """
    headers = [read_dicom_image(content, f"view {number}") for number, content in enumerate(files, 1)]
    parts = check_body_parts(headers, [f"view {number}" for number, _ in enumerate(files, 1)], anyway=anyway)
    views = tuple(
        _decode_view(content, number, settings, max_pixels=max_pixels, with_preview=with_preview)
        for number, content in enumerate(files, 1)
    )
    same_study = check_same_study(headers, [view.name for view in views])
    return UploadedStudy(views=views, warnings=(*same_study, *parts))


def _decode_view(
    content: bytes, number: int, settings: ImageSettings, *, max_pixels: int, with_preview: bool
) -> UploadedView:
    try:
        grey = read_grey(_NamedBytes(content, f"view {number}"), max_pixels=max_pixels)
        square = test_view(grey, settings)
    except MemoryError:
        raise InputError(f"view {number}: needs more memory than this server has; make it smaller") from None
    name = f"view-{number}.{SUFFIXES[image_format(content[:HEAD])]}"
    return UploadedView(name=name, square=square, preview=_preview(grey, settings) if with_preview else None)


def _preview(grey: Grey, settings: ImageSettings) -> Preview:
    height, width = grey.shape
    scale = min(1.0, PREVIEW_SIDE / max(height, width))
    shown = resize(eight_bits(grey), max(1, round(width * scale)), max(1, round(height * scale)))
    stream = io.BytesIO()
    # The fastest compression: the image travels once, mostly inside one machine.
    Image.fromarray(shown).save(stream, format="PNG", compress_level=1)
    return Preview(
        png=stream.getvalue(),
        width=shown.shape[1],
        height=shown.shape[0],
        seen=seen_area(height, width, settings),
    )
