"""`xpronet gate`: teach a trained model which images are unlike those it learned from."""

from pathlib import Path

from rich.console import Console


def gate(run: Path, /, *, corpus: Path, quantile: float = 0.99, margin: float = 1.2) -> None:
    """Fit a run's gate again, or for the first time: training does it at its end, older runs have none.

    Args:
        run: run or checkpoint folder; the gate goes into the best checkpoint.
        corpus: the corpus it was trained on.
        quantile: part of the validation images below which the threshold lies, but for the margin.
        margin: the threshold is so many times that score; the larger, the less is warned of.
    """
    from xpronet.data.corpus import open_corpus
    from xpronet.generation.fit_gate import fit_run_gate
    from xpronet.model.out_of_distribution import GateSettings
    from xpronet.progress import on_console

    fitted = fit_run_gate(run, open_corpus(corpus), GateSettings(quantile=quantile, margin=margin), track=on_console)
    Console(soft_wrap=True).print(fitted.line(), markup=False, highlight=False)
