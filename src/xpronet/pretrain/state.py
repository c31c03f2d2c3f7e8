"""Where a pretraining run stands: one file to go on from, moved into place whole."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from xpronet.errors import InputError
from xpronet.files import new_file

LAST_FILE = "last.safetensors"
BEST_FILE = "best.safetensors"
MOMENTS = ("exp_avg", "exp_avg_sq", "step")
"""What AdamW keeps of each parameter."""


@dataclass(kw_only=True)
class PretrainState:
    """How far a run has come."""

    step: int = 0
    """Optimiser steps taken."""
    loss: float = 0.0
    """Sum of the losses of the epoch's steps so far."""
    best_score: float | None = None
    """Best validation AUROC so far."""
    best_epoch: int = 0
    """Epochs that were done when it was reached."""
    seconds: float = 0.0
    """Spent on training and validation, in all starts together."""
    fingerprint: str = ""
    """Of the recipe and the films; a run goes on with the same only."""
    scores: dict[str, float | None] = field(default_factory=dict)
    """AUROC of each finding after the best epoch."""


def save_state(
    path: Path, state: PretrainState, network: nn.Module, averaged: nn.Module, optimiser: torch.optim.Optimizer
) -> None:
    """Write everything that is needed to go on."""
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    if averaged is not network:
        tensors |= {f"averaged.{name}": tensor for name, tensor in averaged.state_dict().items()}
    for name, parameter in _optimised(network, optimiser).items():
        moments = optimiser.state.get(parameter, {})
        tensors |= {f"optimiser.{name}.{moment}": moments[moment] for moment in moments}
    write_tensors(path, tensors, {"state": json.dumps(dataclasses.asdict(state))})


def load_state(path: Path, network: nn.Module, averaged: nn.Module, optimiser: torch.optim.Optimizer) -> PretrainState:
    """Fill network, average and optimiser from a file and return where it stood.

    Raises:
        InputError: the file is damaged or of another network.
    """
    tensors, metadata = read_tensors(path)
    try:
        state = PretrainState(**json.loads(metadata["state"]))
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{path}: not the state of a pretraining run; remove it to begin again") from None
    try:
        network.load_state_dict(_below("network.", tensors))
        if averaged is not network:
            averaged.load_state_dict(_below("averaged.", tensors))
    except RuntimeError:
        raise InputError(f"{path}: of another network; go on with the recipe that the run began with") from None
    for name, parameter in _optimised(network, optimiser).items():
        moments = _below(f"optimiser.{name}.", tensors)
        if not moments:
            continue
        # Laid out in memory like the weights, which files do not keep and the fused optimiser takes for granted.
        optimiser.state[parameter] = {
            moment: torch.empty_like(parameter, requires_grad=False).copy_(value) if value.dim() else value
            for moment, value in moments.items()
        }
    return state


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write named tensors and notes as safetensors, in place of what is there."""
    with new_file(path, overwrite=True) as temporary:
        save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, temporary, dict(metadata))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and notes of a safetensors file.

    Raises:
        InputError: the file is missing or damaged.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError):
        raise InputError(f"{path}: not a whole safetensors file; remove it and go on from another") from None


def _optimised(network: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, nn.Parameter]:
    chosen = {id(parameter) for group in optimiser.param_groups for parameter in group["params"]}
    return {name: parameter for name, parameter in network.named_parameters() if id(parameter) in chosen}


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
