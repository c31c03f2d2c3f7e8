"""A drawn corpus large enough to learn from, and a recipe that does so in seconds."""

import dataclasses
from pathlib import Path

import pytest

from xpronet.encoders.image_encoder import ImageEncoderSettings
from xpronet.phantom.make_corpus import PhantomSettings, make_phantom
from xpronet.pretrain.settings import FitSettings, PretrainRecipe

BACKBONE = ImageEncoderSettings(depth=18, width=8)


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """160 drawn studies of 64 x 64 with labels; read them, don't write there."""
    folder = tmp_path_factory.mktemp("drawn") / "corpus"
    make_phantom(folder, PhantomSettings(studies=160, seed=5, prevalence="balanced", size=64))
    return folder


@pytest.fixture(scope="session")
def tiny_encoder_recipe(drawn: Path) -> PretrainRecipe:
    """A narrow ResNet-18 that learns for two short epochs."""
    fit = FitSettings(epochs=2, size=64, small_size=48, learning_rate=5e-3, average=0.9, precision="fp32")
    return PretrainRecipe(corpus=str(drawn), short_side=64, backbone=BACKBONE, fit=fit)


@pytest.fixture(scope="session")
def learning_recipe(tiny_encoder_recipe: PretrainRecipe) -> PretrainRecipe:
    """The same, for long enough to learn something."""
    fit = dataclasses.replace(tiny_encoder_recipe.fit, epochs=16, small_epochs=2, learning_rate=1e-2, patience=0)
    return dataclasses.replace(tiny_encoder_recipe, fit=fit)
