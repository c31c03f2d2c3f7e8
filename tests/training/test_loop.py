"""Training learns, keeps what it should, and resumes to the bit."""

import dataclasses
import os
import shutil
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from xpronet.data.corpus import Corpus
from xpronet.errors import InputError
from xpronet.evaluation.epoch_score import EpochScore
from xpronet.experiment.build import prepare
from xpronet.experiment.recipe import Recipe
from xpronet.experiment.run import train_run
from xpronet.generation.generator import ReportGenerator
from xpronet.generation.predictions import write_reports
from xpronet.model.checkpoint import Checkpoint, load_checkpoint
from xpronet.prototypes.bank import PrototypeBank
from xpronet.training import run_folder
from xpronet.training.interrupts import Interrupted
from xpronet.training.run_folder import read_journal, read_state

WEIGHTS = Path("checkpoints/last/model.safetensors")


def test_the_run_folder_holds_what_the_design_says(tiny_run: Path) -> None:
    assert {path.name for path in tiny_run.iterdir()} == {
        "recipe.toml",
        "vocabulary.json",
        "prototypes.safetensors",
        "journal.jsonl",
        "run.json",
        "training_data.json",
        "README.md",
        "checkpoints",
    }
    files = {
        "model.safetensors",
        "config.json",
        "vocabulary.json",
        "findings.json",
        "training.json",
        "manifest.json",
    }
    assert {path.name for path in (tiny_run / "checkpoints").iterdir()} == {
        "last",
        "best",
        "step-00000004",
        "step-00000008",
        "best-00000004",
        "best-00000008",
    }
    assert (tiny_run / "checkpoints/last").resolve().name == "step-00000008"
    assert {path.name for path in (tiny_run / "checkpoints/best").iterdir()} == files
    assert {path.name for path in (tiny_run / "checkpoints/last").iterdir()} == {*files, "optimiser.safetensors"}


def test_the_validation_loss_falls(tiny_run: Path) -> None:
    losses = [event["val"]["word_loss"] for event in read_journal(tiny_run, "epoch")]
    assert len(losses) == 2
    assert losses[1] < losses[0]


def test_the_same_seed_gives_the_same_weights(tiny_recipe: Recipe, tiny_run: Path, tmp_path: Path) -> None:
    train_run(tiny_recipe, tmp_path / "again")
    assert _equal(tiny_run / WEIGHTS, tmp_path / "again" / WEIGHTS)


def test_resuming_after_an_epoch_equals_never_stopping(tiny_recipe: Recipe, tiny_run: Path, tmp_path: Path) -> None:
    shorter = dataclasses.replace(tiny_recipe, train=dataclasses.replace(tiny_recipe.train, epochs=1))
    train_run(shorter, tmp_path / "run")
    assert not _equal(tiny_run / WEIGHTS, tmp_path / "run" / WEIGHTS)
    train_run(tiny_recipe, tmp_path / "run", resumed=True)
    assert _equal(tiny_run / WEIGHTS, tmp_path / "run" / WEIGHTS)
    assert [event["epoch"] for event in read_journal(tmp_path / "run", "epoch")] == [1, 2]


def test_resuming_in_the_middle_of_an_epoch_equals_never_stopping(
    tiny_recipe: Recipe, tiny_run: Path, tmp_path: Path
) -> None:
    def stop_at_the_second_batch(items, description, total):  # type: ignore[no-untyped-def]
        for number, item in enumerate(items):
            if description.startswith("epoch") and number == 1:
                os.kill(os.getpid(), signal.SIGINT)
            yield item

    assert threading.current_thread() is threading.main_thread()
    with pytest.raises(Interrupted, match="step 2"):
        train_run(tiny_recipe, tmp_path / "run", track=stop_at_the_second_batch)
    train_run(tiny_recipe, tmp_path / "run", resumed=True)
    assert _equal(tiny_run / WEIGHTS, tmp_path / "run" / WEIGHTS)


def test_a_frozen_backbone_stays_as_it_came(tiny_recipe: Recipe, tmp_path: Path) -> None:
    frozen = dataclasses.replace(tiny_recipe, train=dataclasses.replace(tiny_recipe.train, freeze_backbone=True))
    train_run(frozen, tmp_path / "run")
    network = load_checkpoint(tmp_path / "run").network
    from xpronet.encoders.resnet import ResNet

    fresh = ResNet(network.backbone.settings, seed=tiny_recipe.train.seed)
    for name, tensor in fresh.state_dict().items():
        assert tensor.equal(network.backbone.state_dict()[name]), name


def test_a_loss_that_is_no_number_stops_with_the_studies(tiny_recipe: Recipe, tmp_path: Path) -> None:
    wild = dataclasses.replace(
        tiny_recipe, train=dataclasses.replace(tiny_recipe.train, learning_rate=1e30, clip_norm=0.0)
    )
    with pytest.raises(InputError, match=r"the loss is .* phantom-\d+.*learning_rate"):
        train_run(wild, tmp_path / "run")


def test_a_taken_folder_and_a_missing_run_are_refused(tiny_recipe: Recipe, tiny_run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"already exists.*--resume"):
        train_run(tiny_recipe, tiny_run)
    with pytest.raises(InputError, match="nothing to resume"):
        train_run(tiny_recipe, tmp_path / "nowhere", resumed=True)


def test_patience_ends_a_run_that_gets_no_better(tiny_recipe: Recipe, tmp_path: Path) -> None:
    still = dataclasses.replace(
        tiny_recipe,
        train=dataclasses.replace(
            tiny_recipe.train, epochs=6, patience=1, learning_rate=0.0, backbone_learning_rate=0.0, freeze_backbone=True
        ),
    )
    lines: list[str] = []
    train_run(still, tmp_path / "run", notify=lines.append)
    assert len(read_journal(tmp_path / "run", "epoch")) == 2
    first, second = (line for line in lines if line.startswith("epoch"))
    assert first.startswith("epoch 1/6, validation: word_loss ")
    assert "the best word_loss so far" in first or "the best findings_f1 so far" in first
    assert "the best stays that of epoch 1" in second
    assert read_state(tmp_path / "run").status == "finished early: no better score within train.patience"


def test_the_best_epoch_may_be_chosen_by_reports(tiny_recipe: Recipe, phantom: Corpus, tmp_path: Path) -> None:
    settings = dataclasses.replace(tiny_recipe.train, epochs=3, best_by="bleu4")
    recipe = dataclasses.replace(tiny_recipe, train=settings)
    state = train_run(recipe, tmp_path / "run")
    events = read_journal(tmp_path / "run", "epoch")
    scores = [event["val"]["bleu4"] for event in events]
    assert state.best_score == max(scores)
    assert state.best_epoch == scores.index(max(scores)) + 1
    assert [event["best"] for event in events] == [
        number == 0 or score > max(scores[:number]) for number, score in enumerate(scores)
    ]
    # The best checkpoint, asked again, writes validation reports of that very score.
    writer = ReportGenerator(
        load_checkpoint(tmp_path / "run"), device=torch.device("cpu"), settings=recipe.generate, labels_from="predicted"
    )
    val = phantom.split("val")
    reports = [report.text for report in write_reports(writer, phantom, val)]
    again = EpochScore(
        by="bleu4", references=tuple(study.report for study in val), train_reports=(), protocol="full-text"
    )
    assert again(reports) == state.best_score


def test_choosing_by_reports_does_not_change_what_is_learned(
    tiny_recipe: Recipe, tiny_run: Path, tmp_path: Path
) -> None:
    settings = dataclasses.replace(tiny_recipe.train, best_by="bleu4")
    train_run(dataclasses.replace(tiny_recipe, train=settings), tmp_path / "run")
    assert _equal(tiny_run / WEIGHTS, tmp_path / "run" / WEIGHTS)


def test_an_interrupt_while_an_epoch_is_judged_stops_after_it(tiny_recipe: Recipe, tmp_path: Path) -> None:
    def stop_after_the_last_batch(items, description, total):  # type: ignore[no-untyped-def]
        yield from items
        if description.startswith("epoch"):
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted, match="after epoch 1"):
        train_run(tiny_recipe, tmp_path / "run", track=stop_after_the_last_batch)
    assert (tmp_path / "run/checkpoints/last").is_dir()
    assert [event["epoch"] for event in read_journal(tmp_path / "run", "epoch")] == [1]


def test_checkpoints_write_what_was_trained(tiny_run: Path, tiny_recipe: Recipe) -> None:
    checkpoint = load_checkpoint(tiny_run)
    assert checkpoint.images == tiny_recipe.images
    assert set(checkpoint.thresholds) == set(checkpoint.findings)
    assert not checkpoint.network.training


def test_a_finished_run_is_left_as_it_is(tiny_recipe: Recipe, tiny_run: Path) -> None:
    def state() -> dict[str, int]:
        return {str(path): path.lstat().st_mtime_ns for path in tiny_run.rglob("*")}

    before = state()
    assert train_run(tiny_recipe, tiny_run, resumed=True).step == 8
    assert state() == before


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_again(
    tiny_recipe: Recipe, tiny_run: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "recipe.toml").write_text(tiny_recipe.to_toml())
    (run / "journal.jsonl").write_text('{"event": "step", "step": 1, "time": 0}\n{"event": "st')
    train_run(tiny_recipe, run, resumed=True)
    assert _equal(tiny_run / WEIGHTS, run / WEIGHTS)
    assert _told(read_journal(run)) == _told(read_journal(tiny_run))


def test_saves_between_epochs_and_the_number_kept(tiny_recipe: Recipe, tiny_run: Path, tmp_path: Path) -> None:
    settings = dataclasses.replace(tiny_recipe.train, save_steps=3, keep=3, log_steps=3)
    train_run(dataclasses.replace(tiny_recipe, train=settings), tmp_path / "run")
    kept = sorted(path.name for path in (tmp_path / "run/checkpoints").glob("step-*"))
    assert kept == ["step-00000004", "step-00000006", "step-00000008"]
    assert [event["step"] for event in read_journal(tmp_path / "run", "step")] == [3, 6]
    assert _equal(tiny_run / WEIGHTS, tmp_path / "run" / WEIGHTS)


def test_a_damaged_last_checkpoint_is_refused_and_the_one_before_taken_when_it_is_removed(
    tiny_recipe: Recipe, tiny_run: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run, symlinks=True)
    longer = dataclasses.replace(tiny_recipe, train=dataclasses.replace(tiny_recipe.train, epochs=3))
    moments = run / "checkpoints/last/optimiser.safetensors"
    moments.write_bytes(moments.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"optimiser.safetensors: damaged .* remove .*step-00000008") as caught:
        train_run(longer, run, resumed=True)
    assert "\n" not in str(caught.value)
    shutil.rmtree(run / "checkpoints/step-00000008")
    assert train_run(longer, run, resumed=True).step == 12
    assert [event["epoch"] for event in read_journal(run, "epoch")] == [1, 2, 3]


def test_moments_of_another_optimiser_are_refused(tiny_recipe: Recipe, tiny_run: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_run, tmp_path / "run", symlinks=True)
    other = dataclasses.replace(tiny_recipe.train, epochs=3, optimiser="adamw")
    prepared = prepare(
        dataclasses.replace(tiny_recipe, train=other), bank=PrototypeBank.load(tiny_run / "prototypes.safetensors")
    )
    with pytest.raises(InputError, match=r"optimiser.safetensors: of another optimiser; resume with .*optimiser"):
        prepared.fit(tmp_path / "run", resumed=True)


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("backbone", {"width": 16}, "backbone.width is 8 in the run and 16 in the recipe; give "),
        ("train", {"seed": 2, "optimiser": "adamw"}, "train.seed is 1 in the run and 2 in the recipe; also train.opt"),
        (
            "batches",
            {"size": 4, "drop_views": 0.5},
            "batches.size is 8 in the run and 4 in the recipe; also batches.dr",
        ),
        ("text", {"width": 4}, "text.width is 8 in the run and 4 in the recipe"),
    ],
)
def test_resuming_with_another_recipe_names_the_setting(
    section: str, values: dict[str, Any], message: str, tiny_recipe: Recipe, tiny_run: Path
) -> None:
    other = dataclasses.replace(tiny_recipe, **{section: dataclasses.replace(getattr(tiny_recipe, section), **values)})
    with pytest.raises(InputError) as caught:
        train_run(other, tiny_run, resumed=True)
    assert str(caught.value).startswith(f"{tiny_run}: cannot be resumed with another recipe: {message}")
    assert "\n" not in str(caught.value)


def test_what_does_not_decide_the_network_may_change_when_a_run_is_resumed(
    tiny_recipe: Recipe, tiny_run: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(tiny_run, tmp_path / "run", symlinks=True))
    other = dataclasses.replace(
        tiny_recipe,
        train=dataclasses.replace(tiny_recipe.train, epochs=3, learning_rate=1e-4, clip_norm=0.5, log_steps=1, keep=3),
        gate=dataclasses.replace(tiny_recipe.gate, margin=2.0),
        generate=dataclasses.replace(tiny_recipe.generate, beams=2),
    )
    assert train_run(other, run, resumed=True).step == 12


@pytest.mark.parametrize("copied", ["without links", "links as folders", "links as text", "without best"])
def test_runs_copied_without_symbolic_links_load_and_resume(
    copied: str, tiny_recipe: Recipe, tiny_run: Path, tmp_path: Path
) -> None:
    longer = dataclasses.replace(tiny_recipe, train=dataclasses.replace(tiny_recipe.train, epochs=3))
    whole = Path(shutil.copytree(tiny_run, tmp_path / "whole", symlinks=True))
    train_run(longer, whole, resumed=True)
    run = Path(shutil.copytree(tiny_run, tmp_path / "run", symlinks=copied != "links as folders"))
    folder = run / "checkpoints"
    for link in () if copied == "links as folders" else ("best",) if copied == "without best" else ("best", "last"):
        (folder / link).unlink()
        if copied == "links as text":
            (folder / link).write_text("step-00000008")
    if copied == "without best":
        for best in folder.glob("best-*"):
            shutil.rmtree(best)
    best = "last" if copied == "without best" else "best"
    assert _same_network(load_checkpoint(run), load_checkpoint(tiny_run / "checkpoints" / best))
    train_run(longer, run, resumed=True)
    assert _equal(whole / WEIGHTS, run / WEIGHTS)
    assert (folder / "last").is_symlink()
    assert (folder / "last").resolve().name == "step-00000012"
    assert read_state(run).status == "finished"


def test_two_trainings_in_one_folder_are_refused(
    tiny_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_folder, "LOCK_SECONDS", 0.0)
    (tmp_path / "run").mkdir()
    assert not run_folder.is_training(tmp_path / "run")
    with run_folder.sole_trainer(tmp_path / "run"):
        assert run_folder.is_training(tmp_path / "run")
        with pytest.raises(InputError, match="another process trains here"):
            train_run(tiny_recipe, tmp_path / "run")
    assert not list((tmp_path / "run").iterdir())


def test_each_start_is_stamped(tiny_run: Path, tiny_recipe: Recipe) -> None:
    (start,) = run_folder.read_starts(tiny_run)
    assert start["versions"]["torch"] == torch.__version__
    assert start["seeds"] == {"train": 1, "prototypes": tiny_recipe.prototypes.seed}
    assert start["plan"] == {"epochs": 2, "steps_per_epoch": 4, "train_studies": 28, "val_studies": 4, "patience": 0}
    assert start["device"] == "cpu" or torch.cuda.is_available()


def _told(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what a journal says beside how long things took."""
    clock = ("time", "seconds", "seconds_left", "studies_per_second")
    return [{name: value for name, value in event.items() if name not in clock} for event in events]


def _same_network(first: Checkpoint, second: Checkpoint) -> bool:
    one, other = first.network.state_dict(), second.network.state_dict()
    return all(torch.equal(one[name], other[name]) for name in one)


def _equal(first: Path, second: Path) -> bool:
    one, other = load_file(first), load_file(second)
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
