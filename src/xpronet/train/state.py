"""Where a run stands, and keeping it: checkpoints/last to go on from, checkpoints/best to use.

Everything random in training is drawn from the seed and the step (dropout) or the seed, epoch and study (order, crops),
so a step and the optimiser's moments are all that resuming needs.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from xpronet.errors import InputError
from xpronet.files import read_json
from xpronet.model.checkpoint import (
    TRAINING_FILE,
    WEIGHTS_FILE,
    Checkpoint,
    load_checkpoint,
    load_tensors,
    load_weights,
)

LAST = Path("checkpoints") / "last"
BEST = Path("checkpoints") / "best"
OPTIMISER_FILE = "optimiser.safetensors"


@dataclass(kw_only=True)
class Standing:
    """How far training has come."""

    step: int = 0
    """Optimiser steps taken."""
    best_score: float | None = None
    """Best validation score so far, by the settings' `best_by`."""
    best_epoch: int = 0
    """Epochs that were done when it was reached."""


def save_last(run: Path, checkpoint: Checkpoint, optimiser: torch.optim.Optimizer, standing: Standing) -> None:
    """Keep everything needed to go on."""
    checkpoint.training = dataclasses.asdict(standing)
    checkpoint.save(run / LAST, extra_tensors={OPTIMISER_FILE: _flatten(optimiser)})


def save_best(run: Path, checkpoint: Checkpoint, standing: Standing) -> None:
    """Keep the network as it is now as the one to use."""
    checkpoint.training = dataclasses.asdict(standing)
    checkpoint.save(run / BEST)


def resume(run: Path, checkpoint: Checkpoint, optimiser: torch.optim.Optimizer) -> Standing:
    """Fill network and optimiser from the last checkpoint and return where it stood.

    Raises:
        InputError: there is none, or it does not fit the recipe.
    """
    folder = run / LAST
    if not (folder / TRAINING_FILE).is_file():
        raise InputError(f"{run}: nothing to resume (no {LAST}); leave out --resume")
    load_weights(checkpoint.network, folder / WEIGHTS_FILE)
    # Training with predicted findings goes by the thresholds of the last epoch.
    checkpoint.thresholds = load_checkpoint(folder).thresholds
    _fill(optimiser, load_tensors(folder / OPTIMISER_FILE), folder / OPTIMISER_FILE)
    return Standing(**read_json(folder / TRAINING_FILE))


def _flatten(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    state = optimiser.state_dict()["state"]
    return {f"{number}.{name}": value for number, moments in state.items() for name, value in moments.items()}


def _fill(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor], path: Path) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        position, _, name = key.partition(".")
        state.setdefault(int(position), {})[name] = tensor
    whole = optimiser.state_dict()
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    for number, moments in state.items():
        if number >= len(parameters) or moments["exp_avg"].shape != parameters[number].shape:
            raise InputError(f"{path}: does not fit the network; resume with the recipe that the run began with")
    optimiser.load_state_dict({"state": state, "param_groups": whole["param_groups"]})
