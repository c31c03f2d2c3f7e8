"""The paper's experiments from the command line."""

import json
import os
from pathlib import Path

import pytest

from xpronet.cli import run
from xpronet.experiment.recipe import Recipe


@pytest.fixture
def recipe_file(tiny_recipe: Recipe, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(tiny_recipe.to_toml().replace(f'corpus = "{tiny_recipe.corpus}"', 'corpus = ""'))
    return path


QUICK = ("train.epochs=1", "generate.beams=1", "generate.max_words=12", "gate.fit=false")
SHORT = (*(part for setting in QUICK for part in ("--set", setting)), "--skip-meteor")


@pytest.mark.long
@pytest.mark.slow
def test_ablate(recipe_file: Path, phantom_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "ablation"
    arguments = ["ablate", str(recipe_file), "--corpus", str(phantom_folder), "--out", str(out), *SHORT]
    assert run([*arguments, "--seeds", "3"]) == 0, capsys.readouterr().err
    printed = capsys.readouterr().out
    for told in ("full", "w/o CMPNet", "w/o PI", "w/o IMLCS", "R2GenCMN", "constant, best", "BLEU-4", "macro-F1 13"):
        assert told in printed, told
    record = json.loads((out / "ablation.json").read_text())
    assert [row["name"] for row in record["variants"]] == ["full", "w/o CMPNet", "w/o PI", "w/o IMLCS", "R2GenCMN"]
    assert record["stamp"]["protocol"] == "full-text"
    assert "| w/o PI |" in (out / "ablation.md").read_text()
    before = {path: path.stat().st_mtime_ns for path in out.rglob("scorecard.json")}
    assert run([*arguments, "--seeds", "3"]) == 0
    assert capsys.readouterr().out.count("was finished before") == 5
    assert {path: path.stat().st_mtime_ns for path in out.rglob("scorecard.json")} == before
    # Another recipe in the same folder would mix two experiments.
    assert run([*arguments, "--set", "train.epochs=3"]) == 2
    assert "begun with another recipe (train.epochs = 1, now 3)" in " ".join(capsys.readouterr().err.split())


@pytest.mark.long
@pytest.mark.slow
def test_sweep_as_the_manual_has_it(
    recipe_file: Path, phantom_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    out = tmp_path / "sweep"
    arguments = ["sweep", str(recipe_file), "--over", "gamma", "5", "2", "--out", str(out)]
    arguments += ["--corpus", str(phantom_folder), *SHORT, "--seeds", "1", "2"]
    assert run(arguments) == 0, capsys.readouterr().err
    assert "gamma 5" in capsys.readouterr().out
    assert {path.name for path in out.iterdir() if path.is_file()} == {
        "recipe.toml",
        "sweep-gamma.json",
        "sweep-gamma.md",
        "sweep-gamma.png",
        "sweep-gamma.svg",
    }
    record = json.loads((out / "sweep-gamma.json").read_text())
    assert [row["name"] for row in record["variants"]] == ["gamma 2", "gamma 5"]
    assert len(record["variants"][0]["scores"]["BLEU-4"]["each"]) == 2
    assert (out / "gamma-5/seed-2/scorecard.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("--over gamma", "no values"),
        ("--over gamma 2.5", "must be a whole number"),
        ("--over theta 0.5", "loss.theta = 0.5"),
        ("--over alpha 1", "alpha"),
        ("--over theta much", "much"),
        ("5 10", "--over"),
    ],
)
def test_a_wrong_sweep_is_one_line(
    recipe_file: Path,
    phantom_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: str,
    told: str,
) -> None:
    pytest.importorskip("matplotlib")
    out = tmp_path / "sweep"
    command = ["sweep", str(recipe_file), *arguments.split(), "--out", str(out), "--corpus", str(phantom_folder)]
    assert run(command) == 2
    line = capsys.readouterr().err
    assert line.startswith("xpronet: ")
    assert line.count(os.linesep) == 1
    assert told in line
    assert not out.exists()
