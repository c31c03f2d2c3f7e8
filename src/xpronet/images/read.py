"""Images as grey arrays: read PNG, JPEG, TIFF and DICOM, write PNG, resize."""

import io
import struct
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import UInt8, UInt16
from PIL import Image

from xpronet.errors import InputError
from xpronet.files import new_file
from xpronet.images.dicom import read_dicom
from xpronet.images.dicom_file import HEAD, is_dicom
from xpronet.images.raster import choose_frame, read_jpeg, read_png, read_tiff

Grey: TypeAlias = UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"]
Resized: TypeAlias = UInt8[np.ndarray, "new_height new_width"] | UInt16[np.ndarray, "new_height new_width"]
Depth: TypeAlias = Literal[8, 16]
Format: TypeAlias = Literal["png", "jpeg", "tiff", "dicom"]
Source: TypeAlias = Path | BinaryIO | io.BytesIO  # BytesIO lacks some of BinaryIO's attributes at run time

MAX_PIXELS = 100_000_000
"""The largest chest film has a tenth of this; more is a mistake or an attack."""
MAX_ELONGATION = 32
"""Long side to short side; anything slimmer is no film, and enlarging it would exhaust memory."""

PNG_MARK = b"\x89PNG\r\n\x1a\n"
JPEG_MARK = b"\xff\xd8\xff"
TIFF_MARKS = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
"""Little- and big-endian TIFF and BigTIFF."""

_EIGHT_OF_SIXTEEN: np.ndarray = ((np.arange(65536, dtype=np.uint32) * 255 + 32767) // 65535).astype(np.uint8)


def read_grey(source: Source, *, max_pixels: int = MAX_PIXELS, frame: int | None = None) -> Grey:
    """Read a PNG, JPEG, TIFF or DICOM image, told apart by content, as grey: air black, bone white.

    Colours become luminance, transparency becomes black, and the orientation that a camera or scanner noted is undone.
    Images of 12 or 16 bits give 16 bits; everything else gives 8. A DICOM image is windowed as its header says and
    spans its type's range.

    Args:
        source: a file, or an open one that can seek.
        max_pixels: larger images are refused before they are decoded.
        frame: which frame of a DICOM or TIFF file to read, from 1; None refuses a file of several frames.

    Raises:
        InputError: the file is missing, is none of the four, is damaged or too large, or has no such frame.
    """
    if not isinstance(source, Path):
        name = getattr(source, "name", None)
        return _read(source, name if isinstance(name, str) else "the image", max_pixels, frame)
    try:
        with source.open("rb") as stream:
            return _read(stream, str(source), max_pixels, frame)
    except FileNotFoundError:
        raise InputError(f"{source}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{source}: cannot be read, it is a folder; give the image files in it") from None
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({error.strerror or error})") from None


class PngHeader(NamedTuple):
    """Size and depth of a PNG image, from the first bytes of its file."""

    width: int
    """Columns."""
    height: int
    """Rows."""
    depth: int
    """Bits of a sample: 1, 2, 4, 8 or 16."""


def read_header(path: Path) -> PngHeader:
    """Return size and depth of a PNG file, from its first bytes.

    Raises:
        InputError: the file is missing or is no PNG file.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(25)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    if len(head) < 25 or not head.startswith(PNG_MARK):
        raise InputError(f"{path}: not a PNG file; make it again")
    return PngHeader(*struct.unpack(">IIB", head[16:]))


def write_grey(path: Path, grey: Grey, *, overwrite: bool = False, synced: bool = True) -> None:
    """Write an image as PNG of 8 or 16 bits, whole or not at all.

    Args:
        path: where it goes.
        grey: the image.
        overwrite: replace what is there.
        synced: wait until the disk has it; thousands of images go faster without.

    Raises:
        InputError: `path` exists and `overwrite` is false, or its folder cannot be written.
    """
    with new_file(path, overwrite=overwrite, synced=synced) as temporary:
        Image.fromarray(grey).save(temporary, format="PNG")


def eight_bits(grey: Grey) -> UInt8[np.ndarray, "height width"]:
    """Return an image in 8 bits: 65535 becomes 255, rounded to the nearest."""
    if grey.dtype == np.uint8:
        return grey
    eight: np.ndarray = _EIGHT_OF_SIXTEEN[grey]
    return eight


def at_depth(grey: Grey, depth: Depth) -> Grey:
    """Return an image in 8 or 16 bits; going up and down again changes nothing."""
    if depth == 8:
        return eight_bits(grey)
    # 255 x 257 = 65535: the ends of both scales meet.
    return grey if grey.dtype == np.uint16 else grey.astype(np.uint16) * 257


def resize(grey: Grey, width: int, height: int) -> Resized:
    """Resize with Pillow's antialiased bilinear filter."""
    if grey.shape == (height, width):
        return grey
    if grey.dtype == np.uint8:
        return np.array(Image.fromarray(grey).resize((width, height), Image.Resampling.BILINEAR))
    # 16 bits go through floats, which Pillow's filter handles exactly.
    resized = Image.fromarray(grey.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized).round().clip(0, 65535).astype(np.uint16)


def resize_short_side(grey: Grey, short_side: int, *, enlarge: bool = False) -> Resized:
    """Resize so that the short side has `short_side` pixels; the aspect is kept, the long side rounded down.

    An image whose short side is that or less comes back as it is, unless `enlarge` is set.

    Raises:
        InputError: the image is too slim for a film.
    """
    height, width = grey.shape
    short, long = sorted((height, width))
    if long > MAX_ELONGATION * short:
        raise InputError(
            f"an image of {width} x {height} pixels is no film; its sides may differ by a factor of "
            f"{MAX_ELONGATION} at most"
        )
    if short < short_side and not enlarge:
        return grey
    long = short_side * long // short
    return resize(grey, *((short_side, long) if width <= height else (long, short_side)))


def image_format(head: bytes) -> Format | None:
    """Return the format of an image file by its first `HEAD` bytes, None where it is none that is read."""
    if is_dicom(head):
        return "dicom"
    marks: dict[Format, tuple[bytes, ...]] = {"png": (PNG_MARK,), "jpeg": (JPEG_MARK,), "tiff": TIFF_MARKS}
    return next((name for name, starts in marks.items() if head.startswith(starts)), None)


def _read(stream: BinaryIO | io.BytesIO, name: str, max_pixels: int, frame: int | None) -> Grey:
    head = stream.read(HEAD)
    stream.seek(0)
    form = image_format(head)
    if form == "dicom":
        return read_dicom(stream, name, max_pixels=max_pixels, frame=frame)
    if form == "tiff":
        return read_tiff(stream, name, max_pixels=max_pixels, frame=frame)
    if form is not None:
        choose_frame(name, 1, frame)
        return (read_png if form == "png" else read_jpeg)(stream, name, max_pixels=max_pixels)
    if not head:
        raise InputError(f"{name}: empty file; copy it again")
    if name.lower().endswith((".dcm", ".dicom")):
        raise InputError(f"{name}: not a DICOM file by its content; export it as DICOM Part 10")
    raise InputError(f"{name}: neither PNG, JPEG, TIFF nor DICOM by its content; convert it to one of them")
