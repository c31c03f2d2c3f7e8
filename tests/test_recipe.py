"""Recipes are read strictly, inherit, take presets and are written back whole."""

from pathlib import Path

import pytest

from xpronet.errors import InputError
from xpronet.recipe import PRESETS, make_recipe, read_recipe, shipped_recipe

RECIPES = Path(__file__).parents[1] / "recipes"


def _write(folder: Path, text: str, name: str = "recipe.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_shipped_recipe_is_read_and_opens_with_its_command(path: Path) -> None:
    read_recipe(path)
    assert path.read_text().startswith("# xpronet train recipes/")


def test_a_recipe_survives_being_written(tmp_path: Path) -> None:
    recipe = read_recipe(RECIPES / "phantom.toml", ["train.epochs=3", "corpus=somewhere"])
    assert recipe.train.epochs == 3
    assert recipe.corpus == "somewhere"
    assert read_recipe(_write(tmp_path, recipe.to_toml())) == recipe


def test_a_recipe_takes_what_it_does_not_say_from_its_base(tmp_path: Path) -> None:
    _write(tmp_path, "[train]\nepochs = 3\nseed = 5\n", "base.toml")
    recipe = read_recipe(_write(tmp_path, 'base = "base.toml"\n[train]\nepochs = 4\n'))
    assert (recipe.train.epochs, recipe.train.seed) == (4, 5)


def test_bases_in_a_circle_are_refused(tmp_path: Path) -> None:
    _write(tmp_path, 'base = "b.toml"', "a.toml")
    _write(tmp_path, 'base = "a.toml"', "b.toml")
    with pytest.raises(InputError, match="base leads back"):
        read_recipe(tmp_path / "a.toml")


@pytest.mark.parametrize("preset", PRESETS)
def test_a_recipes_own_values_stand_above_its_preset(preset: str) -> None:
    recipe = make_recipe({"preset": preset, "train": {"clip_norm": 0.25}}, where="test")
    assert recipe.train.clip_norm == 0.25
    assert recipe.model.findings_head == (preset == "xpronet")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[train]\nepoch = 3", "unknown key train.epoch; did you mean train.epochs"),
        ("nonsense = 3", "unknown key nonsense"),
        ("[train]\nepochs = 'three'", "train.epochs = 'three'; a value of type int"),
        ("[train]\nepochs = true", "train.epochs = True; a value of type int"),
        ("[train]\nepochs = 0", "train.epochs = 0: must be at least 1"),
        ("[model]\nnorm = 'batch'", "model.norm = 'batch'; choose one of torch, published"),
        ("train = 3", "train = 3; this is a table"),
        ("preset = 'best'", "preset = 'best'; choose one of"),
        ("[train", "not TOML"),
    ],
)
def test_a_wrong_recipe_is_one_line_that_names_the_key(tmp_path: Path, text: str, told: str) -> None:
    path = _write(tmp_path, text)
    with pytest.raises(InputError) as error:
        read_recipe(path)
    assert str(error.value).startswith(str(path))
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_recipe_and_a_wrong_override_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_recipe(tmp_path / "none.toml")
    with pytest.raises(InputError, match=r"write section\.key=value"):
        read_recipe(RECIPES / "phantom.toml", ["epochs"])
    with pytest.raises(InputError, match="no recipe 'none'"):
        shipped_recipe("none")
