"""A rival's checkpoint under the commands that take one: it works as ours does, or one line says why not."""

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
import tomli_w

from xpronet.cli import run
from xpronet.files import read_json_lines


def succeed(*arguments: object) -> None:
    assert run([str(argument) for argument in arguments]) == 0


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    capsys.readouterr()
    assert run([str(argument) for argument in arguments]) == 2
    [line] = capsys.readouterr().err.splitlines()
    return line


@pytest.fixture(scope="module")
def trained(tiny_recipe_text: str, phantom_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    tree = tomllib.loads(tiny_recipe_text)
    tree["model"] = {"name": "adaatt", "width": 32, "heads": 2, "visible": "none", "options": {"dropout": 0.0}}
    tree["batches"] = {"size": 4}
    # Long enough to write a word: what has learned little finds the empty report the likeliest.
    tree["train"] |= {"epochs": 20, "freeze_backbone": True, "learning_rate": 0.01, "decay": 1.0, "log_steps": 0}
    tree["train"] |= {"optimiser": "plain-adam"}
    recipe = folder / "adaatt.toml"
    recipe.write_text(tomli_w.dumps(tree))
    succeed("features", phantom_folder, "--recipe", recipe, "--out", folder / "features")
    train = ("train", recipe, "--corpus", phantom_folder, "--features", folder / "features")
    succeed(*train, "--out", folder / "run")
    return folder / "run"


@pytest.fixture(scope="module")
def predictions(trained: Path, phantom_folder: Path) -> Path:
    path = trained.parent / "predictions.jsonl"
    succeed("generate", trained, "--corpus", phantom_folder, "--out", path)
    return path


@pytest.fixture(scope="module")
def images(phantom_folder: Path) -> list[Path]:
    return sorted((phantom_folder / "images").rglob("*.png"))[:2]


def test_its_words_have_evidence(trained: Path, images: list[Path], tmp_path: Path) -> None:
    answer = tmp_path / "report.json"
    succeed("report", trained, *images, "--json", answer, "--html", tmp_path / "report.html")
    words = json.loads(answer.read_text())["words"]
    assert words
    for word in words:
        assert np.sum(word["attention"]) == pytest.approx(1, abs=1e-3)
        assert 0 < word["language"] < 1
        assert word["prototypes"] == []


def test_words_are_drawn(trained: Path, images: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    succeed("show", "words", trained, *images, "--out", tmp_path / "words.svg")
    text = (tmp_path / "words.svg").read_text()
    assert "language" in text
    line = refused(capsys, "show", "words", trained, *images, "--out", tmp_path / "other.svg", "--layer", 1)
    assert line.endswith("--layer 1: adaatt has no layers; leave --layer out")


def test_it_is_scored_and_probed(predictions: Path, phantom_folder: Path, tmp_path: Path) -> None:
    assert len(read_json_lines(predictions)) == 8
    card = tmp_path / "scorecard.json"
    succeed("evaluate", predictions, "--corpus", phantom_folder, "--out", card, "--skip-meteor", "--probe")
    record = json.loads(card.read_text())
    assert record["probe"] is not None
    assert {"most similar train image", "random train report"} <= {row["name"] for row in record["baselines"]}


def test_reports_stand_beside_the_reference(trained: Path, phantom_folder: Path, tmp_path: Path) -> None:
    study = json.loads((phantom_folder / "studies.jsonl").read_text().splitlines()[-1])["id"]
    succeed("show", "compare", trained, "--corpus", phantom_folder, "--study", study, "--out", tmp_path / "compare.svg")
    assert (tmp_path / "compare.svg").stat().st_size > 1000


def test_what_needs_our_own_layers_is_refused_in_a_line(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(capsys, "export", trained, "--out", tmp_path / "exported", "--to", "onnx")
    assert "export needs an xpronet model; this one is adaatt" in line
    assert "needs an xpronet model; this one is adaatt" in refused(
        capsys, "show", "atlas", trained, "--out", tmp_path / "atlas.svg"
    )
