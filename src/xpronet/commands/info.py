"""`xpronet info`: what a run, model, corpus or feature cache is."""

from rich.console import Console


def info(path: str, /) -> None:
    """Say in a few lines what a run, model, corpus or feature cache is.

    For example:

        xpronet info run

    Args:
        path: run, checkpoint, model, exported folder, corpus or feature cache, hub:owner/name or
            demo.
    """
    from xpronet.deploy.load import model_folder
    from xpronet.experiment.describe import describe

    console = Console(soft_wrap=True, highlight=False, markup=False)
    for line in describe(model_folder(path)):
        console.print(line)
