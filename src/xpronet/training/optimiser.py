"""The optimiser and its schedule, as functions of the settings and of the step alone."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from xpronet.errors import InputError
from xpronet.model.report_model import ReportModel
from xpronet.precision import Precision

MAX_SKIPPED_STEPS = 20
"""Steps in a row without a finite gradient after which the run ends."""


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """How the network is trained: optimiser, schedule, precision, and what the run folder keeps."""

    epochs: int = 30
    """Passes over the train studies."""
    seed: int = 7580
    """Of the weights, the order of studies, crops, views left out and dropout."""
    learning_rate: float = 2e-3
    """Of all parameters but the backbone's; IU X-Ray 2e-3, MIMIC-CXR 1e-4 (paper, appendix 1)."""
    backbone_learning_rate: float = 1e-3
    """Of the backbone's parameters; IU X-Ray 1e-3, MIMIC-CXR 5e-5."""
    schedule: Literal["step", "one-cycle"] = "step"
    """Multiply the rates by `decay` every `decay_epochs`, or warm up and then anneal along a cosine."""
    decay: float = 0.8
    """Factor of the step schedule."""
    decay_epochs: int = 1
    """Epochs between decays (paper: 1; published: 10 on IU X-Ray, 3 on MIMIC-CXR)."""
    warm_up: float = 0.1
    """Fraction of all steps in which the one-cycle schedule rises to the full rate."""
    optimiser: Literal["adam", "adamw", "plain-adam"] = "adam"
    """Adam with amsgrad and weight decay in the gradient, as published; AdamW; or Adam with PyTorch's own constants, as
    the LSTM captioners were trained."""
    weight_decay: float = 5e-5
    """Of all parameters."""
    clip_norm: float = 1.0
    """Maximum norm of the gradient; 0 disables clipping, as published."""
    clip_value: float = 0.0
    """Largest size of each entry of the gradient, before its norm is clipped; 0 disables it (LSTM captioners: 0.1)."""
    accumulate: int = 1
    """Batches per optimiser step, weighted equally; contrastive pairs are those within a batch."""
    precision: Precision = "fp32"
    """Precision of the forward pass; weights and losses stay fp32, and the gradients of fp16 are scaled. `auto` is
    bf16 where the device has instructions for it, else fp32; a resumed run keeps what it began with."""
    compile: bool = False
    """Compile the backbone with torch.compile, meant for long runs on a GPU; on CPUs it made steps slower."""
    on_nan: Literal["stop", "skip"] = "stop"
    """Where the loss or the gradient is not finite: end the run, or skip the step; the journal names the studies.
    After `MAX_SKIPPED_STEPS` in a row the run ends in either case."""
    freeze_backbone: bool = False
    """Keep the backbone, its batch statistics included, as it was loaded."""
    patience: int = 0
    """Epochs without a better score after which training ends; 0 never ends it early."""
    best_by: Literal["word_loss", "findings_f1", "bleu4", "published", "reward"] = "word_loss"
    """The validation score that chooses the best epoch: lowest word loss; highest macro-F1 of the findings head; or,
    for reports generated after each epoch, highest BLEU-4, BLEU-4 + 0.33 BLEU-1 + 0.67 METEOR (published) or reward."""

    save_steps: int = 0
    """Steps between checkpoints to resume from; 0 saves after each epoch only."""
    keep: int = 2
    """Checkpoints to resume from that are kept; older ones are removed."""
    log_steps: int = 20
    """Steps between the journal's lines on losses, gradient norm and throughput; 0 logs epochs only."""
    tensorboard: bool = False
    """Write TensorBoard's event files, too: the journal's numbers, and a few validation reports with attention maps."""

    @property
    def best_by_reports(self) -> bool:
        """Return whether the best epoch is chosen by generated reports."""
        return self.best_by in ("bleu4", "published", "reward")

    def __post_init__(self) -> None:
        for name in ("epochs", "decay_epochs", "accumulate", "keep"):
            if getattr(self, name) < 1:
                raise InputError(f"train.{name} = {getattr(self, name)}: must be at least 1")
        rates = ("learning_rate", "backbone_learning_rate", "weight_decay", "clip_norm", "clip_value")
        for name in (*rates, "patience", "seed", "save_steps", "log_steps"):
            if getattr(self, name) < 0:
                raise InputError(f"train.{name} = {getattr(self, name)}: must not be negative")
        if not 0 < self.decay <= 1 or not 0 <= self.warm_up < 1:
            raise InputError("train.decay must be in (0, 1] and train.warm_up in [0, 1)")


def make_optimiser(network: ReportModel, settings: TrainSettings) -> torch.optim.Optimizer:
    """Return the optimiser with two groups: the backbone and everything else.

    The parameters of a frozen backbone are left out and no longer require a gradient.
    """
    network.backbone.requires_grad_(not settings.freeze_backbone)
    backbone = {id(parameter) for parameter in network.backbone.parameters()}
    groups = [
        {
            "params": [parameter for parameter in network.parameters() if id(parameter) not in backbone],
            "lr": settings.learning_rate,
            "full_rate": settings.learning_rate,
        }
    ]
    if not settings.freeze_backbone:
        groups.append(
            {
                "params": list(network.backbone.parameters()),
                "lr": settings.backbone_learning_rate,
                "full_rate": settings.backbone_learning_rate,
            }
        )
    if settings.optimiser == "adamw":
        return torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=True)
    if settings.optimiser == "plain-adam":
        return torch.optim.Adam(groups, weight_decay=settings.weight_decay, fused=True)
    return torch.optim.Adam(
        groups, betas=(0.9, 0.98), eps=1e-9, weight_decay=settings.weight_decay, amsgrad=True, fused=True
    )


def count_steps(num_studies: int, *, batch_size: int, accumulate: int) -> int:
    """Return the optimiser steps of one epoch."""
    return math.ceil(math.ceil(num_studies / batch_size) / accumulate)


def set_rates(optimiser: torch.optim.Optimizer, settings: TrainSettings, *, step: int, steps_per_epoch: int) -> None:
    """Set each group's learning rate for a step, counted from 0 over all epochs."""
    factor = rate_factor(settings, step=step, steps_per_epoch=steps_per_epoch)
    for group in optimiser.param_groups:
        group["lr"] = group["full_rate"] * factor


def rate_factor(settings: TrainSettings, *, step: int, steps_per_epoch: int) -> float:
    """Return the fraction of the full learning rate at a step."""
    if settings.schedule == "step":
        return float(settings.decay ** (step // steps_per_epoch // settings.decay_epochs))
    total = settings.epochs * steps_per_epoch
    warm = max(1, round(settings.warm_up * total))
    if step < warm:
        return (step + 1) / warm
    # The last step keeps a hundredth of the rate, so that it still counts.
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))


def clip_gradients(parameters: Iterable[nn.Parameter], settings: TrainSettings) -> float:
    """Clip the gradient's entries and norm, if the settings ask for it; return the norm before."""
    parameters = list(parameters)
    limit = settings.clip_norm or math.inf
    if not settings.clip_value:
        return float(nn.utils.clip_grad_norm_(parameters, limit, foreach=True))
    norm = float(nn.utils.clip_grad_norm_(parameters, math.inf, foreach=True))
    nn.utils.clip_grad_value_(parameters, settings.clip_value, foreach=True)
    nn.utils.clip_grad_norm_(parameters, limit, foreach=True)
    return norm
