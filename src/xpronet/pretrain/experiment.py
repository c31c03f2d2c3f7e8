"""From a recipe and a corpus to a trained encoder: run folder, encoder.safetensors, scorecard."""

from dataclasses import dataclass
from pathlib import Path

import torch

from xpronet.errors import InputError
from xpronet.files import check_writable, make_folder, write_text
from xpronet.labels.findings import FINDINGS
from xpronet.pretrain.encoder_file import ENCODER_FILE, write_encoder
from xpronet.pretrain.films import FilmSet, open_films
from xpronet.pretrain.loop import fit_encoder
from xpronet.pretrain.settings import PretrainRecipe
from xpronet.pretrain.state import BEST_FILE, LAST_FILE, PretrainState, read_tensors
from xpronet.pretrain.studies import corpus_studies, nih_studies
from xpronet.progress import Tracker, silent
from xpronet.train.stamp import git_state, sole_trainer, stamp_run

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
    device: torch.device,
    track: Tracker = silent,
) -> PretrainState:
    """Train an encoder and leave recipe, journal, checkpoints and encoder.safetensors in the run folder.

    Args:
        recipe: the experiment.
        run: a new folder, or one to go on with.
        resumed: go on from the run's last checkpoint; a finished run stays as it is.
        device: where to compute.
        track: shows progress.

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
    data = open_data(recipe, run / CACHE, track=track)
    make_folder(run)
    with sole_trainer(run):
        write_text(run / RECIPE_FILE, recipe.to_toml(), overwrite=resumed)
        plan = {"epochs": recipe.fit.epochs, "train_studies": len(data.train), "val_studies": len(data.val)}
        stamp_run(run, device=device, seeds={"pretrain": recipe.fit.seed}, plan=plan)
        resumed = resumed and (run / LAST_FILE).is_file()
        state = fit_encoder(recipe, run, data.train, data.val, device=device, resumed=resumed, track=track)
        write_encoder(
            run / ENCODER_FILE,
            read_tensors(run / BEST_FILE)[0],
            backbone=recipe.backbone,
            notes={
                "findings": FINDINGS,
                "pool_views": recipe.fit.pool_views,
                "size": recipe.fit.size,
                "weights": Path(recipe.weights).name,
                "corpus": Path(recipe.corpus).resolve().name,
                "nih": bool(recipe.nih),
                "train_studies": len(data.train),
                "epoch": state.best_epoch,
                "val_auroc": state.best_score,
                "git": git_state(Path(__file__).parent),
            },
        )
    return state


def open_data(recipe: PretrainRecipe, cache: Path, *, track: Tracker = silent) -> PretrainData:
    """Decode the films that a recipe names.

    Raises:
        InputError: a corpus, its labels or a film is missing or damaged.
    """
    folder, views = Path(recipe.corpus), recipe.fit.max_views
    train = corpus_studies(folder, "train", recipe.labels, max_views=views)
    val = corpus_studies(folder, "val", recipe.labels, max_views=views)
    if recipe.nih:
        train += nih_studies(Path(recipe.nih), "train")
    return PretrainData(
        train=open_films(train, cache, side=recipe.short_side, track=track, description="Train films"),
        val=open_films(val, cache, side=recipe.short_side, track=track, description="Validation films"),
    )
