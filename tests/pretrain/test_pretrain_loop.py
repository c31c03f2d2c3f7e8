"""Training on findings: it learns, stops, and goes on as if it had never stopped."""

import dataclasses
import os
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from xpronet.encoders.resnet import ResNet
from xpronet.errors import InputError
from xpronet.labels.findings import FINDINGS
from xpronet.pretrain.classifier import FindingsClassifier
from xpronet.pretrain.experiment import CACHE, open_data, pretrain_run
from xpronet.pretrain.films import FilmSet, open_films
from xpronet.pretrain.loop import fit_encoder, predict, rate_factor
from xpronet.pretrain.scores import finding_scores
from xpronet.pretrain.settings import FitSettings, LabelSettings, PretrainRecipe
from xpronet.pretrain.state import BEST_FILE, LAST_FILE, PretrainState, read_tensors
from xpronet.pretrain.studies import corpus_studies
from xpronet.training.loop import Interrupted
from xpronet.training.run_folder import read_journal

CPU = torch.device("cpu")
LARGE = ("Cardiomegaly", "Edema", "Pleural Effusion")
"""Findings that change much of an image: 64 pixels and a hundred studies are enough for them."""


def _fit(recipe: PretrainRecipe, run: Path, **more: Any) -> PretrainState:
    run.mkdir(exist_ok=True)
    data = open_data(recipe, run / CACHE)
    return fit_encoder(recipe, run, data.train, data.val, device=CPU, **more)


def test_it_learns_findings_of_studies_that_it_never_saw(learning_recipe: PretrainRecipe, tmp_path: Path) -> None:
    _fit(learning_recipe, tmp_path)
    losses = [event["train"]["loss"] for event in read_journal(tmp_path, "epoch")]
    assert losses[-1] < 0.9 * losses[0]
    network = FindingsClassifier(ResNet(learning_recipe.backbone), len(FINDINGS), learning_recipe.fit)
    network.load_state_dict(read_tensors(tmp_path / BEST_FILE)[0])
    test = corpus_studies(Path(learning_recipe.corpus), "test", LabelSettings(), max_views=2)
    films = open_films(test, tmp_path / CACHE, side=64)

    def area(of: FilmSet) -> float:
        scores = finding_scores(predict(network, of, learning_recipe.fit, device=CPU, precision="fp32"), of.targets)
        return float(np.mean([one.auroc for one in scores if one.finding in LARGE]))

    seen, blind = area(films), area(dataclasses.replace(films, pixels=films.pixels[::-1]))
    assert seen > 0.7
    assert blind < seen - 0.1


class _StopAt:
    """A tracker that interrupts the process after so many steps of training."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def __call__(self, items: Iterable[Any], description: str, total: int) -> Iterator[Any]:
        for item in items:
            if description.startswith("epoch"):
                self.left -= 1
                if not self.left:
                    os.kill(os.getpid(), signal.SIGTERM)
            yield item


@pytest.mark.parametrize("average", [0.9, 0.0])
def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(
    tiny_encoder_recipe: PretrainRecipe, tmp_path: Path, average: float
) -> None:
    fit = dataclasses.replace(tiny_encoder_recipe.fit, average=average)
    recipe = dataclasses.replace(tiny_encoder_recipe, fit=fit)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    _fit(recipe, whole)
    with pytest.raises(Interrupted, match="stopped at step 3; continue with --resume"):
        _fit(recipe, parts, track=_StopAt(3))
    # Past a whole epoch, whose score and best weights must outlive the second stop.
    with pytest.raises(Interrupted, match="stopped at step 9"):
        _fit(recipe, parts, resumed=True, track=_StopAt(6))
    state = _fit(recipe, parts, resumed=True)
    assert state.step == 14
    first, again = read_tensors(whole / LAST_FILE)[0], read_tensors(parts / LAST_FILE)[0]
    assert first.keys() == again.keys()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert (whole / BEST_FILE).read_bytes() == (parts / BEST_FILE).read_bytes()
    timeless = [
        [{key: event[key] for key in event.keys() - {"time", "seconds"}} for event in read_journal(run)]
        for run in (whole, parts)
    ]
    assert timeless[0] == timeless[1]


def test_a_run_goes_on_with_its_own_recipe_and_labels_only(tiny_encoder_recipe: PretrainRecipe, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        _fit(tiny_encoder_recipe, tmp_path, track=_StopAt(1))
    other = dataclasses.replace(
        tiny_encoder_recipe, fit=dataclasses.replace(tiny_encoder_recipe.fit, learning_rate=1e-4)
    )
    with pytest.raises(InputError, match="began with another recipe"):
        _fit(other, tmp_path, resumed=True)
    masked = dataclasses.replace(tiny_encoder_recipe, labels=LabelSettings(blank="ignore"))
    with pytest.raises(InputError, match="other films or labels"):
        _fit(masked, tmp_path, resumed=True)
    (tmp_path / LAST_FILE).write_bytes((tmp_path / LAST_FILE).read_bytes()[:5000])
    with pytest.raises(InputError, match=r"last.safetensors: not a whole safetensors file"):
        _fit(tiny_encoder_recipe, tmp_path, resumed=True)


def test_training_stops_when_validation_gets_no_better(tiny_encoder_recipe: PretrainRecipe, tmp_path: Path) -> None:
    # Without a rate nothing changes after the first epoch.
    fit = dataclasses.replace(
        tiny_encoder_recipe.fit, epochs=9, patience=2, learning_rate=0.0, head_learning_rate=0.0, batch_norm="stored"
    )
    state = _fit(dataclasses.replace(tiny_encoder_recipe, fit=fit), tmp_path)
    assert (state.best_epoch, state.step) == (1, 3 * 7)


def test_a_loss_that_is_no_number_ends_the_run(tiny_encoder_recipe: PretrainRecipe, tmp_path: Path) -> None:
    fit = dataclasses.replace(tiny_encoder_recipe.fit, learning_rate=1e30, head_learning_rate=1e30, warm_up=0.0)
    with pytest.raises(InputError, match=r"the loss is .* at step \d+; lower fit.learning_rate"):
        _fit(dataclasses.replace(tiny_encoder_recipe, fit=fit), tmp_path)


def test_the_rate_rises_and_falls_to_nothing() -> None:
    settings = FitSettings(warm_up=0.1)
    rates = [rate_factor(settings, step=step, steps=100) for step in range(100)]
    assert rates[9] == max(rates) == 1.0
    assert (np.diff(rates[:10]) > 0).all()
    assert (np.diff(rates[9:]) < 0).all()
    assert 0 < rates[-1] < 0.001


def test_images_and_labels_of_a_study_can_be_compared_in_every_way(
    tiny_encoder_recipe: PretrainRecipe, tmp_path: Path
) -> None:
    scores = set()
    for loss_on, pool in (("study", "mean"), ("study", "max"), ("image", "mean")):
        fit = dataclasses.replace(tiny_encoder_recipe.fit, epochs=1, loss_on=loss_on, pool_views=pool)
        state = _fit(dataclasses.replace(tiny_encoder_recipe, fit=fit), tmp_path / f"{loss_on}-{pool}")
        scores.add(state.best_score)
    assert len(scores) == 3


def test_a_finished_run_is_left_as_it_is(tiny_encoder_recipe: PretrainRecipe, tmp_path: Path) -> None:
    run = tmp_path / "run"
    card = pretrain_run(tiny_encoder_recipe, run, device=CPU)
    before = (run / "encoder.safetensors").read_bytes()
    with pytest.raises(InputError, match="already exists; choose another name, or add --resume"):
        pretrain_run(tiny_encoder_recipe, run, device=CPU)
    again = pretrain_run(tiny_encoder_recipe, run, resumed=True, device=CPU)
    assert again["measured"] == card["measured"]
    assert (run / "encoder.safetensors").read_bytes() == before
