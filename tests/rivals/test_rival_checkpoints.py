"""A rival's checkpoint under the commands that take one: it works as ours does, or one line says why not."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from xpronet.cli import run
from xpronet.experiment.build import prepare
from xpronet.experiment.recipe import Recipe
from xpronet.files import read_json_lines
from xpronet.rivals.captioner import Captioner


def succeed(*arguments: object) -> None:
    assert run([str(argument) for argument in arguments]) == 0


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    capsys.readouterr()
    assert run([str(argument) for argument in arguments]) == 2
    [line] = capsys.readouterr().err.splitlines()
    return line


@pytest.fixture(scope="module")
def trained(tiny_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint whose weights are drawn, and which is slow to end a report."""
    model = dataclasses.replace(tiny_recipe.model, name="adaatt", visible="none")
    checkpoint = prepare(dataclasses.replace(tiny_recipe, model=model)).checkpoint
    assert isinstance(checkpoint.network, Captioner)
    with torch.no_grad():
        checkpoint.network.word_output.bias[checkpoint.vocabulary.eos] = -20.0
    folder = tmp_path_factory.mktemp("drawn") / "checkpoint"
    checkpoint.save(folder)
    return folder


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
    succeed("show", "words", trained, *images, "--out", tmp_path / "words.svg", "--only", "all")
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
