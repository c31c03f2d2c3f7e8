"""From uploaded bytes to what the network sees and what the page shows; nothing touches a disk."""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from xpronet.errors import InputError
from xpronet.images.dicom_file import HEAD
from xpronet.images.dicom_study import DicomImage, check_body_parts, check_same_study, read_dicom_image
from xpronet.images.film import Film, FilmHeader, FilmValues, read_film
from xpronet.images.read import eight_bits, image_format, resize
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
    number: int = 1
    """Which of the uploaded images it is, from 1: a frontal film is moved before lateral ones."""
    header: FilmHeader | None = None
    """What a DICOM header says, for the page alone."""
    values: FilmValues | None = None
    """The image in full depth and size, where the preview has less of it."""
    full_shape: tuple[int, int] = (0, 0)
    """Height and width of the image as uploaded."""

    @property
    def held_bytes(self) -> int:
        """What the image in full depth takes."""
        return 0 if self.values is None else self.values.values.nbytes


@dataclass(frozen=True, kw_only=True)
class UploadedStudy:
    """The uploaded images of one study, decoded."""

    views: tuple[UploadedView, ...]
    """At least one: lateral films, by their headers, behind the others, else in the order of the upload."""
    warnings: tuple[str, ...]
    """What the images' headers leave open about patient and study."""


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
    names = [f"view {number}" for number, _ in enumerate(files, 1)]
    headers = [read_dicom_image(content, name) for content, name in zip(files, names, strict=True)]
    parts = check_body_parts(headers, names, anyway=anyway)
    repeats = check_repeats(files, headers, names, anyway=anyway)
    views = [
        _decode_view(content, number, settings, max_pixels=max_pixels, with_preview=with_preview)
        for number, content in enumerate(files, 1)
    ]
    same_study = check_same_study(headers, [view.name for view in views])
    # The network expects the frontal film first. Sorting is stable: films that say nothing keep their places.
    views.sort(key=lambda view: view.header is not None and view.header.is_lateral)
    return UploadedStudy(views=tuple(views), warnings=(*same_study, *parts, *repeats))


def check_repeats(
    files: Sequence[bytes], headers: Sequence[DicomImage | None], names: Sequence[str], *, anyway: bool = False
) -> tuple[str, ...]:
    """Refuse an image that is given twice: a second view that is the first would count as another one.

    Args:
        files: the images.
        headers: of those that are DICOM files.
        names: what messages call each image.
        anyway: warn instead.

    Returns:
        Warnings, a line for each such image.

    Raises:
        InputError: an image is there twice, and `anyway` is false.
    """
    known: dict[str, str] = {}
    warnings = []
    for content, header, name in zip(files, headers, names, strict=True):
        marks = [hashlib.sha256(content).hexdigest()]
        if header is not None and header.elements["SOPInstanceUID"]:
            marks.append(header.elements["SOPInstanceUID"])
        first = next((known[mark] for mark in marks if mark in known), None)
        known |= dict.fromkeys(marks, name)
        if first is not None and not anyway:
            raise InputError(f"{name}: the same image as {first}; give each image once")
        if first is not None:
            warnings.append(f"{name}: the same image as {first}")
    return tuple(warnings)


def _decode_view(
    content: bytes, number: int, settings: ImageSettings, *, max_pixels: int, with_preview: bool
) -> UploadedView:
    shown = f"view {number}"
    try:
        film = read_film(content, shown, max_pixels=max_pixels)
        shallow = eight_bits(film.grey)
        square = test_view(shallow, settings)
    except MemoryError:
        raise InputError(f"{shown}: needs more memory than this server has; make it smaller") from None
    preview = _preview(shallow, settings) if with_preview else None
    return UploadedView(
        name=f"view-{number}.{SUFFIXES[image_format(content[:HEAD])]}",
        square=square,
        preview=preview,
        number=number,
        header=film.header,
        full_shape=film.grey.shape,
        values=film.values if preview is not None and _has_more(film, preview) else None,
    )


def _has_more(film: Film, preview: Preview) -> bool:
    """Tell whether an image has more depth or pixels than its preview."""
    return film.values.values.dtype != np.uint8 or film.grey.shape != (preview.height, preview.width)


def _preview(grey: UInt8[np.ndarray, "height width"], settings: ImageSettings) -> Preview:
    height, width = grey.shape
    scale = min(1.0, PREVIEW_SIDE / max(height, width))
    shown = resize(grey, max(1, round(width * scale)), max(1, round(height * scale)))
    stream = io.BytesIO()
    # The fastest compression: the image travels once, mostly inside one machine.
    Image.fromarray(shown).save(stream, format="PNG", compress_level=1)
    return Preview(
        png=stream.getvalue(),
        width=shown.shape[1],
        height=shown.shape[0],
        seen=seen_area(height, width, settings),
    )
