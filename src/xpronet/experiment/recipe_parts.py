"""The parts that a recipe names, one at a time: corpus, labels, image encoder, feature cache."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from xpronet.data.corpus import Corpus, open_corpus
from xpronet.data.feature_cache import FeatureCache, open_feature_cache
from xpronet.data.study import Study
from xpronet.encoders.build import (
    build_image_encoder,
    check_image_encoder,
    encoder_fingerprint,
    image_encoder_name,
)
from xpronet.encoders.image_encoder import ImageEncoder
from xpronet.errors import InputError
from xpronet.experiment.recipe import Recipe
from xpronet.files import confined
from xpronet.generation.generator import LabelsFrom
from xpronet.labels.label_tables import label_matrix, read_labels
from xpronet.model.settings import ModelSettings
from xpronet.precision import Precision
from xpronet.training.optimiser import count_steps


def recipe_corpus(recipe: Recipe) -> Corpus:
    """Read the corpus that a recipe names; of the sections, only the reports.

    Raises:
        InputError: the recipe names no corpus, or there is none.
    """
    if not recipe.corpus:
        raise InputError("no corpus: give --corpus FOLDER, or `corpus = ...` in the recipe")
    return open_corpus(Path(recipe.corpus), with_sections=False)


def recipe_labels(recipe: Recipe, corpus: Corpus, studies: Sequence[Study]) -> Float[np.ndarray, "studies findings"]:
    """Return the 0/1 labels of studies from the table that a recipe names.

    Raises:
        InputError: the corpus has no such table, or it lacks a study.
    """
    path = confined(corpus.folder, recipe.labels)
    if not path.is_file():
        raise InputError(f"{corpus.folder}: no {recipe.labels}; make it with `xpronet label {corpus.folder}`")
    ids = [study.id for study in studies]
    return label_matrix(read_labels(path, ids), ids)


def build_backbone(recipe: Recipe) -> ImageEncoder:
    """Build the image encoder that a recipe names; a recipe is the user's own word, so outside code may run.

    Raises:
        InputError: it is missing, damaged, or does not make square maps of the recipe's images.
    """
    backbone = build_image_encoder(recipe.backbone, recipe.weights, seed=recipe.train.seed, allow_code=True)
    check_image_encoder(backbone, size=recipe.images.size)
    return backbone


def recipe_encoder_name(recipe: Recipe) -> str:
    """Name the image encoder of a recipe and its weights, for the files made with it."""
    return image_encoder_name(recipe.backbone, recipe.weights, seed=recipe.train.seed)


def open_recipe_features(recipe: Recipe, backbone: ImageEncoder) -> FeatureCache | None:
    """Return the feature cache that a recipe names, if it names one.

    Raises:
        InputError: the recipe trains its backbone, or another image encoder or image setting made the cache.
    """
    if not recipe.features:
        return None
    if not recipe.train.freeze_backbone:
        raise InputError(
            f"features = {recipe.features!r}: only a frozen image encoder's features stay what they were; set "
            "train.freeze_backbone = true, or leave features out"
        )
    features = open_feature_cache(recipe.features)
    features.check_encoder(name=recipe_encoder_name(recipe), weights=encoder_fingerprint(backbone))
    features.check_images(recipe.images)
    return features


def label_source(model: ModelSettings) -> LabelsFrom:
    """Return what decides which prototypes a trained model may query when it generates reports.

    Its predicted findings where it has a findings head; those of the reference (an oracle) where it has none and needs
    findings; nothing where it may query all prototypes anyway, or has none.
    """
    if model.findings_head:
        return "predicted"
    return "reference" if model.visible == "findings" else "all"


def wants_bank(recipe: Recipe) -> bool:
    """Return whether training starts from prototypes made by clustering; the model's bank settings follow from them."""
    return recipe.bank == "clusters" and recipe.model.visible != "none"


def with_precision(recipe: Recipe, precision: Precision) -> Recipe:
    """Return the recipe with another precision of training."""
    return dataclasses.replace(recipe, train=dataclasses.replace(recipe.train, precision=precision))


def steps_per_epoch(recipe: Recipe, num_studies: int) -> int:
    """Return the optimiser steps of one epoch over a number of train studies."""
    return count_steps(num_studies, batch_size=recipe.batches.size, accumulate=recipe.train.accumulate)
