"""Reports of exported graphs are those of the network with other image encoders, too."""

import dataclasses
import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from xpronet.data.corpus import Corpus
from xpronet.deploy.load import load
from xpronet.encoders.image_encoder import ImageEncoderSettings
from xpronet.experiment.recipe import Recipe
from xpronet.experiment.run import train_run
from xpronet.generation.predictions import write_reports

pytestmark = pytest.mark.slow


def vit(folder: Path) -> ImageEncoderSettings:
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=64, patch_size=16
    )
    with torch.random.fork_rng():
        torch.manual_seed(1)
        transformers.ViTModel(config).save_pretrained(folder)
    processor = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "size": {"height": 64, "width": 64}}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return ImageEncoderSettings(name="huggingface", source=str(folder))


@pytest.mark.long
@pytest.mark.parametrize("name", ["densenet121", "huggingface"])
def test_reports_are_equal(name: str, export, tiny_recipe: Recipe, phantom: Corpus, tmp_path: Path):
    backbone = ImageEncoderSettings(name=name, width=8) if name == "densenet121" else vit(tmp_path / "vit")
    recipe = dataclasses.replace(tiny_recipe, backbone=backbone, train=dataclasses.replace(tiny_recipe.train, epochs=1))
    train_run(recipe, tmp_path / "run")
    folder = export(tmp_path / "run", tmp_path / "exported", "onnx")
    studies = phantom.split("test")
    expected = list(write_reports(load(tmp_path / "run", beams=2), phantom, studies, batch=4))
    runtimes = [runtime for runtime in ("onnxruntime", "openvino") if find_spec(runtime) is not None]
    if not runtimes:
        pytest.skip("no runtime for graphs is installed")
    for runtime in runtimes:
        got = list(write_reports(load(folder, beams=2, runtime=runtime), phantom, studies, batch=4))
        for ours, theirs in zip(got, expected, strict=True):
            assert ours.text == theirs.text
            probabilities = [[finding.probability for finding in report.findings] for report in (ours, theirs)]
            np.testing.assert_allclose(*probabilities, rtol=0, atol=1e-4)
