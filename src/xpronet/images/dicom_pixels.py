"""Stored values of a DICOM image: what decodes which transfer syntax, one frame of several, bits that are no pixels."""

import io
from importlib.util import find_spec
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Shaped

from xpronet.errors import InputError
from xpronet.images.dicom_decoder import Codec, DecodingError, decompress
from xpronet.images.dicom_display import table_top
from xpronet.images.dicom_file import Elements, import_pydicom, read_elements, refusing_damage

NATIVE = {
    "little implicit": "1.2.840.10008.1.2",
    "little explicit": "1.2.840.10008.1.2.1",
    "big explicit": "1.2.840.10008.1.2.2",
}
"""Uncompressed transfer syntaxes."""
RUN_LENGTH = "1.2.840.10008.1.2.5"
JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
LOSSY = tuple(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 81, 91, 203))
"""JPEG baseline and extended, JPEG-LS near-lossless, JPEG 2000 and HTJ2K; some of the last two are lossless."""
CODECS: dict[str, Codec] = {
    **{f"1.2.840.10008.1.2.4.{number}": "gdcm" for number in (50, 51, 57, 70, 80, 81, 90, 91)},
    **{f"1.2.840.10008.1.2.4.{number}": "pylibjpeg" for number in (201, 202, 203)},
}
"""What decodes JPEG, JPEG-LS and JPEG 2000 (GDCM) and HTJ2K (OpenJPEG)."""
NEEDED: dict[Codec, tuple[str, ...]] = {"gdcm": ("gdcm",), "pylibjpeg": ("pylibjpeg", "openjpeg")}
"""Modules that each codec needs, all of the extra [dicom]."""
PALETTES = tuple(f"{colour}PaletteColorLookupTableData" for colour in ("Red", "Green", "Blue"))
OVERSHOOT = 1 / 8
"""Part of the range by which a lossy codec may exceed it; an overlay in unused bits exceeds it by more."""


def check_transfer_syntax(data_set: Any, name: str) -> str:
    """Return the transfer syntax of a file, refusing what nothing decodes.

    A bare data set, without preamble and file meta information, has the one that its elements show.

    Args:
        data_set: the file as a pydicom data set; a bare one is told its transfer syntax.
        name: what messages call the file.

    Raises:
        InputError: it states none or one that is not read, or what decodes it is not installed.
    """
    with refusing_damage(name):
        syntax = data_set.file_meta.get("TransferSyntaxUID")
        is_bare = data_set.preamble is None
        if is_bare and not syntax and not data_set["PixelData"].is_undefined_length:
            implicit, little = data_set.original_encoding
            syntax = NATIVE[f"{'little' if little else 'big'} {'implicit' if implicit else 'explicit'}"]
            data_set.file_meta.TransferSyntaxUID = syntax
    if not syntax:
        raise InputError(f"{name}: states no transfer syntax, so that its pixels cannot be read; export it again")
    if syntax in (*NATIVE.values(), RUN_LENGTH):
        return str(syntax)
    if syntax not in CODECS:
        raise InputError(f"{name}: transfer syntax {syntax.name!r} is not read; export it uncompressed or as JPEG 2000")
    missing = [module for module in NEEDED[CODECS[syntax]] if find_spec(module) is None]
    if missing:
        raise InputError(f"{name}: {syntax.name} needs {missing[0]} of the extra [dicom]: pip install 'xpronet[dicom]'")
    return str(syntax)


def stored_values(
    data_set: Any, stream: BinaryIO | io.BytesIO, header: Elements, *, syntax: str, frame: int
) -> Shaped[np.ndarray, "height width *samples"]:
    """Return the stored values of one frame, as RGB where it is in colour.

    Args:
        data_set: the file as a pydicom data set.
        stream: the file it was read from, with a preamble.
        header: its elements.
        syntax: its transfer syntax.
        frame: which frame, from 0.

    Raises:
        InputError: the pixels are damaged.
    """
    if syntax in CODECS:
        stream.seek(0)
        is_jpeg_12 = syntax == JPEG_EXTENDED and header.whole("BitsAllocated") == 16
        try:
            stored = decompress(stream.read(), "gdcm-jpeg-12" if is_jpeg_12 else CODECS[syntax], frame)
        except DecodingError as error:
            raise InputError(f"{header.name}: damaged or unsupported DICOM file ({error}); export it again") from None
    else:
        pydicom = import_pydicom()
        with refusing_damage(header.name):
            plugin = "pydicom" if syntax == RUN_LENGTH else ""
            stored = pydicom.pixels.pixel_array(data_set, index=frame, decoding_plugin=plugin)
    bits = header.whole("BitsStored")
    assert bits is not None, "the caller has checked the header"
    return without_unused_bits(stored, bits, lossy=syntax in LOSSY)


def rgb_of_palette(
    stored: Shaped[np.ndarray, "height width"], data_set: Any, name: str
) -> tuple[Shaped[np.ndarray, "height width 3"], float]:
    """Return the colours that a palette gives stored values, in 8 or 16 bits, and the value of the brightest.

    Raises:
        InputError: the palette is damaged.
    """
    pydicom = import_pydicom()
    with refusing_damage(name):
        rgb: np.ndarray = pydicom.pixels.apply_color_lut(stored, data_set)
    if rgb.dtype == np.uint8:
        return rgb, 255.0
    header = read_elements(data_set, PALETTES, name)
    tables = [words for keyword in PALETTES if (words := header.words(keyword)) is not None]
    return rgb, table_top(np.concatenate(tables), 16) if tables else 65535.0


def without_unused_bits(
    stored: Shaped[np.ndarray, "height width *samples"], bits: int, *, lossy: bool
) -> Shaped[np.ndarray, "height width *samples"]:
    """Return stored values without what stands in the bits above Bits Stored, which mean nothing (PS3.5, 8.1.1).

    Old overlays stand there, and compression keeps them. The values of a lossy codec may also exceed the range a
    little: they are clipped, since a bit less would make white black.

    Args:
        stored: as decoded, signed or unsigned.
        bits: Bits Stored.
        lossy: whether the codec may be lossy.
    """
    spare = stored.dtype.itemsize * 8 - bits
    if spare <= 0:
        return stored
    is_signed = stored.dtype.kind == "i"
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if is_signed else (0, (1 << bits) - 1)
    excess = max(int(stored.max()) - high, low - int(stored.min()))
    if excess <= 0:
        return stored
    if lossy and excess <= OVERSHOOT * (high - low):
        return stored.clip(low, high)
    # To the upper end and back: the shift to the right spreads the sign.
    return (stored << spare) >> spare
