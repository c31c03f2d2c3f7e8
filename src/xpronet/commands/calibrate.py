"""`xpronet calibrate`: how far the claims of a trained model can be believed."""

from pathlib import Path

from rich.console import Console


def calibrate(
    run: Path,
    /,
    *,
    corpus: Path,
    split: str = "val",
    evidence: float | None = None,
    features: Path | None = None,
    allow_code: bool = False,
) -> None:
    """Choose the weight of evidence in the search, calibrate the doubt by sentence and the guarantee of --max-error.

    Half of the studies choose and fit, the other half is kept apart for the guarantee, which holds for studies like
    them. The result is stored beside the checkpoint; reports use it from then on.

    For example:

        xpronet calibrate run --corpus corpus

    Args:
        run: run or checkpoint folder; the best checkpoint is calibrated.
        corpus: corpus folder with held-out studies of the kind that reports will be written about.
        split: which studies; none that the model was trained on.
        evidence: take this weight of evidence, do not choose one.
        features: feature cache of the corpus made by `xpronet features`, in place of the images.
        allow_code: let the checkpoint name Python objects of installed packages.
    """
    from xpronet.data.corpus import open_corpus
    from xpronet.data.feature_cache import open_feature_cache
    from xpronet.generation.fit_claims import calibrate_run
    from xpronet.progress import on_console

    fitted = calibrate_run(
        run,
        open_corpus(corpus),
        split=split,
        evidence=evidence,
        features=None if features is None else open_feature_cache(features),
        allow_code=allow_code,
        track=on_console,
    )
    for line in fitted.lines():
        Console(soft_wrap=True).print(line, markup=False, highlight=False)
