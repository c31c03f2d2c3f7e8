"""`xpronet pretrain`: an image encoder that has seen chest films."""

from pathlib import Path

from rich.console import Console


def pretrain(
    recipe: Path,
    /,
    *,
    out: Path,
    corpus: Path | None = None,
    resume: bool = False,
    measure: tuple[str, ...] = (),
    set_: tuple[str, ...] = (),
) -> None:
    """Train an image encoder on the findings of a corpus's films, and measure it.

    For example:

        xpronet pretrain iu_xray_encoder --corpus iu --out encoder

    Args:
        recipe: TOML file, or the name of a recipe that comes with the package, such as iu_xray_encoder.
        out: the run folder to make, or to go on with; its encoder.safetensors is what recipes name as `weights`, its
            scorecard.md says what it is worth.
        corpus: corpus folder, in place of the recipe's.
        resume: go on from the run's last checkpoint; a run that has ended is only measured again.
        measure: measure on these too: nih:FOLDER, covid:FOLDER, or labels:FILE for another table of labels of the
            validation studies; may be given several times.
        set_: change a value of the recipe: --set fit.epochs=3; may be given several times.
    """
    from xpronet.experiment.recipe_files import recipe_file

    recipe = recipe_file(recipe)  # before torch is imported: a misspelt name is told at once

    import dataclasses
    import shlex
    import sys

    from xpronet.device import best_device
    from xpronet.experiment.recipe import read_settings
    from xpronet.pretrain.encoder_file import ENCODER_FILE
    from xpronet.pretrain.experiment import pretrain_run
    from xpronet.pretrain.measure import FilmSource
    from xpronet.pretrain.scorecard import MARKDOWN_FILE
    from xpronet.pretrain.settings import PretrainRecipe
    from xpronet.progress import on_console

    settings = read_settings(PretrainRecipe, recipe, set_)
    if corpus is not None:
        settings = dataclasses.replace(settings, corpus=str(corpus))
    card = pretrain_run(
        settings,
        out,
        resumed=resume,
        sources=[FilmSource.parse(one) for one in measure],
        title=f"Image encoder by {recipe.name}",
        command=["xpronet", *map(shlex.quote, sys.argv[1:])],
        device=best_device(),
        track=on_console,
    )
    console = Console(soft_wrap=True, highlight=False, markup=False)
    for one in card["measured"]:
        mean = "none" if one["mean_auroc"] is None else f"{one['mean_auroc']:.3f}"
        console.print(f"{one['name']}: {one['studies']:,} studies, mean AUROC {mean}")
    console.print(f"{out / ENCODER_FILE}; the whole is in {out / MARKDOWN_FILE}")
