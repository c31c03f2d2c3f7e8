"""Images as grey arrays: read PNG, JPEG and DICOM, write PNG, resize."""

import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import UInt8, UInt16
from PIL import Image, ImageChops
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from xpronet.errors import InputError
from xpronet.files import new_file
from xpronet.images.dicom import MARK, MARK_AT, read_dicom

Grey: TypeAlias = UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"]
Resized: TypeAlias = UInt8[np.ndarray, "new_height new_width"] | UInt16[np.ndarray, "new_height new_width"]
Depth: TypeAlias = Literal[8, 16]
Source: TypeAlias = Path | BinaryIO | io.BytesIO  # BytesIO lacks some of BinaryIO's attributes at run time

MAX_PIXELS = 100_000_000
"""The largest chest film is a tenth of this; more is a mistake or an attack."""
MAX_ELONGATION = 32
"""Long side to short side; anything slimmer is no film, and enlarging it would exhaust memory."""

PNG_MARK = b"\x89PNG\r\n\x1a\n"
JPEG_MARK = b"\xff\xd8\xff"

ORIENTATION = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each value of EXIF's orientation tag."""


def read_grey(source: Source, *, max_pixels: int = MAX_PIXELS) -> Grey:
    """Read a PNG, JPEG or DICOM image, told apart by content, as grey: air black, bone white.

    Colours become luminance, transparency becomes black, a camera's EXIF orientation is undone. Images of 16 bits
    keep them; everything else has 8. A DICOM image is windowed as its header says and spans its type's range.

    Args:
        source: a file, or an open one that can seek.
        max_pixels: larger images are refused before they are decoded.

    Raises:
        InputError: the file is missing, is none of the three, is damaged or is too large.
    """
    if not isinstance(source, Path):
        name = getattr(source, "name", None)
        return _read(source, name if isinstance(name, str) else "the image", max_pixels)
    try:
        with source.open("rb") as stream:
            return _read(stream, str(source), max_pixels)
    except FileNotFoundError:
        raise InputError(f"{source}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{source}: cannot be read, it is a folder; give the image files in it") from None
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({error.strerror or error})") from None


class PngHeader(NamedTuple):
    """What a PNG file says of itself in its first bytes."""

    width: int
    """Columns."""
    height: int
    """Rows."""
    depth: int
    """Bits of a sample: 1, 2, 4, 8 or 16."""


def read_header(path: Path) -> PngHeader:
    """Return size and depth of a PNG file, from its first bytes.

    Raises:
        InputError: the file is missing or no PNG.
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
    return ((grey.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)


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


def _read(stream: BinaryIO | io.BytesIO, name: str, max_pixels: int) -> Grey:
    head = stream.read(MARK_AT + len(MARK))
    stream.seek(0)
    if head[MARK_AT:] == MARK:
        return read_dicom(stream, name, max_pixels=max_pixels)
    if head.startswith(PNG_MARK):
        return _read_pillow(PngImageFile, stream, name, max_pixels)
    if head.startswith(JPEG_MARK):
        return _read_pillow(_JpegWithoutExif, stream, name, max_pixels)
    if not head:
        raise InputError(f"{name}: empty file; copy it again")
    if name.lower().endswith((".dcm", ".dicom")):
        raise InputError(f"{name}: not a DICOM file (no DICM mark at byte {MARK_AT}); export it as DICOM Part 10")
    raise InputError(f"{name}: neither PNG, JPEG nor DICOM by its content; convert it to one of them")


class _JpegWithoutExif(JpegImageFile):
    """A JPEG image whose EXIF block Pillow does not parse: a damaged one would warn, and we read one tag only."""

    def getexif(self) -> Image.Exif:
        return Image.Exif()


def _read_pillow(
    kind: type[PngImageFile] | type[_JpegWithoutExif], stream: BinaryIO | io.BytesIO, name: str, max_pixels: int
) -> Grey:
    # The plug-in's class is called by itself because Image.open would try every format and check against a global
    # limit of its own, with a warning.
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Invalid APNG", category=UserWarning)  # we read one frame only
            image = kind(stream)
        width, height = image.size
        if width * height > max_pixels:
            raise InputError(
                f"{name}: {width} x {height} pixels are more than the {max_pixels:,} allowed; make it smaller"
            )
        turn = TURNS.get(_orientation(image.info.get("exif", b"")))
        image.load()
        if image.mode == "P" and image.palette is None:
            raise ValueError("no palette")
        grey = _grey(image if turn is None else image.transpose(turn))
    except InputError:
        raise
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{name}: damaged or incomplete image ({reason}); copy or export it again") from None
    return grey


def _grey(image: Image.Image) -> Grey:
    if image.mode.startswith("I"):
        return np.asarray(image).clip(0, 65535).astype(np.uint16)
    if image.mode in ("1", "L") and not image.has_transparency_data:
        return np.array(image.convert("L"))
    if not image.has_transparency_data:
        return np.array(image.convert("RGB").convert("L"))
    full = image.convert("RGBA")
    return np.array(ImageChops.multiply(full.convert("RGB").convert("L"), full.getchannel("A")))


def _orientation(exif: bytes) -> int:
    """Return EXIF's orientation tag, 1 (upright) where it is absent or the block is damaged."""
    block = io.BytesIO(exif.removeprefix(b"Exif\x00\x00"))
    order = {b"II": "<", b"MM": ">"}.get(block.read(2))
    if order is None:
        return 1
    try:
        (offset,) = struct.unpack(order + "2xI", block.read(6))
        block.seek(offset)
        (count,) = struct.unpack(order + "H", block.read(2))
        for _ in range(count):
            tag, value = struct.unpack(order + "H6xH2x", block.read(12))
            if tag == ORIENTATION:
                return int(value)
    except struct.error:
        pass
    return 1
