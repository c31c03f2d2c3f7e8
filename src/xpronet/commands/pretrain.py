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
    set_: tuple[str, ...] = (),
) -> None:
    """Train an image encoder on the findings of a corpus's films.

    Args:
        recipe: TOML file; see recipes/iu_xray_encoder.toml.
        out: the run folder to make, or to go on with; its encoder.safetensors is what recipes name as `weights`.
        corpus: corpus folder, in place of the recipe's.
        resume: go on from the run's last checkpoint.
        set_: change a value of the recipe: --set fit.epochs=3; may be given several times.
    """
    import dataclasses

    from xpronet.model.checkpoint import best_device
    from xpronet.pretrain.encoder_file import ENCODER_FILE
    from xpronet.pretrain.experiment import pretrain_run
    from xpronet.pretrain.settings import PretrainRecipe
    from xpronet.progress import on_console
    from xpronet.recipe import read_settings

    settings = read_settings(PretrainRecipe, recipe, set_)
    if corpus is not None:
        settings = dataclasses.replace(settings, corpus=str(corpus))
    state = pretrain_run(settings, out, resumed=resume, device=best_device(), track=on_console)
    Console(soft_wrap=True, highlight=False, markup=False).print(
        f"Trained {state.step} steps; best validation AUROC {state.best_score:.4f} after epoch {state.best_epoch}: "
        f"{out / ENCODER_FILE}"
    )
