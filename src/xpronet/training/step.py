"""One optimiser step: forward, losses and backward over one batch or several."""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import chain, islice

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from xpronet.data.dataset import Batch
from xpronet.precision import forward_precision
from xpronet.training.distributed import DistributedContext
from xpronet.training.losses import GlobalBatch, Losses, LossSettings, losses
from xpronet.training.optimiser import TrainSettings, clip_gradients
from xpronet.training.reward_step import RewardObjective, RewardTerms

_SAMPLED = 0x5EED_5A3B_1E00
"""Marks the seeds of sampled reports."""


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """The outcome of a step."""

    terms: dict[str, float]
    """The loss terms: means over the step's batches, or those of the first batch whose loss is not finite."""
    gradient_norm: float
    """Norm of the whole gradient before clipping; nan where the loss was not finite."""
    studies: tuple[str, ...]
    """Ids of the studies; where a loss is not finite, those of that batch only."""

    @property
    def loss_is_finite(self) -> bool:
        """Return whether the loss is finite."""
        return math.isfinite(self.terms["total"])

    @property
    def finite(self) -> bool:
        """Return whether loss and gradient are finite."""
        return self.loss_is_finite and math.isfinite(self.gradient_norm)


def take_step(
    network: nn.Module,
    batches: Sequence[Batch],
    optimiser: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    *,
    step: int,
    settings: TrainSettings,
    loss_settings: LossSettings,
    context: DistributedContext,
) -> StepResult:
    """Take one step, unless the loss or the gradient is not finite.

    Args:
        network: as `DistributedContext.parallelize` returns it; of a stage with reward the `RewardObjective`.
        batches: the step's batches on the network's device; their losses are averaged.
        optimiser: with this step's learning rates.
        scaler: of fp16 gradients.
        step: steps taken before, which seeds the dropout.
        settings: seed, precision, clipping.
        loss_settings: weights of the loss terms.
        context: the processes that have the other shares of the batches; all take the same step.
    """
    # A loss that is not finite comes with batch statistics that are not: they are restored.
    buffers = [buffer.clone() for buffer in network.buffers()] if settings.on_nan == "skip" else []
    optimiser.zero_grad()
    seen: list[dict[str, float]] = []
    for number, batch in enumerate(batches):
        torch.manual_seed(_dropout_seed(settings, step * settings.accumulate + number, context))
        with _gradients_exchanged(network, number == len(batches) - 1):
            seed = _sampling_seed(settings, step * settings.accumulate + number, context)
            terms = _losses(network, batch, settings, loss_settings, _global_batch(batch, context), seed)
            named = terms.by_name()
            seen.append(dict(zip(named, context.sum(torch.stack([*named.values()]).tolist()), strict=True)))
            if not math.isfinite(seen[-1]["total"]):
                _restore(network.buffers(), buffers)
                return StepResult(terms=seen[-1], gradient_norm=math.nan, studies=_all_ids([batch], context))
            with context.naming_the_lost():
                torch.autograd.backward(scaler.scale(terms.total / len(batches)))
    scaler.unscale_(optimiser)
    norm = clip_gradients((each for group in optimiser.param_groups for each in group["params"]), settings)
    if math.isfinite(norm) or scaler.is_enabled():
        # The scaler itself skips a step whose gradient overflowed, and lowers its scale for the next one.
        scaler.step(optimiser)
        scaler.update()
    else:
        _restore(network.buffers(), buffers)
    means = {name: math.fsum(terms[name] for terms in seen) / len(seen) for name in seen[0]}
    return StepResult(terms=means, gradient_norm=norm, studies=_all_ids(batches, context))


def grouped(batches: Iterable[Batch], size: int) -> Iterator[list[Batch]]:
    """Yield the batches of each step; the last step may have fewer."""
    remaining = iter(batches)
    while group := list(islice(remaining, size)):
        yield group


def _gradients_exchanged(network: nn.Module, exchanged: bool) -> "nullcontext[None]":
    """Return a context in which the backward pass adds gradients up over all processes, or keeps them here."""
    if isinstance(network, DistributedDataParallel) and not exchanged:
        return network.no_sync()  # type: ignore[return-value]
    return nullcontext()


def _all_ids(batches: Sequence[Batch], context: DistributedContext) -> tuple[str, ...]:
    """Return the ids of the studies of all processes."""
    own = [study for batch in batches for study in batch.ids]
    return tuple(own) if context.count == 1 else tuple(chain.from_iterable(context.gather_values(own)))


def _dropout_seed(settings: TrainSettings, number: int, context: DistributedContext) -> int:
    """Return the seed of a batch's dropout, which depends on the batch's place in the run and on the rank alone."""
    # An odd factor spreads the ranks over all seeds of 32 bits, far from each other's batches.
    return (settings.seed * 1_000_003 + number + context.rank * 0x9E3779B1) % 2**63


def _sampling_seed(settings: TrainSettings, number: int, context: DistributedContext) -> int:
    """Return the seed of the reports that are sampled about a batch, apart from that of its dropout."""
    return (_dropout_seed(settings, number, context) ^ _SAMPLED) % 2**63


def _global_batch(batch: Batch, context: DistributedContext) -> GlobalBatch | None:
    """Return the batch of all processes, of which `batch` is this one's share; None in a single process."""
    if context.count == 1:
        return None
    studies, words = context.sum([float(len(batch.ids)), float(batch.word_mask[:, 1:].sum())])
    return GlobalBatch(studies=int(studies), words=int(words), context=context)


def _losses(
    network: nn.Module,
    batch: Batch,
    settings: TrainSettings,
    loss_settings: LossSettings,
    global_batch: GlobalBatch | None,
    seed: int,
) -> Losses | RewardTerms:
    with forward_precision(batch.images.device, settings.precision):
        objective = network.module if isinstance(network, DistributedDataParallel) else network
        if isinstance(objective, RewardObjective):
            objective.global_batch = global_batch
            return network(batch, seed)
        outputs = network(batch.images, batch.view_mask, batch.words[:, :-1], batch.findings)
        return losses(outputs, batch.words[:, 1:], batch.word_mask[:, 1:], batch.findings, loss_settings, global_batch)


def _restore(tensors: Iterable[Tensor], values: Sequence[Tensor]) -> None:
    with torch.no_grad():
        for tensor, value in zip(tensors, values, strict=False):
            tensor.copy_(value)
