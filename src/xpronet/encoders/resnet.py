"""The ResNet family as an image encoder, with torchvision's parameter names and no classifier."""

from typing import cast

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from xpronet.encoders.image_encoder import BOTTLENECK_DEPTH, ImageEncoderSettings, normalise

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
"""Residual blocks in each of the four layers, by depth."""


class ResNet(nn.Module):
    """Turn grey images into maps of features, a 32nd of their height and width."""

    def __init__(self, settings: ImageEncoderSettings, *, seed: int = 0) -> None:
        """Build the network with He's initialisation, drawn from `seed` alone."""
        super().__init__()
        self.settings = settings
        self.width_out = settings.width * 8 * (4 if _has_bottlenecks(settings) else 1)
        # PyTorch's layers draw weights of their own when they are made; those are overwritten below.
        with torch.random.fork_rng(devices=[]):
            self.conv1 = nn.Conv2d(settings.input_channels, settings.width, 7, stride=2, padding=3, bias=False)
            self.bn1 = nn.BatchNorm2d(settings.width)
            self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
            self.layer1, self.layer2, self.layer3, self.layer4 = (_layer(settings, number) for number in range(4))
        generator = torch.Generator().manual_seed(seed)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=generator)

    def forward(
        self, images: UInt8[Tensor, "images height width"] | Float[Tensor, "images height width"]
    ) -> Float[Tensor, "images channels rows columns"]:
        """Compute conv5's features of grey images of 0..255."""
        settings = self.settings
        channels = normalise(images, channels=settings.input_channels, normalisation=settings.normalisation)
        features = self.maxpool(torch.relu(self.bn1(self.conv1(channels))))
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


def _layer(settings: ImageEncoderSettings, number: int) -> nn.Sequential:
    """Build one of the four layers (number 0 to 3); all but the first halve the image."""
    width = settings.width << number
    blocks: list[nn.Module] = []
    for position in range(BLOCKS[settings.depth][number]):
        stride = 2 if number > 0 and position == 0 else 1
        if _has_bottlenecks(settings):
            width_in = width * 4 if position else width * 2 if number else width
            blocks.append(Bottleneck(width_in, width, stride, stride_in_1x1=settings.stride_in_1x1))
        else:
            width_in = width if position or not number else width // 2
            blocks.append(Basic(width_in, width, stride))
    return nn.Sequential(*blocks)


def _has_bottlenecks(settings: ImageEncoderSettings) -> bool:
    """Say whether blocks are 1x1, 3x3, 1x1 convolutions instead of two 3x3."""
    return settings.depth >= BOTTLENECK_DEPTH


def _shortcut(width_in: int, width_out: int, stride: int) -> nn.Module:
    """Return the identity where shapes allow it, else a strided 1x1 convolution."""
    if stride == 1 and width_in == width_out:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(width_in, width_out, 1, stride=stride, bias=False), nn.BatchNorm2d(width_out))
