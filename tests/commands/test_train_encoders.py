"""`xpronet train` with other image encoders than a ResNet, and what becomes of their checkpoints."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from xpronet.cli import run as run_command
from xpronet.experiment.run import BANK_FILE
from xpronet.files import read_json, read_json_lines
from xpronet.generation.fit_gate import fit_run_gate
from xpronet.model.checkpoint import load_checkpoint
from xpronet.model.checkpoint_files import find_checkpoint
from xpronet.model.out_of_distribution import GateSettings
from xpronet.prototypes.bank import PrototypeBank
from xpronet.training.run_folder import read_journal

pytestmark = pytest.mark.slow


def train(recipe: Path, corpus: Path, out: Path, *changes: str) -> Path:
    changed = [part for change in ("train.epochs=2", *changes) for part in ("--set", change)]
    assert run_command(["train", str(recipe), "--corpus", str(corpus), "--out", str(out), *changed]) == 0
    return out


def save_vit(folder: Path) -> Path:
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=64, patch_size=16
    )
    with torch.random.fork_rng():
        torch.manual_seed(1)
        transformers.ViTModel(config).save_pretrained(folder)
    processor = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "size": {"height": 64, "width": 64}}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


def losses(run: Path) -> list[float]:
    return [event["train"]["total"] for event in read_journal(run, "epoch")]


def outputs(network: torch.nn.Module) -> torch.Tensor:
    images = torch.randint(0, 256, (2, 2, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        patches = network.encode_images(images, torch.ones(2, 2, dtype=torch.bool))
        return network.read(patches, torch.ones(2, 5, dtype=torch.long), torch.ones(2, 14, dtype=torch.bool)).logits


def test_densenet_learns_and_its_checkpoint_gives_equal_outputs(
    tiny_recipe_file: Path, phantom_folder: Path, phantom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run = train(tiny_recipe_file, phantom_folder, tmp_path / "run", "backbone.name=densenet121")
    first, second = losses(run)
    assert second < first
    assert PrototypeBank.load(run / BANK_FILE).image_encoder == "densenet121, width 8 (random, seed 1)"
    checkpoint = load_checkpoint(run)
    assert checkpoint.network.backbone.settings.name == "densenet121"
    checkpoint.save(tmp_path / "again")
    assert torch.equal(outputs(load_checkpoint(tmp_path / "again").network), outputs(checkpoint.network))
    monkeypatch.setattr("xpronet.model.out_of_distribution.FEWEST", 2)
    gate = fit_run_gate(run, phantom, GateSettings(quantile=1.0, margin=1.0)).gate
    assert gate.mean.shape == (checkpoint.network.backbone.width_out,)
    assert run_command(["generate", str(run), "--corpus", str(phantom_folder), "--out", str(tmp_path / "p.jsonl")]) == 0
    assert len(read_json_lines(tmp_path / "p.jsonl")) == 8


def test_a_vit_learns_from_its_own_weights_and_loads_without_its_folder(
    tiny_recipe_file: Path, phantom_folder: Path, phantom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    vit = save_vit(tmp_path / "tiny-vit")
    named = ("backbone.name=huggingface", f"backbone.source={vit}")
    run = train(tiny_recipe_file, phantom_folder, tmp_path / "run", *named)
    first, second = losses(run)
    assert second < first
    assert PrototypeBank.load(run / BANK_FILE).image_encoder == "huggingface, tiny-vit (its own weights)"
    shutil.rmtree(vit)
    checkpoint = load_checkpoint(run)
    assert checkpoint.network.backbone(torch.zeros(1, 64, 64, dtype=torch.uint8)).shape == (1, 16, 4, 4)
    assert str(tmp_path) not in json.dumps(read_json(find_checkpoint(run) / "config.json"))
    checkpoint.save(tmp_path / "again")
    assert torch.equal(outputs(load_checkpoint(tmp_path / "again").network), outputs(checkpoint.network))
    # Its features are below 0 as often as above; the gate must tell images apart all the same.
    monkeypatch.setattr("xpronet.model.out_of_distribution.FEWEST", 2)
    gate = fit_run_gate(run, phantom, GateSettings(quantile=1.0, margin=1.0)).gate
    assert (gate.mean < 0).any()


def test_a_dry_run_knows_the_width_of_any_encoder(
    tiny_recipe_file: Path, phantom_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    command = ["train", str(tiny_recipe_file), "--corpus", str(phantom_folder), "--out", str(tmp_path / "run")]
    vit = save_vit(tmp_path / "tiny-vit")
    for change in ("backbone.name=densenet121", f"backbone={{name='huggingface', source='{vit}'}}"):
        assert run_command([*command, "--dry-run", "--set", change]) == 0
        assert "The whole run: about" in capsys.readouterr().out
