"""From a recipe and a corpus to a trained encoder: run folder, encoder.safetensors, scorecard."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from xpronet.errors import InputError
from xpronet.files import check_writable, make_folder, write_text
from xpronet.labels.findings import FINDINGS
from xpronet.pretrain.encoder_file import ENCODER_FILE, read_encoder, write_encoder
from xpronet.pretrain.films import FilmSet, open_films
from xpronet.pretrain.loop import fit_encoder
from xpronet.pretrain.measure import FilmSource, judged_labels, measure_encoder
from xpronet.pretrain.scorecard import write_scorecard
from xpronet.pretrain.settings import PretrainRecipe
from xpronet.pretrain.state import BEST_FILE, LAST_FILE, PretrainState, read_tensors
from xpronet.pretrain.studies import corpus_studies, nih_studies
from xpronet.progress import Tracker, silent
from xpronet.training.run_folder import git_state, sole_trainer, stamp_run

RECIPE_FILE = "recipe.toml"
CACHE = "films"


@dataclass(frozen=True, kw_only=True)
class PretrainData:
    """What an encoder is trained on and chosen by."""

    train: FilmSet
    """Of the corpus, and of NIH where the recipe names it."""
    val: FilmSet
    """Of the corpus alone."""


def pretrain_run(
    recipe: PretrainRecipe,
    run: Path,
    *,
    resumed: bool = False,
    sources: Sequence[FilmSource] = (),
    title: str = "Image encoder",
    command: Sequence[str] = (),
    device: torch.device,
    track: Tracker = silent,
) -> dict[str, Any]:
    """Train an encoder and leave recipe, journal, checkpoints, encoder.safetensors and scorecard in the run folder.

    Args:
        recipe: the experiment.
        run: a new folder, or one to go on with.
        resumed: go on from the run's last checkpoint; a finished run is only measured again.
        sources: what else than the validation split the encoder is measured on.
        title: of the scorecard.
        command: what was called, for the scorecard.
        device: where to compute.
        track: shows progress.

    Returns:
        The scorecard.

    Raises:
        InputError: recipe, corpus, labels, films or weights do not fit each other, or the folder is taken.
    """
    if run.exists() and any(run.iterdir()) and not resumed:
        raise InputError(f"{run}: already exists; choose another name, or add --resume to go on with it")
    if resumed and not (run / RECIPE_FILE).is_file():
        raise InputError(f"{run}: nothing to resume (no run is there); leave out --resume")
    if not recipe.corpus:
        raise InputError("no corpus: give --corpus FOLDER, or `corpus = ...` in the recipe")
    check_writable(run)
    for source in sources:
        source.studies(recipe)  # a folder that is not there should not be told of after an hour
    data = open_data(recipe, run / CACHE, track=track)
    make_folder(run)
    with sole_trainer(run):
        write_text(run / RECIPE_FILE, recipe.to_toml(), overwrite=resumed)
        plan = {"epochs": recipe.fit.epochs, "train_studies": len(data.train), "val_studies": len(data.val)}
        stamp_run(run, device=device, seeds={"pretrain": recipe.fit.seed}, plan=plan)
        resumed = resumed and (run / LAST_FILE).is_file()
        state = fit_encoder(recipe, run, data.train, data.val, device=device, resumed=resumed, track=track)
        if not _is_written(run / ENCODER_FILE, state):
            write_encoder(
                run / ENCODER_FILE,
                read_tensors(run / BEST_FILE)[0],
                backbone=recipe.backbone,
                notes=_notes(recipe, data, state),
            )
        encoder = read_encoder(run / ENCODER_FILE)
        measured = measure_encoder(encoder, recipe, sources, cache=run / CACHE, device=device, track=track)
        return write_scorecard(run, title=title, command=command, state=state, notes=encoder.notes, measured=measured)


def open_data(recipe: PretrainRecipe, cache: Path, *, track: Tracker = silent) -> PretrainData:
    """Decode the films that a recipe names.

    Raises:
        InputError: a corpus, its labels or a film is missing or damaged.
    """
    folder, views = Path(recipe.corpus), recipe.fit.max_views
    train = corpus_studies(folder, "train", recipe.labels, max_views=views)
    val = corpus_studies(folder, "val", judged_labels(recipe.labels), max_views=views)
    if recipe.nih:
        train += nih_studies(Path(recipe.nih), "train")
    return PretrainData(
        train=open_films(train, cache, side=recipe.short_side, track=track, description="Train films"),
        val=open_films(val, cache, side=recipe.short_side, track=track, description="Validation films"),
    )


def _is_written(path: Path, state: PretrainState) -> bool:
    """Say whether the encoder of the best epoch is there; it keeps the revision of the code that trained it."""
    return path.is_file() and read_encoder(path).notes.get("epoch") == state.best_epoch


def _notes(recipe: PretrainRecipe, data: PretrainData, state: PretrainState) -> dict[str, Any]:
    """Return what an encoder's file says of its making; names of files, not where they lay."""
    return {
        "findings": FINDINGS,
        "pool_views": recipe.fit.pool_views,
        "size": recipe.fit.size,
        "weights": Path(recipe.weights).name,
        "corpus": Path(recipe.corpus).resolve().name,
        "labels": dataclasses.asdict(recipe.labels),
        "nih": bool(recipe.nih),
        "train_studies": len(data.train),
        "train_films": len(data.train.pixels),
        "epoch": state.best_epoch,
        "val_auroc": state.best_score,
        "git": git_state(Path(__file__).parent),
    }
