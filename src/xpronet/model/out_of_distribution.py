"""Out-of-distribution detection: the distance of an image's pooled features from those of the training images."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from xpronet.errors import InputError

WARNING = "this image does not look like a chest X-ray the model was trained on"
FEWEST = 10
"""Images needed to fit the gate, and as many to choose its threshold."""


class TooFewPicturesError(InputError):
    """There are too few images to fit a gate."""


@dataclass(frozen=True, kw_only=True)
class GateSettings:
    """How the gate is fitted at the end of training."""

    fit: bool = True
    """Fit a gate."""
    quantile: float = 0.99
    """Quantile of the validation images' scores that, times the margin, is the threshold."""
    margin: float = 1.2
    """The threshold is so many times that score: films from other places lie a little further out."""

    def __post_init__(self) -> None:
        if not 0 < self.quantile <= 1:
            raise InputError(f"gate.quantile = {self.quantile}: must be above 0 and at most 1")
        if self.margin <= 0:
            raise InputError(f"gate.margin = {self.margin}: must be more than 0")


@dataclass(frozen=True, kw_only=True)
class Gate:
    """A normal distribution of the training images' scaled features, its covariance shrunk (Ledoit and Wolf)."""

    mean: Float[np.ndarray, " channels"]
    directions: Float[np.ndarray, "directions channels"]
    """Principal directions of the training images, as unit vectors."""
    variances: Float[np.ndarray, " directions"]
    """Variance along each direction."""
    rest: float
    """Variance along every other direction, above 0."""
    threshold: float
    """Score above which an image is reported."""

    def scores(self, features: Float[np.ndarray, "images channels"]) -> Float[np.ndarray, " images"]:
        """Return the squared Mahalanobis distance of each image, divided by the number of channels."""
        offsets = evened(features) - self.mean
        along = (offsets @ self.directions.T) ** 2
        across = np.clip((offsets**2).sum(1) - along.sum(1), 0, None)
        distances: np.ndarray = (along / self.variances).sum(1) + across / self.rest
        return distances / features.shape[1]

    def tensors(self) -> dict[str, Tensor]:
        """Return the gate as tensors, for saving."""
        return {
            "mean": torch.from_numpy(self.mean),
            "directions": torch.from_numpy(self.directions),
            "variances": torch.from_numpy(self.variances),
            "rest_and_threshold": torch.tensor([self.rest, self.threshold], dtype=torch.float64),
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], where: str) -> "Gate":
        """Return the gate that was saved as these tensors.

        Raises:
            InputError: they are not those of a gate; the message names `where`.
        """
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        try:
            rest, threshold = arrays.pop("rest_and_threshold").tolist()
            return cls(**arrays, rest=rest, threshold=threshold)
        except (KeyError, TypeError, ValueError):
            raise InputError(f"{where}: not a gate; use another checkpoint, or export it again") from None


def evened(features: Float[np.ndarray, "images channels"]) -> Float[np.ndarray, "images channels"]:
    """Return the square roots of the features, scaled to unit mean square.

    This reduces the influence of brightness, contrast and rare peaks. With unscaled features the gate warned of a fifth
    of the radiographs from a hospital it had not seen (docs/log.md).
    """
    wide = features.astype(np.float64)
    # Features past a ReLU are never below 0; those of a transformer are, and keep their sign.
    roots = np.copysign(np.sqrt(np.abs(wide)), wide)
    lengths = np.sqrt((roots**2).mean(1, keepdims=True))
    even: np.ndarray = roots / np.maximum(lengths, 1e-12)
    return even


def check_enough(train: int, held_out: int) -> None:
    """Check that there are enough images.

    Raises:
        TooFewPicturesError: there are too few to fit a gate.
    """
    if min(train, held_out) < FEWEST:
        raise TooFewPicturesError(
            f"{train} train and {held_out} validation images are too few for a gate; use {FEWEST} or more of each"
        )


def fit_gate(
    train: Float[np.ndarray, "train channels"],
    held_out: Float[np.ndarray, "held_out channels"],
    *,
    quantile: float,
    margin: float,
) -> Gate:
    """Fit a gate.

    Args:
        train: features of the training images.
        held_out: features of the validation images, whose scores set the threshold.
        quantile: of the validation scores.
        margin: factor on that quantile.

    Raises:
        TooFewPicturesError: there are too few images.
    """
    from sklearn.covariance import ledoit_wolf_shrinkage

    check_enough(len(train), len(held_out))
    train = evened(train)
    mean = train.mean(0)
    _, sizes, directions = np.linalg.svd(train - mean, full_matrices=False)
    shrinkage = float(ledoit_wolf_shrinkage(train))
    average = float((sizes**2).sum()) / train.size
    # Constant features have no variance; a tiny one makes any deviation from them conspicuous.
    rest = max(shrinkage * average, 1e-9)
    variances = np.maximum((1 - shrinkage) * sizes**2 / len(train) + shrinkage * average, 1e-9)
    gate = Gate(mean=mean, directions=directions, variances=variances, rest=rest, threshold=0.0)
    threshold = margin * float(np.quantile(gate.scores(held_out), quantile))
    return Gate(mean=mean, directions=directions, variances=variances, rest=rest, threshold=threshold)
