"""What `xpronet train` does besides training: dry runs, the test split once, finished runs."""

from pathlib import Path

import pytest

from xpronet.cli import run
from xpronet.experiment.recipe import shipped_recipe
from xpronet.files import read_json, read_json_lines


@pytest.fixture
def xpronet(capsys: pytest.CaptureFixture[str]):
    def call(*arguments: object, status: int = 0) -> str:
        assert run([str(argument) for argument in arguments]) == status
        printed = capsys.readouterr()
        return printed.out if status == 0 else printed.err

    return call


def test_a_dry_run_prints_what_a_run_needs_and_leaves_nothing(
    xpronet, tiny_recipe_file: Path, phantom_folder: Path
) -> None:
    out = tiny_recipe_file.parent / "runs" / "run"
    before = sorted(tiny_recipe_file.parent.rglob("*"))
    text = xpronet(
        "train", tiny_recipe_file, "--corpus", phantom_folder, "--out", out, "--dry-run", "--set", "train.save_steps=2"
    )
    assert sorted(tiny_recipe_file.parent.rglob("*")) == before
    assert "Plan: 2 epochs of 4 steps, 28 train studies, 4 validation studies" in text
    for line in ("Memory: ", "A step: ", "A checkpoint: ", "The whole run: about ", "MiB of checkpoints"):
        assert line in text


def test_a_dry_run_of_the_shipped_recipe(xpronet, phantom_folder: Path, tmp_path: Path) -> None:
    # The recipe's precision is "auto", which stands for what this machine has.
    text = xpronet(
        "train", shipped_recipe("phantom"), "--corpus", phantom_folder, "--out", tmp_path / "run", "--dry-run"
    )
    assert "Plan: 20 epochs of 2 steps" in text
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_refuses_what_training_would(xpronet, tiny_recipe_file: Path, tmp_path: Path) -> None:
    assert "xpronet: " in xpronet("train", tiny_recipe_file, "--out", tmp_path / "run", "--dry-run", status=2)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_the_test_split_is_scored_once(xpronet, tiny_recipe_file: Path, phantom_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = ("train", tiny_recipe_file, "--corpus", phantom_folder, "--out", out, "--set", "train.epochs=1")
    text = xpronet(*command, "--test", "--skip-meteor")
    assert "Trained 4 steps" in text
    assert "Test: BLEU-4" in text
    assert len(read_json_lines(out / "predictions.jsonl")) == 8
    card = read_json(out / "scorecard.json")
    assert card["stamp"]["split"] == "test, 8 of 8 studies"
    before = {path: path.lstat().st_mtime_ns for path in out.rglob("*")}
    text = xpronet(*command, "--resume", "--test")
    assert "Finished before, nothing is left to train: 4 steps" in text
    assert "Test, scored before" in text
    assert {path: path.lstat().st_mtime_ns for path in out.rglob("*")} == before


def test_a_second_stage_starts_from_a_run(
    xpronet, tiny_recipe_file: Path, tiny_run: Path, phantom_folder: Path, tmp_path: Path
) -> None:
    stage = tmp_path / "stage.toml"
    stage.write_text(
        'base = "tiny.toml"\n[train]\nepochs = 1\nfreeze_backbone = true\nbest_by = "reward"\n'
        "[reward]\nsamples = 2\n[gate]\nfit = false\n[generate]\nbeams = 1\nmax_words = 12\n"
    )
    out = tmp_path / "stage"
    command = ("train", stage, "--corpus", phantom_folder, "--out", out)
    assert "give its run with --from RUN" in xpronet(*command, status=2)
    text = xpronet(*command, "--from", tiny_run, "--dry-run")
    assert "Plan: 1 epochs of 4 steps" in text
    assert not out.exists()
    text = xpronet(*command, "--from", tiny_run)
    assert "Trained 4 steps; best reward -" in text
    assert "Finished before" in xpronet(*command, "--resume")
    (event,) = (each for each in read_json_lines(out / "journal.jsonl") if each["event"] == "epoch")
    assert {"reward", "cider", "false_denials"} <= event["val"].keys()
