"""Training curves from journals with epochs only, with single steps, and with unknown entries."""

import json
from pathlib import Path

import pytest
from PIL import Image

from xpronet.errors import InputError
from xpronet.show.figures import run_names
from xpronet.show.training import draw_training, read_history

pytest.importorskip("matplotlib")


def _epoch(number: int, *, best: bool) -> dict:
    losses = {"words": 3.0 / number, "image_contrast": 0.3, "text_contrast": 0.2, "findings": 0.5, "total": 4.0}
    val = {"word_loss": 3.1 / number, "findings_f1": 0.1 * number, "bleu4": None}
    return {"event": "epoch", "step": 4 * number, "train": losses, "val": val, "best": best, "learning_rate": 1e-3}


def _run(folder: Path, *events: dict) -> Path:
    folder.mkdir(parents=True)
    (folder / "journal.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    return folder


def test_epochs_are_read(tmp_path: Path) -> None:
    run = _run(tmp_path / "run", _epoch(1, best=True), _epoch(2, best=True), _epoch(3, best=False))
    history = read_history(run, "run")
    assert history.train["words"].steps == (4, 8, 12)
    assert history.train["words"].values == (3.0, 1.5, 1.0)
    assert set(history.val) == {"word_loss", "findings_f1"}  # a score without a value is none
    assert history.best == 8
    assert history.learning_rates["learning_rate"].values == (1e-3,) * 3
    assert not history.steps


def test_single_steps_are_read_and_drawn(tmp_path: Path) -> None:
    steps = [
        {
            "event": "step",
            "step": n,
            "train": {"words": 4.0 - n / 10},
            "gradient_norm": 2.0 + n / 8,
            "learning_rates": [n / 1e4, n / 1e5],
        }
        for n in range(1, 9)
    ]
    plain = _run(tmp_path / "plain", _epoch(1, best=True), _epoch(2, best=True))
    logged = _run(tmp_path / "logged", *steps[:4], _epoch(1, best=True), *steps[4:], _epoch(2, best=True))
    history = read_history(logged, "logged")
    assert history.steps["gradient_norm"].values == tuple(2.0 + n / 8 for n in range(1, 9))
    assert history.learning_rates["learning_rate"].steps == tuple(range(1, 9))
    assert history.learning_rates["backbone_learning_rate"].values[-1] == 8e-5
    names = run_names([plain, logged])
    draw_training(
        [read_history(run, name) for run, name in zip((plain, logged), names, strict=True)], tmp_path / "a.svg"
    )
    svg = (tmp_path / "a.svg").read_text()
    for expected in ("Word loss", "validation", "Norm of the gradients", "plain", "logged", "macro-F1"):
        assert expected in svg, expected
    assert "math" not in svg  # the ticks of a logarithmic axis are plain numbers
    draw_training([read_history(plain, "plain")], tmp_path / "b.svg")
    assert "Norm of the gradients" not in (tmp_path / "b.svg").read_text()


def test_the_same_journal_gives_the_same_bytes(tmp_path: Path) -> None:
    run = _run(tmp_path / "run", _epoch(1, best=True), _epoch(2, best=False))
    for kind in ("png", "svg"):
        for name in ("a", "b"):
            draw_training([read_history(run, "run")], tmp_path / f"{name}.{kind}")
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()
    with Image.open(tmp_path / "a.png") as image:
        assert image.width >= 1200


def test_journals_without_an_epoch_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_history(tmp_path / "none", "none")
    with pytest.raises(InputError, match="no epoch is complete"):
        read_history(_run(tmp_path / "young", {"event": "step", "step": 1, "loss": 3.0}), "young")
    with pytest.raises(InputError, match="line 1: not an event"):
        read_history(_run(tmp_path / "other", {"event": "epoch"}, _epoch(1, best=True)), "other")


def test_runs_are_named_by_the_ends_of_their_paths() -> None:
    ends = [Path("/runs/full/seed-0"), Path("/runs/base/seed-0")]
    assert run_names(ends) == ("full/seed-0", "base/seed-0")
    assert run_names(ends[:1]) == ("seed-0",)
    with pytest.raises(InputError, match="named twice"):
        run_names([ends[0], ends[0]])
