"""Where a run stands, and keeping it: checkpoints/last to go on from, checkpoints/best to use.

Everything random in training is drawn from the seed and the step (dropout) or the seed, epoch and study (order, crops),
so a step, the optimiser's moments and the gradient scaler are all that resuming needs.

Each checkpoint is a folder of its own, checkpoints/step-00000123 or checkpoints/best-00000123, that appears whole;
`last` and `best` are links to the newest, moved in one step once it is there. A kill at any moment leaves both on
something whole.
"""

import dataclasses
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from xpronet.errors import InputError
from xpronet.files import discard, point, read_json
from xpronet.model.checkpoint import (
    CONFIG_FILE,
    FINDINGS_FILE,
    TRAINING_FILE,
    WEIGHTS_FILE,
    Checkpoint,
    check_checkpoint,
    load_tensors,
    load_weights,
)

CHECKPOINTS = Path("checkpoints")
LAST = CHECKPOINTS / "last"
BEST = CHECKPOINTS / "best"
OPTIMISER_FILE = "optimiser.safetensors"


@dataclass(kw_only=True)
class TrainerState:
    """How far training has come."""

    step: int = 0
    """Optimiser steps taken."""
    best_score: float | None = None
    """Best validation score so far, by the settings' `best_by`."""
    best_epoch: int = 0
    """Epochs that were done when it was reached."""
    sums: dict[str, float] = field(default_factory=dict)
    """Each loss term, summed over the epoch's steps so far."""
    counted: int = 0
    """Steps in `sums`."""
    skipped: int = 0
    """Steps left out in a row, up to now."""
    scaler: dict[str, float] = field(default_factory=dict)
    """State of the gradient scaler; empty without one."""


def save_last(
    run: Path, checkpoint: Checkpoint, optimiser: torch.optim.Optimizer, standing: TrainerState, *, keep: int = 2
) -> None:
    """Keep everything needed to go on, and of what was kept before the newest, `keep` in all."""
    checkpoint.training = dataclasses.asdict(standing)
    name = f"step-{standing.step:08d}"
    checkpoint.save(run / CHECKPOINTS / name, extra_tensors={OPTIMISER_FILE: _flatten(optimiser)})
    point(run / LAST, name)
    _prune(run, "step-*", keep)


def save_best(run: Path, checkpoint: Checkpoint, standing: TrainerState) -> None:
    """Keep the network as it is now as the one to use, and the one before it for whoever still reads it."""
    checkpoint.training = dataclasses.asdict(standing)
    name = f"best-{standing.step:08d}"
    checkpoint.save(run / CHECKPOINTS / name)
    point(run / BEST, name)
    _prune(run, "best-*", 2)


def last_checkpoint(run: Path) -> Path | None:
    """Return the folder to go on from: the last, or where the link is lost the newest; None where there is none."""
    if (run / LAST / CONFIG_FILE).is_file():
        return (run / LAST).resolve()
    return max((run / CHECKPOINTS).glob("step-*"), default=None)


def read_trainer_state(folder: Path) -> TrainerState:
    """Return where a checkpoint stood.

    Raises:
        InputError: it says nothing of it.
    """
    try:
        return TrainerState(**read_json(folder / TRAINING_FILE))
    except TypeError:
        raise InputError(f"{folder / TRAINING_FILE}: not the standing of a run; take another checkpoint") from None


def resume(run: Path, checkpoint: Checkpoint, optimiser: torch.optim.Optimizer) -> TrainerState:
    """Fill network and optimiser from the last checkpoint and return where it stood.

    Raises:
        InputError: there is none, it is damaged, or it does not fit the recipe.
    """
    folder = last_checkpoint(run)
    if folder is None:
        raise InputError(f"{run}: nothing to resume (no {LAST}); leave out --resume")
    try:
        check_checkpoint(folder, OPTIMISER_FILE)
    except InputError as error:
        raise InputError(f"{error}; remove {folder} to go on from the one before") from None
    load_weights(checkpoint.network, folder / WEIGHTS_FILE)
    # Training with predicted findings goes by the thresholds and the calibration of the last epoch.
    checkpoint.adopt_findings(read_json(folder / FINDINGS_FILE))
    _fill(optimiser, load_tensors(folder / OPTIMISER_FILE), folder / OPTIMISER_FILE)
    return read_trainer_state(folder)


def sweep(run: Path, step: int) -> None:
    """Remove what kills have left of a run's checkpoints: halves, and those after the step it goes on from."""
    if not (run / CHECKPOINTS).is_dir():
        return
    for path in (run / CHECKPOINTS).glob(".*"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    for path in (run / CHECKPOINTS).glob("step-*"):
        if path.name > f"step-{step:08d}" and path.resolve() != (run / LAST).resolve():
            discard(path)


def _prune(run: Path, pattern: str, keep: int) -> None:
    pointed = {(run / link).resolve() for link in (LAST, BEST)}
    for folder in sorted((run / CHECKPOINTS).glob(pattern))[:-keep]:
        if folder.resolve() not in pointed:
            discard(folder)


def _flatten(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    state = optimiser.state_dict()["state"]
    return {f"{number}.{name}": value for number, moments in state.items() for name, value in moments.items()}


def _fill(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor], path: Path) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        position, _, name = key.partition(".")
        if not position.isdecimal():
            raise InputError(f"{path}: {key!r} is no optimiser's tensor; take another checkpoint")
        state.setdefault(int(position), {})[name] = tensor
    whole = optimiser.state_dict()
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    kept = {"step", "exp_avg", "exp_avg_sq"} | ({"max_exp_avg_sq"} if optimiser.defaults["amsgrad"] else set())
    for number, moments in state.items():
        if moments.keys() != kept:
            raise InputError(f"{path}: of another optimiser; resume with the train.optimiser that the run began with")
        if number >= len(parameters) or any(
            moment.shape not in (torch.Size(), parameters[number].shape) for moment in moments.values()
        ):
            raise InputError(f"{path}: does not fit the network; resume with the recipe that the run began with")
        # Laid out in memory like the weights, which the fused optimiser takes for granted and files do not keep.
        state[number] = {
            name: torch.empty_like(parameters[number]).copy_(tensor) if tensor.dim() else tensor
            for name, tensor in moments.items()
        }
    optimiser.load_state_dict({"state": state, "param_groups": whole["param_groups"]})
