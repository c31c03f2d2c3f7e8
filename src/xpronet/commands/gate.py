"""`xpronet gate`: fit the out-of-distribution gate of a trained model."""

from pathlib import Path

from rich.console import Console


def gate(
    run: Path,
    /,
    *,
    corpus: Path,
    features: Path | None = None,
    quantile: float = 0.99,
    margin: float = 1.2,
    allow_code: bool = False,
) -> None:
    """Fit the gate that warns of images unlike those a model was trained on. Training fits one at its end.

    A second one tells drawn X-rays from films: a model of drawings refuses films by it, a model of films warns of
    drawings.

    Args:
        run: run or checkpoint folder; the gate goes into the best checkpoint.
        corpus: the corpus that the model was trained on.
        features: a feature cache of the corpus by the model's image encoder; images are then not read.
        quantile: fraction of the validation images whose scores lie below the threshold, before the margin.
        margin: factor between that quantile and the threshold; the larger, the fewer warnings.
        allow_code: let the checkpoint name Python objects of installed packages.
    """
    from xpronet.data.corpus import open_corpus
    from xpronet.data.feature_cache import open_feature_cache
    from xpronet.generation.fit_gate import fit_run_gate
    from xpronet.generation.fit_texture import fit_run_texture
    from xpronet.model.out_of_distribution import GateSettings
    from xpronet.progress import on_console

    settings = GateSettings(quantile=quantile, margin=margin)
    fitted = fit_run_gate(
        run,
        open_corpus(corpus),
        settings,
        features=None if features is None else open_feature_cache(features),
        allow_code=allow_code,
        track=on_console,
    )
    console = Console(soft_wrap=True, markup=False, highlight=False)
    console.print(fitted.line())
    texture = fit_run_texture(run, open_corpus(corpus), allow_code=allow_code, track=on_console)
    if texture is not None:
        console.print(texture.line())
