"""One patient: build, inspiration and the changes that findings make to the build, shared by both views."""

from dataclasses import dataclass

import numpy as np

from xpronet.phantom.record import Record

HEART_GROWTH = (1.28, 1.45, 1.65)
MEDIASTINUM_GROWTH = (1.4, 1.7, 2.1)
DOME_RISE = (0.05, 0.075, 0.10)


@dataclass(frozen=True, kw_only=True)
class Patient:
    """Measures of one patient in fractions of the image's side."""

    lung_width: float
    """From the midline to the chest wall on a frontal view."""
    lung_top: float
    """Height of the apices, from the top of the image."""
    lung_base: float
    """Height of the costophrenic angles."""
    chest_depth: float
    """From breastbone to back on a lateral view, relative to the usual."""
    padding: float
    """Thickness of the soft tissue outside the ribs."""
    heart: float
    """Size of the heart relative to the usual."""
    mediastinum: float
    """Width of the upper mediastinum relative to the usual."""
    rise_left: float
    """How much higher than usual the left dome of the diaphragm stands."""
    rise_right: float
    """The same of the right dome."""
    turned: float
    """How far the patient has turned from the detector: moves what lies in front sideways."""
    breasts: float
    """Density of the breast shadows; 0 for none."""
    stomach_air: float
    """Size of the air bubble under the left dome."""
    ribs: float
    """Density of the ribs relative to the usual."""
    vessels: float
    """Density of the lung vessels relative to the usual."""

    def rise(self, side: str) -> float:
        """Return how much higher than usual the dome of a side stands."""
        return self.rise_left if side == "left" else self.rise_right


def draw_patient(record: Record, rng: np.random.Generator) -> Patient:
    """Choose a build and change it as the record's findings do."""
    top = rng.uniform(0.09, 0.14)
    rise = rng.uniform(-0.015, 0.02, size=2)
    for instance in record.get("Atelectasis", ()):
        for side in instance.sides:
            rise[side == "right"] += DOME_RISE[instance.grade]
    lung_width = rng.uniform(0.295, 0.385)
    # Wide chests have wide organs, so that neither shows an illness by its width alone.
    build = lung_width / 0.345
    return Patient(
        lung_width=lung_width,
        lung_top=top,
        lung_base=top + rng.uniform(0.66, 0.76),
        chest_depth=rng.uniform(0.88, 1.12),
        padding=rng.uniform(0.03, 0.09),
        heart=build * rng.uniform(0.87, 1.05) * _growth(record, "Cardiomegaly", HEART_GROWTH),
        mediastinum=build * rng.uniform(0.85, 1.1) * _growth(record, "Enlarged Cardiomediastinum", MEDIASTINUM_GROWTH),
        rise_left=float(rise[0]),
        rise_right=float(rise[1]),
        turned=rng.normal(0, 0.008),
        breasts=rng.uniform(0.02, 0.08) if rng.random() < 0.5 else 0.0,
        stomach_air=rng.uniform(0, 1),
        ribs=rng.uniform(0.7, 1.3),
        vessels=rng.uniform(0.65, 1.3),
    )


def _growth(record: Record, finding: str, growth: tuple[float, float, float]) -> float:
    return growth[record[finding][0].grade] if finding in record else 1.0
