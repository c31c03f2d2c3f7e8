"""File names as browsers, copies and old file systems make them: brackets, spaces, bytes that are no UTF-8."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xpronet.cli import run

Command = Callable[..., str]

NAMES = ["[1] chest.png", "{1} chest.png", "[1].png", "chest [2].png", "{}.png"]
LATIN = os.fsdecode(b"R\xf6ntgen\xff")
"""A name whose bytes are Latin-1; Python keeps them as lone surrogates."""


@pytest.fixture
def xpronet(capfd: pytest.CaptureFixture[str]) -> Command:
    def command(*arguments: object) -> str:
        status = run([str(argument) for argument in arguments])
        printed = capfd.readouterr()
        assert status == 0, printed.err
        return printed.out + printed.err

    return command


def chest(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 64), dtype=np.uint8)).save(path, format="PNG")
    return path


@pytest.mark.parametrize("name", NAMES)
def test_names_that_look_like_json(
    name: str, tiny_run: Path, xpronet: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    chest(Path(name))
    assert xpronet("report", tiny_run, name, name).strip()


def test_names_that_are_not_utf8(
    tiny_run: Path, phantom_folder: Path, tiny_recipe_text: str, xpronet: Command, tmp_path: Path
) -> None:
    place = tmp_path / LATIN
    try:
        place.mkdir()
    except OSError:
        pytest.skip("this file system holds names in UTF-8 only")
    image = chest(place / f"{LATIN}.png")
    corpus = shutil.copytree(phantom_folder, place / "corpus")
    trained = shutil.copytree(tiny_run, place / "run", symlinks=True)
    answer, page = place / "answer.json", place / "page.html"
    xpronet("report", trained, image, "--json", answer, "--html", page)
    assert json.loads(answer.read_text())["views"] == [image.name]
    assert json.loads(answer.read_text())["id"] == image.stem
    xpronet("generate", trained, "--corpus", corpus, "--out", place / "predictions.jsonl")
    scorecard = place / "scorecard.json"
    xpronet("evaluate", place / "predictions.jsonl", "--corpus", corpus, "--out", scorecard, "--skip-meteor")
    xpronet("label", corpus, "--overwrite")
    xpronet("prepare", "check", corpus)
    xpronet("watch", trained)
    table = place / "table.csv"
    rows = [f"s{number},{split},Clear.,chest.png" for number, split in enumerate(("train", "val", "test"))]
    table.write_text("\n".join(["id,split,report,image", *rows]))
    chest(place / "images" / "chest.png")
    xpronet("prepare", "table", "--csv", table, "--images", place / "images", "--out", place / "made")
    recipe = place / "recipe.toml"
    recipe.write_text(tiny_recipe_text)
    xpronet("train", recipe, "--corpus", phantom_folder, "--out", place / "trained", "--set", "train.epochs=1")
    xpronet("train", recipe, "--corpus", phantom_folder, "--out", place / "trained", "--resume")
    xpronet("generate", place / "trained", "--corpus", corpus, "--out", place / "again.jsonl")
    xpronet("show", "words", trained, image, "--out", place / "words.png")
    xpronet("show", "atlas", trained, "--out", place / "atlas.png")


def test_runtimes_need_utf8(tiny_run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["export", str(tiny_run), "--to", "onnx", "--out", str(tmp_path / LATIN)]) == 2
    assert capfd.readouterr().err.endswith("its name is not UTF-8; rename the file or folder\n")


def test_recipes_hold_utf8_only(
    phantom_folder: Path, tiny_recipe_file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    corpus = shutil.copytree(phantom_folder, tmp_path / LATIN)
    assert run(["train", str(tiny_recipe_file), "--corpus", str(corpus), "--out", str(tmp_path / "run")]) == 2
    assert capfd.readouterr().err.splitlines()[-1].endswith("a recipe holds UTF-8 only; rename that file or folder")


def test_mistakes_with_names_that_are_not_utf8(
    tiny_run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for arguments in (
        ["report", str(tiny_run), LATIN],
        ["train", LATIN, "--out", "run"],
        ["prepare", "check", LATIN],
        ["watch", LATIN],
    ):
        assert run(arguments) == 2
        told = capfd.readouterr().err
        assert "R\\udcf6ntgen\\udcff" in told
        assert told.count("\n") == 1
