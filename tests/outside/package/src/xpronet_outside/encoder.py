"""An image encoder: patches through a linear layer and a small network over each patch."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from xpronet.encoders.image_encoder import ImageEncoderSettings

PATCH = 16
"""Pixels along the side of a patch."""


class PatchEncoder(nn.Module):
    """One feature for each patch, computed from the patch alone."""

    def __init__(self, settings: ImageEncoderSettings) -> None:
        """Make an encoder of `settings.width` channels."""
        super().__init__()
        self.settings = settings
        self.width_out = settings.width
        self.patches = nn.Conv2d(1, settings.width, kernel_size=PATCH, stride=PATCH)
        self.mix = nn.Conv2d(settings.width, settings.width, kernel_size=1)

    def forward(self, images: Tensor) -> Tensor:
        """Return maps (N, width_out, rows, columns) of images (N, height, width) with values 0 to 255."""
        scaled = images.unsqueeze(1).to(self.patches.weight.dtype) / 127.5 - 1
        hidden = functional.gelu(self.patches(scaled))
        return torch.relu(hidden + self.mix(hidden))
