import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.covariance import LedoitWolf

from xpronet.cli import run as run_command
from xpronet.commands.searching import search_settings
from xpronet.errors import InputError
from xpronet.files import read_json
from xpronet.generate.writer import Writer
from xpronet.model.checkpoint import load_checkpoint
from xpronet.model.gate import GATE_FILE, WARNING, fit_gate, load_gate, pooled_features
from xpronet.serve.worker import Job, write_answers


def test_scores_are_ledoit_and_wolfs_distances() -> None:
    rng = np.random.default_rng(0)
    train, held_out = rng.normal(size=(30, 50)).astype(np.float32), rng.normal(size=(20, 50)).astype(np.float32)
    gate = fit_gate(train, held_out, quantile=0.5)
    expected = LedoitWolf().fit(train.astype(np.float64)).mahalanobis(held_out.astype(np.float64)) / 50
    assert gate.scores(held_out) == pytest.approx(expected, rel=1e-3)
    assert (gate.scores(held_out) > gate.threshold).sum() == 10
    assert gate.scores(held_out + 20).min() > gate.threshold


def test_too_few_pictures_are_refused() -> None:
    with pytest.raises(InputError, match="too few"):
        fit_gate(np.zeros((30, 4), np.float32), np.zeros((9, 4), np.float32))


def test_the_command_gives_a_run_a_gate_that_report_asks(
    tiny_run: Path, phantom_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    run = tmp_path / "run"
    shutil.copytree(tiny_run, run, symlinks=True)
    assert load_gate(run) is None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("xpronet.model.gate.FEWEST", 2)
        assert run_command(["gate", str(run), "--corpus", str(phantom_folder), "--quantile", "1"]) == 0
    noise = tmp_path / "noise.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)).save(noise)
    answer = tmp_path / "answer.json"
    assert run_command(["report", str(run), str(noise), "--json", str(answer)]) == 0
    assert WARNING in capsys.readouterr().err
    record = read_json(answer)
    assert record["gate"][0]["score"] > record["gate"][0]["threshold"]
    assert record["warnings"] == [f"noise.png: {WARNING}"]
    assert run_command(["report", str(run), str(noise), "--strict"]) == 2
    gate_file = next((run / "checkpoints" / "best").resolve().glob(GATE_FILE))
    gate_file.write_bytes(gate_file.read_bytes()[:-1])
    assert run_command(["report", str(run), str(noise)]) == 2
    assert "damaged" in capsys.readouterr().err


def test_the_server_warns_of_the_same_pictures(tiny_run: Path) -> None:
    checkpoint = load_checkpoint(tiny_run)
    squares = np.random.default_rng(1).integers(0, 256, (12, 64, 64), dtype=np.uint8)
    features = pooled_features(checkpoint.network.backbone, list(squares))
    gate = fit_gate(features, features, quantile=1.0)
    settings = search_settings(tiny_run, checkpoint, beams=1, choose=None)
    writer = Writer(checkpoint, device=torch.device("cpu"), settings=settings)
    views = (squares[0], np.zeros((64, 64), np.uint8))
    [answer] = write_answers(writer, [Job(views=views, names=("view-1.png", "view-2.png"))], model="m", gate=gate)
    record = json.loads(answer)
    assert record["warnings"] == [f"view-2.png: {WARNING}"]
    assert [view["score"] > view["threshold"] for view in record["gate"]] == [False, True]
