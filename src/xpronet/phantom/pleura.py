"""Findings between lung and chest wall: air, fluid, thickening."""

import numpy as np

from xpronet.phantom.drawing import smooth
from xpronet.phantom.record import Instance
from xpronet.phantom.scene import Scene


def draw_pneumothorax(scene: Scene, instances: tuple[Instance, ...], rng: np.random.Generator) -> None:
    """Draw a dark rim without vessels outside a thin bright line."""
    (instance,) = instances
    (side,) = instance.sides
    canvas, lung = scene.canvas, scene.lungs[side]
    width = (0.22, 0.34, 0.50)[instance.grade] * rng.uniform(0.9, 1.1)
    low = (0.5, 0.8, 0.95)[instance.grade] + rng.uniform(-0.04, 0.04)
    cap = (0.07, 0.11, 0.17)[instance.grade]
    heights = np.linspace(cap, low, 9)
    shares = 1 - width * np.sin(np.linspace(1.25, np.pi, 9)) ** 0.7 * np.linspace(1, 0.9, 9)
    shares[-1] = 1.03
    top = scene.point(side, 0.05 if scene.frontal else 0.4, 0.6 * cap)
    pleura = smooth(
        np.array([top, *(scene.point(side, a, b) for a, b in zip(shares, heights, strict=True))]), closed=False
    )
    wall = [scene.point(side, 1.08, at) for at in np.linspace(low, 0, 8)]
    cover = [(scene.point(side, 0.9, 0.0)[0], scene.top - 0.03), (scene.point(side, 0.0, 0.0)[0], scene.top - 0.03)]
    rim = canvas.fill(np.vstack([pleura, wall, cover]), soft=0.002) * lung
    dark = 0.11 if scene.frontal else 0.08
    scene.add("Pneumothorax", rim, -dark)
    scene.depth += np.float32(0.03 + 0.02 * instance.grade) * lung * (1 - rim)
    line = canvas.stroke([pleura], width=0.007, soft=0.001) * lung
    scene.depth += np.float32(0.13) * line
    scene.empty(side, rim)


def draw_effusion(scene: Scene, instances: tuple[Instance, ...], rng: np.random.Generator) -> None:
    """Draw fluid that climbs along the chest wall as a meniscus."""
    for instance in instances:
        for side in instance.sides:
            level = (0.82, 0.71, 0.57)[instance.grade] + rng.uniform(-0.03, 0.03)
            climb = (0.09, 0.12, 0.14)[instance.grade]
            shares = np.linspace(-0.1, 1.1, 12)
            surface = [
                scene.point(side, share, level + 0.05 - (climb + 0.05) * max(share, 0) ** 2.2) for share in shares
            ]
            floor = [(surface[-1][0], 1.1), (surface[0][0], 1.1)]
            fluid = scene.canvas.fill(np.array(surface + floor), soft=0.006) * scene.lungs[side]
            scene.add("Pleural Effusion", fluid, 0.36 if scene.frontal else 0.30)
            scene.empty(side, fluid)


def draw_pleural_other(scene: Scene, instances: tuple[Instance, ...], rng: np.random.Generator) -> None:
    """Draw a lumpy band along the chest wall; a plaque also has bright flecks of calcium."""
    for instance in instances:
        (side,) = instance.sides
        assert instance.zone is not None, "pleural thickening has a zone"
        middle = {"upper": 0.27, "mid": 0.47, "lower": 0.68}[instance.zone] + 0.08 * (instance.place[1] - 0.5)
        half = (0.10, 0.13, 0.16)[instance.grade]
        thick = (0.030, 0.040, 0.052)[instance.grade]
        heights = np.linspace(middle - half, middle + half, 14)
        bulge = thick * np.sqrt(np.sin(np.linspace(0.03, np.pi - 0.03, 14))) * rng.uniform(0.65, 1.25, 14)
        border = np.array([scene.point(side, 1.0, at) for at in heights])
        inwards = np.sign(scene.borders(side, middle)[0] - scene.borders(side, middle)[1])
        inside = border + np.stack([inwards * bulge, np.zeros(14)], axis=1)
        outside = (border - [inwards * 0.012, 0.0])[::-1]
        band = scene.canvas.fill(np.vstack([smooth(inside, closed=False), outside]), soft=0.0025)
        scene.add("Pleural Other", band, 0.24)
        flecks = rng.uniform(0.2, 0.8, 9)
        places = border + np.stack([inwards * bulge * np.resize(flecks, 14), np.zeros(14)], axis=1)
        radii = rng.uniform(0.005, 0.011, (14, 2))
        calcium = scene.canvas.blobs(places, radii, angles=rng.uniform(0, 3, 14), edge=0.5)
        scene.depth += np.float32(0.28 if instance.kind == "plaque" else 0.08) * calcium
