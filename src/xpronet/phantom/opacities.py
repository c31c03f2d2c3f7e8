"""Findings inside the lungs."""

import numpy as np

from xpronet.phantom.drawing import between, smooth
from xpronet.phantom.record import Instance
from xpronet.phantom.scene import OneSide, Scene


def draw_opacity(scene: Scene, instances: tuple[Instance, ...], rng: np.random.Generator) -> None:
    """Draw a faint even haze without a border."""
    for side, instance in _each_side(instances):
        reach = (0.085, 0.11, 0.14)[instance.grade]
        haze = scene.canvas.blob(scene.centre(side, instance), (reach, 1.15 * reach), angle=rng.uniform(0, 3), edge=1.3)
        scene.add("Lung Opacity", haze * scene.lungs[side], (0.13, 0.16, 0.19)[instance.grade])


def draw_lesion(scene: Scene, instances: tuple[Instance, ...], rng: np.random.Generator) -> None:
    """Draw a round dense nodule or mass with a sharp border."""
    for side, instance in _each_side(instances):
        radius = (0.024, 0.036, 0.058)[instance.grade]
        radii = (radius * rng.uniform(0.9, 1.1), radius * rng.uniform(0.9, 1.1))
        ball = scene.canvas.blob(scene.centre(side, instance), radii, angle=rng.uniform(0, 3), edge=0.3)
        scene.add("Lung Lesion", ball, 0.30)


def draw_edema(scene: Scene, instances: tuple[Instance, ...], rng: np.random.Generator) -> None:
    """Draw haze around both hila, thick vessels and short lines at the lung bases."""
    (instance,) = instances
    canvas = scene.canvas
    strength = (0.06, 0.10, 0.15)[instance.grade]
    reach = (0.11, 0.135, 0.16)[instance.grade]
    lung = np.maximum(scene.lungs["left"], scene.lungs["right"])
    outwards = [float(np.sign(hilum[0])) if scene.frontal else 0.0 for hilum in scene.hila]
    centres = np.array(
        [(across + 0.05 * out, down + 0.02) for (across, down), out in zip(scene.hila, outwards, strict=True)]
    )
    radii = np.array([(reach, 1.5 * reach)] * len(centres))
    haze = canvas.blobs(centres, radii, angles=np.zeros(len(centres)), edge=1.1) * lung
    scene.add("Edema", haze * (1 + 0.2 * canvas.cloud(rng, grain=0.02)), strength)
    scene.vessels = scene.vessels * np.float32(1.5 + 0.4 * instance.grade)
    lines = []
    for side in scene.lungs:
        for at in np.linspace(0.6, 0.82, 7) + rng.normal(0, 0.008, 7):
            edge, height = scene.point(side, 0.98, at)
            inside, _ = scene.point(side, 0.98 - rng.uniform(0.14, 0.24), at)
            lines.append(between((edge, height), (inside, height + 0.004), steps=2))
    kerley = canvas.stroke(lines, width=0.006, soft=0.001) * lung
    scene.depth += np.float32(0.07 + 0.03 * instance.grade) * kerley


def draw_consolidation(scene: Scene, instances: tuple[Instance, ...], rng: np.random.Generator) -> None:
    """Draw a dense part of a lobe with one straight border, and air-filled bronchi in it."""
    for side, instance in _each_side(instances):
        canvas = scene.canvas
        _, down = scene.centre(side, instance)
        tall = (0.11, 0.15, 0.20)[instance.grade]
        # An upper lobe ends below at a fissure, the others begin above at one.
        up = -1.0 if instance.zone == "upper" else 1.0
        at = (down - scene.top) / (scene.base - scene.top)
        inner, outer = scene.borders(side, at)
        wide = (0.75, 0.88, 1.0)[instance.grade] * (outer - inner)
        slope = rng.uniform(-0.12, 0.12) * abs(wide)
        straight = down - up * 0.5 * tall
        near, far = outer - wide, outer + 0.02 * np.sign(wide)
        corner = [(near, straight - slope)] * 2 + [(far, straight + slope)] * 2
        rest = [(far, straight + up * 0.8 * tall), (near + 0.6 * wide, straight + up * 1.05 * tall)]
        outline = np.array([*corner, *rest, (near + 0.15 * wide, straight + up * 0.8 * tall)])
        lobe = canvas.fill(smooth(outline, closed=True), soft=0.004) * scene.lungs[side]
        hilum = min(scene.hila, key=lambda place: abs(place[0] - near))
        middle = (near + 0.5 * wide, straight + up * 0.45 * tall)
        ends = [
            (near + part * wide, straight + up * lift * tall) for part, lift in ((0.85, 0.25), (0.9, 0.6), (0.6, 0.85))
        ]
        start = (0.4 * hilum[0] + 0.6 * near, 0.3 * hilum[1] + 0.7 * middle[1])
        bronchi = [between(start, end, bend=rng.normal(0, 0.08)) for end in ends]
        air = canvas.stroke(bronchi, width=0.011, soft=0.002)
        scene.add("Consolidation", lobe, 0.30)
        scene.depth -= 0.16 * lobe * air
        scene.vessels = scene.vessels * (1 - 0.9 * lobe)


def draw_pneumonia(scene: Scene, instances: tuple[Instance, ...], rng: np.random.Generator) -> None:
    """Draw a patchy cluster of fluffy blobs."""
    for side, instance in _each_side(instances):
        count = (9, 13, 18)[instance.grade]
        spread = (0.055, 0.075, 0.095)[instance.grade]
        turn, far = rng.uniform(0, 2 * np.pi, count), spread * np.sqrt(rng.uniform(0, 1, count))
        centres = np.stack([far * np.cos(turn), 1.25 * far * np.sin(turn)], axis=1) + scene.centre(side, instance)
        radii = rng.uniform(0.013, 0.024, (count, 1)) * np.array([[1.0, 1.0]]) * rng.uniform(0.8, 1.2, (count, 2))
        patches = scene.canvas.blobs(centres, radii, angles=rng.uniform(0, 3, count), edge=1.0)
        scene.add("Pneumonia", patches * scene.lungs[side], (0.20, 0.23, 0.26)[instance.grade])


def draw_atelectasis(scene: Scene, instances: tuple[Instance, ...], rng: np.random.Generator) -> None:
    """Draw plate-like bands; the dome of the diaphragm has risen with the patient's build."""
    for side, instance in _each_side(instances):
        across, down = scene.centre(side, instance)
        down -= 0.05 if instance.zone == "lower" else 0.0
        length = (0.13, 0.16, 0.19)[instance.grade]
        lines = []
        for step in range(2 + instance.grade):
            turn = rng.uniform(-0.35, 0.35)
            half = 0.5 * length * rng.uniform(0.8, 1.1) * np.array([np.cos(turn), np.sin(turn)])
            middle = np.array([across + rng.normal(0, 0.015), down + 0.034 * (step - 0.5 * (1 + instance.grade))])
            lines.append(between(tuple(middle - half), tuple(middle + half), bend=rng.uniform(-0.06, 0.06)))
        bands = scene.canvas.stroke(lines, width=0.013, soft=0.0025) * scene.lungs[side]
        scene.add("Atelectasis", bands, (0.22, 0.25, 0.28)[instance.grade])


def _each_side(instances: tuple[Instance, ...]) -> list[tuple[OneSide, Instance]]:
    return [(side, instance) for instance in instances for side in instance.sides]
