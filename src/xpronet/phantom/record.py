"""The findings of a drawn study: side, zone and severity of each."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from xpronet.labels.findings import ABNORMALITIES

Side = Literal["left", "right", "both"]
Zone = Literal["upper", "mid", "lower"]
Severity = Literal["small", "moderate", "large"]

SEVERITIES: tuple[Severity, ...] = ("small", "moderate", "large")
ONE_SIDE: tuple[Side, ...] = ("left", "right")
ZONES: tuple[Zone, ...] = ("upper", "mid", "lower")
CELLS = tuple((side, zone) for side in ONE_SIDE for zone in ZONES)
DEVICES = ("pacemaker", "endotracheal tube", "central venous line", "feeding tube", "chest tube", "port")
MIDLINE_DEVICES = ("endotracheal tube", "feeding tube")
PARENCHYMAL = ("Lung Opacity", "Lung Lesion", "Consolidation", "Pneumonia", "Atelectasis")

Cells = set[tuple[Side, Zone]]


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One occurrence of a finding. The sides are the patient's."""

    side: Side | None = None
    """None where the finding lies in the midline."""
    zone: Zone | None = None
    """Third of the lung from top to bottom; None where the finding has no one zone."""
    severity: Severity | None = None
    """Extent; None for devices."""
    kind: str | None = None
    """Which device, or thickening or plaque; None for other findings."""
    place: tuple[float, float, float] = (0.5, 0.5, 0.5)
    """Where in its zone: outwards, downwards and backwards, each 0 to 1."""

    @property
    def sides(self) -> tuple[Literal["left", "right"], ...]:
        """The sides one by one: two for `both`, none for the midline."""
        if self.side is None:
            return ()
        return ("left", "right") if self.side == "both" else (self.side,)

    @property
    def grade(self) -> int:
        """Severity as 0, 1 or 2."""
        assert self.severity is not None, "devices have no severity"
        return SEVERITIES.index(self.severity)


Record = dict[str, tuple[Instance, ...]]
"""The findings present, by name, in the order of FINDINGS; empty for a normal study."""


def truth(record: Record) -> dict[str, list[dict[str, Any]]]:
    """Return a record as JSON values."""
    return {finding: [asdict(instance) for instance in instances] for finding, instances in record.items()}


def draw_record(present: frozenset[str], rng: np.random.Generator) -> Record:
    """Choose side, zone and severity for each present finding.

    Lung findings keep out of each other's zones and out of zones that fluid or air in the pleura would hide.
    """
    record: dict[str, tuple[Instance, ...]] = {}
    taken: Cells = set()
    # What hides others comes first, what hides nothing last.
    for finding in sorted(present, key=_DRAWING_ORDER.index):
        record[finding] = _instances(finding, taken, rng)
    return {finding: record[finding] for finding in ABNORMALITIES if finding in record}


_DRAWING_ORDER = (
    "Pneumothorax",
    "Pleural Effusion",
    "Atelectasis",
    "Consolidation",
    "Lung Opacity",
    "Pneumonia",
    "Lung Lesion",
    "Edema",
    "Pleural Other",
    "Fracture",
    "Cardiomegaly",
    "Enlarged Cardiomediastinum",
    "Support Devices",
)


def _instances(finding: str, taken: Cells, rng: np.random.Generator) -> tuple[Instance, ...]:
    severity = SEVERITIES[rng.choice(3, p=(0.3, 0.4, 0.3))]
    if finding in ("Cardiomegaly", "Enlarged Cardiomediastinum"):
        return (Instance(severity=severity),)
    if finding == "Edema":
        return (Instance(side="both", severity=severity),)
    if finding == "Pneumothorax":
        return (_pneumothorax(severity, taken, rng),)
    if finding == "Pleural Effusion":
        return (_effusion(severity, taken, rng),)
    if finding == "Support Devices":
        return _devices(rng)
    if finding in ("Fracture", "Pleural Other"):
        side, zone = _free_cell(taken, rng, CELLS)
        kind = ("thickening", "plaque")[rng.integers(2)] if finding == "Pleural Other" else None
        return (Instance(side=side, zone=zone, severity=severity, kind=kind, place=_place(rng)),)
    return _in_the_lung(finding, severity, taken, rng)


def _in_the_lung(finding: str, severity: Severity, taken: Cells, rng: np.random.Generator) -> tuple[Instance, ...]:
    several = finding == "Lung Lesion" and rng.random() < 0.3 and len(taken) < len(CELLS) - 1
    allowed = tuple(cell for cell in CELLS if finding != "Atelectasis" or cell[1] != "upper")
    instances = []
    for _ in range(1 + several):
        side, zone = _free_cell(taken, rng, allowed)
        taken.add((side, zone))
        instances.append(Instance(side=side, zone=zone, severity=severity, place=_place(rng)))
    return tuple(instances)


def _pneumothorax(severity: Severity, taken: Cells, rng: np.random.Generator) -> Instance:
    side = ONE_SIDE[rng.integers(2)]
    hidden = ZONES[: SEVERITIES.index(severity)]
    taken.update((side, zone) for zone in hidden)
    return Instance(side=side, zone="upper" if severity == "small" else None, severity=severity, place=_place(rng))


def _effusion(severity: Severity, taken: Cells, rng: np.random.Generator) -> Instance:
    crowded = len(taken) > 1
    side: Side = "both" if rng.random() < 0.3 and not crowded else ONE_SIDE[rng.integers(2)]
    instance = Instance(side=side, severity=severity, place=_place(rng))
    taken.update((one, "lower") for one in instance.sides if severity != "small")
    return instance


def _devices(rng: np.random.Generator) -> tuple[Instance, ...]:
    kinds = rng.choice(len(DEVICES), size=1 + int(rng.random() < 0.3), replace=False)
    instances = []
    for kind in (DEVICES[index] for index in sorted(kinds)):
        side = None if kind in MIDLINE_DEVICES else ONE_SIDE[rng.integers(2)]
        instances.append(Instance(side=side, kind=kind, place=_place(rng)))
    return tuple(instances)


def _free_cell(taken: Cells, rng: np.random.Generator, allowed: tuple[tuple[Side, Zone], ...]) -> tuple[Side, Zone]:
    free = [cell for cell in allowed if cell not in taken] or list(allowed)
    return free[rng.integers(len(free))]


def _place(rng: np.random.Generator) -> tuple[float, float, float]:
    across, down, deep = (round(float(value), 3) for value in rng.random(3))
    return across, down, deep
