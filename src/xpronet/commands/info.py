"""`xpronet info`: what a run, model, corpus or feature cache is."""

from pathlib import Path

from rich.console import Console


def info(path: str, /) -> None:
    """Say in a few lines what a run, model, corpus or feature cache is.

    For example:

        xpronet info run

    Args:
        path: run, checkpoint, model, exported folder, corpus or feature cache, or hub:owner/name.
    """
    from xpronet.encoders.hub import HUB, hub_folder
    from xpronet.experiment.describe import describe

    console = Console(soft_wrap=True, highlight=False, markup=False)
    for line in describe(hub_folder(path) if path.startswith(HUB) else Path(path)):
        console.print(line)
