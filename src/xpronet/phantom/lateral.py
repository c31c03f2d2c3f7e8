"""Normal anatomy of the lateral view; the patient looks to the image's left."""

import numpy as np

from xpronet.phantom.drawing import Canvas, Mask, Points, between, smooth
from xpronet.phantom.patient import Patient
from xpronet.phantom.scene import NUM_RIBS, OneSide, RibKey, Scene

HEIGHTS = (0.0, 0.12, 0.30, 0.50, 0.70, 0.85, 1.0)
FRONT = (-0.03, -0.13, -0.21, -0.255, -0.28, -0.20, 0.12)
LOWER: dict[OneSide, float] = {"left": 0.0, "right": 0.018}
"""How much lower the ribs of a side are seen, as it is farther from the detector."""
BACK = (0.06, 0.17, 0.255, 0.29, 0.29, 0.275, 0.25)


def lateral_scene(patient: Patient, canvas: Canvas, rng: np.random.Generator) -> Scene:
    """Draw body, lungs, heart and spine, and lay out ribs and vessels."""
    lung = np.maximum(
        canvas.fill(lung_outline(patient, patient.rise_left - 0.012), soft=0.005),
        canvas.fill(lung_outline(patient, patient.rise_right), soft=0.005),
    )
    # Where only one lung has air the other's diaphragm shows through.
    lung = 0.5 * lung + 0.5 * canvas.fill(lung_outline(patient, max(patient.rise_left, patient.rise_right)), soft=0.005)
    depth = _body(patient, canvas)
    depth -= lung * np.float32(rng.uniform(0.36, 0.46)) * (0.85 + 0.3 * (canvas.down - 0.2))
    heart = _middle(patient, canvas, depth, lung)
    depth += 0.012 * canvas.cloud(rng, grain=0.035) * lung
    lung = lung * (1 - 0.55 * heart)
    hilum = (0.0 * patient.chest_depth, 0.44)
    vessels = canvas.stroke(_vessel_lines(hilum, rng), width=0.006, soft=0.0015)
    vessels += canvas.blob(hilum, (0.05, 0.06), edge=1.2)
    borders = {"inner": FRONT, "outer": BACK}
    spans = {name: tuple(patient.chest_depth * at for at in border) for name, border in borders.items()}
    return Scene(
        canvas=canvas,
        frontal=False,
        depth=depth,
        lungs={"left": lung, "right": lung},
        chest=lung,
        heights=HEIGHTS,
        inner={"left": spans["inner"], "right": spans["inner"]},
        outer={"left": spans["outer"], "right": spans["outer"]},
        top=patient.lung_top,
        base=patient.lung_base + 0.03,
        ribs=_ribs(patient),
        vessels=0.08 * np.float32(patient.vessels) * np.minimum(vessels, 1) * lung,
        hila=(hilum,),
    )


def lung_outline(patient: Patient, rise: float) -> Points:
    """Return the border of the lungs above a diaphragm that stands `rise` higher than usual."""
    tall = patient.lung_base + 0.03 - patient.lung_top
    back = list(zip(BACK, HEIGHTS, strict=True))[:-1]
    dome = [(0.21, 0.93), (0.10, 0.835), (-0.04, 0.79), (-0.17, 0.79), (-0.27, 0.83)]
    dome = [(out, at - rise / tall) for out, at in dome]
    front = list(zip(FRONT, HEIGHTS, strict=True))[4:0:-1]
    angle = [(0.255, 1.0 - 0.5 * rise / tall)] * 2
    shape = np.array([(0.015, -0.02), *back, *angle, *dome, dome[-1], *front])
    shape[:, 0] *= patient.chest_depth
    shape[:, 1] = patient.lung_top + shape[:, 1] * tall
    return smooth(shape, closed=True)


def heart_outline(patient: Patient) -> Points:
    """Return the border of the heart, behind the breastbone and on the diaphragm."""
    floor = patient.lung_base - 0.10
    size = patient.heart
    front = -0.255 * patient.chest_depth
    border = np.array(
        [
            (front + 0.02, floor - 0.06),
            (front + 0.025, floor - 0.15 * size),
            (front + 0.10, floor - 0.24 * size),
            (front + 0.20 * size, floor - 0.22 * size),
            (front + 0.27 * size, floor - 0.11 * size),
            (front + 0.25 * size, floor + 0.02),
            (front + 0.10, floor + 0.04),
        ]
    )
    return smooth(border, closed=True)


def mediastinum_outline(patient: Patient) -> Points:
    """Return the border of the great vessels above the heart; a wide mediastinum fills the space in front of them."""
    wide = (patient.mediastinum - 1) * 0.085
    border = np.array(
        [(-0.03 - wide, 0.14), (-0.06 - wide, 0.26), (-0.10 - wide, 0.38), (0.02, 0.42), (0.08 + 0.4 * wide, 0.34)]
    )
    return smooth(np.vstack([border, [(0.05, 0.2), (0.02, 0.12)]]) * [patient.chest_depth, 1], closed=True)


def _body(patient: Patient, canvas: Canvas) -> Mask:
    deep, pad = patient.chest_depth, patient.padding
    front = [
        (-0.10, -0.4),
        (-0.10, -0.1),
        (-0.12, 0.05),
        (-0.22, 0.18),
        (-0.275, 0.35),
        (-0.30, 0.55),
        (-0.30, 0.8),
        (-0.29, 1.1),
        (-0.29, 1.4),
    ]
    back = [(0.34, 1.4), (0.34, 1.1), (0.35, 0.7), (0.36, 0.45), (0.31, 0.2), (0.22, 0.08), (0.16, -0.1), (0.16, -0.4)]
    outline = np.array(
        [(deep * out - pad, at) for out, at in front] + [(deep * out + 0.6 * pad, at) for out, at in back]
    )
    trunk = canvas.fill(smooth(outline, closed=True), soft=0.006)
    shoulder = np.clip((np.float32(0.26) - canvas.down) / np.float32(0.26), 0, 1)
    return trunk * (0.60 + 0.20 * shoulder + 0.14 * np.clip(canvas.down - 0.3, 0, 1))


def _middle(patient: Patient, canvas: Canvas, depth: Mask, lung: Mask) -> Mask:
    """Add heart, great vessels, spine, breastbone and windpipe; return where the heart is."""
    heart = canvas.fill(heart_outline(patient), soft=0.008)
    great = canvas.fill(mediastinum_outline(patient), soft=0.012)
    depth += lung * np.maximum(0.25 * heart, 0.15 * great * min(1.5, 0.4 + 0.6 * patient.mediastinum))
    deep = patient.chest_depth
    spine = smooth(
        np.array(
            [(0.10, -0.4), (0.10, -0.1), (0.14, 0.1), (0.225, 0.3), (0.255, 0.5), (0.24, 0.75), (0.2, 1.1), (0.2, 1.4)]
        ),
        closed=False,
    )
    depth += 0.12 * canvas.stroke([spine * [deep, 1]], width=0.065, soft=0.006)
    discs = []
    for at in np.arange(-0.13, 1.2, 0.06):
        middle = deep * float(np.interp(at, spine[:, 1], spine[:, 0]))
        discs.append(between((middle - 0.03, at + 0.004), (middle + 0.03, at - 0.004), steps=2))
    depth -= 0.06 * canvas.stroke(discs, width=0.010, soft=0.003)
    breastbone = np.array([(-0.155, 0.17), (-0.22, 0.3), (-0.262, 0.42), (-0.285, 0.56)]) * [deep, 1]
    depth += 0.10 * canvas.stroke([smooth(breastbone, closed=False)], width=0.022, soft=0.004)
    air = between((0.03 * deep, -0.4), (0.015 * deep, 0.40), bend=-0.02)
    depth -= 0.08 * canvas.stroke([air], width=0.032, soft=0.006)
    return heart


def _ribs(patient: Patient) -> dict[RibKey, Points]:
    """Lay ribs from the spine forwards and down; the two sides lie almost on each other."""
    ribs: dict[RibKey, Points] = {}
    for number in range(1, NUM_RIBS + 1):
        at = 0.085 * number
        back = float(np.interp(at, HEIGHTS, BACK)) * patient.chest_depth
        front = float(np.interp(min(at + 0.25, 0.75), HEIGHTS, FRONT)) * patient.chest_depth
        start = patient.lung_top + at * (patient.lung_base - patient.lung_top)
        for side, lower in LOWER.items():
            line = [
                (back + 0.02, start),
                (0.55 * back, start + 0.06),
                (0.2 * front, start + 0.16),
                (0.8 * front, start + 0.2),
            ]
            ribs[side, number] = smooth(np.array(line) + np.array([0.0, lower]), closed=False)
    return ribs


def _vessel_lines(hilum: tuple[float, float], rng: np.random.Generator) -> list[Points]:
    lines = []
    for angle in np.linspace(0, 2 * np.pi, 11)[:-1] + rng.normal(0, 0.12, 10):
        end = (hilum[0] + rng.uniform(0.15, 0.24) * np.cos(angle), hilum[1] + rng.uniform(0.18, 0.28) * np.sin(angle))
        lines.append(between(hilum, end, bend=rng.normal(0, 0.08), steps=6))
    return lines
