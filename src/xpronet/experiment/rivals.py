"""The rows of the paper's table 1: XProNet and the models it is compared with, all on one frozen image encoder."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from xpronet.device import best_device
from xpronet.encoders.extract import CacheSettings, write_feature_cache
from xpronet.encoders.image_encoder import DENSENET121, RESNET
from xpronet.errors import InputError
from xpronet.evaluation.baselines import BEST_CONSTANT, BUILT_CONSTANT, FINDINGS_CONSTANT, RANDOM_REPORT
from xpronet.evaluation.scoring import RETRIEVAL
from xpronet.experiment.recipe import Recipe, shipped_recipe, with_layers
from xpronet.experiment.recipe_parts import build_backbone, recipe_corpus, recipe_encoder_name
from xpronet.experiment.run import train_run
from xpronet.experiment.variant_table import RowNotes
from xpronet.experiment.variants import memory_variant
from xpronet.model.build import BUILT_IN
from xpronet.model.checkpoint import load_checkpoint
from xpronet.model.checkpoint_files import save_tensors
from xpronet.progress import Tracker, silent
from xpronet.rivals.catalogue import CATALOGUE, OURS, RivalNotes
from xpronet.training.checkpoints import last_checkpoint

ENCODER_RUN = "encoder"
ENCODER_FILE = "encoder.safetensors"
FEATURES_FOLDER = "features"
NO_IMAGE = "none: no image"
BASELINES = {
    BEST_CONSTANT: RowNotes(findings_from=NO_IMAGE, exactness="", differs=""),
    BUILT_CONSTANT: RowNotes(findings_from=NO_IMAGE, exactness="", differs=""),
    FINDINGS_CONSTANT: RowNotes(findings_from=NO_IMAGE, exactness="", differs=""),
    RANDOM_REPORT: RowNotes(findings_from=NO_IMAGE, exactness="", differs=""),
    RETRIEVAL: RowNotes(findings_from="none: features of the image encoder", exactness="", differs=""),
}
"""Rows of every scorecard that stand in the same table."""


@dataclass(frozen=True, kw_only=True)
class RivalRows:
    """The models of a table."""

    recipes: Mapping[str, Recipe]
    """By the title of the row."""
    notes: Mapping[str, RowNotes]
    """By the same."""


def choose_rivals(only: Sequence[str] = ()) -> dict[str, RivalNotes]:
    """Return the rows that are wanted, in the table's order.

    Args:
        only: names; all of them by default.

    Raises:
        InputError: there is no model of that name.
    """
    known = OURS | {name: CATALOGUE[name] for name in BUILT_IN}
    for name in only:
        if name not in known:
            raise InputError(f"--only {name}: no such row; choose from {', '.join(known)}")
    return {name: notes for name, notes in known.items() if not only or name in only}


def shared_encoder(folder: Path, base: Recipe, seed: int, *, track: Tracker = silent) -> Recipe:
    """Return the recipe on the frozen image encoder that all rows share, with its features computed.

    A recipe that freezes its encoder names it already. One that trains it is trained first, once, in a run of its own;
    what follows that run's encoder is thrown away.

    Args:
        folder: of the table.
        base: the recipe.
        seed: of the run that trains the encoder.
        track: shows progress.

    Raises:
        InputError: the encoder is none of ours, so its weights cannot be handed on; or as in training.
    """
    if not base.train.freeze_backbone:
        if base.backbone.name not in (RESNET, DENSENET121):
            raise InputError(
                f"backbone.name = {base.backbone.name!r}: its weights cannot be handed on to other recipes; set "
                "train.freeze_backbone = true"
            )
        path = folder / ENCODER_FILE
        if not path.is_file():
            run = folder / ENCODER_RUN
            first = dataclasses.replace(base, train=dataclasses.replace(base.train, seed=seed))
            train_run(first, run, resumed=last_checkpoint(run) is not None, track=track)
            backbone = load_checkpoint(run, allow_code=True).network.backbone  # the recipe named it
            assert hasattr(backbone, "state_dict"), "an image encoder is a module"
            save_tensors(path, backbone.state_dict())
        base = dataclasses.replace(base, weights=str(path))
    best_by = base.train.best_by if base.train.best_by != "findings_f1" else "word_loss"
    base = dataclasses.replace(base, train=dataclasses.replace(base.train, freeze_backbone=True, best_by=best_by))
    if base.features:
        return base
    corpus = recipe_corpus(base)
    features = folder / FEATURES_FOLDER
    write_feature_cache(
        corpus,
        corpus.studies,
        build_backbone(base),
        features,
        name=recipe_encoder_name(base),
        images=base.images,
        settings=CacheSettings(),
        device=best_device(),
        track=track,
    )
    return dataclasses.replace(base, features=str(features))


def rival_rows(
    base: Recipe, chosen: Mapping[str, RivalNotes], *, stem: str, overrides: Sequence[str] = ()
) -> RivalRows:
    """Return the recipe of each row.

    Args:
        base: on the encoder that all rows share.
        chosen: the rows.
        stem: of the base recipe's file: a recipe `rivals/STEM_NAME.toml` that comes with the package adjusts the row to
            that corpus.
        overrides: settings of all rows.

    Raises:
        InputError: a setting is wrong, or XProNet is wanted of a recipe without prototypes.
    """
    recipes = {notes.title: _row(base, name, stem, overrides) for name, notes in chosen.items()}
    noted = {
        notes.title: RowNotes(findings_from=notes.findings_from, exactness=notes.exactness, differs=notes.differs)
        for notes in chosen.values()
    }
    return RivalRows(recipes=recipes, notes=noted)


def _row(base: Recipe, name: str, stem: str, overrides: Sequence[str]) -> Recipe:
    if name in BUILT_IN:
        layers = [shipped_recipe(f"rivals/{name}")]
        adjusted = layers[0].with_name(f"{stem}_{name}.toml")
        if adjusted.is_file():
            layers.append(adjusted)
        plain = dataclasses.replace(base, model=dataclasses.replace(base.model, options={}))
        recipe = with_layers(plain, layers, overrides)
        # The same for all rows, whatever a layer prefers for itself.
        train = dataclasses.replace(recipe.train, freeze_backbone=True, best_by=base.train.best_by)
        return dataclasses.replace(recipe, train=train)
    recipe = with_layers(base, (), overrides)
    if name == "transformer":
        return dataclasses.replace(recipe, model=dataclasses.replace(recipe.model, visible="none"))
    if name == "r2gencmn":
        return memory_variant(recipe)
    return recipe
