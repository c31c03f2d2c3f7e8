"""What is taken away, what the rival is, and what a sweep changes."""

import dataclasses

import numpy as np
import pytest
import torch

from xpronet.encoders.resnet import ResNet
from xpronet.errors import InputError
from xpronet.experiment.recipe import Recipe
from xpronet.experiment.variants import ablation, sweep_values, with_seed
from xpronet.labels.findings import FINDINGS
from xpronet.model.network import XProNet
from xpronet.prototypes.bank import PrototypeBank


@pytest.fixture
def bank() -> PrototypeBank:
    return PrototypeBank(
        vectors=np.ones((len(FINDINGS) * 4, 72), np.float32),
        image_width=64,
        per_finding=4,
        counts=dict.fromkeys(FINDINGS, 1),
        image_encoder="none",
        images={},
        text_encoder="none",
        seed=0,
    )


def changes(first: Recipe, second: Recipe) -> dict[str, object]:
    """Return what the second says otherwise, by name."""
    one, other = dataclasses.asdict(first), dataclasses.asdict(second)
    changed: dict[str, object] = {}
    for section, values in other.items():
        if not isinstance(values, dict):
            changed |= {section: values} if values != one[section] else {}
        else:
            changed |= {f"{section}.{name}": each for name, each in values.items() if each != one[section][name]}
    return changed


def test_each_variant_takes_away_what_it_says_and_nothing_else(tiny_recipe: Recipe, bank: PrototypeBank) -> None:
    variants = ablation(tiny_recipe, bank)
    assert {name: changes(tiny_recipe, each) for name, each in variants.items()} == {
        "full": {},
        "w/o CMPNet": {"model.visible": "none"},
        "w/o PI": {"bank": "random", "model.per_finding": 4, "model.bank_rows": 56, "model.bank_width": 72},
        "w/o IMLCS": {"loss.theta": 1.0},
        "R2GenCMN": {
            "bank": "random",
            "model.visible": "all",
            "model.project_bank": False,
            "model.bank_rows": 2048,
            "model.bank_width": 16,
            "model.gamma": 32,
            "model.fusion": "add",
            "loss.image_contrast": 0.0,
            "loss.text_contrast": 0.0,
        },
    }


def test_the_rival_queries_its_whole_memory_whatever_the_findings(tiny_recipe: Recipe, bank: PrototypeBank) -> None:
    rival = ablation(tiny_recipe, bank)["R2GenCMN"]
    network = XProNet(
        backbone=ResNet(rival.backbone, seed=0), settings=rival.model, num_words=9, padding=0, num_findings=14
    )
    assert network.image_fusion is None
    assert network.text_fusion is None
    assert network.matching is not None
    assert network.matching.bank.shape == (2048, 16)
    for findings in (torch.zeros(2, 14, dtype=torch.bool), torch.ones(2, 14, dtype=torch.bool)):
        assert network.visible_rows(findings).shape == (2, 2048)
        assert network.visible_rows(findings).all()


def test_a_recipe_without_prototypes_cannot_be_ablated(tiny_recipe: Recipe, bank: PrototypeBank) -> None:
    with pytest.raises(InputError, match=r"bank = 'random'.*choose bank = 'clusters'"):
        ablation(dataclasses.replace(tiny_recipe, bank="random"), bank)


def test_a_sweep_changes_one_setting_in_rising_order(tiny_recipe: Recipe) -> None:
    gammas = sweep_values(tiny_recipe, "gamma", (5.0, 2.0, 5.0))
    assert [changes(tiny_recipe, each) for each in gammas.values()] == [{"model.gamma": 2}, {"model.gamma": 5}]
    assert list(gammas) == [2, 5]
    [theta] = sweep_values(tiny_recipe, "theta", (1.75,)).values()
    assert changes(tiny_recipe, theta) == {"loss.theta": 1.75}
    [prototypes] = sweep_values(tiny_recipe, "prototypes", (6.0,)).values()
    assert changes(tiny_recipe, prototypes) == {
        "prototypes.per_finding": 6,
        "model.per_finding": 6,
        "model.bank_rows": 84,
    }


def test_a_seed_changes_nothing_but_itself(tiny_recipe: Recipe) -> None:
    assert changes(tiny_recipe, with_seed(tiny_recipe, 9)) == {"train.seed": 9}


@pytest.mark.parametrize(
    ("over", "values", "told"),
    [
        ("gamma", (), r"no values; write for example --over gamma 5 10 15 17"),
        ("gamma", (2.5,), r"--over gamma 2.5: must be a whole number"),
        ("gamma", (0.0,), r"model.gamma = 0: must be at least 1"),
        ("theta", (0.5,), r"loss.theta = 0.5: must be at least 1"),
        ("prototypes", (0.0,), "must be at least 1"),
    ],
)
def test_wrong_values_are_refused_before_anything_is_trained(
    tiny_recipe: Recipe, over: str, values: tuple[float, ...], told: str
) -> None:
    with pytest.raises(InputError, match=told):
        sweep_values(tiny_recipe, over, values)  # type: ignore[arg-type]
