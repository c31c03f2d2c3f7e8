"""`xpronet show curves`: how training went."""

from pathlib import Path

from rich.console import Console


def curves(runs: tuple[Path, ...], /, *, out: Path, overwrite: bool = False) -> None:
    """Draw losses, validation scores and learning rates of one run or several.

    Args:
        runs: run folders; one that is still training shows what is there.
        out: figure to write, .png or .svg.
        overwrite: replace the file if it is there.
    """
    from xpronet.show.figures import check_figure
    from xpronet.show.run_names import run_names
    from xpronet.show.training import draw_training, read_history

    check_figure(out, overwrite=overwrite)
    histories = [read_history(run, name) for run, name in zip(runs, run_names(runs), strict=True)]
    draw_training(histories, out, overwrite=overwrite)
    Console(soft_wrap=True).print(f"Wrote {out}", highlight=False, markup=False)
