"""Measure the gate: how many chest films it warns of, and whether it warns of what is none.

    python benchmarks/gate.py ANNOTATION --weights WEIGHTS --chests PATH ... --others FILE ...
    python benchmarks/gate.py --run RUN --chests PATH ... --others FILE ...

ANNOTATION is an annotation.json with its images beside it: a gate is fitted on its train images, takes its
threshold from its validation images and is measured on its test images and on the chest films named. With RUN, the
gate that lies beside a trained model is measured, on images prepared as that model sees them. A PATH is a file, a
folder, or FOLDER=FILE.csv:split=val: the images of a table (columns image and split) with that split.

Beside the other images named stand two photographs that come with scikit-learn, plain and noisy squares; with
`--drawings N` also the views of N drawn studies; with `--altered` a third of the test images inverted, upside down
and turned.

Prints one JSON object; ends with status 1 where more than 5 % of the chest films, or not all of the other images,
are warned of.
"""

import argparse
import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measuring import machine, show

from xpronet.device import best_device
from xpronet.encoders.build import build_image_encoder
from xpronet.encoders.image_encoder import ImageEncoderSettings
from xpronet.generation.fit_gate import encode_views
from xpronet.generation.runtime import TorchRuntime
from xpronet.images.read import read_grey
from xpronet.images.transforms import ImageSettings, Square, test_view
from xpronet.model.checkpoint import load_checkpoint
from xpronet.model.network import XProNet
from xpronet.model.out_of_distribution import Gate, GateSettings, fit_gate
from xpronet.model.settings import ModelSettings
from xpronet.phantom.make_corpus import PhantomSettings, draw_phantom
from xpronet.phantom.plan import plan_studies

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


def pictures(paths: Iterable[str]) -> list[Path]:
    """Return the files named, those in the folders named, and those that tables of folders name."""
    found: list[Path] = []
    for path in paths:
        folder, _, table = path.partition("=")
        found += _listed(Path(folder), table) if table else _files(Path(path))
    return found


def _files(path: Path) -> list[Path]:
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return [file for file in files if file.suffix.lower() in ENDINGS]


def _listed(folder: Path, table: str) -> list[Path]:
    """Return the images of a table whose `split` is the one named: "images.csv:split=val"."""
    name, _, condition = table.partition(":")
    column, _, value = condition.partition("=")
    with (folder / name).open(encoding="utf-8", newline="") as stream:
        return [folder / row["image"] for row in csv.DictReader(stream) if not column or row[column] == value]


def some(paths: Sequence[Path], most: int | None) -> list[Path]:
    """Return no more than so many, evenly from all."""
    return list(paths[:: -(-len(paths) // most) or 1]) if most else list(paths)


def squares(paths: Sequence[Path], images: ImageSettings) -> dict[str, Square]:
    """Read images as the network is shown them."""
    return {f"{path.parent.name}/{path.name}": test_view(read_grey(path), images) for path in paths}


def no_films(others: Sequence[Path], images: ImageSettings) -> dict[str, Square]:
    """Return images that are no chest films."""
    from sklearn.datasets import load_sample_images

    side = images.size
    noise = np.random.default_rng(0).integers(0, 256, (side, side), dtype=np.uint8)
    plain = {
        name: np.full((side, side), grey, np.uint8) for name, grey in (("black", 0), ("grey", 128), ("white", 255))
    }
    return {
        **squares(others, images),
        **squares([Path(name) for name in load_sample_images().filenames], images),
        "noise": noise,
    } | plain


def drawings(studies: int, images: ImageSettings) -> dict[str, Square]:
    """Return the views of drawn studies."""
    settings = PhantomSettings(studies=max(10, studies), size=256)
    plan = plan_studies(settings.studies, settings.prevalence, settings.seed)[:studies]
    drawn = (draw_phantom(present, number, settings).views for number, (present, _) in enumerate(plan))
    return {
        f"{number}/{position}": test_view(image, images)
        for number, views in enumerate(drawn)
        for position, (image, _) in views.items()
    }


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
    """Fit or load, judge, print."""
    chosen = _options()
    split: dict[str, dict[str, Square]] = {}
    if chosen.run is not None:
        checkpoint = load_checkpoint(chosen.run)
        if checkpoint.gate is None:
            raise SystemExit(f"{chosen.run}: has no gate; fit one with `xpronet gate`")
        runtime, gate, images = TorchRuntime(checkpoint.network, best_device()), checkpoint.gate, checkpoint.images
    else:
        images = IMAGES
        runtime = looking(chosen.weights, stride_in_1x1=chosen.stride_in_1x1)
        for name in ("train", "val", "test"):
            split[name] = squares(some(annotated(chosen.annotation, name), chosen.most), images)
        features = {name: encode_views(runtime, list(split[name].values())) for name in ("train", "val")}
        gate = fit_gate(features["train"], features["val"], quantile=chosen.quantile, margin=chosen.margin)
    others = pictures(chosen.others)
    known = {path.resolve() for name in split for path in annotated(chosen.annotation, name)}
    known |= {path.resolve() for path in others}
    chests = {"test": split["test"]} if split else {}
    for named in chosen.chests if chosen.run is not None else [None]:
        elsewhere = [path for path in pictures([named] if named else chosen.chests) if path.resolve() not in known]
        if elsewhere:
            chests[named or "elsewhere"] = squares(some(elsewhere, chosen.most if chosen.run else None), images)
    groups = {name: judged(runtime, gate, group) for name, group in chests.items()}
    warned, total = (sum(groups[name][count] for name in chests) for count in ("warned", "pictures"))
    groups["no films"] = judged(runtime, gate, no_films(others, images))
    if chosen.drawings:
        groups["drawings"] = judged(runtime, gate, drawings(chosen.drawings, images)) | {"warned_of": "not listed"}
    alterations = (("inverted", lambda s: 255 - s), ("upside down", np.flipud), ("turned", np.rot90))
    for name, altered in alterations if chosen.altered else ():
        third = list(next(iter(chests.values())).items())[::3]
        group = {file: np.ascontiguousarray(altered(square)) for file, square in third}
        groups[name] = judged(runtime, gate, group) | {"warned_of": "not listed"}
    kept = warned / max(1, total) <= ALLOWED and groups["no films"]["share"] == 1
    fitted = {"quantile": chosen.quantile, "margin": chosen.margin, **{name: len(split[name]) for name in split}}
    show(
        {
            "benchmark": "gate",
            "machine": machine(best_device()),
            **(fitted if split else {"run": str(chosen.run)}),
            "threshold": round(gate.threshold, 4),
            "groups": groups,
            "chest_films": {
                "pictures": total,
                "warned": warned,
                "share": round(warned / max(1, total), 4),
                "allowed": ALLOWED,
            },
            "kept": kept,
        }
    )
    if not kept:
        raise SystemExit(1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("annotation", type=Path, nargs="?")
    parser.add_argument("--run", type=Path, help="a run or checkpoint with a gate, which is measured as it is")
    parser.add_argument("--weights", help="of a ResNet-50: a safetensors or pth file, or hub:OWNER/NAME")
    parser.add_argument("--stride-in-1x1", action="store_true", help="the weights are of ResNet v1")
    parser.add_argument("--chests", nargs="*", default=[], help="chest films from elsewhere")
    parser.add_argument("--others", nargs="*", default=[], help="images that are no chest films")
    parser.add_argument("--drawings", type=int, default=0, help="judge the views of so many drawn studies too")
    parser.add_argument("--quantile", type=float, default=GateSettings().quantile)
    parser.add_argument("--margin", type=float, default=GateSettings().margin)
    parser.add_argument("--altered", action="store_true", help="judge altered test images too")
    parser.add_argument("--most", type=int, help="no more than so many images of each split or, with --run, group")
    chosen = parser.parse_args()
    if (chosen.run is None) == (chosen.annotation is None):
        parser.error("name an ANNOTATION with --weights, or a --run")
    if chosen.run is None and chosen.weights is None:
        parser.error("an ANNOTATION needs --weights")
    return chosen


if __name__ == "__main__":
    main()
