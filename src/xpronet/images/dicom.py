"""DICOM files: the image as grey, and what the header says about the view."""

import io
import math
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import UInt8, UInt16
from PIL import Image

from xpronet.errors import InputError
from xpronet.images.dicom_decoder import decompress
from xpronet.images.dicom_display import WINDOW_SHAPES, LookUpTable, Presentation, Window

MARK, MARK_AT = b"DICM", 128
"""What every DICOM file has after its preamble."""
WHITE = 65535
MONOCHROME = ("MONOCHROME1", "MONOCHROME2")
COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
LUMINANCE = (0.299, 0.587, 0.114)
"""The weights of red, green and blue in grey (ITU-R BT.601), as Pillow has them."""

DEFLATED = b"1.2.840.10008.1.2.1.99"
"""A transfer syntax that packs the whole file: a small one could unpack to any size before we saw a header."""
RUN_LENGTH = "1.2.840.10008.1.2.5"
BY_PYDICOM = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", RUN_LENGTH)
"""Transfer syntaxes that pydicom reads by itself: uncompressed and run lengths."""
BY_GDCM = tuple(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 57, 70, 80, 81, 90, 91))
"""Transfer syntaxes that GDCM decodes: JPEG, JPEG-LS, JPEG 2000."""
JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"

UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    RuntimeError,
    struct.error,
    UserWarning,
)
"""What pydicom raises on damaged files; caught around its calls only, never around our own arithmetic."""
TRUNCATED = r"End of file|The end of the encapsulated|Missing sequence delimiter"
"""pydicom's warnings that mean a part of the file is missing."""


def read_dicom(
    stream: BinaryIO | io.BytesIO, name: str, *, max_pixels: int
) -> UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"]:
    """Read the image of a DICOM file as grey: air black, bone white, 16 bits (8 where the file has 8-bit colours).

    Modality LUT or rescale, then the first VOI LUT or window (the image's own range where there is neither), then
    inversion for MONOCHROME1; pixel padding becomes black.

    Args:
        stream: an open file that can seek.
        name: what messages call it.
        max_pixels: larger images are refused before they are decoded.

    Raises:
        InputError: the file is damaged, holds no single image, or needs something that is not supported.
    """
    pydicom = _pydicom()
    with refusing_damage(name):
        dataset = _parse(pydicom, stream, name)
        _check(dataset, name, max_pixels)
        if _is_compressed(dataset, name):
            if find_spec("gdcm") is None:
                raise InputError(f"{name}: compressed DICOM needs the extra [dicom]: pip install 'xpronet[dicom]'")
            stream.seek(0)
            stored = decompress(stream.read())
        else:
            run_length = dataset.file_meta.TransferSyntaxUID == RUN_LENGTH
            stored = pydicom.pixels.pixel_array(dataset, decoding_plugin="pydicom" if run_length else "")
        colour = dataset.PhotometricInterpretation in COLOURS
        bits = int(dataset.BitsStored)
        presentation = None if colour else _presentation(dataset, name)
    if stored.shape[:2] != (dataset.Rows, dataset.Columns) or stored.ndim != (3 if colour else 2):
        raise InputError(f"{name}: damaged DICOM file (its pixels do not fill its rows and columns); export it again")
    if presentation is None:
        return _luminance(stored, bits)
    lowest = int(stored.min())
    places = stored.astype(np.int64) - lowest
    counts = np.bincount(places.ravel())
    seen = np.flatnonzero(counts)
    table = np.zeros(len(counts), np.uint16)
    table[seen] = np.rint(presentation.grey_levels(seen + lowest) * WHITE)
    grey: np.ndarray = table[places]
    return grey


def read_header(source: Path | bytes, name: str) -> Any | None:
    """Return the header of a DICOM file as a pydicom dataset without pixels, None where the file is no DICOM file.

    Values are parsed when they are asked for: ask within `refusing_damage`.

    Args:
        source: the file or its bytes.
        name: what messages call it.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as stream:
            stream.seek(MARK_AT)
            if stream.read(len(MARK)) != MARK:
                return None
            stream.seek(0)
            with refusing_damage(name):
                return _parse(_pydicom(), stream, name, header_only=True)
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
    with refusing_damage(str(path)):
        position = header.get("ViewPosition")
    return str(position).strip().upper() or None if position else None


def _pydicom() -> ModuleType:
    try:
        import pydicom
        import pydicom.errors
        import pydicom.pixels
    except ModuleNotFoundError as error:
        raise InputError(f"DICOM files need {error.name} of the extra [dicom]: pip install 'xpronet[dicom]'") from None
    module: ModuleType = pydicom
    return module


@contextmanager
def refusing_damage(name: str) -> Iterator[None]:
    """Turn what pydicom raises on a damaged file into one line, and hold back its notes on sloppy headers."""
    pydicom = _pydicom()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=UserWarning, module=r"pydicom\.")
            warnings.filterwarnings("error", message=TRUNCATED, category=UserWarning, module=r"pydicom\.")
            yield
    except InputError:
        raise
    except (*UNREADABLE, pydicom.errors.BytesLengthException, pydicom.errors.InvalidDicomError) as error:
        # Only the kind of error, and no chained one: its text can quote header values, and those name patients.
        raise InputError(
            f"{name}: damaged or unsupported DICOM file ({type(error).__name__}); export it again"
        ) from None


def _parse(pydicom: ModuleType, stream: BinaryIO | io.BytesIO, name: str, *, header_only: bool = False) -> Any:
    if DEFLATED in stream.read(4096):
        raise InputError(f"{name}: deflated DICOM files are not read; export it uncompressed or as JPEG 2000")
    stream.seek(0)
    return pydicom.dcmread(stream, stop_before_pixels=header_only)


def _check(dataset: Any, name: str, max_pixels: int) -> None:
    """Refuse by name what is no single grey or colour image of a sane size."""
    kind = dataset.get("PhotometricInterpretation")
    if "PixelData" not in dataset or kind is None:
        raise InputError(f"{name}: a DICOM file without pixels; give the file of the image itself")
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames > 1:
        raise InputError(f"{name}: {frames} frames; a film has one, so export the frame to read by itself")
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    if not 0 < rows * columns <= max_pixels:
        raise InputError(
            f"{name}: {columns} x {rows} pixels; from 1 to {max_pixels:,} are allowed, so export it smaller"
        )
    if kind not in (*MONOCHROME, *COLOURS):
        raise InputError(f"{name}: photometric interpretation {kind!r} is not read; export it as MONOCHROME2")
    samples, stored, high = int(dataset.SamplesPerPixel), int(dataset.BitsStored), int(dataset.HighBit)
    if samples != (1 if kind in MONOCHROME else 3) or not 1 <= stored <= 16 or high != stored - 1:
        raise InputError(
            f"{name}: {samples} samples a pixel of {stored} bits up to bit {high} are not read; export it as "
            "MONOCHROME2 with 8 to 16 bits"
        )


def _is_compressed(dataset: Any, name: str) -> bool:
    """Tell whether GDCM must decode the pixels, refusing what nothing decodes."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax not in BY_PYDICOM + BY_GDCM or (syntax == JPEG_EXTENDED and dataset.BitsStored != 8):
        raise InputError(
            f"{name}: transfer syntax {syntax.name!r} with {dataset.BitsStored} bits is not read; export it "
            "uncompressed or as JPEG 2000"
        )
    return syntax in BY_GDCM


def _presentation(dataset: Any, name: str) -> Presentation:
    modality = _table(dataset, "ModalityLUTSequence", name)
    voi = _table(dataset, "VOILUTSequence", name) or _window(dataset, name)
    if voi is None and dataset.get("PresentationIntentType") == "FOR PROCESSING":
        raise InputError(
            f"{name}: raw detector values (presentation intent FOR PROCESSING, no window); export it FOR PRESENTATION"
        )
    return Presentation(
        modality=modality,
        slope=_number(dataset, "RescaleSlope", 1.0),
        intercept=_number(dataset, "RescaleIntercept", 0.0),
        voi=voi,
        inverted=dataset.PhotometricInterpretation == "MONOCHROME1" or dataset.get("PresentationLUTShape") == "INVERSE",
        padding=_padding(dataset),
    )


def _table(dataset: Any, keyword: str, name: str) -> LookUpTable | None:
    sequence = dataset.get(keyword)
    if not sequence:
        return None
    item = sequence[0]
    count, first, bits = (int(value) for value in item.LUTDescriptor)
    count = (count & 0xFFFF) or 65536  # 16 bits cannot say 65536: the standard writes 0
    data = item.LUTData
    if isinstance(data, bytes):
        order = "<" if dataset.original_encoding[1] else ">"
        data = np.frombuffer(data, np.uint8 if bits <= 8 and len(data) < 2 * count else np.dtype(f"{order}u2"))
    entries = np.atleast_1d(np.asarray(data, np.float64))[:count]
    if len(entries) != count or not 1 <= bits <= 16:
        raise InputError(f"{name}: {keyword} holds {len(entries)} of its {count} entries; export it again")
    return LookUpTable(first=first, entries=entries, bits=bits)


def _window(dataset: Any, name: str) -> Window | None:
    centre, width = _number(dataset, "WindowCenter", None), _number(dataset, "WindowWidth", None)
    if centre is None or width is None:
        return None
    shape = str(dataset.get("VOILUTFunction") or "LINEAR")
    if shape not in WINDOW_SHAPES:
        raise InputError(f"{name}: VOI LUT function {shape!r} is none of {', '.join(WINDOW_SHAPES)}; export it again")
    if width <= 0 or (shape == "LINEAR" and width < 1):
        raise InputError(f"{name}: window width {width:g} is too small for {shape}; export it with a proper window")
    return Window(centre=centre, width=width, shape=shape)


def _number(dataset: Any, keyword: str, absent: Any) -> Any:
    """Return the first value of a header element as a float, `absent` where it is missing or empty."""
    value = dataset.get(keyword)
    if value is not None and not isinstance(value, str | float | int):
        value = value[0] if len(value) else None
    if value is None or value == "":
        return absent
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{keyword} is not finite")
    return number


def _padding(dataset: Any) -> tuple[int, int] | None:
    value = dataset.get("PixelPaddingValue")
    if value is None:
        return None
    limit = dataset.get("PixelPaddingRangeLimit")
    ends = [int(end) & 0xFFFF for end in (value, value if limit is None else limit)]
    if dataset.PixelRepresentation == 1:
        # Explicit files write these two as unsigned now and then.
        ends = [end - 0x10000 if end > 0x7FFF else end for end in ends]
    return min(ends), max(ends)


def _luminance(stored: np.ndarray, bits: int) -> UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"]:
    if stored.dtype == np.uint8 and bits == 8:
        return np.array(Image.fromarray(stored).convert("L"))
    brightness = (stored.astype(np.float64) @ np.array(LUMINANCE)) / (2**bits - 1)
    grey: np.ndarray = np.rint(brightness.clip(0, 1) * WHITE).astype(np.uint16)
    return grey
