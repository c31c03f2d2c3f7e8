"""The texture gate of a run, fitted when its training has ended.

It is fitted on drawings alone: the images of a drawn corpus and drawings of other sizes, as they are and altered as
people alter images before they hand them over. No film takes part. A model of drawings refuses by it what is not drawn;
a model of films warns by it of drawings.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image

from xpronet.data.corpus import Corpus
from xpronet.images.read import Grey, Resized, eight_bits, read_grey
from xpronet.images.texture import texture_statistics
from xpronet.images.transforms import ImageSettings, test_view
from xpronet.model.checkpoint import load_checkpoint
from xpronet.model.fitted_parts import add_texture_gate, load_texture_gate
from xpronet.model.out_of_distribution import GateSettings
from xpronet.model.texture_gate import TextureGate, fit_texture_gate
from xpronet.phantom.make_corpus import PhantomSettings, draw_phantom
from xpronet.phantom.plan import plan_studies
from xpronet.progress import Tracker, silent

FEWEST_IMAGES = 100
"""Train images needed to fit the gate; the texture of fewer is no distribution."""
MAX_IMAGES = 800
"""Images of a split that it is fitted on, evenly spaced."""
SIZES = (64, 128, 256, 512)
"""Sides in pixels of the further drawings; a larger drawing has less noise when it has been made small."""
QUANTILE = 0.982
"""Of the scores of held-out drawings, half of them altered: the threshold."""
STUDIES = 60
"""Further studies of each size, or fewer for a small corpus; half of them for the threshold."""
SEED = 20_000
"""Of these drawings and the alterations; no corpus is likely to have it."""


@dataclass(frozen=True, kw_only=True)
class FittedTextureGate:
    """A texture gate, and what it was made from."""

    gate: TextureGate
    folder: Path
    """The checkpoint that has it now."""
    train: int
    """Images it was fitted on, altered ones included."""
    held_out: int
    """Images that gave the threshold, altered ones included."""

    def line(self) -> str:
        """Tell it in one line."""
        what = "refuses what is not drawn" if self.gate.of_drawings else "warns of drawings"
        return (
            f"{self.folder}: {what}, by the texture of {self.train} drawings, threshold "
            f"{float(self.gate.threshold):.3f} (the {QUANTILE:g} quantile of {self.held_out} others)"
        )


def fit_run_texture(
    run: Path, corpus: Corpus, *, allow_code: bool = False, track: Tracker = silent
) -> FittedTextureGate | None:
    """Fit the gate on drawings, with those of the corpus where it has any, and put it into the checkpoint.

    Args:
        run: run or checkpoint folder; of a run, the best checkpoint gets the gate.
        corpus: what it was trained on.
        allow_code: whether an outside image encoder may be named.
        track: shows progress.

    Returns:
        The gate, None where the corpus has too few images.

    Raises:
        InputError: there is no checkpoint, it is damaged, or an image cannot be read.
    """
    paths = {split: _paths(corpus, split) for split in ("train", "val")}
    if len(paths["train"]) < FEWEST_IMAGES or not paths["val"]:
        return None
    images = load_checkpoint(run, allow_code=allow_code).images
    rng = np.random.default_rng(SEED)
    studies = min(STUDIES, len(paths["train"]) // 12) if corpus.drawn else 2 * STUDIES
    if not corpus.drawn:
        paths = {"train": [], "val": []}
    further = list(_further_drawings(studies))
    parts = {
        split: [view for views in further[start::2] for view in views] for split, start in (("train", 0), ("val", 1))
    }
    statistics = {
        split: _statistics(
            chain(
                map(read_grey, track(paths[split], f"texture: look at {split} images", len(paths[split]))),
                parts[split],
            ),
            images,
            rng,
        )
        for split in ("train", "val")
    }
    gate = fit_texture_gate(statistics["train"], statistics["val"], quantile=QUANTILE, of_drawings=corpus.drawn)
    return FittedTextureGate(
        gate=gate,
        folder=add_texture_gate(run, gate),
        train=len(statistics["train"]),
        held_out=len(statistics["val"]),
    )


def complete_texture_gate(
    run: Path, corpus: Corpus, settings: GateSettings, *, allow_code: bool = False, track: Tracker = silent
) -> str:
    """Give a trained run the gate, where its settings ask for gates and it has none; return a line about it."""
    if not settings.fit or load_texture_gate(run) is not None:
        return ""
    fitted = fit_run_texture(run, corpus, allow_code=allow_code, track=track)
    return "" if fitted is None else fitted.line()


def altered(grey: Grey, rng: np.random.Generator) -> Resized:
    """Return an image as people hand it over: cropped, resized, brighter or darker, saved as JPEG, by chance."""
    image = Image.fromarray(eight_bits(grey))
    if rng.random() < 0.5:
        left, top, right, bottom = rng.uniform(0, 0.12, 4) * (*image.size, *image.size)
        image = image.crop((int(left), int(top), int(image.width - right), int(image.height - bottom)))
    if rng.random() < 0.4:
        factor = rng.uniform(0.5, 2)
        sides = [max(64, int(factor * side)) for side in image.size]
        image = image.resize((sides[0], sides[1]), Image.Resampling.BICUBIC)
    if rng.random() < 0.6:
        part = np.asarray(image, np.float32) / 255
        part = part ** rng.uniform(0.6, 1.6) * rng.uniform(0.7, 1.15) + rng.uniform(-0.08, 0.08)
        image = Image.fromarray((part.clip(0, 1) * 255 + 0.5).astype(np.uint8))
    if rng.random() < 0.5:
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=int(rng.integers(50, 96)))
        image = Image.open(stream)
    return np.array(image.convert("L"))


def _statistics(
    greys: Iterable[Grey], images: ImageSettings, rng: np.random.Generator
) -> Float[np.ndarray, "images statistics"]:
    """Return the statistics of images as the network sees them, and of each altered."""
    squares = [test_view(version, images) for grey in greys for version in (grey, altered(grey, rng))]
    return texture_statistics(np.stack(squares))


def _further_drawings(studies: int) -> Iterator[list[Grey]]:
    """Yield the views of drawings of several sizes, study by study."""
    for size in SIZES:
        settings = PhantomSettings(studies=max(10, studies), seed=SEED, size=size, prevalence="balanced")
        plan = plan_studies(settings.studies, settings.prevalence, settings.seed)[:studies]
        for number, (present, _) in enumerate(plan):
            yield [image for image, _ in draw_phantom(present, number, settings).views.values()]


def _paths(corpus: Corpus, split: str) -> Sequence[Path]:
    views = [view for study in corpus.studies if study.split == split for view in study.views]
    return [corpus.view_path(view) for view in views[:: -(-len(views) // MAX_IMAGES) or 1]]
