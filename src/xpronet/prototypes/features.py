"""Features of whole studies: the mean of their views, of the views' mirror images, and of the report."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from jaxtyping import Float32

from xpronet.data.corpus import Corpus
from xpronet.data.feature_cache import FeatureCache
from xpronet.data.study import Study, View
from xpronet.encoders.build import as_module
from xpronet.encoders.extract import BATCH, FastEncoder, read_ahead
from xpronet.encoders.image_encoder import ImageEncoder
from xpronet.encoders.text_encoders import TextEncoder
from xpronet.errors import InputError
from xpronet.images.read import read_grey
from xpronet.images.transforms import ImageSettings, test_view, viewed_by
from xpronet.precision import Precision
from xpronet.progress import Tracker, silent


@dataclass(frozen=True, kw_only=True)
class StudyFeatures:
    """What the encoders see in each study (paper, section 3.2)."""

    ids: tuple[str, ...]
    """The studies, in the order of the rows."""
    original: Float32[np.ndarray, "studies image_width"]
    """o^i: features of the images, averaged over their regions and over the study's views."""
    mirrored: Float32[np.ndarray, "studies image_width"]
    """o^if: the same of the images' left-right mirror images."""
    text: Float32[np.ndarray, "studies text_width"]
    """o^t: features of the reports."""
    image_encoder: str
    """Name of the backbone and its weights."""
    text_encoder: str
    """Name of the text encoder."""
    images: Mapping[str, int | str]
    """The image settings that the features depend on (`viewed_by`)."""


def extract_features(
    corpus: Corpus,
    studies: Sequence[Study],
    *,
    backbone: ImageEncoder,
    image_encoder: str,
    images: ImageSettings,
    text: TextEncoder,
    text_encoder: str,
    precision: Precision = "fp32",
    features: FeatureCache | None = None,
    track: Tracker = silent,
) -> StudyFeatures:
    """Extract the features of studies, without random crops and without any other chance.

    Args:
        corpus: where the images lie.
        studies: which studies, all with images.
        backbone: a module on the device that is to do the work; it is left as it was.
        image_encoder: name of the backbone and its weights, to be kept with the features.
        images: how images become squares; the test view is taken.
        text: what turns reports into features.
        text_encoder: its name, to be kept with the features.
        precision: arithmetic of the backbone.
        features: the features of all these images, made before by the same backbone; then no image is read.
        track: tells how far the work is.

    Raises:
        InputError: a study has no image, or an image cannot be read.
    """
    without = [study.id for study in studies if not study.views]
    if without:
        raise InputError(
            f"{corpus.folder}: {len(without)} of {len(studies)} studies have no image ({', '.join(without[:3])}); "
            "prototypes need images and reports"
        )
    views = [(row, view) for row, study in enumerate(studies) for view in study.views]
    original, mirrored = np.zeros((2, len(studies), backbone.width_out), np.float32)
    pooled = (
        _computed(corpus, [view for _, view in views], backbone, images, precision)
        if features is None
        else ((features.pooled(view), features.mirrored[features.rows[view.path]]) for _, view in views)
    )
    for (row, _), (own, flipped) in zip(views, track(pooled, "Encode images", len(views)), strict=True):
        original[row] += own
        mirrored[row] += flipped
    num_views = np.array([[len(study.views)] for study in studies], np.float32).reshape(-1, 1)
    return StudyFeatures(
        ids=tuple(study.id for study in studies),
        original=original / num_views,
        mirrored=mirrored / num_views,
        text=text.encode([study.report for study in studies], track=track),
        image_encoder=image_encoder,
        text_encoder=text_encoder,
        images=viewed_by(images),
    )


def _computed(
    corpus: Corpus, views: Sequence[View], backbone: ImageEncoder, images: ImageSettings, precision: Precision
) -> Iterator[tuple[Float32[np.ndarray, " channels"], Float32[np.ndarray, " channels"]]]:
    """Yield the mean over regions of each view's features, and of those of its mirror image."""
    device = next((parameter.device for parameter in as_module(backbone).parameters()), torch.device("cpu"))
    fast = FastEncoder(backbone, device=device, precision=precision)
    squares = read_ahead(views, lambda view: test_view(read_grey(corpus.view_path(view)), images), ahead=2 * BATCH)
    while batch := list(islice(squares, BATCH // 2)):
        straight = np.stack(batch)
        means = fast(np.concatenate([straight, straight[:, :, ::-1]])).mean(1).cpu().numpy()
        yield from zip(means[: len(batch)], means[len(batch) :], strict=True)
