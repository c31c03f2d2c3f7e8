"""A run's gate, fitted when its training has ended: the images are seen as they are when reports are written."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from xpronet.data.corpus import Corpus
from xpronet.data.feature_cache import FeatureCache
from xpronet.data.study import View
from xpronet.device import best_device
from xpronet.encoders.build import encoder_fingerprint
from xpronet.generation.generator import pad_views
from xpronet.generation.runtime import TorchRuntime
from xpronet.images.read import read_grey
from xpronet.images.transforms import Square, test_view
from xpronet.model.checkpoint import Checkpoint, load_checkpoint
from xpronet.model.fitted_parts import add_gate, load_gate
from xpronet.model.out_of_distribution import Gate, GateSettings, TooFewPicturesError, check_enough, fit_gate
from xpronet.progress import Tracker, silent

AT_A_TIME = 16
"""Images that the network sees at once."""
MAX_IMAGES = 4096
"""Images of a split that a gate is fitted on, evenly spaced; more would change nothing but the time it takes."""


@dataclass(frozen=True, kw_only=True)
class FittedGate:
    """A gate, and what it was made from."""

    gate: Gate
    folder: Path
    """The checkpoint that has it now."""
    train: int
    """Images it was fitted on."""
    held_out: int
    """Images that gave the threshold."""
    settings: GateSettings
    """How the threshold was chosen."""

    def line(self) -> str:
        """Tell it in one line."""
        return (
            f"{self.folder}: gate from {self.train} images, threshold {self.gate.threshold:.3f} "
            f"({self.settings.margin:g} times the {self.settings.quantile:g} quantile of {self.held_out} validation "
            "pictures)"
        )


def fit_run_gate(
    run: Path,
    corpus: Corpus,
    settings: GateSettings,
    *,
    features: FeatureCache | None = None,
    allow_code: bool = False,
    track: Tracker = silent,
) -> FittedGate:
    """Fit a gate on the train split, take its threshold from the validation split, put it into the checkpoint.

    Args:
        run: run or checkpoint folder; of a run, the best checkpoint gets the gate.
        corpus: what it was trained on.
        settings: the quantile and the margin.
        features: the images' patch features by the same image encoder; without them images are read and encoded.
        allow_code: whether an outside image encoder may run.
        track: shows progress.

    Raises:
        TooFewPicturesError: the corpus has too few images.
        InputError: there is no checkpoint, it is damaged, or an image cannot be read.
    """
    checkpoint = load_checkpoint(run, allow_code=allow_code)
    train, held_out = (_views(corpus, split, checkpoint.max_views) for split in ("train", "val"))
    check_enough(len(train), len(held_out))
    if features is not None:
        features.check_encoder(name=f"{run}'s", weights=encoder_fingerprint(checkpoint.network.backbone))

    def pooled(views: list[View]) -> Float[np.ndarray, "images channels"]:
        if features is not None:
            return np.stack([features.pooled(view) for view in views])
        return pooled_features(checkpoint, [corpus.view_path(view) for view in views], track=track)

    gate = fit_gate(
        pooled(train),
        pooled(held_out),
        quantile=settings.quantile,
        margin=settings.margin,
    )
    return FittedGate(
        gate=gate,
        folder=add_gate(run, gate),
        train=len(train),
        held_out=len(held_out),
        settings=settings,
    )


def complete_gate(
    run: Path,
    corpus: Corpus,
    settings: GateSettings,
    *,
    features: FeatureCache | None = None,
    allow_code: bool = False,
    track: Tracker = silent,
) -> str:
    """Give a trained run the gate that its settings ask for, where it has none; return a line about what was done.

    Too few images are no mistake here: the line says so, and the run stays without a gate.
    """
    if not settings.fit or load_gate(run) is not None:
        return ""
    try:
        return fit_run_gate(run, corpus, settings, features=features, allow_code=allow_code, track=track).line()
    except TooFewPicturesError as error:
        return f"{run}: no gate ({error})"


def pooled_features(
    checkpoint: Checkpoint, paths: Sequence[Path], *, track: Tracker = silent
) -> Float[np.ndarray, "images channels"]:
    """Return the mean over regions of the backbone's features of each image."""
    runtime = TorchRuntime(checkpoint.network.eval(), best_device())
    starts = range(0, len(paths), AT_A_TIME)
    parts = [
        encode_views(
            runtime, [test_view(read_grey(path), checkpoint.images) for path in paths[start : start + AT_A_TIME]]
        )
        for start in track(starts, "gate: look at images", len(starts))
    ]
    return np.concatenate(parts)


def encode_views(runtime: TorchRuntime, squares: Sequence[Square]) -> Float[np.ndarray, "images channels"]:
    """Return the mean over regions of the backbone's features of each square."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(squares), AT_A_TIME):
            images, mask = pad_views([square] for square in squares[start : start + AT_A_TIME])
            parts.append(runtime.encode_images(images, mask).pooled[:, 0].cpu().numpy())
    return np.concatenate(parts)


def _views(corpus: Corpus, split: str, max_views: int) -> list[View]:
    """Return the views of a split, or `MAX_IMAGES` of them, evenly spaced."""
    views = [view for study in corpus.split(split) for view in study.views[:max_views]]
    return views[:: -(-len(views) // MAX_IMAGES) or 1]
