"""The model that comes with the package: small, whole, stamped, and found by its name."""

from pathlib import Path

import pytest
import torch

from xpronet.cli import run
from xpronet.deploy.demo_model import demo_model
from xpronet.deploy.load import model_folder
from xpronet.evaluation.finding_f1 import MAIN
from xpronet.files import read_json
from xpronet.model.checkpoint_files import check_checkpoint, fingerprint, listed_files, load_tensors
from xpronet.training.training_data import DRAWN

MOST_BYTES = 6_000_000


def test_it_is_whole_and_small_and_in_fp16() -> None:
    folder = demo_model()
    check_checkpoint(folder, *listed_files(folder))
    assert sum(path.stat().st_size for path in folder.rglob("*")) < MOST_BYTES
    tensors = load_tensors(folder / "model.safetensors").values()
    assert {tensor.dtype for tensor in tensors} == {torch.float16, torch.int64}


def test_it_says_what_it_is_worth_and_what_made_it() -> None:
    folder = demo_model()
    card, scores = (folder / "README.md").read_text(), read_json(folder / "scorecard.json")
    assert f"**{DRAWN}**" in card
    assert scores["stamp"]["model"] == fingerprint(folder)
    assert f"{scores['model']['scores'][MAIN]['value']:.3f}" in card
    origin = read_json(folder / "origin.json")
    assert len(origin["revision"]) == 40
    assert not origin["changed"]
    for text in (origin["revision"], origin["command"], "SHA-256"):
        assert text in card


def test_its_name_is_taken_wherever_a_model_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "demo").mkdir()
    monkeypatch.chdir(tmp_path)
    assert model_folder("demo") == demo_model()
    assert model_folder(Path("demo")) == Path("demo")
    assert run(["info", "demo"]) == 0
    assert DRAWN in capsys.readouterr().out
