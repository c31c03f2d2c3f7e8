"""A film as a viewer shows it: its values in full depth, the windows of its header, and what else the header says."""

import io
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int16, Shaped, UInt8, UInt16

from xpronet.images.dicom import DicomPixels, read_dicom_pixels, read_header
from xpronet.images.dicom_display import LookUpTable, Window
from xpronet.images.dicom_file import HEAD, Elements, as_number, is_dicom, read_elements
from xpronet.images.read import Grey, read_grey

HEADER_ELEMENTS = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyDescription",
    "AccessionNumber",
    "SeriesDescription",
    "AcquisitionDate",
    "ContentDate",
    "ViewPosition",
    "ImageLaterality",
    "Laterality",
    "PatientOrientation",
    "PixelSpacing",
    "ImagerPixelSpacing",
    "EstimatedRadiographicMagnificationFactor",
)
"""What a reader is shown of a header, and what a ruler needs."""
LONGEST_TEXT = 200
"""Characters of a header's text that are shown."""
LATERAL = ("LL", "RL", "LLD", "RLD", "LATERAL", "LAT", "L LAT", "R LAT")
"""View positions of lateral films (PS3.3, C.8.1.1 and C.8.11.5), and what devices write beside them."""
FRONTAL = ("PA", "AP", "FRONTAL", "AP AXIAL")
OPPOSITE = str.maketrans("LRAPHF", "RLPAFH")
"""Left and right, anterior and posterior, head and feet (PS3.3, C.7.6.1.1.1)."""
SMALLEST_SPACING, LARGEST_SPACING = 0.005, 5.0
"""Millimetres between two pixels of a film; anonymised headers hold zeros."""

Values = UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"] | Int16[np.ndarray, "height width"]


@dataclass(frozen=True, kw_only=True)
class FilmHeader:
    """What the header of a DICOM film says, for a reader's eyes only: it names the patient."""

    texts: dict[str, str]
    """By keyword; empty where absent."""
    position: str
    """View position in capitals (PA, AP, LL ...); empty where the header does not say."""
    sides: tuple[str, str, str, str] | None
    """What is at the left, right, top and bottom edge (R, L, A, P, H, F); None where the header does not say."""
    spacing: tuple[float, float] | None
    """Millimetres between rows and between columns; None where unknown."""
    spacing_at: str
    """"detector": where the body appears magnified; "patient": calibrated or corrected; empty where unknown."""

    @property
    def is_lateral(self) -> bool:
        """Whether the film is a lateral one by its view position."""
        return self.position in LATERAL

    @property
    def is_frontal(self) -> bool:
        """Whether the film is a frontal one by its view position."""
        return self.position in FRONTAL


@dataclass(frozen=True, kw_only=True)
class FilmValues:
    """The pixels of a film in full depth; a window turns them into grey."""

    values: Values
    slope: float
    """Units for each step of a value."""
    intercept: float
    """Units of the value 0."""
    units: str
    """What the units are, where the header says so."""
    windows: tuple[Window, ...]
    """What the header proposes, in units; at least one: the range of the values where it proposes none."""
    inverted: bool
    """Whether the highest value is black."""
    padding: tuple[int, int] | None
    """Values, both included, that fill the area outside the image."""


@dataclass(frozen=True, kw_only=True)
class Film:
    """An image as read for both: the network and a reader."""

    grey: Grey
    """As `read_grey` returns it."""
    values: FilmValues
    header: FilmHeader | None
    """None where the file is no DICOM file."""


def read_film(content: bytes, name: str, *, max_pixels: int) -> Film:
    """Decode an image once for the network and for a reader.

    Args:
        content: a PNG, JPEG, TIFF or DICOM file.
        name: what messages call it.
        max_pixels: larger images are refused before they are decoded.

    Raises:
        InputError: the file is damaged, too large, or none of the four.
    """
    if not is_dicom(content[:HEAD]):
        stream = _NamedBytes(content, name)
        grey = read_grey(stream, max_pixels=max_pixels)
        return Film(grey=grey, values=_presented(grey), header=None)
    pixels = read_dicom_pixels(io.BytesIO(content), name, max_pixels=max_pixels)
    grey = pixels.grey()
    return Film(grey=grey, values=_film_values(pixels, grey), header=read_film_header(content, name))


def read_film_header(content: bytes, name: str) -> FilmHeader | None:
    """Return what a reader is shown of a DICOM file's header; None where the file is no DICOM file.

    Raises:
        InputError: the file is damaged.
    """
    data_set = read_header(content, name)
    if data_set is None:
        return None
    elements = read_elements(data_set, HEADER_ELEMENTS, name)
    texts = {keyword: (elements.text(keyword) or "")[:LONGEST_TEXT] for keyword in HEADER_ELEMENTS[:12]}
    laterality = elements.text("ImageLaterality") or elements.text("Laterality") or ""
    spacing, spacing_at = _spacing(elements)
    return FilmHeader(
        texts=texts | {"Laterality": laterality[:2].upper()},
        position=texts["ViewPosition"].upper()[:16],
        sides=_sides(elements.values.get("PatientOrientation")),
        spacing=spacing,
        spacing_at=spacing_at,
    )


class _NamedBytes(io.BytesIO):
    """Bytes with a name for messages."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self.name = name


def _film_values(pixels: DicomPixels, grey: Grey) -> FilmValues:
    """Return stored values with their windows; the grey where a table, and no window, makes it."""
    shown = pixels.presentation
    if shown is None or shown.modality is not None or isinstance(shown.voi, LookUpTable):
        return _presented(grey)
    windows = shown.windows
    if not windows:
        inside = pixels.stored
        if shown.padding is not None:
            low, high = shown.padding
            inside = inside[(inside < low) | (inside > high)]
        ends = (int(inside.min()), int(inside.max())) if inside.size else (0, 1)
        first, last = sorted(end * shown.slope + shown.intercept for end in ends)
        windows = (_range(first, last),)
    return FilmValues(
        values=_whole_bytes(pixels.stored),
        slope=shown.slope,
        intercept=shown.intercept,
        units=shown.units,
        windows=windows,
        inverted=shown.inverted,
        padding=shown.padding,
    )


def _presented(grey: Grey) -> FilmValues:
    top = 255.0 if grey.dtype == np.uint8 else 65535.0
    windows = (_range(0.0, top),)
    return FilmValues(values=grey, slope=1.0, intercept=0.0, units="", windows=windows, inverted=False, padding=None)


def _range(first: float, last: float) -> Window:
    return Window(centre=(first + last) / 2, width=max(last - first, 1.0), shape="LINEAR_EXACT")


def _whole_bytes(stored: Shaped[np.ndarray, "height width"]) -> Values:
    """Return stored values as integers of 8 unsigned or 16 bits."""
    if stored.dtype == np.uint8:
        return stored
    return stored.astype(np.int16 if stored.dtype.kind == "i" else np.uint16, copy=False)


def _sides(orientation: Any) -> tuple[str, str, str, str] | None:
    """Return what is at the four edges: the header has what rows and columns run towards."""
    if not isinstance(orientation, list) or len(orientation) != 2:
        return None
    right, bottom = (str(part).strip().upper()[:3] for part in orientation)
    if not right or not bottom or set(right + bottom) - set("LRAPHF"):
        return None
    return right.translate(OPPOSITE), right, bottom.translate(OPPOSITE), bottom


def _spacing(elements: Elements) -> tuple[tuple[float, float] | None, str]:
    """Return the distance of two pixels and where it holds (PS3.3, 10.7.1.3): calibrated in the patient, or not."""
    pixel, imager = (_distances(elements.values.get(keyword)) for keyword in ("PixelSpacing", "ImagerPixelSpacing"))
    if imager is None:
        # Alone, it may be calibrated or not: the header leaves it open, so the cautious reading is shown.
        return pixel, "detector" if pixel else ""
    if pixel is not None and pixel != imager:
        return pixel, "patient"
    factor = as_number(elements.values.get("EstimatedRadiographicMagnificationFactor"))
    if factor is not None and 1.0 < factor < 3.0:
        return (imager[0] / factor, imager[1] / factor), "patient"
    return imager, "detector"


def _distances(value: Any) -> tuple[float, float] | None:
    numbers = [as_number(part) for part in value] if isinstance(value, list) else []
    plausible = [number for number in numbers if number and SMALLEST_SPACING <= number <= LARGEST_SPACING]
    if len(numbers) != 2 or len(plausible) != 2 or not all(map(math.isfinite, plausible)):
        return None
    return plausible[0], plausible[1]
