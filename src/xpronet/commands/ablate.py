"""`xpronet ablate`: the paper's table 2, with intervals, a rival and constant baselines."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.console import Console


def ablate(
    recipe: Path,
    /,
    *,
    out: Path,
    corpus: Path | None = None,
    seeds: Annotated[tuple[int, ...], Parameter(consume_multiple=True)] = (),
    protocol: Literal["full-text", "published-iu", "published-mimic"] | None = None,
    skip_meteor: bool = False,
    set_: tuple[str, ...] = (),
) -> None:
    """Train and score a model, the same model without each of its parts, and its closest rival.

    Finished runs are not repeated and interrupted ones are continued: give the same command again.

    For example:

        xpronet ablate phantom --corpus corpus --out ablation --seeds 0 1 2

    Args:
        recipe: TOML file of the full model, or the name of a recipe that comes with the package, such as phantom.
        out: folder for all runs and the table; new, or begun with the same recipe.
        corpus: corpus folder, in place of the recipe's.
        seeds: of training, each for every variant: --seeds 0 1 2; by default the recipe's own.
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
    from xpronet.experiment.variant_runs import open_trials
    from xpronet.experiment.variant_table import variants_markdown, variants_view
    from xpronet.experiment.variants import ablation, with_seed
    from xpronet.files import write_json, write_text
    from xpronet.progress import on_console

    full = read_recipe(recipe, set_)
    if corpus is not None:
        full = dataclasses.replace(full, corpus=str(corpus))
    seeds = seeds or (full.train.seed,)
    trials = open_trials(
        out, full, protocol=protocol or protocol_of(full.vocabulary.cleaning), with_meteor=not skip_meteor
    )
    console = Console(highlight=False, markup=False, soft_wrap=True)
    variants = ablation(full, trials.bank(with_seed(full, seeds[0]), track=on_console))
    table = trials.compare("Ablation", variants, seeds, track=on_console, notify=console.print)
    console.print(variants_view(table))
    write_json(out / "ablation.json", table.record(), overwrite=True)
    write_text(out / "ablation.md", variants_markdown(table), overwrite=True)
    console.print(f"Wrote {out / 'ablation.json'} and {out / 'ablation.md'}")
