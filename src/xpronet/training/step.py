"""One step of the optimiser: forward, losses, backward, over one batch or several."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

import torch
from torch import Tensor

from xpronet.data.dataset import Batch
from xpronet.model.checkpoint import Checkpoint
from xpronet.model.precision import forward_precision
from xpronet.training.distributed import DistributedContext
from xpronet.training.losses import Losses, LossSettings, WholeBatch, losses
from xpronet.training.optimiser import TrainSettings, clip_gradients


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """What came of a step."""

    terms: dict[str, float]
    """The loss terms, mean over the step's batches up to one that is no number."""
    gradient_norm: float
    """Norm of the whole gradient before it was clipped; nan where there is none."""
    studies: tuple[str, ...]
    """Ids of the studies, those of the faulty batch only where a loss is no number."""

    @property
    def has_loss(self) -> bool:
        """Say whether the loss is a number."""
        return math.isfinite(self.terms["total"])

    @property
    def finite(self) -> bool:
        """Say whether loss and gradient are numbers."""
        return self.has_loss and math.isfinite(self.gradient_norm)


def take_step(
    checkpoint: Checkpoint,
    batches: Sequence[Batch],
    optimiser: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    *,
    step: int,
    settings: TrainSettings,
    loss_settings: LossSettings,
    processes: DistributedContext,
) -> StepResult:
    """Learn from one step's batches, unless a loss or the gradient is no number.

    Args:
        checkpoint: the network.
        batches: the step's batches on the network's device; the gradient is that of the mean of their losses.
        optimiser: with this step's rates.
        scaler: of the gradients of fp16.
        step: steps taken before, which decides the dropout.
        settings: seed, precision, clipping.
        loss_settings: weights of the loss terms.
        processes: who has the other parts of the batches; all take the same step.
    """
    # A loss that is no number comes with batch statistics that are none: they go back to where they were.
    before = [buffer.clone() for buffer in checkpoint.network.buffers()] if settings.on_nan == "skip" else []
    optimiser.zero_grad()
    seen: list[dict[str, float]] = []
    for number, batch in enumerate(batches):
        torch.manual_seed(_dropout_seed(settings, step * settings.accumulate + number, processes))
        whole = _whole(batch, processes)
        terms = _losses(checkpoint, batch, settings, loss_settings, whole)
        named = terms.by_name()
        seen.append(dict(zip(named, processes.add(torch.stack([*named.values()]).tolist()), strict=True)))
        if not math.isfinite(seen[-1]["total"]):
            _put_back(checkpoint.network.buffers(), before)
            return StepResult(terms=seen[-1], gradient_norm=math.nan, studies=_all_ids([batch], processes))
        torch.autograd.backward(scaler.scale(terms.total / len(batches)))
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    processes.add_gradients(parameters)
    scaler.unscale_(optimiser)
    norm = clip_gradients(parameters, settings)
    if math.isfinite(norm) or scaler.is_enabled():
        # The scaler itself leaves out a step whose gradient overflowed, and scales the next one less.
        scaler.step(optimiser)
        scaler.update()
    else:
        _put_back(checkpoint.network.buffers(), before)
    means = {name: math.fsum(terms[name] for terms in seen) / len(seen) for name in seen[0]}
    return StepResult(terms=means, gradient_norm=norm, studies=_all_ids(batches, processes))


def grouped(batches: Iterable[Batch], size: int) -> Iterator[list[Batch]]:
    """Yield the batches of each step; the last may have fewer."""
    rest = iter(batches)
    while group := list(islice(rest, size)):
        yield group


def _all_ids(batches: Sequence[Batch], processes: DistributedContext) -> tuple[str, ...]:
    """Return the ids of the studies of all processes' parts."""
    own = [study for batch in batches for study in batch.ids]
    return tuple(own) if processes.count == 1 else tuple(chain.from_iterable(processes.gather_values(own)))


def _dropout_seed(settings: TrainSettings, number: int, processes: DistributedContext) -> int:
    """Return the seed of a batch's dropout: of its own in each process, of its place in the run alone."""
    # An odd factor spreads the ranks over all seeds of 32 bits, far from each other's batches.
    return (settings.seed * 1_000_003 + number + processes.rank * 0x9E3779B1) % 2**63


def _whole(batch: Batch, processes: DistributedContext) -> WholeBatch | None:
    """Return what a process must know of the batch that it has a part of; None where it has all of it."""
    if processes.count == 1:
        return None
    studies, words = processes.add([float(len(batch.ids)), float(batch.word_mask[:, 1:].sum())])
    return WholeBatch(studies=int(studies), words=int(words), processes=processes)


def _losses(
    checkpoint: Checkpoint,
    batch: Batch,
    settings: TrainSettings,
    loss_settings: LossSettings,
    whole: WholeBatch | None,
) -> Losses:
    with forward_precision(batch.images.device, settings.precision):
        outputs = checkpoint.network(batch.images, batch.view_mask, batch.words[:, :-1], batch.findings)
        return losses(outputs, batch.words[:, 1:], batch.word_mask[:, 1:], batch.findings, loss_settings, whole)


def _put_back(tensors: Iterable[Tensor], values: Sequence[Tensor]) -> None:
    with torch.no_grad():
        for tensor, value in zip(tensors, values, strict=False):
            tensor.copy_(value)
