"""`xpronet demo`: the whole pipeline on drawn X-rays, from nothing to a page that explains reports."""

import sys
from pathlib import Path

from rich.console import Console


def demo(
    *, out: Path = Path("demo"), studies: int = 2400, seed: int = 0, epochs: int | None = None, overwrite: bool = False
) -> None:
    """Run the whole pipeline on drawn chest X-rays: draw, label, train, generate, score, explain.

    For example:

        xpronet demo
        xpronet demo --out small --studies 300 --epochs 2

    Args:
        out: folder for everything that is made.
        studies: number of drawn studies; fewer is faster and worse.
        seed: of the drawings.
        epochs: passes over the train studies; by default 12.
        overwrite: replace the folder if it holds an earlier demo.
    """
    import time

    from xpronet.evaluation.render import scorecard_view
    from xpronet.experiment.demo import run_demo
    from xpronet.progress import on_console

    console = Console(soft_wrap=True, highlight=False)
    started = time.monotonic()

    def start_step(title: str) -> None:
        console.print(f"\n[bold]{title}[/bold]  ({time.monotonic() - started:.0f} s)")

    def notify(line: str) -> None:
        console.print(line, markup=False)

    result = run_demo(
        out,
        studies=studies,
        seed=seed,
        epochs=epochs,
        overwrite=overwrite,
        track=on_console,
        start_step=start_step,
        notify=notify,
    )
    console.print(scorecard_view(result.scorecard))
    console.print(f"\n[bold]Done[/bold] in {time.monotonic() - started:.0f} s\n")
    for line in result.closing_lines(_program()):
        notify(line)


def _program() -> str:
    """Return how this program was called, which in a virtual environment is not always plain `xpronet`."""
    called = Path(sys.argv[0])
    return str(called) if called.name == "xpronet" else "xpronet"
