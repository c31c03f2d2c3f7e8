"""DICOM files: the image as grey, and what the header says about the view."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Shaped, UInt8, UInt16
from PIL import Image

from xpronet.errors import InputError
from xpronet.images.dicom_display import DISPLAY_ELEMENTS, Presentation, read_presentation
from xpronet.images.dicom_file import (
    HEAD,
    MARK,
    MARK_AT,
    Elements,
    is_dicom,
    parse,
    part_ten,
    read_elements,
    refusing_damage,
)
from xpronet.images.dicom_pixels import check_transfer_syntax, rgb_of_palette, stored_values
from xpronet.images.raster import choose_frame

__all__ = [
    "MARK",
    "MARK_AT",
    "DicomPixels",
    "read_dicom",
    "read_dicom_pixels",
    "read_header",
    "read_view_position",
    "refusing_damage",
]

WHITE = 65535
MONOCHROME = ("MONOCHROME1", "MONOCHROME2")
PALETTE = "PALETTE COLOR"
COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
LUMINANCE = (0.299, 0.587, 0.114)
"""The weights of red, green and blue in grey (ITU-R BT.601), as Pillow has them."""
REQUIRED = (
    "PhotometricInterpretation",
    "SamplesPerPixel",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
)
"""Elements that every image has (PS3.3, C.7.6.3, type 1)."""
HEADER_ELEMENTS = (*REQUIRED, "NumberOfFrames", *DISPLAY_ELEMENTS)
FLOATING = ("FloatPixelData", "DoubleFloatPixelData")
BYTES_A_PIXEL = 2
"""What a pixel of a deflated file may unpack to; more is no film."""


@dataclass(frozen=True, kw_only=True)
class DicomPixels:
    """The pixels of a DICOM image as stored, and what its header says about showing them."""

    stored: Shaped[np.ndarray, "height width"]
    """Stored values; where there is no presentation, the luminance of a colour image."""
    presentation: Presentation | None
    """From stored values to grey; None for colours."""

    def grey(self) -> UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"]:
        """Return the image as grey: air black, bone white, 16 bits (8 where the file has 8-bit colours)."""
        if self.presentation is None:
            return self.stored
        # A negative value, as an index, would count from the end of the table.
        lowest = min(int(self.stored.min()), 0)
        places = self.stored.astype(np.int32) - lowest if lowest else self.stored
        counts = np.bincount(places.ravel())
        seen = np.flatnonzero(counts)
        table = np.zeros(len(counts), np.uint16)
        table[seen] = np.rint(self.presentation.grey_levels(seen + lowest) * WHITE)
        grey: np.ndarray = table[places]
        return grey


def read_dicom(
    stream: BinaryIO | io.BytesIO, name: str, *, max_pixels: int, frame: int | None = None
) -> UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"]:
    """Read the image of a DICOM file as grey: air black, bone white, 16 bits (8 where the file has 8-bit colours).

    Modality LUT or rescale, then the first VOI LUT or window (the image's own range where there is neither), then
    inversion for MONOCHROME1; pixel padding becomes black. Arguments and errors are those of `read_dicom_pixels`.
    """
    return read_dicom_pixels(stream, name, max_pixels=max_pixels, frame=frame).grey()


def read_dicom_pixels(
    stream: BinaryIO | io.BytesIO, name: str, *, max_pixels: int, frame: int | None = None
) -> DicomPixels:
    """Read the pixels of a DICOM file as stored, with what its header says about showing them.

    Args:
        stream: an open file that can seek, at its start.
        name: what messages call it.
        max_pixels: larger images are refused before they are decoded.
        frame: which frame to read, from 1; None refuses a file of several.

    Raises:
        InputError: the file is damaged, holds no image or several, or needs something that is not supported.
    """
    stream = part_ten(stream, name, most_bytes=max_pixels * BYTES_A_PIXEL + (16 << 20))
    data_set = parse(stream, name)
    header = read_elements(data_set, HEADER_ELEMENTS, name)
    _check_pixels(data_set, header)
    chosen = choose_frame(name, max(1, header.whole("NumberOfFrames") or 1), frame)
    _check_form(header, max_pixels)
    syntax = check_transfer_syntax(data_set, name)
    kind = header.text("PhotometricInterpretation")
    presentation = read_presentation(header, chosen) if kind in MONOCHROME else None
    stored = stored_values(data_set, stream, header, syntax=syntax, frame=chosen)
    if stored.shape[:2] != _size(header) or stored.ndim != (3 if kind in COLOURS else 2):
        raise InputError(f"{name}: damaged DICOM file (its pixels do not fill its rows and columns); export it again")
    if kind == PALETTE:
        stored = _luminance(*rgb_of_palette(stored, data_set, name))
    elif presentation is None:
        stored = _luminance(stored, 2.0 ** (header.whole("BitsStored") or 0) - 1)
    return DicomPixels(stored=stored, presentation=presentation)


def read_header(source: Path | bytes, name: str) -> Any | None:
    """Return the header of a DICOM file as a pydicom data set without pixels, None where the file is no DICOM file.

    Values are parsed when they are asked for: ask within `refusing_damage`.

    Args:
        source: the file or its bytes.
        name: what messages call it.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as stream:
            head = stream.read(HEAD)
            stream.seek(0)
            return parse(part_ten(stream, name), name, header_only=True) if is_dicom(head) else None
    except OSError as error:
        raise InputError(f"{name}: cannot be read ({error.strerror or error})") from None


def read_view_position(path: Path) -> str | None:
    """Return the view position in a DICOM file's header (PA, AP, LL, ...), None where it has none or is no DICOM file.

    Raises:
        InputError: the file is missing or damaged.
    """
    header = read_header(path, str(path))
    if header is None:
        return None
    position = read_elements(header, ["ViewPosition"], str(path)).text("ViewPosition")
    return position.upper() if position else None


def _check_pixels(data_set: Any, header: Elements) -> None:
    """Refuse by name a file without integer pixels, or one that does not say what its pixels are."""
    name = header.name
    if "PixelData" not in data_set:
        if any(keyword in data_set for keyword in FLOATING):
            raise InputError(f"{name}: its pixels are floating-point numbers; export it as MONOCHROME2 of 8 to 16 bits")
        if "PixelDataProviderURL" in data_set:
            raise InputError(f"{name}: its pixels are kept elsewhere (Pixel Data Provider URL); export them with it")
        if "DirectoryRecordSequence" in data_set:
            raise InputError(f"{name}: a DICOMDIR lists files and holds no image; give the image files")
        raise InputError(f"{name}: a DICOM file without pixels; give the file of the image itself")
    lacking = [keyword for keyword in REQUIRED if keyword not in header]
    if lacking:
        raise InputError(f"{name}: lacks {', '.join(lacking)}, so that its pixels cannot be read; export it again")


def _check_form(header: Elements, max_pixels: int) -> None:
    """Refuse by name what is no grey or colour image of a sane size."""
    rows, columns = _size(header)
    if not 0 < rows * columns <= max_pixels:
        raise InputError(
            f"{header.name}: {columns} x {rows} pixels; from 1 to {max_pixels:,} are allowed, so export it smaller"
        )
    kind = header.text("PhotometricInterpretation")
    if kind not in (*MONOCHROME, PALETTE, *COLOURS):
        raise InputError(f"{header.name}: photometric interpretation {kind!r} is not read; export it as MONOCHROME2")
    samples, stored, high = (header.whole(keyword) for keyword in ("SamplesPerPixel", "BitsStored", "HighBit"))
    assert stored is not None
    if samples != (3 if kind in COLOURS else 1) or not 1 <= stored <= 16 or high != stored - 1:
        raise InputError(
            f"{header.name}: {samples} samples a pixel of {stored} bits up to bit {high} are not read; export it as "
            "MONOCHROME2 with 8 to 16 bits"
        )


def _size(header: Elements) -> tuple[int, int]:
    return header.whole("Rows") or 0, header.whole("Columns") or 0


def _luminance(
    rgb: Shaped[np.ndarray, "height width 3"], top: float
) -> UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"]:
    """Return the luminance of colours of which `top` is the brightest."""
    if rgb.dtype == np.uint8 and top == 255:
        return np.array(Image.fromarray(rgb).convert("L"))
    brightness = (rgb.astype(np.float64) @ np.array(LUMINANCE)) / top
    grey: np.ndarray = np.rint(brightness.clip(0, 1) * WHITE).astype(np.uint16)
    return grey
