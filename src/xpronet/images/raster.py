"""PNG, JPEG and TIFF images through Pillow, checked against limits before they are decoded."""

import io
import struct
import warnings
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from jaxtyping import UInt8, UInt16
from PIL import Image, ImageChops
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from xpronet.errors import InputError
from xpronet.images.orientation import stored_orientation, undo_orientation

Grey: TypeAlias = UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"]
Stream: TypeAlias = BinaryIO | io.BytesIO  # BytesIO lacks some of BinaryIO's attributes at run time

WHITE = 65535
UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    EOFError,
    struct.error,
    zlib.error,
)
"""What Pillow raises on damaged files; caught around its calls only."""
UNKNOWN_SAMPLES = "unknown pixel mode"
"""What Pillow says of a TIFF image whose kind of samples it does not know."""
CONVERTED = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr")
"""Pillow's modes that become grey; the modes of 16 bits stay as they are."""
MOST_PAGES = 1000
"""Pages of a TIFF file that are looked at."""

# TIFF 6.0, section 8 and appendix A.
NEW_SUBFILE_TYPE, BITS_PER_SAMPLE, PHOTOMETRIC, SAMPLE_FORMAT = 254, 258, 262, 339
TILE_WIDTH, TILE_LENGTH = 322, 323
REDUCED_OR_MASK = 0b101
"""Bits of NewSubfileType that mark a page as a thumbnail or a mask of another page."""
WHITE_IS_ZERO = 0
NOT_UNSIGNED = {2: "signed integers", 3: "floating-point numbers", 5: "complex integers", 6: "complex numbers"}
"""Values of SampleFormat that are no shades of grey."""


def read_png(stream: Stream, name: str, *, max_pixels: int) -> Grey:
    """Read a PNG image as grey, upright; of an animated one the first frame.

    Args:
        stream: an open file that can seek.
        name: what messages call it.
        max_pixels: larger images are refused before they are decoded.

    Raises:
        InputError: the image is damaged or too large.
    """
    return _read_upright(PngImageFile, stream, name, max_pixels)


def read_jpeg(stream: Stream, name: str, *, max_pixels: int) -> Grey:
    """Read a JPEG image as grey, upright; arguments and errors are those of `read_png`."""
    return _read_upright(_JpegWithoutExif, stream, name, max_pixels)


def read_tiff(stream: Stream, name: str, *, max_pixels: int, frame: int | None = None) -> Grey:
    """Read a TIFF image as grey, upright: 1 to 8 bits give 8, 12 and 16 bits give 16 that span the whole range.

    Args:
        stream: an open file that can seek.
        name: what messages call it.
        max_pixels: larger images are refused before they are decoded.
        frame: which page, from 1; None refuses a file of several. Thumbnails and masks do not count as pages.

    Raises:
        InputError: the image is damaged, too large, of several pages, or its samples are no unsigned integers.
    """
    image = _call(name, TiffImageFile, stream)
    pages = _pages(image, name)
    _call(name, image.seek, pages[choose_frame(name, len(pages), frame)])
    _check_size(image, name, max_pixels)
    tags = _call(name, dict, image.tag_v2)
    tile = [side for side in (tags.get(TILE_WIDTH), tags.get(TILE_LENGTH)) if isinstance(side, int)]
    if len(tile) == 2 and tile[0] * tile[1] > max_pixels:
        raise InputError(f"{name}: tiles of {tile[0]} x {tile[1]} pixels are too large; save it in smaller ones")
    sample_format = _first(tags.get(SAMPLE_FORMAT))
    if sample_format in NOT_UNSIGNED or image.mode in ("I", "F"):
        what = NOT_UNSIGNED.get(sample_format, "integers of 32 bits")
        raise InputError(f"{name}: samples that are {what} are not read; save them as unsigned integers of 16 bits")
    # Pillow itself undoes a TIFF image's orientation while it loads.
    _call(name, image.load)
    grey = _grey(image, name)
    if grey.dtype == np.uint8:
        return grey
    highest = (1 << _first(tags.get(BITS_PER_SAMPLE), 16)) - 1
    grey = ((grey.astype(np.uint32) * WHITE + highest // 2) // highest).clip(0, WHITE).astype(np.uint16)
    # Pillow inverts 8 bits and fewer only.
    return WHITE - grey if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO else grey


def choose_frame(name: str, count: int, frame: int | None) -> int:
    """Return the index, from 0, of the chosen frame of a file.

    Args:
        name: what messages call the file.
        count: how many frames it holds.
        frame: which one, from 1; None where the user did not choose.

    Raises:
        InputError: there are several and none was chosen, or the one chosen is not there.
    """
    if frame is None and count > 1:
        raise InputError(
            f"{name}: holds {count} frames; choose one with --frame (1 to {count}), or export it by itself"
        )
    chosen = 1 if frame is None else frame
    if not 1 <= chosen <= count:
        raise InputError(f"{name}: has no frame {chosen}; choose one from 1 to {count}")
    return chosen - 1


class _JpegWithoutExif(JpegImageFile):
    """A JPEG image whose Exif block Pillow does not parse: a damaged one would warn, and we read one tag only."""

    def getexif(self) -> Image.Exif:
        return Image.Exif()


def _read_upright(
    kind: type[PngImageFile] | type[_JpegWithoutExif], stream: Stream, name: str, max_pixels: int
) -> Grey:
    # The plug-in's class is called by itself because Image.open would try every format and check against a global
    # limit of its own, with a warning.
    image = _call(name, kind, stream)
    _check_size(image, name, max_pixels)
    _call(name, image.load)
    if image.mode == "P" and image.palette is None:
        raise _damaged(name, "no palette")
    # After loading, since PNG chunks with the orientation may follow the pixels.
    return _grey(undo_orientation(image, stored_orientation(image.info)), name)


def _call(name: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call Pillow; what it raises becomes one line, and its warnings about metadata are held back."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
            return function(*arguments)
    except UNREADABLE as error:
        reason = " ".join(str(error).split())
        if UNKNOWN_SAMPLES in reason:
            raise InputError(f"{name}: samples of this kind are not read; save it in grey of 8 or 16 bits") from None
        raise _damaged(name, reason) from None


def _damaged(name: str, reason: str) -> InputError:
    return InputError(f"{name}: damaged or incomplete image ({reason}); copy or export it again")


def _check_size(image: Image.Image, name: str, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise InputError(f"{name}: {width} x {height} pixels are more than the {max_pixels:,} allowed; make it smaller")


def _pages(image: TiffImageFile, name: str) -> list[int]:
    """Return the indices of the pages that are images of their own."""
    pages = []
    for page in range(min(_call(name, getattr, image, "n_frames"), MOST_PAGES)):
        _call(name, image.seek, page)
        if not _first(image.tag_v2.get(NEW_SUBFILE_TYPE), 0) & REDUCED_OR_MASK:
            pages.append(page)
    return pages or [0]


def _first(value: Any, absent: int = 1) -> int:
    """Return a TIFF tag's value, of several the first."""
    first = value[0] if isinstance(value, tuple) and value else value
    return first if isinstance(first, int) else absent


def _grey(image: Image.Image, name: str) -> Grey:
    if image.mode.startswith("I"):
        return np.asarray(image).clip(0, WHITE).astype(np.uint16)
    if image.mode not in CONVERTED:
        raise InputError(f"{name}: colours of mode {image.mode} are not read; save it in grey or RGB")
    if not image.has_transparency_data:
        if image.mode in ("1", "L"):
            return np.array(image.convert("L"))
        return np.array(_call(name, image.convert, "RGB").convert("L"))
    full = _call(name, image.convert, "RGBA")
    return np.array(ImageChops.multiply(full.convert("RGB").convert("L"), full.getchannel("A")))
