"""Drawn X-rays and films told apart: the distance of an image's texture from that of drawings."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, from_numpy

from xpronet.errors import InputError
from xpronet.images.texture import texture_statistics

LOOKS_DRAWN = "looks like a drawn X-ray, and this model learned from films"
WARNING = "not a drawn X-ray, and this model has seen nothing else: what it writes about this image means nothing"


@dataclass(frozen=True, kw_only=True)
class TextureGate:
    """A normal distribution of the texture of drawn images, its covariance shrunk (Ledoit and Wolf)."""

    mean: Float[np.ndarray, " statistics"]
    """Of each statistic over the drawings."""
    scale: Float[np.ndarray, " statistics"]
    """Standard deviation of each statistic, which it is divided by first."""
    precision: Float[np.ndarray, "statistics statistics"]
    """Inverse of the covariance of the scaled statistics."""
    threshold: Float[np.ndarray, ""]
    """Score above which an image is no drawing."""
    of_drawings: Bool[np.ndarray, ""]
    """Whether the model learned from drawings alone, so that films are refused; otherwise drawings are warned of."""

    def scores(self, squares: UInt8[np.ndarray, "images size size"]) -> Float[np.ndarray, " images"]:
        """Return the squared Mahalanobis distance of each image, divided by the number of statistics."""
        return self.distances(texture_statistics(squares))

    def distances(self, statistics: Float[np.ndarray, "images statistics"]) -> Float[np.ndarray, " images"]:
        """Return the same of images whose statistics are known."""
        offsets = (statistics - self.mean) / self.scale
        distances: np.ndarray = np.einsum("ij,jk,ik->i", offsets, self.precision, offsets)
        return distances / len(self.mean)

    def tensors(self) -> dict[str, Tensor]:
        """Return the gate as tensors, for saving."""
        return {field.name: from_numpy(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], where: str) -> "TextureGate":
        """Return the gate that was saved as these tensors.

        Raises:
            InputError: they are not those of a gate; the message names `where`.
        """
        try:
            return cls(**{name: tensor.numpy() for name, tensor in tensors.items()})
        except TypeError:
            raise InputError(f"{where}: not a texture gate; use another checkpoint, or export it again") from None


def fit_texture_gate(
    train: Float[np.ndarray, "train statistics"],
    held_out: Float[np.ndarray, "held_out statistics"],
    *,
    quantile: float,
    of_drawings: bool,
) -> TextureGate:
    """Fit a gate.

    Args:
        train: statistics of drawn images.
        held_out: statistics of other ones, whose scores set the threshold.
        quantile: of these scores.
        of_drawings: whether the gate is for a model of drawings.
    """
    from sklearn.covariance import ledoit_wolf

    mean, scale = train.mean(0), np.maximum(train.std(0), 1e-6)
    covariance, _ = ledoit_wolf((train - mean) / scale)
    gate = TextureGate(
        mean=mean,
        scale=scale,
        precision=np.linalg.inv(covariance),
        threshold=np.zeros(()),
        of_drawings=np.array(of_drawings),
    )
    return replace(gate, threshold=np.asarray(np.quantile(gate.distances(held_out), quantile), np.float64))
