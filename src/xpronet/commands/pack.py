"""`xpronet pack`: a trained model as one folder that can be handed over."""

from pathlib import Path

from rich.console import Console


def pack(
    run: Path,
    /,
    *,
    out: Path,
    name: str | None = None,
    corpus: Path | None = None,
    scorecard: Path | None = None,
    overwrite: bool = False,
) -> None:
    """Write a model into one folder to hand over: weights, vocabulary, settings, scorecard and model card.

    No host name, folder or optimiser state goes with it; its reports are those of the run. Every command that takes a
    run takes it, and so does xpronet.load.

    For example:

        xpronet pack run --out model

    Args:
        run: run or checkpoint folder; of a run, the best checkpoint is taken.
        out: model folder to write.
        name: what the model card calls it; by default the folder's name.
        corpus: the corpus that it learned from, where the run does not say: an imported checkpoint, for example.
        scorecard: its scorecard as `xpronet evaluate --out` wrote it; by default the run's scorecard.json, if there is
            one.
        overwrite: replace the folder if it is there.
    """
    from xpronet.experiment.pack import pack as pack_model

    files = pack_model(run, out, name=name, corpus=corpus, scorecard=scorecard, overwrite=overwrite)
    console = Console(soft_wrap=True, highlight=False, markup=False)
    for file, size in files:
        console.print(f"{size:>12,}  {file}")
    scored = any(file == "scorecard.json" for file, _ in files)
    console.print(f"Wrote {out}{'' if scored else '; it has no scorecard: name one with --scorecard'}")
