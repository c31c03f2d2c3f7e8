"""Features of whole studies: the mean of their views, of the views' mirror images, and of the report."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from xpronet.data.corpus import Corpus
from xpronet.data.study import Study
from xpronet.encoders.build import as_module
from xpronet.encoders.image_encoder import ImageEncoder
from xpronet.encoders.text_encoders import TextEncoder
from xpronet.errors import InputError
from xpronet.images.read import read_grey
from xpronet.images.transforms import ImageSettings, Square, test_view
from xpronet.progress import Tracker, silent
from xpronet.prototypes.bank import viewed_by

READERS = 4
"""Threads that read images while the backbone works on the ones before."""


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
    batch: int = 32,
    track: Tracker = silent,
) -> StudyFeatures:
    """Extract the features of studies, without random crops and without any other chance.

    Args:
        corpus: where the images lie.
        studies: which studies, all with images.
        backbone: a module on the device that is to do the work; it is used in evaluation mode and left as it was.
        image_encoder: name of the backbone and its weights, to be kept with the features.
        images: how images become squares; the test view is taken.
        text: what turns reports into features.
        text_encoder: its name, to be kept with the features.
        batch: views at a time.
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
    views = [(row, corpus.view_path(view)) for row, study in enumerate(studies) for view in study.views]
    original, mirrored = np.zeros((2, len(studies), backbone.width_out), np.float32)
    module = as_module(backbone)
    training = module.training
    module.eval()
    try:
        squares = track(_squares(views, images, ahead=2 * batch), "Encode images", len(views))
        for rows, pictures in _batches(squares, batch):
            features, features_mirrored = _pooled(backbone, pictures)
            np.add.at(original, rows, features)
            np.add.at(mirrored, rows, features_mirrored)
    finally:
        module.train(training)
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


@torch.inference_mode()
def _pooled(
    backbone: ImageEncoder, squares: UInt8[np.ndarray, "views size size"]
) -> tuple[Float32[np.ndarray, "views channels"], Float32[np.ndarray, "views channels"]]:
    """Return the mean over regions of the last features, of images and of their mirror images."""
    device = next((parameter.device for parameter in as_module(backbone).parameters()), torch.device("cpu"))
    pictures = torch.from_numpy(squares).to(device)
    features: list[Tensor] = [backbone(each).mean((2, 3)) for each in (pictures, pictures.flip(-1))]
    return features[0].cpu().numpy(), features[1].cpu().numpy()


def _batches(
    squares: Iterable[tuple[int, Square]], batch: int
) -> Iterator[tuple[list[int], UInt8[np.ndarray, "views size size"]]]:
    """Yield rows and images of `batch` views at a time."""
    remaining = iter(squares)
    while taken := list(islice(remaining, batch)):
        yield [row for row, _ in taken], np.stack([square for _, square in taken])


def _squares(views: Iterable[tuple[int, Path]], images: ImageSettings, ahead: int) -> Iterator[tuple[int, Square]]:
    """Yield row and image of each view, reading up to `ahead` of them in advance."""
    coming: deque[tuple[int, Future[Square]]] = deque()
    with ThreadPoolExecutor(READERS) as readers:
        for row, path in views:
            coming.append((row, readers.submit(lambda path: test_view(read_grey(path), images), path)))
            if len(coming) > ahead:
                first, square = coming.popleft()
                yield first, square.result()
        for row, square in coming:
            yield row, square.result()
