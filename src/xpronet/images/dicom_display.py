"""From a DICOM image's stored values to the grey that a reading room's screen shows (DICOM PS3.3, C.11)."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64, Shaped

from xpronet.errors import InputError
from xpronet.images.dicom_file import Elements, as_number

WINDOW_SHAPES = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
DISPLAY_ELEMENTS = (
    "PhotometricInterpretation",
    "PresentationLUTShape",
    "PresentationIntentType",
    "PixelRepresentation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "RescaleSlope",
    "RescaleIntercept",
    "WindowCenter",
    "WindowWidth",
    "WindowCenterWidthExplanation",
    "VOILUTFunction",
    "RescaleType",
    "ModalityLUTSequence",
    "VOILUTSequence",
    "LUTDescriptor",
    "LUTData",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "FrameVOILUTSequence",
    "PixelValueTransformationSequence",
)
"""The header elements that `read_presentation` asks for."""
FRAME_GROUPS = ("FrameVOILUTSequence", "PixelValueTransformationSequence")
"""Where enhanced multi-frame objects keep windows and rescaling (PS3.3, C.7.6.16)."""
LONGEST_NAME = 64
"""Characters of a window's name or a unit that are shown."""

Values = Float64[np.ndarray, " values"]


@dataclass(frozen=True, kw_only=True)
class LookUpTable:
    """A modality or VOI look-up table: input `first` and below gives the first entry, and so on (C.11.1.1)."""

    first: int
    """The stored value or unit that the first entry belongs to."""
    entries: Float64[np.ndarray, " entries"]
    """The table's outputs."""
    top: float
    """The output that is white, where the outputs are greys."""

    def look_up(self, values: Values) -> Values:
        """Return the entry of each value; values outside the table take the entry at its end."""
        places = (np.rint(values) - self.first).clip(0, len(self.entries) - 1)
        chosen: np.ndarray = self.entries[places.astype(np.int64)]
        return chosen


@dataclass(frozen=True, kw_only=True)
class Window:
    """A window of values that spreads from black to white (C.11.2.1.2)."""

    centre: float
    """Its middle, in the units of the rescaled values."""
    width: float
    """From black to white, in the same units."""
    shape: str
    """One of `WINDOW_SHAPES`."""
    name: str = ""
    """What the header calls it; empty where it has no name."""

    def spread(self, values: Values) -> Values:
        """Return the brightness of each value, 0 to 1."""
        if self.shape == "SIGMOID":
            # Beyond 60 the curve is flat in floating point, and exp would overflow.
            levels: np.ndarray = 1 / (1 + np.exp((-4 * (values - self.centre) / self.width).clip(-60, 60)))
        elif self.shape == "LINEAR_EXACT":
            levels = ((values - self.centre) / self.width + 0.5).clip(0, 1)
        elif self.width == 1:
            levels = (values > self.centre - 0.5).astype(np.float64)
        else:
            levels = ((values - (self.centre - 0.5)) / (self.width - 1) + 0.5).clip(0, 1)
        return levels


@dataclass(frozen=True, kw_only=True)
class Presentation:
    """What a header says about turning stored values into grey."""

    modality: LookUpTable | None
    """From stored values to units; None where slope and intercept do it."""
    slope: float
    intercept: float
    voi: LookUpTable | Window | None
    """From units to greys; None spreads the image's own range."""
    inverted: bool
    """Whether the highest grey is black."""
    padding: tuple[int, int] | None
    """The stored values, both included, that fill the area outside the image."""
    windows: tuple[Window, ...] = ()
    """All windows of the header, the first first, where no table takes their place."""
    units: str = ""
    """What the rescaled values are, as the header has it (RescaleType: US, HU, OD); empty where it does not say."""

    def grey_levels(self, values: Int64[np.ndarray, " values"]) -> Values:
        """Return the brightness, 0 black to 1 white, of distinct stored values that an image holds."""
        in_units = values.astype(np.float64)
        if self.modality is not None:
            in_units = self.modality.look_up(in_units)
        else:
            in_units = in_units * self.slope + self.intercept
        outside = np.zeros(len(values), bool)
        if self.padding is not None:
            outside = (values >= self.padding[0]) & (values <= self.padding[1])
        levels: np.ndarray
        if isinstance(self.voi, LookUpTable):
            levels = (self.voi.look_up(in_units) / self.voi.top).clip(0, 1)
        elif self.voi is not None:
            levels = self.voi.spread(in_units)
        else:
            levels = _full_range(in_units, outside)
        if self.inverted:
            levels = 1 - levels
        levels[outside] = 0
        return levels


def _full_range(values: Values, outside: Bool[np.ndarray, " values"]) -> Values:
    inside = values[~outside]
    if not len(inside) or inside.min() == inside.max():
        return np.zeros_like(values)
    levels: np.ndarray = ((values - inside.min()) / (inside.max() - inside.min())).clip(0, 1)
    return levels


def table_top(entries: Shaped[np.ndarray, "..."], bits: int) -> float:
    """Return the output of a look-up table that is white.

    It is the highest of as many bits as the table's descriptor says. Tables of some devices hold far fewer bits than
    that, or more; then it is the highest entry, as in other viewers.

    Args:
        entries: the table's outputs.
        bits: of an output, as the descriptor says.
    """
    top, highest = float(2**bits - 1), float(entries.max())
    return highest if highest > top or 0 < highest < top / 2 else top


def read_presentation(header: Elements, frame: int) -> Presentation:
    """Return what a header says about turning stored values into grey.

    Args:
        header: the elements `DISPLAY_ELEMENTS` of the file.
        frame: which frame, from 0; in enhanced multi-frame objects each has settings of its own.

    Raises:
        InputError: a table or window is malformed, or the values are a detector's raw ones.
    """
    header = _of_frame(header, frame)
    modality = _table(header, "ModalityLUTSequence")
    table = _table(header, "VOILUTSequence")
    windows = _windows(header) if table is None else ()
    voi = table or (windows[0] if windows else None)
    if voi is None and header.text("PresentationIntentType") == "FOR PROCESSING":
        raise InputError(
            f"{header.name}: raw detector values (presentation intent FOR PROCESSING, no window); export it FOR "
            "PRESENTATION"
        )
    slope, intercept = header.number("RescaleSlope"), header.number("RescaleIntercept")
    is_inverse = header.text("PresentationLUTShape") == "INVERSE"
    return Presentation(
        modality=modality,
        slope=1.0 if slope is None else slope,
        intercept=0.0 if intercept is None else intercept,
        voi=voi,
        inverted=header.text("PhotometricInterpretation") == "MONOCHROME1" or is_inverse,
        padding=_padding(header),
        windows=windows,
        units=(header.text("RescaleType") or "")[:LONGEST_NAME],
    )


def _of_frame(header: Elements, frame: int) -> Elements:
    """Return a header whose functional groups, shared and of one frame, stand beside its other elements."""
    values: dict[str, Any] = dict(header.values)
    shared, per_frame = (
        header.items(keyword) for keyword in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
    )
    for group in (*shared[:1], *per_frame[frame : frame + 1]):
        for keyword in FRAME_GROUPS:
            for item in group.items(keyword)[:1]:
                values |= item.values
    return replace(header, values=values)


def _table(header: Elements, keyword: str) -> LookUpTable | None:
    items = header.items(keyword)
    if not items:
        return None
    item, name = items[0], header.name
    descriptor = item.values.get("LUTDescriptor")
    data = item.values.get("LUTData")
    if not isinstance(descriptor, list) or len(descriptor) != 3 or not all(isinstance(d, int) for d in descriptor):
        raise item.malformed(f"LUTDescriptor of {keyword}")
    count, first, bits = descriptor
    count = (count & 0xFFFF) or 65536  # 16 bits cannot say 65536: the standard writes 0
    if not 1 <= bits <= 16:
        raise InputError(f"{name}: {keyword} says that its entries have {bits} bits, not 1 to 16; export it again")
    if isinstance(data, bytes):
        # Entries of 8 bits may stand two to a word.
        data = np.frombuffer(data, np.uint8) if bits <= 8 and len(data) < 2 * count else item.words("LUTData")
    elif isinstance(data, list) and not all(isinstance(entry, int) for entry in data):
        raise item.malformed(f"LUTData of {keyword}")
    entries = np.atleast_1d(np.asarray([] if data is None else data, np.float64))[:count]
    if len(entries) != count:
        raise InputError(f"{name}: {keyword} holds {len(entries)} of its {count} entries; export it again")
    return LookUpTable(first=first, entries=entries, top=table_top(entries, bits))


def _windows(header: Elements) -> tuple[Window, ...]:
    """Return the windows of a header; the first must be one, later ones that are none are left out."""
    centre, width = header.number("WindowCenter"), header.number("WindowWidth")
    if centre is None or width is None:
        return ()
    name, shape = header.name, header.text("VOILUTFunction") or "LINEAR"
    if shape not in WINDOW_SHAPES:
        raise InputError(f"{name}: VOI LUT function {shape!r} is none of {', '.join(WINDOW_SHAPES)}; export it again")
    if width <= 0 or (shape == "LINEAR" and width < 1):
        raise InputError(f"{name}: window width {width:g} is too small for {shape}; export it with a proper window")
    names = _several(header, "WindowCenterWidthExplanation")
    windows = []
    pairs = zip(_several(header, "WindowCenter"), _several(header, "WindowWidth"), strict=False)
    for number, (middle, extent) in enumerate(pairs):
        explanation = str(names[number]).strip()[:LONGEST_NAME] if number < len(names) else ""
        centre, width = as_number(middle), as_number(extent)
        if centre is not None and width is not None and width >= (1 if shape == "LINEAR" else 0) and width > 0:
            windows.append(Window(centre=centre, width=width, shape=shape, name=explanation))
    return tuple(windows)


def _several(header: Elements, keyword: str) -> list[Any]:
    value = header.values.get(keyword)
    return value if isinstance(value, list) else [] if value is None else [value]


def _padding(header: Elements) -> tuple[int, int] | None:
    value, limit = header.whole("PixelPaddingValue"), header.whole("PixelPaddingRangeLimit")
    if value is None:
        return None
    ends = [end & 0xFFFF for end in (value, value if limit is None else limit)]
    if header.whole("PixelRepresentation") == 1:
        # Explicit files write these two as unsigned now and then.
        ends = [end - 0x10000 if end > 0x7FFF else end for end in ends]
    return min(ends), max(ends)
