"""Dropout whose random draws cost little on a CPU."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class Dropout(nn.Dropout):
    """As PyTorch's, with four decisions drawn from each random 64-bit number on a CPU.

    One Bernoulli draw for each value is a twelfth of the head's training step there, a sixth under bfloat16.
    """

    def forward(self, input: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:  # noqa: A002 (the base's name)
        """Leave out a share `p` of the values and scale the rest up, in training."""
        return drop(input, self.p) if self.training else input


def drop(features: Float[Tensor, "*shape"], share: float) -> Float[Tensor, "*shape"]:
    """Return the features with a share of them, chosen at random, set to zero and the rest scaled up to make up for it.

    On a CPU the share is rounded to a 65536th.
    """
    if share == 0:
        return features
    if features.device.type != "cpu":
        return functional.dropout(features, share)
    numbers = torch.empty(-(-features.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    decisions = numbers.view(torch.int16)[: features.numel()].view(features.shape)
    kept = decisions >= round(share * 2**16) - 2**15
    return features * kept.to(features.dtype).mul_(1 / (1 - share))
