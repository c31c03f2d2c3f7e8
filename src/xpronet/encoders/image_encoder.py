"""What an image encoder is: grey images in, a map of features out; and the settings that choose one."""

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from xpronet.errors import InputError
from xpronet.extensions import PYTHON, is_outside

RESNET = "resnet"
DENSENET121 = "densenet121"
HUGGINGFACE = "huggingface"

DEPTHS = (18, 34, 50, 101)
"""Of the ResNets that there are."""
BOTTLENECK_DEPTH = 50
"""From this depth on a ResNet's blocks are bottlenecks."""

RGB_MEAN = (0.485, 0.456, 0.406)
"""Mean of ImageNet's red, green and blue, of images in 0..1."""
RGB_DEVIATION = (0.229, 0.224, 0.225)
"""Standard deviation of ImageNet's red, green and blue, of images in 0..1."""
XRAYVISION_RANGE = 1024
"""torchxrayvision's images go from -1024 (black) to 1024 (white)."""

Normalisation = Literal["imagenet", "torchxrayvision"]


@dataclass(frozen=True, kw_only=True)
class ImageEncoderSettings:
    """Which image encoder."""

    name: str = RESNET
    """resnet, densenet121, huggingface, or python:package.module:factory."""
    depth: int = 101
    """Of a resnet: 18, 34, 50 or 101."""
    width: int = 64
    """Channels of the stem of a resnet or densenet121; every layer scales with it, published weights need 64."""
    stride_in_1x1: bool = False
    """Halve the image in a bottleneck's first 1x1 convolution (ResNet v1), not in its 3x3 (v1.5, torchvision)."""
    input_channels: int = 3
    """Channels of the first convolution of a resnet or densenet121: 3, or 1 as of torchxrayvision's weights."""
    normalisation: Normalisation = "imagenet"
    """Of a resnet's or densenet121's images: ImageNet's mean and deviation, or torchxrayvision's -1024..1024."""
    source: str = ""
    """Of huggingface, the model: a folder or hub:OWNER/NAME. An outside factory may read it as it likes."""
    image_size: int = 0
    """Side in pixels that huggingface resizes images to; 0 is the side that its preprocessor_config.json names."""

    def __post_init__(self) -> None:
        if self.name not in (RESNET, DENSENET121, HUGGINGFACE) and not is_outside(self.name):
            raise InputError(
                f"backbone.name = {self.name!r}: choose {RESNET}, {DENSENET121}, {HUGGINGFACE} or "
                f"{PYTHON}package.module:factory"
            )
        if self.depth not in DEPTHS:
            raise InputError(f"backbone.depth = {self.depth}: must be one of {', '.join(map(str, DEPTHS))}")
        if self.width < 1:
            raise InputError(f"backbone.width = {self.width}: must be at least 1")
        if self.name == DENSENET121 and self.width % 2:
            raise InputError(f"backbone.width = {self.width}: must be even for {DENSENET121}")
        if self.stride_in_1x1 and not (self.name == RESNET and self.depth >= BOTTLENECK_DEPTH):
            raise InputError(
                f"backbone.stride_in_1x1 = true: {self._described} has no such convolution; take a resnet of depth "
                "50 or 101"
            )
        if self.input_channels not in (1, 3):
            raise InputError(f"backbone.input_channels = {self.input_channels}: must be 1 or 3")
        if self.normalisation not in ("imagenet", "torchxrayvision"):
            raise InputError(f"backbone.normalisation = {self.normalisation!r}: choose imagenet or torchxrayvision")
        if self.name == HUGGINGFACE and not self.source:
            raise InputError(
                "backbone.source: name the model's folder or hub:OWNER/NAME for backbone.name = huggingface"
            )
        if self.source and self.name in (RESNET, DENSENET121):
            raise InputError(
                f"backbone.source = {self.source!r}: weights of a {self.name} are named by `weights = ...`"
            )
        if self.image_size < 0:
            raise InputError(f"backbone.image_size = {self.image_size}: must be at least 0")

    @property
    def _described(self) -> str:
        return f"depth {self.depth}" if self.name == RESNET else self.name


@runtime_checkable
class ImageEncoder(Protocol):
    """A `torch.nn.Module` that turns grey images into maps of features.

    Where the images are square, so are the maps: each place stands for a region of the image, row after row. An
    encoder normalises the images itself, and resizes them if it must.
    """

    settings: ImageEncoderSettings
    """What it was made by; checkpoints keep them."""
    width_out: int
    """Channels of its maps."""

    def __call__(
        self, images: UInt8[Tensor, "images height width"] | Float[Tensor, "images height width"]
    ) -> Float[Tensor, "images channels rows columns"]:
        """Return the maps of images with values from 0 (black) to 255 (white)."""
        ...


def normalise(
    images: UInt8[Tensor, "*batch height width"] | Float[Tensor, "*batch height width"],
    *,
    channels: int = 3,
    normalisation: Normalisation = "imagenet",
) -> Float[Tensor, "*batch channels height width"]:
    """Turn grey images of 0..255 into the normalised channels that published weights expect.

    Args:
        images: grey images.
        channels: 3, or 1, which takes the mean of ImageNet's three means and deviations.
        normalisation: ImageNet's (x / 255 - mean) / deviation, or torchxrayvision's 1024 (2 x / 255 - 1).
    """
    grey = images if images.is_floating_point() else images.to(torch.get_default_dtype())
    if normalisation == "torchxrayvision":
        scaled = (grey.unsqueeze(-3) / 255 * 2 - 1) * XRAYVISION_RANGE
        return scaled.expand(*scaled.shape[:-3], channels, *scaled.shape[-2:])
    mean, deviation = (grey.new_tensor(values)[:, None, None] for values in (RGB_MEAN, RGB_DEVIATION))
    if channels == 1:
        mean, deviation = mean.mean(0, keepdim=True), deviation.mean(0, keepdim=True)
    return (grey.unsqueeze(-3) / 255 - mean) / deviation
