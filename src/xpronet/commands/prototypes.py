"""`xpronet prototypes`: the prototypes that a recipe's training starts from."""

from pathlib import Path

from rich.console import Console
from rich.table import Table


def prototypes(
    recipe: Path,
    /,
    *,
    out: Path,
    corpus: Path | None = None,
    set_: tuple[str, ...] = (),
    overwrite: bool = False,
) -> None:
    """Make the prototypes of each finding from the train studies, exactly as `xpronet train` does.

    `xpronet train RECIPE --prototypes FILE` then starts from them: for a large corpus, or for many runs.

    For example:

        xpronet prototypes phantom --corpus corpus --out prototypes.safetensors

    Args:
        recipe: TOML file, or the name of a recipe that comes with the package, such as phantom.
        out: the file to write, such as prototypes.safetensors.
        corpus: corpus folder with labels.csv (`xpronet label` writes it), in place of the recipe's.
        set_: change a value of the recipe: --set prototypes.per_finding=10; may be given several times.
        overwrite: replace the file if it is there.
    """
    from xpronet.experiment.recipe_files import recipe_file

    recipe = recipe_file(recipe)  # before torch is imported: a misspelt name is told at once

    from dataclasses import replace

    from xpronet.experiment.initial_prototypes import initial_bank
    from xpronet.experiment.recipe import read_recipe
    from xpronet.files import new_file
    from xpronet.progress import on_console

    settings = read_recipe(recipe, set_)
    if corpus is not None:
        settings = replace(settings, corpus=str(corpus))
    # Opened first: hours of work should not end with a refusal to write.
    with new_file(out, overwrite=overwrite) as temporary:
        bank = initial_bank(settings, track=on_console)
        bank.save(temporary, overwrite=True)

    console = Console(highlight=False, soft_wrap=True, markup=False)
    console.print(f"{bank.image_encoder}, {bank.text_encoder}")
    table = Table("finding")
    table.add_column("studies", justify="right")
    for finding in bank.findings:
        table.add_row(finding, str(bank.counts[finding]))
    console.print(table)
    for note in bank.notes:
        console.print(note)
    console.print(f"Wrote {len(bank.vectors)} prototypes of width {bank.width} to {out}")
