"""A view while it is drawn: attenuation so far, landmarks, and the region of each finding."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import UInt16

from xpronet.labels.findings import FINDINGS
from xpronet.phantom.drawing import Canvas, Mask, Points
from xpronet.phantom.record import ZONES, Instance

VISIBLE = 0.3
"""The share of its strongest part at which a finding's region ends."""

NUM_RIBS = 9
"""Ribs drawn on each side."""

OneSide = Literal["left", "right"]
RibKey = tuple[OneSide, int]


@dataclass(kw_only=True)
class Scene:
    """A view's attenuation and its landmarks.

    The lung of a side is described by borders at a few heights: `inner` towards the midline (on a lateral view towards
    the breastbone) and `outer` towards the chest wall (on a lateral view towards the back).
    """

    canvas: Canvas
    """What to draw with."""
    frontal: bool
    """Whether this is the frontal view."""
    depth: Mask
    """Attenuation so far: 0 in air, about 1 in the thickest part of the body."""
    lungs: dict[OneSide, Mask]
    """How much air is in front of each pixel, 0 to 1, by side; the same twice on a lateral view."""
    chest: Mask
    """Where lungs are, whatever has filled them, 0 to 1."""
    heights: tuple[float, ...]
    """From the apex to the costophrenic angle, as fractions of the lung's height."""
    inner: dict[OneSide, tuple[float, ...]]
    """Inner border at those heights, in body coordinates."""
    outer: dict[OneSide, tuple[float, ...]]
    """Outer border at those heights, in body coordinates."""
    top: float
    """Height of the apices."""
    base: float
    """Height of the costophrenic angles."""
    ribs: dict[RibKey, Points]
    """Course of each rib, from the spine outwards."""
    vessels: Mask
    """Attenuation of the lung vessels, added last so that findings can change it."""
    hila: tuple[tuple[float, float], ...]
    """Where the vessels enter the lungs."""
    regions: UInt16[np.ndarray, "size size"] = field(init=False)
    """Bit k is set where finding k of FINDINGS is."""

    def __post_init__(self) -> None:
        self.regions = np.zeros(self.depth.shape, np.uint16)

    def add(self, finding: str, layer: Mask, amount: float) -> None:
        """Add attenuation (a negative amount takes it away) and mark where it is well visible."""
        self.depth += np.float32(amount) * layer
        self.mark(finding, layer)

    def mark(self, finding: str, layer: Mask) -> None:
        """Add the pixels where the layer is well visible to a finding's region."""
        bit = np.uint16(1 << FINDINGS.index(finding))
        self.regions[layer > VISIBLE * max(float(layer.max()), 1e-6)] |= bit

    def empty(self, side: OneSide, layer: Mask) -> None:
        """Remove the lung where fluid or free air has filled it, so that nothing else is drawn there."""
        # On a lateral view both lungs overlap.
        sides = [side] if self.frontal else list(self.lungs)
        self.lungs = {**self.lungs, **{one: self.lungs[one] * (1 - layer) for one in sides}}
        self.vessels = self.vessels * (1 - layer)

    def height(self, at: float) -> float:
        """Return the body coordinate at a fraction of the lung's height."""
        return self.top + at * (self.base - self.top)

    def borders(self, side: OneSide, at: float) -> tuple[float, float]:
        """Return the inner and the outer border of a lung at a fraction of its height."""
        return (
            float(np.interp(at, self.heights, self.inner[side])),
            float(np.interp(at, self.heights, self.outer[side])),
        )

    def point(self, side: OneSide, across: float, at: float) -> tuple[float, float]:
        """Return a point of a lung: `across` from the inner (0) to the outer border (1), `at` a height."""
        inner, outer = self.borders(side, at)
        return inner + across * (outer - inner), self.height(at)

    def centre(self, side: OneSide, instance: Instance) -> tuple[float, float]:
        """Return where on this view an instance with a zone lies."""
        assert instance.zone is not None, "only findings with a zone have a centre"
        across, down, deep = instance.place
        middle = {"upper": 0.25, "mid": 0.47, "lower": 0.68}[instance.zone] + 0.10 * (down - 0.5)
        if self.frontal:
            return self.point(side, 0.42 + 0.3 * across, middle)
        return self.point(side, 0.3 + 0.4 * deep, middle)

    def rib(self, side: OneSide, instance: Instance) -> int:
        """Return which rib lies in the zone of an instance."""
        assert instance.zone is not None, "only findings with a zone have a rib"
        first = (2, 4, 6)[ZONES.index(instance.zone)]
        return first + int(instance.place[1] > 0.5)
