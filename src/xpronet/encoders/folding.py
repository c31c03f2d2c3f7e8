"""An image encoder for use alone: batch normalisation folded into the convolutions before it."""

import copy
from itertools import pairwise

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from xpronet.encoders.build import as_module
from xpronet.encoders.densenet import DenseLayer, DenseNet121
from xpronet.encoders.image_encoder import ImageEncoder
from xpronet.encoders.resnet import Basic, Bottleneck, ResNet

CONSECUTIVE = {
    ResNet: (("conv1", "bn1"),),
    Basic: (("conv1", "bn1"), ("conv2", "bn2")),
    Bottleneck: (("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3")),
    DenseLayer: (("conv1", "norm2"),),
}
"""A convolution and the normalisation that its result goes into, and nothing else does, by the module they are in."""


def fold_batch_norms(encoder: ImageEncoder) -> ImageEncoder:
    """Return a copy in evaluation mode that computes the same, rounding aside, without batch normalisation.

    In evaluation a batch normalisation is a factor and a shift for each channel, which the convolution's weight and
    bias can hold. DenseNet keeps the normalisations that no convolution of their own comes before, and encoders whose
    inside is not ours keep them all. The copy cannot be trained or saved: its parameters have other names. The given
    encoder stays.
    """
    copied = copy.deepcopy(encoder)
    folded = as_module(copied).eval().requires_grad_(False)
    if not isinstance(folded, ResNet | DenseNet121):
        return copied
    for module in list(folded.modules()):
        for convolution, norm in _pairs(module):
            before, after = getattr(module, convolution), getattr(module, norm)
            setattr(module, convolution, fuse_conv_bn_eval(before, after))
            setattr(module, norm, nn.Identity())
    # Convolutions on a CPU are fastest where the channels lie together.
    folded.requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return copied


def _pairs(module: nn.Module) -> list[tuple[str, str]]:
    """Return the names of a module's convolutions that a batch normalisation follows, and of these."""
    own = dict(module.named_children())
    candidates = pairwise(own) if isinstance(module, nn.Sequential) else CONSECUTIVE.get(type(module), ())
    return [
        (first, second)
        for first, second in candidates
        if isinstance(own[first], nn.Conv2d) and isinstance(own[second], nn.BatchNorm2d)
    ]
