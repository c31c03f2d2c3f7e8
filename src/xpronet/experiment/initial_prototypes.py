"""The prototypes that training starts from: made by clustering, read from a file, shared among processes."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from xpronet.data.corpus import Corpus
from xpronet.data.feature_cache import FeatureCache
from xpronet.data.study import Study
from xpronet.device import best_device
from xpronet.encoders.build import (
    as_module,
)
from xpronet.encoders.image_encoder import ImageEncoder
from xpronet.encoders.text_encoders import build_text_encoder, text_encoder_name
from xpronet.errors import InputError
from xpronet.experiment.recipe import Recipe
from xpronet.experiment.recipe_parts import (
    build_backbone,
    open_recipe_features,
    recipe_corpus,
    recipe_encoder_name,
    recipe_labels,
    wants_bank,
)
from xpronet.progress import Tracker, silent
from xpronet.prototypes.bank import PrototypeBank
from xpronet.prototypes.cluster import cluster_findings
from xpronet.prototypes.features import extract_features
from xpronet.prototypes.published_bank import SUFFIXES, PublishedOrder, read_published_bank
from xpronet.training.distributed import DistributedContext


def initial_bank(recipe: Recipe, *, track: Tracker = silent) -> PrototypeBank:
    """Make the prototypes that training by a recipe starts from, without training.

    Raises:
        InputError: the recipe wants no prototypes, the corpus has no labels or images, or an encoder is missing.
    """
    if not wants_bank(recipe):
        raise InputError(
            f"bank = {recipe.bank!r}, model.visible = {recipe.model.visible!r}: this recipe trains without prototypes "
            "made by clustering; choose bank = 'clusters' and model.visible = 'findings'"
        )
    corpus = recipe_corpus(recipe)
    train = corpus.split("train")
    backbone = build_backbone(recipe)
    features = open_recipe_features(recipe, backbone)
    return make_bank(
        recipe, corpus, train, recipe_labels(recipe, corpus, train), backbone, best_device(), features, track=track
    )


def make_bank(
    recipe: Recipe,
    corpus: Corpus,
    train: Sequence[Study],
    labels: Float[np.ndarray, "studies findings"],
    backbone: ImageEncoder,
    device: torch.device,
    features: FeatureCache | None = None,
    *,
    track: Tracker = silent,
) -> PrototypeBank:
    """Make the initial prototypes from the train studies (paper, section 3.2), from a feature cache if there is one."""
    as_module(backbone).to(device)
    reports = [study.report for study in train]
    seed = recipe.prototypes.seed
    text = build_text_encoder(recipe.text, reports, seed=seed, device=str(device), allow_code=True)
    if features is not None:
        features.check_studies(corpus, train, max_views=max(len(study.views) for study in train))
    seen = extract_features(
        corpus,
        train,
        backbone=backbone,
        image_encoder=recipe_encoder_name(recipe),
        images=recipe.images,
        text=text,
        text_encoder=text_encoder_name(recipe.text),
        precision=recipe.train.precision,
        features=features,
        track=track,
    )
    return cluster_findings(seen, labels, recipe.prototypes, track=track)


def load_bank(path: Path, recipe: Recipe, *, published_order: PublishedOrder = "iu-xray") -> PrototypeBank:
    """Read prototypes to train with: a bank of ours, or the authors' own init_prototypes.pt.

    Args:
        path: a bank made by `xpronet prototypes`, or a .pt file.
        recipe: what they are to be used with.
        published_order: the order of the classes in a .pt file.

    Raises:
        InputError: the file is missing, damaged or not a bank, or was made with another image encoder, image setting
            or text encoder; the line names it.
    """
    if path.suffix in SUFFIXES:
        # The authors' file says nothing of what made it: only its width can be checked.
        return read_published_bank(path, image_width=build_backbone(recipe).width_out, order=published_order)
    bank = PrototypeBank.load(path)
    bank.refuse_others(
        path,
        image_encoder=recipe_encoder_name(recipe),
        text_encoder=text_encoder_name(recipe.text),
        images=recipe.images,
        per_finding=recipe.prototypes.per_finding,
    )
    return bank


def broadcast_bank(bank: PrototypeBank | None, context: DistributedContext) -> PrototypeBank:
    """Return the main process's bank in all processes."""
    if context.count == 1:
        assert bank is not None
        return bank
    about: dict[str, Any] | None = None
    if bank is not None:
        about = {item.name: getattr(bank, item.name) for item in dataclasses.fields(bank) if item.name != "vectors"}
        about |= {"counts": dict(bank.counts), "images": dict(bank.images), "shape": list(bank.vectors.shape)}
    about = dict(context.broadcast_values(about))
    shape = about.pop("shape")
    vectors = torch.empty(shape) if bank is None else torch.from_numpy(bank.vectors)
    context.broadcast([vectors])
    about |= {"findings": tuple(about["findings"]), "notes": tuple(about["notes"])}
    return PrototypeBank(vectors=vectors.numpy(), **about)
