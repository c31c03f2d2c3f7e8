"""Ribs, whole and broken."""

import numpy as np

from xpronet.phantom.drawing import Points
from xpronet.phantom.patient import Patient
from xpronet.phantom.record import Instance
from xpronet.phantom.scene import NUM_RIBS, RibKey, Scene

DISPLACEMENT = (0.022, 0.032, 0.042)
BROKEN_RIBS = (2, 2, 3)


def draw_ribs(scene: Scene, patient: Patient, fractures: tuple[Instance, ...]) -> None:
    """Draw all ribs; a broken one has a gap, its ends stand apart, and callus surrounds them."""
    breaks = _breaks(scene, fractures)
    lines: list[Points] = []
    for key, line in scene.ribs.items():
        lines.extend(_broken(line, *breaks[key]) if key in breaks else [line])
    density = np.float32((0.06 if scene.frontal else 0.035) * patient.ribs)
    layer = scene.canvas.stroke(lines, width=0.022, soft=0.002)
    layer -= 0.4 * scene.canvas.stroke(lines, width=0.011, soft=0.002)
    # Behind the organs of the belly ribs are hardly seen.
    scene.depth += density * layer * (0.4 + 0.6 * scene.chest)
    if breaks:
        _callus(scene, breaks)


def _breaks(scene: Scene, fractures: tuple[Instance, ...]) -> dict[RibKey, tuple[int, float]]:
    breaks: dict[RibKey, tuple[int, float]] = {}
    for instance in fractures:
        (side,) = instance.sides
        many = BROKEN_RIBS[instance.grade]
        first = min(scene.rib(side, instance), NUM_RIBS + 1 - many)
        for number in range(first, first + many):
            count = len(scene.ribs[side, number])
            share = 0.34 + 0.2 * instance.place[0] + 0.02 * (number - first)
            breaks[side, number] = (round(share * count), DISPLACEMENT[instance.grade])
    return breaks


def _broken(line: Points, at: int, displacement: float) -> list[Points]:
    return [line[: at - 1], _lowered(line[at + 1 :], displacement)]


def _lowered(line: Points, displacement: float) -> Points:
    return line + np.array([[0.0, displacement]])


def _callus(scene: Scene, breaks: dict[RibKey, tuple[int, float]]) -> None:
    ends, pieces = [], []
    for key, (at, displacement) in breaks.items():
        line = scene.ribs[key]
        ends.append(np.vstack([line[at - 2 : at - 1], _lowered(line[at + 1 : at + 2], displacement)]))
        pieces += [line[at - 6 : at - 1], _lowered(line[at + 1 : at + 6], displacement)]
    places = np.array(ends).reshape(-1, 2)
    count = len(places)
    amount = np.float32(0.12 if scene.frontal else 0.09)
    scene.depth += amount * scene.canvas.stroke(pieces, width=0.024, soft=0.002)
    callus = scene.canvas.blobs(places, np.full((count, 2), 0.015), angles=np.zeros(count), edge=0.7)
    scene.depth += amount * callus
    gaps = np.array(ends).mean(axis=1)
    gap = scene.canvas.blobs(gaps, np.full((len(gaps), 2), 0.011), angles=np.zeros(len(gaps)), edge=0.6)
    scene.depth -= np.float32(0.10) * gap
    around = scene.canvas.blobs(gaps, np.full((len(gaps), 2), 0.045), angles=np.zeros(len(gaps)), edge=0.4)
    scene.mark("Fracture", around)
