"""Draw a record as a frontal and a lateral view, with the region of each finding."""

import numpy as np
from jaxtyping import UInt16

from xpronet.images.read import Depth, Grey
from xpronet.phantom.bones import draw_ribs
from xpronet.phantom.devices import draw_devices
from xpronet.phantom.drawing import Canvas, Mask
from xpronet.phantom.frontal import frontal_scene, heart_outline, mediastinum_outline
from xpronet.phantom.lateral import heart_outline as lateral_heart_outline
from xpronet.phantom.lateral import lateral_scene
from xpronet.phantom.lateral import mediastinum_outline as lateral_mediastinum_outline
from xpronet.phantom.opacities import (
    draw_atelectasis,
    draw_consolidation,
    draw_edema,
    draw_lesion,
    draw_opacity,
    draw_pneumonia,
)
from xpronet.phantom.patient import Patient, draw_patient
from xpronet.phantom.pleura import draw_effusion, draw_pleural_other, draw_pneumothorax
from xpronet.phantom.record import Record
from xpronet.phantom.scene import Scene

POSITIONS = ("PA", "LATERAL")

Regions = UInt16[np.ndarray, "size size"]

_IN_THE_CHEST = {
    "Pleural Effusion": draw_effusion,
    "Pneumothorax": draw_pneumothorax,
    "Lung Opacity": draw_opacity,
    "Consolidation": draw_consolidation,
    "Pneumonia": draw_pneumonia,
    "Atelectasis": draw_atelectasis,
    "Lung Lesion": draw_lesion,
    "Edema": draw_edema,
    "Pleural Other": draw_pleural_other,
}


def draw_study(
    record: Record, *, size: int, rng: np.random.Generator, depth: Depth = 8
) -> dict[str, tuple[Grey, Regions]]:
    """Draw the frontal and the lateral view of one patient.

    Returns:
        The image (air black, bone white) and the regions (bit k set where finding k of FINDINGS is) by view position.
    """
    patient = draw_patient(record, rng)
    return {position: _draw_view(record, patient, position == "PA", size, rng, depth) for position in POSITIONS}


def _draw_view(
    record: Record, patient: Patient, frontal: bool, size: int, rng: np.random.Generator, depth: Depth
) -> tuple[Grey, Regions]:
    shift = (rng.uniform(-0.07, 0.07), rng.uniform(-0.06, 0.07))
    canvas = Canvas(size=size, tilt=rng.normal(0, 3.5), scale=rng.uniform(0.80, 1.06), shift=shift)
    scene = frontal_scene(patient, canvas, rng) if frontal else lateral_scene(patient, canvas, rng)
    _mark_enlarged_organs(scene, patient, record)
    for finding, draw in _IN_THE_CHEST.items():
        if finding in record:
            draw(scene, record[finding], rng)
    scene.depth += scene.vessels
    draw_ribs(scene, patient, record.get("Fracture", ()))
    draw_devices(scene, patient, record.get("Support Devices", ()))
    return _expose(scene.depth, canvas, rng, depth), scene.regions


def _mark_enlarged_organs(scene: Scene, patient: Patient, record: Record) -> None:
    """Mark heart and mediastinum, which the scene already shows as large as the record says."""
    if "Cardiomegaly" in record:
        outline = heart_outline(patient) if scene.frontal else lateral_heart_outline(patient)
        scene.mark("Cardiomegaly", scene.canvas.fill(outline))
    if "Enlarged Cardiomediastinum" in record:
        outline = mediastinum_outline(patient) if scene.frontal else lateral_mediastinum_outline(patient)
        upper = scene.canvas.fill(outline) * (scene.canvas.down > 0.1) * (scene.canvas.down < 0.45)
        scene.mark("Enlarged Cardiomediastinum", upper)


def _expose(thickness: Mask, canvas: Canvas, rng: np.random.Generator, depth: Depth) -> Grey:
    """Turn attenuation into grey values: exposure, contrast and noise differ from film to film."""
    contrast = np.float32(rng.uniform(3.0, 7.0))
    exposure = np.float32(rng.uniform(0.36, 0.58))
    tilt = rng.normal(0, 0.05, 2).astype(np.float32)
    level = thickness + tilt[0] * canvas.across + tilt[1] * (canvas.down - np.float32(0.5))
    # Few photons pass dense tissue, and smaller pixels are noisier.
    noise = np.float32(rng.uniform(0.006, 0.016)) * np.sqrt(canvas.size / 256)
    level = level + noise.astype(np.float32) * rng.standard_normal(thickness.shape, dtype=np.float32)
    grey = 1 / (1 + np.exp(-contrast * (level - exposure)))
    floor = 1 / (1 + np.exp(contrast * exposure))
    grey = (grey - floor) / (np.float32(0.97) - floor)
    white, kind = (255, np.uint8) if depth == 8 else (65535, np.uint16)
    return (np.clip(grey, 0, 1) * white + 0.5).astype(kind)
