"""`xpronet pretrain` from the command line."""

import json
import shutil
from pathlib import Path

import pytest

from xpronet.cli import run
from xpronet.encoders.build import build_image_encoder
from xpronet.encoders.image_encoder import ImageEncoderSettings
from xpronet.experiment.recipe import shipped_recipe

SMALL = """
weights = "random"
short_side = 64
[backbone]
depth = 18
width = 8
[fit]
epochs = 1
size = 64
small_size = 64
precision = "fp32"
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    return path


def test_an_encoder_is_trained_measured_and_loaded(
    recipe: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    labels = f"labels:{drawn / 'labels.csv'}"
    assert run(["pretrain", str(recipe), "--corpus", str(drawn), "--out", str(out), "--measure", labels]) == 0
    assert "validation, labels of labels.csv: 16 studies" in capsys.readouterr().out
    build_image_encoder(ImageEncoderSettings(depth=18, width=8), str(out / "encoder.safetensors"))
    card = json.loads((out / "scorecard.json").read_text())
    first, second = card["measured"]
    assert first["findings"] == second["findings"]
    assert str(drawn) not in json.dumps(card["encoder"])
    assert "Trained in 0 minutes (7 steps)" in (out / "scorecard.md").read_text()
    assert {path.name for path in out.iterdir()} >= {"recipe.toml", "journal.jsonl", "run.json", "last.safetensors"}


def test_mistakes_are_told_in_a_line(
    recipe: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = Path(shutil.copytree(drawn, tmp_path / "bare"))
    (bare / "labels.csv").unlink()
    common = ["pretrain", str(recipe), "--out", str(tmp_path / "run")]
    for more, told in (
        (["--corpus", str(bare)], "no labels.csv; make it with `xpronet label"),
        ([], "no corpus: give --corpus FOLDER"),
        (["--corpus", str(drawn), "--set", "fit.mirror=true"], "unknown key fit.mirror"),
        (["--corpus", str(drawn), "--set", "fit.size=128"], "short_side = 64: must be at least fit.size"),
        (["--corpus", str(drawn), "--set", "weights=gone.safetensors"], "gone.safetensors: no such weights file"),
        (["--corpus", str(drawn), "--measure", "nih:gone"], "gone/images.csv: no such file"),
        (["--corpus", str(drawn), "--resume"], "nothing to resume"),
    ):
        assert run([*common, *more]) == 2, told
        assert told in capsys.readouterr().err
        assert not (tmp_path / "run" / "encoder.safetensors").exists()
        shutil.rmtree(tmp_path / "run", ignore_errors=True)


def test_the_shipped_recipe_is_whole() -> None:
    from xpronet.experiment.recipe import read_settings
    from xpronet.pretrain.settings import PretrainRecipe

    settings = read_settings(PretrainRecipe, shipped_recipe("iu_xray_encoder"))
    assert settings.backbone.depth == 50
    assert settings.backbone.stride_in_1x1
