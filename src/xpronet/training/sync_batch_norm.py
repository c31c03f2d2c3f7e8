"""Batch normalisation over the batch of all processes. PyTorch's own does this on GPUs only; ours does it on CPUs."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

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
        normed: Tensor = _Normalise.apply(  # type: ignore[no-untyped-call]
            input, self.weight, self.bias, mean, variance, count, self.eps, self.context
        )
        return normed


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
    own = torch.zeros(3, channels, dtype=torch.promote_types(features.dtype, torch.float32))
    if features.numel():
        own[0] = features.numel() // channels
        # The kernel of PyTorch's own batch normalisation: one pass in whatever layout and precision the features have.
        own[1], own[2] = torch.batch_norm_update_stats(features, None, None, 0.0)
    counts, means, variances = context.stack(own).unbind(1)
    count = counts.sum(0)
    mean = (means * counts).sum(0) / count
    variance = ((variances + (means - mean).square()) * counts).sum(0) / count
    return count, mean, variance


class _Normalise(torch.autograd.Function):
    """Batch normalisation with given statistics, which depend on the features of all processes.

    Both directions are passes of PyTorch's kernels, in the layout and precision of the features. Backward, with m
    values a channel over all processes, x̂ the normalised features, g their gradient and s = weight / √(variance + ε):
    s·(g - Σg/m - x̂·Σ(g·x̂)/m). The first term is the gradient with constant statistics, and the other two are a
    normalisation of the features with another weight and bias.
    """

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        weight: Tensor,
        bias: Tensor,
        mean: Tensor,
        variance: Tensor,
        count: Tensor,
        epsilon: float,
        context: DistributedContext,
    ) -> Tensor:
        ctx.save_for_backward(features, weight, mean, variance, count)
        ctx.epsilon, ctx.context = epsilon, context
        return _transform(features, weight, bias, mean, variance, epsilon)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        features, weight, mean, variance, count = ctx.saved_tensors
        back, along, total = torch.zeros_like(features), torch.zeros_like(weight), torch.zeros_like(weight)
        if features.numel():
            back, along, total = torch.ops.aten.native_batch_norm_backward(
                gradient, features, weight, mean, variance, None, None, False, ctx.epsilon, [True, True, True]
            )
        sums = torch.stack([along, total])
        ctx.context.sum_tensor(sums)
        if features.numel():
            factor = weight * (variance + ctx.epsilon).rsqrt() / count
            back.sub_(_transform(features, sums[0] * factor, sums[1] * factor, mean, variance, ctx.epsilon))
        return back, along, total, None, None, None, None, None


def _transform(
    features: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, epsilon: float
) -> Tensor:
    """Return weight · (features - mean) / √(variance + ε) + bias, channel by channel."""
    return functional.batch_norm(features, mean, variance, weight, bias, training=False, eps=epsilon)
