"""DenseNet-121 as an image encoder, with torchvision's and torchxrayvision's parameter names and no classifier.

Huang, Liu, van der Maaten, Weinberger: Densely Connected Convolutional Networks (CVPR 2017), table 1.
"""

import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import cast

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from xpronet.encoders.image_encoder import ImageEncoderSettings, normalise

LAYERS = (6, 12, 24, 16)
"""Dense layers in each of the four blocks."""
BOTTLENECK = 4
"""A layer's 1x1 convolution has so many times the channels that the layer adds."""

CLASSIFIER = ("classifier.", "op_threshs")
"""What files have beside the features: the classifier, and torchxrayvision's operating points."""

_OLD_NAME = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])\.")


class DenseNet121(nn.Module):
    """Turn grey images into maps of features, a 32nd of their height and width."""

    def __init__(self, settings: ImageEncoderSettings, *, seed: int = 0) -> None:
        """Build the network with He's initialisation, drawn from `seed` alone.

        The stem has `settings.width` channels, and each dense layer adds half as many.
        """
        super().__init__()
        self.settings = settings
        channels, growth = settings.width, settings.width // 2
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        # PyTorch's layers draw weights of their own when they are made; those are overwritten below.
        with torch.random.fork_rng(devices=[]):
            parts["conv0"] = nn.Conv2d(settings.input_channels, channels, 7, stride=2, padding=3, bias=False)
            parts["norm0"] = nn.BatchNorm2d(channels)
            parts["relu0"] = nn.ReLU()
            parts["pool0"] = nn.MaxPool2d(3, stride=2, padding=1)
            for block, layers in enumerate(LAYERS, start=1):
                names = [f"denselayer{layer}" for layer in range(1, layers + 1)]
                dense = (DenseLayer(channels + layer * growth, growth) for layer in range(layers))
                parts[f"denseblock{block}"] = nn.Sequential(OrderedDict(zip(names, dense, strict=True)))
                channels += layers * growth
                if block < len(LAYERS):
                    parts[f"transition{block}"] = _transition(channels)
                    channels //= 2
            parts["norm5"] = nn.BatchNorm2d(channels)
            self.features = nn.Sequential(parts)
        self.width_out = channels
        generator = torch.Generator().manual_seed(seed)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, generator=generator)

    def forward(
        self, images: UInt8[Tensor, "images height width"] | Float[Tensor, "images height width"]
    ) -> Float[Tensor, "images channels rows columns"]:
        """Compute the last block's features of grey images of 0..255, past the last normalisation and ReLU."""
        settings = self.settings
        channels = normalise(images, channels=settings.input_channels, normalisation=settings.normalisation)
        return torch.relu(cast(Tensor, self.features(channels)))


class DenseLayer(nn.Module):
    """Two convolutions whose result is put beside what they were computed from."""

    def __init__(self, width_in: int, growth: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(width_in)
        self.conv1 = nn.Conv2d(width_in, BOTTLENECK * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(BOTTLENECK * growth)
        self.conv2 = nn.Conv2d(BOTTLENECK * growth, growth, 3, padding=1, bias=False)

    def forward(self, features: Float[Tensor, "n c_in h w"]) -> Float[Tensor, "n c_out h w"]:
        """Append `growth` channels."""
        inner = self.conv1(torch.relu(self.norm1(features)))
        return torch.cat([features, self.conv2(torch.relu(self.norm2(inner)))], dim=1)


def current_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a file's weights without its classifier, old names such as `denselayer1.norm.1.` written as today's."""
    return {
        _OLD_NAME.sub(r"\1\2.", name): tensor for name, tensor in weights.items() if not name.startswith(CLASSIFIER)
    }


def _transition(width: int) -> nn.Sequential:
    """Halve channels, height and width."""
    return nn.Sequential(
        OrderedDict(
            norm=nn.BatchNorm2d(width),
            relu=nn.ReLU(),
            conv=nn.Conv2d(width, width // 2, 1, bias=False),
            pool=nn.AvgPool2d(2),
        )
    )
