"""`xpronet train`: from a recipe to a run folder."""

from pathlib import Path

from rich.console import Console


def train(
    recipe: Path,
    /,
    *,
    out: Path,
    corpus: Path | None = None,
    prototypes: Path | None = None,
    resume: bool = False,
    set_: tuple[str, ...] = (),
) -> None:
    """Train a model by a recipe.

    Args:
        recipe: TOML file; see recipes/.
        out: the run folder to make, or to go on with.
        corpus: corpus folder, in place of the recipe's.
        prototypes: bank made by `xpronet prototypes`; by default one is made as the recipe says.
        resume: go on from the run's last checkpoint.
        set_: change a value of the recipe: --set train.epochs=5; may be given several times.
    """
    import dataclasses

    from xpronet.experiment import train_run
    from xpronet.progress import on_console
    from xpronet.prototypes.bank import PrototypeBank
    from xpronet.recipe import read_recipe

    settings = read_recipe(recipe, set_)
    if corpus is not None:
        settings = dataclasses.replace(settings, corpus=str(corpus))
    bank = PrototypeBank.load(prototypes) if prototypes is not None else None
    standing = train_run(settings, out, bank=bank, resumed=resume, track=on_console)
    Console(soft_wrap=True).print(
        f"Trained {standing.step} steps; best {settings.train.best_by} {standing.best_score:.4f} "
        f"after epoch {standing.best_epoch}: {out}"
    )
