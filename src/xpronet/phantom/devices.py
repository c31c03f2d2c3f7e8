"""Tubes, lines, ports and pacemakers."""

import numpy as np

from xpronet.phantom.drawing import Points, smooth
from xpronet.phantom.patient import Patient
from xpronet.phantom.record import Instance
from xpronet.phantom.scene import Scene

Parts = list[tuple[list[Points], float, float]]
"""Lines with their width and density."""


def draw_devices(scene: Scene, patient: Patient, instances: tuple[Instance, ...]) -> None:
    """Draw each device as bright metal or plastic."""
    for instance in instances:
        outwards = 1.0 if instance.side == "left" else -1.0
        parts = _frontal(instance, patient, outwards) if scene.frontal else _lateral(instance, patient)
        for lines, width, density in parts:
            scene.depth += np.float32(density) * scene.canvas.stroke(lines, width=width, soft=0.001)
        everything = [line for lines, _, _ in parts for line in lines]
        scene.mark("Support Devices", scene.canvas.stroke(everything, width=max(part[1] for part in parts) + 0.012))


def _curve(*points: tuple[float, float]) -> Points:
    return smooth(np.array(points), closed=False)


def _frontal(instance: Instance, patient: Patient, outwards: float) -> Parts:
    middle, floor = patient.turned, patient.lung_base - 0.10
    wander = 0.03 * (instance.place[0] - 0.5)
    if instance.kind == "pacemaker":
        box = (outwards * 0.235 + wander, 0.235 + wander)
        vein = (outwards * 0.06, 0.20)
        down = [(-0.035 + middle, 0.30), (-0.04 + middle, 0.45), (-0.02, floor - 0.08)]
        leads = [_curve(box, vein, *down, (0.10, floor)), _curve(box, vein, *down[:2], (-0.06, floor - 0.08))]
        body = [np.array([(box[0] - 0.025, box[1]), (box[0] + 0.025, box[1] + 0.006)])]
        return [(leads, 0.008, 0.22), (body, 0.062, 0.45)]
    if instance.kind == "endotracheal tube":
        tip = 0.30 + wander
        return [([_curve((middle - 0.004, -0.3), (middle, tip))], 0.014, 0.22)]
    if instance.kind == "central venous line":
        start = [(outwards * 0.36, 0.16), (outwards * 0.2, 0.155), (outwards * 0.07, 0.19)]
        return [([_curve(*start, (-0.04 + middle, 0.27), (-0.045 + middle, 0.46 + wander))], 0.010, 0.24)]
    if instance.kind == "feeding tube":
        tail = [(0.05, floor + 0.08), (0.12, floor + 0.15), (0.14 + wander, floor + 0.19)]
        return [([_curve((0.004, -0.3), (0.012, 0.3), (0.018, 0.55), *tail)], 0.010, 0.22)]
    if instance.kind == "chest tube":
        wall = patient.lung_width
        path = [(1.12 * wall, 0.66), (0.92 * wall, 0.62), (0.72 * wall, 0.45), (0.5 * wall, 0.22 + wander)]
        return [([_curve(*((outwards * across, down) for across, down in path))], 0.015, 0.22)]
    # What is left is a port: a small chamber under the skin with a line to the large vein.
    box = (outwards * 0.21 + wander, 0.30 + wander)
    line = _curve(
        box, (outwards * 0.14, 0.17), (outwards * 0.06, 0.19), (-0.04 + middle, 0.29), (-0.045 + middle, 0.44)
    )
    ring = [(box[0] + 0.018 * np.cos(turn), box[1] + 0.018 * np.sin(turn)) for turn in np.linspace(0, 2 * np.pi, 9)]
    return [([line], 0.008, 0.22), ([_curve(*ring)], 0.012, 0.35)]


def _lateral(instance: Instance, patient: Patient) -> Parts:
    deep, floor = patient.chest_depth, patient.lung_base - 0.10
    wander = 0.03 * (instance.place[0] - 0.5)
    if instance.kind == "pacemaker":
        box = (-0.25 * deep, 0.24 + wander)
        leads = [
            _curve(box, (-0.1, 0.2), (-0.02, 0.3), (-0.02, 0.45), (-0.16 * deep, floor)),
            _curve(box, (-0.1, 0.2), (-0.02, 0.3), (-0.03, 0.43), (-0.13 * deep, floor - 0.13)),
        ]
        return [
            (leads, 0.008, 0.2),
            ([np.array([(box[0] + 0.008, box[1] - 0.025), (box[0] - 0.006, box[1] + 0.025)])], 0.03, 0.42),
        ]
    if instance.kind == "endotracheal tube":
        return [([_curve((0.03 * deep, -0.3), (0.03 * deep, 0.15), (0.022 * deep, 0.30 + wander))], 0.014, 0.2)]
    if instance.kind == "central venous line":
        return [([_curve((-0.1, 0.14), (-0.06, 0.2), (-0.03, 0.28), (-0.035, 0.46 + wander))], 0.010, 0.22)]
    if instance.kind == "feeding tube":
        path = [(0.055, -0.3), (0.075, 0.3), (0.10, 0.55), (0.08, floor + 0.08), (-0.03, floor + 0.16)]
        return [([_curve(*((deep * across, down) for across, down in path))], 0.010, 0.2)]
    if instance.kind == "chest tube":
        path = [(-0.05, 0.68), (0.06, 0.6), (0.12, 0.42), (0.08, 0.2 + wander)]
        return [([_curve(*((deep * across, down) for across, down in path))], 0.015, 0.2)]
    box = (-0.27 * deep, 0.31 + wander)
    line = _curve(box, (-0.14, 0.16), (-0.06, 0.19), (-0.03, 0.29), (-0.035, 0.44))
    chamber = np.array([(box[0] + 0.006, box[1] - 0.016), (box[0] - 0.006, box[1] + 0.016)])
    return [([line], 0.008, 0.2), ([chamber], 0.022, 0.35)]
