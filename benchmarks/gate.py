"""Measure the gate: how many chest films it warns of, and whether it warns of what is none.

    python benchmarks/gate.py ANNOTATION --weights WEIGHTS --chests FILE ... --others FILE ...

ANNOTATION is an annotation.json with its images beside it: the gate is fitted on its train images, takes its
threshold from its validation images and is measured on its test images and on the chest films named (files, or
folders of them; those of the annotation are not counted again). Beside the other images named stand two photographs
that come with scikit-learn, plain and noisy squares; with `--altered` a third of the test images inverted, upside
down and turned.

Prints one JSON object; ends with status 1 where more than 5 % of the chest films, or not all of the other images,
are warned of.
"""

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measuring import machine, show

from xpronet.encoders.build import build_image_encoder
from xpronet.encoders.image_encoder import ImageEncoderSettings
from xpronet.generation.fit_gate import encode_views
from xpronet.generation.runtime import TorchRuntime
from xpronet.images.read import read_grey
from xpronet.images.transforms import ImageSettings, Square, test_view
from xpronet.model.checkpoint import best_device
from xpronet.model.network import XProNet
from xpronet.model.out_of_distribution import Gate, GateSettings, fit_gate
from xpronet.model.settings import ModelSettings

IMAGES = ImageSettings(size=224, short_side=256, test="pad")
"""As recipes/covid_chestxray.toml has them."""
ALLOWED = 0.05
"""Share of chest films that may be warned of."""
ENDINGS = (".png", ".jpg", ".jpeg", ".dcm")


def looking(weights: str, *, stride_in_1x1: bool) -> TorchRuntime:
    """Return what looks at images as a model with this backbone does; what comes behind the backbone is not used."""
    settings = ImageEncoderSettings(depth=50, stride_in_1x1=stride_in_1x1)
    network = XProNet(
        backbone=build_image_encoder(settings, weights, seed=0),
        settings=ModelSettings(width=16, feed_forward=16, heads=2, layers=1, visible="none", findings_head=False),
        num_words=4,
        padding=0,
        num_findings=1,
    )
    return TorchRuntime(network.eval(), best_device())


def annotated(annotation: Path, split: str) -> list[Path]:
    """Return the images of a split."""
    studies = json.loads(annotation.read_text(encoding="utf-8"))[split]
    return [annotation.parent / path for study in studies for path in study["image_path"]]


def pictures(paths: Iterable[Path]) -> list[Path]:
    """Return the files named, and those in the folders named."""
    found = [file for path in paths for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    return [file for file in found if file.suffix.lower() in ENDINGS]


def some(paths: Sequence[Path], most: int | None) -> list[Path]:
    """Return no more than so many, evenly from all."""
    return list(paths[:: -(-len(paths) // most) or 1]) if most else list(paths)


def squares(paths: Sequence[Path]) -> dict[str, Square]:
    """Read images as the network is shown them."""
    return {f"{path.parent.name}/{path.name}": test_view(read_grey(path), IMAGES) for path in paths}


def no_films(others: Sequence[Path]) -> dict[str, Square]:
    """Return images that are no chest films."""
    from sklearn.datasets import load_sample_images

    side = IMAGES.size
    noise = np.random.default_rng(0).integers(0, 256, (side, side), dtype=np.uint8)
    plain = {
        name: np.full((side, side), grey, np.uint8) for name, grey in (("black", 0), ("grey", 128), ("white", 255))
    }
    return {
        **squares(others),
        **squares([Path(name) for name in load_sample_images().filenames]),
        "noise": noise,
    } | plain


def judged(runtime: TorchRuntime, gate: Gate, group: dict[str, Square]) -> dict[str, Any]:
    """Return how many of a group are warned of, and which."""
    scores = gate.scores(encode_views(runtime, list(group.values())))
    warned = {
        name: round(score, 3) for name, score in zip(group, scores.tolist(), strict=True) if score > gate.threshold
    }
    return {
        "pictures": len(group),
        "warned": len(warned),
        "share": round(len(warned) / len(group), 4),
        "median": round(float(np.median(scores)), 3),
        "warned_of": warned,
    }


def main() -> None:
    """Fit, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("annotation", type=Path)
    parser.add_argument("--weights", required=True, help="of a ResNet-50: a safetensors or pth file, or hub:OWNER/NAME")
    parser.add_argument("--stride-in-1x1", action="store_true", help="the weights are of ResNet v1")
    parser.add_argument("--chests", type=Path, nargs="*", default=[], help="chest films from elsewhere")
    parser.add_argument("--others", type=Path, nargs="*", default=[], help="images that are no chest films")
    parser.add_argument("--quantile", type=float, default=GateSettings().quantile)
    parser.add_argument("--margin", type=float, default=GateSettings().margin)
    parser.add_argument("--altered", action="store_true", help="judge altered test images too")
    parser.add_argument("--most", type=int, help="no more than so many images of each split")
    chosen = parser.parse_args()
    runtime = looking(chosen.weights, stride_in_1x1=chosen.stride_in_1x1)
    split = {name: squares(some(annotated(chosen.annotation, name), chosen.most)) for name in ("train", "val", "test")}
    features = {name: encode_views(runtime, list(split[name].values())) for name in ("train", "val")}
    gate = fit_gate(features["train"], features["val"], quantile=chosen.quantile, margin=chosen.margin)
    others = pictures(chosen.others)
    known = {path.resolve() for name in split for path in annotated(chosen.annotation, name)}
    known |= {path.resolve() for path in others}
    elsewhere = [path for path in pictures(chosen.chests) if path.resolve() not in known]
    chests = {"test": split["test"]} | ({"elsewhere": squares(elsewhere)} if elsewhere else {})
    groups = {name: judged(runtime, gate, group) for name, group in chests.items()}
    warned, total = (sum(groups[name][count] for name in chests) for count in ("warned", "pictures"))
    groups["no films"] = judged(runtime, gate, no_films(others))
    alterations = (("inverted", lambda s: 255 - s), ("upside down", np.flipud), ("turned", np.rot90))
    for name, altered in alterations if chosen.altered else ():
        third = list(split["test"].items())[::3]
        group = {file: np.ascontiguousarray(altered(square)) for file, square in third}
        groups[name] = judged(runtime, gate, group) | {"warned_of": "not listed"}
    kept = warned / total <= ALLOWED and groups["no films"]["share"] == 1
    show(
        {
            "benchmark": "gate",
            "machine": machine(best_device()),
            "train": len(split["train"]),
            "val": len(split["val"]),
            "quantile": chosen.quantile,
            "margin": chosen.margin,
            "threshold": round(gate.threshold, 4),
            "groups": groups,
            "chest_films": {"pictures": total, "warned": warned, "share": round(warned / total, 4), "allowed": ALLOWED},
            "kept": kept,
        }
    )
    if not kept:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
