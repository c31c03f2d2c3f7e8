"""Trials are finished once, go on where they stopped, share their prototypes and keep to one recipe."""

import dataclasses
import os
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from xpronet.errors import InputError
from xpronet.experiment.recipe import Recipe
from xpronet.experiment.variant_runs import Trial, TrialFolder, open_trials
from xpronet.experiment.variants import ablation, sweep_values
from xpronet.files import read_json
from xpronet.prototypes.bank import PrototypeBank
from xpronet.training.interrupts import Interrupted
from xpronet.training.run_folder import read_journal

pytestmark = pytest.mark.long


def short(recipe: Recipe, **training: Any) -> Recipe:
    """Return the recipe with one epoch, and what is asked for besides."""
    return dataclasses.replace(recipe, train=dataclasses.replace(recipe.train, **{"epochs": 1, **training}))


def opened(folder: Path, recipe: Recipe) -> TrialFolder:
    return open_trials(folder, recipe, protocol="full-text", with_meteor=False)


def pair(variants: dict[str, Recipe]) -> dict[str, Recipe]:
    return {name: variants[name] for name in ("full", "w/o IMLCS")}


class Work:
    """Note what is tracked, and interrupt where told to."""

    def __init__(self, stop_at: str = "never") -> None:
        self.done: list[str] = []
        self.stop_at = stop_at

    def __call__(self, items: Iterable[Any], description: str, total: int) -> Iterator[Any]:
        self.done.append(description)
        for item in items:
            if self.stop_at in description:
                os.kill(os.getpid(), signal.SIGINT)
            yield item


def modified(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def done(tiny_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished ablation, two of its variants with two seeds; read it, don't write to it."""
    folder = tmp_path_factory.mktemp("trials") / "ablation"
    recipe = short(tiny_recipe)
    trials = opened(folder, recipe)
    variants = ablation(recipe, trials.bank(recipe))
    list(trials.run(variants, (1,)))
    list(trials.run(pair(variants), (2,)))
    return folder


def test_every_variant_and_seed_has_a_run_of_its_own(done: Path) -> None:
    runs = {path.parent.relative_to(done).as_posix() for path in done.rglob("scorecard.json")}
    variants = ("full", "without-cmpnet", "without-pi", "without-imlcs", "r2gencmn")
    assert runs == {*(f"{variant}/seed-1" for variant in variants), "full/seed-2", "without-imlcs/seed-2"}
    cards = {run: read_json(done / run / "scorecard.json") for run in runs}
    assert {card["stamp"]["labels from"] for card in cards.values()} == {"predicted"}
    assert all(card["studies"] == 8 for card in cards.values())
    assert not (done / "without-pi/seed-1/prototypes.safetensors").exists()


def test_variants_share_prototypes_and_seeds_with_other_backbones_do_not(done: Path) -> None:
    # Random backbone weights come from the seed, so each seed has features, and prototypes, of its own.
    assert len(list((done / "banks").iterdir())) == 2
    names = ("full/seed-1", "without-imlcs/seed-1", "full/seed-2")
    full, imlcs, other = (PrototypeBank.load(done / name / "prototypes.safetensors").vectors for name in names)
    assert (full == imlcs).all()
    assert (full != other).any()


def test_what_is_finished_is_never_repeated(done: Path, tiny_recipe: Recipe) -> None:
    recipe, before, work = short(tiny_recipe), modified(done), Work()
    trials = opened(done, recipe)
    outcomes = list(trials.run(pair(ablation(recipe, trials.bank(recipe))), (1, 2, 1), track=work))
    assert len(outcomes) == 4
    assert all(outcome.was_finished for outcome in outcomes)
    assert "was finished before" in outcomes[0].line
    assert modified(done) == before
    assert work.done == []


def test_a_table_has_every_variant_its_seeds_and_the_constants(done: Path, tiny_recipe: Recipe) -> None:
    recipe = short(tiny_recipe)
    trials = opened(done, recipe)
    told: list[str] = []
    table = trials.compare("Ablation", pair(ablation(recipe, trials.bank(recipe))), (1, 2), notify=told.append)
    assert [row.name for row in table.variants] == ["full", "w/o IMLCS"]
    assert len(told) == 4
    assert table.stamp["seeds"] == "1, 2"
    each = [
        read_json(done / f"full/seed-{seed}/scorecard.json")["model"]["scores"]["BLEU-4"]["value"] for seed in (1, 2)
    ]
    score = table.variants[0].scores["BLEU-4"]
    assert score.each == tuple(each)
    assert score.value == pytest.approx(sum(each) / 2)
    assert all(row.name.startswith("constant") for row in table.constants)
    assert table.constants[0].scores["BLEU-4"].value > 0


def test_an_interrupted_trial_goes_on_and_ends_as_if_it_had_not_been(tiny_recipe: Recipe, tmp_path: Path) -> None:
    recipe = short(tiny_recipe, epochs=2)
    variants = sweep_values(recipe, "gamma", (2.0, 4.0))
    named = {f"gamma {value:g}": each for value, each in variants.items()}
    whole = opened(tmp_path / "whole", recipe)
    expected = [outcome.card["model"]["scores"] for outcome in whole.run(named, (1,))]
    trials = opened(tmp_path / "broken", recipe)
    with pytest.raises(Interrupted, match=r"gamma 4, seed 1: stopped .* the same command continues"):
        list(trials.run(named, (1,), track=Work(stop_at="gamma 4, seed 1: epoch 2")))
    assert len(list((tmp_path / "broken").rglob("scorecard.json"))) == 1
    work = Work()
    outcomes = list(opened(tmp_path / "broken", recipe).run(named, (1,), track=work))
    assert work.done == ["gamma 4, seed 1: epoch 2/2", "gamma 4, seed 1: Write reports"]
    assert [outcome.was_finished for outcome in outcomes] == [True, False]
    assert [outcome.card["model"]["scores"] for outcome in outcomes] == expected
    assert [event["epoch"] for event in read_journal(tmp_path / "broken/gamma-4/seed-1")] == [1, 2]


def test_a_trial_killed_before_its_first_checkpoint_begins_anew(tiny_recipe: Recipe, tmp_path: Path) -> None:
    recipe = short(tiny_recipe)
    trials = opened(tmp_path / "out", recipe)
    run = tmp_path / "out/full/seed-1"
    run.mkdir(parents=True)
    (run / "recipe.toml").write_text("half of it")
    [outcome] = trials.run({"full": recipe}, (1,))
    assert not outcome.was_finished
    assert (run / "recipe.toml").read_text().startswith("preset")


def test_a_trial_that_was_trained_and_written_is_only_scored(tiny_recipe: Recipe, tmp_path: Path) -> None:
    recipe, work = short(tiny_recipe), Work()
    trials = opened(tmp_path / "out", recipe)
    [first] = trials.run({"full": recipe}, (1,))
    (tmp_path / "out/full/seed-1/scorecard.json").unlink()
    [again] = opened(tmp_path / "out", recipe).run({"full": recipe}, (1,), track=work)
    assert again.card == first.card
    assert work.done == []
    other = open_trials(tmp_path / "out", recipe, protocol="published-iu", with_meteor=False)
    with pytest.raises(InputError, match="scored under protocol full-text, not published-iu"):
        list(other.run({"full": recipe}, (1,)))


def test_a_run_that_stopped_early_is_not_trained_further(tiny_recipe: Recipe, tmp_path: Path) -> None:
    still = {"learning_rate": 0.0, "backbone_learning_rate": 0.0, "freeze_backbone": True}
    recipe = short(tiny_recipe, epochs=6, patience=1, **still)
    trials = opened(tmp_path / "out", recipe)
    list(trials.run({"full": recipe}, (1,)))
    run = tmp_path / "out/full/seed-1"
    assert len(read_journal(run)) == 2
    for name in ("scorecard.json", "predictions.jsonl"):
        (run / name).unlink()
    list(opened(tmp_path / "out", recipe).run({"full": recipe}, (1,)))
    assert len(read_journal(run)) == 2


def test_a_model_without_a_findings_head_is_told_the_findings_and_marked(tiny_recipe: Recipe, tmp_path: Path) -> None:
    model = dataclasses.replace(tiny_recipe.model, findings_head=False)
    recipe = short(dataclasses.replace(tiny_recipe, model=model))
    trials = opened(tmp_path / "out", recipe)
    variants = ablation(recipe, trials.bank(recipe))
    chosen = {name: variants[name] for name in ("full", "w/o CMPNet")}
    table = trials.compare("Test", chosen, (1,), notify=lambda line: None)
    assert [row.oracle for row in table.variants] == [True, False]
    sources = [
        read_json(tmp_path / "out" / place / "seed-1/scorecard.json")["stamp"]["labels from"]
        for place in ("full", "without-cmpnet")
    ]
    assert sources == ["reference", "all"]


def test_another_recipe_or_a_strange_folder_is_refused(done: Path, tiny_recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"begun with another recipe \(train.epochs = 1, now 2\)"):
        opened(done, tiny_recipe)
    other = dataclasses.replace(short(tiny_recipe), corpus=tiny_recipe.corpus, weights="weights.safetensors")
    with pytest.raises(InputError, match=r"weights = 'auto', now 'weights.safetensors'"):
        opened(done, other)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="holds something other"):
        opened(tmp_path, tiny_recipe)
    with pytest.raises(InputError, match="no corpus"):
        opened(tmp_path / "new", dataclasses.replace(tiny_recipe, corpus=""))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("variant", "place"),
    [("w/o PI", "without-pi/seed-1"), ("theta 1.25", "theta-1.25/seed-1"), ("R2GenCMN", "r2gencmn/seed-1")],
)
def test_places_are_plain_names(tiny_recipe: Recipe, variant: str, place: str) -> None:
    assert Trial(variant=variant, recipe=tiny_recipe).path.as_posix() == place
