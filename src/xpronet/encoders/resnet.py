"""The ResNet family as an image backbone, with torchvision's parameter names and no classifier."""

from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from xpronet.errors import InputError

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
"""Residual blocks in each of the four layers, by depth."""

RGB_MEAN = (0.485, 0.456, 0.406)
"""Mean of ImageNet's red, green and blue, of images in 0..1."""

RGB_DEVIATION = (0.229, 0.224, 0.225)
"""Standard deviation of ImageNet's red, green and blue, of images in 0..1."""


@dataclass(frozen=True, kw_only=True)
class BackboneSettings:
    """Which ResNet."""

    depth: int = 101
    """18, 34, 50 or 101."""
    width: int = 64
    """Channels of the stem; every layer scales with it, published weights need 64."""
    stride_in_1x1: bool = False
    """Halve the image in a bottleneck's first 1x1 convolution (ResNet v1), not in its 3x3 (v1.5, torchvision)."""

    def __post_init__(self) -> None:
        if self.depth not in BLOCKS:
            raise InputError(f"backbone.depth = {self.depth}: must be one of {', '.join(map(str, BLOCKS))}")
        if self.width < 1:
            raise InputError(f"backbone.width = {self.width}: must be at least 1")
        if self.stride_in_1x1 and not self.has_bottlenecks:
            raise InputError(
                f"backbone.stride_in_1x1 = true: depth {self.depth} has no such convolution; take 50 or 101"
            )

    @property
    def has_bottlenecks(self) -> bool:
        """Say whether blocks are 1x1, 3x3, 1x1 convolutions instead of two 3x3."""
        return self.depth >= 50

    @property
    def width_out(self) -> int:
        """Return the channels of the last layer: 2048 for ResNet-50 and -101, 512 for -18 and -34, at width 64."""
        return self.width * 8 * (4 if self.has_bottlenecks else 1)


class ResNet(nn.Module):
    """Turn images into a map of features, a 32nd of their height and width."""

    def __init__(self, settings: BackboneSettings, *, seed: int = 0) -> None:
        """Build the network with He's initialisation, drawn from `seed` alone."""
        super().__init__()
        self.settings = settings
        # PyTorch's layers draw weights of their own when they are made; those are overwritten below.
        with torch.random.fork_rng(devices=[]):
            self.conv1 = nn.Conv2d(3, settings.width, 7, stride=2, padding=3, bias=False)
            self.bn1 = nn.BatchNorm2d(settings.width)
            self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
            self.layer1, self.layer2, self.layer3, self.layer4 = (_layer(settings, number) for number in range(4))
        generator = torch.Generator().manual_seed(seed)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=generator)

    def forward(
        self, pictures: Float[Tensor, "images 3 height width"]
    ) -> Float[Tensor, "images channels rows columns"]:
        """Compute conv5's features of normalised images (`to_rgb`)."""
        features = self.maxpool(torch.relu(self.bn1(self.conv1(pictures))))
        return cast(Tensor, self.layer4(self.layer3(self.layer2(self.layer1(features)))))


class Basic(nn.Module):
    """Two 3x3 convolutions beside a shortcut: the block of ResNet-18 and -34."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(width_in, width, stride)

    def forward(self, features: Float[Tensor, "n c_in h_in w_in"]) -> Float[Tensor, "n c h w"]:
        """Add the convolutions' correction to the shortcut."""
        inner = torch.relu(self.bn1(self.conv1(features)))
        return torch.relu(self.bn2(self.conv2(inner)) + self.downsample(features))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut: the block of ResNet-50 and -101."""

    def __init__(self, width_in: int, width: int, stride: int, *, stride_in_1x1: bool) -> None:
        super().__init__()
        first, second = (stride, 1) if stride_in_1x1 else (1, stride)
        self.conv1 = nn.Conv2d(width_in, width, 1, stride=first, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=second, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * 4, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * 4)
        self.downsample = _shortcut(width_in, width * 4, stride)

    def forward(self, features: Float[Tensor, "n c_in h_in w_in"]) -> Float[Tensor, "n c h w"]:
        """Add the convolutions' correction to the shortcut."""
        inner = torch.relu(self.bn1(self.conv1(features)))
        inner = torch.relu(self.bn2(self.conv2(inner)))
        return torch.relu(self.bn3(self.conv3(inner)) + self.downsample(features))


def to_rgb(
    pictures: UInt8[Tensor, "*batch height width"] | Float[Tensor, "*batch height width"],
) -> Float[Tensor, "*batch 3 height width"]:
    """Turn grey images of 0..255 into the three normalised channels that ImageNet's weights expect."""
    grey = pictures if pictures.is_floating_point() else pictures.to(torch.get_default_dtype())
    mean, deviation = (grey.new_tensor(values)[:, None, None] for values in (RGB_MEAN, RGB_DEVIATION))
    return (grey.unsqueeze(-3) / 255 - mean) / deviation


def _layer(settings: BackboneSettings, number: int) -> nn.Sequential:
    """Build one of the four layers (number 0 to 3); all but the first halve the image."""
    width = settings.width << number
    blocks: list[nn.Module] = []
    for position in range(BLOCKS[settings.depth][number]):
        stride = 2 if number > 0 and position == 0 else 1
        if settings.has_bottlenecks:
            width_in = width * 4 if position else width * 2 if number else width
            blocks.append(Bottleneck(width_in, width, stride, stride_in_1x1=settings.stride_in_1x1))
        else:
            width_in = width if position or not number else width // 2
            blocks.append(Basic(width_in, width, stride))
    return nn.Sequential(*blocks)


def _shortcut(width_in: int, width_out: int, stride: int) -> nn.Module:
    """Return the identity where shapes allow it, else a strided 1x1 convolution."""
    if stride == 1 and width_in == width_out:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(width_in, width_out, 1, stride=stride, bias=False), nn.BatchNorm2d(width_out))
