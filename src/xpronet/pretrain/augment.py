"""Random changes of train images: rotated, scaled, shifted, brighter or darker; never mirrored."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64, UInt8
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from xpronet.images.transforms import ImageSettings, test_view
from xpronet.pretrain.settings import AugmentSettings


def augment(
    films: UInt8[np.ndarray, "films side side"],
    draws: Float64[np.ndarray, "films 6"],
    settings: AugmentSettings,
    *,
    size: int,
) -> Float32[Tensor, "films size size"]:
    """Return changed images of grey values 0..255; what lies outside a film is black.

    Args:
        films: whole films.
        draws: uniform in -1..1: rotation, scale, shift along x and y, contrast, brightness of each film.
        settings: what a draw of 1 means.
        size: of the images, in pixels.
    """
    angle = draws[:, 0] * math.radians(settings.rotation)
    scale = 1 + draws[:, 1] * settings.scale
    # The grid maps from the image to the film, in units of half a side.
    cosine, sine = np.cos(angle) / scale, np.sin(angle) / scale
    shift_x, shift_y = 2 * settings.translate * draws[:, 2], 2 * settings.translate * draws[:, 3]
    rows = np.stack([cosine, -sine, shift_x, sine, cosine, shift_y], axis=1).reshape(-1, 2, 3)
    grid = affine_grid(torch.from_numpy(rows).float(), [len(films), 1, size, size], align_corners=False)
    source = torch.from_numpy(films).unsqueeze(1).float()
    images = grid_sample(source, grid, mode="bilinear", padding_mode="zeros", align_corners=False).squeeze(1)
    contrast = torch.from_numpy(1 + draws[:, 4] * settings.contrast).float()[:, None, None]
    shift = torch.from_numpy(255 * draws[:, 5] * settings.brightness).float()[:, None, None]
    mean = images.mean((1, 2), keepdim=True)
    return ((images - mean) * contrast + mean + shift).clamp(0, 255)


def draws_of(
    films: Int64[np.ndarray, " films"] | Sequence[int], *, seed: int, epoch: int
) -> Float64[np.ndarray, "films 6"]:
    """Return the random numbers of films in an epoch: a function of seed, epoch and film alone."""
    return np.stack([np.random.default_rng([seed, epoch, int(film)]).uniform(-1, 1, 6) for film in films])


def whole(films: UInt8[np.ndarray, "films side side"], *, size: int) -> Float32[Tensor, "films size size"]:
    """Return films as they are seen in use: squashed to the network's square, otherwise unchanged."""
    settings = ImageSettings(size=size, short_side=max(size, films.shape[1]), test="squash")
    return torch.from_numpy(np.stack([test_view(film, settings) for film in films])).float()
