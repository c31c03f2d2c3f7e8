"""From a DICOM image's stored values to the grey that a reading room's screen shows (DICOM PS3.3, C.11)."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

WINDOW_SHAPES = ("LINEAR", "LINEAR_EXACT", "SIGMOID")

Values = Float64[np.ndarray, " values"]


@dataclass(frozen=True, kw_only=True)
class LookUpTable:
    """A modality or VOI look-up table: input `first` and below gives the first entry, and so on (C.11.1.1)."""

    first: int
    entries: Float64[np.ndarray, " entries"]
    bits: int

    def look_up(self, values: Values) -> Values:
        """Return the entry of each value; values outside the table take the entry at its end."""
        places = (np.rint(values) - self.first).clip(0, len(self.entries) - 1)
        chosen: np.ndarray = self.entries[places.astype(np.int64)]
        return chosen


@dataclass(frozen=True, kw_only=True)
class Window:
    """A window of values that spreads from black to white (C.11.2.1.2)."""

    centre: float
    width: float
    shape: str

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
    slope: float
    intercept: float
    voi: LookUpTable | Window | None
    inverted: bool
    padding: tuple[int, int] | None
    """The stored values, both included, that fill the area outside the image."""

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
            levels = (self.voi.look_up(in_units) / (2**self.voi.bits - 1)).clip(0, 1)
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
