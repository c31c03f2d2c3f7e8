"""A run is searched as its recipe says, unless the command line says otherwise."""

import dataclasses
import shutil
from pathlib import Path

import pytest

from xpronet.commands.searching import search_settings
from xpronet.experiment.recipe import Recipe
from xpronet.generation.beam import BeamSettings
from xpronet.model.checkpoint import load_checkpoint


@pytest.fixture
def run(tiny_run: Path, tiny_recipe: Recipe, tmp_path: Path) -> Path:
    shutil.copytree(tiny_run, tmp_path / "run")
    recipe = dataclasses.replace(tiny_recipe, generate=BeamSettings(beams=5, max_words=40, choose="agreeing"))
    (tmp_path / "run/recipe.toml").write_text(recipe.to_toml())
    return tmp_path / "run"


@pytest.mark.parametrize("part", [".", "checkpoints/best"])
def test_the_recipe_of_the_run_decides(run: Path, part: str) -> None:
    settings = search_settings(run / part, load_checkpoint(run / part), beams=None, choose=None)
    assert settings == BeamSettings(beams=5, max_words=40, choose="agreeing")


def test_the_command_line_comes_first(run: Path) -> None:
    settings = search_settings(run, load_checkpoint(run), beams=2, choose="likeliest")
    assert settings == BeamSettings(beams=2, max_words=40, choose="likeliest")


def test_a_checkpoint_on_its_own_is_searched_as_published(run: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    shutil.copytree(run / "checkpoints/best", alone)
    settings = search_settings(alone, load_checkpoint(alone), beams=None, choose=None)
    assert settings == BeamSettings(beams=3, max_words=40)
