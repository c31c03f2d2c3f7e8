"""Batch normalisation over the whole batch where several processes have a part of it each, on any device."""

from typing import Any

import torch
from torch import Tensor, nn

from xpronet.model.precision import full_precision
from xpronet.training.distributed import DistributedContext


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch normalisation whose statistics are those of all processes' images together.

    Parameters and buffers have the names and values of the layer it stands for; a process may have no image at all.
    """

    processes: DistributedContext

    @classmethod
    def of(cls, layer: nn.BatchNorm2d, processes: DistributedContext) -> "SharedBatchNorm":
        """Return a layer with the same tensors."""
        shared = cls(layer.num_features, eps=layer.eps, momentum=layer.momentum)
        shared.weight, shared.bias = layer.weight, layer.bias
        shared.running_mean, shared.running_var = layer.running_mean, layer.running_var
        shared.num_batches_tracked = layer.num_batches_tracked
        shared.processes = processes
        return shared.train(layer.training)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name that torch gives it
        """Normalise (images, channels, rows, columns)."""
        if not self.training:
            return super().forward(input)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        count, mean, variance = _statistics(input.detach(), self.processes)
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / (count - 1).clamp(min=1)), self.momentum)
        scale = (variance + self.eps).rsqrt()
        normed: Tensor = _Normalise.apply(input, mean, scale, count, self.processes)  # type: ignore[no-untyped-call]
        return (normed * self.weight[:, None, None] + self.bias[:, None, None]).to(input.dtype)


def share_batch_norm(module: nn.Module, processes: DistributedContext) -> None:
    """Put a `SharedBatchNorm` in place of every batch normalisation inside a module."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, SharedBatchNorm.of(child, processes))
        else:
            share_batch_norm(child, processes)


def _statistics(features: Tensor, processes: DistributedContext) -> tuple[Tensor, Tensor, Tensor]:
    """Return number of values, mean and variance of each channel over all processes.

    Each process's mean and squared deviations are joined as Chan, Golub and LeVeque do: a difference of large sums of
    squares would lose the digits that a small variance lives in.
    """
    channels = features.shape[1]
    values = full_precision(features).transpose(0, 1).reshape(channels, -1)
    number = values.shape[1]
    own = values.new_zeros(3, channels)
    if number:
        own[0] = number
        own[1] = values.mean(1)
        own[2] = values.var(1, correction=0)
    counts, means, variances = processes.stack(own).unbind(1)
    count = counts.sum(0)
    mean = (means * counts).sum(0) / count
    variance = ((variances + (means - mean).square()) * counts).sum(0) / count
    return count, mean, variance


class _Normalise(torch.autograd.Function):
    """(features - mean) * scale, where mean and scale hang on every process's features."""

    @staticmethod
    def forward(
        context: Any, features: Tensor, mean: Tensor, scale: Tensor, count: Tensor, processes: DistributedContext
    ) -> Tensor:
        normed = (full_precision(features) - mean[:, None, None]) * scale[:, None, None]
        context.save_for_backward(normed, scale, count)
        context.processes, context.dtype = processes, features.dtype
        return normed

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        normed, scale, count = context.saved_tensors
        sums = torch.stack([gradient.sum((0, 2, 3)), (gradient * normed).sum((0, 2, 3))])
        context.processes.add_tensor(sums)
        mean, along = (sums / count)[:, :, None, None].unbind(0)
        back = (gradient - mean - normed * along) * scale[:, None, None]
        return back.to(context.dtype), None, None, None, None
