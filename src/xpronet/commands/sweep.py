"""`xpronet sweep`: a score against a setting, the paper's figures 5 and 6."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.console import Console

SETTINGS = {
    "gamma": "γ: prototypes that respond to a query",
    "theta": "θ: tolerance for differing findings",
    "prototypes": "prototypes of each finding",
}


def sweep(
    recipe: Path,
    /,
    *values: float,
    over: Literal["gamma", "theta", "prototypes"],
    out: Path,
    corpus: Path | None = None,
    seeds: Annotated[tuple[int, ...], Parameter(consume_multiple=True)] = (),
    protocol: Literal["full-text", "published-iu", "published-mimic"] | None = None,
    skip_meteor: bool = False,
    set_: tuple[str, ...] = (),
) -> None:
    """Train and score a model with each of several values of one setting, and plot the scores.

    Finished runs are not repeated and interrupted ones are continued: give the same command again, or with more values.

    For example:

        xpronet sweep phantom 5 10 15 --over gamma --corpus corpus --out sweep

    Args:
        recipe: TOML file of the model, or the name of a recipe that comes with the package, such as phantom.
        values: of the setting: --over gamma 5 10 15 17.
        over: γ, the prototypes that respond; θ, the tolerance for differing findings; or the number of prototypes of
            each finding.
        out: folder for all runs, the table and the plot; new, or begun with the same recipe.
        corpus: corpus folder, in place of the recipe's.
        seeds: of training, each for every value: --seeds 0 1 2; by default the recipe's own.
        protocol: the form in which texts are compared; by default full-text, or the published one that belongs to the
            recipe's cleaning.
        skip_meteor: leave METEOR out, and with it the seconds that Java takes.
        set_: change a value of the recipe: --set train.epochs=5; may be given several times.
    """
    from xpronet.experiment.recipe_files import recipe_file

    recipe = recipe_file(recipe)  # before torch is imported: a misspelt name is told at once

    import dataclasses

    from xpronet.evaluation.epoch_score import protocol_of
    from xpronet.experiment.recipe import read_recipe
    from xpronet.experiment.variant_curves import draw_curves
    from xpronet.experiment.variant_runs import open_trials
    from xpronet.experiment.variant_table import variants_markdown, variants_view
    from xpronet.experiment.variants import sweep_values
    from xpronet.files import write_json, write_text
    from xpronet.progress import on_console
    from xpronet.show.figures import check_plots

    check_plots()
    base = read_recipe(recipe, set_)
    if corpus is not None:
        base = dataclasses.replace(base, corpus=str(corpus))
    recipes = sweep_values(base, over, values)
    trials = open_trials(
        out, base, protocol=protocol or protocol_of(base.vocabulary.cleaning), with_meteor=not skip_meteor
    )
    console = Console(highlight=False, markup=False, soft_wrap=True)
    variants = {f"{over} {value:g}": each for value, each in recipes.items()}
    table = trials.compare(
        f"Sweep over {over}", variants, seeds or (base.train.seed,), track=on_console, notify=console.print
    )
    console.print(variants_view(table))
    files = {suffix: out / f"sweep-{over}{suffix}" for suffix in (".json", ".md", ".png", ".svg")}
    write_json(files[".json"], table.record(), overwrite=True)
    write_text(files[".md"], variants_markdown(table), overwrite=True)
    points = dict(zip(recipes, table.variants, strict=True))
    draw_curves(points, table.constants, setting=SETTINGS[over], files=(files[".png"], files[".svg"]))
    console.print(f"Wrote {', '.join(map(str, files.values()))}")
