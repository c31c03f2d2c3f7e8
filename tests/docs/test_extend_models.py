"""The report model of docs/how_to/extend_models.md trains, generates and loads as the page says."""

import shlex
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import tomli_w
import torch

from xpronet.cli import run
from xpronet.files import read_json_lines
from xpronet.model.report_model import Patches
from xpronet.training.run_folder import read_journal

PAGE = "how_to/extend_models.md"


def test_the_report_model_of_the_page(
    desk: Path,
    tiny_recipe_text: str,
    blocks: Callable[[str, str], list[str]],
    commands: Callable[[str], list[str]],
    install: Callable[[str, str], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    model, use = blocks(PAGE, "python")
    [named] = blocks(PAGE, "toml")
    install("my_models", model)
    tree = tomllib.loads(tiny_recipe_text)
    Path("recipe.toml").write_text(tomli_w.dumps(tree | tomllib.loads(named)))
    (desk / "run").rename("other")
    train, generate, report = commands(PAGE)
    assert run(shlex.split(train)[1:]) == 0
    first, second = (event["train"] for event in read_journal(Path("run"), "epoch"))
    assert second["words"] < first["words"]
    assert first["extra"] > 0
    assert run(shlex.split(generate)[1:]) == 0
    assert len(read_json_lines(Path("predictions.jsonl"))) == 8
    assert run(shlex.split(report)[1:]) == 0
    capsys.readouterr()
    space: dict[str, object] = {}
    exec(use, space)
    assert capsys.readouterr().out == f"{space['report'].text}\n"
    assert run(["report", "run", "frontal.png"]) == 2
    assert "report model python:my_models:BigramModel: runs code" in capsys.readouterr().err
    for refusing in (["export", "run", "--to", "onnx", "--out", "folder"], ["show", "atlas", "run", "--out", "a.png"]):
        assert run(refusing) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_its_steps_are_those_of_teacher_forcing(
    blocks: Callable[[str, str], list[str]], install: Callable[[str, str], None]
):
    from xpronet.encoders.build import build_image_encoder
    from xpronet.encoders.image_encoder import ImageEncoderSettings
    from xpronet.model.build import build_report_model
    from xpronet.model.settings import ModelSettings

    install("my_models", blocks(PAGE, "python")[0])
    settings = ModelSettings(**tomllib.loads(blocks(PAGE, "toml")[0])["model"])
    backbone = build_image_encoder(ImageEncoderSettings(depth=18, width=8), "random")
    sizes = {"num_words": 12, "padding": 0, "num_findings": 14}
    model = build_report_model(settings, backbone=backbone, **sizes, allow_code=True).eval()
    generator = torch.Generator().manual_seed(0)
    patches = Patches(torch.randn(2, 4, backbone.width_out, generator=generator), torch.ones(2, 4, dtype=torch.bool))
    words = torch.randint(1, 12, (2, 3, 5), generator=generator)
    findings = torch.zeros(2, 14, dtype=torch.bool)
    with torch.inference_mode():
        decoding = model.start_decoding(model.encode(patches, findings), num_beams=3, max_words=5)
        steps = torch.stack([decoding.step(words[..., place]) for place in range(5)], dim=2)
        for beam in range(3):
            expected = model.read(patches, words[:, beam], findings).logits.log_softmax(-1)
            torch.testing.assert_close(steps[:, beam], expected, rtol=0, atol=1e-5)
