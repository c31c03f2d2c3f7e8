"""Normal anatomy of the frontal view; the patient's right is on the image's left."""

import numpy as np

from xpronet.phantom.drawing import Canvas, Mask, Points, between, smooth
from xpronet.phantom.patient import Patient
from xpronet.phantom.scene import NUM_RIBS, OneSide, RibKey, Scene

HEIGHTS = (0.0, 0.06, 0.19, 0.38, 0.60, 0.82, 1.0)
OUTER = (0.50, 0.66, 0.80, 0.91, 0.97, 1.0, 0.985)
INNER = (0.34, 0.27, 0.21, 0.19, 0.20, 0.23, 0.60)
OUTWARDS: dict[OneSide, int] = {"left": 1, "right": -1}
SIDES: tuple[OneSide, OneSide] = ("left", "right")


def frontal_scene(patient: Patient, canvas: Canvas, rng: np.random.Generator) -> Scene:
    """Draw body, lungs, heart and mediastinum, and lay out ribs and vessels."""
    lungs = {side: canvas.fill(lung_outline(patient, side), soft=0.005) for side in SIDES}
    both = lungs["left"] + lungs["right"]
    depth = _body(patient, canvas)
    depth -= both * np.float32(rng.uniform(0.36, 0.46)) * (0.88 + 0.25 * (canvas.down - 0.15))
    organs = _middle(patient, canvas, depth, both)
    _bones(patient, canvas, depth)
    _soft_parts(patient, canvas, depth, rng)
    depth += 0.012 * canvas.cloud(rng, grain=0.035) * both
    lungs = {side: lung * (1 - 0.75 * organs) for side, lung in lungs.items()}
    both = np.minimum(lungs["left"] + lungs["right"], 1)
    hila = tuple((outwards * 0.085 + patient.turned, 0.45) for outwards in OUTWARDS.values())
    vessels = canvas.stroke(_vessel_lines(patient, rng), width=0.006, soft=0.0015)
    vessels += canvas.blobs(np.array(hila), np.array([[0.035, 0.06]] * 2), angles=np.array([0.3, -0.3]), edge=1.2)
    return Scene(
        canvas=canvas,
        frontal=True,
        depth=depth,
        lungs=lungs,
        chest=both,
        heights=HEIGHTS,
        inner={side: tuple(OUTWARDS[side] * patient.lung_width * at for at in INNER) for side in SIDES},
        outer={side: tuple(OUTWARDS[side] * patient.lung_width * at for at in OUTER) for side in SIDES},
        top=patient.lung_top,
        base=patient.lung_base,
        ribs=_ribs(patient),
        vessels=0.085 * np.float32(patient.vessels) * np.minimum(vessels, 1) * both,
        hila=hila,
    )


def lung_outline(patient: Patient, side: OneSide) -> Points:
    """Return the border of one lung."""
    rise = patient.rise(side) / (patient.lung_base - patient.lung_top) - (0.02 if side == "left" else 0.0)
    wall = list(zip(OUTER, HEIGHTS, strict=True))
    angle = [(0.985, 1.0 - 0.5 * rise)] * 2
    dome = [(0.92, 0.94), (0.78, 0.875), (0.58, 0.845), (0.40, 0.855), (0.26, 0.90)]
    dome = [(out, at - rise) for out, at in dome]
    inner = [(0.23, 0.76), (0.20, 0.58), (0.18, 0.38), (0.20, 0.19), (0.25, 0.07), (0.36, 0.0)]
    shape = np.array([(0.42, -0.01), *wall[:-1], *angle, *dome, dome[-1], *inner])
    shape[:, 0] *= OUTWARDS[side] * patient.lung_width
    shape[:, 1] = patient.lung_top + shape[:, 1] * (patient.lung_base - patient.lung_top)
    return smooth(shape, closed=True)


def heart_outline(patient: Patient) -> Points:
    """Return the border of the heart, which rests on the domes of the diaphragm."""
    right = 0.105 * (0.4 + 0.6 * patient.heart)
    left = 0.165 * patient.heart
    floor = patient.lung_base - 0.105
    tall = 0.23 * patient.heart**0.5
    middle = patient.turned
    border = np.array(
        [
            (0.07, floor - 1.25 * tall),
            (0.085 + 0.25 * left, floor - 0.85 * tall),
            (0.92 * left, floor - 0.42 * tall),
            (1.08 * left, floor - 0.08 * tall),
            (0.95 * left, floor + 0.03),
            (0.3 * left, floor + 0.06),
            (-0.8 * right, floor + 0.03),
            (-right, floor - 0.2 * tall),
            (-0.95 * right, floor - 0.6 * tall),
            (-0.06, floor - 1.1 * tall),
        ]
    )
    border[:, 0] += middle
    return smooth(border, closed=True)


def mediastinum_outline(patient: Patient) -> Points:
    """Return the border of the upper mediastinum, from the neck to the heart."""
    wide = patient.mediastinum
    middle = patient.turned
    left = [
        (0.05, -0.3),
        (0.05, 0.0),
        (0.052 * wide, 0.16),
        (0.062 * wide, 0.24),
        (0.082 * wide, 0.31),
        (0.078 * wide, 0.38),
    ]
    right = [
        (-0.06 * wide, 0.42),
        (-0.062 * wide, 0.32),
        (-0.058 * wide, 0.22),
        (-0.05 * wide, 0.15),
        (-0.05, 0.0),
        (-0.05, -0.3),
    ]
    border = np.array([*left, (0.075, 0.5), (0.05, 0.6), (-0.05, 0.6), (-0.07, 0.5), *right])
    border[:, 0] += middle
    return smooth(border, closed=True)


def _body(patient: Patient, canvas: Canvas) -> Mask:
    half = patient.lung_width + patient.padding
    flank = [(half - 0.03, 0.36), (half, 0.55), (half + 0.005, 0.8), (half, 1.1), (half, 1.4)]
    shoulder = [
        (0.10, -0.4),
        (0.09, -0.1),
        (0.10, 0.02),
        (0.22, 0.07),
        (0.45, 0.10),
        (0.9, 0.18),
        (0.9, 0.34),
        (0.62, 0.32),
        (half, 0.325),
    ]
    right_side = np.array([*shoulder, *flank])
    outline = np.vstack([right_side, right_side[::-1] * [-1, 1]])
    trunk = canvas.fill(smooth(outline, closed=True), soft=0.006)
    rounding = np.sqrt(np.maximum(0.05, 1 - (canvas.across / np.float32(half * 1.12)) ** 2))
    return trunk * (0.30 + 0.40 * rounding + 0.10 * np.clip(canvas.down - 0.2, 0, 1))


def _middle(patient: Patient, canvas: Canvas, depth: Mask, both: Mask) -> Mask:
    """Add heart, mediastinum, spine and windpipe; return where heart and mediastinum are."""
    heart = canvas.fill(heart_outline(patient), soft=0.007)
    mediastinum = canvas.fill(mediastinum_outline(patient), soft=0.007)
    joined = np.maximum(heart, mediastinum)
    depth += joined * (0.07 + 0.25 * both)
    spine = np.array([(-0.04, -0.4), (0.04, -0.4), (0.045, 1.4), (-0.045, 1.4)])
    depth += 0.05 * canvas.fill(spine, soft=0.006)
    discs = [between((-0.042, at), (0.042, at), steps=2) for at in np.arange(-0.134, 1.2, 0.058)]
    depth += 0.03 * canvas.stroke(discs, width=0.012, soft=0.004)
    air = np.array(
        [(-0.018, -0.4), (0.016, -0.4), (0.017, 0.36), (0.06, 0.42), (0.0, 0.39), (-0.055, 0.42), (-0.02, 0.36)]
    )
    depth -= 0.09 * canvas.fill(air + np.array([patient.turned, 0.0]), soft=0.006)
    return joined


def _bones(patient: Patient, canvas: Canvas, depth: Mask) -> None:
    """Add collar bones and shoulder blades."""
    collars = []
    for outwards in OUTWARDS.values():
        near = patient.turned * 2.5 + outwards * 0.035
        line = [(near, 0.19), (outwards * 0.12, 0.165), (outwards * 0.22, 0.12), (outwards * 0.34, 0.095)]
        collars.append(smooth(np.array(line), closed=False))
    depth += 0.09 * canvas.stroke(collars, width=0.026, soft=0.003)
    depth -= 0.03 * canvas.stroke(collars, width=0.012, soft=0.002)
    width = patient.lung_width
    for outwards in OUTWARDS.values():
        blade = np.array([(0.98 * width, 0.14), (1.22 * width, 0.16), (1.12 * width, 0.34), (0.98 * width, 0.46)])
        depth += 0.05 * canvas.fill(smooth(blade * [outwards, 1], closed=True), soft=0.006)


def _soft_parts(patient: Patient, canvas: Canvas, depth: Mask, rng: np.random.Generator) -> None:
    """Add breasts and take away the air in the stomach."""
    if patient.breasts:
        low = patient.lung_base - rng.uniform(0.03, 0.12)
        centres = np.array([(outwards * 0.55 * patient.lung_width, low) for outwards in OUTWARDS.values()])
        radii = np.array([(0.17, 0.13)] * 2) * rng.uniform(0.8, 1.15)
        depth += np.float32(patient.breasts) * canvas.blobs(centres, radii, angles=np.zeros(2), edge=0.35)
    if patient.stomach_air > 0.3:
        centre = (0.16, patient.lung_base - 0.06 - patient.rise_left + 0.05)
        depth -= 0.14 * canvas.blob(centre, (0.07 * patient.stomach_air, 0.028), angle=0.1, edge=0.5)


def _ribs(patient: Patient) -> dict[RibKey, Points]:
    ribs: dict[RibKey, Points] = {}
    for side, outwards in OUTWARDS.items():
        for number in range(1, NUM_RIBS + 1):
            start = patient.lung_top - 0.035 + 0.0745 * number * (patient.lung_base - patient.lung_top) / 0.72
            reach = patient.lung_width * float(np.interp(0.095 * number, HEIGHTS, OUTER)) * 1.01
            line = [(0.045, start), (0.4 * reach, start - 0.022), (0.8 * reach, start + 0.035), (reach, start + 0.09)]
            front = [(0.86 * reach, start + 0.15), (0.55 * reach, start + 0.19)]
            ribs[side, number] = smooth(np.array(line + front) * [outwards, 1], closed=False)
    return ribs


def _vessel_lines(patient: Patient, rng: np.random.Generator) -> list[Points]:
    """Let vessels branch from the hila outwards."""
    lines = []
    for outwards in OUTWARDS.values():
        root = np.array([outwards * 0.09 + patient.turned, 0.45])
        for angle in np.linspace(-1.25, 1.25, 7) + rng.normal(0, 0.08, 7):
            length = rng.uniform(0.14, 0.2) * (1.25 if abs(angle) > 0.5 else 0.9)
            direction = np.array([outwards * np.cos(angle), np.sin(angle)])
            middle = root + 0.55 * length * direction
            lines.append(between(tuple(root), tuple(middle), bend=0.06, steps=5))
            for fork in (-0.35, 0.3):
                turn = angle + fork + rng.normal(0, 0.1)
                end = middle + length * rng.uniform(0.55, 0.8) * np.array([outwards * np.cos(turn), np.sin(turn)])
                lines.append(between(tuple(middle), tuple(end), bend=rng.normal(0, 0.05), steps=5))
    return lines
