"""A backbone for use alone: batch normalisation folded into the convolutions before it."""

import copy
from itertools import pairwise

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from xpronet.encoders.resnet import ResNet


def fold_batch_norms(backbone: ResNet) -> ResNet:
    """Return a copy in evaluation mode that computes the same, rounding aside, without batch normalisation.

    In evaluation a batch normalisation is a factor and a shift for each channel, which the convolution's weight and
    bias can hold. The copy cannot be trained or saved: its parameters have other names. The given backbone stays.
    """
    folded = copy.deepcopy(backbone).eval()
    for module in list(folded.modules()):
        for convolution, norm in _pairs(module):
            before, after = getattr(module, convolution), getattr(module, norm)
            setattr(module, convolution, fuse_conv_bn_eval(before, after))
            setattr(module, norm, nn.Identity())
    # Convolutions on a CPU are fastest where the channels lie together.
    return folded.requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _pairs(module: nn.Module) -> list[tuple[str, str]]:
    """Return the names of a module's convolutions that a batch normalisation follows, and of these."""
    own = dict(module.named_children())
    if isinstance(module, nn.Sequential):
        names = list(own)
        candidates = list(pairwise(names))
    else:
        candidates = [(f"conv{number}", f"bn{number}") for number in (1, 2, 3)]
    return [
        (first, second)
        for first, second in candidates
        if isinstance(own.get(first), nn.Conv2d) and isinstance(own.get(second), nn.BatchNorm2d)
    ]
