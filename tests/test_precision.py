import dataclasses
from pathlib import Path

import pytest
import torch

from xpronet.experiment.recipe import Recipe, read_recipe
from xpronet.experiment.run import RECIPE_FILE, train_run
from xpronet.precision import Arithmetic, settled_precision

CPU = torch.device("cpu")


def capable(*names: str):
    """Capabilities of a CPU that has these."""
    return lambda: {"avx2": True, "avx512_bf16": False} | dict.fromkeys(names, True)


@pytest.mark.parametrize("feature", ["avx512_bf16", "amx_bf16", "bf16"])
def test_auto_is_bf16_where_the_cpu_multiplies_it(feature: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", capable(feature))
    assert settled_precision("auto", CPU) == "bf16"


def test_auto_is_fp32_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", capable())
    assert settled_precision("auto", CPU) == "fp32"
    assert settled_precision("auto", torch.device("meta")) == "fp32"


@pytest.mark.parametrize("asked", ["fp32", "bf16", "fp16"])
def test_what_is_asked_for_by_name_stays(asked: Arithmetic) -> None:
    assert settled_precision(asked, CPU) == asked


def test_a_run_keeps_the_precision_that_it_began_with(
    tiny_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def recipe(epochs: int) -> Recipe:
        return dataclasses.replace(
            tiny_recipe, train=dataclasses.replace(tiny_recipe.train, precision="auto", epochs=epochs)
        )

    monkeypatch.setattr(torch.cpu, "get_capabilities", capable())
    train_run(recipe(1), tmp_path / "run")
    monkeypatch.setattr(torch.cpu, "get_capabilities", capable("avx512_bf16"))
    train_run(recipe(2), tmp_path / "run", resumed=True)
    assert read_recipe(tmp_path / "run" / RECIPE_FILE).train.precision == "fp32"
