"""Training and everything after it from a feature cache, as from the images."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from xpronet.cli import run as command
from xpronet.data.corpus import open_corpus
from xpronet.encoders.extract import CacheSettings, write_feature_cache
from xpronet.errors import InputError
from xpronet.experiment.recipe import Recipe
from xpronet.experiment.recipe_parts import build_backbone, recipe_encoder_name
from xpronet.experiment.run import train_run
from xpronet.experiment.test_scores import write_test_reports


@pytest.fixture(scope="module")
def frozen(tiny_recipe: Recipe) -> Recipe:
    # Squares of 64 from images of 64: train and test views are the same, so that no crop is drawn.
    train = dataclasses.replace(tiny_recipe.train, freeze_backbone=True, epochs=1, log_steps=1)
    return dataclasses.replace(tiny_recipe, train=train)


@pytest.fixture(scope="module")
def cache(frozen: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache") / "features"
    corpus = open_corpus(frozen.corpus)
    write_feature_cache(
        corpus,
        corpus.studies,
        build_backbone(frozen),
        folder,
        name=recipe_encoder_name(frozen),
        images=frozen.images,
        settings=CacheSettings(precision="fp32", storage="fp32"),
        device=torch.device("cpu"),
    )
    return folder


def losses(run: Path) -> list[float]:
    events = [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]
    return [event["train"]["total"] for event in events if event["event"] == "epoch"] + [
        event["val"]["word_loss"] for event in events if event["event"] == "epoch"
    ]


def test_losses_and_reports_are_those_without_the_cache(frozen: Recipe, cache: Path, tmp_path: Path) -> None:
    cached = dataclasses.replace(frozen, features=str(cache))
    for name, recipe in (("images", frozen), ("features", cached)):
        train_run(recipe, tmp_path / name)
        write_test_reports(recipe, tmp_path / name)
    assert losses(tmp_path / "features") == pytest.approx(losses(tmp_path / "images"), rel=1e-4)
    texts = [
        [json.loads(line)["report"] for line in (tmp_path / name / "predictions.jsonl").read_text().splitlines()]
        for name in ("images", "features")
    ]
    assert texts[0] == texts[1]


def test_only_a_frozen_encoder_may_have_features(tiny_recipe: Recipe, cache: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"only a frozen image encoder's features stay what they were; set train"):
        train_run(dataclasses.replace(tiny_recipe, features=str(cache)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_features_of_another_encoder_are_refused_before_any_work(frozen: Recipe, cache: Path, tmp_path: Path) -> None:
    other = dataclasses.replace(frozen, features=str(cache), train=dataclasses.replace(frozen.train, seed=2))
    with pytest.raises(InputError, match=r"features of another image encoder, resnet18, width 8 \(random, seed 1\)"):
        train_run(other, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_commands(
    tiny_recipe_file: Path, phantom_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features, run = str(tmp_path / "features"), str(tmp_path / "run")
    recipe, corpus = str(tiny_recipe_file), str(phantom_folder)
    assert command(["features", corpus, "--recipe", recipe, "--out", features, "--crops", "1"]) == 0
    assert "80 images, 1 crops each" in capsys.readouterr().out
    training = ["train", recipe, "--corpus", corpus, "--out", run, "--features", features]
    assert command([*training, "--set", "train.epochs=1"]) == 0
    predictions = str(tmp_path / "predictions.jsonl")
    assert command(["generate", run, "--corpus", corpus, "--features", features, "--out", predictions]) == 0
    capsys.readouterr()
    # The model behind the predictions reads the same features: here for the most similar train images.
    assert command(["evaluate", predictions, "--skip-meteor"]) == 0
    assert "most similar" in capsys.readouterr().out
