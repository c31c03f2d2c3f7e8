"""The state of a run and its checkpoints: checkpoints/last to resume from, checkpoints/best to use.

Everything random in training is drawn from the seed and the step (dropout) or from the seed, the epoch and the study
(order, crops, views left out), so that step, optimiser and gradient scaler are all that resuming needs.

Each checkpoint is a folder of its own, checkpoints/step-00000123 or checkpoints/best-00000123, that appears whole;
`last` and `best` are links to the newest, moved atomically afterwards. A kill at any moment leaves both on something
whole. A run that was copied without its links, or with folders in their place, is read and resumed all the same.
"""

import dataclasses
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from xpronet.errors import InputError
from xpronet.files import discard, point, read_json
from xpronet.model.checkpoint import Checkpoint, load_weights
from xpronet.model.checkpoint_files import (
    CONFIG_FILE,
    FINDINGS_FILE,
    TRAINING_FILE,
    WEIGHTS_FILE,
    check_checkpoint,
    load_tensors,
)

CHECKPOINTS = Path("checkpoints")
LAST = CHECKPOINTS / "last"
BEST = CHECKPOINTS / "best"
OPTIMISER_FILE = "optimiser.safetensors"
VIEWS = "views"
"""Entry of training.json on the views of the train studies (`StudyDataset.view_statistics`)."""


@dataclass(kw_only=True)
class TrainerState:
    """The progress of a training run, as training.json keeps it."""

    step: int = 0
    """Optimiser steps taken."""
    best_score: float | None = None
    """Best validation score so far, by `train.best_by`."""
    best_epoch: int = 0
    """Epochs that were done when it was reached."""
    sums: dict[str, float] = field(default_factory=dict)
    """Sum of each loss term over the epoch's steps so far."""
    counted: int = 0
    """Number of steps in `sums`."""
    skipped: int = 0
    """Steps skipped in a row, up to now."""
    scaler: dict[str, float] = field(default_factory=dict)
    """State of the gradient scaler; empty without one."""


def save_last(
    run: Path, checkpoint: Checkpoint, optimiser: torch.optim.Optimizer, state: TrainerState, *, keep: int = 2
) -> None:
    """Save everything needed to resume, and remove all but the newest `keep` of such checkpoints."""
    _describe(checkpoint, state)
    name = f"step-{state.step:08d}"
    checkpoint.save(run / CHECKPOINTS / name, extra_tensors={OPTIMISER_FILE: _flatten(optimiser)})
    point(run / LAST, name)
    _prune(run, "step-*", keep)


def save_best(run: Path, checkpoint: Checkpoint, state: TrainerState) -> None:
    """Save the network as the one to use; the one before it stays, for whoever is still reading it."""
    _describe(checkpoint, state)
    name = f"best-{state.step:08d}"
    checkpoint.save(run / CHECKPOINTS / name)
    point(run / BEST, name)
    _prune(run, "best-*", 2)


def last_checkpoint(run: Path) -> Path | None:
    """Return the folder to resume from: `last`, or without that link the newest; None where there is none."""
    if (run / LAST / CONFIG_FILE).is_file():
        return (run / LAST).resolve()
    return max((run / CHECKPOINTS).glob("step-*"), default=None)


def read_trainer_state(folder: Path) -> TrainerState:
    """Return the state of the run when a checkpoint was saved.

    Raises:
        InputError: training.json holds something else.
    """
    try:
        record = dict(read_json(folder / TRAINING_FILE))
        record.pop(VIEWS, None)
        return TrainerState(**record)
    except (TypeError, ValueError):
        raise InputError(f"{folder / TRAINING_FILE}: not the state of a run; take another checkpoint") from None


def resume(run: Path, checkpoint: Checkpoint, optimiser: torch.optim.Optimizer) -> TrainerState:
    """Load network and optimiser from the last checkpoint and return the state of the run.

    Raises:
        InputError: there is none, it is damaged, or it does not fit the recipe.
    """
    folder = last_checkpoint(run)
    if folder is None:
        raise InputError(f"{run}: nothing to resume (no {LAST}); leave out --resume")
    try:
        check_checkpoint(folder, OPTIMISER_FILE)
    except InputError as error:
        raise InputError(f"{error}; remove {folder} to resume from the one before") from None
    load_weights(checkpoint.network, folder / WEIGHTS_FILE)
    checkpoint.adopt_findings(read_json(folder / FINDINGS_FILE))
    _fill(optimiser, load_tensors(folder / OPTIMISER_FILE), folder / OPTIMISER_FILE)
    return read_trainer_state(folder)


def clean_up(run: Path, step: int) -> None:
    """Remove what kills have left: incomplete checkpoints, and those after the step that the run resumes from."""
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


def _describe(checkpoint: Checkpoint, state: TrainerState) -> None:
    """Put the state into what is saved beside the weights; what is said of the train studies' views stays."""
    views = {VIEWS: checkpoint.training[VIEWS]} if VIEWS in checkpoint.training else {}
    checkpoint.training = dataclasses.asdict(state) | views


def _prune(run: Path, pattern: str, keep: int) -> None:
    linked = {(run / link).resolve() for link in (LAST, BEST)}
    for folder in sorted((run / CHECKPOINTS).glob(pattern))[:-keep]:
        if folder.resolve() not in linked:
            discard(folder)


def _flatten(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    state = optimiser.state_dict()["state"]
    return {f"{number}.{name}": value for number, moments in state.items() for name, value in moments.items()}


def _fill(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor], path: Path) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        position, _, name = key.partition(".")
        if not position.isdecimal():
            raise InputError(f"{path}: {key!r} is not a tensor of an optimiser; take another checkpoint")
        state.setdefault(int(position), {})[name] = tensor
    whole = optimiser.state_dict()
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    expected = {"step", "exp_avg", "exp_avg_sq"} | ({"max_exp_avg_sq"} if optimiser.defaults["amsgrad"] else set())
    for number, moments in state.items():
        if moments.keys() != expected:
            raise InputError(f"{path}: of another optimiser; resume with the train.optimiser that the run began with")
        if number >= len(parameters) or any(
            moment.shape not in (torch.Size(), parameters[number].shape) for moment in moments.values()
        ):
            raise InputError(f"{path}: does not fit the network; resume with the recipe that the run began with")
        # In the memory format of the weights, which the fused optimiser expects and files do not keep.
        state[number] = {
            name: torch.empty_like(parameters[number]).copy_(tensor) if tensor.dim() else tensor
            for name, tensor in moments.items()
        }
    optimiser.load_state_dict({"state": state, "param_groups": whole["param_groups"]})
