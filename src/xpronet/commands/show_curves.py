"""`xpronet show curves`: training curves."""

from pathlib import Path

from rich.console import Console


def curves(runs: tuple[Path, ...], /, *, out: Path, overwrite: bool = False) -> None:
    """Draw losses, validation scores and learning rates of one run or several.

    For example:

        xpronet show curves run --out curves.png

    Args:
        runs: run folders; of a run that is still training, what there is.
        out: figure to write, .png or .svg.
        overwrite: replace an existing file.
    """
    from xpronet.show.figures import check_figure, run_names
    from xpronet.show.training import draw_training, read_history

    check_figure(out, overwrite=overwrite)
    histories = [read_history(run, name) for run, name in zip(runs, run_names(runs), strict=True)]
    draw_training(histories, out, overwrite=overwrite)
    Console(soft_wrap=True).print(f"Wrote {out}", highlight=False, markup=False)
