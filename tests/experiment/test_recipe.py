"""Recipes are read strictly, inherit, take presets and are written back whole."""

from pathlib import Path

import pytest

from xpronet.errors import InputError
from xpronet.experiment.recipe import PRESETS, make_recipe, read_recipe, read_settings, shipped_recipe
from xpronet.pretrain.settings import PretrainRecipe

RECIPES = Path(__file__).parents[2] / "recipes"


def _write(folder: Path, text: str, name: str = "recipe.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_shipped_recipe_is_read_and_opens_with_its_command(path: Path) -> None:
    if path.stem.endswith("_encoder"):
        read_settings(PretrainRecipe, path)
        assert path.read_text().startswith(f"# xpronet pretrain recipes/{path.name} ")
    else:
        read_recipe(path)
        assert f"\n# xpronet train recipes/{path.name} " in "\n" + path.read_text()


def test_settings_of_another_kind_are_read_as_strictly_as_a_recipe(tmp_path: Path) -> None:
    path = _write(tmp_path, "short_side = 64\n[fit]\nsize = 64\nsmall_size = 48\n")
    assert read_settings(PretrainRecipe, path, ["fit.epochs=2"]).fit.epochs == 2
    with pytest.raises(InputError, match=r"unknown key fit.epoch; did you mean fit.epochs\?"):
        read_settings(PretrainRecipe, path, ["fit.epoch=2"])
    with pytest.raises(InputError, match=r"fit.train_from = 'layer5'; choose one of stem"):
        read_settings(PretrainRecipe, path, ["fit.train_from=layer5"])


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


PAPER_BLEU = {"iu_xray": "0.199", "mimic_cxr": "0.105"}


@pytest.mark.parametrize("corpus", PAPER_BLEU)
@pytest.mark.parametrize("preset", ["xpronet", "published", "paper"])
def test_recipes_of_the_paper_have_its_appendix(corpus: str, preset: str) -> None:
    name = corpus if preset == "xpronet" else f"{corpus}_{preset}"
    recipe = read_recipe(RECIPES / f"{name}.toml")
    iu, published = corpus == "iu_xray", preset == "published"
    assert recipe.preset == preset
    model, train = recipe.model, recipe.train
    assert (model.layers, model.heads, model.width, model.feed_forward, model.gamma) == (3, 8, 512, 512, 15)
    assert (recipe.prototypes.per_finding, model.bank_rows, model.bank_width) == (20, 280, 2816)
    assert (recipe.backbone.depth, recipe.weights) == (101, "hub:timm/resnet101.tv_in1k")
    assert recipe.batches.max_views == (2 if iu else 1)
    assert recipe.batches.drop_views == (0.5 if preset == "xpronet" else 0.0)
    assert recipe.batches.size == (64 if published and not iu else 16)
    assert (train.learning_rate, train.backbone_learning_rate) == ((2e-3, 1e-3) if iu else (1e-4, 5e-5))
    assert (train.decay, train.epochs, train.seed, train.optimiser) == (0.8, 30, 7580, "adam")
    assert train.decay_epochs == ((10 if iu else 3) if published else 1)
    assert train.precision == ("bf16" if published and not iu else "fp32")
    assert train.best_by == ("published" if published else "word_loss")
    # 1.75 is in the paper only: the published code has 1.5 for both.
    assert recipe.loss.theta == (1.5 if iu or published else 1.75)
    assert (recipe.loss.image_contrast, recipe.loss.text_contrast, recipe.loss.margin) == (1.0, 0.1, 0.4)
    assert recipe.vocabulary.min_count == (3 if iu else 10)
    assert recipe.vocabulary.max_words == recipe.generate.max_words == (60 if iu else 100)
    assert recipe.generate.beams == 3
    cleaning = f"published-{'iu' if iu else 'mimic'}" if published else "xpronet"
    assert recipe.vocabulary.cleaning == cleaning
    views = {"xpronet": ("short-side", "crop"), "published": ("short-side", "squash"), "paper": ("square", "squash")}
    assert (recipe.images.train, recipe.images.test) == views[preset]
    opening = (RECIPES / f"{name}.toml").read_text().split("\n\n")[0]
    assert opening.startswith(f"# xpronet train recipes/{name}.toml --corpus CORPUS --out RUN\n")
    assert "not yet run here" in opening
    assert f"BLEU-4 {PAPER_BLEU[corpus]}" in opening


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[train]\nepoch = 3", "unknown key train.epoch; did you mean train.epochs"),
        ("nonsense = 3", "unknown key nonsense"),
        ("[train]\nepochs = 'three'", "train.epochs = 'three'; a value of type int"),
        ("[train]\nepochs = true", "train.epochs = True; a value of type int"),
        ("[train]\nepochs = 0", "train.epochs = 0: must be at least 1"),
        ("[images]\ntrain = 'squash'", "images.train = 'squash'; choose one of short-side, square"),
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
