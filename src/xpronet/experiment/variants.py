"""Variants of one recipe: the paper's ablations, its closest rival R2GenCMN, and the values of a sweep."""

import dataclasses
from collections.abc import Iterable
from typing import Literal

from xpronet.errors import InputError
from xpronet.experiment.recipe import Recipe
from xpronet.labels.findings import FINDINGS
from xpronet.prototypes.bank import PrototypeBank

Swept = Literal["gamma", "theta", "prototypes"]

EXAMPLES: dict[Swept, str] = {"gamma": "5 10 15 17", "theta": "1 1.25 1.5 1.75 2", "prototypes": "5 10 20 40"}
"""Example values, for the message where none were given."""


def with_seed(recipe: Recipe, seed: int) -> Recipe:
    """Return the recipe with another seed of training."""
    return dataclasses.replace(recipe, train=dataclasses.replace(recipe.train, seed=seed))


def ablation(recipe: Recipe, bank: PrototypeBank) -> dict[str, Recipe]:
    """Return the variants of the paper's table 2 and R2GenCMN as a setting of the same network.

    Args:
        recipe: of the full model.
        bank: the full model's prototypes; the random ones of "w/o PI" have the same number and width.

    Raises:
        InputError: the recipe has no prototypes to ablate.
    """
    if recipe.bank != "clusters" or recipe.model.visible != "findings":
        raise InputError(
            f"bank = {recipe.bank!r}, model.visible = {recipe.model.visible!r}: an ablation needs a recipe "
            "with prototypes; choose bank = 'clusters' and model.visible = 'findings'"
        )
    change = dataclasses.replace
    model, loss = recipe.model, recipe.loss
    random_model = change(model, per_finding=bank.per_finding, bank_rows=len(bank.vectors), bank_width=bank.width)
    return {
        "full": recipe,
        "w/o CMPNet": change(recipe, model=change(model, visible="none")),
        "w/o PI": change(recipe, bank="random", model=random_model),
        "w/o IMLCS": change(recipe, loss=change(loss, theta=1.0)),
        "R2GenCMN": memory_variant(recipe),
    }


def memory_variant(recipe: Recipe) -> Recipe:
    """Return R2GenCMN (Chen 2021) as a setting of the same network: a memory of 2,048 rows that all may query."""
    change = dataclasses.replace
    memory = change(
        recipe.model,
        visible="all",
        project_bank=False,
        bank_rows=2048,
        bank_width=recipe.model.width,
        gamma=32,
        fusion="add",
    )
    return change(recipe, bank="random", model=memory, loss=change(recipe.loss, image_contrast=0.0, text_contrast=0.0))


def sweep_values(recipe: Recipe, over: Swept, values: Iterable[float]) -> dict[float, Recipe]:
    """Return a recipe for each value of the setting that is swept over, in ascending order.

    Raises:
        InputError: there is no value, or one that the setting cannot have.
    """
    values = sorted(set(values))
    if not values:
        raise InputError(f"--over {over}: no values; write for example --over {over} {EXAMPLES[over]}")
    for value in values:
        if over != "theta" and not float(value).is_integer():
            raise InputError(f"--over {over} {value}: must be a whole number")
    return {value: _with_value(recipe, over, value) for value in values}


def _with_value(recipe: Recipe, over: Swept, value: float) -> Recipe:
    change = dataclasses.replace
    if over == "theta":
        return change(recipe, loss=change(recipe.loss, theta=float(value)))
    number = int(value)
    if over == "gamma":
        return change(recipe, model=change(recipe.model, gamma=number))
    # Clusters set the network's bank settings by themselves; for a random bank they are set here.
    model = change(recipe.model, per_finding=number, bank_rows=len(FINDINGS) * number)
    return change(recipe, prototypes=change(recipe.prototypes, per_finding=number), model=model)
