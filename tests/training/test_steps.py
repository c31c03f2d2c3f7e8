"""What a step does with several batches, with fp16, and with a loss that is no number."""

import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from xpronet.errors import InputError
from xpronet.experiment.build import PreparedExperiment, prepare
from xpronet.experiment.recipe import Recipe
from xpronet.precision import make_scaler
from xpronet.prototypes.bank import PrototypeBank
from xpronet.training.run_folder import read_journal

STEPS = 4


@pytest.fixture
def prepared(tiny_recipe: Recipe, tiny_run: Path) -> PreparedExperiment:
    """One epoch of four steps, ready to go."""
    recipe = dataclasses.replace(tiny_recipe, train=dataclasses.replace(tiny_recipe.train, epochs=1, log_steps=1))
    return prepare(recipe, bank=PrototypeBank.load(tiny_run / "prototypes.safetensors"))


def changed(prepared: PreparedExperiment, **values: Any) -> PreparedExperiment:
    train = dataclasses.replace(prepared.recipe.train, **values)
    return dataclasses.replace(prepared, recipe=dataclasses.replace(prepared.recipe, train=train))


def spoil(prepared: PreparedExperiment, *steps: int) -> None:
    """Let the network answer with no numbers at some of its train steps, batch statistics included."""
    network, taken = prepared.checkpoint.network, [0]

    def hook(module: Any, arguments: Any, outputs: Any) -> Any:
        if not module.training:
            return outputs
        taken[0] += 1
        if taken[0] not in steps:
            return outputs
        for buffer in module.buffers():
            if buffer.is_floating_point():
                buffer.fill_(float("nan"))
        return outputs._replace(logits=outputs.logits * float("nan"))

    network.register_forward_hook(hook)


def weights(prepared: PreparedExperiment) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in prepared.checkpoint.network.state_dict().items()}


def test_a_loss_that_is_no_number_ends_the_run_and_names_the_studies(
    prepared: PreparedExperiment, tmp_path: Path
) -> None:
    spoil(prepared, 2)
    with pytest.raises(InputError, match=r"the loss is nan for a batch with phantom-\d+.*train.on_nan"):
        prepared.fit(tmp_path, resumed=False)
    (event,) = read_journal(tmp_path, "not finite")
    assert event["step"] == 2
    assert len(event["studies"]) == 8
    assert event["loss"] == "nan"


def test_a_step_that_is_no_number_is_left_out(prepared: PreparedExperiment, tmp_path: Path) -> None:
    skipping = changed(prepared, on_nan="skip")
    spoil(skipping, 2)
    state = skipping.fit(tmp_path, resumed=False)
    assert state.step == STEPS
    assert [event["step"] for event in read_journal(tmp_path, "not finite")] == [2]
    assert [event["step"] for event in read_journal(tmp_path, "step")] == [1, 3, 4]
    assert all(tensor.isfinite().all() for tensor in weights(skipping).values())


def test_too_many_steps_that_are_not_finite_end_the_run(
    prepared: PreparedExperiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    skipping = changed(prepared, on_nan="skip")
    monkeypatch.setattr("xpronet.training.loop.MAX_SKIPPED_STEPS", 2)
    spoil(skipping, 2, 3)
    with pytest.raises(InputError, match="nan for 2 steps in a row"):
        skipping.fit(tmp_path, resumed=False)


def test_gradients_of_several_batches_make_one_step(prepared: PreparedExperiment, tmp_path: Path) -> None:
    state = changed(prepared, accumulate=3).fit(tmp_path, resumed=False)
    assert state.step == 2
    assert [event["step"] for event in read_journal(tmp_path, "step")] == [1, 2]


def test_two_equal_batches_have_the_gradient_of_one(prepared: PreparedExperiment) -> None:
    from xpronet.data.loader import load_batches
    from xpronet.training.optimiser import make_optimiser
    from xpronet.training.step import take_step

    network = prepared.checkpoint.network.eval()  # no dropout, no batch statistics
    (batch, *_) = load_batches(prepared.train_set, prepared.recipe.batches, padding=0)
    norms = []
    for count in (1, 2):
        settings = dataclasses.replace(prepared.recipe.train, accumulate=count, learning_rate=0.0)
        optimiser = make_optimiser(network, settings)
        for group in optimiser.param_groups:
            group["lr"] = 0.0
        result = take_step(
            network,
            [batch] * count,
            optimiser,
            make_scaler(torch.device("cpu"), "fp32"),
            step=0,
            settings=settings,
            loss_settings=prepared.recipe.loss,
            context=prepared.context,
        )
        norms.append(result.gradient_norm)
    assert norms[0] > 0
    assert norms[1] == pytest.approx(norms[0], rel=1e-5)


def test_fp16_resumes_with_its_scale(prepared: PreparedExperiment, tmp_path: Path) -> None:
    state = changed(prepared, precision="fp16").fit(tmp_path, resumed=False)
    assert state.scaler["scale"] >= 1
    assert state.scaler["_growth_tracker"] + len(read_journal(tmp_path, "not finite")) >= 1
    again = changed(prepared, precision="fp16", epochs=2).fit(tmp_path, resumed=True)
    assert again.step == 2 * STEPS
    assert again.scaler["_growth_tracker"] > state.scaler["_growth_tracker"]


def test_fp16_is_refused_where_there_is_none() -> None:
    with pytest.raises(InputError, match="not supported on meta; choose bf16 or fp32"):
        make_scaler(torch.device("meta"), "fp16")


@pytest.mark.torture
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_a_compiled_backbone_learns_the_same(tiny_recipe_file: Path, phantom_folder: Path, tmp_path: Path) -> None:
    losses = {}
    for compiled in ("true", "false"):
        run = tmp_path / compiled
        # In a process of its own: the checks of shapes that tests run under cannot be compiled.
        command = [sys.executable, "-m", "xpronet", "train", str(tiny_recipe_file), "--corpus", str(phantom_folder)]
        sets = [f"train.compile={compiled}", "train.epochs=1", "train.log_steps=1"]
        command += ["--out", str(run), *(word for value in sets for word in ("--set", value))]
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        losses[compiled] = [event["train"]["total"] for event in read_journal(run, "step")]
    assert len(losses["true"]) == STEPS
    assert losses["true"] == pytest.approx(losses["false"], abs=1e-3)
