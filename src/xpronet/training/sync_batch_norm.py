"""Batch normalisation over the batch of all processes. PyTorch's own does this on GPUs only; ours does it on CPUs."""

from typing import Any

import torch
from torch import Tensor, nn

from xpronet.precision import full_precision
from xpronet.training.distributed import DistributedContext


class CPUSyncBatchNorm(nn.BatchNorm2d):
    """Batch normalisation with the statistics of the images of all processes; a process may have no image at all.

    Parameters and buffers have the names and values of the layer that it replaces.
    """

    context: DistributedContext

    @classmethod
    def of(cls, layer: nn.BatchNorm2d, context: DistributedContext) -> "CPUSyncBatchNorm":
        """Return a layer with the same tensors."""
        synced = cls(layer.num_features, eps=layer.eps, momentum=layer.momentum)
        synced.weight, synced.bias = layer.weight, layer.bias
        synced.running_mean, synced.running_var = layer.running_mean, layer.running_var
        synced.num_batches_tracked = layer.num_batches_tracked
        synced.context = context
        return synced.train(layer.training)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name that torch gives it
        """Normalise (images, channels, rows, columns)."""
        if not self.training:
            return super().forward(input)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        count, mean, variance = _statistics(input.detach(), self.context)
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / (count - 1).clamp(min=1)), self.momentum)
        scale = (variance + self.eps).rsqrt()
        normed: Tensor = _Normalise.apply(input, mean, scale, count, self.context)  # type: ignore[no-untyped-call]
        return (normed * self.weight[:, None, None] + self.bias[:, None, None]).to(input.dtype)


def sync_batch_norm(module: nn.Module, context: DistributedContext) -> None:
    """Replace every batch normalisation inside a module by one over the batch of all processes."""
    if context.device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
        return
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, CPUSyncBatchNorm.of(child, context))
        else:
            sync_batch_norm(child, context)


def _statistics(features: Tensor, context: DistributedContext) -> tuple[Tensor, Tensor, Tensor]:
    """Return number of values, mean and variance of each channel over all processes.

    The means and squared deviations of the processes are combined as in Chan, Golub and LeVeque (1983): a difference of
    large sums of squares would lose the digits of a small variance.
    """
    channels = features.shape[1]
    values = full_precision(features).transpose(0, 1).reshape(channels, -1)
    number = values.shape[1]
    own = values.new_zeros(3, channels)
    if number:
        own[0] = number
        own[1] = values.mean(1)
        own[2] = values.var(1, correction=0)
    counts, means, variances = context.stack(own).unbind(1)
    count = counts.sum(0)
    mean = (means * counts).sum(0) / count
    variance = ((variances + (means - mean).square()) * counts).sum(0) / count
    return count, mean, variance


class _Normalise(torch.autograd.Function):
    """(features - mean) * scale, where mean and scale depend on the features of all processes."""

    @staticmethod
    def forward(
        ctx: Any, features: Tensor, mean: Tensor, scale: Tensor, count: Tensor, context: DistributedContext
    ) -> Tensor:
        normed = (full_precision(features) - mean[:, None, None]) * scale[:, None, None]
        ctx.save_for_backward(normed, scale, count)
        ctx.context, ctx.dtype = context, features.dtype
        return normed

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        normed, scale, count = ctx.saved_tensors
        sums = torch.stack([gradient.sum((0, 2, 3)), (gradient * normed).sum((0, 2, 3))])
        ctx.context.sum_tensor(sums)
        mean, along = (sums / count)[:, :, None, None].unbind(0)
        back = (gradient - mean - normed * along) * scale[:, None, None]
        return back.to(ctx.dtype), None, None, None, None
