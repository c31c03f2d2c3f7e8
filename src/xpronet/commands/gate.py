"""`xpronet gate`: fit the out-of-distribution gate of a trained model."""

from pathlib import Path

from rich.console import Console


def gate(run: Path, /, *, corpus: Path, quantile: float = 0.99, margin: float = 1.2, allow_code: bool = False) -> None:
    """Fit the gate that warns of images unlike those a model was trained on. Training fits one at its end.

    For example:

        xpronet gate run --corpus corpus

    Args:
        run: run or checkpoint folder; the gate goes into the best checkpoint.
        corpus: the corpus that the model was trained on.
        quantile: fraction of the validation images whose scores lie below the threshold, before the margin.
        margin: factor between that quantile and the threshold; the larger, the fewer warnings.
        allow_code: let the checkpoint name Python objects of installed packages.
    """
    from xpronet.data.corpus import open_corpus
    from xpronet.generation.fit_gate import fit_run_gate
    from xpronet.model.out_of_distribution import GateSettings
    from xpronet.progress import on_console

    settings = GateSettings(quantile=quantile, margin=margin)
    fitted = fit_run_gate(run, open_corpus(corpus), settings, allow_code=allow_code, track=on_console)
    Console(soft_wrap=True).print(fitted.line(), markup=False, highlight=False)
