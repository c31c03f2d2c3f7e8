"""`xpronet generate`: reports for a split of a corpus."""

from pathlib import Path
from typing import Literal

from rich.console import Console


def generate(
    run: Path,
    /,
    *,
    corpus: Path,
    out: Path,
    split: Literal["train", "val", "test"] = "test",
    labels_from: Literal["predicted", "reference", "all"] = "predicted",
    beams: int | None = None,
    choose: Literal["likeliest", "agreeing"] | None = None,
    batch: int = 32,
    precision: Literal["fp32", "bf16", "fp16"] = "fp32",
    overwrite: bool = False,
) -> None:
    """Write a report about every study of a split.

    Args:
        run: run or checkpoint folder.
        corpus: corpus folder.
        out: predictions.jsonl to write, one study a line; where they came from goes beside it, in predictions.run.json.
        split: which studies.
        labels_from: what decides which prototypes are visible: the model's findings; the reference's (for
            reproduction only: the model is told what is in the report); or nothing, so that all are.
        beams: width of the search; by default as the run's recipe says, else 3.
        choose: take the likeliest report that the search meets, or of as many as there are beams the one that agrees
            best with the findings; by default as the run's recipe says, else the likeliest.
        batch: studies at a time.
        precision: arithmetic of the network.
        overwrite: replace the files if they are there.
    """
    from xpronet.commands.searching import search_settings
    from xpronet.data.corpus import read_corpus
    from xpronet.generate.origin import write_predictions
    from xpronet.generate.writer import Writer
    from xpronet.model.checkpoint import best_device, load_checkpoint
    from xpronet.progress import on_console

    checkpoint = load_checkpoint(run)
    settings = search_settings(run, checkpoint, beams=beams, choose=choose)
    writer = Writer(checkpoint, device=best_device(), settings=settings, labels_from=labels_from, precision=precision)
    origin = write_predictions(
        out,
        writer,
        run=run,
        corpus=read_corpus(corpus),
        split=split,
        batch=batch,
        overwrite=overwrite,
        track=on_console,
    )
    Console(soft_wrap=True).print(f"Wrote {origin.studies} reports, {origin.rate:.1f} a second, to {out}")
