"""`xpronet watch` on runs that train, were stopped and are done."""

import json
from pathlib import Path

import pytest

from xpronet.cli import run
from xpronet.training.run_folder import read_state, sole_trainer, stamp_run


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """A run that was broken off in its second epoch."""
    import torch

    folder = tmp_path / "run"
    folder.mkdir()
    plan = {"epochs": 4, "steps_per_epoch": 5, "train_studies": 40, "val_studies": 5}
    stamp_run(folder, device=torch.device("cpu"), seeds={"train": 1}, plan=plan)
    epoch = {"event": "epoch", "step": 5, "epoch": 1, "time": 1.0, "train": {"total": 3.0}, "val": {"word_loss": 2.0}}
    step = {
        "event": "step",
        "step": 7,
        "epoch": 2,
        "time": 2.0,
        "train": {"words": 2.5, "total": 2.75},
        "gradient_norm": 1.5,
        "learning_rate": 1e-3,
        "studies_per_second": 31.25,
        "seconds_left": 90,
    }
    lines = [json.dumps(event) for event in (epoch, step)]
    (folder / "journal.jsonl").write_text("\n".join(lines) + '\n{"event": "st')
    return folder


def test_a_stopped_run(stopped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["watch", str(stopped)]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "stopped; continue with --resume" in text
    assert "1 of 4 epochs, step 7 of 20 (35 %)" in text
    assert "31.2 studies a second" in text
    assert "words 2.500, total 2.750" in text
    assert "saved nothing yet" in text


def test_a_run_that_goes(stopped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with sole_trainer(stopped):
        assert run(["watch", str(stopped)]) == 0
        assert read_state(stopped).alive
    text = capsys.readouterr().out
    assert ": training" in " ".join(text.split())
    assert "left" in text
    assert not read_state(stopped).alive


def test_a_finished_run_fits_a_small_terminal(
    tiny_run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run(["watch", str(tiny_run), "--follow"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert any("finished" in line for line in lines)
    assert any("2 of 2 epochs, step 8 of 8" in line for line in lines)


def test_a_folder_that_is_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["watch", str(tmp_path)]) == 2
    assert "not a run of `xpronet train`" in capsys.readouterr().err
