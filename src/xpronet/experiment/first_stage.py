"""A later stage of training starts from the model that an earlier one has left."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

from xpronet.encoders.build import image_encoder_record
from xpronet.errors import InputError
from xpronet.experiment.recipe import Recipe
from xpronet.experiment.recipe_parts import wants_bank
from xpronet.files import new_folder
from xpronet.labels.findings import FINDINGS
from xpronet.model.checkpoint import Checkpoint, load_checkpoint
from xpronet.model.checkpoint_files import find_checkpoint, fingerprint

FIRST_STAGE = "first_stage"
"""Folder of a run that holds a copy of the checkpoint that it started from: resuming needs no other run."""
FROM_BANK = frozenset({"model.bank_rows", "model.bank_width", "model.per_finding"})
"""Settings that follow from the prototypes, where the recipe makes them by clustering."""


def find_first_stage(recipe: Recipe, run: Path, first_stage: Path | None, *, resumed: bool) -> Path | None:
    """Return the checkpoint that a run starts or has started from; None where it starts from nothing.

    Args:
        recipe: of the stage.
        run: its run folder.
        first_stage: a run or checkpoint, as the caller names it.
        resumed: whether the run goes on, if it has begun.

    Raises:
        InputError: a stage with reward has nothing to start from, or the run has started from another model.
    """
    kept = run / FIRST_STAGE
    if resumed and kept.is_dir():
        if first_stage is not None and fingerprint(first_stage) != fingerprint(kept):
            raise InputError(f"{first_stage}: not the model that {run} started from; leave out --from to resume")
        return kept
    if first_stage is None and recipe.reward.samples:
        raise InputError(
            f"reward.samples = {recipe.reward.samples}: training by reward starts from a trained model; "
            "give its run with --from RUN"
        )
    return None if first_stage is None else find_checkpoint(first_stage)


def load_first_stage(path: Path, recipe: Recipe) -> Checkpoint:
    """Read the model that a stage starts from.

    Args:
        path: the checkpoint.
        recipe: of the stage; what it says of images, words and network must hold of the model.

    Raises:
        InputError: no checkpoint is there, it is damaged, or a setting differs; the line names the first.
    """
    checkpoint = load_checkpoint(path, allow_code=True)  # the recipe names the same code
    there, here = _described(checkpoint), _wanted(recipe)
    free = FROM_BANK if wants_bank(recipe) else frozenset()
    for name, value in here.items():
        if name not in free and there[name] != value:
            raise InputError(
                f"{path}: {name} is {there[name]!r} in this model and {value!r} in the recipe; a later stage keeps it: "
                "build its recipe on the first one's with `base = ...`"
            )
    if checkpoint.findings != FINDINGS:
        raise InputError(f"{path}: has other findings than the labels; train a model with this version")
    return checkpoint


def keep_first_stage(path: Path, run: Path) -> None:
    """Copy the checkpoint that a run starts from into its folder."""
    if path.resolve() == (run / FIRST_STAGE).resolve():
        return
    with new_folder(run / FIRST_STAGE, overwrite=True) as temporary:
        for file in sorted(path.iterdir()):
            shutil.copyfile(file, temporary / file.name)


def _described(checkpoint: Checkpoint) -> dict[str, Any]:
    encoder = image_encoder_record(checkpoint.network.backbone)
    parts = {
        "images": dataclasses.asdict(checkpoint.images),
        "vocabulary": dataclasses.asdict(checkpoint.vocabulary.settings),
        "model": dataclasses.asdict(checkpoint.network.settings),
        "backbone": encoder,
    }
    return _named(parts) | {"batches.max_views": checkpoint.max_views}


def _wanted(recipe: Recipe) -> dict[str, Any]:
    encoder = dataclasses.asdict(recipe.backbone)
    encoder.pop("source")  # a checkpoint keeps no folders
    parts = {
        "images": dataclasses.asdict(recipe.images),
        "vocabulary": dataclasses.asdict(recipe.vocabulary),
        "model": dataclasses.asdict(recipe.model),
        "backbone": encoder,
    }
    return _named(parts) | {"batches.max_views": recipe.batches.max_views}


def _named(parts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {f"{part}.{name}": value for part, values in parts.items() for name, value in values.items()}
