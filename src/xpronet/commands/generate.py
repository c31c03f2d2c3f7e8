"""`xpronet generate`: reports for a split of a corpus."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.console import Console

from xpronet.generation.settings import GenerationSettings


def generate(
    run: Path,
    /,
    *,
    corpus: Path,
    out: Path,
    split: Literal["train", "val", "test"] = "test",
    settings: Annotated[GenerationSettings | None, Parameter(name="*")] = None,
    features: Path | None = None,
    shard: str | None = None,
    allow_code: bool = False,
    overwrite: bool = False,
) -> None:
    """Generate a report about every study of a split.

    A run that was stopped continues where it was when the same command is given again. On a CPU several processes share
    the work, one for each core, unless OMP_NUM_THREADS is set; with torchrun those of several GPUs or machines do:
    torchrun --nproc-per-node 8 -m xpronet generate ...

    For example:

        xpronet generate run --corpus corpus --out predictions.jsonl
        xpronet generate run --corpus corpus --out val.jsonl --split val --beams 5

    Args:
        run: run, checkpoint or exported folder.
        corpus: corpus folder.
        out: predictions.jsonl to write, one study a line; where they came from goes beside it, in predictions.run.json.
        split: which studies.
        settings: how reports are generated.
        features: feature cache of the corpus made by `xpronet features`, which saves reading and encoding the images.
        shard: do only a share of the work, such as 3/8, where eight jobs that know nothing of each other share it;
            the same command without --shard joins what they wrote.
        allow_code: let the checkpoint name Python objects of installed packages.
        overwrite: replace the files if they are there.
    """
    from xpronet.deploy.load import load
    from xpronet.generation.generate import divide_split, generate_arguments
    from xpronet.generation.generate import generate as generate_split
    from xpronet.generation.shards import read_shard
    from xpronet.progress import on_console
    from xpronet.training.processes import work_together

    settings = settings or GenerationSettings()
    share = None if shard is None else read_shard(shard)
    division = divide_split(corpus, split, processes=None if share is None else 1)
    arguments = generate_arguments(
        run,
        corpus=corpus,
        out=out,
        split=split,
        settings=settings,
        features=features,
        allow_code=allow_code,
        overwrite=overwrite,
    )
    with work_together(lambda _: arguments, division) as context:
        generator = load(
            run,
            beams=settings.beams,
            choose=settings.choose,
            evidence=settings.evidence,
            max_error=settings.max_error,
            labels_from=settings.labels_from,
            precision=settings.precision,
            device=context.device,
            features=features,
            allow_code=allow_code,
        )
        summary = generate_split(
            generator,
            run=run,
            corpus=corpus,
            out=out,
            split=split,
            settings=settings,
            shard=share,
            context=context,
            overwrite=overwrite,
            track=on_console,
        )
        if not context.is_main:
            return
    console, rate = Console(soft_wrap=True), f"{summary.rate:.1f} a second"
    if share is not None:
        console.print(
            f"Wrote {summary.reports} reports, {rate}; reports still missing: {summary.missing}. When all are "
            f"there, the same command without --shard joins them to {out}"
        )
        return
    before = summary.reports - summary.generated
    earlier = f", {before} of them before" if before else ""
    console.print(f"Wrote {summary.reports} reports{earlier}, {rate}, to {out}")
