"""TensorBoard's event files, read back by TensorBoard itself."""

import dataclasses
import io
import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import equal

from xpronet.cli import run
from xpronet.data.corpus import Corpus
from xpronet.experiment.recipe import Recipe
from xpronet.experiment.run import train_run
from xpronet.images.read import read_grey
from xpronet.images.transforms import test_view as shown_view
from xpronet.training.interrupts import Interrupted
from xpronet.training.run_folder import read_journal
from xpronet.training.tensorboard import TENSORBOARD_FOLDER

WEIGHTS = Path("checkpoints/last/model.safetensors")


@pytest.fixture(scope="module")
def watched(tiny_recipe: Recipe) -> Recipe:
    settings = dataclasses.replace(tiny_recipe.train, tensorboard=True, log_steps=1, save_steps=1)
    return dataclasses.replace(tiny_recipe, train=settings)


@pytest.fixture(scope="module")
def board_run(watched: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("watched") / "run"
    train_run(watched, folder)
    return folder


def events(folder: Path) -> Any:
    found = EventAccumulator(str(folder / TENSORBOARD_FOLDER), size_guidance={"images": 0, "tensors": 0, "scalars": 0})
    return found.Reload()


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    found = events(folder)
    return {tag: [(each.step, each.value) for each in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def test_the_curves_are_the_journals_numbers(board_run: Path) -> None:
    seen = curves(board_run)
    steps, epochs = read_journal(board_run, "step"), read_journal(board_run, "epoch")
    assert len(steps) == 8
    assert len(epochs) == 2
    for name in ("words", "image_contrast", "text_contrast", "findings", "total"):
        assert seen[f"train/{name}"] == [(line["step"], pytest.approx(line["train"][name])) for line in steps]
        assert seen[f"train epoch/{name}"] == [(line["step"], pytest.approx(line["train"][name])) for line in epochs]
    for name in ("gradient_norm", "learning_rate", "backbone_learning_rate"):
        assert seen[f"train/{name}"] == [(line["step"], pytest.approx(line[name])) for line in steps]
    for name in ("word_loss", "findings_f1"):
        assert seen[f"val/{name}"] == [(line["step"], pytest.approx(line["val"][name])) for line in epochs]


def test_reports_stand_beside_their_references_and_pictures(board_run: Path, watched: Recipe, phantom: Corpus) -> None:
    found = events(board_run)
    for number, study in enumerate(phantom.split("val")[:4], 1):
        texts = found.Tensors(f"report {number}/text_summary")
        assert [each.step for each in texts] == [4, 8]
        told = texts[-1].tensor_proto.string_val[0].decode()
        assert study.id in told
        assert "generated: " in told
        assert f"reference: {study.report}" in told
        pictures = found.Images(f"attention {number}")
        assert [each.step for each in pictures] == [4, 8]
        seen = np.asarray(Image.open(io.BytesIO(pictures[-1].encoded_image_string)).convert("L"), int)
        view = shown_view(read_grey(phantom.view_path(study.views[0])), watched.images).astype(int)
        # Nowhere brighter than the view, as bright where the model looked most, darker elsewhere.
        assert seen.shape == view.shape
        assert (seen <= view).all()
        assert (seen >= view // 4).all()
        assert 0 < (seen < view - 1).sum() < seen.size


def test_being_watched_changes_nothing(board_run: Path, tiny_run: Path) -> None:
    one, other = load_file(board_run / WEIGHTS), load_file(tiny_run / WEIGHTS)
    assert all(equal(one[name], other[name]) for name in one)


def test_a_resumed_runs_curves_hold_each_step_once(watched: Recipe, board_run: Path, tmp_path: Path) -> None:
    def stop_in_the_second_epoch(items: Any, description: str, total: int) -> Any:
        for number, item in enumerate(items):
            if description.startswith("epoch 2") and number == 1:
                os.kill(os.getpid(), signal.SIGTERM)
            yield item

    with pytest.raises(Interrupted, match="step 6"):
        train_run(watched, tmp_path / "run", track=stop_in_the_second_epoch)
    train_run(watched, tmp_path / "run", resumed=True)
    timed = {"train/studies_per_second", "train/seconds_left"}
    whole, resumed = curves(board_run), curves(tmp_path / "run")
    assert set(whole) == set(resumed)
    assert all(whole[name] == resumed[name] for name in set(whole) - timed)


def test_without_tensorboard_one_line_comes_before_the_work(
    tiny_recipe_file: Path,
    phantom_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    arguments = ["--corpus", str(phantom_folder), "--out", str(tmp_path / "run"), "--set", "train.tensorboard=true"]
    assert run(["train", str(tiny_recipe_file), *arguments]) == 2
    assert capsys.readouterr().err == ("xpronet: train.tensorboard needs TensorBoard: pip install 'xpronet[train]'\n")
    assert not (tmp_path / "run").exists()
