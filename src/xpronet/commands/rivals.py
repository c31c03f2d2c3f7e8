"""`xpronet rivals`: the paper's table 1, every row trained and scored alike."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.console import Console


def rivals(
    recipe: Path,
    /,
    *,
    out: Path,
    corpus: Path | None = None,
    features: Path | None = None,
    only: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = (),
    seeds: Annotated[tuple[int, ...], Parameter(consume_multiple=True)] = (),
    protocol: Literal["full-text", "published-iu", "published-mimic"] | None = None,
    skip_meteor: bool = False,
    set_: tuple[str, ...] = (),
) -> None:
    """Train and score XProNet and the models it is compared with: one corpus, image encoder, search and scorecard.

    Finished runs are not repeated and interrupted ones are continued: give the same command again. The image encoder
    is the recipe's own where it is frozen; else the recipe is trained once for it. Its features are computed once.

    For example:

        xpronet rivals phantom --corpus corpus --out table1 --only st adaatt

    Args:
        recipe: TOML file of XProNet, or the name of a recipe that comes with the package, such as phantom. Each other
            model's own settings are those of recipes/rivals/.
        out: folder for all runs and the table; new, or begun with the same recipe.
        corpus: corpus folder, in place of the recipe's.
        features: feature cache made by `xpronet features`, in place of one in `out`; the image encoder is that of the
            recipe, frozen.
        only: rows of the table: --only st adaatt; by default all.
        seeds: of training, each for every model: --seeds 0 1 2; by default the recipe's own.
        protocol: the form in which texts are compared; by default full-text, or the published one that belongs to the
            recipe's cleaning.
        skip_meteor: leave METEOR out, and with it the seconds that Java takes.
        set_: change a value of all rows' recipes: --set train.epochs=5; may be given several times.
    """
    from xpronet.experiment.recipe_files import recipe_file

    recipe = recipe_file(recipe)  # before torch is imported: a misspelt name is told at once

    import dataclasses

    from xpronet.evaluation.epoch_score import protocol_of
    from xpronet.experiment.recipe import read_recipe
    from xpronet.experiment.rivals import BASELINES, choose_rivals, rival_rows, shared_encoder
    from xpronet.experiment.variant_runs import TABLE_FILE, open_trials
    from xpronet.experiment.variant_table import variants_markdown, variants_view
    from xpronet.files import write_json, write_text
    from xpronet.progress import on_console

    chosen = choose_rivals(only)
    base = read_recipe(recipe, set_)
    if corpus is not None:
        base = dataclasses.replace(base, corpus=str(corpus))
    if features is not None:
        frozen = dataclasses.replace(base.train, freeze_backbone=True)
        base = dataclasses.replace(base, features=str(features), train=frozen)
    seeds = seeds or (base.train.seed,)
    trials = open_trials(
        out,
        base,
        protocol=protocol or protocol_of(base.vocabulary.cleaning),
        with_meteor=not skip_meteor,
        with_retrieval=True,
    )
    console = Console(highlight=False, markup=False, soft_wrap=True)
    shared = shared_encoder(out, base, seeds[0], track=on_console)
    rows = rival_rows(shared, chosen, stem=recipe.stem, overrides=set_)
    table = trials.compare(
        "Table 1", rows.recipes, seeds, notes=rows.notes, baselines=BASELINES, track=on_console, notify=console.print
    )
    console.print(variants_view(table))
    write_json(out / TABLE_FILE, table.record(), overwrite=True)
    page = (out / TABLE_FILE).with_suffix(".md")
    write_text(page, variants_markdown(table), overwrite=True)
    console.print(f"Wrote {out / TABLE_FILE} and {page}")
