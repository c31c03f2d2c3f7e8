"""Training leaves a gate in the best checkpoint; reports, the server and exported folders warn by it."""

import dataclasses
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xpronet.cli import run as run_command
from xpronet.data.corpus import Corpus
from xpronet.deploy.load import load
from xpronet.experiment.recipe import Recipe
from xpronet.experiment.run import train_run
from xpronet.files import read_json
from xpronet.generation.fit_gate import complete_gate, fit_run_gate, pooled_features
from xpronet.model.checkpoint import load_checkpoint
from xpronet.model.checkpoint_files import GATE_FILE
from xpronet.model.fitted_parts import load_gate
from xpronet.model.out_of_distribution import FEWEST, WARNING, GateSettings
from xpronet.serve.worker import Job, generate_answers


@pytest.fixture
def few_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the small corpus have enough of them: four validation studies."""
    monkeypatch.setattr("xpronet.model.out_of_distribution.FEWEST", 2)


@pytest.fixture
def black(tmp_path: Path) -> Path:
    path = tmp_path / "black.png"
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(path)
    return path


def contents(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (run / "checkpoints" / "best").iterdir()}


def test_training_ends_with_a_gate_and_one_that_was_killed_before_gets_it_too(
    tiny_recipe: Recipe, tiny_run: Path, few_pictures: None, tmp_path: Path
) -> None:
    told: list[str] = []
    train_run(tiny_recipe, tmp_path / "whole", notify=told.append)
    assert [line.partition(",")[0] for line in told[:2]] == ["epoch 1/2", "epoch 2/2"]
    assert "gate from" in told[2]
    assert "best" in told[2]
    # tiny_run had too few images; taken up again it is a run that was killed before its last step.
    run = tmp_path / "killed"
    shutil.copytree(tiny_run, run, symlinks=True)
    train_run(tiny_recipe, run, resumed=True)
    assert contents(run) == contents(tmp_path / "whole")
    told.clear()
    train_run(tiny_recipe, run, resumed=True, notify=told.append)
    assert not told
    assert contents(run) == contents(tmp_path / "whole")


def test_going_on_with_training_gives_the_new_best_its_own_gate(
    tiny_recipe: Recipe, few_pictures: None, tmp_path: Path
) -> None:
    shorter = dataclasses.replace(tiny_recipe, train=dataclasses.replace(tiny_recipe.train, epochs=1))
    train_run(shorter, tmp_path / "run")
    first = load_gate(tmp_path / "run")
    train_run(tiny_recipe, tmp_path / "run", resumed=True)
    second = load_gate(tmp_path / "run")
    assert first is not None
    assert second is not None
    assert first.threshold != second.threshold
    assert not (tmp_path / "run" / "checkpoints" / "last" / GATE_FILE).exists()


def test_too_few_pictures_are_told_and_settings_can_do_without(tiny_run: Path, phantom: Corpus) -> None:
    pictures = sum(len(study.views) for study in phantom.split("val"))
    assert pictures < FEWEST
    line = complete_gate(tiny_run, phantom, GateSettings())
    assert f"no gate (56 train and {pictures} validation images are too few" in line
    assert complete_gate(tiny_run, phantom, GateSettings(fit=False)) == ""
    assert load_gate(tiny_run) is None


def test_only_so_many_pictures_are_looked_at(
    tiny_run: Path, phantom: Corpus, few_pictures: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run, symlinks=True)
    monkeypatch.setattr("xpronet.generation.fit_gate.MAX_IMAGES", FEWEST)
    fitted = fit_run_gate(run, phantom, GateSettings())
    assert 5 <= fitted.train <= FEWEST


def test_the_command_replaces_a_gate(
    gated_run: Path, phantom_folder: Path, few_pictures: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gated = Path(shutil.copytree(gated_run, tmp_path / "gated", symlinks=True))
    before = load_gate(gated)
    assert before is not None
    assert run_command(["gate", str(gated), "--corpus", str(phantom_folder), "--quantile", "0.1"]) == 0
    assert "0.1 quantile" in capsys.readouterr().out
    after = load_gate(gated)
    assert after is not None
    assert after.threshold < before.threshold


def test_report_warns_and_strict_refuses(
    gated_run: Path, tiny_run: Path, black: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer, page = tmp_path / "answer.json", tmp_path / "page.html"
    assert run_command(["report", str(gated_run), str(black), "--json", str(answer), "--html", str(page)]) == 0
    assert WARNING in page.read_text()
    assert WARNING in capsys.readouterr().err
    record = read_json(answer)
    assert record["gate"][0]["score"] > record["gate"][0]["threshold"]
    assert record["warnings"][0].startswith("black.png: holds a single grey")
    assert record["warnings"][1].startswith("a study of one view")
    assert record["warnings"][2:] == [f"black.png: {WARNING}"]
    assert run_command(["report", str(gated_run), str(black), "--strict"]) == 2
    assert "--strict" in capsys.readouterr().err
    assert run_command(["report", str(tiny_run), str(black), "--strict"]) == 2
    assert "no gate to be strict by" in capsys.readouterr().err


def test_views_are_judged_each_by_itself_whatever_fills_the_batch(
    gated_run: Path, phantom: Corpus, black: Path
) -> None:
    generator = load(gated_run, beams=1)
    film = phantom.view_path(phantom.split("val")[0].views[0])
    paths = [film, black]
    alone = generator.checkpoint.gate.scores(pooled_features(load_checkpoint(gated_run), paths))
    views = tuple(np.asarray(Image.open(path)) for path in paths)
    jobs = [Job(views=views, names=("view-1.png", "view-2.png")), Job(views=views[:1], names=("view-1.png",))]
    both, one = (json.loads(answer) for answer in generate_answers(generator, jobs, model="m"))
    assert both["warnings"] == [f"view-2.png: {WARNING}"]
    assert [line[:19] for line in one["warnings"]] == ["a study of one view"]
    assert [view["score"] for view in both["gate"]] == pytest.approx(alone, abs=1e-3)
    assert [view["score"] for view in one["gate"]] == pytest.approx(alone[:1], abs=1e-3)


def test_a_model_without_a_gate_says_nothing_of_one(tiny_run: Path, black: Path) -> None:
    [answer] = generate_answers(load(tiny_run, beams=1), [Job(views=_squares([black]), names=("a.png",))], model="m")
    assert "gate" not in json.loads(answer)


def _squares(paths: Sequence[Path]) -> tuple[np.ndarray, ...]:
    return tuple(np.asarray(Image.open(path)) for path in paths)
